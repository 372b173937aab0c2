//! `rsm-init process.json` as PID 1 of a PID namespace, with puppets as apps. Numbers in
//! comments are those of the list in tests/README.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs)]

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::time::Duration;
use support::jail::{Jail, Pid1, puppet_app as app, with};
use support::*;

const USR1: i32 = 10;
const TERM: i32 = 15;

/// Runs once: its end is an end.
fn once(name: &str, words: &str) -> Value {
    with(app(name, words), json!({ "autorestart": false }))
}

fn supervise(apps: &[Value]) -> Pid1 {
    Jail::apps(apps).start()
}

/// How many bytes the puppet's `touch` left: one for each start.
fn starts(path: &std::path::Path) -> u64 {
    fs::metadata(path).map_or(0, |m| m.len())
}

// --- exit status --------------------------------------------------------------------------

#[test]
fn all_ended_cleanly_is_0() {
    needs!("root");
    let (code, out, _) = Jail::apps(&[once("a", "say hello"), once("b", "exit 0")]).run();
    assert_eq!(code, 0);
    assert!(out.iter().any(|l| l.ends_with("hello")), "{out:?}");
}

#[test]
fn one_app_speaks_raw() {
    needs!("root"); // 65
    let (code, out, _) = Jail::apps(&[once("a", "say hello")]).run();
    assert_eq!((code, out), (0, vec!["hello".to_owned()]));
}

#[test]
fn the_first_failure_decides_when_nothing_can_run_any_more() {
    needs!("root"); // 30
    assert_eq!(Jail::apps(&[once("a", "exit 5"), once("b", "exit 0")]).run().0, 5);
    assert_eq!(Jail::apps(&[once("a", "die 9")]).run().0, 137);
    assert_eq!(Jail::apps(&[once("a", "nap 300 exit 6"), once("b", "exit 4")]).run().0, 4);
}

#[test]
fn a_requested_stop_is_0() {
    needs!("root");
    for signal in [TERM, 2, 3, 30, 37] {
        let init = supervise(&[app("a", "obey 2=exit:0")]);
        init.expect("ready");
        init.signal(signal);
        assert_eq!(init.exit(), 0, "signal {signal}");
    }
}

#[test]
fn a_stop_that_interrupts_a_one_shot_is_143() {
    needs!("root");
    let init = supervise(&[app("a", "obey -"), once("job", "obey -")]);
    init.expect_times(2, "ready");
    init.signal(TERM);
    assert_eq!(init.exit(), 143);
}

#[test]
fn a_critical_app_that_failed_for_good_ends_the_container() {
    needs!("root");
    let critical = with(once("db", "nap 200 exit 3"), json!({ "critical": true }));
    let init = supervise(&[app("web", "obey 15=say:bye,15=exit:0"), critical]);
    let (code, out, err) = init.exit_and_output();
    assert_eq!(code, 3);
    assert!(out.iter().any(|l| l.ends_with("bye")), "the others were stopped in order: {out:?}");
    assert!(err.iter().any(|l| l.contains("db")), "the reason goes to stderr: {err:?}");
}

#[test]
fn config_errors_are_78_and_all_are_reported() {
    needs!("root");
    let apps: Vec<Value> = (0..10)
        .map(|i| json!({ "name": format!("app{i}"), "script": "/bin/true", "max_restarts": [i] }))
        .collect();
    let (code, out, err) = Jail::apps(&apps).run();
    assert_eq!(code, 78);
    let count = err.iter().filter(|l| l.contains("process.json:") && l.contains("max_restarts"));
    assert_eq!(count.count(), 10, "{}", err.join("\n"));
    assert!(out.is_empty(), "nothing was started: {out:?}");
    assert_eq!(Jail::args(&["/no/such/process.json"]).run().0, 78);
    assert_eq!(Jail::config("{ apps: [ }").run().0, 78);
}

#[test]
fn usage_errors_are_2() {
    needs!("root");
    assert_eq!(Jail::args(&["--no-such-flag", "x.json"]).run().0, 2);
}

// --- children -----------------------------------------------------------------------------

