//! Talks to a running supervisor: finds its socket, sends a request, reads the answer.
//!
//! Every step has a deadline, so a supervisor that hangs, or a full accept queue, costs the
//! caller the time it was ready to give and no more.
#![forbid(unsafe_code)]

use crate::protocol::control::{Answer, MAX_REQUEST, Op, Refusal, Reply, Request};
use nix::errno::Errno;
use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The variable that names the socket; when set, no other place is tried.
pub const SOCKET_VARIABLE: &str = "RSM_INIT_SOCKET";

/// A longer answer is taken for a fault.
const MAX_REPLY: usize = 64 * 1024 * 1024;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// An open connection; it takes one request after another.
#[derive(Debug)]
pub struct Connection {
    stream: UnixStream,
    /// Read, but not yet given out.
    unread: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// No supervisor at any of these places, and why.
    Unreachable(Vec<(PathBuf, String)>),
    /// It answered: no.
    Refused(Refusal),
    /// It took longer than this.
    NoAnswer(Duration),
    /// It answered something we do not understand.
    Garbled(String),
    /// The connection broke.
    Lost(String),
    /// The request would be longer than the protocol allows.
    TooLong(usize),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(places) => {
                write!(f, "cannot reach the supervisor; looked in")?;
                for (path, reason) in places {
                    write!(f, "\n  {}: {reason}", path.display())?;
                }
                write!(
                    f,
                    "\nis it running, and in this container? {SOCKET_VARIABLE} names another socket; \
                     a supervisor that is not root is found by its own user (docker exec -u UID)"
                )
            }
            Self::Refused(refusal) => f.write_str(&refusal.message),
            Self::NoAnswer(within) => write!(
                f,
                "the supervisor did not answer within {} ms; --timeout gives it longer",
                within.as_millis()
            ),
            Self::Garbled(reason) => {
                write!(f, "cannot understand the supervisor's answer: {reason}")
            }
            Self::Lost(reason) => write!(f, "lost the connection to the supervisor: {reason}"),
            Self::TooLong(length) => write!(
                f,
                "the request is {length} bytes long, more than the {MAX_REQUEST} that are allowed"
            ),
        }
    }
}

impl Connection {
    /// Connects to the first place where a supervisor listens.
    pub fn open(within: Duration) -> Result<Self, Failure> {
        let deadline = Deadline::after(within);
        let mut failed = Vec::new();
        for path in places() {
            match connect(&path, deadline) {
                Ok(stream) => return Ok(Self { stream, unread: Vec::new() }),
                Err(reason) => failed.push((path, reason)),
            }
        }
        Err(Failure::Unreachable(failed))
    }

    /// One request, one answer.
    pub fn ask(&mut self, op: Op, within: Duration) -> Result<Answer, Failure> {
        let mut line = serde_json::to_vec(&Request::new(op))
            .map_err(|error| Failure::Garbled(error.to_string()))?;
        line.push(b'\n');
        if line.len() > MAX_REQUEST {
            return Err(Failure::TooLong(line.len()));
        }
        let deadline = Deadline::after(within);
        self.send(&line, deadline)?;
        let reply = self.receive(deadline)?;
        match serde_json::from_slice(&reply) {
            Ok(Reply::Ok(answer)) => Ok(answer),
            Ok(Reply::Refused { error }) => Err(Failure::Refused(error)),
            Err(error) => Err(Failure::Garbled(error.to_string())),
        }
    }

