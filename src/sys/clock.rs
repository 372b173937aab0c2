//! The one place that reads the clock.

use std::time::{Duration, Instant, SystemTime};

use crate::moment::Moment;

#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

#[expect(clippy::disallowed_methods, reason = "here is where time comes from")]
impl Clock {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(&self) -> Moment {
        Moment::after_start(Instant::now().duration_since(self.0))
    }

    /// The wall clock, for people only: nothing is ever decided by it.
    pub(super) fn wall() -> Duration {
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }
}
