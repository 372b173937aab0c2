//! Every key an app may have: its names, the form of its value, and what becomes of it.
//!
//! The order of `names` is the order of precedence. After them comes the camelCase twin
//! of a name with an underscore, which needs no entry, and last the names of long ago.

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A string.
    Text,
    /// A string, or a number that is meant as one.
    Name,
    /// `true`, `"true"`, `1` …
    Flag,
    /// A whole number from .. to.
    Whole(i64, i64),
    /// A time; milliseconds if no unit is given.
    Time,
    /// A time; a negative one is zero.
    Delay,
    /// Bytes.
    Size,
    /// Strings; one string is split at blanks.
    Words,
    /// Strings; one string is one entry.
    List,
    /// Exit codes.
    Codes,
    /// How many instances.
    Instances,
    /// `fork`, `cluster`.
    ExecMode,
    /// Variables.
    Env,
    /// `true`, names or a name.
    FilterEnv,
    /// `true` or paths.
    Watch,
    /// A user or group: name or number.
    Account,
    /// A signal: name or number.
    Signal,
    /// A path, or `true`.
    LogFile,
    /// Names of apps, or a map from name to condition.
    Depends,
    /// `capture`, `inherit`.
    LogMode,
    /// `raw`, `prefix`, `json`.
    LogFormat,
    /// Five or six cron fields.
    Cron,
    /// An object.
    Map,
    /// Anything.
    Any,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It does what it says.
    Acted,
    /// Checked and kept; a warning says that it does nothing yet.
    Later,
    /// Means nothing here (Node's inspector, PM2's own services): accepted silently.
    Quiet,
}

pub(super) struct KeyInfo {
    pub(super) names: &'static [&'static str],
    pub(super) old: &'static [&'static str],
    pub(super) kind: Kind,
    pub(super) role: Role,
}

macro_rules! keys {
    ($($key:ident: [$($name:literal),+] $(old [$($old:literal),+])? => $kind:expr, $role:ident;)+) => {
        /// A key of an app.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub(super) enum Key { $($key),+ }

        use Kind::{Account, Any, Codes, Cron, Delay, Depends, Env, ExecMode, Flag, Instances, List, LogFile, Map, Name, Size, Text, Time, Watch, Whole, Words};

        static KEYS: &[(Key, KeyInfo)] = &[
            $((Key::$key, KeyInfo { names: &[$($name),+], old: &[$($($old),+)?], kind: $kind, role: Role::$role })),+
        ];
    };
}

