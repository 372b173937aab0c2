//! The static binary as PID 1 of real containers, with images built from the project's
//! own Dockerfiles: their last stage, with what the build stage would have made.

use super::*;
use serde_json::Value;

/// An empty image with `/rsm-init` and `/puppet`.
pub fn scratch() -> String {
    static BUILT: OnceLock<String> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let dockerfile = fs::read_to_string(format!("{ROOT}/docker/Dockerfile.scratch"));
            let stage = last_stage(&dockerfile.unwrap())
                .replace("COPY --from=build /out/ /", "COPY out/ /\nCOPY puppet /puppet");
            build("scratch", &stage)
        })
        .clone()
}

/// Debian with node, nginx and python, and `examples/jackblog` below `/app`.
pub fn jackblog() -> String {
    static BUILT: OnceLock<String> = OnceLock::new();
    BUILT
        .get_or_init(|| {
            let dockerfile = fs::read_to_string(format!("{ROOT}/docker/Dockerfile.debian"));
            let stage = last_stage(&dockerfile.unwrap());
            let (from, rest) = stage.split_once('\n').unwrap();
            assert!(from.starts_with("FROM "), "{from}");
            let rest = rest.replace("--from=build /src/target/release/rsm-init", "rsm-init");
            build("debian", &format!("FROM {}\n{rest}", base()))
        })
        .clone()
}

/// The base image, named by the script that makes it.
fn base() -> String {
    let digest = sh(&["sha256sum", &format!("{ROOT}/docker/debian-rootfs")]);
    format!("rsm-test-debian:base-{}", &digest[..16])
}

/// Makes the Debian base image unless it is there.
pub fn debian() -> Result<(), String> {
    let _lock = Lock::new("debian-image");
    let base = base();
    if succeeds(&["docker", "image", "inspect", &base]).is_ok() {
        return Ok(());
    }
    let tar = format!("{ROOT}/target/test-images/{}.tar", base.replace(':', "-"));
    if !Path::new(&tar).exists() {
        succeeds(&[&format!("{ROOT}/docker/debian-rootfs"), &tar])?;
    }
    succeeds(&["docker", "import", &tar, &base])
}

fn last_stage(dockerfile: &str) -> String {
    dockerfile[dockerfile.rfind("\nFROM ").unwrap() + 1..].to_owned()
}

fn build(name: &str, dockerfile: &str) -> String {
    let context = Folder::new();
    let binary = static_binary().unwrap();
    fs::copy(&binary, context.join("rsm-init")).unwrap();
    fs::copy(puppet(), context.join("puppet")).unwrap();
    let out = context.join("out");
    for folder in ["usr/local/bin", "app", "tmp", "etc/rsm-init"] {
        fs::create_dir_all(out.join(folder)).unwrap();
    }
    fs::copy(&binary, out.join("usr/local/bin/rsm-init")).unwrap();
    std::os::unix::fs::symlink("rsm-init", out.join("usr/local/bin/ctl")).unwrap();
    std::os::unix::fs::symlink("usr/local/bin/rsm-init", out.join("rsm-init")).unwrap();
    sh(&["chmod", "1777", out.join("tmp").to_str().unwrap()]);
    sh(&["cp", "-r", &format!("{ROOT}/examples"), context.join("examples").to_str().unwrap()]);
    context.write("Dockerfile", dockerfile);
    // Named by its content, so that a second test binary finds it and nothing piles up.
    let tree =
        format!("cd {} && find . -type f -exec sha256sum {{}} + | sort", context.path().display());
    let digest = sh(&["sh", "-c", &format!("({tree}) | sha256sum")]);
    let tag = format!("rsm-test-{name}:{}", &digest[..16]);
    if succeeds(&["docker", "image", "inspect", &tag]).is_ok() {
        return tag;
    }
    let output = Command::new("docker")
        .args(["build", "-q", "--network", "none", "-t", &tag, context.path().to_str().unwrap()])
        .env("DOCKER_BUILDKIT", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    tag
}

/// A container in the making.
pub struct Plan {
    image: String,
    folder: Folder,
    options: Vec<String>,
    arguments: Vec<String>,
}

impl Plan {
    /// `rsm-init CONFIG` in an empty image.
    pub fn apps(apps: &[Value]) -> Self {
        let mut plan = Self::args(&["/conf/process.json"]);
        plan.folder.write("process.json", &serde_json::json!({ "apps": apps }).to_string());
        sh(&["chmod", "-R", "a+rX", plan.folder.path().to_str().unwrap()]);
        let mount = format!("{}:/conf:ro", plan.folder.path().display());
        plan.options.extend(["-v".into(), mount]);
        plan
    }

    /// `rsm-init ARGS` in an empty image.
    pub fn args(arguments: &[&str]) -> Self {
        Self {
            image: scratch(),
            folder: Folder::new(),
            options: ["--entrypoint", "/rsm-init"].map(str::to_owned).to_vec(),
            arguments: arguments.iter().map(|s| (*s).to_owned()).collect(),
        }
    }

    /// `rsm-init -- /puppet WORDS`.
    pub fn puppet(words: &str) -> Self {
        let mut arguments = vec!["--", "/puppet"];
        arguments.extend(words.split_whitespace());
        Self::args(&arguments)
    }

    /// An image as it is, its own ENTRYPOINT.
    pub fn image(image: &str) -> Self {
        Self {
            image: image.to_owned(),
            folder: Folder::new(),
            options: Vec::new(),
            arguments: Vec::new(),
        }
    }

    pub fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|s| (*s).to_owned()));
        self
    }

    /// More words for the entry point.
    pub fn then(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|s| (*s).to_owned()));
        self
    }

    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    fn command(&self, verb: &str, name: &str) -> Command {
        let mut command = Command::new("docker");
        command.args([verb, "--name", name, "--init=false"]);
        if !self.options.iter().any(|o| o.starts_with("--network")) {
            command.args(["--network", "none"]);
        }
        if verb == "run" {
            command.arg("--sig-proxy=false");
        }
        command.args(&self.options).arg(&self.image).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it in the foreground of a `docker run`, whose lines and end are its own.
    pub fn start(self) -> Container {
        let name = name();
        let process = Process::start(&mut self.command("run", &name));
        Container { process, name, _folder: self.folder }
    }

    /// Starts it as `docker run -it` does in a terminal, of which the test is the keyboard.
    pub fn start_on_a_terminal(self) -> Container {
        let name = name();
        let plain = self.with(&["-it"]);
        let command = plain.command("run", &name);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let quoted: Vec<String> = words.map(|w| format!("'{}'", w.to_string_lossy())).collect();
        let mut script = Command::new("script");
        script.args(["-qefc", &quoted.join(" "), "/dev/null"]);
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let process = Process::start(&mut script);
        Container { process, name, _folder: plain.folder }
    }

    pub fn run(self) -> (i32, Vec<String>, Vec<String>) {
        self.start().process.exit_and_output()
    }

    /// `docker create`: the container is not started yet.
    pub fn create(self) -> Created {
        let name = name();
        let output = self.command("create", &name).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Created { name, _folder: self.folder }
    }
}

