//! The apps' output: pipes that outlive every run and every log writer, and the log
//! writer itself, a process that PID 1 never waits for.
//!
//! PID 1 keeps both ends of each pipe, so what is in a pipe cannot be lost. As long as no
//! log writer runs, the read ends are watched; one is started as soon as there is
//! something to write, or a file that should be there from the beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, socketpair,
};
use nix::unistd::pipe2;

use super::poller::{Poller, Token};
use super::spawn::{self, InFlight, Outcome, Place, Plan};
use crate::moment::Moment;
use crate::protocol::output::{Attach, MAX_MESSAGE, News, Order, prefix};
use crate::spec::{AppSpec, LogFormat, LogMode};
use crate::supervisor::{InstanceId, Launch};

/// A log writer that lived shorter than this is not started again at once.
const STABLE: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(15);

/// One instance's two pipes and what the log writer has yet to hear of them.
struct Streams {
    app: Rc<AppSpec>,
    number: u32,
    out: Pipe,
    err: Pipe,
    attached: bool,
    /// A log writer had them and died.
    resumed: bool,
    ended: bool,
    /// The file of its pid, and the pid that should stand there.
    pid_file: Option<(String, Option<u32>)>,
    /// Deleted: gone from here as soon as the log writer knows.
    leaving: bool,
}

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

enum Writer {
    Absent,
    /// Died too soon; not before then.
    Resting {
        until: Moment,
    },
    Running(Running),
}

struct Running {
    pid: i32,
    since: Moment,
    socket: OwnedFd,
    in_flight: Option<InFlight>,
    /// The socket was full; there is more to say.
    stuck: bool,
    finish: Finish,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    NotAsked,
    Asked,
    Done,
}

/// Where a child's output goes.
pub(super) enum Sink {
    /// Where ours goes.
    Ours,
    /// Into these.
    Into(i32, i32),
}

pub(super) struct Output {
    streams: BTreeMap<u32, Streams>,
    /// Instances of which the log writer has something to hear.
    dirty: BTreeSet<u32>,
    writer: Writer,
    /// Deaths in a row that came too soon.
    failures: u32,
    /// There is something to write, or a file that should exist before anything is.
    wanted: bool,
    several: bool,
    nowhere: Option<OwnedFd>,
    nothing: OwnedFd,
}

impl Output {
    /// `several`: more than one instance will share the container's streams.
    pub(super) fn new(several: bool, nothing: OwnedFd) -> Self {
        Self {
            streams: BTreeMap::new(),
            dirty: BTreeSet::new(),
            writer: Writer::Absent,
            failures: 0,
            wanted: false,
            several,
            nowhere: None,
            nothing,
        }
    }

    /// What an instance's next run writes to; its pipes are made for the first.
    pub(super) fn sink(&mut self, launch: &Launch, poller: &Poller) -> Result<Sink, Errno> {
        match launch.app.logs.mode {
            LogMode::Inherit => return Ok(Sink::Ours),
            LogMode::Discard => {
                if self.nowhere.is_none() {
                    self.nowhere = super::stdio::nowhere_to_write();
                }
                if let Some(nowhere) = &self.nowhere {
                    return Ok(Sink::Into(nowhere.as_raw_fd(), nowhere.as_raw_fd()));
                }
            }
            LogMode::Capture => {}
        }
        let id = launch.run.instance.0;
        if !self.streams.contains_key(&id) {
            let streams = Streams {
                app: Rc::clone(&launch.app),
                number: launch.number,
                out: Pipe::new()?,
                err: Pipe::new()?,
                attached: false,
                resumed: false,
                ended: false,
                pid_file: None,
                leaving: false,
            };
            if !matches!(self.writer, Writer::Running(_)) {
                streams.watch(id, poller);
            }
            self.streams.insert(id, streams);
            self.dirty.insert(id);
            self.several |= self.streams.len() > 1;
            let logs = &launch.app.logs;
            self.wanted |= logs.mode == LogMode::Capture
                && [&logs.out_file, &logs.error_file, &logs.log_file].iter().any(|f| f.is_some());
        }
        let streams = self.streams.get(&id).ok_or(Errno::ENOENT)?;
        Ok(Sink::Into(streams.out.write.as_raw_fd(), streams.err.write.as_raw_fd()))
    }

