//! `rsm-init ctl` against a supervisor that answers from a script.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods, reason = "the fake supervisor needs a thread, tests a clock")]
#![allow(missing_docs)]

use nix::pty::{Winsize, openpty};
use nix::sys::socket::{Backlog, listen};
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A directory of its own for each test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rsm-ctl-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("ctl.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Answers one client, a reply for each request, and keeps silent when it has no more.
struct Supervisor {
    place: Place,
    thread: JoinHandle<Vec<Value>>,
}

impl Supervisor {
    fn with(replies: &[Value]) -> Self {
        Self::saying(replies.iter().map(Value::to_string).collect())
    }

    fn saying(replies: Vec<String>) -> Self {
        let place = Place::new();
        let listener = UnixListener::bind(place.socket()).unwrap();
        let thread = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut replies = replies.into_iter();
            let requests = BufReader::new(&stream).lines().map_while(Result::ok).map(|line| {
                assert!(line.len() < 64 * 1024);
                if let Some(reply) = replies.next() {
                    let _ = writeln!(&stream, "{reply}");
                }
                serde_json::from_str(&line).unwrap()
            });
            requests.collect()
        });
        Self { place, thread }
    }

    /// Runs `ctl`; also gives what it asked, without the version.
    fn asked(self, line: &str) -> (Ran, Vec<Value>) {
        let ran = ctl(&self.place.socket(), line);
        let mut requests = self.thread.join().unwrap();
        for request in &mut requests {
            assert_eq!(request.as_object_mut().unwrap().remove("v"), Some(json!(1)));
        }
        (ran, requests)
    }

    fn ran(self, line: &str) -> Ran {
        self.asked(line).0
    }
}

#[derive(Debug)]
struct Ran {
    status: i32,
    out: String,
    err: String,
}

fn command(socket: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rsm-init"));
    command.arg("ctl").args(line.split_whitespace()).env("RSM_INIT_SOCKET", socket);
    command
}