keys! {
    Name: ["name"] => Name, Acted;
    Namespace: ["namespace"] => Name, Acted;
    Script: ["script", "cmd", "command", "exec"] => Text, Acted;
    Args: ["args"] => Words, Acted;
    Interpreter: ["exec_interpreter", "interpreter"] => Text, Acted;
    NodeArgs: ["node_args", "interpreter_args", "interpreterArgs", "nodeArgs"] => Words, Acted;
    Cwd: ["cwd"] => Text, Acted;
    Env: ["env"] => Env, Acted;
    EnvFile: ["env_file"] => List, Later;
    FilterEnv: ["filter_env"] => Kind::FilterEnv, Acted;
    Instances: ["instances"] => Instances, Acted;
    ExecMode: ["exec_mode"] => ExecMode, Acted;
    ExecuteCommand: ["execute_command"] => Flag, Acted;
    InstanceVar: ["instance_var"] => Text, Acted;
    IncrementVar: ["increment_var"] => Text, Acted;
    AppendEnvToName: ["append_env_to_name"] => Flag, Acted;
    Port: ["port"] => Whole(0, 65535), Acted;

    OutFile: ["out_file", "out_log", "output", "out"] old ["fileOutput"] => Text, Acted;
    ErrorFile: ["error_file", "err_log", "err_file", "err", "error"] old ["fileError"] => Text, Acted;
    LogFile: ["log_file", "log"] => LogFile, Acted;
    PidFile: ["pid_file", "pid"] => Text, Acted;
    MergeLogs: ["merge_logs", "combine_logs"] => Flag, Acted;
    LogDateFormat: ["log_date_format"] => Text, Acted;
    Time: ["time"] => Flag, Acted;
    LogType: ["log_type"] => Text, Later;
    DisableLogs: ["disable_logs"] => Flag, Acted;
    LogMode: ["log_mode"] => Kind::LogMode, Acted;
    LogFormat: ["log_format"] => Kind::LogFormat, Acted;
    LogMaxSize: ["log_max_size"] => Size, Later;
    LogMaxFiles: ["log_max_files"] => Whole(0, 10_000), Later;
    LogRateLimit: ["log_rate_limit"] => Any, Later;
    LogMaxLine: ["log_max_line"] => Size, Later;

    Autostart: ["autostart"] => Flag, Acted;
    Autorestart: ["autorestart"] => Flag, Acted;
    StopExitCodes: ["stop_exit_codes"] => Codes, Acted;
    MinUptime: ["min_uptime"] => Time, Acted;
    MaxRestarts: ["max_restarts"] old ["max"] => Whole(-1, u32::MAX as i64), Acted;
    RestartDelay: ["restart_delay"] => Delay, Acted;
    ExpBackoff: ["exp_backoff_restart_delay"] => Delay, Acted;
    Critical: ["critical"] => Flag, Acted;
    DependsOn: ["depends_on"] => Depends, Acted;

    KillTimeout: ["kill_timeout"] => Time, Acted;
    KillSignal: ["kill_signal", "stop_signal"] => Kind::Signal, Acted;
    KillRetryTime: ["kill_retry_time"] => Time, Quiet;
    Treekill: ["treekill"] => Flag, Acted;
    ShutdownWithMessage: ["shutdown_with_message"] => Flag, Later;
    Drain: ["drain"] => Time, Later;

    WaitReady: ["wait_ready"] => Flag, Later;
    ListenTimeout: ["listen_timeout"] => Time, Later;
    Ready: ["ready"] => Map, Later;
    Live: ["live"] => Map, Later;
    Watchdog: ["watchdog"] => Time, Later;
    Listen: ["listen"] => Any, Later;

    MaxMemoryRestart: ["max_memory_restart"] => Size, Later;
    CronRestart: ["cron_restart", "cron"] => Cron, Later;
    Watch: ["watch"] => Watch, Later;
    IgnoreWatch: ["ignore_watch"] => Words, Later;
    WatchDelay: ["watch_delay"] => Time, Later;
    WatchOptions: ["watch_options"] => Map, Later;

    Uid: ["uid", "user"] old ["run_as_user"] => Account, Acted;
    Gid: ["gid", "group"] old ["run_as_group"] => Account, Acted;
    Groups: ["groups"] => Any, Acted;
    Rlimits: ["rlimits"] => Map, Later;
    Nice: ["nice"] => Whole(-20, 19), Later;
    OomScoreAdj: ["oom_score_adj"] => Whole(-1000, 1000), Later;
    Umask: ["umask"] => Any, Later;
    NoNewPrivileges: ["no_new_privileges"] => Flag, Later;
    Capabilities: ["capabilities"] => Any, Later;

    Username: ["username"] => Any, Quiet;
    NamePrefix: ["name_prefix"] => Any, Quiet;
    Force: ["force"] => Any, Quiet;
    Write: ["write"] => Any, Quiet;
    InstallUrl: ["install_url"] => Any, Quiet;
    PostUpdate: ["post_update"] => Any, Quiet;
    Io: ["io"] => Any, Quiet;
    Trace: ["trace"] => Any, Quiet;
    DisableTrace: ["disable_trace"] => Any, Quiet;
    V8: ["v8"] => Any, Quiet;
    EventLoopInspector: ["event_loop_inspector"] => Any, Quiet;
    DeepMonitoring: ["deep_monitoring"] => Any, Quiet;
    Pmx: ["pmx"] => Any, Quiet;
    Automation: ["automation"] => Any, Quiet;
    Vizion: ["vizion"] => Any, Quiet;
    SourceMapSupport: ["source_map_support"] => Any, Quiet;
    DisableSourceMapSupport: ["disable_source_map_support"] => Any, Quiet;
    WindowsHide: ["windowsHide", "windows_hide"] => Any, Quiet;
    NextGenJs: ["next_gen_js"] => Any, Quiet;
    OneLaunchOnly: ["one_launch_only"] => Any, Quiet;
    Options: ["options"] => Any, Quiet;
    Version: ["version"] => Any, Quiet;
    Description: ["description"] => Any, Quiet;
}

