//! `rsm-init -- CMD`: a plain init. Runs one command, hands it every signal as it came,
//! reaps whatever is left to us, and ends with the command's status.
#![allow(unsafe_code, reason = "descriptor 0, and signals with their values")]

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

use super::clock::Clock;
use super::end::GRACE;
use super::env::Environment;
use super::oom::OomKills;
use super::poller::{Poller, Token};
use super::processes::send;
use super::signals::{Arrival, Inherited, Signals};
use super::spawn::{self, InFlight, Outcome, Place, Plan};
use super::wait::{Pause, bury_next, has_children, pause_of};
use super::{raw, table};
use crate::moment::Moment;
use crate::signal;
use crate::supervisor::{Ended, Exit, SpawnFailure};

/// Where programs are looked for when `PATH` is not set, as execvp(3) does.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command to run.
pub struct Plain {
    /// Its argument vector, not empty.
    pub argv: Vec<OsString>,
}

/// Runs the command to its end and gives the status to end with.
pub fn run_plain(plain: &Plain, inherited: Inherited) -> u8 {
    match Init::start(plain, inherited) {
        Ok(mut init) => {
            let ended = init.run();
            init.end_the_rest();
            init.report(ended)
        }
        Err(Failure::Init(message)) => {
            log::error!("{message}");
            70
        }
        Err(Failure::Command(failure)) => cannot_run(&plain.argv, failure),
    }
}

fn cannot_run(argv: &[OsString], failure: SpawnFailure) -> u8 {
    let name = argv.first().cloned().unwrap_or_default();
    log::error!("cannot run {name:?}: {}", crate::journal::spawn_failure(failure));
    Ended::Spawn(failure).status()
}

enum Failure {
    Init(String),
    Command(SpawnFailure),
}

struct Init {
    argv: Vec<OsString>,
    is_init: bool,
    clock: Clock,
    poller: Poller,
    signals: Signals,
    /// The command, until it is buried.
    command: Option<i32>,
    in_flight: Option<InFlight>,
    /// The terminal that was handed to the command's group.
    terminal: Option<Terminal>,
    oom_kills: OomKills,
    /// The command has stopped (SIGSTOP, Ctrl-Z) and not been continued.
    is_stopped: bool,
    refused: bool,
    come: Vec<Token>,
}

impl Init {
    fn start(plain: &Plain, inherited: Inherited) -> Result<Self, Failure> {
        let is_init = std::process::id() == 1;
        if !is_init {
            // Where that is not possible, orphans go to whoever takes them.
            let _ = nix::sys::prctl::set_child_subreaper(true);
        }
        let fail = |what| move |errno: Errno| Failure::Init(format!("{what}: {}", errno.desc()));
        let signals = Signals::new().map_err(|e| Failure::Init(format!("signalfd: {e}")))?;
        let poller = Poller::new().map_err(fail("epoll"))?;
        poller.watch(&signals, Token::Signals);
        let terminal = Terminal::ours();
        let environment = Environment::inherited();
        let is_listen_pid = |entry: &&std::ffi::CStr| entry.to_bytes().starts_with(b"LISTEN_PID=");
        let plan = Plan {
            candidates: candidates(&plain.argv[0]),
            argv: plain.argv.iter().filter_map(|w| CString::new(w.as_bytes()).ok()).collect(),
            rewrite_listen_pid: environment.all().iter().any(&is_listen_pid),
            inherited_env: environment
                .all()
                .iter()
                .copied()
                .filter(|entry| !is_listen_pid(entry))
                .collect(),
            place: Place::Group { terminal: terminal.as_ref().map(|t| t.fd().as_raw_fd()) },
            mask: inherited.mask,
            ..Plan::default()
        };
        let (pid, in_flight) = spawn::spawn(plan).map_err(Failure::Command)?;
        poller.watch(&in_flight, Token::Status(0));
        let mut ours =
            vec![signals.as_fd().as_raw_fd(), poller.as_raw_fd(), in_flight.as_fd().as_raw_fd()];
        ours.extend(terminal.as_ref().map(|terminal| terminal.fd().as_raw_fd()));
        // What we were given is the command's; it has its own copies.
        super::stdio::close_all_but(&ours);
        let _ = std::env::set_current_dir("/");
        Ok(Self {
            argv: plain.argv.clone(),
            is_init,
            clock: Clock::start(),
            poller,
            signals,
            command: Some(pid),
            in_flight: Some(in_flight),
            terminal,
            oom_kills: OomKills::new(),
            is_stopped: false,
            refused: false,
            come: vec![],
        })
    }

