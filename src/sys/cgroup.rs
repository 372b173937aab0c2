//! Which part of the machine is ours: CPUs by cgroup quota and affinity.

use std::path::PathBuf;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

/// The CPUs that this container may really use: its cgroup's quota rounded up, at most
/// those it may run on, at least one.
pub fn cpus() -> u32 {
    let affinity = sched_getaffinity(Pid::from_raw(0)).ok().map(|set| {
        let count = (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    });
    let allowed = affinity.filter(|count| *count > 0).unwrap_or(1);
    quota().map_or(allowed, |quota| quota.min(allowed)).max(1)
}

fn quota() -> Option<u32> {
    let mut files = own_paths(
        "cpu",
        |path| format!("/sys/fs/cgroup{path}/cpu.max"),
        |path| format!("/sys/fs/cgroup/cpu{path}/cpu.cfs_quota_us"),
    );
    files.extend(
        ["/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"].map(PathBuf::from),
    );
    // A group above ours may be the tighter one.
    files.iter().filter_map(quota_of).min()
}

fn quota_of(file: &PathBuf) -> Option<u32> {
    let text = std::fs::read_to_string(file).ok()?;
    let mut words = text.split_ascii_whitespace();
    let quota: u64 = words.next()?.parse().ok()?; // "max" and -1: none
    let period = match words.next() {
        Some(period) => period.to_owned(),
        None => std::fs::read_to_string(file.with_file_name("cpu.cfs_period_us")).ok()?,
    };
    let period: u64 = period.trim().parse().ok().filter(|period| *period > 0)?;
    u32::try_from(quota.div_ceil(period)).ok().filter(|cpus| *cpus > 0)
}

/// Files of our own cgroup and those above it, as `/proc/self/cgroup` names them: of the
/// unified hierarchy, and of the version 1 hierarchy of this controller.
pub(super) fn own_paths(
    controller: &str,
    unified: impl Fn(&str) -> String,
    version_1: impl Fn(&str) -> String,
) -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut files = vec![];
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let make: &dyn Fn(&str) -> String = if controllers.is_empty() {
            &unified
        } else if controllers.split(',').any(|name| name == controller) {
            &version_1
        } else {
            continue;
        };
        let mut path = path.trim_end_matches('/');
        while !path.is_empty() {
            files.push(PathBuf::from(make(path)));
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    files
}
