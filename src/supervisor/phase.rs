//! Where one instance stands.

use super::Run;
use crate::moment::Moment;

/// A phase carries exactly what is true while it lasts. Above all its deadline: leave
/// the phase and the deadline is gone, so no stale timer can ever fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No process, and none is due.
    Down(Down),
    /// Wanted, but something it depends on is not there yet.
    Waiting,
    /// A process, not ready yet.
    Launching {
        /// Which.
        run: Run,
        /// When it was started.
        since: Moment,
        /// It failed if it is not ready by then.
        ready_by: Option<Moment>,
    },
    /// A process that does its work.
    Online {
        /// Which.
        run: Run,
        /// When it was started.
        since: Moment,
    },
    /// A process that was told to stop.
    Stopping {
        /// Which.
        run: Run,
        /// When it was started.
        since: Moment,
        /// When it will be killed or, once it has been, given up on. `None`: never.
        kill_at: Option<Moment>,
        /// It has been killed; the kernel will tell of its end.
        killed: bool,
        /// Why it was told to.
        why: Why,
    },
    /// The main process is gone; others of its tree are still to go.
    Clearing {
        /// Which.
        run: Run,
        /// When they will be killed, or killed again.
        kill_at: Moment,
        /// How often they have been.
        sweeps: u8,
        /// Where this leads.
        then: Then,
    },
    /// Will be tried again.
    Backoff {
        /// When.
        until: Moment,
    },
}

/// Why there is no process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Down {
    /// Nobody has asked for one yet (`autostart: false`), or a new one may start at once.
    Idle,
    /// By order.
    Stopped,
    /// It ended by itself, with success.
    Completed,
    /// Given up.
    Errored {
        /// When.
        since: Moment,
    },
}

/// Why a process was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// By order.
    Ordered,
    /// It was not ready in time.
    NotReady,
}

/// Where a phase without a main process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// To no process.
    Down(Down),
    /// To another try.
    Backoff {
        /// When.
        until: Moment,
    },
}

impl From<Then> for Phase {
    fn from(then: Then) -> Self {
        match then {
            Then::Down(down) => Self::Down(down),
            Then::Backoff { until } => Self::Backoff { until },
        }
    }
}

impl Phase {
    /// The run of this phase, if any process of it may be alive.
    pub fn run(&self) -> Option<Run> {
        match *self {
            Self::Launching { run, .. }
            | Self::Online { run, .. }
            | Self::Stopping { run, .. }
            | Self::Clearing { run, .. } => Some(run),
            Self::Down(_) | Self::Waiting | Self::Backoff { .. } => None,
        }
    }

    /// The run of this phase, if its main process is alive, and since when.
    pub fn main(&self) -> Option<(Run, Moment)> {
        match *self {
            Self::Launching { run, since, .. }
            | Self::Online { run, since }
            | Self::Stopping { run, since, .. } => Some((run, since)),
            Self::Clearing { .. } | Self::Down(_) | Self::Waiting | Self::Backoff { .. } => None,
        }
    }

    /// When this phase ends by itself.
    pub fn deadline(&self) -> Option<Moment> {
        match *self {
            Self::Launching { ready_by, .. } => ready_by,
            Self::Stopping { kill_at, .. } => kill_at,
            Self::Clearing { kill_at: at, .. } | Self::Backoff { until: at } => Some(at),
            Self::Down(_) | Self::Waiting | Self::Online { .. } => None,
        }
    }
}
