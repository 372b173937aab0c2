//! What will really be done, under PM2's names: `check --json`.
//!
//! Built only when somebody asks: the supervisor itself never does.

use serde_json::{Map, Value as Json, json};

use super::app::Draft;
use super::fault::Fault;
use super::forms::{Checked, FilterForm};
use super::keys::Key;
use super::logs;
use super::policy::merges_logs;
use crate::signal;
use crate::spec::{Condition, ExecMode, Found, InitSpec, LogFormat, LogMode, RestartDelay};

pub(super) fn effective(
    drafts: &[Draft<'_>],
    init: &InitSpec,
    log_format: Option<LogFormat>,
    warnings: &[Fault],
) -> Json {
    json!({
        "apps": drafts.iter().map(app).collect::<Vec<_>>(),
        "init": settings(init, log_format),
        "warnings": warnings.iter().map(fault_json).collect::<Vec<_>>(),
    })
}

/// One fault or warning for programs.
pub fn fault_json(fault: &Fault) -> Json {
    json!({ "file": fault.file, "line": fault.line, "column": fault.column, "message": fault.message })
}

fn app(draft: &Draft<'_>) -> Json {
    let spec = &draft.app;
    let command = &spec.command;
    let mut all = Map::new();
    let mut put = |key: &str, value: Json| {
        all.insert(key.to_owned(), value);
    };
    put("name", json!(spec.name));
    put("namespace", json!(spec.namespace));
    // PM2 shows the shell as the script, and so do we.
    put("script", json!(draft.shell.unwrap_or(&command.script)));
    put(
        "args",
        if draft.shell.is_some() {
            json!(command.argv[1..])
        } else {
            json!(draft.given.words(Key::Args))
        },
    );
    put("exec_interpreter", json!(command.interpreter));
    put("node_args", json!(draft.given.words(Key::NodeArgs)));
    put("instances", json!(draft.given.whole(Key::Instances).unwrap_or(1)));
    put("instances_effective", json!(spec.instances));
    put("exec_mode", json!(exec_mode(draft)));
    put("env", environment(draft));
    put("merge_logs", json!(merges_logs(&draft.given)));
    put("autostart", json!(spec.autostart));
    put("autorestart", json!(spec.restart.autorestart));
    put("critical", json!(spec.critical));
    put("min_uptime", json!(millis(spec.restart.min_uptime)));
    put("max_restarts", spec.restart.max_restarts.map_or(json!(-1), |most| json!(most)));
    put("kill_timeout", json!(millis(spec.stop.kill_timeout)));
    put("kill_signal", json!(signal::name(spec.stop.signal)));
    put("treekill", json!(spec.stop.whole_tree));
    put("kill_retry_time", json!(draft.given.time(Key::KillRetryTime).map_or(100, millis)));
    put("instance_var", json!(command.instance_var));
    put("watch", json!(false));
    for flag in ["vizion", "pmx", "automation", "windowsHide"] {
        put(flag, json!(true));
    }
    for item in draft.given.items() {
        if let Some(value) = as_given(item.key, item.node, &item.value) {
            put(item.key.name(), value);
        }
    }
    if let Some(format) = logs::date_format(&draft.given) {
        put("log_date_format", json!(format));
    }
    if let RestartDelay::Growing(_) = spec.restart.delay {
        all.remove(Key::RestartDelay.name());
    }
    for (name, node) in &draft.given.environments {
        all.insert(format!("env_{name}"), node.to_json());
    }
    worked_out(draft, &mut all);
    Json::Object(all)
}

/// What PM2 shows only of a running app, and what it has no name for.
fn worked_out(draft: &Draft<'_>, all: &mut Map<String, Json>) {
    let spec = &draft.app;
    let command = &spec.command;
    let mut put = |key: &str, value: Json| {
        if !value.is_null() {
            all.insert(key.to_owned(), value);
        }
    };
    if let Some(identity) = &command.identity {
        put("uid", json!(identity.uid));
        put("gid", json!(identity.gid));
        put("groups", json!(identity.groups));
    }
    if !spec.depends_on.is_empty() {
        let needs: Map<String, Json> = spec
            .depends_on
            .iter()
            .map(|need| (need.app.to_string(), json!(condition(need.condition))))
            .collect();
        put("depends_on", Json::Object(needs));
    }
    put(
        "log_mode",
        json!(match spec.logs.mode {
            LogMode::Capture => "capture",
            LogMode::Inherit => "inherit",
            LogMode::Discard => "discard",
        }),
    );
    put("pm_exec_path", json!(command.candidates.first()));
    put("pm_argv", json!(command.argv));
    put("pm_cwd", json!(command.cwd));
    put("pm_out_log_path", json!(spec.logs.out_file));
    put("pm_err_log_path", json!(spec.logs.error_file));
    put("pm_log_path", json!(spec.logs.log_file));
    put("pm_pid_path", json!(spec.pid_file));
    put(
        "script_found",
        json!(match command.found {
            Found::Absolute => "absolute",
            Found::WorkingDirectory => "working directory",
            Found::ConfigDirectory => "config directory",
            Found::Path => "PATH",
            Found::Nowhere => "nowhere",
        }),
    );
}

/// The value of a key for the effective config; `None`: said already, in another way.
fn as_given(key: Key, node: &super::value::Node<'_>, value: &Checked<'_>) -> Option<Json> {
    if matches!(
        key,
        Key::Name
            | Key::Script
            | Key::Args
            | Key::NodeArgs
            | Key::Instances
            | Key::ExecMode
            | Key::Env
            | Key::MergeLogs
            | Key::KillSignal
            | Key::Interpreter
            | Key::Uid
            | Key::Gid
            | Key::Groups
            | Key::DependsOn
            | Key::LogMode
            | Key::ExecuteCommand
    ) {
        return None;
    }
    Some(match value {
        Checked::Flag(flag) => json!(flag),
        Checked::Whole(number) => json!(number),
        Checked::Time(time) => json!(millis(*time)),
        Checked::Size(bytes) => json!(bytes),
        Checked::Text(text) => json!(text),
        Checked::Codes { codes, single: true } => json!(codes[0]),
        Checked::Codes { codes, .. } => json!(codes),
        // A single path stays one: PM2 keeps `watch: "src"` as it is.
        Checked::Words(_) if key == Key::Watch => node.to_json(),
        Checked::Words(words) => json!(words),
        Checked::PathOrTrue(path) => path.as_ref().map_or(json!(true), |path| json!(path)),
        Checked::FilterEnv(FilterForm::Keep) => json!(false),
        Checked::FilterEnv(FilterForm::All) => json!(true),
        Checked::FilterEnv(FilterForm::Named(name)) => json!(name),
        Checked::FilterEnv(FilterForm::Containing(parts)) => json!(parts),
        Checked::LogFormat(_) | Checked::Raw => node.to_json(),
        Checked::ExecMode(_) | Checked::Signal(_) | Checked::Depends(_) | Checked::LogMode(_) => {
            return None;
        }
    })
}

fn exec_mode(draft: &Draft<'_>) -> &'static str {
    if draft.given.flag(Key::ExecuteCommand) == Some(true) {
        return "fork";
    }
    match draft.app.exec_mode {
        ExecMode::Fork => "fork_mode",
        ExecMode::Cluster => "cluster_mode",
    }
}

/// As it was written, so that it can be compared; plus what is added on the way.
fn environment(draft: &Draft<'_>) -> Json {
    let mut all = Map::new();
    for variable in &draft.variables {
        let value =
            variable.node.map_or_else(|| json!(variable.value), super::value::Node::to_json);
        all.insert(variable.name.to_string(), value);
    }
    let has_home = draft.variables.iter().any(|variable| variable.name == "HOME");
    if let (Some(identity), false) = (&draft.app.command.identity, has_home)
        && let Some(home) = &identity.home
    {
        all.insert("HOME".into(), json!(home));
    }
    Json::Object(all)
}

fn settings(init: &InitSpec, log_format: Option<LogFormat>) -> Json {
    let mut all = json!({
        "shutdown_timeout": init.shutdown_timeout.map(millis),
        "socket": init.socket,
        "socket_mode": format!("{:04o}", init.socket_mode),
        "socket_group": init.socket_group,
        "termination_log": init.termination_log,
        "exit_when_idle": init.exit_when_idle,
        "forward_signals": init.forward_signals.iter().map(|&signal| signal::name(signal)).collect::<Vec<_>>(),
        "log_format": log_format.map(|format| match format {
            LogFormat::Raw => "raw",
            LogFormat::Prefix => "prefix",
        }),
    });
    if let Some(all) = all.as_object_mut() {
        all.retain(|_, value| !value.is_null());
    }
    all
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Completed => "completed",
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
