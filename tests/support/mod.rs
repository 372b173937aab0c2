//! What tests with real processes need: facilities, the puppet, the binary as PID 1 of a
//! fresh PID namespace or of a container, and lines and exits awaited as events.
//!
//! Nothing here sleeps but [`eventually`], which looks again at a fact that has no event.
#![allow(dead_code, missing_docs, unsafe_code, unreachable_pub)]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

pub mod docker;
pub mod jail;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Longest wait for anything that should come at once. Generous: test machines are busy.
pub const SOON: Duration = Duration::from_secs(30);

/// The root of the package.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

// --- facilities ---------------------------------------------------------------------------

/// True if `what` is there. Missing, it is one loud line on stderr, or a failure where
/// `RSM_TEST_REQUIRE` (a comma-separated list) names it.
pub fn require(what: &str) -> bool {
    let Err(why) = facility(what) else { return true };
    let list = std::env::var("RSM_TEST_REQUIRE").unwrap_or_default();
    assert!(!list.split(',').any(|w| w.trim() == what), "{what} is required: {why}");
    let test = thread::current().name().unwrap_or("?").to_owned();
    // Not through `eprintln!`: the harness would swallow it.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: no {what}: {why}");
    false
}

/// `needs!("root", "docker")`: ends the test when one of them is missing.
#[macro_export]
macro_rules! needs {
    ($($what:expr),+) => { if $(!$crate::support::require($what))||+ { return; } };
}

fn facility(what: &str) -> Result<(), String> {
    static ROOT: OnceLock<Result<(), String>> = OnceLock::new();
    static DOCKER: OnceLock<Result<(), String>> = OnceLock::new();
    static DEBIAN: OnceLock<Result<(), String>> = OnceLock::new();
    match what {
        "root" => ROOT
            .get_or_init(|| succeeds(&["unshare", "-pf", "--mount-proc", "--kill-child", "true"]))
            .clone(),
        "docker" => DOCKER
            .get_or_init(|| {
                succeeds(&["docker", "info"])?;
                static_binary().map(|_| ())
            })
            .clone(),
        // A Debian image; wherever Docker is required this is, too.
        "debian" => {
            let is_there = DEBIAN.get_or_init(|| facility("docker").and(docker::debian())).clone();
            if let Err(why) = &is_there {
                let list = std::env::var("RSM_TEST_REQUIRE").unwrap_or_default();
                assert!(!list.split(',').any(|w| w.trim() == "docker"), "no Debian image: {why}");
            }
            is_there
        }
        "node" => succeeds(&["node", "--version"]),
        "python" => succeeds(&["python3", "--version"]),
        "nginx" => succeeds(&["sh", "-c", "PATH=$PATH:/usr/sbin nginx -v"]),
        "strace" => succeeds(&["strace", "-V"]),
        "script" => succeeds(&["script", "--version"]),
        "static" => static_binary().map(|_| ()),
        other => Err(format!("{other} is no facility this suite knows")),
    }
}

fn succeeds(argv: &[&str]) -> Result<(), String> {
    let output = Command::new(argv[0]).args(&argv[1..]).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(format!("`{}` fails: {}", argv.join(" "), text.trim()))
        }
        Err(error) => Err(format!("`{}`: {error}", argv[0])),
    }
}

/// Runs a command to its end; panics with its output when it fails.
pub fn sh(argv: &[&str]) -> String {
    let output = Command::new(argv[0]).args(&argv[1..]).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{argv:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

// --- programs -----------------------------------------------------------------------------

/// The binary under test: `RSM_TEST_BIN`, else the one cargo built for this run.
pub fn binary() -> PathBuf {
    std::env::var_os("RSM_TEST_BIN")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_rsm-init")), |p| Path::new(ROOT).join(p))
}

/// The static release binary (or `RSM_TEST_STATIC_BIN`), built now if it is not up to date:
/// containers and empty roots hold nothing a dynamic one could load.
pub fn static_binary() -> Result<PathBuf, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            if let Some(path) = std::env::var_os("RSM_TEST_STATIC_BIN") {
                return Ok(path.into());
            }
            let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
            let built = Path::new(ROOT).join("target").join(&target).join("release/rsm-init");
            let _lock = Lock::new("static-binary");
            let output = Command::new(cargo)
                .args(["build", "--release", "--bin", "rsm-init", "--target", &target])
                .args(["--target-dir", "target"])
                .current_dir(ROOT)
                .env_remove("RUSTFLAGS")
                .output()
                .map_err(|e| e.to_string())?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
            Ok(built)
        })
        .clone()
}

