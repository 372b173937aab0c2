//! The control socket and its clients. None of them can make us wait, grow without bound
//! or fall: every call is non-blocking, every buffer has a limit, and when all places are
//! taken the client that has been silent for longest makes room.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, send, socket,
    sockopt,
};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, geteuid};

use super::poller::{Poller, Token};
use crate::init::ClientId;
use crate::protocol::control::{ErrorKind, MAX_REQUEST, Op, Refusal, Reply, parse};
use crate::spec::InitSpec;

/// How many clients may be connected at once.
const MAX_CLIENTS: usize = 64;
/// An answer may be this long; a thousand instances need a third of a megabyte.
const MAX_UNSENT: usize = 16 * 1024 * 1024;

/// The socket and who is connected.
pub(super) struct Control {
    listener: Option<UnixListener>,
    path: Option<PathBuf>,
    clients: BTreeMap<u32, Client>,
    next: u32,
    /// Counts up with everything that is heard, to tell who has been silent for longest.
    heard: u64,
}

struct Client {
    stream: UnixStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    sent: usize,
    /// A request is being answered; the next one has to wait.
    busy: bool,
    may_change: bool,
    last_heard: u64,
    /// Nothing more will be heard from it.
    closing: bool,
}

/// A request that came in.
pub(super) struct Asked {
    pub(super) client: ClientId,
    pub(super) op: Op,
}

impl Control {
    /// No socket: nothing can be asked, everything else works.
    pub(super) fn closed() -> Self {
        Self { listener: None, path: None, clients: BTreeMap::new(), next: 0, heard: 0 }
    }

    /// Makes the socket in the first place where that can be done, and says so once where
    /// it can't be done anywhere.
    pub(super) fn open(init: &InitSpec, poller: &Poller) -> Self {
        let mut failures = vec![];
        for place in places(init) {
            match listen(&place, init) {
                Ok(listener) => {
                    poller.watch(&listener, Token::Listener);
                    return Self {
                        listener: Some(listener),
                        path: Some(place.path),
                        ..Self::closed()
                    };
                }
                Err(why) => failures.push(format!("{}: {why}", place.path.display())),
            }
        }
        log::warn!("no control socket, so \"ctl\" will not work: {}", failures.join("; "));
        Self::closed()
    }

    pub(super) fn path(&self) -> Option<&str> {
        self.path.as_ref()?.to_str()
    }

