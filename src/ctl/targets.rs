//! Targets that the client works out, and lists too long for one request.
#![forbid(unsafe_code)]

use super::Trouble;
use crate::protocol::control::{MAX_REQUEST, Target};
use regex_lite::Regex;

/// Room for targets in a request; the rest is for everything around them.
const ROOM: usize = MAX_REQUEST - 1024;

/// Puts the apps whose name matches in the place of each `/regex/`. Names, because for the
/// supervisor a name comes before everything else a text could mean. `names` is asked once, and
/// only if there is a regex.
pub(super) fn expand(
    targets: &[Target],
    names: impl FnOnce() -> Result<Vec<String>, Trouble>,
) -> Result<Vec<Target>, Trouble> {
    if !targets.iter().any(|target| pattern(target).is_some()) {
        return Ok(targets.to_vec());
    }
    let regexes = targets.iter().map(|target| match pattern(target).map(Regex::new) {
        Some(Err(error)) => {
            let message = format!("{target} is no regular expression: {error}");
            Err(Trouble { message, status: 2 })
        }
        Some(Ok(regex)) => Ok(Some(regex)),
        None => Ok(None),
    });
    // All of them before anything is asked: a mistake of the user's is told first.
    let regexes = regexes.collect::<Result<Vec<_>, _>>()?;
    let names = names()?;
    let mut expanded: Vec<Target> = Vec::new();
    for (target, regex) in targets.iter().zip(regexes) {
        let Some(regex) = regex else {
            expanded.push(target.clone());
            continue;
        };
        let before = expanded.len();
        expanded.extend(names.iter().filter(|name| regex.is_match(name)).cloned());
        if expanded.len() == before {
            let message = format!("{target} matches no app");
            return Err(Trouble { message, status: 4 });
        }
    }
    Ok(expanded)
}

/// What stands between the slashes.
fn pattern(target: &str) -> Option<&str> {
    target.strip_prefix('/')?.strip_suffix('/').filter(|pattern| !pattern.is_empty())
}

/// Parts that fit into one request each; one empty part for no targets at all.
pub(super) fn batches(targets: &[Target]) -> Vec<Vec<Target>> {
    let mut batches = vec![Vec::new()];
    let mut used = 0;
    for target in targets {
        let size = serde_json::to_string(target).map_or(target.len(), |json| json.len()) + 1;
        if used + size > ROOM && used > 0 {
            batches.push(Vec::new());
            used = 0;
        }
        used += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(target.clone());
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| word.to_string()).collect()
    }

    fn expanded(targets: &[&str]) -> Result<Vec<String>, (u8, String)> {
        expand(&strings(targets), || Ok(strings(&["web", "worker", "db"])))
            .map_err(|trouble| (trouble.status, trouble.message))
    }

    #[test]
    fn a_regex_becomes_the_names_it_matches() {
        assert_eq!(expanded(&["/^w/", "3"]).unwrap(), ["web", "worker", "3"]);
        assert_eq!(expanded(&["/^x/"]), Err((4, "/^x/ matches no app".to_string())));
        assert_eq!(expanded(&["/(/"]).unwrap_err().0, 2);
    }

    #[test]
    fn without_a_regex_nobody_is_asked() {
        let targets = strings(&["web", "/", "//", "a/b/"]);
        let expanded = expand(&targets, || panic!("asked"));
        assert_eq!(expanded.unwrap(), targets);
    }

    #[test]
    fn no_request_is_too_long_and_no_target_is_lost() {
        let targets: Vec<Target> = (0..5000).map(|id| format!("\"{id:040}\u{1}")).collect();
        let batches = batches(&targets);
        assert!(batches.len() > 1);
        for batch in &batches {
            assert!(serde_json::to_string(batch).unwrap().len() <= ROOM + 2);
        }
        assert_eq!(batches.concat(), targets);
        assert_eq!(super::batches(&[]), [Vec::<Target>::new()]);
    }
}
