//! The one place that waits.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::moment::Moment;

/// What a descriptor is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Signals.
    Signals,
    /// A child on its way to its program, by instance.
    Status(u32),
    /// Output that nobody reads yet, by instance.
    Pipe(u32),
    /// The log writer's socket.
    Writer,
    /// The log writer on its way.
    WriterStatus,
    /// The control socket.
    Listener,
    /// A client, by number.
    Client(u32),
}

impl Token {
    fn encode(self) -> u64 {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Status(number) => (1, number),
            Self::Pipe(number) => (2, number),
            Self::Writer => (3, 0),
            Self::WriterStatus => (4, 0),
            Self::Listener => (5, 0),
            Self::Client(number) => (6, number),
        };
        (kind << 32) | u64::from(number)
    }

    fn decode(data: u64) -> Option<Self> {
        let number = u32::try_from(data & u64::from(u32::MAX)).ok()?;
        Some(match data >> 32 {
            0 => Self::Signals,
            1 => Self::Status(number),
            2 => Self::Pipe(number),
            3 => Self::Writer,
            4 => Self::WriterStatus,
            5 => Self::Listener,
            6 => Self::Client(number),
            _ => return None,
        })
    }
}

pub(super) struct Poller(Epoll);

impl AsRawFd for Poller {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

impl Poller {
    pub(super) fn new() -> Result<Self, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Waits until something has come, at most until `deadline`.
    pub(super) fn wait(&self, now: Moment, deadline: Option<Moment>, come: &mut Vec<Token>) {
        let mut events = [EpollEvent::empty(); 64];
        let timeout = deadline.map_or(EpollTimeout::NONE, |deadline| timeout(now, deadline));
        match self.0.wait(&mut events, timeout) {
            Ok(count) => {
                come.extend(events[..count].iter().filter_map(|e| Token::decode(e.data())));
            }
            Err(Errno::EINTR) => {} // a tracer came or went
            Err(errno) => log::error!("cannot wait for events: {}", errno.desc()),
        }
    }

    /// Tells whenever there is something to read.
    pub(super) fn watch(&self, fd: &impl AsFd, token: Token) {
        self.add(fd, EpollFlags::EPOLLIN, token);
    }

    /// Tells once that there is something to read.
    pub(super) fn watch_once(&self, fd: &impl AsFd, token: Token) {
        self.add(fd, EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT, token);
    }

    /// Tells, or no longer, when there is room to write as well.
    pub(super) fn watch_for_room(&self, fd: &impl AsFd, token: Token, room: bool) {
        let flags =
            if room { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
        let _ = self.0.modify(fd, &mut EpollEvent::new(flags, token.encode()));
    }

    /// Tells only when there is room to write.
    pub(super) fn watch_room_only(&self, fd: &impl AsFd, token: Token) {
        let _ = self.0.modify(fd, &mut EpollEvent::new(EpollFlags::EPOLLOUT, token.encode()));
    }

    /// Says no more of it. A closed descriptor is forgotten by itself, unless a copy of it
    /// is open somewhere.
    pub(super) fn forget(&self, fd: &impl AsFd) {
        let _ = self.0.delete(fd);
    }

    fn add(&self, fd: &impl AsFd, flags: EpollFlags, token: Token) {
        let event = EpollEvent::new(flags, token.encode());
        if let Err(errno) = self.0.add(fd, event)
            && errno != Errno::EEXIST
        {
            log::error!("cannot watch {token:?}: {}", errno.desc());
        }
    }
}

/// Rounds up to a whole millisecond: waking early would mean waking twice.
fn timeout(now: Moment, deadline: Moment) -> EpollTimeout {
    let millis = deadline.since(now).as_nanos().div_ceil(1_000_000);
    // A wait that is too long for the kernel is cut; waking for nothing does no harm.
    EpollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(EpollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Signals,
            Token::Status(u32::MAX),
            Token::Pipe(7),
            Token::Writer,
            Token::WriterStatus,
            Token::Listener,
            Token::Client(0),
        ] {
            assert_eq!(Token::decode(token.encode()), Some(token));
        }
    }
}