    /// Someone wants to connect.
    pub(super) fn accept(&mut self, poller: &Poller) {
        // A few at a time: whoever connects in a loop must not keep us here.
        for _ in 0..16 {
            let Some(listener) = &self.listener else { return };
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) {
                        // It would be told again at once, for ever.
                        poller.forget(listener);
                        log::error!(
                            "out of descriptors: the control socket is closed until a client leaves"
                        );
                    }
                    return;
                }
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.clients.len() >= MAX_CLIENTS && !self.make_room(poller) {
                let busy = refusal(ErrorKind::Busy, "too many clients at once".to_owned());
                let _ = send(stream.as_raw_fd(), line_of(&busy).as_bytes(), FLAGS);
                continue;
            }
            let id = self.next;
            self.next = self.next.wrapping_add(1);
            self.heard += 1;
            poller.watch(&stream, Token::Client(id));
            let may_change = may_change(&stream);
            let client = Client {
                stream,
                received: vec![],
                unsent: vec![],
                sent: 0,
                busy: false,
                may_change,
                last_heard: self.heard,
                closing: false,
            };
            self.clients.insert(id, client);
        }
    }

    fn make_room(&mut self, poller: &Poller) -> bool {
        let idle = self.clients.iter().filter(|(_, client)| !client.busy);
        let Some(id) = idle.min_by_key(|(_, client)| client.last_heard).map(|(id, _)| *id) else {
            return false;
        };
        self.drop_client(id, poller);
        true
    }

    fn drop_client(&mut self, id: u32, poller: &Poller) {
        if let Some(client) = self.clients.remove(&id) {
            poller.forget(&client.stream);
            if let Some(listener) = &self.listener {
                // In case it had to be taken off for want of descriptors.
                poller.watch(listener, Token::Listener);
            }
        }
    }

    /// A client has something to say, or room to be told. Gives its request, if it has
    /// made one; true beside it: it is gone.
    pub(super) fn serve(&mut self, id: u32, poller: &Poller) -> (Option<Asked>, bool) {
        self.heard += 1;
        let heard = self.heard;
        let Some(client) = self.clients.get_mut(&id) else { return (None, true) };
        client.last_heard = heard;
        let alive = client.flush().and_then(|()| client.receive());
        self.next_request(id, alive.is_ok(), poller)
    }

    fn next_request(&mut self, id: u32, alive: bool, poller: &Poller) -> (Option<Asked>, bool) {
        let Some(client) = self.clients.get_mut(&id) else { return (None, true) };
        let mut asked = None;
        while alive && asked.is_none() && !client.busy && client.unsent.is_empty() {
            match client.take_request() {
                Some(Ok(op)) => {
                    client.busy = true;
                    asked = Some(Asked { client: ClientId(id), op });
                }
                Some(Err(reply)) => client.queue(&reply),
                None => break,
            }
        }
        let done = client.closing && !client.busy && client.unsent.is_empty();
        if !alive || done {
            self.drop_client(id, poller);
            return (None, true);
        }
        if client.unsent.is_empty() {
            poller.watch_for_room(&client.stream, Token::Client(id), false);
        } else {
            // Until it has taken its answer, it is not listened to.
            poller.watch_room_only(&client.stream, Token::Client(id));
        }
        if client.closing && client.busy {
            // It has closed its side and waits: only its going away is of interest, and
            // that would be told for ever. Its answer will find out.
            poller.forget(&client.stream);
        }
        (asked, false)
    }

    /// Answers a client, and gives the next request that it has made meanwhile.
    pub(super) fn reply(&mut self, to: ClientId, reply: &Reply, poller: &Poller) -> Option<Asked> {
        let client = self.clients.get_mut(&to.0)?;
        client.busy = false;
        client.queue(reply);
        let alive = client.flush();
        if client.closing {
            poller.watch(&client.stream, Token::Client(to.0));
        }
        self.next_request(to.0, alive.is_ok(), poller).0
    }

    /// Takes the socket away: who comes now finds nobody.
    pub(super) fn close(&mut self) {
        self.listener = None;
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_NOSIGNAL);

