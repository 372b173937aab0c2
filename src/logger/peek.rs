//! Reading a pipe without taking anything out of it.
//!
//! `tee(2)` copies references to a pipe's pages into a pipe of our own; we read that copy.
//! The original keeps its bytes until [`Peek::consume`], so when this process is killed
//! in between, whoever comes next finds them there.

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, open, splice, tee};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, SFlag, fstat, major, minor};
use nix::unistd::{pipe2, read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much of one stream is handled at a time, and so how much a killed log writer repeats.
pub(super) const BATCH: usize = 64 * 1024;

/// `tee`, `splice` count in `size_t` but do not like all of it.
const EVERYTHING: usize = 1 << 30;

/// What a look at a pipe brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing there.
    Empty,
    /// This many bytes are in view, and still in the pipe.
    Seen(usize),
    /// This many bytes are in view, and no longer in the pipe: this kernel has no `tee`.
    Taken(usize),
}

/// The private pipe and the buffer that all streams share.
pub(super) struct Peek {
    reader: OwnedFd,
    writer: OwnedFd,
    capacity: usize,
    null: Option<OwnedFd>,
    buffer: Vec<u8>,
    in_view: usize,
    can_tee: bool,
}

impl Peek {
    pub(super) fn new() -> Result<Self, Errno> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        let capacity = capacity(writer.as_fd())?;
        let (buffer, null) = (Vec::new(), null_device());
        Ok(Self { reader, writer, capacity, null, buffer, in_view: 0, can_tee: true })
    }

    /// Brings up to `limit` bytes of the pipe into view. `capacity` is that pipe's.
    pub(super) fn look(&mut self, pipe: BorrowedFd<'_>, capacity: usize, limit: usize) -> Look {
        self.in_view = 0;
        if !self.can_tee {
            return self.take(pipe);
        }
        self.match_capacity(capacity);
        match tee(pipe, &self.writer, limit.min(EVERYTHING), SpliceFFlags::SPLICE_F_NONBLOCK) {
            Ok(0) | Err(Errno::EAGAIN | Errno::EINTR) => return Look::Empty,
            Ok(copied) => self.make_room(copied),
            Err(_) => {
                self.can_tee = false;
                return self.take(pipe);
            }
        }
        let mut end = 0;
        while end < self.buffer.len() {
            match read(&self.reader, &mut self.buffer[end..]) {
                Ok(length) if length > 0 => end += length,
                _ => break,
            }
        }
        self.in_view = end;
        if end == 0 { Look::Empty } else { Look::Seen(end) }
    }

    /// What the last look brought.
    pub(super) fn view(&self) -> &[u8] {
        &self.buffer[..self.in_view]
    }

    /// True when a look at a pipe of this capacity may have missed some of it, because the
    /// kernel did not let our own pipe be as big.
    pub(super) fn is_smaller_than(&self, capacity: usize) -> bool {
        self.capacity < capacity
    }

    /// True if a writer to this pipe would have to wait.
    ///
    /// A pipe is full when its slots are, however few bytes they hold, and only its writing
    /// end tells. But a copy of it in a pipe with as many slots is full exactly when it is.
    pub(super) fn is_full(&mut self, pipe: BorrowedFd<'_>, capacity: usize) -> bool {
        self.match_capacity(capacity);
        let flags = SpliceFFlags::SPLICE_F_NONBLOCK;
        let Ok(copied) = tee(pipe, &self.writer, EVERYTHING, flags) else {
            return false;
        };
        let mut room = [PollFd::new(self.writer.as_fd(), PollFlags::POLLOUT)];
        let full = poll(&mut room, PollTimeout::ZERO) == Ok(0);
        drain(self.reader.as_fd(), copied, self.null.as_ref());
        full
    }

    /// Takes out of the pipe what has been dealt with. The view is gone after this.
    pub(super) fn consume(&mut self, pipe: BorrowedFd<'_>, count: usize) {
        self.in_view = 0;
        drain(pipe, count, self.null.as_ref());
    }

    /// Takes out and forgets all there is, without looking at it.
    pub(super) fn discard(&mut self, pipe: BorrowedFd<'_>, capacity: usize) {
        if self.null.is_some() {
            drain(pipe, capacity, self.null.as_ref());
        } else if let Look::Seen(count) = self.look(pipe, capacity, EVERYTHING) {
            self.consume(pipe, count);
        }
    }

    /// One plain read: the second-best way.
    fn take(&mut self, pipe: BorrowedFd<'_>) -> Look {
        let mut data = [PollFd::new(pipe, PollFlags::POLLIN)];
        if poll(&mut data, PollTimeout::ZERO) != Ok(1) {
            return Look::Empty;
        }
        self.make_room(BATCH);
        match read(pipe, &mut self.buffer) {
            Ok(length) if length > 0 => {
                self.in_view = length;
                Look::Taken(length)
            }
            _ => Look::Empty,
        }
    }

    /// The buffer is as long as what is to be read. It keeps room for one batch; more than
    /// that is given back as soon as it is not needed.
    fn make_room(&mut self, wanted: usize) {
        if wanted > self.buffer.capacity() {
            // A new one of zeros takes memory only as it is filled; a grown one at once.
            self.buffer = vec![0; wanted.max(BATCH)];
        } else if wanted <= BATCH && self.buffer.capacity() > BATCH {
            self.buffer = vec![0; BATCH];
        }
        self.buffer.resize(wanted, 0);
    }

    fn match_capacity(&mut self, wanted: usize) {
        if self.capacity != wanted {
            self.capacity = set_capacity(self.writer.as_fd(), wanted).unwrap_or(self.capacity);
        }
    }
}

