//! `rsm-init -- CMD` as PID 1 of a PID namespace, with a puppet as CMD. Numbers in comments
//! are those of the list in tests/README.md.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs)]

mod support;

use std::fs;
use std::time::Duration;
use support::jail::Jail;
use support::*;

const USR1: i32 = 10;
const TERM: i32 = 15;
const CHLD: i32 = 17;
const CONT: i32 = 18;
const TSTP: i32 = 20;

/// 1 to 64 without KILL, STOP and CHLD, and without the two that libc keeps for itself.
fn forwardable() -> impl Iterator<Item = i32> {
    (1..=64).filter(|s| ![9, CHLD, 19, 32, 33].contains(s))
}

fn bit(mask: &str, signal: i32) -> bool {
    u64::from_str_radix(mask, 16).unwrap() >> (signal - 1) & 1 == 1
}

// --- reaping ------------------------------------------------------------------------------

#[test]
fn a_burst_of_orphans_leaves_no_zombie() {
    needs!("root"); // 1
    let init = Jail::puppet("orphans 5000 1000 obey -").start();
    init.expect("orphans made=5000");
    init.expect("ready");
    init.await_no_zombies();
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
}

#[test]
fn twenty_thousand_orphans_and_signals_meanwhile() {
    needs!("root"); // 2, 69
    let init = Jail::puppet("spawn orphans 20000 100 ; obey -").start();
    init.expect("ready");
    let memory = || {
        let text = fs::read_to_string(format!("/proc/{}/status", init.pid)).unwrap();
        let line = text.lines().find(|l| l.starts_with("VmRSS")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = memory();
    for _ in 0..200 {
        init.signal(USR1);
    }
    init.expect("got 10");
    init.expect("orphans made=20000");
    init.await_no_zombies();
    assert!(memory() < before + 256, "grew from {before} to {} kB", memory());
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
}

#[test]
fn daemons_in_other_sessions_are_reaped_and_do_not_change_the_status() {
    needs!("root"); // 3
    let init = Jail::puppet("daemon exit 3 ; daemon exit 4 ; obey 10=exit:42").start();
    init.expect("ready");
    init.await_no_zombies();
    init.signal(USR1);
    assert_eq!(init.exit(), 42);
}

#[test]
fn the_status_is_the_commands_when_a_hundred_orphans_end_with_it() {
    needs!("root"); // 4
    let script = "for i in $(seq 100); do sleep .3 & done; sleep .3; exit 42";
    assert_eq!(Jail::command(&["sh", "-c", script]).run().0, 42);
}

#[test]
fn a_command_that_ends_at_once_is_noticed_every_time() {
    needs!("root"); // 5
    for _ in 0..200 {
        assert_eq!(Jail::command(&["true"]).run().0, 0);
    }
}

#[test]
fn sigchld_ignored_on_entry_is_made_default() {
    needs!("root"); // 6, 8, F2
    let init = Jail::puppet("report exit 7").under(&["env", "--ignore-signal=CHLD"]);
    let (code, out, _) = init.run();
    assert_eq!(code, 7);
    assert!(!bit(field(&out[0], "ignored"), CHLD), "{out:?}");
}

#[test]
fn a_mask_blocked_on_entry_neither_hangs_us_nor_is_lost() {
    needs!("root"); // 7, F20
    let init = Jail::puppet("report exit 7").under(&["env", "--block-signal=CHLD,TERM,USR1"]);
    let (code, out, _) = init.run();
    assert_eq!(code, 7);
    let mask = field(&out[0], "blocked");
    assert!(bit(mask, CHLD) && bit(mask, TERM) && bit(mask, USR1), "{mask}");
    assert!(!bit(mask, TSTP) && !bit(mask, 2) && !bit(mask, 34), "{mask}"); // F8
}

#[test]
fn a_clean_caller_gives_a_clean_child() {
    needs!("root"); // 53, F8, F19
    let (_, out, err) = Jail::puppet("report").run();
    assert_eq!(field(&out[0], "blocked"), "0", "{out:?}");
    // Less what we ourselves were started with ignored: 32 and 33 by posix_spawn of glibc,
    // and whatever nohup or a shell's "&" add.
    let own = fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    // The test harness ignores SIGPIPE for itself; it does not hand that on.
    let own = u64::from_str_radix(own.trim(), 16).unwrap() & !(1 << 12);
    let ignored = u64::from_str_radix(field(&out[0], "ignored"), 16).unwrap();
    assert_eq!(ignored & !(own | 3 << 31), 0, "{out:?}");
    assert_eq!(field(&out[0], "fds"), "0,1,2", "{out:?}");
    assert_eq!(out.len(), 1, "65: nothing of ours on stdout");
    assert!(err.is_empty(), "{err:?}");
}

#[test]
fn ignored_dispositions_pass_through() {
    needs!("root"); // F19
    let init = Jail::puppet("report").under(&["env", "--ignore-signal=HUP,INT,PIPE,TTOU"]);
    let (_, out, _) = init.run();
    for signal in [1, 2, 13, 22] {
        assert!(bit(field(&out[0], "ignored"), signal), "{signal}: {out:?}");
    }
}

#[test]
fn a_stopped_command_still_ends_when_told_to() {
    needs!("root"); // 9
    let init = Jail::puppet("report obey 15=exit:3").start();
    let pid = field(&init.expect("report"), "pid").to_owned();
    init.expect("ready");
    assert_eq!(init.inside(&["kill", "-STOP", &pid]).code, 0);
    let pid: u32 = pid.parse().unwrap();
    eventually("the command to stop", || init.processes().contains(&(pid, 'T')).then_some(()));
    let ticks = init.cpu_ticks();
    init.signal(TERM);
    assert_eq!(init.exit(), 3);
    assert!(ticks < 50, "spins while its child is stopped");
}

#[test]
fn beside_another_pid_1_we_are_a_subreaper() {
    needs!("root"); // 12, 37, 43
    let aside = format!("{} obey 15=say:hit", puppet().display());
    let init = Jail::puppet("report daemon nap 200 report hang ; obey 10=exit:5")
        .not_pid_1()
        .env("ASIDE", &aside)
        .start();
    let command = init.expect("report");
    let daemon = init.expect("report");
    assert_eq!(field(&command, "ppid"), field(&daemon, "ppid"), "the daemon is ours now");
    assert_ne!(field(&command, "ppid"), "1");
    init.expect("hangs");
    let pid = field(&command, "pid").to_owned();
    assert_eq!(init.inside(&["kill", "-USR1", &pid]).code, 0);
    let (code, out, err) = init.exit_and_output();
    assert_eq!(code, 5);
    assert!(!out.iter().any(|l| l.contains("hit")), "a stranger was signalled: {out:?}");
    assert!(err.is_empty(), "no noise about not being PID 1: {err:?}");
}

// --- signals ------------------------------------------------------------------------------

#[test]
fn every_forwardable_signal_reaches_the_command() {
    needs!("root"); // 15, 17, F9, F10, F13
    let init = Jail::puppet("obey 15=say:term").start();
    init.expect("ready");
    for signal in forwardable() {
        init.signal(signal);
        let line = init.expect("got ");
        assert!(line.starts_with(&format!("got {signal} ")), "{signal}: {line}");
    }
}

#[test]
fn queued_real_time_signals_keep_number_order_and_value() {
    needs!("root"); // 16
    let init = Jail::puppet("spawn queue 10 37 1 ; obey -").start();
    for value in 0..10 {
        let line = init.expect("got 37");
        assert_eq!(field(&line, "value"), value.to_string(), "{line}");
    }
}

#[test]
fn a_stop_signal_stops_the_command_and_a_continue_wakes_it() {
    needs!("root"); // 18
    let init = Jail::puppet("report hang").start();
    let pid: u32 = field(&init.expect("report"), "pid").parse().unwrap();
    init.expect("hangs");
    init.signal(TSTP);
    eventually("the command to stop", || init.processes().contains(&(pid, 'T')).then_some(()));
    init.signal(CONT);
    eventually("the command to go on", || init.processes().contains(&(pid, 'S')).then_some(()));
    init.signal(TERM);
    assert_eq!(init.exit(), 143);
}

#[test]
fn a_signal_before_the_childs_own_group_exists_is_not_lost() {
    needs!("root", "strace"); // 20, F1
    for _ in 0..3 {
        let init = Jail::puppet("obey -")
            .under(&[
                "strace",
                "-D",
                "-qq",
                "-f",
                "-o",
                "/dev/null",
                "-e",
                "inject=setpgid,setsid:delay_enter=300000",
            ])
            .start();
        init.await_child();
        init.signal(TERM);
        assert!([0, 143].contains(&init.exit()));
    }
}

#[test]
fn a_flood_of_signals_does_not_starve_the_reaper() {
    needs!("root"); // 27, F4
    let init = Jail::puppet("spawn nap 50 orphans 2000 10 ; obey 15=exit:0").start();
    init.expect("ready");
    let flood = [puppet().to_str().unwrap(), "flood", "100000", "10", "1"].map(str::to_owned);
    let outcome = init.inside(&flood.each_ref().map(String::as_str));
    assert_eq!(outcome.code, 0, "{outcome:?}");
    init.expect("orphans made=2000");
    init.await_no_zombies();
    init.signal(TERM);
    assert_eq!(init.exit(), 0);
}

#[test]
fn a_second_term_is_forwarded_again() {
    needs!("root"); // 28
    let init = Jail::puppet("obey 15=say:term,10=exit:9").start();
    init.expect("ready");
    init.signal(TERM);
    init.expect("got 15");
    init.signal(TERM);
    init.expect("got 15");
    init.signal(USR1);
    assert_eq!(init.exit(), 9);
}

#[test]
fn a_command_that_dies_of_a_signal_gives_128_and_its_number() {
    needs!("root"); // 30, 72
    for signal in [1, 6, 9, 11, TERM, 34, 64] {
        assert_eq!(Jail::puppet(&format!("die {signal}")).run().0, 128 + signal);
    }
}

#[test]
fn term_before_anything_is_set_up_is_not_lost() {
    needs!("root"); // 26
    for _ in 0..20 {
        let init = Jail::puppet("obey -").start();
        // From the moment PID 1 is ours; earlier, it is still unshare's copy of itself.
        eventually("our exec", || {
            let name = fs::read_to_string(format!("/proc/{}/comm", init.pid)).ok()?;
            name.starts_with("rsm-init").then_some(())
        });
        // A default action is dropped by the kernel until the first system call.
        let mask = || {
            let status = fs::read_to_string(format!("/proc/{}/status", init.pid)).ok()?;
            let line = status.lines().find(|l| l.starts_with("SigBlk"))?.to_owned();
            bit(line.split_whitespace().nth(1)?, TERM).then_some(())
        };
        eventually("signals to be blocked", mask);
        init.signal(TERM);
        assert!([0, 143].contains(&init.exit()));
    }
}

#[test]
fn a_command_we_may_not_signal_is_said_once_and_borne() {
    needs!("root"); // 31, F6
    let init = Jail::puppet("uid 12345 say ready nap 1500 exit 9")
        .under(&["setpriv", "--bounding-set=-kill", "--inh-caps=-kill"])
        .start();
    init.expect("ready");
    for _ in 0..5 {
        init.signal(USR1);
        init.signal(TERM);
    }
    let (code, _, err) = init.exit_and_output();
    assert_eq!(code, 9);
    assert_eq!(err.len(), 1, "{err:?}");
}

#[test]
fn kill_all_from_inside_spares_us() {
    needs!("root"); // 35
    let init = Jail::puppet("spawn hang ; killall exit 3");
    assert_eq!(init.run().0, 3);
    assert_eq!(Jail::puppet("spawn nap 100 killall ; hang").run().0, 137);
}

// --- the terminal -------------------------------------------------------------------------

struct Terminal {
    master: std::os::fd::OwnedFd,
    slave: std::os::fd::OwnedFd,
}

impl Terminal {
    fn open() -> Self {
        let pair = nix::pty::openpty(None, None).unwrap();
        // Not for the child: a terminal hangs up when its last master closes.
        nix::fcntl::fcntl(
            &pair.master,
            nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC),
        )
        .unwrap();
        Self { master: pair.master, slave: pair.slave }
    }

    /// The init as leader of its session, as `docker run -it` starts it.
    fn start(&self, jail: Jail) -> support::jail::Pid1 {
        jail.under(&["setsid", "-c"]).stdin(self.slave.try_clone().unwrap()).start()
    }

    fn type_in(&self, text: &str) {
        nix::unistd::write(&self.master, text.as_bytes()).unwrap();
    }
}

#[test]
fn ctrl_c_arrives_once() {
    needs!("root"); // 24, F14
    let tty = Terminal::open();
    let init = tty.start(Jail::puppet("report obey 2=say:int"));
    let report = init.expect("report");
    assert_eq!(field(&report, "tpgid"), field(&report, "pgid"), "in the foreground");
    init.expect("ready");
    tty.type_in("\x03");
    init.expect("got 2 ");
    tty.type_in("\x1c");
    init.expect("got 3 ");
    init.signal(USR1);
    init.expect("got 10 ");
    let count = |s: &str| init.out().iter().filter(|l| l.starts_with(s)).count();
    assert_eq!((count("got 2 "), count("got 3 ")), (1, 1), "{:?}", init.out());
}

#[test]
fn a_resize_arrives_once() {
    needs!("root"); // 25
    let tty = Terminal::open();
    let init = tty.start(Jail::puppet("obey -"));
    init.expect("ready");
    support::resize(&tty.master, 50, 20);
    init.expect("got 28 ");
    init.signal(USR1);
    init.expect("got 10 ");
    assert_eq!(init.out().iter().filter(|l| l.starts_with("got 28")).count(), 1);
}

#[test]
fn a_hang_up_ends_the_command() {
    needs!("root"); // 33
    let tty = Terminal::open();
    let init = tty.start(Jail::puppet("obey 1=exit:5"));
    init.expect("ready");
    drop(tty);
    assert_eq!(init.exit(), 5);
}

#[test]
fn job_control_works_in_a_shell() {
    needs!("root"); // 19, F8
    let tty = Terminal::open();
    let init = tty.start(Jail::command(&["bash", "--norc", "--noprofile", "-i"]));
    tty.type_in("echo up-$((1+1))\n");
    init.expect("up-2");
    tty.type_in("sh -c 'echo job-$((1+1)); exec cat'\n");
    init.expect("job-2");
    tty.type_in("\x1a");
    init.expect_err("Stopped");
    tty.type_in("kill %1; echo back-$((1+1)); exit 4\n");
    init.expect("back-2");
    tty.type_in("exit 4\n");
    assert_eq!(init.exit(), 4);
}

#[test]
fn odd_terminals_do_not_keep_us_from_starting() {
    needs!("root"); // 61, 62
    let foreign = Terminal::open();
    let jail = Jail::puppet("exit 7").stdin(foreign.slave.try_clone().unwrap());
    assert_eq!(jail.run().0, 7, "the terminal of another session");
    let gone = Terminal::open();
    let slave = gone.slave.try_clone().unwrap();
    drop(gone);
    assert_eq!(Jail::puppet("exit 7").stdin(slave).run().0, 7, "a terminal that hung up");
}

// --- the end ------------------------------------------------------------------------------

#[test]
fn leftovers_get_term_and_time_and_the_end_follows_the_last_at_once() {
    needs!("root"); // 36, F11, F21
    let init = Jail::puppet(
        "spawn obey 15=say:group-clean,15=exit:0 ; \
         daemon obey 15=say:session-clean,15=exit:0 ; obey 10=exit:5",
    )
    .start();
    init.expect_times(3, "ready");
    let watch = Watch::start();
    init.signal(USR1);
    let (code, out, _) = init.exit_and_output();
    assert_eq!(code, 5);
    assert!(out.iter().any(|l| l == "group-clean"), "{out:?}");
    assert!(out.iter().any(|l| l == "session-clean"), "{out:?}");
    assert!(watch.elapsed() < Duration::from_millis(1900), "{:?}", watch.elapsed());
}

#[test]
fn leftovers_that_do_not_listen_are_killed_after_two_seconds() {
    needs!("root"); // 29, 39
    let init = Jail::puppet("spawn deaf ; daemon deaf ; nap 300 exit 5").start();
    init.expect_times(2, "deaf");
    let watch = Watch::start();
    assert_eq!(init.exit(), 5);
    assert!(watch.elapsed() > Duration::from_millis(1500), "{:?}", watch.elapsed());
}

#[test]
fn a_stopped_leftover_is_woken_to_hear_its_term() {
    needs!("root"); // 9, 36
    let init = Jail::puppet("daemon report obey 15=say:clean,15=exit:0 ; obey 10=exit:5").start();
    let daemon = field(&init.expect("report"), "pid").to_owned();
    init.expect_times(2, "ready");
    assert_eq!(init.inside(&["kill", "-STOP", &daemon]).code, 0);
    let pid: u32 = daemon.parse().unwrap();
    eventually("it to stop", || init.processes().contains(&(pid, 'T')).then_some(()));
    init.signal(USR1);
    let (code, out, _) = init.exit_and_output();
    assert_eq!(code, 5);
    assert!(out.iter().any(|l| l == "clean"), "{out:?}");
}

#[test]
fn a_leftover_that_keeps_forking_does_not_get_away() {
    needs!("root"); // 39
    assert_eq!(Jail::puppet("spawn chase ; nap 100 exit 5").run().0, 5);
}

// --- start --------------------------------------------------------------------------------

#[test]
fn what_cannot_be_executed_has_the_shells_statuses() {
    needs!("root"); // 47, 48, F18
    let folder = Folder::new();
    let text = folder.write("no-x", "echo no\n");
    let dead = folder.script("dead", "#!/no/such/interpreter\n");
    let code = |command: &str| Jail::command(&[command]).run();
    for (command, status) in [
        ("no-such-program-anywhere", 127),
        ("/no/such/file", 127),
        ("", 127),
        (folder.path().to_str().unwrap(), 126),
        (text.to_str().unwrap(), 126),
        (dead.to_str().unwrap(), 127),
    ] {
        let (got, out, err) = code(command);
        assert_eq!(got, status, "{command:?}: {err:?}");
        assert!(out.is_empty(), "nothing of ours on stdout: {out:?}");
        assert_eq!(err.len(), 1, "{command:?}: one line says why, and once: {err:?}"); // F17
    }
    std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
    assert!([1, 126].contains(&code(folder.join("loop").to_str().unwrap()).0), "ELOOP");
}

#[test]
fn a_file_on_a_noexec_mount_is_126() {
    needs!("root"); // 47
    let script = format!(
        "mount -t tmpfs -o noexec none /mnt && cp {} /mnt/puppet && exec \"$@\"",
        puppet().display()
    );
    assert_eq!(Jail::command(&["/mnt/puppet"]).under_sh(&script).run().0, 126);
}

#[test]
fn a_script_without_shebang_is_run_by_sh() {
    needs!("root"); // 47
    let folder = Folder::new();
    let script = folder.script("script", "echo \"$1\"; exit 6\n");
    let (code, out, _) = Jail::command(&[script.to_str().unwrap(), "word"]).run();
    assert_eq!((code, out), (6, vec!["word".to_owned()]));
}

#[test]
fn the_path_is_searched_as_a_shell_does() {
    needs!("root"); // 48
    let folder = Folder::new();
    folder.write("a/tool", "not executable\n");
    folder.script("b/tool", "#!/bin/sh\nexit 5\n");
    let (a, b) = (folder.join("a"), folder.join("b"));
    let path = format!("{}:{}:/usr/bin:/bin", a.display(), b.display());
    assert_eq!(Jail::command(&["tool"]).env("PATH", &path).run().0, 5, "goes on after EACCES");
    let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", a.display());
    assert_eq!(Jail::command(&["tool"]).env("PATH", &path).run().0, 126, "remembers it");
    let unset = Jail::command(&["true"]).under(&["env", "-u", "PATH"]);
    assert_eq!(unset.run().0, 0, "a default without PATH");
}

#[test]
fn a_command_that_ends_with_127_by_itself_is_no_failure_of_ours() {
    needs!("root"); // 49
    let (code, _, err) = Jail::puppet("exit 127").run();
    assert_eq!(code, 127);
    assert!(err.is_empty(), "{err:?}");
}

#[test]
fn descriptor_limits_large_and_small() {
    needs!("root"); // 51
    let huge = Jail::puppet("exit 7").under_sh("ulimit -n $(ulimit -Hn); exec \"$@\"");
    let watch = Watch::start();
    assert_eq!(huge.run().0, 7);
    assert!(watch.elapsed() < Duration::from_secs(5));
    let tiny = Jail::puppet("exit 7").under_sh("ulimit -n 16; exec \"$@\"");
    assert_eq!(tiny.run().0, 7);
}

#[test]
fn inherited_descriptors_go_to_the_command_and_are_not_kept() {
    needs!("root"); // 16, 52, F16
    let jail = Jail::puppet("report env LISTEN_PID env LISTEN_FDS obey -")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDS", "1")
        .under_sh("exec 3<marker 7<marker; exec \"$@\"");
    jail.folder().write("marker", "");
    let init = jail.start();
    let report = init.expect("report");
    assert_eq!(field(&report, "fds"), "0,1,2,3,7");
    assert_eq!(init.expect("env LISTEN_PID"), format!("env LISTEN_PID={}", field(&report, "pid")));
    init.expect("env LISTEN_FDS=1");
    init.expect("ready");
    for entry in fs::read_dir(format!("/proc/{}/fd", init.pid)).unwrap().flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default();
        assert!(!target.ends_with("marker"), "{:?} is still open in PID 1", entry.file_name());
    }
}

