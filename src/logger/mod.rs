//! The log writer: takes the apps' output out of their pipes and writes it to the
//! container's streams and to files. A process of its own, so that PID 1 never waits for a
//! disk or for whoever reads the container's output.
//!
//! It keeps nothing in memory between two batches. What it has not yet written to every
//! place is still in the pipe, whose ends PID 1 keeps open, so a log writer that is killed
//! loses nothing: its successor finds it there, and repeats at most one batch per stream.
//!
//! One thread, one wait, no timer: idle means no wake-up at all.

mod outlet;
mod peek;
mod pen;
mod pid_file;
mod raw;
mod stamp;
mod stream;

use crate::protocol::output::{Attach, News, Order};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{MsgFlags, send};
use outlet::{OutletId, Outlets};
use peek::Peek;
use pen::{Dress, Pen};
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use stream::{Stream, Tail, Tools};

/// Exit status when it cannot even begin (EX_SOFTWARE).
const CANNOT_BEGIN: u8 = 70;

/// The epoll key of PID 1's socket; all but these two are keys of streams.
const SOCKET: u64 = u64::MAX;

/// The epoll key of SIGIO.
const WRITES: u64 = u64::MAX - 1;

/// The role `rsm-init logger`: returns the exit status.
pub fn main() -> u8 {
    // Signals to the container or to an app's group are not meant for us: the socket tells
    // when to end. With SIGPIPE a write just fails, with SIGXFSZ too.
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None);
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
    match LogWriter::new() {
        Ok(mut writer) => writer.run(),
        Err(errno) => {
            Outlets::new().say(&format!("cannot begin: {}", errno.desc().to_lowercase()));
            CANNOT_BEGIN
        }
    }
}

/// One of an instance's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    id: u32,
    /// 0: stdout, 1: stderr.
    stream: usize,
}

impl From<Key> for u64 {
    fn from(key: Key) -> Self {
        u64::from(key.id) << 1 | key.stream as u64
    }
}

impl From<u64> for Key {
    fn from(key: u64) -> Self {
        Self { id: (key >> 1) as u32, stream: (key & 1) as usize }
    }
}

struct LogWriter {
    socket: OwnedFd,
    epoll: Epoll,
    /// SIGIO: somebody wrote behind half a line.
    writes: SignalFd,
    instances: BTreeMap<u32, Instance>,
    /// Streams with something in their pipe, in the order of their turns.
    ready: VecDeque<Key>,
    tools: Tools,
    message: Vec<u8>,
}

struct Instance {
    dress: Dress,
    streams: [Stream; 2],
}

