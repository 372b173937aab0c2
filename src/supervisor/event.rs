//! The border of the supervisor: what it is told and what it asks for.

use std::rc::Rc;
use std::time::Duration;

use crate::moment::Moment;
use crate::spec::AppSpec;

/// One place in which a process can live: PM2's `pm_id`. Unique, never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u32);

/// One life of one process. Never used twice, so news about a former life cannot be
/// mistaken for news about the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Where it lives.
    pub instance: InstanceId,
    /// The how-manieth life there, from 1.
    pub life: u32,
}

/// What the supervisor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The program of this run is executing.
    Executed(Run),
    /// The program says it can do its work.
    Ready(Run),
    /// There is no process, or it ended before its program began.
    SpawnFailed(Run, SpawnFailure),
    /// The main process ended.
    Exited {
        /// Which.
        run: Run,
        /// How.
        exit: Exit,
        /// True: other processes of its tree are alive; [`Event::Cleared`] will follow.
        leftovers: bool,
    },
    /// Nothing is left of a tree whose main process had ended before.
    Cleared(Run),
    /// Someone wants something of an instance.
    Order(InstanceId, Order),
    /// A signal that is to reach every app as it came.
    Forward(i32),
    /// PID 1 was asked to stop. A second time: kill what is left now.
    Shutdown,
}

/// How a main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Exit {
    /// By itself.
    Code(i32),
    /// By a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// It dumped core.
        core: bool,
        /// The kernel's out-of-memory killer did it.
        oom: bool,
    },
}

/// Why a run never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpawnFailure {
    /// The step that failed, as its system call is named.
    pub stage: Stage,
    /// What it said, as in errno(3).
    pub errno: i32,
}

/// A step on the way from nothing to a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Descriptors for its output.
    Pipe,
    /// The new process.
    Fork,
    /// Its session.
    Setsid,
    /// Its standard descriptors.
    Dup,
    /// Its working directory.
    Chdir,
    /// Its supplementary groups.
    Setgroups,
    /// Its group.
    Setgid,
    /// Its user.
    Setuid,
    /// Its program.
    Execve,
    /// It was killed before its program began; `errno` is the signal.
    Killed,
}

impl SpawnFailure {
    /// A lack that may pass: trying again makes sense even when nothing ever ran.
    pub fn may_pass(self) -> bool {
        self.stage == Stage::Killed
            || matches!(
                self.errno,
                libc::EAGAIN
                    | libc::ENOMEM
                    | libc::EMFILE
                    | libc::ENFILE
                    | libc::ETXTBSY
                    | libc::EINTR
                    | libc::ENOBUFS
            )
    }
}

/// What can be wanted of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Run, if it does not.
    Start,
    /// Stop and stay stopped.
    Stop,
    /// Stop if it runs, then run.
    Restart,
    /// Stop and be forgotten.
    Delete,
    /// Have the counters set to zero.
    Reset,
}

/// What the supervisor asks for.
#[derive(Clone, Debug)]
pub enum Action {
    /// Bring up a process.
    Spawn(Launch),
    /// Ask a run to end: `signal` to its whole tree or to its main process only.
    Stop {
        /// Which.
        run: Run,
        /// How it is told.
        signal: i32,
        /// To all its processes.
        whole_tree: bool,
    },
    /// End all processes of a run with SIGKILL.
    Kill(Run),
    /// Send a signal to the main process of a run.
    Signal(Run, i32),
    /// From here on everything ends.
    Stopping,
    /// The instance is gone for good; let go of what was kept for it.
    Forget(InstanceId),
    /// Something happened that people want to know.
    Tell(Notice),
}

/// All that is needed to bring up one process.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The name of this life.
    pub run: Run,
    /// Its app.
    pub app: Rc<AppSpec>,
    /// The instance's number in its app.
    pub number: u32,
    /// How many instances its app has now.
    pub of: u32,
}

/// Something people want to know. The sentences are the journal's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The app's name.
    pub app: Rc<AppSpec>,
    /// The instance's number; `None`: the app has but one.
    pub number: Option<u32>,
    /// What happened.
    pub what: What,
}

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A run ended that nobody had asked to end.
    Ended {
        /// How.
        how: Ended,
        /// After this long.
        lived: Duration,
        /// And now.
        next: Next,
        /// Consecutive unstable exits, this one included.
        unstable: u32,
        /// The budget.
        max_restarts: Option<u32>,
    },
    /// It was not ready in time and is being stopped.
    NotReady,
    /// It did not heed its stop signal and is killed.
    Killed {
        /// The grace period that is over; `None`: there was no more time for one.
        after: Option<Duration>,
    },
}

/// How a run ended, spawn failures included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ended {
    /// Its main process ended.
    Exit(Exit),
    /// It never began.
    Spawn(SpawnFailure),
    /// It was not ready in time.
    NotReady,
}

impl Ended {
    /// The status a shell would give it. Zero only for success.
    pub fn status(self) -> u8 {
        match self {
            Self::Exit(Exit::Code(code)) => u8::try_from(code & 0xff).unwrap_or(1),
            Self::Exit(Exit::Signal { signal, .. }) => {
                u8::try_from(128 + (signal & 0x7f)).unwrap_or(255)
            }
            Self::Spawn(SpawnFailure { errno: libc::ENOENT | libc::ENOTDIR, stage }) => {
                if stage == Stage::Execve { 127 } else { 126 }
            }
            Self::Spawn(_) => 126,
            Self::NotReady => 1,
        }
    }
}

/// What follows an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A restart, as soon as possible.
    RestartNow,
    /// A restart after this long.
    RestartIn(Duration),
    /// Nothing: it has done its work.
    Completed,
    /// Nothing: given up.
    Errored,
}

/// A run that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Past {
    /// How it ended.
    pub how: Ended,
    /// When.
    pub at: Moment,
    /// How long it had lived.
    pub lived: Duration,
}