#[test]
fn an_app_gets_a_session_clean_signals_and_three_descriptors() {
    needs!("root"); // 7, 53; contract §3
    let jail =
        Jail::apps(&[once("a", "report env RSM_APP env RSM_INSTANCE env NODE_APP_INSTANCE")])
            .under(&["env", "--ignore-signal=HUP,INT,PIPE,CHLD", "--block-signal=TERM,USR1"]);
    let (code, out, _) = jail.run();
    assert_eq!(code, 0);
    let report = &out[0];
    assert_eq!(field(report, "pid"), field(report, "pgid"), "{report}");
    assert_eq!(field(report, "pid"), field(report, "sid"), "{report}");
    assert_eq!(field(report, "blocked"), "0", "{report}");
    assert_eq!(field(report, "ignored"), "0", "{report}");
    assert_eq!(field(report, "fds"), "0,1,2", "{report}");
    assert_eq!(&out[1..], ["env RSM_APP=a", "env RSM_INSTANCE=0", "env NODE_APP_INSTANCE=0"]);
}

#[test]
fn a_stopped_app_is_stopped_all_the_same() {
    needs!("root"); // 9
    let init = supervise(&[app("a", "report obey 15=exit:0")]);
    let pid = field(&init.expect("report"), "pid").to_owned();
    init.expect("ready");
    assert_eq!(init.inside(&["kill", "-STOP", &pid]).code, 0);
    let number: u32 = pid.parse().unwrap();
    eventually("it to stop", || init.processes().contains(&(number, 'T')).then_some(()));
    let watch = Watch::start();
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
    assert!(watch.elapsed() < Duration::from_secs(6), "{:?}", watch.elapsed());
}

#[test]
fn a_traced_app_that_ignores_its_signal_is_killed() {
    needs!("root", "strace"); // 10, 29
    let init = supervise(&[with(app("a", "report deaf"), json!({ "kill_timeout": 500 }))]);
    let pid = field(&init.expect("report"), "pid").to_owned();
    init.expect("deaf");
    let mut strace = std::process::Command::new("nsenter");
    strace.args(["-t", &init.pid.to_string(), "-p", "-m", "strace", "-o", "/dev/null", "-p", &pid]);
    let strace = Process::start(strace.stderr(std::process::Stdio::piped()));
    strace.expect_err("attached");
    init.signal(TERM);
    init.exit();
}

