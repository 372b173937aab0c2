//! One instance: what is wanted of it, the phase it is in, and what it has been through.

use std::collections::VecDeque;
use std::rc::Rc;

use super::AppId;
use super::event::{InstanceId, Past, Run};
use super::phase::{Down, Phase};
use crate::moment::Moment;
use crate::spec::AppSpec;

/// How many ends are remembered.
const HISTORY: usize = 5;

/// What is wanted of an instance. Orders change this; facts change the phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// A process.
    Up,
    /// None.
    Down,
    /// None, and to be forgotten.
    Gone,
}

/// One instance.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// Its app.
    pub app: AppId,
    /// What the config says of its app.
    pub spec: Rc<AppSpec>,
    /// Its number in the app.
    pub number: u32,
    /// When it was made.
    pub made: Moment,
    /// What is wanted of it.
    pub wanted: Wanted,
    /// Where it stands.
    pub phase: Phase,
    /// The last run's number.
    pub life: u32,
    /// Starts after the first, since the last reset.
    pub restarts: u32,
    /// Consecutive unstable exits.
    pub unstable: u32,
    /// Its program has run since the last order, so that a start can work.
    pub proven: bool,
    /// Ends, newest first.
    pub history: VecDeque<Past>,
}

impl Instance {
    pub(super) fn new(
        id: InstanceId,
        app: AppId,
        spec: Rc<AppSpec>,
        number: u32,
        made: Moment,
    ) -> Self {
        let wanted = if spec.autostart { Wanted::Up } else { Wanted::Down };
        Self {
            id,
            app,
            spec,
            number,
            made,
            wanted,
            phase: Phase::Down(Down::Idle),
            life: 0,
            restarts: 0,
            unstable: 0,
            proven: false,
            history: VecDeque::new(),
        }
    }

    /// Names the next life.
    pub(super) fn next_run(&mut self) -> Run {
        if self.life > 0 {
            self.restarts = self.restarts.saturating_add(1);
        }
        self.life = self.life.wrapping_add(1);
        Run { instance: self.id, life: self.life }
    }

    pub(super) fn remember(&mut self, past: Past) {
        self.history.truncate(HISTORY - 1);
        self.history.push_front(past);
    }

    /// An order by a person gives a new budget.
    pub(super) fn forgive(&mut self) {
        self.unstable = 0;
        self.proven = false;
    }

    /// Consecutive unstable exits, as of now: a run that has lived long enough has
    /// already made good for those before it.
    pub fn unstable_at(&self, now: Moment) -> u32 {
        match self.phase {
            Phase::Online { since, .. } if now.since(since) >= self.spec.restart.min_uptime => 0,
            _ => self.unstable,
        }
    }
}
