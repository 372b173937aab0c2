//! Our own standard descriptors: open whatever we were given, and never in the way.
#![allow(unsafe_code, reason = "descriptors 0 to 2 by number")]

use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{dup2_raw, pipe2};

/// The descriptor by which we reach stderr, if it is one of our own; -1: none.
static OWN_STDERR: AtomicI32 = AtomicI32::new(-1);

/// The longest piece that a pipe takes whole (pipe(7)).
const PIPE_BUF: usize = 4096;

/// Makes sure that 0, 1 and 2 are open, so that nothing we open lands there and is taken
/// for somebody's output. Where there is no `/dev/null`, a pipe without another end.
pub fn ensure_open() {
    for fd in 0..3 {
        // SAFETY: only asked whether it is open.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        if fcntl(borrowed, FcntlArg::F_GETFD) != Err(Errno::EBADF) {
            continue;
        }
        let spare = match open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
            Ok(null) => Ok(null),
            Err(_) => pipe2(OFlag::empty()).map(|(read, write)| if fd == 0 { read } else { write }),
        };
        let Ok(spare) = spare else { continue };
        if spare.as_raw_fd() == fd {
            // It got the lowest free number, and that is the one.
            std::mem::forget(spare);
        } else {
            // SAFETY: `fd` is closed, so nobody's descriptor is replaced; it is to stay open.
            let _ = unsafe { dup2_raw(&spare, fd) }.map(std::mem::forget);
        }
    }
}

/// Writes lines for people to descriptor 2 and never waits: what does not fit is dropped
/// and counted.
pub struct Stderr {
    way: Option<Way>,
    lost: u64,
}

enum Way {
    /// A file: writing to it does not wait for any reader.
    Plain,
    /// A pipe or terminal under an open description of our own, which alone is
    /// non-blocking: the one that we were given is shared with others.
    Reopened(OwnedFd),
    /// A socket, where a single call can be told not to wait.
    Socket,
    /// Anything else: only when poll(2) says that there is room.
    Polled,
}

impl Way {
    /// Looks at what descriptor 2 is.
    fn find() -> Self {
        let kind = fstat(stderr())
            .map_or(SFlag::empty(), |stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        match kind {
            SFlag::S_IFREG => Self::Plain,
            SFlag::S_IFSOCK => Self::Socket,
            _ => {
                let flags =
                    OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
                open("/proc/self/fd/2", flags, Mode::empty()).map_or(Self::Polled, |own| {
                    OWN_STDERR.store(own.as_raw_fd(), Ordering::Relaxed);
                    Self::Reopened(own)
                })
            }
        }
    }
}

impl Stderr {
    /// Nothing is looked at before the first word: most runs start without one.
    pub fn new() -> Self {
        Self { way: None, lost: 0 }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.way.get_or_insert_with(Way::find) {
            Way::Plain => nix::unistd::write(stderr(), bytes),
            Way::Reopened(own) => nix::unistd::write(own, bytes),
            Way::Socket => send(2, bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL),
            Way::Polled => {
                let mut room = [PollFd::new(stderr(), PollFlags::POLLOUT)];
                match poll(&mut room, PollTimeout::ZERO) {
                    // Room for a whole piece: that is what POLLOUT says of a pipe.
                    Ok(1) => nix::unistd::write(stderr(), &bytes[..bytes.len().min(PIPE_BUF)]),
                    _ => Err(Errno::EAGAIN),
                }
            }
        }
    }
}

impl Default for Stderr {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Stderr {
    /// One whole message. Reports success even when it was dropped: nobody could do
    /// anything about it, and PID 1 must not care.
    fn write(&mut self, message: &[u8]) -> io::Result<usize> {
        if self.lost > 0 {
            let note = format!("rsm-init: {} messages were lost: stderr was full\n", self.lost);
            if self.put(note.as_bytes()).is_ok() {
                self.lost = 0;
            }
        }
        if self.lost > 0 || self.put(message).is_err() {
            self.lost += 1;
        }
        Ok(message.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stderr() -> BorrowedFd<'static> {
    // SAFETY: descriptor 2 is open (`ensure_open`) and never closed.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// What apps read: nothing. `/dev/null`, or a pipe that is at its end.
pub(super) fn nothing_to_read() -> nix::Result<OwnedFd> {
    let null = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
    null.or_else(|_| pipe2(OFlag::O_CLOEXEC).map(|(read, _)| read))
}

/// Where output goes that nobody wants; `None` where there is no `/dev/null`.
pub(super) fn nowhere_to_write() -> Option<OwnedFd> {
    open("/dev/null", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

/// Lets go of every descriptor from 3 on that we were given: whoever holds one may keep
/// a socket or a directory busy for ever. `ours` and our way to stderr stay.
pub(super) fn close_all_but(ours: &[i32]) {
    let mut ours = [ours, &[OWN_STDERR.load(Ordering::Relaxed)]].concat();
    ours.sort_unstable();
    let mut first = 3;
    for fd in ours.into_iter().filter(|fd| *fd >= 3) {
        close_between(first, fd);
        first = fd + 1;
    }
    close_between(first, i32::MAX);
}

/// Closes the descriptors from `first` up to, not including, `end`. None of them may be ours.
fn close_between(first: i32, end: i32) {
    if first >= end {
        return;
    }
    // SAFETY: the caller says that nothing of ours is among them.
    if unsafe { libc::syscall(libc::SYS_close_range, first, end - 1, 0) } == 0 {
        return;
    }
    // Before Linux 5.9, or where a filter forbids it.
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| (first..end).contains(fd)) {
        // SAFETY: as above; the directory's own descriptor is closed already, EBADF is fine.
        unsafe { libc::close(fd) };
    }
}
