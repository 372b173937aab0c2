//! CPU and memory of whole process trees, read from `/proc` by the client: PID 1 does not read
//! it, so that no app can hold it up.
//!
//! One pass reads `/proc/PID/stat` of every process. An instance's tree is its main process, all
//! of that one's descendants, and whoever is still in its session (a supervised app leads one),
//! which finds children whose parent has died. CPU is the average over the life of the main
//! process, as `ps` shows it: one sample tells no more.
#![forbid(unsafe_code)]

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{SysconfVar, read, sysconf};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};

/// Every process there is, by rising pid.
#[derive(Debug, Default)]
pub(super) struct Processes {
    all: Vec<Process>,
    page_size: u64,
}

/// What `/proc/PID/stat` tells, as far as we need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub ppid: u32,
    /// Its session's.
    session: u32,
    /// CPU time, in hundredths of a second.
    ticks: u64,
    /// Resident pages.
    pages: u64,
    /// Its name; the kernel keeps 15 bytes of it.
    name: [u8; 15],
}

/// What a tree uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU time, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory; what two processes share counts twice.
    pub memory_bytes: u64,
}

impl Usage {
    /// Of one CPU, in per cent, on average over `uptime_ms`.
    pub(super) fn cpu_percent(self, uptime_ms: u64) -> f64 {
        // CPU time comes in steps of 10 ms: over a shorter life than this they would show
        // thousands of per cent.
        let percent = self.cpu_ms as f64 * 100.0 / uptime_ms.max(100) as f64;
        (percent * 10.0).round() / 10.0
    }
}

impl Processes {
    /// Reads them all; none where `/proc` is missing or belongs to another pid namespace. Who
    /// may not be seen (`hidepid`) or ends meanwhile is left out.
    pub(super) fn read() -> Self {
        Self::try_read().unwrap_or_default()
    }

    fn try_read() -> Option<Self> {
        let own = std::fs::read_link("/proc/self").ok()?;
        if own.to_str()? != nix::unistd::getpid().to_string() {
            return None;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut proc = Dir::open("/proc", flags, Mode::empty()).ok()?;
        let names = proc.iter().map_while(Result::ok);
        let pids: Vec<u32> = names.filter_map(|name| pid(name.file_name().to_bytes())).collect();
        let mut all = read_each(proc.as_fd(), &pids);
        all.sort_unstable_by_key(|process| process.pid);
        let page_size = sysconf(SysconfVar::PAGE_SIZE).ok()??;
        Some(Self { all, page_size: u64::try_from(page_size).ok()? })
    }

    /// What the tree of each of these main processes uses; `None`: not to be seen.
    pub(super) fn usage(&self, mains: &[u32]) -> Vec<Option<Usage>> {
        let mut usage: Vec<Option<Usage>> = vec![None; mains.len()];
        for (process, owner) in self.all.iter().zip(self.owners(mains)) {
            if let Some(owner) = owner {
                let sum = usage[owner].get_or_insert_default();
                sum.cpu_ms += process.ticks.saturating_mul(MS_PER_TICK);
                sum.memory_bytes += process.pages.saturating_mul(self.page_size);
            }
        }
        usage
    }

    /// The tree of one main process, by rising pid.
    pub(super) fn tree(&self, main: u32) -> impl Iterator<Item = &Process> {
        let owners = self.owners(&[main]);
        self.all.iter().zip(owners).filter_map(|(process, owner)| owner.map(|_| process))
    }

    /// Resident memory of one process.
    pub(super) fn memory_bytes(&self, process: &Process) -> u64 {
        process.pages.saturating_mul(self.page_size)
    }

    /// For each process, whose tree it belongs to, as an index into `mains`.
    fn owners(&self, mains: &[u32]) -> Vec<Option<usize>> {
        let mut order: Vec<(u32, usize)> = mains.iter().copied().zip(0..).collect();
        order.retain(|&(pid, _)| pid != 0);
        order.sort_unstable();
        let main = |pid: u32| {
            let at = order.binary_search_by_key(&pid, |&(main, _)| main).ok()?;
            Some(order[at].1)
        };
        let index = |pid: u32| self.all.binary_search_by_key(&pid, |process| process.pid).ok();
        let mut known: Vec<Option<Option<usize>>> = vec![None; self.all.len()];
        let mut path = Vec::new();
        for start in 0..self.all.len() {
            let mut at = Some(start);
            let mut owner = None;
            while let Some(here) = at {
                if let Some(found) = known[here] {
                    owner = found;
                    break;
                }
                let process = &self.all[here];
                owner = main(process.pid).or_else(|| main(process.session));
                // Also ends a loop, which pids used again during the pass can make.
                known[here] = Some(owner);
                path.push(here);
                if owner.is_some() {
                    break;
                }
                at = index(process.ppid);
            }
            for here in path.drain(..) {
                known[here] = Some(owner);
            }
        }
        known.into_iter().map(Option::flatten).collect()
    }
}

/// Nearly all of a client's time goes into these three system calls.
fn read_each(proc: BorrowedFd<'_>, pids: &[u32]) -> Vec<Process> {
    let mut all = Vec::with_capacity(pids.len());
    let mut path = Vec::with_capacity(32);
    let mut buffer = [0; 1024];
    for pid in pids {
        path.clear();
        let _ = write!(path, "{pid}/stat");
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let Ok(stat) = openat(proc, path.as_slice(), flags, Mode::empty()) else {
            continue;
        };
        let length = loop {
            match read(&stat, &mut buffer) {
                Err(Errno::EINTR) => {}
                result => break result.unwrap_or(0),
            }
        };
        all.extend(Process::parse(&buffer[..length]));
    }
    all
}

/// `USER_HZ` is 100 on everything this program is built for, whatever the kernel's own tick.
const MS_PER_TICK: u64 = 10;

impl Process {
    /// One line of `/proc/PID/stat`. The name stands in parentheses and may hold some itself,
    /// and spaces: it ends at the last one.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let open = line.iter().position(|&byte| byte == b'(')?;
        let close = line.iter().rposition(|&byte| byte == b')')?;
        let pid = pid(line.get(..open)?.trim_ascii())?;
        let comm = line.get(open + 1..close)?;
        let mut name = [0; 15];
        let kept = comm.len().min(name.len());
        name[..kept].copy_from_slice(&comm[..kept]);
        // Numbered as in proc(5), where the state is field 3.
        let mut fields = line.get(close + 1..)?.trim_ascii().split(|&byte| byte == b' ');
        Some(Self {
            pid,
            ppid: self::pid(fields.nth(4 - 3)?)?,
            session: self::pid(fields.nth(6 - 4 - 1)?)?,
            ticks: number(fields.nth(14 - 6 - 1)?)?.saturating_add(number(fields.next()?)?),
            pages: number(fields.nth(24 - 15 - 1)?)?,
            name,
        })
    }