/// The puppet, compiled when its source is newer. Static where the compiler can.
pub fn puppet() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let source = Path::new(ROOT).join("tests/support/puppet.rs");
            let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("puppet");
            let _lock = Lock::new("puppet");
            let time = |p: &Path| fs::metadata(p).and_then(|m| m.modified()).ok();
            if time(&program) > time(&source) {
                return program;
            }
            let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
            let fresh = program.with_extension("new");
            let compile = |extra: &[&str]| {
                Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()))
                    .args(["--edition", "2024", "-O", "-Cpanic=abort", "-Cstrip=symbols"])
                    .args(extra)
                    .arg("-o")
                    .args([&fresh, &source])
                    .output()
                    .unwrap()
            };
            let mut output = compile(&["--target", &target]);
            if !output.status.success() {
                output = compile(&["-Ctarget-feature=+crt-static"]);
            }
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::rename(&fresh, &program).unwrap();
            program
        })
        .clone()
}

/// One process at a time: test binaries may run side by side.
struct Lock(#[allow(dead_code)] nix::fcntl::Flock<fs::File>);

impl Lock {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.lock"));
        let file = fs::File::create(path).unwrap();
        Self(nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap())
    }
}

// --- folders ------------------------------------------------------------------------------

/// A folder that is gone with its owner; short, for a socket's path has 107 bytes.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("rsm-t{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, text);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

// --- time ---------------------------------------------------------------------------------

/// Looks until there is something, or panics when the time is up. The only sleep.
pub fn within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(SOON, what, look)
}

/// A stopwatch, since the lints keep the clock out of everything else.
pub struct Watch(Instant);

impl Watch {
    pub fn start() -> Self {
        Self(Instant::now())
    }

    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs `work` in a thread.
pub fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(work)
}

// --- processes ----------------------------------------------------------------------------

#[derive(Default)]
struct Heard {
    out: Vec<String>,
    err: Vec<String>,
    open: u8,
    end: Option<ExitStatus>,
}

/// A process whose lines and end are events.
pub struct Process {
    pub pid: u32,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    /// How many lines of stdout and of stderr were already awaited.
    seen: Mutex<[usize; 2]>,
    stdin: Mutex<Option<std::process::ChildStdin>>,
}

impl Process {
    /// Starts `command`; streams that are pipes of ours are read line by line.
    pub fn start(command: &mut Command) -> Self {
        // SAFETY: close_range(2) is one system call and touches no memory; fork-safe.
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(command, || {
                // What this test process happened to inherit is nobody's business.
                libc::close_range(3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as i32);
                Ok(())
            });
        }
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let heard = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        let pid = child.id();
        let stdin = Mutex::new(child.stdin.take());
        heard.0.lock().unwrap().open = child.stdout.is_some() as u8 + child.stderr.is_some() as u8;
        if let Some(stream) = child.stdout.take() {
            listen(stream, heard.clone(), |h| &mut h.out);
        }
        if let Some(stream) = child.stderr.take() {
            listen(stream, heard.clone(), |h| &mut h.err);
        }
        bury(child, heard.clone());
        Self { pid, heard, seen: Mutex::new([0; 2]), stdin }
    }

    fn wait_for<T>(&self, what: &str, mut look: impl FnMut(&Heard) -> Option<T>) -> T {
        let end = Instant::now() + SOON;
        let mut heard = self.heard.0.lock().unwrap();
        loop {
            if let Some(found) = look(&heard) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            let over = heard.end.is_some() && heard.open == 0;
            if over || left.is_zero() {
                let story = format!(
                    "no {what} ({}). stdout:\n{}\nstderr:\n{}",
                    heard.end.map_or("still running".into(), |e| e.to_string()),
                    heard.out.join("\n"),
                    heard.err.join("\n")
                );
                drop(heard); // or the listening threads would panic, too
                panic!("{story}");
            }
            heard = self.heard.1.wait_timeout(heard, left).unwrap().0;
        }
    }

    fn next_line(&self, stream: usize, part: &str) -> String {
        let from = self.seen.lock().unwrap()[stream];
        let name = ["stdout", "stderr"][stream];
        let (at, line) = self.wait_for(&format!("line with {part:?} on {name}"), |heard| {
            let lines = if stream == 0 { &heard.out } else { &heard.err };
            let found = lines[from..].iter().position(|l| l.contains(part))?;
            Some((from + found, lines[from + found].clone()))
        });
        self.seen.lock().unwrap()[stream] = at + 1;
        line
    }

    /// The next line of stdout that contains `part`.
    pub fn expect(&self, part: &str) -> String {
        self.next_line(0, part)
    }

    /// The next line of stderr that contains `part`.
    pub fn expect_err(&self, part: &str) -> String {
        self.next_line(1, part)
    }

    /// Once `count` lines of stdout contain `part`.
    pub fn expect_times(&self, count: usize, part: &str) {
        self.wait_for(&format!("{count} lines with {part:?}"), |heard| {
            (heard.out.iter().filter(|l| l.contains(part)).count() >= count).then_some(())
        });
    }

    /// All lines of stdout so far.
    pub fn out(&self) -> Vec<String> {
        self.heard.0.lock().unwrap().out.clone()
    }

    /// All lines of stderr so far.
    pub fn err(&self) -> Vec<String> {
        self.heard.0.lock().unwrap().err.clone()
    }

    pub fn write(&self, text: &[u8]) {
        self.stdin.lock().unwrap().as_mut().unwrap().write_all(text).unwrap();
    }

    pub fn close_stdin(&self) {
        self.stdin.lock().unwrap().take();
    }

    pub fn is_running(&self) -> bool {
        self.heard.0.lock().unwrap().end.is_none()
    }

    /// Its exit status; 128 + N after signal N.
    pub fn exit(&self) -> i32 {
        let status = self.wait_for("end", |heard| heard.end);
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
    }

    /// Its end and all of its output.
    pub fn exit_and_output(&self) -> (i32, Vec<String>, Vec<String>) {
        let code = self.exit();
        self.wait_for("end of output", |heard| (heard.open == 0).then_some(()));
        (code, self.out(), self.err())
    }
}