    /// Returns when the supervisor has closed the connection, as it does at its end.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<(), Failure> {
        let deadline = Deadline::after(within);
        loop {
            match self.receive(deadline) {
                Ok(_) => {}
                Err(Failure::Lost(_)) => return Ok(()),
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The supervisor's pid as we see it; 0 or `None` from where it cannot be seen.
    pub fn peer_pid(&self) -> Option<u32> {
        let peer = socket::getsockopt(&self.stream, sockopt::PeerCredentials).ok()?;
        u32::try_from(peer.pid()).ok()
    }

    fn send(&mut self, mut rest: &[u8], deadline: Deadline) -> Result<(), Failure> {
        while !rest.is_empty() {
            self.stream.set_write_timeout(Some(deadline.left()?)).map_err(lost)?;
            match socket::send(self.stream.as_raw_fd(), rest, MsgFlags::MSG_NOSIGNAL) {
                Ok(sent) => rest = &rest[sent..],
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                // A supervisor that turns us away answers first: read why.
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Ok(()),
                Err(errno) => return Err(lost(errno.into())),
            }
        }
        Ok(())
    }

    /// The next line, without its newline.
    fn receive(&mut self, deadline: Deadline) -> Result<Vec<u8>, Failure> {
        let mut searched = 0;
        loop {
            let fresh = &self.unread[searched..];
            if let Some(at) = fresh.iter().position(|&byte| byte == b'\n') {
                let rest = self.unread.split_off(searched + at + 1);
                let mut line = std::mem::replace(&mut self.unread, rest);
                line.pop();
                return Ok(line);
            }
            searched = self.unread.len();
            if searched > MAX_REPLY {
                return Err(Failure::Garbled(format!("longer than {MAX_REPLY} bytes")));
            }
            self.unread.resize(searched + CHUNK, 0);
            let read = self
                .stream
                .set_read_timeout(Some(deadline.left()?))
                .and_then(|()| self.stream.read(&mut self.unread[searched..]));
            self.unread.truncate(searched + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Err(Failure::Lost("closed without an answer".to_string())),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                    _ => return Err(lost(error)),
                },
            }
        }
    }
}

fn lost(error: io::Error) -> Failure {
    Failure::Lost(reason(&error))
}

/// Where a supervisor may listen. With the variable set only there: going on to another place
/// could give orders to the wrong supervisor.
fn places() -> Vec<PathBuf> {
    match std::env::var_os(SOCKET_VARIABLE) {
        Some(path) if !path.is_empty() => vec![path.into()],
        _ => vec!["/run/rsm-init/ctl.sock".into(), fallback_directory().join("ctl.sock")],
    }
}

/// For a supervisor that may not write to `/run`.
fn fallback_directory() -> PathBuf {
    format!("/tmp/rsm-init-{}", nix::unistd::geteuid()).into()
}

fn connect(path: &Path, deadline: Deadline) -> Result<UnixStream, String> {
    if path.parent() == Some(&fallback_directory()) {
        trusted(&fallback_directory())?;
    }
    let told = |errno: Errno| reason(&errno.into());
    let address = UnixAddr::new(path).map_err(told)?;
    let fd: OwnedFd =
        socket::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
            .map_err(told)?;
    let left = deadline.left().map_err(|_| "no time left".to_string())?;
    let left = TimeVal::milliseconds(i64::try_from(left.as_millis()).unwrap_or(i64::MAX));
    // Also bounds connect(2), which waits while the accept queue is full.
    socket::setsockopt(&fd, sockopt::SendTimeout, &left).map_err(told)?;
    loop {
        match socket::connect(fd.as_raw_fd(), &address) {
            Ok(()) => return Ok(UnixStream::from(fd)),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Err("it has no room for another client".to_string()),
            Err(errno) => return Err(told(errno)),
        }
    }
}

/// Anyone may create a directory in `/tmp`: only one that nobody else can write to counts.
fn trusted(directory: &Path) -> Result<(), String> {
    let found = std::fs::symlink_metadata(directory).map_err(|error| reason(&error))?;
    let ours = [0, nix::unistd::geteuid().as_raw()].contains(&found.uid());
    if found.is_dir() && ours && found.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err("refused: its directory must be ours and mode 0700".to_string())
    }
}

/// The system's words, without Rust's `(os error N)`.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => "no such file".to_string(),
        Some(Errno::ECONNREFUSED) => "nobody listens".to_string(),
        Some(Errno::EACCES) => "permission denied".to_string(),
        Some(errno) => errno.desc().to_lowercase(),
        None => error.to_string(),
    }
}

/// A point in time until which something must be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    within: Duration,
    since: Instant,
}

impl Deadline {
    /// So long from now.
    pub fn after(within: Duration) -> Self {
        Self { within, since: now() }
    }

    /// Until then; zero when it is past.
    pub fn remaining(self) -> Duration {
        self.within.saturating_sub(now().duration_since(self.since))
    }

    /// Never zero, which the kernel takes for "for ever".
    fn left(self) -> Result<Duration, Failure> {
        match self.remaining() {
            Duration::ZERO => Err(Failure::NoAnswer(self.within)),
            left => Ok(left.max(Duration::from_millis(1))),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a client waits in real time")]
fn now() -> Instant {
    Instant::now()
}
