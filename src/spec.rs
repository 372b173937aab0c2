//! What the user asked for, already checked.
//!
//! Only [`crate::config`] makes these from text, and it reports every fault before it
//! makes any. Whoever holds a [`Spec`] may rely on it: names are unique, dependencies
//! exist and have no cycle, counts and times are in range, strings hold no NUL byte.
//! Text is kept as `Box<str>`/`Box<[T]>`: a supervisor of a thousand apps holds a
//! thousand of these for its whole life.
#![forbid(unsafe_code)]

use std::time::Duration;

/// All that one supervisor runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// In the order of the files and of each file.
    pub apps: Vec<AppSpec>,
    /// The supervisor's own settings.
    pub init: InitSpec,
}

/// One app of the config: a program and how many instances of it to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppSpec {
    /// Unique within a [`Spec`].
    pub name: Box<str>,
    /// PM2's group name; `default` unless given.
    pub namespace: Box<str>,
    /// What runs.
    pub command: Command,
    /// How many instances, 1 or more, `max` and negative counts already worked out.
    pub instances: u32,
    /// Fork or cluster.
    pub exec_mode: ExecMode,
    /// Started with the supervisor (`autostart`).
    pub autostart: bool,
    /// The container stops with this app's status when it has failed for good.
    pub critical: bool,
    /// Apps that must have reached a state before this one starts.
    pub depends_on: Box<[Dependency]>,
    /// What happens after an exit.
    pub restart: RestartPolicy,
    /// How an instance is stopped.
    pub stop: StopPolicy,
    /// When an instance counts as ready.
    pub readiness: Readiness,
    /// Where its output goes.
    pub logs: LogSpec,
    /// Where the pid of each instance is written, absolute; instance suffix not yet added.
    pub pid_file: Option<Box<str>>,
}

/// A program with everything `execve(2)` needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Absolute paths, tried in this order while `execve` says ENOENT, ENOTDIR or EACCES. Never empty.
    pub candidates: Box<[Box<str>]>,
    /// The argument vector, `argv[0]` first. Never empty.
    pub argv: Box<[Box<str>]>,
    /// Working directory, absolute; `None`: the supervisor's own.
    pub cwd: Option<Box<str>>,
    /// The app's own variables (`env`, `env_NAME`, `port`), added to what it inherits.
    pub env: Box<[(Box<str>, Box<str>)]>,
    /// What is taken out of the inherited environment first.
    pub filter_env: FilterEnv,
    /// The variable that carries the instance number (`NODE_APP_INSTANCE` unless given).
    pub instance_var: Box<str>,
    /// A variable counted up per instance, from its value in `env` or 0.
    pub increment_var: Option<Box<str>>,
    /// Run as somebody else.
    pub identity: Option<Identity>,
    /// For people: what the config named (`script`), as it stood there.
    pub script: Box<str>,
    /// For people: the interpreter that was chosen; `none` when the file runs itself.
    pub interpreter: Box<str>,
    /// For people: where `script` was found.
    pub found: Found,
}

/// Where a relative `script` was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The path was absolute.
    Absolute,
    /// Below the working directory (PM2's rule).
    WorkingDirectory,
    /// Below the directory of the config file.
    ConfigDirectory,
    /// A name looked up in `PATH`.
    Path,
    /// Nowhere: starting it will fail and say so.
    Nowhere,
}

/// Whom a program runs as. All three are set and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Box<[u32]>,
    /// The user's home directory, for `HOME`.
    pub home: Option<Box<str>>,
    /// The user's name, for `USER` and `LOGNAME`.
    pub name: Option<Box<str>>,
}

/// PM2's `filter_env`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FilterEnv {
    /// Inherit everything.
    #[default]
    Keep,
    /// Inherit nothing (`true`; PM2 documents this and does not do it).
    DropAll,
    /// Drop each variable whose name contains one of these.
    Containing(Box<[Box<str>]>),
    /// Drop the one variable of this name.
    Named(Box<str>),
}

/// PM2's `exec_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecMode {
    /// Plain processes.
    #[default]
    Fork,
    /// Processes that share their listening ports.
    Cluster,
}

/// One entry of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the app leaned on.
    pub app: Box<str>,
    /// What it must have reached.
    pub condition: Condition,
}

/// What a dependency must have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Its processes were started.
    Started,
    /// Its instances are ready.
    Ready,
    /// It ended with success.
    Completed,
}

/// What happens after an exit. See the contract of the crash-loop limiter in the README.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// False: an end is an end.
    pub autorestart: bool,
    /// Exit codes after which nothing is restarted.
    pub stop_exit_codes: Box<[i32]>,
    /// A run that ended sooner is unstable.
    pub min_uptime: Duration,
    /// Consecutive unstable exits allowed; `None`: for ever.
    pub max_restarts: Option<u32>,
    /// How long to wait before a restart.
    pub delay: RestartDelay,
}

