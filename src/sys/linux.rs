//! The machine that the loop runs on.

use std::collections::VecDeque;
use std::ffi::CString;
use std::time::Duration;

use nix::errno::Errno;

use super::clock::Clock;
use super::control::{Asked, Control};
use super::env::Who;
use super::oom::OomKills;
use super::output::{Output, Sink};
use super::poller::{Poller, Token};
use super::processes::{Processes, never_started};
use super::signals::{Arrival, Inherited, Signals};
use super::spawn::{self, Place, Plan};
use super::{House, stdio};
use crate::init::{ClientId, Machine, News};
use crate::moment::Moment;
use crate::protocol::control::{Op, Reply};
use crate::signal::{self, RTMIN};
use crate::spec::Spec;
use crate::supervisor::{Action, Event, Exit, InstanceId, Launch, Run, SpawnFailure, Stage};

/// How many children may be between clone and exec at once. Each holds a few kilobytes.
const MAX_IN_FLIGHT: usize = 64;

/// Linux.
pub struct Linux {
    pub(super) clock: Clock,
    pub(super) poller: Poller,
    signals: Signals,
    processes: Processes,
    pub(super) output: Output,
    pub(super) control: Control,
    pub(super) house: House,
    /// Found after the first start, which it must not delay.
    oom_kills: Option<OomKills>,
    /// Starts that have to wait until others are under way.
    queue: VecDeque<Launch>,
    forwarded: Box<[i32]>,
    /// Signals that we have said we ignore.
    mentioned: u64,
    /// An ordered stop is under way, so nobody needs to look for strays one by one.
    pub(super) stopping: bool,
    nothing_to_read: std::os::fd::OwnedFd,
    come: Vec<Token>,
}

impl Linux {
    /// Takes over signals and makes the control socket. Nothing is started yet.
    ///
    /// # Errors
    /// Says which descriptor could not be made; without these there is no supervisor.
    pub fn new(spec: &Spec, inherited: Inherited) -> Result<Self, String> {
        let say = |what: &'static str| move |error: Errno| format!("{what}: {}", error.desc());
        stdio::close_all_but(&[]);
        let clock = Clock::start();
        let house = House::new(inherited);
        let signals = Signals::new().map_err(|error| format!("signalfd: {error}"))?;
        let poller = Poller::new().map_err(say("epoll"))?;
        poller.watch(&signals, Token::Signals);
        let nothing_to_read = stdio::nothing_to_read().map_err(say("stdin for apps"))?;
        let also = nothing_to_read.try_clone().map_err(|error| format!("dup: {error}"))?;
        let instances: u32 = spec.apps.iter().fold(0, |sum, app| sum.saturating_add(app.instances));
        Ok(Self {
            clock,
            control: Control::open(&spec.init, &poller),
            poller,
            signals,
            processes: Processes::default(),
            output: Output::new(instances > 1, also),
            house,
            oom_kills: None,
            queue: VecDeque::new(),
            forwarded: spec.init.forward_signals.clone(),
            mentioned: 0,
            stopping: false,
            nothing_to_read,
            come: vec![],
        })
    }

    fn launch(&mut self, launch: &Launch) -> Option<Event> {
        match self.try_launch(launch) {
            Ok(()) => None,
            Err(failure) => Some(Event::SpawnFailed(launch.run, failure)),
        }
    }