fn ran(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn ctl(socket: &Path, line: &str) -> Ran {
    ran(command(socket, line))
}

fn instance(id: u32, state: &str) -> Value {
    let pid = if state == "online" { std::process::id() } else { 0 };
    json!({
        "id": id, "instance": 0, "pid": pid, "state": state, "ready": state == "online",
        "uptime_ms": 125_000, "restarts": 0, "unstable_restarts": 0, "max_restarts": 16,
        "last_exit": null, "next_restart_ms": null, "cpu_percent": 0.0, "memory_bytes": 0,
        "ports": [], "a_field_of_tomorrow": 1,
    })
}

fn status(apps: &[(&str, &str)]) -> Value {
    let apps = apps.iter().zip(0..).map(|((name, state), id)| {
        json!({
            "name": name, "namespace": "default", "exec_mode": "fork", "critical": false,
            "instances": [instance(id, state)],
        })
    });
    // We are the supervisor, so the client can tell that it sees the same processes.
    json!({ "status": {
        "schema": 1, "version": "1.2.3", "pid": std::process::id(), "state": "running",
        "uptime_ms": 1000, "apps": apps.collect::<Value>(),
    }})
}

fn details(names: &[&str]) -> Value {
    let details = names.iter().zip(0..).map(|(name, id)| {
        let mut detail = json!({
            "name": name, "namespace": "default", "exec_mode": "fork", "critical": false,
            "age_ms": 200_000, "script": "server.js", "script_found": "working directory",
            "exec_path": "/usr/bin/node", "argv": ["node", "/app/server.js"],
            "interpreter": "node", "cwd": "/app", "identity": null, "out_file": null,
            "error_file": null, "log_file": null, "pid_file": null, "autorestart": true,
            "min_uptime_ms": 1000, "stop_signal": "SIGINT", "kill_timeout_ms": 8000,
            "history": [],
        });
        detail.as_object_mut().unwrap().extend(instance(id, "online").as_object().unwrap().clone());
        detail
    });
    json!({ "details": details.collect::<Value>() })
}

fn version() -> Value {
    json!({ "version": { "version": "1.2.3", "protocol": 1, "pid": std::process::id() } })
}

fn done(ids: &[u32]) -> Value {
    json!({ "done": { "ids": ids } })
}

fn refused(kind: &str, message: &str) -> Value {
    json!({ "error": { "kind": kind, "message": message } })
}

#[test]
fn status_shows_what_runs_and_measures_it() {
    let (ran, asked) = Supervisor::with(&[status(&[("web", "online")])]).asked("ls");
    assert_eq!(asked, [json!({ "op": "status" })]);
    assert_eq!((ran.status, ran.err.as_str()), (0, ""));
    let row: Vec<&str> = ran.out.lines().nth(1).unwrap().split_whitespace().collect();
    let pid = std::process::id().to_string();
    assert_eq!(row[..7], ["0", "web", "fork", &pid, "online", "yes", "2m"]);
    assert!(ran.out.ends_with(" MiB\n"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'));
}

#[test]
fn status_3_means_that_something_is_down() {
    for (state, expected) in [("errored", 3), ("backoff", 3), ("waiting", 3), ("stopped", 0)] {
        let apps = status(&[("web", "online"), ("db", state)]);
        assert_eq!(Supervisor::with(&[apps]).ran("status").status, expected, "{state}");
    }
}

#[test]
fn status_json_is_the_contract_s() {
    let ran = Supervisor::with(&[status(&[("web", "online")])]).ran("status --json");
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    let web = &shown["apps"][0]["instances"][0];
    assert_eq!((ran.status, &shown["schema"], &web["state"]), (0, &json!(1), &json!("online")));
    assert!(web["memory_bytes"].as_u64().unwrap() > 0);
    assert!(web["cpu_percent"].is_f64());
}

#[test]
fn from_another_pid_namespace_nothing_is_measured() {
    let mut elsewhere = status(&[("web", "online")]);
    elsewhere["status"]["pid"] = json!(1);
    let ran = Supervisor::with(&[elsewhere]).ran("status");
    assert!(ran.out.ends_with("-         -\n") || ran.out.ends_with("-       -\n"), "{}", ran.out);
    assert_eq!(ran.status, 0);
}

#[test]
fn status_of_one_app_tells_everything() {
    let script = [status(&[("web", "online")]), details(&["web"]), version()];
    let (ran, asked) = Supervisor::with(&script).asked("status web");
    assert_eq!(asked[0], json!({ "op": "status", "targets": ["web"] }));
    assert_eq!(asked[1], json!({ "op": "describe", "targets": ["web"] }));
    assert!(ran.out.starts_with("id  name"));
    assert!(ran.out.contains("\nweb:0 (id 0)\n  state         online\n"), "{}", ran.out);
    assert!(ran.out.contains("  processes         pid    ppid"), "{}", ran.out);
}

#[test]
fn describe_lists_or_gives_json() {
    let script = [details(&["web", "db"]), version()];
    let ran = Supervisor::with(&script).ran("info all");
    assert_eq!(ran.out.matches("  interpreter   node\n").count(), 2);
    let ran = Supervisor::with(&script).ran("describe all --json");
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown[1]["name"], "db");
}

#[test]
fn every_order_asks_what_it_says() {
    let order = |verb: &str| json!({ "op": "order", "verb": verb, "targets": ["web", "3"] });
    let cases = [
        ("start web 3", order("start"), "start: under way (id 1, 2)\n"),
        ("stop web 3", order("stop"), "stop: under way (id 1, 2)\n"),
        ("restart web 3", order("restart"), "restart: under way (id 1, 2)\n"),
        ("del web 3", order("delete"), "delete: under way (id 1, 2)\n"),
        ("reset web 3", order("reset"), "reset: done (id 1, 2)\n"),
        (
            "signal USR1 web 3",
            json!({ "op": "signal", "signal": "USR1", "targets": ["web", "3"] }),
            "signal: sent (id 1, 2)\n",
        ),
        (
            "scale web -2",
            json!({ "op": "scale", "app": "web", "to": "-2" }),
            "scale: under way (id 1, 2)\n",
        ),
        ("kill", json!({ "op": "shutdown" }), "shutdown: under way (id 1, 2)\n"),
        ("ping", json!({ "op": "ping" }), "pong\n"),
    ];
    for (line, request, out) in cases {
        let (ran, asked) = Supervisor::with(&[done(&[1, 2])]).asked(line);
        assert_eq!((ran.status, ran.out.as_str(), asked), (0, out, vec![request]), "{line}");
    }
    let ran = Supervisor::with(&[done(&[1, 2])]).ran("stop web --json");
    assert_eq!(ran.out, "{\"ids\":[1,2]}\n");
}

#[test]
fn a_refusal_has_the_exit_status_of_its_kind() {
    let kinds = [
        ("no_such_target", 4),
        ("bad_request", 2),
        ("not_allowed", 1),
        ("failed", 1),
        ("timed_out", 1),
        ("busy", 1),
    ];
    for (kind, expected) in kinds {
        let ran = Supervisor::with(&[refused(kind, "no: \u{1b}[31m")]).ran("stop web");
        assert_eq!(ran.status, expected, "{kind}");
        assert_eq!(ran.err, "rsm-init ctl: no: \\u{1b}[31m\n");
    }
}

#[test]
fn a_restart_can_wait_until_ready() {
    let (ran, asked) = Supervisor::with(&[done(&[0]), done(&[0])]).asked("restart web --wait=5s");
    assert_eq!((ran.status, ran.out.as_str()), (0, "restart: ready (id 0)\n"));
    let wait = &asked[1];
    assert_eq!(
        (&wait["op"], &wait["for"], &wait["targets"]),
        (&json!("wait"), &json!("ready"), &json!(["web"]))
    );
    let timeout = wait["timeout_ms"].as_u64().unwrap();
    assert!((4_000..=5_000).contains(&timeout), "{timeout}");
}

#[test]
fn a_wait_in_vain_names_the_cause() {
    let mut apps = status(&[("web", "backoff"), ("db", "online")]);
    let web = &mut apps["status"]["apps"][0]["instances"][0];
    web["last_exit"] = json!({ "code": 1, "at": "2026-11-25T10:00:00Z", "uptime_ms": 300 });
    web["next_restart_ms"] = json!(3_800);
    let script = [done(&[0, 1]), refused("timed_out", "not ready in time"), apps];
    let ran = Supervisor::with(&script).ran("start web db --wait");
    assert_eq!(ran.status, 1);
    assert_eq!(
        ran.err,
        "rsm-init ctl: not ready in time\n  web: backoff: exit 1 after 0.3 s; next try in 3.8 s; 16 of 16 left\n"
    );
}

#[test]
fn who_was_deleted_need_not_be_there() {
    let script = [done(&[0, 1]), refused("no_such_target", "gone"), done(&[1])];
    let (ran, asked) = Supervisor::with(&script).asked("delete web db --wait");
    assert_eq!((ran.status, ran.out.as_str()), (0, "delete: stopped (id 0, 1)\n"));
    assert_eq!(asked[1]["targets"], json!(["web"]));
    assert_eq!(asked[2]["targets"], json!(["db"]));
    // Who was only stopped must.
    let script = [done(&[0]), refused("no_such_target", "gone")];
    assert_eq!(Supervisor::with(&script).ran("stop web --wait").status, 4);
}

#[test]
fn wait_waits_for_either_condition() {
    let (ran, asked) = Supervisor::with(&[done(&[0])]).asked("wait web --for stopped --timeout 2s");
    assert_eq!((ran.status, ran.out.as_str()), (0, "wait: stopped\n"));
    assert_eq!(asked[0]["for"], "stopped");
    assert!(asked[0]["timeout_ms"].as_u64().unwrap() <= 2_000);
}

#[test]
fn a_regex_goes_out_as_names() {
    let apps = status(&[("web-1", "online"), ("db", "online"), ("web-2", "online")]);
    let (ran, asked) = Supervisor::with(&[apps.clone(), done(&[0, 2])]).asked("stop /^web/");
    assert_eq!(ran.status, 0);
    assert_eq!(asked[1]["targets"], json!(["web-1", "web-2"]));
    let ran = Supervisor::with(&[apps]).ran("stop /nothing/");
    assert_eq!((ran.status, ran.err.as_str()), (4, "rsm-init ctl: /nothing/ matches no app\n"));
    let ran = Supervisor::with(&[]).ran("stop /(/");
    assert_eq!(ran.status, 2);
}

#[test]
fn a_regex_that_matches_thousands_takes_several_requests() {
    let names: Vec<String> = (0..2000).map(|number| format!("web-{number:060}")).collect();
    let apps: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "online")).collect();
    let script = [status(&apps), done(&[0, 1]), done(&[2]), done(&[3])];
    let (ran, asked) = Supervisor::with(&script).asked("restart /web/");
    assert_eq!((ran.status, asked.len()), (0, 4), "{}", ran.err);
    let sent: usize = asked[1..].iter().map(|one| one["targets"].as_array().unwrap().len()).sum();
    assert_eq!(sent, 2000);
    assert_eq!(ran.out, "restart: under way (id 0, 1, 2, 3)\n");
}