    /// A run began: its pid goes to its file.
    pub(super) fn began(&mut self, launch: &Launch, pid: i32) {
        self.note_pid(launch.run.instance, &launch.app, u32::try_from(pid).ok());
    }

    /// A run is over: its last line is complete, its pid file goes.
    pub(super) fn ended(&mut self, id: InstanceId) {
        let Some(streams) = self.streams.get_mut(&id.0) else { return };
        streams.ended = true;
        self.dirty.insert(id.0);
        let app = Rc::clone(&streams.app);
        self.note_pid(id, &app, None);
    }

    fn note_pid(&mut self, id: InstanceId, app: &AppSpec, pid: Option<u32>) {
        let Some(file) = &app.pid_file else { return };
        if let Some(streams) = self.streams.get_mut(&id.0) {
            let path = crate::spec::pid_path(file, id.0).into();
            streams.pid_file = Some((path, pid));
            self.dirty.insert(id.0);
            self.wanted = true;
        }
    }

    /// The instance is gone for good.
    pub(super) fn forget(&mut self, id: InstanceId, poller: &Poller) {
        let Some(streams) = self.streams.get_mut(&id.0) else { return };
        streams.leaving = true;
        self.dirty.insert(id.0);
        if !matches!(self.writer, Writer::Running(_)) && !streams.has_something() {
            streams.unwatch(poller);
            self.streams.remove(&id.0);
        }
    }

    /// Has every file opened again.
    pub(super) fn reopen(&mut self) {
        if let Writer::Running(running) = &mut self.writer {
            // A full socket means that it is behind; it can be asked again.
            let _ = order(running.socket.as_fd(), &Order::Reopen, &[]);
        }
    }

    /// A watched pipe has something to write.
    pub(super) fn has_come(&mut self) {
        self.wanted = true;
    }