#[test]
fn an_app_that_ignores_its_signal_is_killed_in_its_time() {
    needs!("root"); // 29
    let init =
        supervise(&[with(app("a", "spawn deaf ; deaf"), json!({ "kill_timeout": "300ms" }))]);
    init.expect_times(2, "deaf");
    let watch = Watch::start();
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
    let took = watch.elapsed();
    assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_second_stop_kills_now() {
    needs!("root"); // 28
    let init = supervise(&[with(app("a", "obey 15=say:no"), json!({ "kill_timeout": 60000 }))]);
    init.expect("ready");
    init.signal(TERM);
    init.expect("got 15");
    sh(&["sleep", "0.1"]); // closer together they are one request
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
}

#[test]
fn the_whole_tree_is_stopped() {
    needs!("root"); // 36
    let words = "spawn obey 15=say:child-clean,15=exit:0 ; \
                 daemon obey 15=say:daemon-clean,15=exit:0 ; obey 15=exit:0";
    let init = supervise(&[app("a", words)]);
    init.expect_times(3, "ready");
    init.signal(TERM);
    let (code, out, _) = init.exit_and_output();
    assert_eq!(code, 0);
    assert!(out.iter().any(|l| l == "child-clean"), "{out:?}");
    assert!(out.iter().any(|l| l == "daemon-clean"), "{out:?}");
}

#[test]
fn a_daemon_that_holds_the_pipe_does_not_hide_the_end() {
    needs!("root"); // 67
    let init = supervise(&[once("a", "daemon hang ; exit 0"), app("keeper", "obey -")]);
    init.await_state("a", "completed");
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
}

#[test]
fn a_stop_before_the_childs_own_group_exists_is_not_lost() {
    needs!("root", "strace"); // 20, F1
    let inject = "inject=setpgid,setsid:delay_enter=300000";
    let init = Jail::apps(&[app("a", "obey -")])
        .under(&["strace", "-D", "-qq", "-f", "-o", "/dev/null", "-e", inject])
        .start();
    init.await_child();
    let watch = Watch::start();
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
    assert!(watch.elapsed() < Duration::from_secs(7), "{:?}", watch.elapsed());
}

#[test]
fn a_slow_exec_keeps_nobody_waiting() {
    needs!("root", "strace"); // 14
    let inject = "inject=execve:delay_enter=1500000";
    let init = Jail::apps(&[app("a", "say here obey -")])
        .under(&["strace", "-D", "-qq", "-f", "-o", "/dev/null", "-e", inject])
        .start();
    init.await_ctl();
    assert!(init.out().is_empty(), "an answer came only after the exec: {:?}", init.out());
    init.expect("here");
}

// --- restarts -----------------------------------------------------------------------------

#[test]
fn a_crash_loop_ends_after_sixteen_tries_with_the_apps_status() {
    needs!("root"); // 71
    let folder = Folder::new();
    let count = folder.join("count");
    let words = format!("touch {} exit 3", count.display());
    let crasher = with(app("a", &words), json!({ "restart_delay": 5 }));
    let (code, _, err) = Jail::apps(&[crasher]).run();
    assert_eq!(code, 3);
    assert_eq!(starts(&count), 16);
    assert!(err.iter().any(|l| l.contains('a') && l.contains('3')), "{err:?}");
}

#[test]
fn back_off_grows_and_is_shown() {
    needs!("root"); // 71
    let init = supervise(&[app("a", "exit 3"), app("keeper", "obey -")]);
    let state = init.await_state("a", "backoff");
    assert!(state["next_restart_ms"].as_u64().is_some(), "{state}");
    assert_eq!(state["last_exit"]["code"], 3, "{state}");
    let outcome = init.ctl(&["status"]);
    assert_eq!(outcome.code, 3, "something that should run does not: {outcome:?}");
}

#[test]
fn a_hundred_crashers_at_once_come_to_rest() {
    needs!("root"); // 71
    let apps: Vec<Value> = (0..100)
        .map(|i| {
            let app = app(&format!("a{i}"), "exit 3");
            with(app, json!({ "max_restarts": 3, "restart_delay": 20 }))
        })
        .collect();
    assert_eq!(Jail::apps(&apps).run().0, 3);
}

#[test]
fn a_crashed_app_comes_back_and_its_neighbour_is_undisturbed() {
    needs!("root");
    let folder = Folder::new();
    let words = format!("crash 2 {} 1 say up obey -", folder.join("n").display());
    let init = supervise(&[app("a", &words), app("b", "report obey -")]);
    init.expect("up");
    let state = init.await_state("a", "online");
    assert_eq!(state["restarts"], 2, "{state}");
    assert_eq!(state["last_exit"]["code"], 1, "{state}");
    assert_eq!(init.instance("b")["restarts"], 0);
    assert_eq!(init.out().iter().filter(|l| l.contains("report")).count(), 1);
}

#[test]
fn a_stop_during_back_off_starts_nothing_more() {
    needs!("root"); // 40
    let folder = Folder::new();
    let count = folder.join("count");
    let words = format!("touch {} exit 3", count.display());
    let init = supervise(&[with(app("a", &words), json!({ "restart_delay": "1h" }))]);
    init.await_state("a", "backoff");
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
    assert_eq!(starts(&count), 1);
}

#[test]
fn what_cannot_start_is_errored_at_once_with_stage_and_reason() {
    needs!("root"); // 47, 49
    let missing = json!({ "name": "a", "script": "/no/such/file", "interpreter": "none" });
    let init = supervise(&[missing, app("b", "exit 127"), app("keeper", "obey -")]);
    let state = init.await_state("a", "errored");
    let spawn = state["last_exit"]["spawn"].as_str().unwrap_or_default().to_owned();
    assert!(spawn.contains("No such file"), "{state}");
    assert_eq!(state["restarts"], 0, "{state}");
    let own = eventually("b to end", || {
        Some(init.instance("b")["last_exit"].clone()).filter(|e| !e.is_null())
    });
    assert_eq!(own["code"], 127, "its own 127 is no failed exec: {own}");
}

#[test]
fn many_restarts_never_hit_a_bystander() {
    needs!("root"); // 22
    let quick = with(app("quick", "exit 0"), json!({ "min_uptime": 0 }));
    let init = supervise(&[quick, app("bystander", "obey -")]);
    init.expect("ready");
    init.await_ctl();
    eventually("500 restarts", || {
        let state = init.instance("quick");
        assert!(state["state"] != "errored", "{state}");
        (state["restarts"].as_u64()? >= 500).then_some(())
    });
    assert!(!init.out().iter().any(|l| l.contains("got ")), "{:?}", init.out());
}

#[test]
fn a_stranger_with_a_reused_pid_is_never_signalled() {
    needs!("root"); // 21, 22, F12
    let patient = with(app("a", "report exit 3"), json!({ "restart_delay": "1h" }));
    let init = supervise(&[patient, app("keeper", "obey -")]);
    let pid = field(&init.expect("report"), "pid").to_owned();
    init.await_state("a", "backoff");
    // The stranger gets the dead app's pid, and is the leader of a group of that number.
    let script = format!(
        "echo $(({pid} - 1)) >/proc/sys/kernel/ns_last_pid; {} setsid report obey 15=say:hit & wait",
        puppet().display()
    );
    let stranger = eventually("a stranger with that pid", || {
        let mut command = std::process::Command::new("nsenter");
        command.args(["-t", &init.pid.to_string(), "-p", "-m", "sh", "-c", &script]);
        let stranger = Process::start(command.stdout(std::process::Stdio::piped()));
        let report = stranger.expect("report");
        let its = field(&report, "pid").to_owned();
        stranger.expect("ready");
        if its == pid {
            return Some(stranger);
        }
        init.inside(&["kill", "-KILL", &its]);
        None
    });
    assert_ne!(init.ctl(&["signal", "USR1", "a"]).code, 2);
    assert_eq!(init.ctl(&["stop", "a", "--wait"]).code, 0);
    init.signal(10); // to every app, and to nobody else
    init.expect("got 10");
    assert!(stranger.is_running());
    assert_eq!(stranger.out().iter().filter(|l| l.contains("got")).count(), 0);
}

// --- signals ------------------------------------------------------------------------------

#[test]
fn usr1_goes_to_every_app_and_the_others_are_ignored() {
    needs!("root");
    let init = supervise(&[app("a", "obey -"), app("b", "obey -")]);
    init.expect_times(2, "ready");
    for signal in [28, 40, 21, 22, 20, 14, 6, 11] {
        init.signal(signal);
    }
    init.signal(USR1);
    init.expect_times(2, "got 10 ");
    let other = init.out().into_iter().find(|l| l.contains("got ") && !l.contains("got 10 "));
    assert_eq!(other, None);
    init.await_ctl();
    assert_eq!(init.status()["state"], "running");
}

// --- output -------------------------------------------------------------------------------

#[test]
fn several_apps_are_told_apart_and_lines_are_never_split_or_fused() {
    needs!("root"); // 65, 66
    let apps =
        [once("a", "lines 20000 write 100000"), once("b", "lines 20000"), once("c", "say x")];
    let (code, out, _) = Jail::apps(&apps).run();
    assert_eq!(code, 0);
    for name in ["a", "b"] {
        let prefix = format!("{name}:0 | line ");
        let lines: Vec<_> = out.iter().filter_map(|l| l.strip_prefix(&prefix)).collect();
        assert_eq!(lines.len(), 20000, "{name}");
        assert!(lines.iter().enumerate().all(|(i, l)| *l == format!("{i:09}")), "{name}");
    }
    assert!(out.iter().any(|l| l.len() == "a:0 | ".len() + 100_000), "a long line stays whole");
    assert_eq!(out.len(), 40_002);
}

#[test]
fn a_write_that_overflows_the_pipe_behind_half_a_line_is_read() {
    needs!("root"); // 66; the kernel wakes no reader of a pipe that was not empty
    let script =
        "printf abc; sleep .3; dd if=/dev/zero bs=300000 count=1 status=none; echo; echo end";
    let shell = json!({ "name": "a", "script": "/bin/sh", "interpreter": "none",
        "args": ["-c", script], "autorestart": false });
    let (code, out, _) = Jail::apps(&[shell, once("b", "say x")]).run();
    assert_eq!(code, 0);
    assert!(out.iter().any(|l| l == "a:0 | end"));
}

#[test]
fn a_killed_log_writer_loses_nothing() {
    needs!("root");
    let init = supervise(&[once("a", "lines 200000"), once("b", "say x")]);
    init.expect("line 000000100");
    let logger = eventually("the log writer", || {
        init.processes().iter().map(|p| p.0).find(|pid| {
            let command = fs::read(init.proc().join(format!("{pid}/cmdline"))).unwrap_or_default();
            String::from_utf8_lossy(&command).split('\0').any(|word| word == "logger")
        })
    });
    assert_eq!(init.inside(&["kill", "-KILL", &logger.to_string()]).code, 0);
    let (code, out, _) = init.exit_and_output();
    assert_eq!(code, 0);
    let mut next = 0;
    for line in out.iter().filter_map(|l| l.strip_prefix("a:0 | line ")) {
        // At least once: a seam may repeat, but it may not skip.
        let number: u32 = line.parse().unwrap_or_else(|_| panic!("torn line {line:?}"));
        assert!(number <= next, "lines {next} to {number} are lost");
        next = next.max(number + 1);
    }
    assert_eq!(next, 200_000);
}

#[test]
fn files_get_what_they_are_promised() {
    needs!("root");
    let folder = Folder::new();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let logs =
        json!({ "out_file": path("out.log"), "error_file": path("err.log"), "merge_logs": true });
    let (code, _, _) = Jail::apps(&[with(once("a", "lines 1000 err oops"), logs)]).run();
    assert_eq!(code, 0);
    assert_eq!(fs::read_to_string(path("out.log")).unwrap().lines().count(), 1000);
    assert_eq!(fs::read_to_string(path("err.log")).unwrap(), "oops\n");
}

#[test]
fn a_stderr_that_is_full_gone_or_a_full_device_stops_nothing() {
    needs!("root"); // 23, 64, F3, F4, F5
    let (_reader, targets) = bad_outputs();
    for (name, stderr) in targets {
        let init = Jail::apps(&[app("a", "orphans 300 10 obey -")]).stderr(stderr).start();
        init.expect("ready");
        for _ in 0..300 {
            init.signal(28); // ignored "with one line"
        }
        init.signal(USR1);
        init.expect("got 10");
        init.await_no_zombies();
        init.await_ctl();
        init.signal(TERM);
        assert_eq!(init.exit(), 0, "{name}");
    }
}

#[test]
fn a_stdout_nobody_reads_does_not_stop_the_supervisor() {
    needs!("root"); // 64
    let full = full_pipe();
    let init =
        Jail::apps(&[app("a", "lines 100000 obey -"), app("b", "exit 1")]).stdout(full.1).start();
    init.await_state("b", "backoff");
    assert_eq!(init.ctl(&["stop", "a", "--wait"]).code, 0);
    init.await_state("a", "stopped");
}

// --- nothing there ------------------------------------------------------------------------

#[test]
fn closed_standard_descriptors() {
    needs!("root"); // 54, F7
    for script in ["exec \"$@\" <&-", "exec \"$@\" <&- >&-", "exec \"$@\" <&- >&- 2>&-"] {
        let folder = Folder::new();
        let words = format!("report touch {} exit 0", folder.join("n").display());
        let init = Jail::apps(&[once("a", &words)]).under_sh(script);
        assert_eq!(init.run().0, 0, "{script}");
        assert_eq!(starts(&folder.join("n")), 1);
    }
}

#[test]
fn an_empty_root_without_dev_proc_and_tmp() {
    needs!("root", "static"); // 55, 57
    let binary = static_binary().unwrap();
    for closing in ["", "<&- 2>&-"] {
        let root = Folder::new();
        fs::copy(&binary, root.join("rsm-init")).unwrap();
        fs::copy(puppet(), root.join("puppet")).unwrap();
        root.write("process.json", r#"{"name": "a", "script": "/puppet", "interpreter": "none", "args": "report exit 0", "autorestart": false}"#);
        let root = root.path().display();
        let script = format!("exec chroot {root} /rsm-init /process.json {closing}");
        let (code, out, err) = Jail::args(&[]).under_sh(&script).run();
        assert_eq!(code, 0, "{closing}: {err:?}");
        assert!(out.iter().any(|l| l.starts_with("report")), "{closing}: {out:?} {err:?}");
    }
}

#[test]
fn the_binary_may_vanish_while_it_runs() {
    needs!("root"); // 74
    let folder = Folder::new();
    let copy = folder.join("rsm-init");
    fs::copy(binary(), &copy).unwrap();
    let init =
        Jail::apps(&[app("a", "say up obey -"), app("b", "obey -")]).binary(copy.clone()).start();
    init.expect("up");
    init.await_ctl();
    fs::rename(&copy, folder.join("ctl")).unwrap();
    let ctl = |args: &[&str]| {
        let mut command = std::process::Command::new(folder.join("ctl"));
        outcome(command.env("RSM_INIT_SOCKET", init.folder.join("ctl.sock")), args)
    };
    let done = ctl(&["restart", "a", "--wait"]);
    assert_eq!(done.code, 0, "{done:?}");
    init.expect("up");
}

#[test]
fn stale_files_are_replaced_and_a_live_socket_is_not_taken() {
    needs!("root"); // 44
    let jail = Jail::apps(&[app("a", "obey -")]);
    drop(std::os::unix::net::UnixListener::bind(jail.folder().join("ctl.sock")).unwrap());
    let init = jail.start();
    init.expect("ready");
    init.await_ctl();
    let second = Jail::apps(&[app("a", "obey -")])
        .env("RSM_INIT_SOCKET", init.folder.join("ctl.sock").to_str().unwrap())
        .start();
    second.expect("ready");
    assert_eq!(init.ctl(&["status", "--json"]).code, 0);
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
    second.signal(TERM);
    assert_eq!(second.exit(), 0);
}

// --- the control socket -------------------------------------------------------------------

#[test]
fn orphans_by_the_thousand_while_status_answers() {
    needs!("root"); // 1, 2
    let init = supervise(&[once("storm", "orphans 20000 50"), app("b", "report obey -")]);
    init.await_ctl();
    let mut answers = 0;
    while !init.out().iter().any(|l| l.contains("orphans made=20000")) {
        let outcome = init.ctl(&["status", "--json"]);
        assert!(outcome.out.contains("\"schema\""), "{outcome:?}");
        answers += 1;
    }
    assert!(answers > 1, "only {answers} answers during the storm");
    init.await_no_zombies();
    assert_eq!(init.instance("b")["restarts"], 0);
}

#[test]
fn hostile_clients_harm_nobody() {
    needs!("root");
    let init = supervise(&[app("a", "obey -")]);
    init.expect("ready");
    let mut silent: Vec<_> = (0..50).map(|_| init.connect()).collect();
    let mut garbage = init.connect();
    let _ = garbage.write_all(b"\x00\xff{]]\n{}\n[1,2]\n\"x\"\n\n{\"op\":\"no-such\"}\n");
    let mut endless = init.connect();
    endless.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let block = [b'a'; 65536];
    for _ in 0..160 {
        // 10 MB without a newline: refused or dropped, whichever comes first.
        if endless.write_all(&block).is_err() {
            break;
        }
    }
    // Lines with nothing in them are not answered, however many.
    let mut blank = init.connect();
    for _ in 0..160 {
        blank.write_all(&[b'\n'; 65536]).unwrap();
    }
    blank.write_all(b"{\"op\":\"ping\"}\n").unwrap();
    let mut answer = [0; 8];
    std::io::Read::read_exact(&mut blank, &mut answer).unwrap();
    assert_eq!(&answer, b"{\"done\":");
    let mut deaf = init.connect();
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    for _ in 0..20_000 {
        if deaf.write_all(b"{\"v\":1,\"op\":\"status\"}\n").is_err() {
            break;
        }
    }
    let ticks = init.cpu_ticks();
    let memory = fs::read_to_string(format!("/proc/{}/statm", init.pid)).unwrap();
    let pages: u64 = memory.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(pages * 4 < 32 * 1024, "{} kB", pages * 4);
    // Full of silent clients, it may make room or say that it is busy; with room, it answers.
    silent.truncate(5);
    drop((garbage, endless));
    init.await_ctl();
    init.signal(USR1);
    init.expect("got 10");
    sh(&["sleep", "1"]); // the time over which a busy loop would show
    assert!(init.cpu_ticks() < ticks + 30, "spins: {} ticks", init.cpu_ticks() - ticks);
    let mut text = String::new();
    silent[0].write_all(b"{\"v\":1,\"op\":\"ping\"}\n").unwrap();
    silent[0].shutdown(std::net::Shutdown::Write).unwrap();
    silent[0].read_to_string(&mut text).unwrap();
    assert!(text.contains("done"), "the silent one is served when it speaks: {text:?}");
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
}

#[test]
fn ctl_stop_of_the_only_app_keeps_the_container() {
    needs!("root");
    let init = supervise(&[app("a", "obey -")]);
    init.expect("ready");
    init.await_ctl();
    let outcome = init.ctl(&["stop", "a", "--wait"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(init.instance("a")["state"], "stopped");
    assert!(init.is_running());
    assert_eq!(init.ctl(&["start", "a", "--wait"]).code, 0);
    init.expect("ready");
    assert_eq!(init.ctl(&["shutdown"]).code, 0);
    assert_eq!(init.exit(), 0);
}

#[test]
fn ctl_verbs_and_their_statuses() {
    needs!("root");
    let init =
        supervise(&[with(app("web", "obey -"), json!({ "instances": 2 })), app("db", "obey -")]);
    init.expect_times(3, "ready");
    init.await_ctl();
    for (args, code) in [
        (&["ping"][..], 0),
        (&["version"], 0),
        (&["status"], 0),
        (&["describe", "web:1"], 0),
        (&["jlist"], 0),
        (&["health"], 0),
        (&["env", "0"], 0),
        (&["status", "nobody"], 4),
        (&["restart", "nobody"], 4),
        (&["no-such-verb"], 2),
        (&["signal", "USR1", "db"], 0),
        (&["restart", "web", "--wait"], 0),
        (&["scale", "web", "3"], 0),
        (&["wait", "all", "--for", "ready"], 0),
        (&["stop", "web:0", "--wait"], 0),
        (&["wait", "web:0", "--for", "stopped"], 0),
        (&["reset", "all"], 0),
        (&["delete", "web"], 0),
    ] {
        let outcome = init.ctl(args);
        assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
    }
    init.expect("got 10");
    for (verb, code) in [("status", 4), ("health", 1)] {
        let mut nowhere = std::process::Command::new(binary());
        nowhere.arg("ctl").env("RSM_INIT_SOCKET", "/no/such/socket");
        assert_eq!(outcome(&mut nowhere, &[verb]).code, code, "{verb}");
    }
}

#[test]
fn beliefs_equal_facts() {
    needs!("root");
    let init = supervise(&[app("a", "report obey -")]);
    let pid = field(&init.expect("report"), "pid").to_owned();
    init.expect("ready");
    let state = init.await_state("a", "online");
    assert_eq!(state["pid"].to_string(), pid, "{state}");
    assert_eq!(init.status()["pid"], 1);
}

#[test]
fn idle_means_asleep_in_every_process() {
    needs!("root"); // 70, F15
    let init = supervise(&[app("a", "hang"), app("b", "hang")]);
    init.expect_times(2, "hangs");
    let switches = || -> Vec<String> {
        init.processes()
            .iter()
            .map(|(pid, _)| {
                let status = init.proc().join(format!("{pid}/status"));
                let text = fs::read_to_string(status).unwrap_or_default();
                let line = text.lines().find(|l| l.starts_with("voluntary_ctxt"));
                format!("{pid} {}", line.unwrap_or_default())
            })
            .collect()
    };
    sh(&["sleep", "2"]); // start-up settles
    let before = switches();
    sh(&["sleep", "2"]); // the time over which nothing must happen
    assert_eq!(switches(), before);
}

#[test]
fn not_pid_1_works_the_same_and_touches_no_stranger() {
    needs!("root"); // 12, 37
    let aside = format!("{} obey 15=say:hit", puppet().display());
    let init = Jail::apps(&[app("a", "daemon report obey - ; obey -"), once("b", "exit 0")])
        .not_pid_1()
        .env("ASIDE", &aside)
        .start();
    let daemon = init.expect("report");
    assert_ne!(field(&daemon, "ppid"), "1");
    init.await_ctl();
    assert_eq!(init.ctl(&["shutdown"]).code, 0);
    let (code, out, _) = init.exit_and_output();
    assert_eq!(code, 0);
    assert!(!out.iter().any(|l| l.contains("hit")), "{out:?}");
}
