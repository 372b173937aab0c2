//! What happened, in words for people. The supervisor gives facts, the sentences are
//! here: lower case, what, why, what next.
#![forbid(unsafe_code)]

use std::time::Duration;

use nix::errno::Errno;

use crate::signal;
use crate::supervisor::{
    Cause, Down, Ended, Exit, Instance, Next, Notice, Phase, SpawnFailure, Stage, Supervisor,
    Verdict, What,
};

/// Says one thing that happened to an instance.
pub fn tell(notice: &Notice) {
    let name = match notice.number {
        None => notice.app.name.to_string(),
        Some(number) => format!("{}:{number}", notice.app.name),
    };
    match notice.what {
        What::NotReady => log::warn!("{name}: not ready in time; stopping it"),
        What::Killed { after: Some(grace) } => {
            log::warn!("{name}: still running {} after its stop signal; killed", seconds(grace));
        }
        What::Killed { after: None } => log::warn!("{name}: no more time to stop; killed"),
        What::Ended { how, lived, next, unstable, max_restarts } => {
            let what = ended(how, lived);
            let tries = match max_restarts {
                Some(budget) if unstable > 0 => format!(" ({unstable} of {budget})"),
                _ => String::new(),
            };
            match next {
                Next::Completed => log::info!("{name}: {what}; done"),
                Next::RestartNow => log::warn!("{name}: {what}; restarting{tries}"),
                Next::RestartIn(time) => {
                    log::warn!("{name}: {what}; next try in {}{tries}", seconds(time));
                }
                Next::Errored => log::error!("{name}: {what}; given up{tries}"),
            }
        }
    }
}

/// How a run ended and how long it had lived.
pub fn ended(how: Ended, lived: Duration) -> String {
    match how {
        Ended::Exit(Exit::Code(code)) => format!("exit {code} after {}", seconds(lived)),
        Ended::Exit(Exit::Signal { signal, core, oom }) => {
            let cause = if oom { " by the kernel's out-of-memory killer" } else { "" };
            let core = if core { ", core dumped" } else { "" };
            format!("killed{cause} ({}{core}) after {}", signal::name(signal), seconds(lived))
        }
        Ended::Spawn(failure) => format!("cannot start: {}", spawn_failure(failure)),
        Ended::NotReady => format!("not ready within {}", seconds(lived)),
    }
}

/// A failed step and the reason: `execve: No such file or directory`.
pub fn spawn_failure(failure: SpawnFailure) -> String {
    let step = match failure.stage {
        Stage::Pipe => "pipe",
        Stage::Fork => "fork",
        Stage::Setsid => "setsid",
        Stage::Dup => "dup",
        Stage::Chdir => "chdir",
        Stage::Setgroups => "setgroups",
        Stage::Setgid => "setgid",
        Stage::Setuid => "setuid",
        Stage::Execve => "execve",
        Stage::Killed => {
            return format!("{} came before it was running", signal::name(failure.errno));
        }
    };
    format!("{step}: {}", Errno::from_raw(failure.errno).desc())
}

/// An instance's name, its number added where its app has several.
pub fn name(supervisor: &Supervisor, instance: &Instance) -> String {
    match supervisor.app(instance.app) {
        Some(app) if app.size > 1 => format!("{}:{}", app.spec.name, instance.number),
        _ => instance.spec.name.to_string(),
    }
}

/// Why an instance is not up, in one line.
pub fn why_down(supervisor: &Supervisor, instance: &Instance) -> String {
    let name = name(supervisor, instance);
    let last = instance.history.front();
    let last = last.map_or_else(String::new, |past| format!(": {}", ended(past.how, past.lived)));
    match instance.phase {
        Phase::Waiting => {
            format!("{name} waits for {}", supervisor.waits_for(instance).join(", "))
        }
        Phase::Launching { .. } => format!("{name} is launching"),
        Phase::Online { .. } => format!("{name} is online"),
        Phase::Stopping { .. } | Phase::Clearing { .. } => format!("{name} is stopping"),
        Phase::Backoff { .. } => format!("{name} is in back-off{last}"),
        Phase::Down(Down::Idle | Down::Stopped) => format!("{name} is stopped"),
        Phase::Down(Down::Completed) => format!("{name} is completed{last}"),
        Phase::Down(Down::Errored { .. }) => format!("{name} is errored{last}"),
    }
}

/// Why the container ends, in one line.
pub fn farewell(supervisor: &Supervisor, verdict: &Verdict) -> String {
    let culprit = |id| {
        supervisor.instance(id).map_or_else(String::new, |instance| {
            let name = name(supervisor, instance);
            match instance.history.front() {
                Some(past) => format!("{name}: {}", ended(past.how, past.lived)),
                None => name,
            }
        })
    };
    let why = match verdict.cause {
        Cause::AllDone => "every app is done".to_owned(),
        Cause::Requested => "stopped as asked".to_owned(),
        Cause::Interrupted(id) => {
            let name = supervisor.instance(id).map(|one| name(supervisor, one));
            format!("stopped as asked, before {} was done", name.unwrap_or_default())
        }
        Cause::Critical(id) => format!("critical app failed: {}", culprit(id)),
        Cause::NothingLeft(id) => format!("nothing can run any more; {}", culprit(id)),
    };
    format!("{why}; exit status {}", verdict.status)
}

/// A time for people: `0.3 s`, `15 s`, `3 min`.
pub fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0..10 => format!("{:.1} s", time.as_secs_f64()),
        10..120 => format!("{} s", time.as_secs()),
        120..7200 => format!("{} min", time.as_secs() / 60),
        hours => format!("{} h", hours / 3600),
    }
}
