//! Paths as text.

/// `path` seen from `base`, without `.`, `..` and doubled slashes, as PM2 (that is, Node) resolves it: links are not followed.
pub(super) fn resolve(base: &str, path: &str) -> String {
    let mut resolved = String::with_capacity(base.len() + path.len() + 1);
    let bases = if path.starts_with('/') { "" } else { base };
    for part in bases.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => resolved.truncate(resolved.rfind('/').unwrap_or(0)),
            name => {
                resolved.push('/');
                resolved.push_str(name);
            }
        }
    }
    if resolved.is_empty() {
        resolved.push('/');
    }
    resolved
}

/// `~` and `~/…` with the home directory put in.
pub(super) fn with_home(path: &str, home: Option<&str>) -> Option<String> {
    let rest = path.strip_prefix('~')?;
    (rest.is_empty() || rest.starts_with('/')).then_some(())?;
    home.map(|home| format!("{home}{rest}"))
}

pub(super) fn base_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The last extension with its dot; a leading dot starts none.
pub(super) fn extension(path: &str) -> &str {
    let name = base_name(path);
    match name.rfind('.') {
        None | Some(0) => "",
        Some(at) => &name[at..],
    }
}

/// The directory that holds `path`.
pub(super) fn directory(path: &str) -> &str {
    match path.rfind('/') {
        None => "",
        Some(0) => "/",
        Some(at) => &path[..at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_go() {
        for (base, path, expected) in [
            ("/a/b", "./c", "/a/b/c"),
            ("/a/b", "../c//d", "/a/c/d"),
            ("/", "../..", "/"),
            ("/a", "/x/./y/", "/x/y"),
        ] {
            assert_eq!(resolve(base, path), expected);
        }
    }

    #[test]
    fn a_leading_dot_is_no_extension() {
        assert_eq!(extension("/x/.profile"), "");
        assert_eq!(extension("/x.y/app.tar.gz"), ".gz");
        assert_eq!(base_name("/a/b/"), "b");
    }
}