#[test]
fn health_ends_with_0_or_1_whatever_happens() {
    let health = |healthy| json!({ "health": { "healthy": healthy, "message": "2 of 2 ready" } });
    let (ran, asked) = Supervisor::with(&[health(true)]).asked("health --live web");
    assert_eq!((ran.status, ran.out.as_str()), (0, "2 of 2 ready\n"));
    assert_eq!(asked, [json!({ "op": "health", "level": "live", "targets": ["web"] })]);
    assert_eq!(Supervisor::with(&[health(false)]).ran("health").status, 1);
    assert_eq!(Supervisor::with(&[refused("no_such_target", "")]).ran("health x").status, 1);
    assert_eq!(Supervisor::with(&[]).ran("health --timeout 50ms").status, 1);
    assert_eq!(ctl(Path::new("/nonexistent"), "health").status, 1);
    assert_eq!(ctl(Path::new("/nonexistent"), "health --nonsense").status, 1);
}

#[test]
fn values_of_the_environment_are_shown_on_demand_only() {
    let env = || json!({ "env": [["TOKEN", "secret"], ["A", "1\n2"]] });
    let ran = Supervisor::with(&[env()]).ran("env 0");
    assert_eq!((ran.status, ran.out.as_str()), (0, "TOKEN=***\nA=***\n"));
    let ran = Supervisor::with(&[env()]).ran("env 0 --show");
    assert_eq!(ran.out, "TOKEN=secret\nA=1\\n2\n");
    let ran = Supervisor::with(&[env()]).ran("env 0 --show --json");
    assert_eq!(ran.out, "{\"TOKEN\":\"secret\",\"A\":\"1\\n2\"}\n");
}

