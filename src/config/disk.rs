//! The real files and accounts behind a config. Everything else in [`super`] is pure.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::fault::{Fault, Faults};
use super::identity::{Accounts, User};
use super::programs::{Entry, Files};

/// A config file is read as a whole.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// The text of a config file; `-` is stdin. The fault says why there is none.
pub fn read_source(path: &Path) -> Result<String, Box<Fault>> {
    let fault = |message: String| Box::new(Fault::without_place(path, message));
    let mut bytes = Vec::new();
    let limit = MOST_BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| fault(format!("cannot read it: {}", reason(&error))))?;
    if bytes.len() > MOST_BYTES {
        return Err(fault(format!("it is larger than {} MiB", MOST_BYTES >> 20)));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fault("it is UTF-16; save it as UTF-8".into()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        fault(format!("line {line} is not UTF-8"))
    })
}

/// The texts of several files, or every reason why some cannot be read.
pub fn read_sources(paths: &[PathBuf]) -> Result<Vec<String>, Faults> {
    let (mut texts, mut faults) = (Vec::with_capacity(paths.len()), Vec::new());
    for path in paths {
        match read_source(path) {
            Ok(text) => texts.push(text),
            Err(fault) => faults.push(*fault),
        }
    }
    if faults.is_empty() {
        Ok(texts)
    } else {
        Err(Faults { faults, warnings: Vec::new(), more: 0 })
    }
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "it is a directory".into(),
        _ => error.to_string(),
    }
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn look(&self, path: &str) -> Option<Entry> {
        let found = fs::metadata(path).ok()?;
        Some(if found.is_dir() {
            Entry::Directory
        } else {
            Entry::File { executable: found.permissions().mode() & 0o111 != 0 }
        })
    }

    fn head(&self, path: &str) -> Vec<u8> {
        let mut head = Vec::new();
        // Without waiting: it may be a pipe that nobody writes to.
        let file =
            File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
        let _ = file.and_then(|file| file.take(512).read_to_end(&mut head));
        head
    }
}

/// `/etc/passwd` and `/etc/group`, read when they are first needed.
#[derive(Debug)]
pub struct Passwd {
    directory: PathBuf,
    users: OnceCell<String>,
    groups: OnceCell<String>,
}

impl Default for Passwd {
    fn default() -> Self {
        Self::in_directory("/etc")
    }
}

impl Passwd {
    /// With `passwd` and `group` from this directory.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), users: OnceCell::new(), groups: OnceCell::new() }
    }

    fn users(&self) -> impl Iterator<Item = User> + '_ {
        lines(&self.users, &self.directory, "passwd").filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
            Some(User {
                name: name.into(),
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                home: home.into(),
            })
        })
    }

    /// Name, number, members.
    fn groups(&self) -> impl Iterator<Item = (&str, u32, &str)> {
        lines(&self.groups, &self.directory, "group").filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let gid = fields.nth(1)?.parse().ok()?;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }
}

fn lines<'c>(
    cell: &'c OnceCell<String>,
    directory: &Path,
    name: &str,
) -> impl Iterator<Item = &'c str> {
    // No such file is an answer, too: there are no such users.
    cell.get_or_init(|| fs::read_to_string(directory.join(name)).unwrap_or_default()).lines()
}

impl Accounts for Passwd {
    fn user(&self, name: &str) -> Option<User> {
        self.users().find(|user| *user.name == *name)
    }

    fn user_by_id(&self, uid: u32) -> Option<User> {
        self.users().find(|user| user.uid == uid)
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups().find(|(other, ..)| *other == name).map(|(_, gid, _)| gid)
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        self.groups()
            .filter(|(.., members)| members.split(',').any(|member| member.trim() == user))
            .map(|(_, gid, _)| gid)
            .collect()
    }

    fn own(&self) -> (u32, u32) {
        (nix::unistd::Uid::current().as_raw(), nix::unistd::Gid::current().as_raw())
    }
}
