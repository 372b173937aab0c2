//! Statuses for tests.
#![forbid(unsafe_code)]

use crate::protocol::control::{AppStatus, Detail, InstanceStatus, State, Status};

/// An instance in this state; it has run for two minutes if it runs.
pub(super) fn instance(id: u32, state: State) -> InstanceStatus {
    let runs = matches!(state, State::Online | State::Stopping | State::Launching);
    InstanceStatus {
        id,
        instance: 0,
        pid: if runs { id + 10 } else { 0 },
        state,
        ready: state == State::Online,
        uptime_ms: if runs { 125_000 } else { 0 },
        restarts: 0,
        unstable_restarts: 0,
        max_restarts: Some(16),
        last_exit: None,
        next_restart_ms: None,
        kill_in_ms: None,
        waits_for: Vec::new(),
        cpu_percent: 0.0,
        memory_bytes: 0,
        ports: Vec::new(),
    }
}

/// An app with these instances.
pub(super) fn app(name: &str, mut instances: Vec<InstanceStatus>) -> AppStatus {
    for (number, instance) in (0..).zip(&mut instances) {
        instance.instance = number;
    }
    AppStatus {
        name: name.to_string(),
        namespace: "default".to_string(),
        exec_mode: "fork".to_string(),
        critical: false,
        instances,
    }
}

/// A supervisor with these apps.
pub(super) fn status(apps: Vec<AppStatus>) -> Status {
    Status {
        schema: 1,
        version: "0.1.0".to_string(),
        pid: 1,
        state: "running".to_string(),
        uptime_ms: 1000,
        orphans_reaped: 0,
        apps,
    }
}

/// All about an instance.
pub(super) fn detail(name: &str, instance: InstanceStatus) -> Detail {
    Detail {
        name: name.to_string(),
        namespace: "default".to_string(),
        exec_mode: "fork".to_string(),
        critical: false,
        instance,
        age_ms: 200_000,
        script: "server.js".to_string(),
        script_found: "working directory".to_string(),
        exec_path: "/usr/bin/node".to_string(),
        argv: ["node", "/app/server.js", "two words"].map(str::to_string).to_vec(),
        interpreter: "node".to_string(),
        cwd: Some("/app".to_string()),
        identity: None,
        out_file: Some("/var/log/web-out.log".to_string()),
        error_file: None,
        log_file: None,
        pid_file: None,
        autorestart: true,
        min_uptime_ms: 1000,
        stop_signal: "SIGINT".to_string(),
        kill_timeout_ms: 8000,
        history: Vec::new(),
    }
}