impl LogWriter {
    fn new() -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let [_, no_stdout, no_stderr] = raw::plug_standard_descriptors(&epoll.0)?;
        let socket = raw::inherited_socket()?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, SOCKET))?;
        let (flags, sigio) = (SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK, Signal::SIGIO);
        let writes = SignalFd::with_flags(&SigSet::from(sigio), flags)?;
        epoll.add(&writes, EpollEvent::new(EpollFlags::EPOLLIN, WRITES))?;
        let mut outlets = Outlets::new();
        if no_stderr {
            outlets.mark_closed(OutletId::STDERR);
        }
        if no_stdout {
            outlets.mark_closed(OutletId::STDOUT);
        }
        Ok(Self {
            socket,
            epoll,
            writes,
            instances: BTreeMap::new(),
            ready: VecDeque::new(),
            tools: Tools { peek: Peek::new()?, outlets, pen: Pen::default() },
            message: Vec::new(),
        })
    }

    fn run(&mut self) -> u8 {
        let mut events = [EpollEvent::empty(); 64];
        loop {
            let patience =
                if self.ready.is_empty() { EpollTimeout::NONE } else { EpollTimeout::ZERO };
            let count = match self.epoll.wait(&mut events, patience) {
                Ok(count) => count,
                Err(Errno::EINTR) => continue,
                Err(_) => return self.finish(CANNOT_BEGIN),
            };
            let mut orders = false;
            for event in &events[..count] {
                if event.data() == SOCKET {
                    orders = true;
                    continue;
                }
                if event.data() == WRITES {
                    self.take_writes();
                    continue;
                }
                let key = Key::from(event.data());
                if event.events().contains(EpollFlags::EPOLLHUP) {
                    self.last_words(key);
                } else {
                    self.enqueue(key);
                }
            }
            if orders && let Some(status) = self.take_orders() {
                return status;
            }
            self.one_round();
        }
    }

    /// One signal may stand for several writes.
    fn take_writes(&mut self) {
        while let Ok(Some(_)) = self.writes.read_signal() {}
        for (&id, instance) in &mut self.instances {
            for (stream, state) in instance.streams.iter_mut().enumerate() {
                if state.awaits_signal() && state.enqueue() {
                    self.ready.push_back(Key { id, stream });
                }
            }
        }
    }

    /// A batch from each stream that is ready, so that a chatterbox holds up nobody.
    fn one_round(&mut self) {
        for _ in 0..self.ready.len() {
            let Some(key) = self.ready.pop_front() else { return };
            let Some(instance) = self.instances.get_mut(&key.id) else { continue };
            let Instance { dress, streams } = instance;
            let stream = &mut streams[key.stream];
            stream.dequeue();
            // What comes after this look wakes us again: the pipes are watched for edges.
            if stream.pass(dress, &mut self.tools, Tail::Unfinished) {
                self.enqueue(key);
            }
        }
    }

    fn enqueue(&mut self, key: Key) {
        if let Some(instance) = self.instances.get_mut(&key.id)
            && instance.streams[key.stream].enqueue()
        {
            self.ready.push_back(key);
        }
    }

    /// All orders that are there; an exit status when it is time to end.
    fn take_orders(&mut self) -> Option<u8> {
        loop {
            match raw::receive(self.socket.as_fd(), &mut self.message) {
                Ok(Some(descriptors)) => match serde_json::from_slice(&self.message) {
                    Ok(Order::Attach(attach)) => self.attach(&attach, descriptors),
                    Ok(Order::Ended { id }) => self.ended(id),
                    Ok(Order::Detach { id }) => self.detach(id),
                    Ok(Order::PidFile { path, pid }) => {
                        if let Err(error) = pid_file::update(&path, pid) {
                            self.tools.outlets.say(&format!("pid file {path}: {error}"));
                        }
                    }
                    Ok(Order::Reopen) => self.tools.outlets.reopen(),
                    Ok(Order::Finish) => {
                        let status = self.finish(0);
                        self.report(&News::Finished);
                        return Some(status);
                    }
                    Err(error) => {
                        self.tools.outlets.say(&format!("cannot understand an order: {error}"));
                    }
                },
                Err(Errno::EAGAIN) => return None,
                Err(Errno::EINTR) => {}
                // PID 1 is gone.
                Ok(None) | Err(_) => return Some(self.finish(0)),
            }
        }
    }

    fn attach(&mut self, attach: &Attach, descriptors: Vec<OwnedFd>) {
        self.detach(attach.id);
        let Ok([out, err]) = <[OwnedFd; 2]>::try_from(descriptors) else {
            let (app, instance) = (&attach.app, attach.instance);
            let what = format!("{app}:{instance}: cannot read its output: no descriptors came");
            return self.tools.outlets.say(&what);
        };
        let Tools { outlets, pen, .. } = &mut self.tools;
        let dress = Dress {
            prefix: attach.prefix.as_deref().unwrap_or_default().as_bytes().into(),
            stamp: attach.date_format.as_deref().and_then(|format| pen.stamp(format)),
        };
        let mut stream = |pipe, container, own: &Option<String>| {
            let container = attach.keep.then_some(container);
            let files = [own, &attach.log_file].map(|file| file.as_deref());
            Stream::new(pipe, container, files.map(|file| file.filter(|_| attach.keep)), outlets)
        };
        let streams = [
            stream(out, OutletId::STDOUT, &attach.out_file),
            stream(err, OutletId::STDERR, &attach.error_file),
        ];
        if attach.resumed {
            streams.iter().for_each(|stream| stream.mark_torn(outlets));
        }
        for (number, stream) in streams.iter().enumerate() {
            let key = Key { id: attach.id, stream: number };
            let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, key.into());
            if let Err(errno) = self.epoll.add(stream.pipe(), event) {
                let (app, instance) = (&attach.app, attach.instance);
                let cause = errno.desc().to_lowercase();
                outlets.say(&format!("{app}:{instance}: cannot watch its output: {cause}"));
            }
        }
        self.instances.insert(attach.id, Instance { dress, streams });
        // What was in the pipes before makes no edge.
        self.enqueue(Key { id: attach.id, stream: 0 });
        self.enqueue(Key { id: attach.id, stream: 1 });
    }

    fn ended(&mut self, id: u32) {
        if let Some(Instance { dress, streams }) = self.instances.get_mut(&id) {
            for stream in streams {
                stream.finish(dress, &mut self.tools);
            }
        }
        // The next run may have begun to write meanwhile, without making an edge.
        self.enqueue(Key { id, stream: 0 });
        self.enqueue(Key { id, stream: 1 });
    }

    /// Nobody has the writing end any more, not even PID 1.
    fn last_words(&mut self, key: Key) {
        if let Some(Instance { dress, streams }) = self.instances.get_mut(&key.id) {
            streams[key.stream].finish(dress, &mut self.tools);
        }
    }

    fn detach(&mut self, id: u32) {
        self.ended(id);
        if let Some(instance) = self.instances.remove(&id) {
            for stream in instance.streams {
                let pipe = stream.leave(&mut self.tools.outlets);
                // PID 1 has the same open pipe, so closing it would not end the watch.
                let _ = self.epoll.delete(&pipe);
            }
        }
    }

    /// Writes all there is.
    fn finish(&mut self, status: u8) -> u8 {
        for Instance { dress, streams } in self.instances.values_mut() {
            for stream in streams {
                stream.finish(dress, &mut self.tools);
            }
        }
        self.tools.outlets.close();
        status
    }

    fn report(&self, news: &News) {
        if let Ok(message) = serde_json::to_vec(news) {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            let _ = send(self.socket.as_raw_fd(), &message, flags);
        }
    }
}