impl Client {
    /// Takes in what has come, as long as it can be part of one request.
    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0_u8; 8 * 1024];
        while self.received.len() < MAX_REQUEST && !self.closing {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.closing = true,
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn take_request(&mut self) -> Option<Result<Op, Reply>> {
        // Blank lines all at once: one by one, a buffer full of them would cost its square.
        let blank = self.received.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.received.drain(..blank);
        let end = self.received.iter().take(MAX_REQUEST).position(|byte| *byte == b'\n');
        let Some(end) = end else {
            if self.received.len() >= MAX_REQUEST {
                self.closing = true;
                self.received = vec![];
                let message = format!("a request may have at most {MAX_REQUEST} bytes");
                return Some(Err(refusal(ErrorKind::BadRequest, message)));
            }
            return None;
        };
        let line: Vec<u8> = self.received.drain(..=end).collect();
        if self.received.is_empty() {
            self.received = vec![];
        }
        Some(self.check(&line))
    }

    fn check(&self, line: &[u8]) -> Result<Op, Reply> {
        let op = parse(line).map_err(|error| Reply::Refused { error })?;
        if !self.may_change && op.changes_something() {
            let message = "only root and the supervisor's own user may do this".to_owned();
            return Err(refusal(ErrorKind::NotAllowed, message));
        }
        Ok(op)
    }

    fn queue(&mut self, reply: &Reply) {
        self.unsent.extend_from_slice(line_of(reply).as_bytes());
        if self.unsent.len() > MAX_UNSENT {
            let message = "the answer is too long; ask for less at once".to_owned();
            self.unsent = line_of(&refusal(ErrorKind::Failed, message)).into_bytes();
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.unsent.len() {
            match send(self.stream.as_raw_fd(), &self.unsent[self.sent..], FLAGS) {
                Ok(length) => self.sent += length,
                Err(nix::errno::Errno::EAGAIN) => return Ok(()),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        self.unsent = vec![];
        self.sent = 0;
        Ok(())
    }
}

fn line_of(reply: &Reply) -> String {
    let mut line = serde_json::to_string(reply).unwrap_or_default();
    line.push('\n');
    line
}

fn refusal(kind: ErrorKind, message: String) -> Reply {
    Reply::Refused { error: Refusal { kind, message } }
}

/// Root and our own user may do everything, others who get this far may look.
fn may_change(stream: &UnixStream) -> bool {
    getsockopt(stream, sockopt::PeerCredentials)
        .is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw())
}

/// A place for the socket.
struct Place {
    path: PathBuf,
    /// Its directory is in a place where others may write, so it must be only ours.
    private: bool,
}

fn places(init: &InitSpec) -> Vec<Place> {
    let named = std::env::var_os("RSM_INIT_SOCKET").filter(|path| !path.is_empty());
    let named = named.map(PathBuf::from).or_else(|| init.socket.as_deref().map(PathBuf::from));
    if let Some(path) = named {
        return vec![Place { path, private: false }];
    }
    vec![
        Place { path: "/run/rsm-init/ctl.sock".into(), private: false },
        Place { path: format!("/tmp/rsm-init-{}/ctl.sock", geteuid()).into(), private: true },
    ]
}

fn listen(place: &Place, init: &InitSpec) -> Result<UnixListener, String> {
    if let Some(directory) = place.path.parent().filter(|path| !path.as_os_str().is_empty()) {
        make_directory(directory, place.private)?;
    }
    if std::fs::symlink_metadata(&place.path).is_ok() {
        clear_stale(&place.path)?;
    }
    // Closed to others from the first instant, whatever our mask is.
    let old = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(&place.path);
    umask(old);
    let listener = listener.map_err(|error| error.to_string())?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    if let Some(group) = init.socket_group {
        let group = Some(Gid::from_raw(group));
        if let Err(errno) = nix::unistd::chown(&place.path, None, group) {
            log::warn!("cannot give the control socket to its group: {}", errno.desc());
        }
    }
    if init.socket_mode != 0o600 {
        let mode = std::fs::Permissions::from_mode(init.socket_mode);
        if let Err(error) = std::fs::set_permissions(&place.path, mode) {
            log::warn!("cannot set the mode of the control socket: {error}");
        }
    }
    Ok(listener)
}

fn make_directory(directory: &Path, private: bool) -> Result<(), String> {
    let mode = if private { 0o700 } else { 0o755 };
    let made = std::fs::DirBuilder::new().mode(mode).recursive(!private).create(directory);
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(format!("cannot make its directory: {error}"));
        }
        _ => {}
    }
    if private {
        let is = std::fs::symlink_metadata(directory).map_err(|error| error.to_string())?;
        if !is.is_dir() || is.uid() != geteuid().as_raw() || is.mode() & 0o077 != 0 {
            return Err("its directory is not ours alone".to_owned());
        }
    }
    Ok(())
}

/// Removes the socket of a supervisor that is no more, never that of a living one.
fn clear_stale(path: &Path) -> Result<(), String> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let address = UnixAddr::new(path).map_err(|errno| errno.to_string())?;
    let probe = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .map_err(|errno| errno.to_string())?;
    match connect(probe.as_raw_fd(), &address) {
        Err(Errno::ECONNREFUSED) => std::fs::remove_file(path).map_err(|error| error.to_string()),
        // A full queue has a listener behind it too.
        Ok(()) | Err(Errno::EAGAIN) => Err("another supervisor is listening there".to_owned()),
        Err(errno) => Err(format!("something else is there: {}", errno.desc())),
    }
}
