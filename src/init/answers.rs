//! What clients ask, and what they are told.

use std::time::Duration;

use super::waiters::Waiter;
use super::{ClientId, Machine};
use crate::journal;
use crate::moment::Moment;
use crate::protocol::control::{
    Answer, AppStatus, Detail, Done, ErrorKind, Health, How, InstanceStatus, LastExit, Level, Op,
    Refusal, Reply, State, Status, Target, VERSION, Verb, Version,
};
use crate::signal;
use crate::spec::{ExecMode, Found, LogMode};
use crate::supervisor::{
    Action, App, Down, Ended, Event, Exit, Instance, InstanceId, Launch, Order, Past, Phase, Run,
    Supervisor, Wanted,
};

/// The most instances an app may be scaled to.
const MAX_INSTANCES: u32 = 10_000;

/// What becomes of a question.
pub(super) enum Outcome {
    Now(Reply),
    Later(Waiter),
    Shutdown(Reply),
}

/// Where clients are served.
pub(super) struct Desk<'a, M> {
    pub(super) supervisor: &'a mut Supervisor,
    pub(super) machine: &'a mut M,
    pub(super) actions: &'a mut Vec<Action>,
}

impl<M: Machine> Desk<'_, M> {
    pub(super) fn answer(&mut self, client: ClientId, op: Op) -> Outcome {
        let reply = match op {
            Op::Wait { until, targets, timeout_ms } => match self.find(&targets) {
                Ok(ids) => {
                    let now = self.machine.now();
                    return Outcome::Later(Waiter::new(client, until, ids, now, timeout_ms));
                }
                Err(refusal) => Err(refusal),
            },
            Op::Shutdown => {
                return Outcome::Shutdown(Reply::Ok(Answer::Done(Done::default())));
            }
            Op::Ping => Ok(Answer::Done(Done::default())),
            Op::Version => Ok(Answer::Version(Version {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                protocol: VERSION,
                pid: std::process::id(),
            })),
            Op::Status { targets } => self.status(&targets).map(Answer::Status),
            Op::Describe { targets } => self.describe(&targets).map(Answer::Details),
            Op::Env { target } => self.env(&target).map(Answer::Env),
            Op::Order { verb, targets } => self.order(verb, &targets).map(Answer::Done),
            Op::Scale { app, to } => self.scale(&app, &to).map(Answer::Done),
            Op::Signal { signal, targets } => self.signal(&signal, &targets).map(Answer::Done),
            Op::Health { level, targets } => self.health(level, &targets).map(Answer::Health),
        };
        Outcome::Now(match reply {
            Ok(answer) => Reply::Ok(answer),
            Err(error) => Reply::Refused { error },
        })
    }

    fn find(&self, targets: &[Target]) -> Result<Vec<InstanceId>, Refusal> {
        let mut ids = vec![];
        for target in targets {
            let named = self.supervisor.named(target);
            // Nothing at all is still all of it.
            if named.is_empty() && target != "all" {
                return Err(refuse(
                    ErrorKind::NoSuchTarget,
                    format!("no app or instance {target:?}"),
                ));
            }
            ids.extend(named);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    fn order(&mut self, verb: Verb, targets: &[Target]) -> Result<Done, Refusal> {
        let ids = self.find(targets)?;
        let order = match verb {
            Verb::Start => Order::Start,
            Verb::Stop => Order::Stop,
            Verb::Restart => Order::Restart,
            Verb::Delete => Order::Delete,
            Verb::Reset => Order::Reset,
        };
        self.refuse_when_stopping(matches!(order, Order::Start | Order::Restart))?;
        let now = self.machine.now();
        for id in &ids {
            self.supervisor.handle(now, Event::Order(*id, order), self.actions);
        }
        Ok(done(&ids))
    }

    fn refuse_when_stopping(&self, starts: bool) -> Result<(), Refusal> {
        if starts && self.supervisor.is_stopping() {
            return Err(refuse(ErrorKind::Failed, "the supervisor is stopping".to_owned()));
        }
        Ok(())
    }

    fn scale(&mut self, app: &str, to: &str) -> Result<Done, Refusal> {
        self.refuse_when_stopping(true)?;
        let found = self.supervisor.apps().iter().find(|known| &*known.spec.name == app);
        let Some(found) = found.map(|app| app.id) else {
            return Err(refuse(ErrorKind::NoSuchTarget, format!("no app {app:?}")));
        };
        let have = self.supervisor.instances().iter();
        let have = have.filter(|one| one.app == found && one.wanted != Wanted::Gone).count();
        let have = u32::try_from(have).unwrap_or(u32::MAX);
        let number = to.trim_start_matches(['+', '-']).parse::<u32>().ok();
        let target = match (to.as_bytes().first(), number) {
            (Some(b'+'), Some(more)) => have.checked_add(more),
            (Some(b'-'), Some(fewer)) => have.checked_sub(fewer),
            (_, number) => number,
        };
        let Some(target) = target.filter(|target| (1..=MAX_INSTANCES).contains(target)) else {
            let message = format!(
                "cannot scale {app:?} from {have} to {to:?}: expected 1 to {MAX_INSTANCES}, \
                 +N or -N; to have none, stop or delete it"
            );
            return Err(refuse(ErrorKind::BadRequest, message));
        };
        let now = self.machine.now();
        Ok(done(&self.supervisor.scale(now, found, target, self.actions)))
    }

    fn signal(&mut self, name: &str, targets: &[Target]) -> Result<Done, Refusal> {
        let Some(signal) = signal::number(name) else {
            return Err(refuse(ErrorKind::BadRequest, format!("no signal {name:?}")));
        };
        let ids = self.find(targets)?;
        let alive: Vec<(InstanceId, Run)> = ids
            .iter()
            .filter_map(|id| Some((*id, self.supervisor.instance(*id)?.phase.main()?.0)))
            .collect();
        if alive.is_empty() {
            return Err(refuse(ErrorKind::Failed, "no process to signal".to_owned()));
        }
        self.actions.extend(alive.iter().map(|(_, run)| Action::Signal(*run, signal)));
        Ok(done(&alive.iter().map(|(id, _)| *id).collect::<Vec<_>>()))
    }

    fn env(&self, target: &str) -> Result<Vec<(String, String)>, Refusal> {
        let ids = self.find(&[target.to_owned()])?;
        let instance = ids.first().and_then(|id| self.supervisor.instance(*id));
        let Some(instance) = instance else {
            return Err(refuse(ErrorKind::NoSuchTarget, format!("no instance {target:?}")));
        };
        let of = self.supervisor.app(instance.app).map_or(1, |app| app.size);
        let run = Run { instance: instance.id, life: instance.life };
        let app = std::rc::Rc::clone(&instance.spec);
        Ok(self.machine.environment(&Launch { run, app, number: instance.number, of }))
    }

    fn health(&self, level: Level, targets: &[Target]) -> Result<Health, Refusal> {
        let ids = if targets.is_empty() { None } else { Some(self.find(targets)?) };
        let asked = self.supervisor.instances().iter().filter(|instance| {
            ids.as_ref().is_none_or(|ids| ids.binary_search(&instance.id).is_ok())
        });
        let (mut total, mut bad) = (0, None);
        for instance in asked {
            total += 1;
            let is_bad = match level {
                Level::Ready => !matches!(
                    (instance.phase, instance.wanted),
                    (Phase::Online { .. }, _)
                        | (Phase::Down(Down::Completed | Down::Stopped), _)
                        | (_, Wanted::Down | Wanted::Gone)
                ),
                Level::Live => {
                    instance.spec.critical
                        && matches!(instance.phase, Phase::Down(Down::Errored { .. }))
                }
            };
            if is_bad && bad.is_none() {
                bad = Some(instance);
            }
        }
        Ok(match bad {
            None if self.supervisor.is_stopping() && level == Level::Ready => {
                Health { healthy: false, message: "stopping".to_owned() }
            }
            None => {
                let s = if total == 1 { "" } else { "s" };
                Health { healthy: true, message: format!("ok: {total} instance{s}") }
            }
            Some(instance) => {
                Health { healthy: false, message: journal::why_down(self.supervisor, instance) }
            }
        })
    }

    fn status(&self, targets: &[Target]) -> Result<Status, Refusal> {
        let ids = if targets.is_empty() { None } else { Some(self.find(targets)?) };
        let now = self.machine.now();
        let mut apps: Vec<AppStatus> = self.supervisor.apps().iter().map(app_status).collect();
        for instance in self.supervisor.instances() {
            if ids.as_ref().is_some_and(|ids| ids.binary_search(&instance.id).is_err()) {
                continue;
            }
            let place = self.supervisor.apps().binary_search_by_key(&instance.app, |app| app.id);
            if let Ok(place) = place {
                apps[place].instances.push(self.instance_status(instance, now));
            }
        }
        if ids.is_some() {
            apps.retain(|app| !app.instances.is_empty());
        }
        for app in &mut apps {
            app.instances.sort_by_key(|instance| instance.instance);
        }
        let state = if self.supervisor.is_stopping() { "stopping" } else { "running" };
        Ok(Status {
            schema: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            state: state.to_owned(),
            uptime_ms: millis(now.since(Moment::START)),
            orphans_reaped: self.machine.orphans_reaped(),
            apps,
        })
    }

    fn instance_status(&self, instance: &Instance, now: Moment) -> InstanceStatus {
        let main = instance.phase.main();
        let until = |moment: Moment| millis(moment.since(now));
        let last = instance.history.front();
        InstanceStatus {
            id: instance.id.0,
            instance: instance.number,
            pid: main.and_then(|(run, _)| self.machine.pid(run)).unwrap_or(0),
            state: state_of(instance),
            ready: matches!(instance.phase, Phase::Online { .. }),
            uptime_ms: main.map_or(0, |(_, since)| millis(now.since(since))),
            restarts: instance.restarts,
            unstable_restarts: instance.unstable_at(now),
            max_restarts: instance.spec.restart.max_restarts,
            last_exit: last.map(|past| self.last_exit(past, now)),
            next_restart_ms: match instance.phase {
                Phase::Backoff { until: moment } => Some(until(moment)),
                _ => None,
            },
            kill_in_ms: match instance.phase {
                Phase::Stopping { kill_at: Some(moment), killed: false, .. } => Some(until(moment)),
                Phase::Clearing { kill_at, sweeps: 0, .. } => Some(until(kill_at)),
                _ => None,
            },
            waits_for: if instance.phase == Phase::Waiting {
                self.supervisor.waits_for(instance).into_iter().map(str::to_owned).collect()
            } else {
                vec![]
            },
            cpu_percent: 0.0,
            memory_bytes: 0,
            ports: vec![],
        }
    }

    fn last_exit(&self, past: &Past, now: Moment) -> LastExit {
        let at = self.machine.wall_clock().saturating_sub(now.since(past.at));
        LastExit { how: how(past.how), at: rfc3339(at), uptime_ms: millis(past.lived) }
    }

    fn describe(&self, targets: &[Target]) -> Result<Vec<Detail>, Refusal> {
        let now = self.machine.now();
        let found = self.find(targets)?.into_iter();
        let found = found.filter_map(|id| self.supervisor.instance(id));
        Ok(found.map(|instance| self.detail(instance, now)).collect())
    }

    fn detail(&self, instance: &Instance, now: Moment) -> Detail {
        let spec = &instance.spec;
        let (command, logs) = (&spec.command, &spec.logs);
        let captured = logs.mode == LogMode::Capture;
        let file = |path: &Option<Box<str>>| {
            path.as_ref().filter(|_| captured).map(|path| logs.path_for(path, instance.id.0).into())
        };
        Detail {
            name: spec.name.to_string(),
            namespace: spec.namespace.to_string(),
            exec_mode: mode(spec.exec_mode).to_owned(),
            critical: spec.critical,
            instance: self.instance_status(instance, now),
            age_ms: millis(now.since(instance.made)),
            script: command.script.to_string(),
            script_found: match command.found {
                Found::Absolute => "absolute",
                Found::WorkingDirectory => "working directory",
                Found::ConfigDirectory => "config directory",
                Found::Path => "PATH",
                Found::Nowhere => "not found",
            }
            .to_owned(),
            exec_path: command.candidates.first().map(ToString::to_string).unwrap_or_default(),
            argv: command.argv.iter().map(ToString::to_string).collect(),
            interpreter: command.interpreter.to_string(),
            cwd: command.cwd.as_ref().map(ToString::to_string),
            identity: command.identity.as_ref().map(|who| format!("{}:{}", who.uid, who.gid)),
            out_file: file(&logs.out_file),
            error_file: file(&logs.error_file),
            log_file: file(&logs.log_file),
            pid_file: spec
                .pid_file
                .as_ref()
                .map(|path| crate::spec::pid_path(path, instance.id.0).into()),
            autorestart: spec.restart.autorestart,
            min_uptime_ms: millis(spec.restart.min_uptime),
            stop_signal: signal::name(spec.stop.signal),
            kill_timeout_ms: millis(spec.stop.kill_timeout),
            history: instance.history.iter().map(|past| self.last_exit(past, now)).collect(),
        }
    }
}

fn app_status(app: &App) -> AppStatus {
    AppStatus {
        name: app.spec.name.to_string(),
        namespace: app.spec.namespace.to_string(),
        exec_mode: mode(app.spec.exec_mode).to_owned(),
        critical: app.spec.critical,
        instances: vec![],
    }
}

fn mode(mode: ExecMode) -> &'static str {
    match mode {
        ExecMode::Fork => "fork",
        ExecMode::Cluster => "cluster",
    }
}