/// How long to wait before a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartDelay {
    /// Nothing after a stable run and the first unstable one, then 100 ms doubling up to 15 s, ±10 %.
    BackOff,
    /// Always this long (`restart_delay`).
    Constant(Duration),
    /// This long, then ×1.5 each time up to 15 s (`exp_backoff_restart_delay`).
    Growing(Duration),
}

/// How an instance is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopPolicy {
    /// The first signal, a number (1 to 64).
    pub signal: i32,
    /// How long until SIGKILL.
    pub kill_timeout: Duration,
    /// True: the whole tree is signalled; false: the main process only (`treekill`). SIGKILL always goes to all.
    pub whole_tree: bool,
}

/// When an instance counts as ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// As soon as its program runs.
    Spawned,
    /// When it says so; a failure if it has not by then. Not acted on yet.
    Notified {
        /// The longest wait.
        within: Duration,
    },
}

/// Where an app's output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSpec {
    /// Capture (default), inherit or discard.
    pub mode: LogMode,
    /// Format on the container's own streams; `None`: raw for one instance, prefix for several.
    pub format: Option<LogFormat>,
    /// File for stdout, absolute; instance suffix not yet added.
    pub out_file: Option<Box<str>>,
    /// File for stderr, likewise.
    pub error_file: Option<Box<str>>,
    /// File for both, likewise.
    pub log_file: Option<Box<str>>,
    /// Stamp for each line, in PM2's (dayjs) tokens.
    pub date_format: Option<Box<str>>,
    /// True: all instances share the files; false: `-ID` goes before a final `.log`.
    pub merge: bool,
}

impl LogSpec {
    /// The name of one of the files above for the instance with this `id`.
    ///
    /// Only names that end in `.log` are told apart (PM2's rule): in others the instances mix.
    pub fn path_for(&self, path: &str, id: u32) -> Box<str> {
        match path.strip_suffix(".log") {
            Some(stem) if !self.merge => format!("{stem}-{id}.log").into(),
            _ => path.into(),
        }
    }
}

/// The name of a [`AppSpec::pid_file`] for the instance with this `id`: `web.pid` and `web-3.pid` become
/// `web-ID.pid`, anything else stays as it is (PM2's rule).
pub fn pid_path(path: &str, id: u32) -> Box<str> {
    let Some(stem) = path.strip_suffix(".pid") else { return path.into() };
    let shorter = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let stem = match shorter.strip_suffix('-') {
        Some(name) if shorter.len() < stem.len() => name,
        _ => stem,
    };
    format!("{stem}-{id}.pid").into()
}

/// How output is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogMode {
    /// Through pipes and the log writer.
    #[default]
    Capture,
    /// The app writes to the container's streams itself.
    Inherit,
    /// Nothing is kept and nothing shown (`disable_logs`).
    Discard,
}

/// How a line looks on the container's own streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// As it came.
    Raw,
    /// `name:instance | ` before each line.
    Prefix,
}

/// The supervisor's own settings (top-level `init`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitSpec {
    /// Upper limit for a whole ordered stop, `None`: each app's own limit decides.
    pub shutdown_timeout: Option<Duration>,
    /// Control socket path, instead of the usual places.
    pub socket: Option<Box<str>>,
    /// Mode of the control socket.
    pub socket_mode: u32,
    /// Group that may read through the control socket.
    pub socket_group: Option<u32>,
    /// Where the reason for the end is written; empty: nowhere.
    pub termination_log: Box<str>,
    /// End when nothing can run any more.
    pub exit_when_idle: bool,
    /// Signals handed to every app as they came.
    pub forward_signals: Box<[i32]>,
}

impl Default for InitSpec {
    fn default() -> Self {
        Self {
            shutdown_timeout: None,
            socket: None,
            socket_mode: 0o600,
            socket_group: None,
            termination_log: "/dev/termination-log".into(),
            exit_when_idle: true,
            forward_signals: Box::new([libc::SIGUSR1]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unshared_log_files_carry_the_id() {
        let own = LogSpec::default();
        let shared = LogSpec { merge: true, ..LogSpec::default() };
        assert_eq!(&*own.path_for("/x/web-out.log", 3), "/x/web-out-3.log");
        assert_eq!(&*own.path_for("/x/web.out", 3), "/x/web.out");
        assert_eq!(&*shared.path_for("/x/web-out.log", 3), "/x/web-out.log");
    }

    #[test]
    fn pid_files_carry_the_id_in_place_of_an_older_one() {
        for (path, expected) in [
            ("/x/web.pid", "/x/web-5.pid"),
            ("/x/web-3.pid", "/x/web-5.pid"),
            ("/x/web3.pid", "/x/web3-5.pid"),
            ("/x/run", "/x/run"),
        ] {
            assert_eq!(&*pid_path(path, 5), expected);
        }
    }
}
