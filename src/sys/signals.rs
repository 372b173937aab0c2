//! Signals sent to us, as something to wait for.
//!
//! Everything is blocked, so nothing is ever lost or interrupts us: PID 1 drops any
//! signal that is neither blocked nor handled. A fault of our own still kills us, since
//! the kernel forces those through a mask (signal(7)).
#![allow(unsafe_code, reason = "a signalfd for all 64 signals")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use super::raw;

/// What the program was started with: how signals stood before we touched them.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    /// Blocked signals.
    pub(super) mask: u64,
    /// Ignored signals.
    pub(super) ignored: u64,
}

/// Blocks every signal. The very first thing to do: one that comes before is lost.
pub fn block_everything() -> Inherited {
    let mask = raw::set_mask(raw::EVERY_SIGNAL);
    let ignored = raw::ignored();
    // Where SIGCHLD is ignored the kernel reaps by itself and tells nobody.
    raw::set_default(libc::SIGCHLD);
    Inherited { mask, ignored: ignored & !raw::bit(libc::SIGCHLD) }
}

/// Lets go of the mask again, for a role that is no init. SIGPIPE stays blocked: a
/// reader who has left is an error of the write, not a reason to die.
pub fn restore(inherited: Inherited) {
    raw::set_mask(inherited.mask | raw::bit(libc::SIGPIPE));
}

/// One signal that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) signal: i32,
    /// Process id of the sender as we see it; 0: from outside our PID namespace.
    pub(super) sender: u32,
    /// How it was sent (`SI_USER`, `SI_QUEUE`, `SI_KERNEL`, …).
    pub(super) code: i32,
    /// What was sent along with it.
    pub(super) value: u64,
}

pub(super) struct Signals(OwnedFd);

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        let fd = raw::signalfd(raw::EVERY_SIGNAL).map_err(io::Error::from_raw_os_error)?;
        // SAFETY: the kernel has just given us this descriptor; nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Everything that has come, lowest number first. SIGCHLD is among it; who drains
    /// this and then reaps until nothing is left has lost nobody.
    pub(super) fn drain(&self, mut take: impl FnMut(Arrival)) {
        const ONE: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0_u8; 16 * ONE];
        loop {
            let read = match nix::unistd::read(&self.0, &mut buffer) {
                Ok(read) => read,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(_) => return, // EAGAIN: that was all
            };
            for one in buffer[..read].chunks_exact(ONE) {
                // SAFETY: a signalfd gives whole structures; any bytes are valid in it.
                let info: libc::signalfd_siginfo =
                    unsafe { std::ptr::read_unaligned(one.as_ptr().cast()) };
                take(Arrival {
                    signal: info.ssi_signo.cast_signed(),
                    sender: info.ssi_pid,
                    code: info.ssi_code,
                    value: info.ssi_ptr,
                });
            }
            if read < buffer.len() {
                return;
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