    /// When the log writer may be tried again.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self.writer {
            Writer::Resting { until } => Some(until),
            Writer::Absent | Writer::Running(_) => None,
        }
    }

    pub(super) fn pid(&self) -> Option<i32> {
        match &self.writer {
            Writer::Running(running) => Some(running.pid),
            Writer::Absent | Writer::Resting { .. } => None,
        }
    }

    /// Brings up the log writer if it is needed, and tells it what it has yet to hear.
    pub(super) fn settle(&mut self, now: Moment, house: &super::House, poller: &Poller) {
        match self.writer {
            Writer::Absent if self.wanted => self.start(now, house, poller),
            Writer::Resting { until } if until <= now => self.start(now, house, poller),
            Writer::Absent | Writer::Resting { .. } | Writer::Running(_) => {}
        }
        self.talk(poller);
    }

    fn start(&mut self, now: Moment, house: &super::House, poller: &Poller) {
        match self.try_start(now, house, poller) {
            Ok(()) => {
                for (id, streams) in &self.streams {
                    streams.unwatch(poller);
                    self.dirty.insert(*id);
                }
            }
            Err(why) => self.rest(now, &why),
        }
    }

    fn try_start(
        &mut self,
        now: Moment,
        house: &super::House,
        poller: &Poller,
    ) -> Result<(), String> {
        let executable = house.executable.as_ref().ok_or("its own executable cannot be found")?;
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|errno| format!("socketpair: {}", errno.desc()))?;
        let words = ["rsm-init", "logger"];
        let plan = Plan {
            exec_fd: Some(executable.as_raw_fd()),
            argv: words.iter().filter_map(|word| CString::new(*word).ok()).collect(),
            inherited_env: house.environment.all().to_vec(),
            stdio: [Some(self.nothing.as_raw_fd()), None, None],
            fd3: Some(theirs.as_raw_fd()),
            place: Place::Session,
            ..Plan::default()
        };
        let (pid, in_flight) = spawn::spawn(plan).map_err(|failure| {
            format!("{:?}: {}", failure.stage, Errno::from_raw(failure.errno).desc())
        })?;
        poller.watch(&in_flight, Token::WriterStatus);
        poller.watch(&ours, Token::Writer);
        self.writer = Writer::Running(Running {
            pid,
            since: now,
            socket: ours,
            in_flight: Some(in_flight),
            stuck: false,
            finish: Finish::NotAsked,
        });
        Ok(())
    }

    fn rest(&mut self, now: Moment, why: &str) {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(1).min(8);
        let rest = Duration::from_millis(100).saturating_mul(1 << doublings).min(LONGEST_REST);
        log::error!(
            "cannot run the log writer: {why}; output waits in its pipes, next try in {:.1} s",
            rest.as_secs_f64()
        );
        self.writer = Writer::Resting { until: now.plus(rest) };
    }

    /// The status pipe of the log writer has something to say.
    pub(super) fn writer_launched(&mut self, poller: &Poller) {
        if let Writer::Running(running) = &mut self.writer
            && let Some(in_flight) = running.in_flight.take()
            && let Outcome::Failed(failure) = in_flight.outcome(poller)
        {
            log::error!("cannot execute the log writer: {}", Errno::from_raw(failure.errno).desc());
        }
    }

    /// A child was buried that is not an app's; true if it was the log writer.
    pub(super) fn buried(&mut self, pid: i32, now: Moment, poller: &Poller) -> bool {
        let Writer::Running(running) = &mut self.writer else { return false };
        if running.pid != pid {
            return false;
        }
        poller.forget(&running.socket);
        if let Some(in_flight) = running.in_flight.take() {
            in_flight.outcome(poller);
        }
        let (lived, finished) = (now.since(running.since), running.finish == Finish::Done);
        for (id, streams) in &mut self.streams {
            streams.resumed |= streams.attached && !finished;
            streams.attached = false;
            self.dirty.insert(*id);
            streams.watch(*id, poller);
        }
        if finished {
            self.writer = Writer::Absent;
            self.wanted = false;
        } else if lived >= STABLE {
            self.failures = 0;
            log::warn!("the log writer died; the next one may repeat a buffer of each stream");
            self.writer = Writer::Absent;
            self.wanted = true;
        } else {
            self.rest(now, &format!("it died after {:.1} s", lived.as_secs_f64()));
        }
        true
    }

    /// The log writer has something to say.
    pub(super) fn listen(&mut self, poller: &Poller) {
        let Writer::Running(running) = &mut self.writer else { return };
        let mut buffer = [0_u8; 256];
        match recv(running.socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => poller.forget(&running.socket), // its end will be told by SIGCHLD
            Ok(length) => {
                if let Ok(News::Finished) = serde_json::from_slice(&buffer[..length]) {
                    running.finish = Finish::Done;
                }
            }
            Err(_) => {}
        }
        running.stuck = false;
        self.talk(poller);
    }

    /// Tells the log writer all that it has yet to hear, as far as its socket takes it.
    fn talk(&mut self, poller: &Poller) {
        let Writer::Running(running) = &mut self.writer else { return };
        if running.stuck {
            return;
        }
        while let Some(id) = self.dirty.first().copied() {
            let Some(streams) = self.streams.get_mut(&id) else {
                self.dirty.remove(&id);
                continue;
            };
            match streams.talk(id, self.several, running.socket.as_fd()) {
                Ok(()) => {
                    self.dirty.remove(&id);
                    if streams.leaving {
                        self.streams.remove(&id);
                    }
                }
                Err(errno) => {
                    running.stuck = matches!(errno, Errno::EAGAIN | Errno::ETOOMANYREFS);
                    poller.watch_for_room(&running.socket, Token::Writer, running.stuck);
                    return;
                }
            }
        }
        poller.watch_for_room(&running.socket, Token::Writer, false);
    }

    /// Has everything written; true once it is. Call again after each wait.
    pub(super) fn finish(&mut self, now: Moment, house: &super::House, poller: &Poller) -> bool {
        if !matches!(self.writer, Writer::Running(_)) {
            let something = self.streams.values().any(Streams::has_something)
                || self.streams.values().any(|streams| streams.pid_file.is_some());
            if !something {
                return true;
            }
            self.wanted = true;
        }
        self.settle(now, house, poller);
        let Writer::Running(running) = &mut self.writer else { return false };
        if running.finish == Finish::NotAsked && self.dirty.is_empty() {
            match order(running.socket.as_fd(), &Order::Finish, &[]) {
                Ok(()) => running.finish = Finish::Asked,
                Err(errno) => {
                    running.stuck = errno == Errno::EAGAIN;
                    poller.watch_for_room(&running.socket, Token::Writer, running.stuck);
                }
            }
        }
        running.finish == Finish::Done
    }

    /// The files of an instance's output, as they are named on disk.
    fn attach_order(app: &AppSpec, id: u32, number: u32, several: bool, resumed: bool) -> Attach {
        let logs = &app.logs;
        let file =
            |path: &Option<Box<str>>| path.as_ref().map(|path| logs.path_for(path, id).into());
        let with_prefix = match logs.format {
            Some(LogFormat::Raw) => false,
            Some(LogFormat::Prefix) => true,
            None => several,
        };
        Attach {
            id,
            app: app.name.to_string(),
            instance: number,
            prefix: with_prefix.then(|| prefix(&app.name, number)),
            keep: logs.mode != LogMode::Discard,
            out_file: file(&logs.out_file),
            error_file: file(&logs.error_file),
            log_file: file(&logs.log_file),
            date_format: logs.date_format.as_ref().map(ToString::to_string),
            resumed,
        }
    }
}