#[test]
fn tools_for_pm2_find_its_list() {
    let script = [details(&["web"]), version()];
    let (ran, asked) = Supervisor::with(&script).asked("jlist");
    assert_eq!(asked[0], json!({ "op": "describe", "targets": ["all"] }));
    let list: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(list[0]["pm2_env"]["status"], "online");
    assert!(list[0]["monit"]["memory"].as_u64().unwrap() > 0);
    assert_eq!(list[0]["pm2_env"]["pm_exec_path"], "/app/server.js");
    let ran = Supervisor::with(&script).ran("prettylist");
    assert!(ran.out.contains("    name: 'web',\n"), "{}", ran.out);
    let ran = Supervisor::with(&[refused("no_such_target", "no apps")]).ran("jlist");
    assert_eq!((ran.status, ran.out.as_str()), (0, "[]\n"));
}

#[test]
fn version_and_help() {
    let ran = Supervisor::with(&[version()]).ran("version");
    assert!(ran.out.starts_with("supervisor 1.2.3 (protocol 1, pid "), "{}", ran.out);
    for line in ["help", "--help", "status --help"] {
        let ran = ctl(Path::new("/nonexistent"), line);
        assert_eq!(ran.status, 0);
        assert!(ran.out.starts_with("usage: rsm-init ctl VERB"));
    }
}

#[test]
fn mistakes_are_told_before_anybody_is_asked() {
    let cases = [
        ("", "usage: rsm-init ctl VERB"),
        ("restrat web", "did you mean \"restart\"?"),
        ("logs", "\"logs\" is not in this version yet"),
        ("stop", "stop needs a target"),
    ];
    for (line, expected) in cases {
        let ran = ctl(Path::new("/nonexistent"), line);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{line}");
        assert!(ran.err.contains(expected), "{line}: {}", ran.err);
    }
}

#[test]
fn who_cannot_be_reached_is_said_to_have_been_looked_for() {
    let place = Place::new();
    let ran = ctl(&place.socket(), "status");
    assert_eq!(ran.status, 4);
    assert!(ran.err.contains("ctl.sock: no such file\n"), "{}", ran.err);
    // A socket whose supervisor is gone.
    drop(UnixListener::bind(place.socket()).unwrap());
    let ran = ctl(&place.socket(), "ping");
    assert_eq!(ran.status, 4);
    assert!(ran.err.contains("ctl.sock: nobody listens\n"), "{}", ran.err);
}