fn name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("rsm-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A container that was created, perhaps started; gone when dropped.
pub struct Created {
    pub name: String,
    _folder: Folder,
}

impl Created {
    pub fn docker(&self, verb: &str, args: &[&str]) -> Outcome {
        let mut command = Command::new("docker");
        command.arg(verb).args(args);
        outcome(&mut command, &[&self.name])
    }

    pub fn inspect(&self, format: &str) -> String {
        self.docker("inspect", &["-f", format]).out.trim().to_owned()
    }

    pub fn logs(&self) -> String {
        let outcome = self.docker("logs", &[]);
        outcome.out + &outcome.err
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// A container in the foreground of `docker run`; gone when dropped.
pub struct Container {
    pub process: Process,
    pub name: String,
    _folder: Folder,
}

impl std::ops::Deref for Container {
    type Target = Process;
    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Container {
    /// `docker VERB ARGS NAME`.
    pub fn docker(&self, verb: &str, args: &[&str]) -> Outcome {
        let mut command = Command::new("docker");
        command.arg(verb).args(args);
        outcome(&mut command, &[&self.name])
    }

    pub fn signal(&self, signal: &str) {
        let outcome = self.docker("kill", &["-s", signal]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
    }

    pub fn inspect(&self, format: &str) -> String {
        self.docker("inspect", &["-f", format]).out.trim().to_owned()
    }

    /// `docker exec NAME ARGV`.
    pub fn exec(&self, argv: &[&str]) -> Outcome {
        let mut command = Command::new("docker");
        command.args(["exec", &self.name]);
        outcome(&mut command, argv)
    }

    pub fn status(&self) -> Value {
        let outcome = self.exec(&["rsm-init", "ctl", "status", "--json"]);
        serde_json::from_str(&outcome.out).unwrap_or_else(|e| panic!("{e}: {outcome:?}"))
    }

    pub fn await_state(&self, app: &str, state: &str) -> Value {
        eventually(&format!("{app} {state}"), || {
            let outcome = self.exec(&["/rsm-init", "ctl", "status", "--json"]);
            let status: Value = serde_json::from_str(&outcome.out).ok()?;
            let apps = status["apps"].as_array()?;
            let app = apps.iter().find(|a| a["name"] == app)?;
            let instance = app["instances"][0].clone();
            (instance["state"] == state).then_some(instance)
        })
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

fn remove(name: &str) {
    let _ = Command::new("docker").args(["rm", "-f", "-v", name]).output();
}
