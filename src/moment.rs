//! Time as the supervisor sees it.
#![forbid(unsafe_code)]

use std::time::Duration;

/// A point on the supervisor's own monotonic clock, counted from its start.
///
/// Unlike [`std::time::Instant`], anyone can make one: that is what lets a test, a
/// fuzzer or a replayed trace say what time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The supervisor's own start.
    pub const START: Self = Self(Duration::ZERO);

    /// The moment that lies `elapsed` after the start.
    pub fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// This moment plus `delay`; the end of time if that overflows.
    #[must_use]
    pub fn plus(self, delay: Duration) -> Self {
        Self(self.0.saturating_add(delay))
    }

    /// How long from `earlier` to this moment; zero if `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let end = Moment::after_start(Duration::MAX);
        assert_eq!(end.plus(Duration::from_secs(1)), end);
        assert_eq!(Moment::START.since(end), Duration::ZERO);
    }
}
