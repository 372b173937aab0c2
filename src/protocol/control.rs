//! The control protocol: newline-delimited JSON over a Unix stream socket.
//!
//! A client sends one [`Request`] a line, at most [`MAX_REQUEST`] bytes, and gets one
//! [`Reply`] a line for each, in order. Unknown fields are ignored, an unknown `op` is
//! answered with [`ErrorKind::BadRequest`], so that old and new versions can meet.

use serde::{Deserialize, Deserializer, Serialize};

/// Version of this protocol; a request with a greater `v` is refused.
pub const VERSION: u32 = 1;

/// The longest request line in bytes, its newline included.
pub const MAX_REQUEST: usize = 64 * 1024;

/// One request line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Protocol version of the client.
    #[serde(default = "version")]
    pub v: u32,
    /// What is asked.
    #[serde(flatten)]
    pub op: Op,
}

fn version() -> u32 {
    VERSION
}

impl Request {
    /// A request of this version.
    pub fn new(op: Op) -> Self {
        Self { v: VERSION, op }
    }
}

/// What is asked. Targets: see [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// Are you there? Answered with an empty [`Answer::Done`].
    Ping,
    /// Answered with [`Answer::Version`].
    Version,
    /// Answered with [`Answer::Status`]; with targets, only the apps and instances they name.
    Status {
        /// Empty: everything.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<Target>,
    },
    /// All there is to know about what the targets name; answered with [`Answer::Details`].
    Describe {
        /// Instances to describe.
        targets: Vec<Target>,
    },
    /// An instance's environment as its next start would get it; answered with [`Answer::Env`].
    Env {
        /// Must name exactly one instance, or the first of its app is taken.
        target: Target,
    },
    /// Start, stop, … what the targets name; answered with [`Answer::Done`] as soon as it is under way.
    Order {
        /// What to do.
        verb: Verb,
        /// To what.
        targets: Vec<Target>,
    },
    /// Change the number of an app's instances.
    Scale {
        /// The app's name.
        app: String,
        /// `N`, `+N` or `-N`.
        to: String,
    },
    /// Send a signal to the main process of each instance named.
    Signal {
        /// `SIGUSR1`, `USR1`, `10`, `RTMIN+3`.
        signal: String,
        /// To whom.
        targets: Vec<Target>,
    },
    /// Answered when the condition holds, can no longer come true, or the time is up.
    Wait {
        /// For what.
        #[serde(rename = "for")]
        until: Until,
        /// For whom.
        targets: Vec<Target>,
        /// Longest wait; absent: for ever.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// One line about health; answered with [`Answer::Health`].
    Health {
        /// Readiness or liveness.
        level: Level,
        /// Empty: everything.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<Target>,
    },
    /// Stop everything and end, as SIGTERM does.
    Shutdown,
}

/// Understands one request line.
///
/// # Errors
/// Says what is wrong with it, ready to be sent back.
pub fn parse(line: &[u8]) -> Result<Op, Refusal> {
    let refuse = |message| Refusal { kind: ErrorKind::BadRequest, message };
    let request: Request =
        serde_json::from_slice(line).map_err(|error| refuse(format!("not understood: {error}")))?;
    if request.v > VERSION {
        let message = format!("this supervisor speaks version {VERSION} of the protocol");
        return Err(refuse(message));
    }
    Ok(request.op)
}

impl Op {
    /// True for what only those may do who may do everything.
    pub fn changes_something(&self) -> bool {
        match self {
            Self::Order { .. } | Self::Scale { .. } | Self::Signal { .. } | Self::Shutdown => true,
            // It shows secrets.
            Self::Env { .. } => true,
            Self::Ping
            | Self::Version
            | Self::Status { .. }
            | Self::Describe { .. }
            | Self::Wait { .. }
            | Self::Health { .. } => false,
        }
    }
}

/// An app name, an instance id, `NAME:INSTANCE`, a namespace, or `all`; in that order of
/// precedence for a text that could be several. `/regex/` is for the client to expand.
pub type Target = String;

/// Orders that need no argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Run what does not run; leaves what runs alone.
    Start,
    /// Stop and keep stopped.
    Stop,
    /// Stop what runs, then start; gives a new restart budget.
    Restart,
    /// Stop and forget.
    Delete,
    /// Set the restart counters to zero.
    Reset,
}