fn state_of(instance: &Instance) -> State {
    match instance.phase {
        Phase::Waiting => State::Waiting,
        Phase::Launching { .. } => State::Launching,
        Phase::Online { .. } => State::Online,
        Phase::Stopping { .. } | Phase::Clearing { .. } => State::Stopping,
        Phase::Backoff { .. } => State::Backoff,
        Phase::Down(Down::Idle | Down::Stopped) => State::Stopped,
        Phase::Down(Down::Completed) => State::Completed,
        Phase::Down(Down::Errored { .. }) => State::Errored,
    }
}

fn how(ended: Ended) -> How {
    match ended {
        Ended::Exit(Exit::Code(code)) => How::Code { code },
        Ended::Exit(Exit::Signal { signal, core, oom }) => {
            How::Signal { signal: signal::name(signal), core, oom }
        }
        Ended::Spawn(failure) => How::Spawn { spawn: journal::spawn_failure(failure) },
        Ended::NotReady => How::Spawn { spawn: "not ready in time".to_owned() },
    }
}

fn done(ids: &[InstanceId]) -> Done {
    Done { ids: ids.iter().map(|id| id.0).collect() }
}

fn refuse(kind: ErrorKind, message: String) -> Refusal {
    Refusal { kind, message }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time of day in UTC, as RFC 3339 writes it, with milliseconds.
fn rfc3339(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Counted in eras of 400 years that begin on 1 March, so that the leap day is the
    // last of its year (the usual civil-from-days computation).
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        since_1970.subsec_millis()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_799, "2000-02-29T23:59:59.000Z"),
            (1_795_996_800, "2026-11-30T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), text);
        }
    }
}
