//! Carries out one verb: what is asked of the supervisor, in which order, and what is shown.
#![forbid(unsafe_code)]

use super::command::{Command, HELP, Invocation};
use super::processes::Processes;
use super::targets::{batches, expand};
use super::words::Plain;
use super::{Outcome, Trouble, cause, describe, inspect, jlist, status};
use crate::client::{Connection, Deadline, Failure};
use crate::protocol::control::{
    Answer, Detail, ErrorKind, Health, InstanceStatus, Op, Refusal, State, Status, Target, Until,
    Verb, Version,
};
use crate::terminal::Screen;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer lists of ids are counted, not shown.
const IDS_SHOWN: usize = 16;

/// Does it.
pub(super) fn perform(invocation: &Invocation) -> Result<Outcome, Trouble> {
    if invocation.command == Command::Help {
        return Ok(Outcome::done(HELP.to_string()));
    }
    let (json, timeout) = (invocation.json, invocation.timeout);
    let mut session = Session { connection: Connection::open(timeout)?, timeout };
    match &invocation.command {
        Command::Status(targets) => show_status(&mut session, targets, json),
        Command::Describe(targets) => {
            let targets = session.expand(targets)?;
            let (details, processes) = session.details(&targets)?;
            if json {
                return Ok(Outcome::done(line(&details)?));
            }
            let mut text = String::new();
            describe::render(&mut text, &details, &processes, Screen::of_stdout());
            Ok(Outcome::done(text))
        }
        Command::Order(verb, targets) => {
            let targets = session.expand(targets)?;
            let op = |targets| Op::Order { verb: *verb, targets };
            let ids = session.order(op, &targets)?;
            let awaited = match verb {
                Verb::Start | Verb::Restart => Some(Until::Ready),
                Verb::Stop | Verb::Delete => Some(Until::Stopped),
                Verb::Reset => None,
            };
            let gone_is_fine = *verb == Verb::Delete;
            let held = session.hold(invocation.wait, awaited, &targets, gone_is_fine)?;
            let at_once = if *verb == Verb::Reset { "done" } else { "under way" };
            ordered(word(*verb), &ids, held.unwrap_or(at_once), json)
        }
        Command::Scale { app, to } => {
            let ids = session.done(Op::Scale { app: app.clone(), to: to.clone() }, timeout)?;
            // An app scaled to nothing has no instance to wait for.
            let gone_is_fine = true;
            let app = [app.clone()];
            let held = session.hold(invocation.wait, Some(Until::Ready), &app, gone_is_fine)?;
            ordered("scale", &ids, held.unwrap_or("under way"), json)
        }
        Command::Signal { signal, targets } => {
            let targets = session.expand(targets)?;
            let op = |targets| Op::Signal { signal: signal.clone(), targets };
            let ids = session.order(op, &targets)?;
            ordered("signal", &ids, "sent", json)
        }
        Command::Health(level, targets) => {
            let targets = session.expand(targets)?;
            match session.ask(Op::Health { level: *level, targets })? {
                Answer::Health(health) => show_health(&health, json),
                _ => Err(session.confused()),
            }
        }
        Command::Wait { until, targets, within } => {
            let targets = session.expand(targets)?;
            let held = session.hold(Some(*within), Some(*until), &targets, false)?;
            ordered("wait", &[], held.unwrap_or("done"), json)
        }
        Command::Env { target, show } => {
            let targets = session.expand(std::slice::from_ref(target))?;
            let target = targets.into_iter().next().unwrap_or_default();
            match session.ask(Op::Env { target })? {
                Answer::Env(variables) => show_env(variables, *show, json),
                _ => Err(session.confused()),
            }
        }
        Command::Jlist | Command::Prettylist => {
            let details = match session.details(&["all".to_string()]) {
                Ok((details, _)) => details,
                // "all" of nothing.
                Err(trouble) if trouble.status == 4 => Vec::new(),
                Err(trouble) => return Err(trouble),
            };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let list = jlist::list(&details, u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
            if json || invocation.command == Command::Jlist {
                return Ok(Outcome::done(line(&list)?));
            }
            let mut text = String::new();
            inspect::write(&mut text, &list, 0);
            text.push('\n');
            Ok(Outcome::done(text))
        }
        Command::Ping => {
            session.done(Op::Ping, timeout)?;
            let text = if json { line(&json!({ "pong": true }))? } else { "pong\n".to_string() };
            Ok(Outcome::done(text))
        }
        Command::Version => show_version(&session.version()?, json),
        Command::Shutdown => {
            let ids = session.done(Op::Shutdown, timeout)?;
            if let Some(within) = invocation.wait {
                session.connection.wait_for_end(within)?;
            }
            let became = if invocation.wait.is_some() { "ended" } else { "under way" };
            ordered("shutdown", &ids, became, json)
        }
        Command::Help => Ok(Outcome::done(HELP.to_string())),
    }
}

/// A connection and how long an answer may take.
struct Session {
    connection: Connection,
    timeout: Duration,
}

impl Session {
    fn ask(&mut self, op: Op) -> Result<Answer, Trouble> {
        Ok(self.connection.ask(op, self.timeout)?)
    }

    /// An order; the ids it concerned.
    fn done(&mut self, op: Op, within: Duration) -> Result<Vec<u32>, Trouble> {
        match self.connection.ask(op, within)? {
            Answer::Done(done) => Ok(done.ids),
            _ => Err(self.confused()),
        }
    }

    /// An order to many; the ids it concerned.
    fn order(
        &mut self,
        op: impl Fn(Vec<Target>) -> Op,
        targets: &[Target],
    ) -> Result<Vec<u32>, Trouble> {
        let mut ids = Vec::new();
        for batch in batches(targets) {
            ids.extend(self.done(op(batch), self.timeout)?);
        }
        Ok(ids)
    }

    fn status(&mut self, targets: &[Target]) -> Result<Status, Trouble> {
        let mut whole: Option<Status> = None;
        for targets in batches(targets) {
            match (self.ask(Op::Status { targets })?, &mut whole) {
                (Answer::Status(part), None) => whole = Some(part),
                (Answer::Status(part), Some(whole)) => whole.apps.extend(part.apps),
                _ => return Err(self.confused()),
            }
        }
        whole.ok_or_else(|| self.confused())
    }

    fn version(&mut self) -> Result<Version, Trouble> {
        match self.ask(Op::Version)? {
            Answer::Version(version) => Ok(version),
            _ => Err(self.confused()),
        }
    }

    /// With CPU and memory, and the processes they come from.
    fn details(&mut self, targets: &[Target]) -> Result<(Vec<Detail>, Processes), Trouble> {
        let mut details = Vec::new();
        for targets in batches(targets) {
            match self.ask(Op::Describe { targets })? {
                Answer::Details(part) => details.extend(part),
                _ => return Err(self.confused()),
            }
        }
        let supervisor = self.version()?.pid;
        let instances = details.iter_mut().map(|detail| &mut detail.instance).collect();
        let processes = self.measure(instances, supervisor);
        Ok((details, processes))
    }

    /// Fills in CPU and memory, where the pids mean the same to us as to the supervisor.
    fn measure(&self, mut instances: Vec<&mut InstanceStatus>, supervisor: u32) -> Processes {
        let mains: Vec<u32> = instances.iter().map(|instance| instance.pid).collect();
        let same_namespace = self.connection.peer_pid() == Some(supervisor);
        if !same_namespace || mains.iter().all(|&pid| pid == 0) {
            return Processes::default();
        }
        let processes = Processes::read();
        for (instance, usage) in instances.iter_mut().zip(processes.usage(&mains)) {
            let usage = usage.unwrap_or_default();
            instance.cpu_percent = usage.cpu_percent(instance.uptime_ms);
            instance.memory_bytes = usage.memory_bytes;
        }
        processes
    }

    fn expand(&mut self, targets: &[Target]) -> Result<Vec<Target>, Trouble> {
        expand(targets, || {
            let status = self.status(&[])?;
            Ok(status.apps.into_iter().map(|app| app.name).collect())
        })
    }

    /// Waits if that is asked for and there is something to wait for; says what for.
    fn hold(
        &mut self,
        within: Option<Duration>,
        until: Option<Until>,
        targets: &[Target],
        gone_is_fine: bool,
    ) -> Result<Option<&'static str>, Trouble> {
        let (Some(within), Some(until)) = (within, until) else { return Ok(None) };
        let deadline = Deadline::after(within);
        // One by one where a target may be gone: it must not hide those that are not.
        let parts: Vec<Vec<Target>> = match gone_is_fine {
            true => targets.iter().map(|target| vec![target.clone()]).collect(),
            false => batches(targets),
        };
        for targets in parts {
            let left = deadline.remaining();
            let op = Op::Wait {
                until,
                targets: targets.clone(),
                timeout_ms: Some(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)),
            };
            match self.connection.ask(op, left + self.timeout) {
                Ok(Answer::Done(_)) => {}
                Ok(_) => return Err(self.confused()),
                Err(Failure::Refused(Refusal { kind: ErrorKind::NoSuchTarget, .. }))
                    if gone_is_fine => {}
                Err(Failure::Refused(refusal)) => {
                    return Err(self.not_so(until, &targets, refusal));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        Ok(Some(match until {
            Until::Ready => "ready",
            Until::Stopped => "stopped",
        }))
    }

    /// The refusal, and who is the cause of it.
    fn not_so(&mut self, until: Until, targets: &[Target], refusal: Refusal) -> Trouble {
        let mut trouble = Trouble::from(Failure::Refused(refusal));
        if trouble.status != 1 {
            return trouble;
        }
        let Ok(status) = self.status(targets) else { return trouble };
        for app in &status.apps {
            for instance in app.instances.iter().filter(|instance| !holds(until, instance)) {
                let message = &mut trouble.message;
                message.push_str("\n  ");
                let _ = status::name(message, app, instance);
                let _ = write!(message, ": {}", status::word(instance.state));
                let mut why = String::new();
                let _ = cause::write(&mut why, &app.name, instance);
                if !why.is_empty() {
                    let _ = write!(message, ": {why}");
                }
            }
        }
        trouble
    }

    fn confused(&self) -> Trouble {
        Failure::Garbled("it answers another question".to_string()).into()
    }
}

fn holds(until: Until, instance: &InstanceStatus) -> bool {
    match until {
        Until::Ready => instance.ready,
        Until::Stopped => {
            matches!(instance.state, State::Stopped | State::Completed | State::Errored)
        }
    }
}

fn show_status(session: &mut Session, targets: &[Target], json: bool) -> Result<Outcome, Trouble> {
    let wanted = session.expand(targets)?;
    let mut found = session.status(&wanted)?;
    let supervisor = found.pid;
    let instances = found.apps.iter_mut().flat_map(|app| &mut app.instances).collect();
    session.measure(instances, supervisor);
    let status = status::exit_status(&found);
    if json {
        return Ok(Outcome { text: line(&found)?, status });
    }
    let screen = Screen::of_stdout();
    let mut text = String::new();
    status::render(&mut text, &found, screen);
    // Who asks about one app wants to know more than a line.
    if let ([target], [_]) = (wanted.as_slice(), found.apps.as_slice())
        && target != "all"
    {
        let (details, processes) = session.details(&wanted)?;
        text.push('\n');
        describe::render(&mut text, &details, &processes, screen);
    }
    Ok(Outcome { text, status })
}

fn show_health(health: &Health, json: bool) -> Result<Outcome, Trouble> {
    let status = u8::from(!health.healthy);
    let text = if json { line(health)? } else { format!("{}\n", Plain(&health.message)) };
    Ok(Outcome { text, status })
}

fn show_env(
    mut variables: Vec<(String, String)>,
    show: bool,
    json: bool,
) -> Result<Outcome, Trouble> {
    if !show {
        variables.iter_mut().for_each(|(_, value)| *value = "***".to_string());
    }
    if json {
        let object = variables.into_iter().map(|(name, value)| (name, value.into()));
        return Ok(Outcome::done(line(&serde_json::Value::Object(object.collect()))?));
    }
    let mut text = String::new();
    for (name, value) in &variables {
        let _ = writeln!(text, "{}={}", Plain(name), Plain(value));
    }
    Ok(Outcome::done(text))
}

fn show_version(version: &Version, json: bool) -> Result<Outcome, Trouble> {
    if json {
        return Ok(Outcome::done(line(version)?));
    }
    let client = env!("CARGO_PKG_VERSION");
    let Version { version, protocol, pid } = version;
    let supervisor = Plain(version);
    Ok(Outcome::done(format!(
        "supervisor {supervisor} (protocol {protocol}, pid {pid})\nclient {client}\n"
    )))
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Start => "start",
        Verb::Stop => "stop",
        Verb::Restart => "restart",
        Verb::Delete => "delete",
        Verb::Reset => "reset",
    }
}

/// `restart: ready (id 0, 1)`.
fn ordered(verb: &str, ids: &[u32], became: &str, json: bool) -> Result<Outcome, Trouble> {
    if json {
        return Ok(Outcome::done(line(&json!({ "ids": ids }))?));
    }
    let mut text = format!("{verb}: {became}");
    if ids.len() > IDS_SHOWN {
        let _ = write!(text, " ({} instances)", ids.len());
    } else if !ids.is_empty() {
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        let _ = write!(text, " (id {})", ids.join(", "));
    }
    text.push('\n');
    Ok(Outcome::done(text))
}

fn line(value: &impl Serialize) -> Result<String, Trouble> {
    let text = serde_json::to_string(value)
        .map_err(|error| Trouble { message: format!("cannot write JSON: {error}"), status: 1 })?;
    Ok(text + "\n")
}