    fn try_launch(&mut self, launch: &Launch) -> Result<(), SpawnFailure> {
        let sink = self
            .output
            .sink(launch, &self.poller)
            .map_err(|errno| never_started(Stage::Pipe, errno))?;
        let (out, err) = match sink {
            Sink::Ours => (None, None),
            Sink::Into(out, err) => (Some(out), Some(err)),
        };
        let (inherited_env, env) = self.house.environment.of(&self.who(launch));
        let command = &launch.app.command;
        let text = |text: &str| CString::new(text).ok();
        let plan = Plan {
            candidates: command.candidates.iter().filter_map(|path| text(path)).collect(),
            argv: command.argv.iter().filter_map(|word| text(word)).collect(),
            env,
            inherited_env,
            cwd: command.cwd.as_deref().and_then(text),
            stdio: [Some(std::os::fd::AsRawFd::as_raw_fd(&self.nothing_to_read)), out, err],
            place: Place::Session,
            identity: command.identity.as_ref().map(|who| (who.uid, who.gid, who.groups.clone())),
            defaults: self.house.ignored,
            nofile: self.house.nofile,
            ..Plan::default()
        };
        let (pid, in_flight) = spawn::spawn(plan)?;
        self.poller.watch(&in_flight, Token::Status(launch.run.instance.0));
        self.processes.add(launch.run, pid, in_flight, launch.app.stop.whole_tree);
        self.output.began(launch, pid);
        Ok(())
    }

    fn who<'a>(&'a self, launch: &'a Launch) -> Who<'a> {
        Who {
            app: &launch.app,
            id: launch.run.instance.0,
            number: launch.number,
            of: launch.of,
            socket: self.control.path(),
        }
    }

    /// Takes back a start that is still waiting for its turn.
    fn unqueue(&mut self, run: Run, signal: i32) -> Option<Event> {
        let place = self.queue.iter().position(|launch| launch.run == run)?;
        self.queue.remove(place);
        let failure = SpawnFailure { stage: Stage::Killed, errno: signal };
        Some(Event::SpawnFailed(run, failure))
    }

    fn drain_signals(&mut self, news: &mut VecDeque<News>) -> bool {
        let mut children = false;
        let mut arrivals = vec![];
        self.signals.drain(|arrival| {
            if arrival.signal == libc::SIGCHLD {
                children = true;
            } else if arrivals.len() < 64 {
                // A flood of queued real-time signals must not become a flood of memory.
                arrivals.push(arrival);
            }
        });
        for arrival in arrivals {
            self.signal(arrival, news);
        }
        children
    }

    fn signal(&mut self, arrival: Arrival, news: &mut VecDeque<News>) {
        const HALT: i32 = RTMIN + 3;
        match arrival.signal {
            // Of our own making: somebody had closed what we wrote to.
            libc::SIGPIPE if arrival.sender == std::process::id() => {}
            libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGPWR | HALT => {
                news.push_back(News::Event(Event::Shutdown));
            }
            // From the kernel it means that the terminal is gone.
            libc::SIGHUP if arrival.code > 0 => news.push_back(News::Event(Event::Shutdown)),
            other if self.forwarded.contains(&other) => {
                news.push_back(News::Event(Event::Forward(other)));
            }
            libc::SIGHUP => {
                log::info!("SIGHUP: restarting every app");
                news.push_back(News::Reload);
            }
            libc::SIGUSR2 => self.output.reopen(),
            // Their default action is to do nothing.
            libc::SIGCONT | libc::SIGURG | libc::SIGWINCH => {}
            other => {
                let bit = super::raw::bit(other);
                if self.mentioned & bit == 0 {
                    self.mentioned |= bit;
                    log::info!("{} is ignored", signal::name(other));
                }
            }
        }
    }

    fn reap(&mut self, news: &mut VecDeque<News>) {
        let Self { processes, output, poller, oom_kills, clock, .. } = self;
        let now = clock.now();
        let mut ends: Vec<Event> = vec![];
        processes.reap(poller, |pid| output.buried(pid, now, poller), |event| ends.push(event));
        for mut event in ends {
            match &mut event {
                Event::Exited { run, exit, .. } => {
                    self.output.ended(run.instance);
                    if let Exit::Signal { signal: libc::SIGKILL, oom, .. } = exit {
                        *oom = oom_kills.as_mut().is_some_and(OomKills::take);
                    }
                }
                Event::SpawnFailed(run, _) => self.output.ended(run.instance),
                _ => {}
            }
            news.push_back(News::Event(event));
        }
    }

