//! The binary as PID 1 of a fresh PID and mount namespace.

use super::*;
use serde_json::{Value, json};
use std::os::unix::net::UnixStream;

/// How to start it.
pub struct Jail {
    folder: Folder,
    binary: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
    stdin: Option<Stdio>,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    as_pid_1: bool,
}

/// The words of a puppet as an app of a config.
pub fn puppet_app(name: &str, words: &str) -> Value {
    let args: Vec<&str> = words.split_whitespace().collect();
    json!({ "name": name, "script": puppet(), "interpreter": "none", "args": args })
}

/// `base` with the keys of `more` set.
pub fn with(mut base: Value, more: Value) -> Value {
    for (key, value) in more.as_object().unwrap() {
        base[key] = value.clone();
    }
    base
}

impl Jail {
    /// Supervises the apps of a config.
    pub fn apps(apps: &[Value]) -> Self {
        Self::config(&json!({ "apps": apps }).to_string())
    }

    /// Supervises what this text says.
    pub fn config(text: &str) -> Self {
        let mut jail = Self::args(&[]);
        let path = jail.folder.write("process.json", text);
        jail.args.push(path.to_str().unwrap().to_owned());
        jail
    }

    /// `rsm-init -- CMD`.
    pub fn command(command: &[&str]) -> Self {
        let mut jail = Self::args(&["--"]);
        jail.args.extend(command.iter().map(|s| (*s).to_owned()));
        jail
    }

    /// `rsm-init -- puppet WORDS`.
    pub fn puppet(words: &str) -> Self {
        let puppet = puppet();
        let mut command = vec![puppet.to_str().unwrap()];
        command.extend(words.split_whitespace());
        Self::command(&command)
    }

    pub fn args(args: &[&str]) -> Self {
        Self {
            folder: Folder::new(),
            binary: binary(),
            args: args.iter().map(|s| (*s).to_owned()).collect(),
            env: Vec::new(),
            wrapper: Vec::new(),
            stdin: None,
            stdout: None,
            stderr: None,
            as_pid_1: true,
        }
    }