/// What [`Op::Wait`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Every instance named is online and ready.
    Ready,
    /// No instance named has a process or a restart due.
    Stopped,
}

/// What [`Op::Health`] asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Everything that should run is ready.
    Ready,
    /// The supervisor answers and no critical app is errored.
    Live,
}

/// One answer line.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// It could not be done.
    Refused {
        /// Why.
        error: Refusal,
    },
    /// It is done, or here is what was asked.
    Ok(Answer),
}

impl<'de> Deserialize<'de> for Reply {
    // By hand because a derived untagged enum copies the whole line into a tree first and
    // then can only say "did not match any variant".
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Line {
            Error(Refusal),
            Done(Done),
            Version(Version),
            Status(Status),
            Details(Vec<Detail>),
            Env(Vec<(String, String)>),
            Health(Health),
        }
        Ok(match Line::deserialize(deserializer)? {
            Line::Error(error) => Self::Refused { error },
            Line::Done(done) => Self::Ok(Answer::Done(done)),
            Line::Version(version) => Self::Ok(Answer::Version(version)),
            Line::Status(status) => Self::Ok(Answer::Status(status)),
            Line::Details(details) => Self::Ok(Answer::Details(details)),
            Line::Env(env) => Self::Ok(Answer::Env(env)),
            Line::Health(health) => Self::Ok(Answer::Health(health)),
        })
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// For programs.
    pub kind: ErrorKind,
    /// For people: what and why, lower case.
    pub message: String,
}

/// Why a request was refused, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// Not JSON, an unknown `op`, a bad argument, too long.
    BadRequest,
    /// A target names nothing.
    NoSuchTarget,
    /// The client may not do this.
    NotAllowed,
    /// It was tried and did not work.
    Failed,
    /// The time given ran out.
    TimedOut,
    /// Too many clients at once.
    Busy,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done; the ids of the instances concerned.
    Done(Done),
    /// To [`Op::Version`].
    Version(Version),
    /// To [`Op::Status`].
    Status(Status),
    /// To [`Op::Describe`].
    Details(Vec<Detail>),
    /// To [`Op::Env`]: name and value, in the order of the environment.
    Env(Vec<(String, String)>),
    /// To [`Op::Health`].
    Health(Health),
}

/// To an order: which instances it concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Ids of instances, in order.
    pub ids: Vec<u32>,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Of the program.
    pub version: String,
    /// Of the protocol.
    pub protocol: u32,
    /// The supervisor's process id, as it sees itself.
    pub pid: u32,
}

/// Well or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// True: exit status 0.
    pub healthy: bool,
    /// One line for people.
    pub message: String,
}

/// `ctl status --json`, as the contract shows it. `cpu_percent` and `memory_bytes` are
/// 0 from the supervisor; the client fills them in from `/proc`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this shape: 1.
    pub schema: u32,
    /// Of the program.
    pub version: String,
    /// The supervisor's process id, as it sees itself.
    pub pid: u32,
    /// `running` or `stopping`.
    pub state: String,
    /// Since the supervisor's start.
    pub uptime_ms: u64,
    /// Orphans reaped that were no child of ours.
    #[serde(default)]
    pub orphans_reaped: u64,
    /// In order of ids.
    pub apps: Vec<AppStatus>,
}

/// One app in [`Status`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Name.
    pub name: String,
    /// Group.
    pub namespace: String,
    /// `fork` or `cluster`.
    pub exec_mode: String,
    /// Its end for good ends the container.
    pub critical: bool,
    /// In order of instance numbers.
    pub instances: Vec<InstanceStatus>,
}

