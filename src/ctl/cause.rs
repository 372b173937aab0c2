//! Why an instance does not run, what happens next and when, in one sentence.
#![forbid(unsafe_code)]

use super::words::{Ordinal, Plain, Span};
use crate::protocol::control::{How, InstanceStatus, LastExit, State};
use std::fmt::{self, Write};

/// An app that crashed and came back is worth a word for so long.
const RECENT_MS: u64 = 30_000;

/// The sentence; empty when there is nothing to say. `app` is what `ctl restart` would take.
pub(super) fn write(out: &mut String, app: &str, instance: &InstanceStatus) -> fmt::Result {
    let failures = instance.unstable_restarts;
    match instance.state {
        State::Waiting => {
            write!(out, "waits for ")?;
            names(out, &instance.waits_for)?;
            write!(out, " to be ready")
        }
        State::Stopping => match instance.kill_in_ms {
            Some(ms) => write!(out, "SIGKILL in {}", Span(ms)),
            None => write!(out, "killed; waits for its last process to go"),
        },
        State::Backoff => {
            last_exit(out, instance)?;
            match instance.next_restart_ms {
                Some(ms) => write!(out, "; next try in {}", Span(ms))?,
                None => write!(out, "; next try soon")?,
            }
            tries_left(out, instance)
        }
        State::Errored => {
            last_exit(out, instance)?;
            match instance.max_restarts {
                Some(max) if failures >= max => {
                    write!(
                        out,
                        "; given up; \"ctl restart {}\" gives it {max} new tries",
                        Plain(app)
                    )
                }
                _ => write!(out, "; not tried again; \"ctl restart {}\" does", Plain(app)),
            }
        }
        State::Launching if failures > 0 => {
            write!(out, "before: ")?;
            last_exit(out, instance)?;
            tries_left(out, instance)
        }
        State::Online if failures > 0 && instance.uptime_ms < RECENT_MS => {
            write!(out, "before: ")?;
            last_exit(out, instance)?;
            tries_left(out, instance)
        }
        State::Launching | State::Online | State::Stopped | State::Completed => Ok(()),
    }
}

/// `exit 1 after 0.3 s, 4th in a row`.
fn last_exit(out: &mut String, instance: &InstanceStatus) -> fmt::Result {
    match &instance.last_exit {
        Some(exit) => ended(out, exit)?,
        None => write!(out, "failed")?,
    }
    match instance.unstable_restarts {
        0 | 1 => Ok(()),
        count => write!(out, ", {} in a row", Ordinal(count)),
    }
}

/// `exit 1 after 0.3 s`.
pub(super) fn ended(out: &mut String, exit: &LastExit) -> fmt::Result {
    match &exit.how {
        How::Code { code } => write!(out, "exit {code}")?,
        How::Signal { signal, oom: true, .. } => {
            write!(out, "killed by the kernel's out-of-memory killer ({})", Plain(signal))?;
        }
        How::Signal { signal, core, .. } => {
            let dumped = if *core { " (core dumped)" } else { "" };
            write!(out, "killed by {}{dumped}", Plain(signal))?;
        }
        How::Spawn { spawn } => return write!(out, "{}", Plain(spawn)),
    }
    write!(out, " after {}", Span(exit.uptime_ms))
}

fn tries_left(out: &mut String, instance: &InstanceStatus) -> fmt::Result {
    match instance.max_restarts {
        Some(max) => {
            write!(out, "; {} of {max} left", max.saturating_sub(instance.unstable_restarts))
        }
        None => Ok(()),
    }
}

/// `db`, `db and cache`, `db, cache and queue`.
fn names(out: &mut String, names: &[String]) -> fmt::Result {
    for (at, name) in names.iter().enumerate() {
        match at {
            0 => {}
            _ if at + 1 == names.len() => write!(out, " and ")?,
            _ => write!(out, ", ")?,
        }
        write!(out, "{}", Plain(name))?;
    }
    if names.is_empty() { write!(out, "another app") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::samples::instance;

    fn exit(how: How) -> Option<LastExit> {
        Some(LastExit { how, at: "2026-11-25T10:00:00Z".to_string(), uptime_ms: 300 })
    }

    fn said(instance: &InstanceStatus) -> String {
        let mut out = String::new();
        write(&mut out, "web", instance).unwrap();
        out
    }

    #[test]
    fn a_crash_loop_says_when_and_how_often_it_will_be_tried_again() {
        let mut web = instance(0, State::Backoff);
        web.last_exit = exit(How::Code { code: 1 });
        web.unstable_restarts = 4;
        web.max_restarts = Some(16);
        web.next_restart_ms = Some(3_800);
        assert_eq!(
            said(&web),
            "exit 1 after 0.3 s, 4th in a row; next try in 3.8 s; 12 of 16 left"
        );
        web.state = State::Online;
        web.uptime_ms = 200;
        assert_eq!(said(&web), "before: exit 1 after 0.3 s, 4th in a row; 12 of 16 left");
        web.uptime_ms = RECENT_MS;
        assert_eq!(said(&web), "");
    }

    #[test]
    fn who_is_given_up_says_how_to_get_new_tries() {
        let mut web = instance(0, State::Errored);
        web.last_exit = exit(How::Code { code: 1 });
        web.unstable_restarts = 16;
        web.max_restarts = Some(16);
        assert_eq!(
            said(&web),
            "exit 1 after 0.3 s, 16th in a row; given up; \"ctl restart web\" gives it 16 new tries"
        );
    }

    #[test]
    fn who_cannot_be_started_says_what_the_kernel_said() {
        let mut web = instance(0, State::Errored);
        web.last_exit = exit(How::Spawn { spawn: "execve: No such file or directory".to_string() });
        web.unstable_restarts = 1;
        web.max_restarts = Some(16);
        assert_eq!(
            said(&web),
            "execve: No such file or directory; not tried again; \"ctl restart web\" does"
        );
    }

    #[test]
    fn signals_tell_core_and_memory() {
        let mut web = instance(0, State::Backoff);
        web.max_restarts = None;
        web.next_restart_ms = Some(50);
        let signal = |core, oom| How::Signal { signal: "SIGKILL".to_string(), core, oom };
        web.last_exit = exit(signal(false, true));
        assert_eq!(
            said(&web),
            "killed by the kernel's out-of-memory killer (SIGKILL) after 0.3 s; next try in 50 ms"
        );
        web.last_exit = exit(signal(true, false));
        assert_eq!(said(&web), "killed by SIGKILL (core dumped) after 0.3 s; next try in 50 ms");
    }

    #[test]
    fn who_waits_says_for_whom() {
        let mut web = instance(0, State::Waiting);
        web.waits_for = vec!["db".to_string()];
        assert_eq!(said(&web), "waits for db to be ready");
        web.waits_for = ["db", "cache", "mq\u{1b}"].map(str::to_string).to_vec();
        assert_eq!(said(&web), "waits for db, cache and mq\\u{1b} to be ready");
    }

    #[test]
    fn a_stop_says_when_it_turns_to_force() {
        let mut web = instance(0, State::Stopping);
        web.kill_in_ms = Some(3_200);
        assert_eq!(said(&web), "SIGKILL in 3.2 s");
    }
}