/// How many bytes a pipe holds when each of its slots is full.
pub(super) fn capacity(pipe: BorrowedFd<'_>) -> Result<usize, Errno> {
    fcntl(pipe, FcntlArg::F_GETPIPE_SZ).map(|size| usize::try_from(size).unwrap_or(0))
}

/// Asks for another capacity, and returns what the kernel made of it.
pub(super) fn set_capacity(pipe: BorrowedFd<'_>, wanted: usize) -> Result<usize, Errno> {
    let wanted = i32::try_from(wanted).map_err(|_| Errno::EINVAL)?;
    fcntl(pipe, FcntlArg::F_SETPIPE_SZ(wanted)).map(|size| usize::try_from(size).unwrap_or(0))
}

/// True if something is in the pipe. If not, the next write is sure to wake whoever waits.
pub(super) fn holds_more(pipe: BorrowedFd<'_>) -> bool {
    let mut data = [PollFd::new(pipe, PollFlags::POLLIN)];
    let answered = poll(&mut data, PollTimeout::ZERO).is_ok();
    // Not when there is merely no writer any more.
    answered && data[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN))
}

/// Takes `count` bytes out of a pipe, or all there are if they are fewer.
fn drain(pipe: BorrowedFd<'_>, count: usize, null: Option<&OwnedFd>) {
    let mut left = count;
    while left > 0 {
        let gone = match null {
            Some(null) => {
                splice(pipe, None, null, None, left, SpliceFFlags::SPLICE_F_NONBLOCK).or(Err(()))
            }
            None => read_away(pipe, left),
        };
        match gone {
            Ok(gone) if gone > 0 => left = left.saturating_sub(gone),
            _ => return,
        }
    }
}

/// Without `/dev/null` the bytes must be copied somewhere.
fn read_away(pipe: BorrowedFd<'_>, count: usize) -> Result<usize, ()> {
    let mut data = [PollFd::new(pipe, PollFlags::POLLIN)];
    if poll(&mut data, PollTimeout::ZERO) != Ok(1) {
        return Err(());
    }
    let mut nowhere = [0; 4096];
    let end = count.min(nowhere.len());
    read(pipe, &mut nowhere[..end]).or(Err(()))
}

/// `/dev/null`, if it is what it should be: an image can have a plain file there.
fn null_device() -> Option<OwnedFd> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let null = open("/dev/null", flags, Mode::empty()).ok()?;
    let status = fstat(&null).ok()?;
    let is_device = SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT == SFlag::S_IFCHR;
    let numbers = (major(status.st_rdev), minor(status.st_rdev));
    (is_device && numbers == (1, 3)).then_some(null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::write;

    #[test]
    fn looking_takes_nothing_out() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let size = capacity(reader.as_fd()).unwrap();
        let mut peek = Peek::new().unwrap();
        assert_eq!(peek.look(reader.as_fd(), size, BATCH), Look::Empty);
        write(&writer, b"one two").unwrap();
        for _ in 0..2 {
            assert_eq!(peek.look(reader.as_fd(), size, BATCH), Look::Seen(7));
            assert_eq!(peek.view(), b"one two");
        }
        peek.consume(reader.as_fd(), 4);
        assert_eq!(peek.look(reader.as_fd(), size, BATCH), Look::Seen(3));
        assert_eq!(peek.view(), b"two");
    }

    #[test]
    fn without_a_null_device_and_without_tee_it_still_works() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let mut peek = Peek::new().unwrap();
        peek.null = None;
        write(&writer, &[b'x'; 10_000]).unwrap();
        peek.consume(reader.as_fd(), 9_990);
        assert_eq!(peek.look(reader.as_fd(), 65_536, BATCH), Look::Seen(10));
        peek.can_tee = false;
        assert_eq!(peek.look(reader.as_fd(), 65_536, BATCH), Look::Taken(10));
        assert_eq!(peek.look(reader.as_fd(), 65_536, BATCH), Look::Empty);
    }

    #[test]
    fn a_pipe_with_full_slots_is_full_though_it_holds_few_bytes() {
        // In packet mode each write takes a slot of its own.
        let flags = OFlag::O_CLOEXEC | OFlag::O_DIRECT | OFlag::O_NONBLOCK;
        let (reader, writer) = pipe2(flags).unwrap();
        let size = capacity(reader.as_fd()).unwrap();
        let mut peek = Peek::new().unwrap();
        let mut before = false;
        while write(&writer, b"x").is_ok() {
            assert!(!before);
            before = peek.is_full(reader.as_fd(), size);
        }
        assert!(peek.is_full(reader.as_fd(), size));
    }
}