impl Streams {
    fn talk(&mut self, id: u32, several: bool, socket: BorrowedFd<'_>) -> Result<(), Errno> {
        if !self.attached {
            let attach = Output::attach_order(&self.app, id, self.number, several, self.resumed);
            let ends = [self.out.read.as_raw_fd(), self.err.read.as_raw_fd()];
            order(socket, &Order::Attach(attach), &ends)?;
            self.attached = true;
        }
        if let Some((path, pid)) = &self.pid_file {
            order(socket, &Order::PidFile { path: path.clone(), pid: *pid }, &[])?;
            self.pid_file = None;
        }
        if self.ended {
            order(socket, &Order::Ended { id }, &[])?;
            self.ended = false;
        }
        if self.leaving {
            order(socket, &Order::Detach { id }, &[])?;
        }
        Ok(())
    }

    fn watch(&self, id: u32, poller: &Poller) {
        poller.watch_once(&self.out.read, Token::Pipe(id));
        poller.watch_once(&self.err.read, Token::Pipe(id));
    }

    fn unwatch(&self, poller: &Poller) {
        poller.forget(&self.out.read);
        poller.forget(&self.err.read);
    }

    fn has_something(&self) -> bool {
        self.out.has_something() || self.err.has_something()
    }
}

impl Pipe {
    fn new() -> Result<Self, Errno> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        Ok(Self { read, write })
    }

    fn has_something(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut asked = [PollFd::new(self.read.as_fd(), PollFlags::POLLIN)];
        poll(&mut asked, PollTimeout::ZERO) == Ok(1)
    }
}

fn order(socket: BorrowedFd<'_>, order: &Order, descriptors: &[i32]) -> Result<(), Errno> {
    let text = serde_json::to_vec(order).map_err(|_| Errno::EINVAL)?;
    if text.len() > MAX_MESSAGE {
        log::error!(
            "an order to the log writer is too long and is left out; shorten the paths of log files"
        );
        return Ok(());
    }
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control: &[ControlMessage<'_>] = if descriptors.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&text)], control, flags, None).map(drop)
}