fn listen(
    stream: impl Read + Send + 'static,
    heard: Arc<(Mutex<Heard>, Condvar)>,
    lines: fn(&mut Heard) -> &mut Vec<String>,
) {
    thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(stream.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned();
            lines(&mut heard.0.lock().unwrap()).push(text);
            heard.1.notify_all();
            line.clear();
        }
        heard.0.lock().unwrap().open -= 1;
        heard.1.notify_all();
    });
}

fn bury(mut child: Child, heard: Arc<(Mutex<Heard>, Condvar)>) {
    thread::spawn(move || {
        let end = child.wait().unwrap();
        heard.0.lock().unwrap().end = Some(end);
        heard.1.notify_all();
    });
}

/// Sends any signal, the real-time ones too.
pub fn kill(pid: u32, signal: i32) {
    // SAFETY: kill(2) takes two integers and touches no memory of ours.
    let result = unsafe { libc::kill(pid as i32, signal) };
    assert_eq!(result, 0, "kill({pid}, {signal}): {}", std::io::Error::last_os_error());
}

/// The value of `key=` in a line of `key=value` words.
pub fn field<'a>(line: &'a str, key: &str) -> &'a str {
    line.split_whitespace()
        .filter_map(|w| w.split_once('='))
        .find(|(k, _)| *k == key)
        .unwrap_or_else(|| panic!("no {key}= in {line:?}"))
        .1
}

/// A pipe of which nobody reads, filled to the brim; keep the first, hand on the second.
pub fn full_pipe() -> (std::os::fd::OwnedFd, std::os::fd::OwnedFd) {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (read, write) = nix::unistd::pipe().unwrap();
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while nix::unistd::write(&write, &[b'x'; 4096]).is_ok() {}
    while nix::unistd::write(&write, b"x").is_ok() {}
    fcntl(&write, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (read, write)
}

/// Outputs that take nothing, by name: a full pipe, one whose reader is gone, a full device.
/// Keep the first; without it the full pipe would be one whose reader is gone.
pub fn bad_outputs() -> (std::os::fd::OwnedFd, [(&'static str, std::process::Stdio); 3]) {
    let (reader, full) = full_pipe();
    let gone = nix::unistd::pipe().unwrap().1;
    let device = fs::File::options().write(true).open("/dev/full").unwrap();
    (reader, [("full", full.into()), ("gone", gone.into()), ("device", device.into())])
}

/// What one run of a command came to.
#[derive(Debug)]
pub struct Outcome {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end.
pub fn outcome<S: AsRef<OsStr>>(command: &mut Command, args: &[S]) -> Outcome {
    let output = command.args(args).stdin(Stdio::null()).output().unwrap();
    Outcome {
        code: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Changes a terminal's size.
pub fn resize(terminal: &impl std::os::fd::AsRawFd, columns: u16, rows: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize, which lives until the call returns.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) };
    assert_eq!(result, 0);
}