    /// Until the command has ended.
    fn run(&mut self) -> Ended {
        loop {
            if let Some(ended) = self.turn(None).ended {
                return ended;
            }
        }
    }

    fn turn(&mut self, deadline: Option<Moment>) -> Turn {
        let mut turn = Turn::default();
        let mut come = std::mem::take(&mut self.come);
        self.poller.wait(self.clock.now(), deadline, &mut come);
        for token in come.drain(..) {
            match token {
                Token::Signals => self.take_signals(&mut turn),
                Token::Status(_) => turn.ended = turn.ended.or(self.launched()),
                Token::Pipe(_)
                | Token::Writer
                | Token::WriterStatus
                | Token::Listener
                | Token::Client(_) => {}
            }
        }
        self.come = come;
        turn
    }

    fn launched(&mut self) -> Option<Ended> {
        match self.in_flight.take()?.outcome(&self.poller) {
            Outcome::Gone => None,
            Outcome::Failed(failure) => Some(Ended::Spawn(failure)),
        }
    }

    fn take_signals(&mut self, turn: &mut Turn) {
        let mut arrivals = Vec::with_capacity(4);
        self.signals.drain(|arrival| {
            if arrival.signal == libc::SIGCHLD {
                turn.children = true;
            } else if arrivals.len() < 1024 {
                arrivals.push(arrival);
            }
        });
        // Signals first: those that came before the command's end are meant for it.
        for arrival in arrivals {
            turn.asked_to_stop |= matches!(arrival.signal, libc::SIGTERM | libc::SIGINT);
            self.forward(&arrival);
        }
        if turn.children {
            turn.ended = turn.ended.or(self.reap());
            self.follow_a_stop();
        }
    }

    fn forward(&mut self, arrival: &Arrival) {
        let Some(command) = self.command else { return };
        // Of our own making: somebody had closed what we wrote to (SIGPIPE). What the
        // terminal's keys make goes to the foreground, so to the command and not to us.
        if arrival.sender == std::process::id() {
            return;
        }
        let result = if arrival.code == libc::SI_QUEUE {
            let info = queued(arrival);
            raw::queue_signal(command, arrival.signal, &info).map_err(Errno::from_raw)
        } else {
            send(command, arrival.signal)
        };
        let ends = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP];
        if self.is_stopped && ends.contains(&arrival.signal) {
            // It could not see it otherwise.
            let _ = send(command, libc::SIGCONT);
        }
        if result == Err(Errno::EPERM) && !self.refused {
            self.refused = true;
            log::warn!(
                "may not send {} to the command: it runs as another user and rsm-init has no CAP_KILL",
                signal::name(arrival.signal)
            );
        }
    }

    /// Buries all the dead; gives the command's end if it is among them.
    fn reap(&mut self) -> Option<Ended> {
        let mut ended = None;
        while let Some(dead) = bury_next() {
            if self.command != Some(dead.pid) {
                continue;
            }
            // From here on this number may be somebody else.
            self.command = None;
            ended = Some(match (self.launched(), dead.exit) {
                (Some(failure), _) => failure,
                (None, Exit::Signal { signal: libc::SIGKILL, core, .. }) => {
                    let oom = self.oom_kills.take();
                    Ended::Exit(Exit::Signal { signal: libc::SIGKILL, core, oom })
                }
                (None, exit) => Ended::Exit(exit),
            });
        }
        ended
    }

    /// When the command has stopped (Ctrl-Z), the shell that started us must see us stop;
    /// as PID 1 we have no shell, but should say why nothing happens any more.
    fn follow_a_stop(&mut self) {
        let Some(command) = self.command else { return };
        let Some(pause) = pause_of(command) else { return };
        self.is_stopped = matches!(pause, Pause::Stopped(_));
        let Pause::Stopped(status) = pause else { return };
        if self.is_init {
            log::info!("the command was stopped by {}; SIGCONT resumes it", signal::name(status));
            return;
        }
        if let Some(terminal) = &self.terminal {
            let _ = tcsetpgrp(terminal.fd(), getpgrp());
        }
        let _ = send(std::process::id().cast_signed(), libc::SIGSTOP);
        // Continued: if in the foreground, hand it on again.
        if let Some(terminal) = &self.terminal
            && tcgetpgrp(terminal.fd()) == Ok(getpgrp())
        {
            let _ = tcsetpgrp(terminal.fd(), Pid::from_raw(command));
        }
        let _ = send(-command, libc::SIGCONT);
    }

    /// Everyone who is left is asked to end, then killed; over as soon as nobody is left.
    fn end_the_rest(&mut self) {
        if !has_children() {
            return;
        }
        let _ = self.tell_the_rest(libc::SIGTERM);
        let _ = self.tell_the_rest(libc::SIGCONT);
        let limit = self.clock.now().plus(GRACE);
        let mut hurried = false;
        while has_children() && !hurried && self.clock.now() < limit {
            self.reap();
            if has_children() {
                hurried = self.turn(Some(limit)).asked_to_stop;
            }
        }
        // Whoever forks while being killed is killed in the next round. What hangs in the
        // kernel cannot be waited for; it ends with us.
        let limit = self.clock.now().plus(GRACE);
        let mut pause = std::time::Duration::from_millis(5);
        while has_children() && self.clock.now() < limit {
            let _ = self.tell_the_rest(libc::SIGKILL);
            self.turn(Some(limit.min(self.clock.now().plus(pause))));
            self.reap();
            pause = pause.saturating_mul(2);
        }
    }

    fn tell_the_rest(&self, signal: i32) -> Result<(), Errno> {
        if self.is_init {
            return send(-1, signal);
        }
        // Never -1 here: it would reach strangers.
        let everyone = table::everyone().ok_or(Errno::ENOENT)?;
        for entry in table::descendants(&everyone, std::process::id().cast_signed()) {
            let _ = send(entry.pid, signal);
        }
        Ok(())
    }

    fn report(&self, ended: Ended) -> u8 {
        match ended {
            Ended::Spawn(failure) => return cannot_run(&self.argv, failure),
            Ended::Exit(Exit::Signal { signal: number, core, oom }) if core || oom => {
                let why = if oom { "the kernel's out-of-memory killer" } else { "it dumped core" };
                log::warn!("the command was killed by {}: {why}", signal::name(number));
            }
            Ended::Exit(_) | Ended::NotReady => {}
        }
        ended.status()
    }
}

