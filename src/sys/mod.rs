//! The kernel, as far as we need it. The only floor that may fork, signal, read the
//! clock, or be `unsafe`. It does and decides nothing.

mod cgroup;
mod clock;
mod control;
mod end;
mod env;
mod linux;
mod oom;
mod output;
mod plain;
mod poller;
mod processes;
mod raw;
mod signals;
mod spawn;
mod stdio;
mod table;
mod wait;

pub use cgroup::cpus;
pub use linux::Linux;
pub use plain::{Plain, run_plain};
pub use signals::{Inherited, block_everything, restore};
pub use stdio::{Stderr, ensure_open};

use std::os::fd::OwnedFd;

use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What this process is and was given; found out once, at the start.
struct House {
    /// PID 1 of its namespace: everything in there is ours to end.
    is_init: bool,
    environment: env::Environment,
    /// What signals were ignored: apps get them with their default action.
    ignored: u64,
    /// The limit of open files before we raised our own.
    nofile: Option<(u64, u64)>,
    /// Our own executable.
    executable: Option<OwnedFd>,
}

impl House {
    fn new(inherited: Inherited) -> Self {
        let is_init = std::process::id() == 1;
        if !is_init && let Err(errno) = prctl::set_child_subreaper(true) {
            log::warn!(
                "not PID 1 and not a subreaper ({}): orphans will not be reaped",
                errno.desc()
            );
        }
        Self {
            is_init,
            environment: env::Environment::inherited(),
            ignored: inherited.ignored,
            nofile: raise_nofile(),
            executable: spawn::own_executable(),
        }
    }
}

/// A thousand apps are four thousand descriptors. Gives the limits as they were.
fn raise_nofile() -> Option<(u64, u64)> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok()?;
    Some((soft, hard))
}

/// Gives back the pages of our own code that only the start needed; what is used again is
/// in the page cache and comes back by itself.
#[allow(unsafe_code, reason = "madvise(2) on our own code")]
fn let_go_of_code() {
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    const PAGE: usize = 4096;
    let (start, end) = (&raw const __executable_start as usize, &raw const etext as usize);
    let (start, end) = (start.next_multiple_of(PAGE), end & !(PAGE - 1));
    if start < end {
        // SAFETY: between these two symbols of the linker lies only what is mapped from
        // the executable and never written to; the kernel reads it again when it is used.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// Ends the process at once, running nothing on the way.
#[allow(unsafe_code, reason = "_exit(2)")]
pub fn exit_now(status: u8) -> ! {
    // SAFETY: does not return, and runs no handlers that could meet a broken state.
    unsafe { libc::_exit(i32::from(status)) }
}
