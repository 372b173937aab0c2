//! The static binary as PID 1 of containers in an empty image, with puppets as apps.
//! Numbers in comments are those of the list in tests/README.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs)]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::docker::{Container, Plan};
use support::jail::with;
use support::*;

fn app(name: &str, words: &str) -> Value {
    let args: Vec<&str> = words.split_whitespace().collect();
    json!({ "name": name, "script": "/puppet", "interpreter": "none", "args": args })
}

fn once(name: &str, words: &str) -> Value {
    with(app(name, words), json!({ "autorestart": false }))
}

/// Stops it as a user would; the time it took.
fn stop(container: &Container) -> Duration {
    let watch = Watch::start();
    let outcome = container.docker("stop", &["-t", "20"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    watch.elapsed()
}

// --- signals ------------------------------------------------------------------------------

#[test]
fn docker_kill_of_every_signal_reaches_the_command() {
    needs!("docker"); // 15, 32
    let container = Plan::puppet("obey 15=say:term").start();
    container.expect("ready");
    for signal in (1..=64).filter(|s| ![9, 17, 19, 32, 33].contains(s)) {
        container.signal(&signal.to_string());
        let line = container.expect("got ");
        assert!(line.starts_with(&format!("got {signal} ")), "{signal}: {line}");
    }
    container.signal("RTMIN+3");
    container.expect("got 37 ");
}

#[test]
fn docker_stop_ends_well_within_its_time() {
    needs!("docker"); // 30, 36
    let container =
        Plan::apps(&[app("a", "obey 15=say:bye,15=exit:0"), app("b", "obey -")]).start();
    container.expect_times(2, "ready");
    assert!(stop(&container) < Duration::from_secs(8));
    let (code, out, _) = container.exit_and_output();
    assert_eq!(code, 0);
    assert!(out.iter().any(|l| l.ends_with("bye")), "{out:?}");
}

#[test]
fn docker_stop_of_a_stopped_command_ends_at_once() {
    needs!("docker"); // 9
    let container = Plan::puppet("report obey 15=exit:3").start();
    let pid = field(&container.expect("report"), "pid").to_owned();
    container.expect("ready");
    let stopped = container.exec(&["/puppet", "flood", "1", "19", &pid]);
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert!(stop(&container) < Duration::from_secs(8));
    assert_eq!(container.exit(), 3);
}

#[test]
fn a_stubborn_app_is_killed_before_docker_does() {
    needs!("docker"); // 29
    let stubborn = with(app("a", "deaf"), json!({ "kill_timeout": "1s" }));
    let container = Plan::apps(&[stubborn]).start();
    container.expect("deaf");
    let took = stop(&container);
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(container.exit(), 0);
}

#[test]
fn a_stop_right_after_the_start_is_not_lost() {
    needs!("docker"); // 26
    for plan in [Plan::puppet("obey -"), Plan::apps(&[app("a", "obey -")])] {
        let container = plan.create();
        for _ in 0..5 {
            assert_eq!(container.docker("start", &[]).code, 0);
            container.docker("kill", &["-s", "TERM"]);
            let code = container.docker("wait", &[]).out.trim().to_owned();
            assert!(["0", "143"].contains(&code.as_str()), "{code}: {}", container.logs());
        }
    }
}

#[test]
fn in_docker_run_it_ctrl_c_arrives_once() {
    needs!("docker", "script"); // 24, F14
    let container = Plan::puppet("report obey 2=say:int,3=exit:4").start_on_a_terminal();
    let report = container.expect("report");
    assert_eq!(field(&report, "tpgid"), field(&report, "pgid"), "{report}");
    container.expect("ready");
    container.write(b"\x03");
    container.expect("got 2 ");
    container.write(b"\x1c");
    let (code, out, _) = container.exit_and_output();
    assert_eq!(code, 4);
    assert_eq!(out.iter().filter(|l| l.contains("got 2 ")).count(), 1, "{out:?}");
}

#[test]
fn in_a_shared_pid_namespace_we_are_a_subreaper() {
    needs!("docker"); // 43
    let pause = Plan::puppet("hang").start();
    pause.expect("hangs");
    let shared = format!("container:{}", pause.name);
    let words = "daemon report obey 15=exit:0 ; obey 15=exit:0";
    let container = Plan::apps(&[app("a", words)]).with(&["--pid", &shared]).start();
    let daemon = container.expect("report");
    assert_ne!(field(&daemon, "ppid"), "1");
    container.await_state("a", "online");
    assert!(stop(&container) < Duration::from_secs(8));
    assert_eq!(container.exit(), 0);
    assert!(pause.is_running(), "a stranger was killed");
}

// --- restrictions -------------------------------------------------------------------------

#[test]
fn works_with_nothing() {
    needs!("docker"); // 55, 57, 58, 59; contract §8
    for options in [
        &["--read-only"][..],
        &["--user", "12345"],
        &["--user", "12345:54321", "--read-only"],
        &["--cap-drop", "ALL"],
        &["--network", "none"],
        &["--security-opt", "no-new-privileges"],
        &["--user", "12345", "--cap-drop", "ALL", "--read-only", "--tmpfs", "/tmp"],
        &["--log-driver", "none"],
    ] {
        let container =
            Plan::apps(&[app("a", "report obey -"), app("b", "daemon exit 0 ; obey -")])
                .with(options)
                .start();
        container.expect("report");
        container.expect("ready");
        let writable = !options.contains(&"--read-only") || options.contains(&"--tmpfs");
        if writable {
            container.await_state("a", "online");
        }
        let took = stop(&container);
        assert!(took < Duration::from_secs(8), "{options:?}: {took:?}");
        let (code, _, err) = container.exit_and_output();
        assert_eq!(code, 0, "{options:?}: {err:?}");
    }
}

#[test]
fn a_full_process_table_is_borne_and_recovered_from() {
    needs!("docker"); // 50
    let filler = app("filler", "nap 300 fill nap 700 fill nap 1500 free obey -");
    let other = with(app("other", "say up nap 500 exit 1"), json!({ "restart_delay": 600 }));
    let container = Plan::apps(&[filler, other]).with(&["--pids-limit", "20"]).start();
    container.expect("full");
    container.expect("freed");
    container.expect("up");
    container.await_state("filler", "online");
    assert!(stop(&container) < Duration::from_secs(10));
    assert_eq!(container.exit(), 0);
}

#[test]
fn one_process_too_few_for_the_command_is_said() {
    needs!("docker"); // 50
    let (code, _, err) = Plan::puppet("exit 0").with(&["--pids-limit", "1"]).run();
    assert_ne!(code, 0);
    assert!(!err.is_empty(), "why is said");
}

#[test]
fn an_oom_kill_is_reported_as_such() {
    needs!("docker"); // 68
    let container = Plan::apps(&[once("hungry", "eat 400"), app("keeper", "obey -")])
        .with(&["--memory", "40m", "--memory-swap", "40m"])
        .start();
    container.expect("ready");
    let state = container.await_state("hungry", "errored");
    assert_eq!(state["last_exit"]["signal"], "SIGKILL", "{state}");
    assert_eq!(state["last_exit"]["oom"], true, "{state}");
    stop(&container);
}

#[test]
fn an_ordinary_sigkill_is_no_oom_kill() {
    needs!("docker"); // 68
    let container = Plan::apps(&[once("a", "die 9"), app("keeper", "obey -")]).start();
    container.expect("ready");
    let state = container.await_state("a", "errored");
    assert_eq!(state["last_exit"]["oom"], false, "{state}");
    stop(&container);
}

// --- a container's life -------------------------------------------------------------------

#[test]
fn docker_restart_and_a_crash_leave_nothing_in_the_way() {
    needs!("docker"); // 44
    let container = Plan::apps(&[app("a", "obey -")]).create();
    let ping = || {
        let mut command = std::process::Command::new("docker");
        outcome(&mut command, &["exec", &container.name, "rsm-init", "ctl", "ping"]).code == 0
    };
    let up = |times: usize| {
        eventually("the app", || {
            (container.logs().matches("ready").count() == times).then_some(())
        });
        eventually("answer to ctl ping", || ping().then_some(()));
    };
    container.docker("start", &[]);
    up(1);
    assert_eq!(container.docker("restart", &[]).code, 0);
    up(2);
    container.docker("kill", &[]);
    container.docker("wait", &[]);
    container.docker("start", &[]);
    up(3);
}

#[test]
fn a_pause_disturbs_nothing() {
    needs!("docker"); // 45
    let container = Plan::apps(&[app("a", "obey -")]).start();
    container.expect("ready");
    container.await_state("a", "online");
    for _ in 0..2 {
        assert_eq!(container.docker("pause", &[]).code, 0);
        assert_eq!(container.inspect("{{.State.Paused}}"), "true");
        assert_eq!(container.docker("unpause", &[]).code, 0);
    }
    let state = container.await_state("a", "online");
    assert_eq!(state["restarts"], 0, "{state}");
    container.docker("pause", &[]);
    // Docker itself thaws it: stop asks, and after its time kills.
    let outcome = container.docker("stop", &["-t", "5"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
}

#[test]
fn the_images_healthcheck_follows_the_apps() {
    needs!("docker");
    let plan = Plan::image(&docker_image());
    plan.folder().write(
        "process.json",
        &json!([app("a", "crash 0 /tmp/n 1 obey 12=exit:1"), app("b", "obey -")]).to_string(),
    );
    let mount = format!("{}:/app:ro", plan.folder().path().display());
    let container = plan
        .with(&["-v", &mount, "--health-interval", "1s", "--health-timeout", "20s"])
        .with(&["--health-retries", "1", "--health-start-period", "0s"])
        .start();
    container.expect_times(2, "ready");
    let health = |what: &str| {
        eventually(what, || (container.inspect("{{.State.Health.Status}}") == what).then_some(()));
    };
    health("healthy");
    assert_eq!(container.exec(&["ctl", "stop", "a", "--wait"]).code, 0, "ctl by its own name");
    assert_eq!(container.exec(&["ctl", "status"]).code, 0);
    assert_eq!(container.exec(&["rsm-init", "ctl", "start", "a"]).code, 0);
    health("healthy");
    assert!(stop(&container) < Duration::from_secs(8));
}

fn docker_image() -> String {
    support::docker::scratch()
}

#[test]
fn the_reason_of_the_end_is_left_behind() {
    needs!("docker"); // contract §1
    let folder = Folder::new();
    let log = folder.write("log", "");
    let mount = format!("{}:/dev/termination-log", log.display());
    let critical = with(once("db", "say last-words exit 3"), json!({ "critical": true }));
    let container = Plan::apps(&[critical, app("web", "obey -")]).with(&["-v", &mount]).start();
    assert_eq!(container.exit(), 3);
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.lines().next().unwrap_or_default().contains("db"), "{text:?}");
    assert!(text.len() <= 4096);
}

#[test]
fn exec_and_kill_all_from_inside_spare_us() {
    needs!("docker"); // 13, 35
    let container = Plan::apps(&[app("a", "obey -")]).start();
    container.expect("ready");
    container.await_state("a", "online");
    container.exec(&["/puppet", "daemon", "exit", "0", ";", "killall"]);
    container.expect("ready");
    let state = container.await_state("a", "online");
    assert_eq!(state["restarts"], 1, "{state}");
    stop(&container);
    assert_eq!(container.exit(), 0);
}