#[test]
fn without_the_variable_both_usual_places_are_tried() {
    let mut command = command(Path::new(""), "ping");
    command.env_remove("RSM_INIT_SOCKET");
    let uid = nix::unistd::geteuid();
    let ran = ran(command);
    if ran.status == 4 {
        assert!(ran.err.contains("  /run/rsm-init/ctl.sock: "), "{}", ran.err);
        assert!(ran.err.contains(&format!("  /tmp/rsm-init-{uid}/ctl.sock: ")), "{}", ran.err);
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_not_trusted() {
    let directory = PathBuf::from(format!("/tmp/rsm-init-{}", nix::unistd::geteuid()));
    // A supervisor of the developer's own may live there.
    if fs::create_dir(&directory).is_err() {
        return;
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
    let listener = UnixListener::bind(directory.join("ctl.sock")).unwrap();
    let ran = ctl(&directory.join("ctl.sock"), "ping --timeout 1s");
    drop(listener);
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(ran.status, 4);
    assert!(ran.err.contains("must be ours and mode 0700"), "{}", ran.err);
}

#[test]
fn an_answer_that_makes_no_sense_is_a_failure() {
    for garbage in ["", "hello", "{}", "[1]", "{\"status\":{}}", "{\"env\":[]}"] {
        let ran = Supervisor::saying(vec![garbage.to_string()]).ran("status");
        assert_eq!(ran.status, 1, "{garbage}");
        let expected = "rsm-init ctl: cannot understand the supervisor's answer: ";
        assert!(ran.err.starts_with(expected), "{garbage}: {}", ran.err);
    }
}

#[test]
fn who_never_answers_is_not_waited_for() {
    let start = Instant::now();
    let ran = Supervisor::with(&[]).ran("status --timeout 200ms");
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("did not answer within 200 ms"), "{}", ran.err);
    assert!(start.elapsed() < Duration::from_secs(5));
    // Nor is one that does not even accept.
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    assert_eq!(ctl(&place.socket(), "ping --timeout 100ms").status, 1);
    // Nor one whose queue is full (that client still stands in it), where connecting alone
    // would take for ever.
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let ran = ctl(&place.socket(), "ping --timeout 100ms");
    assert_eq!(ran.status, 4);
    assert!(ran.err.contains("no room for another client"), "{}", ran.err);
}

#[test]
fn a_connection_that_breaks_is_told() {
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let thread = thread::spawn(move || drop(listener.accept().unwrap()));
    let ran = ctl(&place.socket(), "status");
    thread.join().unwrap();
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("lost the connection"), "{}", ran.err);
}

#[test]
fn a_shutdown_can_be_waited_for() {
    let place = Place::new();
    let listener = UnixListener::bind(place.socket()).unwrap();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        writeln!(&stream, "{}", done(&[])).unwrap();
    });
    let ran = ctl(&place.socket(), "shutdown --wait=5s");
    thread.join().unwrap();
    assert_eq!((ran.status, ran.out.as_str()), (0, "shutdown: ended\n"));
}

#[test]
fn a_reader_who_has_left_is_no_failure() {
    let supervisor = Supervisor::with(&[status(&[("web", "online")])]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = command(&supervisor.place.socket(), "status");
    let output = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = output.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_full_disk_is_a_failure() {
    let supervisor = Supervisor::with(&[status(&[("web", "online")])]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = command(&supervisor.place.socket(), "status");
    let status = command.stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}

/// What `ctl status` writes to a terminal.
fn on_a_terminal(width: u16, set: &[(&str, &str)]) -> String {
    let supervisor = Supervisor::with(&[status(&[("web", "online"), ("db", "errored")])]);
    let size = Winsize { ws_row: 24, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
    let terminal = openpty(Some(&size), None).unwrap();
    let mut command = command(&supervisor.place.socket(), "status");
    command.env_remove("NO_COLOR").env("TERM", "xterm").envs(set.iter().copied());
    command.stdout(terminal.slave).spawn().unwrap().wait().unwrap();
    drop(command);
    let mut shown = Vec::new();
    // Ends with EIO, because nobody has the other side open any more.
    let _ = File::from(terminal.master).read_to_end(&mut shown);
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_terminal_gets_colours_and_lines_that_fit() {
    let shown = on_a_terminal(30, &[]);
    assert!(shown.contains("\u{1b}[31merrored\u{1b}[0m"), "{shown:?}");
    assert!(!shown.contains("memory"), "{shown:?}");
    assert!(on_a_terminal(0, &[("COLUMNS", "200")]).contains("memory"));
    for set in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!on_a_terminal(80, &[set]).contains('\u{1b}'), "{set:?}");
    }
    assert!(on_a_terminal(80, &[("NO_COLOR", "")]).contains('\u{1b}'));
}