#[test]
fn attributes_pass_through() {
    needs!("root"); // 63
    let (_, out, _) = Jail::command(&["sh", "-c", "umask; nice; ulimit -c; echo $0 $FOO", "x"])
        .env("FOO", "bar")
        .under_sh("umask 027; ulimit -c 0; exec nice -n 5 \"$@\"")
        .run();
    assert_eq!(out, ["0027", "5", "0", "x bar"]);
}

#[test]
fn closed_standard_descriptors() {
    needs!("root"); // 54, F7
    for script in
        ["exec \"$@\" <&-", "exec \"$@\" >&-", "exec \"$@\" 2>&-", "exec \"$@\" <&- >&- 2>&-"]
    {
        assert_eq!(Jail::puppet("exit 7").under_sh(script).run().0, 7, "{script}");
    }
    let (_, out, _) = Jail::puppet("report").under_sh("exec \"$@\" <&- 2>&-").run();
    let fds = field(&out[0], "fds");
    assert!(fds.split(',').all(|fd| fd.parse::<i32>().unwrap() <= 2), "none of ours leaks: {fds}");
}

#[test]
fn an_empty_root_without_dev_and_proc() {
    needs!("root", "static"); // 55
    let binary = static_binary().unwrap();
    for closing in ["", "<&- 2>&-"] {
        let root = Folder::new();
        fs::copy(&binary, root.join("rsm-init")).unwrap();
        fs::copy(puppet(), root.join("puppet")).unwrap();
        let script =
            format!("shift; exec chroot {} /rsm-init \"$@\" {closing}", root.path().display());
        let jail = Jail::args(&["--", "/puppet", "spawn", "exit", "1", ";", "report", "exit", "7"]);
        let (code, out, err) = jail.under_sh(&script).run();
        assert_eq!(code, 7, "{closing}: {err:?}");
        assert!(out[0].starts_with("report"), "{out:?}");
    }
}