/// How a key was named; less is stronger.
pub(super) type Rank = u8;
const CAMEL: Rank = 100;
const OLD: Rank = 101;

impl Key {
    pub(super) fn info(self) -> &'static KeyInfo {
        &KEYS[self as usize].1
    }

    /// PM2's own name for it.
    pub(super) fn name(self) -> &'static str {
        self.info().names[0]
    }
}

/// True for the names of long ago.
pub(super) fn is_old(rank: Rank) -> bool {
    rank == OLD
}

/// Finds keys by any of their names. Sorted once per load, so that a thousand apps need not search the table.
pub(super) struct Names(Vec<(&'static str, Key, Rank)>);

impl Names {
    pub(super) fn new() -> Self {
        let mut all = Vec::with_capacity(KEYS.len() * 2);
        for (key, info) in KEYS {
            all.extend((0..).zip(info.names).map(|(rank, &name)| (name, *key, rank)));
            all.extend(info.old.iter().map(|&name| (name, *key, OLD)));
        }
        all.sort_unstable_by_key(|&(name, ..)| name);
        Self(all)
    }

    pub(super) fn find(&self, name: &str) -> Option<(Key, Rank)> {
        self.exactly(name).or_else(|| {
            let snake = snake_case(name)?;
            let (key, _) = self.exactly(&snake)?;
            // Only the main names have a twin: PM2 knows `mergeLogs` but not `combineLogs`.
            (key.name() == snake).then_some((key, CAMEL))
        })
    }

    fn exactly(&self, name: &str) -> Option<(Key, Rank)> {
        let index = self.0.binary_search_by(|&(other, ..)| other.cmp(name)).ok()?;
        let (_, key, rank) = self.0[index];
        Some((key, rank))
    }

    /// All names, for suggestions.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|&(name, ..)| name)
    }
}

/// `maxRestarts` → `max_restarts`; `None` if there is no capital inside.
fn snake_case(name: &str) -> Option<String> {
    if !name.bytes().skip(1).any(|byte| byte.is_ascii_uppercase()) || name.contains('_') {
        return None;
    }
    let mut snake = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    Some(snake)
}

/// The environment that `key` names, if it is an `env_NAME`.
pub(super) fn env_name(key: &str) -> Option<&str> {
    let name = key.strip_prefix("env_")?;
    (name != "file" && !name.is_empty() && !name.contains(char::is_whitespace)).then_some(name)
}

/// What somebody who wrote `name` may have meant.
pub(super) fn suggestion(names: &Names, name: &str) -> Option<&'static str> {
    match name {
        "max_memory" => return Some("max_memory_restart"),
        "instance" => return Some("instances"),
        _ => {}
    }
    super::suggest::closest(name, names.all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_at_its_own_place_and_no_name_is_used_twice() {
        for (index, (key, _)) in KEYS.iter().enumerate() {
            assert_eq!(*key as usize, index);
        }
        let names = Names::new();
        assert!(names.0.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn camel_case_twins_exist_only_for_main_names_with_an_underscore() {
        let names = Names::new();
        assert_eq!(names.find("maxRestarts"), Some((Key::MaxRestarts, CAMEL)));
        assert_eq!(names.find("ignoreWatch"), Some((Key::IgnoreWatch, CAMEL)));
        assert_eq!(names.find("combineLogs"), None);
        assert_eq!(names.find("autoRestart"), None);
        assert_eq!(suggestion(&names, "autoRestart"), Some("autorestart"));
        assert_eq!(suggestion(&names, "instnaces"), Some("instances"));
        assert_eq!(suggestion(&names, "colour"), None);
    }
}
