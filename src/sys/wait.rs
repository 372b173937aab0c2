//! waitid(2): which children are dead, stopped or continued. The one place that asks.
#![allow(unsafe_code, reason = "waitid(2) with all that it can tell")]

use nix::errno::Errno;

use crate::supervisor::Exit;

/// A child that ended.
pub(super) struct Dead {
    pub(super) pid: i32,
    pub(super) exit: Exit,
}

/// Sees one of the dead without burying it; `None`: there is none now.
pub(super) fn next_dead() -> Option<Dead> {
    dead(libc::WNOWAIT)
}

/// Buries one of the dead; `None`: there is none now. Its number may be somebody else's
/// from here on.
pub(super) fn bury_next() -> Option<Dead> {
    dead(0)
}

fn dead(flag: i32) -> Option<Dead> {
    let news = ask(libc::P_ALL, 0, libc::WEXITED | flag).ok()??;
    let exit = match news.code {
        libc::CLD_EXITED => Exit::Code(news.status),
        code => Exit::Signal { signal: news.status, core: code == libc::CLD_DUMPED, oom: false },
    };
    Some(Dead { pid: news.pid, exit })
}

/// Buries one child that is known to be dead, so this does not wait.
pub(super) fn bury(pid: i32) {
    // It can only fail for a child that is not there, which is as good.
    let _ = ask(libc::P_PID, pid.cast_unsigned(), libc::WEXITED);
}

/// Is there any child, dead or alive?
pub(super) fn has_children() -> bool {
    ask(libc::P_ALL, 0, libc::WEXITED | libc::WNOWAIT) != Err(Errno::ECHILD)
}

/// What a child that lives has done since it was last asked.
pub(super) enum Pause {
    /// Stopped, by this signal.
    Stopped(i32),
    /// Continued.
    Continued,
}

/// Whether a child has stopped or been continued.
pub(super) fn pause_of(pid: i32) -> Option<Pause> {
    let flags = libc::WSTOPPED | libc::WCONTINUED;
    let news = ask(libc::P_PID, pid.cast_unsigned(), flags).ok()??;
    Some(match news.code {
        libc::CLD_CONTINUED => Pause::Continued,
        _ => Pause::Stopped(news.status),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct News {
    pid: i32,
    code: i32,
    status: i32,
}

/// Never waits. `Ok(None)`: there are such children, but no news of them.
fn ask(whose: libc::idtype_t, id: libc::id_t, flags: i32) -> Result<Option<News>, Errno> {
    loop {
        // SAFETY: all zeros is a valid siginfo_t.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: `info` is a siginfo_t for the kernel to fill.
        let result = unsafe { libc::waitid(whose, id, &raw mut info, flags | libc::WNOHANG) };
        match Errno::result(result) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => {
                // SAFETY: waitid fills these fields; a pid of 0 says that there is no news.
                let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
                return Ok((pid != 0).then_some(News { pid, code: info.si_code, status }));
            }
        }
    }
}