    /// As far as it is UTF-8.
    pub(super) fn name(&self) -> String {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(self.name.len());
        String::from_utf8_lossy(&self.name[..end]).into_owned()
    }
}

fn pid(digits: &[u8]) -> Option<u32> {
    u32::try_from(number(digits)?).ok()
}

fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, ppid: u32, session: u32) -> Process {
        Process { pid, ppid, session, ticks: 1, pages: 1, name: [0; 15] }
    }

    #[test]
    fn a_name_may_hold_spaces_and_parentheses() {
        let line =
            b"42 (a) (b c) S 1 42 7 0 -1 4194560 177 0 0 0 12 30 0 0 20 0 1 0 93 8192 250 184 1\n";
        let found = Process::parse(line).unwrap();
        assert_eq!((found.pid, found.ppid, found.session), (42, 1, 7));
        assert_eq!((found.ticks, found.pages), (42, 250));
        assert_eq!(found.name(), "a) (b c");
    }

    #[test]
    fn half_a_line_is_no_process() {
        for line in ["", "42", "42 (sh", "42 (sh) S 1 2", "x (sh) S 1 2 3", ")("] {
            assert_eq!(Process::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_tree_holds_descendants_and_orphans_of_the_session() {
        let all = vec![
            process(1, 0, 1),
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 11, 12), // left the session, still a descendant
            process(13, 1, 10),  // its parent died
            process(14, 13, 14),
            process(20, 1, 20),
            process(30, 1, 30), // nobody's
        ];
        let processes = Processes { all, page_size: 4096 };
        let usage = processes.usage(&[20, 10, 0, 99]);
        let pages = |count: u64| Some(Usage { cpu_ms: count * 10, memory_bytes: count * 4096 });
        assert_eq!(usage, [pages(1), pages(5), None, None]);
        let pids: Vec<u32> = processes.tree(10).map(|process| process.pid).collect();
        assert_eq!(pids, [10, 11, 12, 13, 14]);
    }

    #[test]
    fn a_loop_of_parents_ends() {
        let processes = Processes { all: vec![process(5, 6, 5), process(6, 5, 6)], page_size: 1 };
        assert_eq!(processes.usage(&[7]), [None]);
    }

    #[test]
    fn we_find_ourselves() {
        let me = std::process::id();
        let processes = Processes::read();
        assert!(processes.usage(&[me])[0].unwrap().memory_bytes > 0);
    }

    #[test]
    fn cpu_is_an_average_over_the_life() {
        let usage = Usage { cpu_ms: 500, memory_bytes: 0 };
        assert_eq!(usage.cpu_percent(2_000), 25.0);
        assert_eq!(usage.cpu_percent(0), 500.0);
    }
}
