//! With which status the container ends, and why.

use super::event::Ended;
use super::phase::{Down, Phase};
use super::{InstanceId, Supervisor};

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The exit status.
    pub status: u8,
    /// Why.
    pub cause: Cause,
}

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Everything ended by itself, with success.
    AllDone,
    /// It was asked to stop.
    Requested,
    /// It was asked to stop before this one-shot had done its work.
    Interrupted(InstanceId),
    /// This instance failed for good and its app is critical.
    Critical(InstanceId),
    /// Nothing can run any more, and this instance was the first to fail.
    NothingLeft(InstanceId),
}

/// Why it is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stopping {
    Requested { interrupts: Option<InstanceId> },
    Critical { culprit: InstanceId, status: u8 },
}

impl Supervisor {
    /// How it ends, if it ended now.
    pub fn verdict(&self) -> Verdict {
        match self.stopping {
            Some(Stopping::Critical { culprit, status }) => {
                Verdict { status, cause: Cause::Critical(culprit) }
            }
            Some(Stopping::Requested { interrupts: Some(id) }) => {
                Verdict { status: 143, cause: Cause::Interrupted(id) }
            }
            Some(Stopping::Requested { interrupts: None }) => {
                Verdict { status: 0, cause: Cause::Requested }
            }
            None => match self.first_to_fail() {
                Some(id) => Verdict { status: self.status_of(id), cause: Cause::NothingLeft(id) },
                None => Verdict { status: 0, cause: Cause::AllDone },
            },
        }
    }

    fn first_to_fail(&self) -> Option<InstanceId> {
        let failed = self.instances.iter().filter_map(|instance| match instance.phase {
            Phase::Down(Down::Errored { since }) => Some((since, instance.id)),
            _ => None,
        });
        failed.min().map(|(_, id)| id)
    }

    /// A culprit never ends the container with 0.
    pub(super) fn status_of(&self, id: InstanceId) -> u8 {
        let how = self.instance(id).and_then(|instance| instance.history.front()).map(|p| p.how);
        how.map_or(1, Ended::status).max(1)
    }
}