    /// One wait, and everything that it brought.
    pub(super) fn turn(&mut self, deadline: Option<Moment>, news: &mut VecDeque<News>) {
        // What has happened since the last wait is for the log writer to hear.
        self.output.settle(self.clock.now(), &self.house, &self.poller);
        let deadline = [deadline, self.output.deadline()].into_iter().flatten().min();
        let mut come = std::mem::take(&mut self.come);
        self.poller.wait(self.clock.now(), deadline, &mut come);
        let mut asked = vec![];
        let mut children = false;
        for token in come.drain(..) {
            match token {
                Token::Signals => children |= self.drain_signals(news),
                Token::Status(id) => {
                    let event = self.processes.launched(InstanceId(id), &self.poller);
                    news.extend(event.map(News::Event));
                }
                Token::Pipe(_) => self.output.has_come(),
                Token::Writer => self.output.listen(&self.poller),
                Token::WriterStatus => self.output.writer_launched(&self.poller),
                Token::Listener => self.control.accept(&self.poller),
                Token::Client(id) => {
                    let (request, gone) = self.control.serve(id, &self.poller);
                    asked.extend(request.map(|Asked { client, op }| News::Asked(client, op)));
                    if gone {
                        asked.push(News::Left(ClientId(id)));
                    }
                }
            }
        }
        self.come = come;
        if children {
            self.reap(news);
        }
        while self.processes.in_flight() < MAX_IN_FLIGHT
            && let Some(launch) = self.queue.pop_front()
        {
            news.extend(self.launch(&launch).map(News::Event));
        }
        // Facts first: whoever asks is told what is so now.
        news.extend(asked);
    }
}

impl Machine for Linux {
    fn now(&self) -> Moment {
        self.clock.now()
    }

    fn wait(&mut self, deadline: Option<Moment>, news: &mut VecDeque<News>) {
        if self.oom_kills.is_none() && self.queue.is_empty() {
            self.oom_kills = Some(OomKills::new());
            super::let_go_of_code();
        }
        self.turn(deadline, news);
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(launch) => {
                if self.processes.in_flight() < MAX_IN_FLIGHT {
                    return self.launch(&launch);
                }
                self.queue.push_back(launch);
            }
            Action::Stop { run, signal, .. } => {
                if let Some(event) = self.unqueue(run, signal) {
                    return Some(event);
                }
                self.processes.stop(run, signal, !self.stopping);
            }
            Action::Kill(run) => {
                let event = self.unqueue(run, libc::SIGKILL);
                return event.or_else(|| self.processes.kill(run));
            }
            Action::Signal(run, signal) => self.processes.signal(run, signal),
            Action::Forget(id) => self.output.forget(id, &self.poller),
            Action::Stopping => self.stopping = true,
            Action::Tell(notice) => crate::journal::tell(&notice),
        }
        None
    }

    fn reply(&mut self, to: ClientId, reply: Reply) -> Option<Op> {
        self.control.reply(to, &reply, &self.poller).map(|asked| asked.op)
    }

    fn pid(&self, run: Run) -> Option<u32> {
        self.processes.pid(run).and_then(|pid| u32::try_from(pid).ok())
    }

    fn orphans_reaped(&self) -> u64 {
        self.processes.orphans
    }

    fn wall_clock(&self) -> Duration {
        Clock::wall()
    }

    fn environment(&self, launch: &Launch) -> Vec<(String, String)> {
        let (inherited, own) = self.house.environment.of(&self.who(launch));
        let entries = inherited.iter().map(|entry| entry.to_bytes());
        let entries = entries.chain(own.iter().map(|entry| entry.as_bytes()));
        let split = |entry: &[u8]| {
            let text = String::from_utf8_lossy(entry).into_owned();
            match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), value.to_owned()),
                None => (text, String::new()),
            }
        };
        entries.map(split).collect()
    }
}