/// One instance in [`Status`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// PM2's `pm_id`: unique in the supervisor.
    pub id: u32,
    /// Number within the app, from 0.
    pub instance: u32,
    /// Of the main process; 0: none.
    pub pid: u32,
    /// Where it stands.
    pub state: State,
    /// Able to do its work.
    pub ready: bool,
    /// Of the present run; 0: none.
    pub uptime_ms: u64,
    /// Starts after the first, whatever the reason.
    pub restarts: u32,
    /// Consecutive unstable exits.
    pub unstable_restarts: u32,
    /// The restart budget; `None`: without end.
    #[serde(default)]
    pub max_restarts: Option<u32>,
    /// How the last run ended.
    pub last_exit: Option<LastExit>,
    /// Until the next try, in `backoff`.
    pub next_restart_ms: Option<u64>,
    /// Until SIGKILL, in `stopping`.
    #[serde(default)]
    pub kill_in_ms: Option<u64>,
    /// Names of the apps waited for, in `waiting`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
    /// Filled in by the client.
    pub cpu_percent: f64,
    /// Filled in by the client.
    pub memory_bytes: u64,
    /// Ports it listens on.
    pub ports: Vec<u16>,
}

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// For a dependency.
    Waiting,
    /// Started, not ready yet.
    Launching,
    /// Up.
    Online,
    /// Told to stop, or its leftovers are.
    Stopping,
    /// Down by order, or not started (`autostart: false`).
    Stopped,
    /// Will be tried again.
    Backoff,
    /// Given up.
    Errored,
    /// Ended by itself, with success.
    Completed,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastExit {
    /// How.
    #[serde(flatten)]
    pub how: How,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// How long it had lived.
    pub uptime_ms: u64,
}

/// How a run ended: one of the three shapes of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum How {
    /// By itself.
    Code {
        /// Exit status.
        code: i32,
    },
    /// By a signal.
    Signal {
        /// `SIGKILL`.
        signal: String,
        /// Dumped core.
        core: bool,
        /// The kernel's out-of-memory killer did it.
        oom: bool,
    },
    /// It could not be started.
    Spawn {
        /// `execve: No such file or directory`.
        spawn: String,
    },
}

/// All about one instance; answer to [`Op::Describe`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    /// Its app's name.
    pub name: String,
    /// Its app's group.
    pub namespace: String,
    /// `fork` or `cluster`.
    pub exec_mode: String,
    /// Its app is critical.
    pub critical: bool,
    /// As in the status.
    #[serde(flatten)]
    pub instance: InstanceStatus,
    /// Since this instance was made, whatever became of it since.
    #[serde(default)]
    pub age_ms: u64,
    /// What the config named.
    pub script: String,
    /// Where it was found: `absolute`, `working directory`, `config directory`, `PATH`, `not found`.
    pub script_found: String,
    /// The file executed first.
    pub exec_path: String,
    /// Its argument vector.
    pub argv: Vec<String>,
    /// Its interpreter, or `none`.
    pub interpreter: String,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Runs as, `UID:GID`.
    pub identity: Option<String>,
    /// Where its output goes, instance suffix added.
    pub out_file: Option<String>,
    /// Likewise.
    pub error_file: Option<String>,
    /// Likewise.
    pub log_file: Option<String>,
    /// Likewise.
    pub pid_file: Option<String>,
    /// `autorestart`.
    pub autorestart: bool,
    /// `min_uptime`.
    pub min_uptime_ms: u64,
    /// `kill_signal`, by name.
    pub stop_signal: String,
    /// `kill_timeout`.
    pub kill_timeout_ms: u64,
    /// Runs that ended, newest first; a handful.
    pub history: Vec<LastExit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_reads_back_as_it_was_written() {
        let replies = [
            Reply::Refused {
                error: Refusal { kind: ErrorKind::Busy, message: "too many".to_string() },
            },
            Reply::Ok(Answer::Done(Done { ids: vec![1, 2] })),
            Reply::Ok(Answer::Version(Version { version: "1".to_string(), protocol: 1, pid: 7 })),
            Reply::Ok(Answer::Status(Status {
                schema: 1,
                version: "1".to_string(),
                pid: 1,
                state: "running".to_string(),
                uptime_ms: 3,
                orphans_reaped: 0,
                apps: Vec::new(),
            })),
            Reply::Ok(Answer::Details(Vec::new())),
            Reply::Ok(Answer::Env(vec![("A".to_string(), "b".to_string())])),
            Reply::Ok(Answer::Health(Health { healthy: true, message: "fine".to_string() })),
        ];
        for reply in replies {
            let line = serde_json::to_string(&reply).unwrap();
            assert_eq!(serde_json::from_str::<Reply>(&line).unwrap(), reply, "{line}");
        }
    }
}
