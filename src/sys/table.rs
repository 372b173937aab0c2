//! The processes around us, as `/proc/PID/stat` tells. Reading it never waits for the
//! process (proc_pid_stat(5)), unlike its memory, `cmdline` or `environ`.

use std::collections::BTreeMap;
use std::io::Read;

/// One process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) group: i32,
    /// In clock ticks since boot. With the pid it names a process for good.
    pub(super) started: u64,
    /// Dead, not yet waited for.
    pub(super) is_zombie: bool,
}

/// Every process that can be seen; `None` where there is no `/proc`.
pub(super) fn everyone() -> Option<Vec<Entry>> {
    let listing = std::fs::read_dir("/proc").ok()?;
    let pids = listing.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(pids.filter_map(one).collect())
}

/// One process, if it is there.
pub(super) fn one(pid: i32) -> Option<Entry> {
    let mut text = [0_u8; 512];
    let mut file = std::fs::File::open(format!("/proc/{pid}/stat")).ok()?;
    let length = file.read(&mut text).ok()?;
    parse(pid, &text[..length])
}

fn parse(pid: i32, text: &[u8]) -> Option<Entry> {
    // The name stands in parentheses and may itself hold any; the last one closes it.
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = text[end + 1..].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let state = *fields.next()?.first()?;
    let number = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<i64>().ok();
    let parent = number(fields.next()?)?;
    let group = number(fields.next()?)?;
    // Field 22 of the whole line; the group was field 5.
    let started = number(fields.nth(16)?)?;
    Some(Entry {
        pid,
        parent: i32::try_from(parent).ok()?,
        group: i32::try_from(group).ok()?,
        started: started.unsigned_abs(),
        is_zombie: matches!(state, b'Z' | b'X'),
    })
}

/// The living descendants of a process, itself not included.
pub(super) fn descendants(everyone: &[Entry], root: i32) -> Vec<Entry> {
    let mut children: BTreeMap<i32, Vec<&Entry>> = BTreeMap::new();
    for entry in everyone {
        children.entry(entry.parent).or_default().push(entry);
    }
    let mut found = vec![];
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        // Taken out, so that not even a circle could keep us here.
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.pid);
            if !child.is_zombie {
                found.push(*child);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"42 (a) b (c)) S 7 40 40 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 9876 0 0\n";
        let entry = Entry { pid: 42, parent: 7, group: 40, started: 9876, is_zombie: false };
        assert_eq!(parse(42, line), Some(entry));
        for cut in 0..60 {
            assert_eq!(parse(42, &line[..cut]), None);
        }
    }

    #[test]
    fn descendants_are_found_through_living_and_dead() {
        let entry =
            |pid, parent, is_zombie| Entry { pid, parent, group: pid, started: 0, is_zombie };
        let all = [entry(2, 1, false), entry(3, 2, true), entry(4, 3, false), entry(5, 1, false)];
        let found: Vec<i32> = descendants(&all, 2).iter().map(|entry| entry.pid).collect();
        assert_eq!(found, [4]);
    }
}