#[derive(Default)]
struct Turn {
    ended: Option<Ended>,
    children: bool,
    asked_to_stop: bool,
}

/// A terminal in whose foreground we are.
enum Terminal {
    Stdin,
    Other(OwnedFd),
}

impl Terminal {
    /// Only if we are in its foreground: taking it from whoever is would stop them.
    fn ours() -> Option<Self> {
        let is_ours = |terminal: &Self| tcgetpgrp(terminal.fd()) == Ok(getpgrp());
        Some(Self::Stdin).filter(is_ours).or_else(|| {
            let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
            let own = open("/dev/tty", flags, Mode::empty()).ok()?;
            Some(Self::Other(own)).filter(is_ours)
        })
    }

    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            // SAFETY: descriptor 0 is open (`ensure_open`) and never closed.
            Self::Stdin => unsafe { BorrowedFd::borrow_raw(0) },
            Self::Other(own) => own.as_fd(),
        }
    }
}

/// Where the command may be, in the order of `PATH`.
fn candidates(name: &OsString) -> Vec<CString> {
    let path = |bytes: Vec<u8>| CString::new(bytes).ok();
    if name.as_bytes().contains(&b'/') {
        return path(name.as_bytes().to_vec()).into_iter().collect();
    }
    if name.is_empty() {
        return vec![];
    }
    let places = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let places = places.as_bytes().split(|byte| *byte == b':');
    let join = |place: &[u8]| {
        // An empty entry is the working directory.
        let place = if place.is_empty() { b"." } else { place };
        path([place, b"/", name.as_bytes()].concat())
    };
    places.filter_map(join).collect()
}

/// The signal as it was queued, value and all (sigqueue(3)).
fn queued(arrival: &Arrival) -> libc::siginfo_t {
    // SAFETY: all zeros is a valid siginfo_t.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    info.si_signo = arrival.signal;
    info.si_code = libc::SI_QUEUE;
    let value = arrival.value.to_ne_bytes();
    // SAFETY: on every 64-bit Linux the value stands 24 bytes into the structure of 128,
    // behind signal, errno, code, padding, pid and uid.
    unsafe {
        let place = (&raw mut info).cast::<u8>().add(24);
        std::ptr::copy_nonoverlapping(value.as_ptr(), place, value.len());
    }
    info
}
