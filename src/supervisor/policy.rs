//! What an end means: another try, when, or none.

use std::time::Duration;

use super::event::{Ended, Exit, Next, Run};
use crate::spec::{RestartDelay, RestartPolicy};

/// The longest back-off.
const CAP: Duration = Duration::from_secs(15);
/// The first back-off that is not zero.
const FIRST: Duration = Duration::from_millis(100);

/// All that the decision depends on.
pub(super) struct End {
    pub(super) how: Ended,
    pub(super) lived: Duration,
    /// It had been ready.
    pub(super) was_ready: bool,
    /// Consecutive unstable exits before this one.
    pub(super) unstable: u32,
    /// Its program has run before, so that a start can work at all.
    pub(super) proven: bool,
    /// Which, to spread the back-offs of many.
    pub(super) run: Run,
}

/// The new count of consecutive unstable exits, and what follows.
pub(super) fn decide(policy: &RestartPolicy, end: &End) -> (u32, Next) {
    let stable = end.was_ready && end.lived >= policy.min_uptime;
    let unstable = if stable { 0 } else { end.unstable.saturating_add(1) };
    let wanted_back = match end.how {
        // Signals are never taken for an exit code, so `stop_exit_codes: [0]` cannot
        // swallow a crash.
        Ended::Exit(Exit::Code(code)) if policy.stop_exit_codes.contains(&code) => {
            return (unstable, Next::Completed);
        }
        Ended::Exit(Exit::Code(0)) if !policy.autorestart => return (unstable, Next::Completed),
        Ended::Exit(_) | Ended::NotReady => policy.autorestart,
        // Nothing ran, so even a one-shot has not had its turn.
        Ended::Spawn(failure) => failure.may_pass() || end.proven && policy.autorestart,
    };
    let spent = policy.max_restarts.is_some_and(|budget| unstable > 0 && unstable >= budget);
    if !wanted_back || spent {
        return (unstable, Next::Errored);
    }
    (unstable, wait(policy.delay, unstable, end.run))
}

fn wait(delay: RestartDelay, unstable: u32, run: Run) -> Next {
    let time = match (delay, unstable) {
        (RestartDelay::Constant(time), _) => time,
        (_, 0) | (RestartDelay::BackOff, 1) => Duration::ZERO,
        (RestartDelay::BackOff, nth) => {
            let doublings = (nth - 2).min(16);
            spread(FIRST.saturating_mul(1 << doublings).min(CAP), run).min(CAP)
        }
        (RestartDelay::Growing(base), nth) => {
            // 41 steps of 1.5 take a millisecond past any cap.
            (1..nth.min(42))
                .fold(base, |time, _| time.saturating_add(time / 2).min(CAP))
                .min(CAP.max(base))
        }
    };
    if time.is_zero() { Next::RestartNow } else { Next::RestartIn(time) }
}

/// Up to a tenth more or less, the same for the same run, so that many apps that crash
/// together do not come back together and yet every run of the program can be replayed.
fn spread(time: Duration, run: Run) -> Duration {
    let seed = (u64::from(run.instance.0) << 32) | u64::from(run.life);
    // The finalizer of splitmix64: neighbours become strangers.
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let per_mille = u32::try_from((x >> 33) % 201).unwrap_or(100) + 900;
    time.saturating_mul(per_mille) / 1000
}

#[cfg(test)]
mod tests {
    use super::super::event::{InstanceId, SpawnFailure, Stage};
    use super::*;

    fn policy() -> RestartPolicy {
        RestartPolicy {
            autorestart: true,
            stop_exit_codes: Box::new([]),
            min_uptime: Duration::from_secs(1),
            max_restarts: Some(16),
            delay: RestartDelay::BackOff,
        }
    }

    fn end(how: Ended, unstable: u32) -> End {
        End {
            how,
            lived: Duration::from_millis(5),
            was_ready: true,
            unstable,
            proven: true,
            run: Run { instance: InstanceId(7), life: unstable + 1 },
        }
    }

    const CRASH: Ended = Ended::Exit(Exit::Code(1));

    #[test]
    fn the_delays_double_from_100_ms_within_a_tenth_up_to_15_s() {
        let mut expected = 0.1;
        for nth in 2..14 {
            let (_, Next::RestartIn(time)) = decide(&policy(), &end(CRASH, nth - 1)) else {
                panic!("no delay for the {nth}th");
            };
            let time = time.as_secs_f64();
            assert!(
                time <= 15.0 && (time - expected).abs() <= expected * 0.1 + 1e-9,
                "{nth}: {time}"
            );
            expected = (expected * 2.0_f64).min(15.0);
        }
        assert_eq!(decide(&policy(), &end(CRASH, 0)), (1, Next::RestartNow));
    }

    #[test]
    fn a_growing_delay_follows_pm2() {
        let policy =
            RestartPolicy { delay: RestartDelay::Growing(Duration::from_millis(200)), ..policy() };
        let delays: Vec<u128> = (0..12)
            .map(|before| match decide(&policy, &end(CRASH, before)).1 {
                Next::RestartIn(time) => time.as_millis(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(delays[..5], [200, 300, 450, 675, 1012]);
        assert_eq!(delays[11], 15000);
    }

    #[test]
    fn the_budget_is_the_number_of_unstable_exits_in_a_row() {
        assert_eq!(decide(&policy(), &end(CRASH, 15)), (16, Next::Errored));
        let forever = RestartPolicy { max_restarts: None, ..policy() };
        assert!(matches!(decide(&forever, &end(CRASH, 4000)), (4001, Next::RestartIn(_))));
    }

    #[test]
    fn a_signal_is_no_exit_code() {
        let policy = RestartPolicy { stop_exit_codes: Box::new([0, 9, 137]), ..policy() };
        let killed = Ended::Exit(Exit::Signal { signal: 9, core: false, oom: false });
        assert_eq!(decide(&policy, &end(killed, 0)), (1, Next::RestartNow));
        assert_eq!(decide(&policy, &end(Ended::Exit(Exit::Code(0)), 0)), (1, Next::Completed));
    }

    #[test]
    fn a_start_that_cannot_work_is_final_unless_it_has_worked_before() {
        let missing = Ended::Spawn(SpawnFailure { stage: Stage::Execve, errno: libc::ENOENT });
        let mut first = end(missing, 0);
        first.proven = false;
        assert_eq!(decide(&policy(), &first), (1, Next::Errored));
        assert_eq!(decide(&policy(), &end(missing, 0)), (1, Next::RestartNow));
        let full = Ended::Spawn(SpawnFailure { stage: Stage::Fork, errno: libc::EAGAIN });
        first.how = full;
        assert_eq!(decide(&policy(), &first), (1, Next::RestartNow));
    }
}