#[test]
fn hidden_processes_and_another_uid() {
    needs!("root"); // 56, 58
    let init = Jail::puppet("spawn exit 0 ; report exit 7")
        .under_sh("mount -o remount,hidepid=2 /proc; exec setpriv --reuid 54321 --regid 54321 --clear-groups \"$@\"");
    sh(&["chmod", "a+rx", init.folder().path().to_str().unwrap()]);
    let (code, out, err) = init.run();
    assert_eq!(code, 7, "{err:?}");
    assert_eq!(field(&out[0], "uid"), "54321");
}

#[test]
fn a_user_namespace() {
    needs!("root"); // 60
    if require_user_namespaces() {
        assert_eq!(Jail::puppet("exit 7").under(&["unshare", "-Ur"]).run().0, 7);
    }
}

fn require_user_namespaces() -> bool {
    std::process::Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|s| s.success())
}

// --- output -------------------------------------------------------------------------------

#[test]
fn a_stderr_that_is_full_gone_or_a_full_device_stops_nothing() {
    needs!("root"); // 23, 64, F3, F4, F5, F23
    let (_reader, targets) = bad_outputs();
    for (name, stderr) in targets {
        // Somebody we may not signal is what makes us write.
        let init =
            Jail::puppet("spawn uid 12345 nap 600 ; orphans 200 10 obey 10=say:usr,12=exit:6")
                .stderr(stderr)
                .start();
        init.expect("ready");
        init.signal(USR1);
        init.expect("got 10");
        init.await_no_zombies();
        init.signal(12);
        assert_eq!(init.exit(), 6, "{name}");
        assert!(!init.out().iter().any(|l| l.starts_with("got 13")), "{name}: SIGPIPE forwarded");
    }
    // The message about a failed exec has nowhere to go.
    let full = full_pipe();
    assert_eq!(Jail::command(&["/no/such"]).stderr(full.1).run().0, 127);
}

// --- usage --------------------------------------------------------------------------------

#[test]
fn nothing_after_the_dashes_is_a_usage_error() {
    needs!("root");
    assert_eq!(Jail::args(&["--"]).run().0, 2);
    assert_eq!(Jail::args(&["--no-such-flag"]).run().0, 2);
}

#[test]
fn idle_means_asleep() {
    needs!("root"); // 70, F15
    let init = Jail::puppet("hang").start();
    init.expect("hangs");
    let switches = || {
        let text = fs::read_to_string(format!("/proc/{}/status", init.pid)).unwrap();
        let line = text.lines().find(|l| l.starts_with("voluntary_ctxt")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    sh(&["sleep", "1"]); // start-up settles
    let before = switches();
    sh(&["sleep", "2"]); // the time over which nothing must happen
    assert_eq!(switches(), before);
}
