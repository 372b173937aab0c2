//! Did the kernel's out-of-memory killer do it? Its count is in the memory cgroup.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// How often it has killed somebody of ours.
#[derive(Default)]
pub(super) struct OomKills {
    /// Where the count stands; `None`: it can't be known.
    file: Option<File>,
    seen: u64,
}

impl OomKills {
    /// Finds the count and remembers it.
    pub(super) fn new() -> Self {
        let places = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];
        let own = super::cgroup::own_paths(
            "memory",
            |path| format!("/sys/fs/cgroup{path}/memory.events"),
            |path| format!("/sys/fs/cgroup/memory{path}/memory.oom_control"),
        );
        let paths = own.into_iter().chain(places.map(PathBuf::from));
        let mut files = paths.filter_map(|path| File::open(path).ok());
        let file = files.find(|file| count(file).is_some());
        let seen = file.as_ref().and_then(count).unwrap_or(0);
        Self { file, seen }
    }

    /// Takes one kill off the count, if there is one that nobody was told about.
    pub(super) fn take(&mut self) -> bool {
        let Some(now) = self.file.as_ref().and_then(count) else { return false };
        let is_new = now > self.seen;
        self.seen += u64::from(is_new);
        is_new
    }
}

fn count(file: &File) -> Option<u64> {
    let mut text = [0_u8; 1024];
    let length = file.read_at(&mut text, 0).ok()?;
    let text = std::str::from_utf8(&text[..length]).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}
