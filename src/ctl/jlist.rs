//! PM2's `jlist`: what scripts and exporters written for PM2 read. Only those of its fields
//! that they do read, and never the environment, which PM2 shows with all its secrets.
#![forbid(unsafe_code)]

use crate::protocol::control::{Detail, How, State};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// The list; `now_ms` counts from 1970.
pub(super) fn list(details: &[Detail], now_ms: u64) -> Value {
    details.iter().map(|detail| process(detail, details, now_ms)).collect()
}

fn process(detail: &Detail, all: &[Detail], now_ms: u64) -> Value {
    let instance = &detail.instance;
    let instances = all.iter().filter(|other| other.name == detail.name).count();
    let created_at = now_ms.saturating_sub(detail.age_ms);
    let up_since = match instance.uptime_ms {
        0 => created_at,
        uptime => now_ms.saturating_sub(uptime),
    };
    json!({
        "pid": instance.pid,
        "name": detail.name,
        "pm_id": instance.id,
        "monit": { "memory": instance.memory_bytes, "cpu": instance.cpu_percent },
        "pm2_env": {
            "name": detail.name,
            "namespace": detail.namespace,
            "version": "N/A",
            "status": status(instance.state),
            "pm_id": instance.id,
            "pm_uptime": up_since,
            "created_at": created_at,
            "restart_time": instance.restarts,
            "unstable_restarts": instance.unstable_restarts,
            "exit_code": exit_code(detail),
            "exec_mode": format!("{}_mode", detail.exec_mode),
            "exec_interpreter": detail.interpreter,
            "pm_exec_path": exec_path(detail),
            "pm_cwd": detail.cwd,
            "args": args(detail),
            "node_args": [],
            "instances": instances,
            "NODE_APP_INSTANCE": instance.instance,
            "pm_out_log_path": detail.out_file,
            "pm_err_log_path": detail.error_file,
            "pm_log_path": detail.log_file,
            "pm_pid_path": detail.pid_file,
            "watch": false,
            "autorestart": detail.autorestart,
            "kill_timeout": detail.kill_timeout_ms,
            "node_version": "N/A",
            "axm_actions": [],
            "axm_monitor": {},
            "axm_options": {},
            "env": {},
        }
    })
}

/// PM2's word for it.
fn status(state: State) -> &'static str {
    match state {
        State::Online => "online",
        State::Stopping => "stopping",
        State::Stopped | State::Completed => "stopped",
        State::Launching | State::Waiting => "launching",
        State::Backoff => "waiting restart",
        State::Errored => "errored",
    }
}

/// As a shell would see it; null before the first end.
fn exit_code(detail: &Detail) -> Option<i32> {
    Some(match &detail.instance.last_exit.as_ref()?.how {
        How::Code { code } => *code,
        How::Signal { signal, .. } => 128 + signal.parse::<Signal>().map_or(0, |it| it as i32),
        How::Spawn { .. } => 127,
    })
}

/// The script, as PM2 has it, where an interpreter runs one.
fn exec_path(detail: &Detail) -> &str {
    match detail.argv.get(script_at(detail)) {
        Some(script) if detail.interpreter != "none" => script,
        _ => &detail.exec_path,
    }
}

fn args(detail: &Detail) -> &[String] {
    detail.argv.get(script_at(detail) + 1..).unwrap_or_default()
}

/// Where in the argument vector the program's own name stands: behind the interpreter and its
/// flags, if there is one.
fn script_at(detail: &Detail) -> usize {
    if detail.interpreter == "none" {
        return 0;
    }
    let name = detail.script.rsplit('/').next().unwrap_or_default();
    let script = |word: &String| word.rsplit('/').next() == Some(name);
    detail.argv.iter().skip(1).position(script).map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::samples::{detail, instance};
    use crate::protocol::control::LastExit;

    #[test]
    fn what_scripts_read_is_where_they_read_it() {
        let mut web = detail("web", instance(3, State::Online));
        web.instance.memory_bytes = 5000;
        web.instance.cpu_percent = 1.5;
        let list = list(&[web.clone(), web], 1_000_000);
        let first = &list[0];
        assert_eq!(first["pid"], 13);
        assert_eq!(first["monit"], json!({ "memory": 5000, "cpu": 1.5 }));
        let env = &first["pm2_env"];
        assert_eq!(env["status"], "online");
        assert_eq!(env["exec_mode"], "fork_mode");
        assert_eq!(env["instances"], 2);
        assert_eq!(env["pm_uptime"], 1_000_000 - 125_000);
        assert_eq!(env["created_at"], 1_000_000 - 200_000);
        assert_eq!(env["pm_exec_path"], "/app/server.js");
        assert_eq!(env["args"], json!(["two words"]));
        assert_eq!(env["env"], json!({}));
        assert_eq!(env["exit_code"], Value::Null);
    }

    #[test]
    fn states_have_the_names_of_pm2() {
        let shown =
            |state| list(&[detail("a", instance(0, state))], 0)[0]["pm2_env"]["status"].clone();
        assert_eq!(shown(State::Backoff), "waiting restart");
        assert_eq!(shown(State::Completed), "stopped");
        assert_eq!(shown(State::Waiting), "launching");
    }

    #[test]
    fn a_signal_is_an_exit_code_over_128() {
        let mut web = detail("web", instance(0, State::Errored));
        let how = How::Signal { signal: "SIGKILL".to_string(), core: false, oom: false };
        web.instance.last_exit = Some(LastExit { how, at: String::new(), uptime_ms: 0 });
        assert_eq!(exit_code(&web), Some(137));
    }
}