    /// Words before the binary's, inside the namespace: a program that execs the rest.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    /// A shell that execs the rest as `"$@"`.
    pub fn under_sh(self, script: &str) -> Self {
        self.under(&["sh", "-c", script, "sh"])
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn binary(mut self, path: PathBuf) -> Self {
        self.binary = path;
        self
    }

    pub fn stdin(mut self, to: impl Into<Stdio>) -> Self {
        self.stdin = Some(to.into());
        self
    }

    pub fn stdout(mut self, to: impl Into<Stdio>) -> Self {
        self.stdout = Some(to.into());
        self
    }

    pub fn stderr(mut self, to: impl Into<Stdio>) -> Self {
        self.stderr = Some(to.into());
        self
    }

    /// Not as PID 1 but beside one: a subreaper among strangers.
    pub fn not_pid_1(mut self) -> Self {
        self.as_pid_1 = false;
        self
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    pub fn start(self) -> Pid1 {
        let mut command = Command::new("unshare");
        command.args(["-pf", "--mount-proc", "--kill-child=KILL", "--"]);
        if !self.as_pid_1 {
            // A shell that stays: PID 1 is somebody else, with a child of its own (`ASIDE`).
            command.args(["sh", "-c", "[ -z \"$ASIDE\" ] || $ASIDE & \"$@\"; exit $?", "sh"]);
        }
        command.args(&self.wrapper).arg(&self.binary).args(&self.args);
        command
            .env("RSM_INIT_SOCKET", self.folder.join("ctl.sock"))
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .env_remove("RSM_INIT_CONFIG")
            .current_dir(self.folder.path())
            .stdin(self.stdin.unwrap_or_else(Stdio::null))
            .stdout(self.stdout.unwrap_or_else(Stdio::piped))
            .stderr(self.stderr.unwrap_or_else(Stdio::piped));
        let process = Process::start(&mut command);
        // `command` holds the child's ends of pipes the test made; drop them, or no
        // reader would ever see their end.
        drop(command);
        let unshare = process.pid;
        let children = format!("/proc/{unshare}/task/{unshare}/children");
        let pid = eventually("PID 1 of the namespace", || {
            if !process.is_running() {
                return Some(0);
            }
            fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        });
        Pid1 { process, pid, folder: self.folder, binary: self.binary }
    }

    /// Starts it and waits for its end.
    pub fn run(self) -> (i32, Vec<String>, Vec<String>) {
        self.start().process.exit_and_output()
    }
}

/// A running one. Dropping it kills the namespace.
pub struct Pid1 {
    pub process: Process,
    /// PID 1's pid outside; 0 if it was gone before anybody looked.
    pub pid: u32,
    pub folder: Folder,
    binary: PathBuf,
}

impl std::ops::Deref for Pid1 {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Pid1 {
    /// Sends a signal to PID 1 from outside.
    pub fn signal(&self, signal: i32) {
        kill(self.pid, signal);
    }

    pub fn ctl(&self, args: &[&str]) -> Outcome {
        let mut command = Command::new(&self.binary);
        command.arg("ctl").env("RSM_INIT_SOCKET", self.folder.join("ctl.sock"));
        outcome(&mut command, args)
    }

    /// `ctl` once the socket is there.
    pub fn await_ctl(&self) {
        eventually("answer to ctl ping", || (self.ctl(&["ping"]).code == 0).then_some(()));
    }

    pub fn status(&self) -> Value {
        let outcome = self.ctl(&["status", "--json"]);
        serde_json::from_str(&outcome.out).unwrap_or_else(|e| panic!("{e}: {outcome:?}"))
    }

    /// The first instance of `app` as `status` shows it.
    pub fn instance(&self, app: &str) -> Value {
        let status = self.status();
        let apps = status["apps"].as_array().unwrap();
        let app = apps.iter().find(|a| a["name"] == app).unwrap_or_else(|| panic!("{status}"));
        app["instances"][0].clone()
    }

    /// Once `app`'s first instance is in `state`.
    pub fn await_state(&self, app: &str, state: &str) -> Value {
        self.await_ctl();
        let mut last = Value::Null;
        eventually(&format!("{app} {state}"), || {
            last = self.instance(app);
            (last["state"] == state).then(|| last.clone())
        })
    }

    pub fn connect(&self) -> UnixStream {
        eventually("control socket", || UnixStream::connect(self.folder.join("ctl.sock")).ok())
    }

    /// PID 1's own `/proc`.
    pub fn proc(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root/proc", self.pid))
    }

    /// `(pid, state, parent)` of each process of the namespace, by its own pids.
    fn table(&self) -> Vec<(u32, char, u32)> {
        let Ok(entries) = fs::read_dir(self.proc()) else { return Vec::new() };
        let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
        pids.filter_map(|pid: u32| {
            let stat = fs::read_to_string(self.proc().join(format!("{pid}/stat"))).ok()?;
            let mut words = stat.rsplit_once(") ")?.1.split(' ');
            Some((pid, words.next()?.chars().next()?, words.next()?.parse().ok()?))
        })
        .collect()
    }

    pub fn processes(&self) -> Vec<(u32, char)> {
        self.table().into_iter().map(|(pid, state, _)| (pid, state)).collect()
    }

    /// Those that PID 1 has to bury; a puppet's own are its own.
    pub fn zombies(&self) -> usize {
        self.table().iter().filter(|(_, state, parent)| *state == 'Z' && *parent == 1).count()
    }

    pub fn await_no_zombies(&self) {
        eventually("no zombies", || (self.zombies() == 0).then_some(()));
    }

    /// Runs a command inside the namespace.
    pub fn inside(&self, argv: &[&str]) -> Outcome {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string(), "-p", "-m", "--"]);
        outcome(&mut command, argv)
    }

    /// Once it has forked a child, before or after the child's exec; not a tracer.
    pub fn await_child(&self) {
        let children = format!("/proc/{0}/task/{0}/children", self.pid);
        let is_ours = |pid: &str| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.starts_with("rsm-init") || name.starts_with("puppet")
        };
        eventually("a child", || {
            let pids = fs::read_to_string(&children).ok()?;
            pids.split_whitespace().any(is_ours).then_some(())
        });
    }

    /// Clock ticks PID 1 itself has used.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Pid1 {
    fn drop(&mut self) {
        if self.process.is_running() {
            // SAFETY: kill(2) touches no memory. unshare's own death takes the namespace along.
            unsafe { libc::kill(self.process.pid as i32, libc::SIGKILL) };
        }
    }
}
