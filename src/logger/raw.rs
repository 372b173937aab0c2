//! The three things for which there is no safe call: descriptors that came by inheritance
//! or in a message, and the local time.
#![allow(unsafe_code, reason = "an inherited or received descriptor has no owner yet; localtime_r")]

use crate::protocol::output::{MAX_MESSAGE, SOCKET_FD};
use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The socket that PID 1 left on [`SOCKET_FD`]. To be called once.
pub(super) fn inherited_socket() -> Result<OwnedFd, Errno> {
    // SAFETY: if nothing is open there, `fcntl` says EBADF and the borrow ends.
    let socket = unsafe { BorrowedFd::borrow_raw(SOCKET_FD) };
    fcntl(socket, FcntlArg::F_GETFD)?;
    // SAFETY: it is open, as just seen, and by the role's promise nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(SOCKET_FD) })
}

/// Has SIGIO sent to this process for every write into the pipe, or no longer.
///
/// A watch for edges does not see all of them: a writer that fills a pipe which was not
/// empty goes to sleep without waking a reader (`anon_pipe_write`). This signal it sends.
pub(super) fn signal_writes(pipe: BorrowedFd<'_>, on: bool) -> Result<(), Errno> {
    if on {
        // SAFETY: F_SETOWN takes an integer. The owner before us may have been killed.
        let result = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETOWN, libc::getpid()) };
        Errno::result(result)?;
    }
    let mut flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    flags.set(OFlag::O_ASYNC, on);
    fcntl(pipe, FcntlArg::F_SETFL(flags)).map(drop)
}

/// Fills the holes among descriptors 0 to 2 with one that cannot be written to, so that no
/// log file can ever become "stdout". Tells which were holes.
pub(super) fn plug_standard_descriptors(plug: impl AsFd) -> Result<[bool; 3], Errno> {
    let mut holes = [false; 3];
    loop {
        let lowest = fcntl(&plug, FcntlArg::F_DUPFD(0))?;
        match usize::try_from(lowest).ok().and_then(|fd| holes.get_mut(fd)) {
            Some(hole) => *hole = true,
            None => {
                // SAFETY: `fcntl` has just made it for us.
                drop(unsafe { OwnedFd::from_raw_fd(lowest) });
                return Ok(holes);
            }
        }
    }
}

/// One message with its descriptors: `Ok(None)` at the end of the connection.
pub(super) fn receive(
    socket: BorrowedFd<'_>,
    message: &mut Vec<u8>,
) -> Result<Option<Vec<OwnedFd>>, Errno> {
    message.resize(MAX_MESSAGE, 0);
    let mut space = cmsg_space!([RawFd; 2]);
    let mut parts = [IoSliceMut::new(message)];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut descriptors = Vec::new();
    if let Ok(control) = received.cmsgs() {
        for part in control {
            if let ControlMessageOwned::ScmRights(fds) = part {
                // SAFETY: the kernel has just made these for us; nobody else has them.
                descriptors.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
    }
    let length = received.bytes;
    message.truncate(length);
    Ok((length > 0).then_some(descriptors))
}

/// A point in time as the local clock on the wall shows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalTime {
    pub(super) year: i32,
    /// From 0.
    pub(super) month: u32,
    pub(super) day: u32,
    /// From Sunday, 0.
    pub(super) weekday: u32,
    pub(super) hour: u32,
    pub(super) minute: u32,
    pub(super) second: u32,
    /// Seconds east of Greenwich.
    pub(super) offset: i64,
}

/// In the time zone of `TZ`, else of `/etc/localtime`, else UTC.
#[allow(clippy::unnecessary_cast, reason = "not every platform's C types are this wide")]
pub(super) fn local_time(seconds_since_epoch: u64) -> LocalTime {
    // SAFETY: a `tm` of zeros is a valid one (its pointer is allowed to be null).
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    let when = seconds_since_epoch as _;
    // SAFETY: both pointers are to live values of ours. It reads the environment, which
    // nothing changes in this process: it has one thread and never calls `set_var`.
    unsafe { libc::localtime_r(&raw const when, &raw mut time) };
    LocalTime {
        year: time.tm_year + 1900,
        month: time.tm_mon as u32,
        day: time.tm_mday as u32,
        weekday: time.tm_wday as u32,
        hour: time.tm_hour as u32,
        minute: time.tm_min as u32,
        second: time.tm_sec as u32,
        offset: time.tm_gmtoff as i64,
    }
}
