//! One app: from checked keys to an [`AppSpec`].

use std::borrow::Cow;
use std::time::Duration;

use super::env::{self, Variable};
use super::fault::{Place, Report};
use super::forms::{self, Checked, FilterForm};
use super::given::Given;
use super::identity::identity;
use super::keys::Key;
use super::logs::{self, Places};
use super::paths;
use super::resolve::{self, Bases, Resolved, Runtime, Wanted};
use super::value::{Node, Value, quoted};
use super::{Loader, shape};
use crate::spec::{
    AppSpec, Command, Dependency, ExecMode, FilterEnv, Identity, Readiness, RestartDelay,
    RestartPolicy, StopPolicy,
};

/// An app that is fine by itself; its neighbours are not looked at yet.
pub(super) struct Draft<'n> {
    pub(super) app: AppSpec,
    pub(super) given: Given<'n>,
    pub(super) variables: Vec<Variable<'n>>,
    /// `apps[1] "web": `, for what is found later.
    pub(super) subject: String,
    pub(super) place: Place,
    /// The name before another app of that name made it change.
    pub(super) asked_name: Box<str>,
    /// The shell that a script with a space was handed to.
    pub(super) shell: Option<&'static str>,
}

const DEFAULT_MIN_UPTIME: Duration = Duration::from_secs(1);
const DEFAULT_MAX_RESTARTS: u32 = 16;
/// Inside the 10 s that `docker stop` gives.
const DEFAULT_KILL_TIMEOUT: Duration = Duration::from_secs(8);
/// Longer names break tables, file names and messages.
const LONGEST_NAME: usize = 200;

/// The app that `node` describes; `None` if there is none, which is reported. Faults in single keys are reported besides.
pub(super) fn draft<'n>(
    node: &'n Node<'n>,
    index: Option<usize>,
    deploy: Option<&'n Node<'n>>,
    loader: &mut Loader<'_>,
) -> Option<Draft<'n>> {
    let Value::Map(entries) = &node.value else {
        let message = match &node.value {
            Value::Code(code) => super::given::code_fault(code),
            _ => format!("expected an object that describes an app; found {}", node.describe()),
        };
        loader.report.subject = subject(index, None);
        loader.report.fault(node.at, message);
        return None;
    };
    loader.report.subject = subject(index, node.member("name"));
    let elsewhere: &[&str] = if index.is_none() { &shape::BESIDES } else { &[] };
    let given = Given::collect(entries, elsewhere, &loader.names, &mut loader.report);
    let draft = build(node, given, deploy, loader);
    loader.report.subject.clear();
    draft
}

fn subject(index: Option<usize>, name: Option<&Node<'_>>) -> String {
    let index = index.map(|index| format!("apps[{index}]"));
    let name = name.and_then(Node::text).map(quoted);
    match (index, name) {
        (Some(index), Some(name)) => format!("{index} {name}: "),
        (Some(one), None) | (None, Some(one)) => format!("{one}: "),
        (None, None) => String::new(),
    }
}

fn build<'n>(
    node: &'n Node<'n>,
    given: Given<'n>,
    deploy: Option<&'n Node<'n>>,
    loader: &mut Loader<'_>,
) -> Option<Draft<'n>> {
    given.warn_of_the_future(&mut loader.report);
    let variables = env::variables(&given, deploy, loader.context.env_name, &mut loader.report);
    let Some(script) = given.text(Key::Script) else {
        // A script of the wrong form has been reported.
        let is_there = ["script", "cmd", "command", "exec"]
            .iter()
            .any(|name| node.member(name).is_some_and(|node| !node.is_absent()));
        if !is_there {
            loader.report.fault(node.at, "script: missing; it names what to run");
        }
        return None;
    };
    let name = name(&given, script, loader)?;
    let identity = identity(&given, loader.context.accounts, &mut loader.report);
    let resolved = resolved(&given, script, &variables, loader);
    for (key, remark) in &resolved.remarks {
        let (name, at) = match given.item(*key).or(given.item(Key::Script)) {
            Some(item) => (item.written, item.node.at),
            None => (key.name(), node.at),
        };
        loader.report.warn(at, format!("{name}: {remark}"));
    }
    let env = environment(&variables, &given, &resolved, identity.as_ref());
    check_lengths(&resolved, node.at, &mut loader.report);

    let count = instances(&given, loader);
    let cwd = resolved.cwd.as_deref().unwrap_or(&loader.working);
    let places = Places { cwd, home: loader.home.as_deref(), pm2_home: loader.pm2_home.as_deref() };
    let logs = logs::logs(&given, &name, merges_logs(&given), &places, &mut loader.report);
    let app = AppSpec {
        namespace: given.text(Key::Namespace).unwrap_or("default").into(),
        instances: count,
        exec_mode: exec_mode(&given, resolved.runtime),
        autostart: given.flag(Key::Autostart).unwrap_or(true),
        critical: given.flag(Key::Critical).unwrap_or(false),
        depends_on: depends_on(&given),
        restart: restart(&given, &mut loader.report),
        stop: stop(&given, resolved.runtime),
        readiness: Readiness::Spawned,
        logs,
        pid_file: logs::pid_file(&given, &name, &places),
        command: Command {
            candidates: resolved.candidates.into(),
            argv: resolved.argv.into(),
            cwd: resolved.cwd,
            env,
            filter_env: filter_env(&given),
            instance_var: given.text(Key::InstanceVar).unwrap_or("NODE_APP_INSTANCE").into(),
            increment_var: given.text(Key::IncrementVar).map(Into::into),
            identity,
            script: script.into(),
            interpreter: resolved.interpreter,
            found: resolved.found,
        },
        name: name.clone(),
    };
    let place = loader.report.place(given.item(Key::Name).map_or(node.at, |item| item.node.at));
    let subject = loader.report.subject.clone();
    Some(Draft { app, given, variables, subject, place, asked_name: name, shell: resolved.shell })
}

fn name(given: &Given<'_>, script: &str, loader: &mut Loader<'_>) -> Option<Box<str>> {
    let base = paths::base_name(script);
    let mut name = given.text(Key::Name).map_or_else(
        || base[..base.len() - paths::extension(base).len()].to_owned(),
        str::to_owned,
    );
    if given.flag(Key::AppendEnvToName) == Some(true)
        && let Some(env_name) = loader.context.env_name
    {
        name = format!("{name}-{env_name}");
    }
    let fault = if name.is_empty() {
        Some("name: expected a name, because the script has none to take it from".to_owned())
    } else if name.len() > LONGEST_NAME {
        Some(format!("name: {} is longer than {LONGEST_NAME} bytes", quoted(&name)))
    } else if name.contains(char::is_control) {
        Some(format!("name: {} has control characters in it", quoted(&name)))
    } else {
        None
    };
    match fault {
        None => Some(name.into()),
        Some(fault) => {
            let item = given.item(Key::Name).or(given.item(Key::Script));
            loader.report.fault(item.map_or(0, |item| item.node.at), fault);
            None
        }
    }
}

fn resolved(
    given: &Given<'_>,
    script: &str,
    variables: &[Variable<'_>],
    loader: &mut Loader<'_>,
) -> Resolved {
    let path = variables.iter().find(|variable| variable.name == "PATH" && !variable.is_absent);
    let wanted = Wanted {
        script,
        args: given.words(Key::Args),
        interpreter: given.text(Key::Interpreter),
        interpreter_args: given.words(Key::NodeArgs),
        cwd: given.text(Key::Cwd),
        path: path.map(|variable| &*variable.value),
    };
    let bases = Bases { working: &loader.working, config: &loader.config_directory };
    resolve::resolve(&wanted, &bases, &mut loader.programs)
}

fn environment(
    variables: &[Variable<'_>],
    given: &Given<'_>,
    resolved: &Resolved,
    identity: Option<&Identity>,
) -> Box<[(Box<str>, Box<str>)]> {
    let mut env: Vec<(Box<str>, Box<str>)> = variables
        .iter()
        .filter(|variable| !variable.is_absent)
        .map(|variable| (Box::from(&*variable.name), Box::from(&*variable.value)))
        .collect();
    let has = |env: &[(Box<str>, Box<str>)], name: &str| {
        env.iter().position(|(other, _)| **other == *name)
    };
    if let Some(port) = given.whole(Key::Port) {
        let port = Box::from(port.to_string());
        match has(&env, "PORT") {
            Some(at) => env[at].1 = port,
            None => env.push(("PORT".into(), port)),
        }
    }
    // Otherwise Python keeps its output to itself until 8 KiB have come together.
    if resolved.runtime == Runtime::Python && has(&env, "PYTHONUNBUFFERED").is_none() {
        env.push(("PYTHONUNBUFFERED".into(), "1".into()));
    }
    if let Some(home) = identity.and_then(|identity| identity.home.as_ref())
        && has(&env, "HOME").is_none()
    {
        env.push(("HOME".into(), home.clone()));
    }
    env.into()
}

fn check_lengths(resolved: &Resolved, at: u32, report: &mut Report) {
    if let Some(word) = resolved.argv.iter().find(|word| word.len() > env::LONGEST_STRING) {
        report.fault(
            at,
            format!(
                "args: one argument is {} bytes long, and the kernel passes on {}",
                word.len(),
                env::LONGEST_STRING
            ),
        );
    }
}

/// PM2's rule: one process, or as many as there are CPUs, share the files whatever the key says.
pub(super) fn merges_logs(given: &Given<'_>) -> bool {
    let is_cluster =
        matches!(given.value(Key::ExecMode), Some(Checked::ExecMode(ExecMode::Cluster)));
    let has_count = given.whole(Key::Instances).is_some_and(|count| count != 0);
    (!is_cluster && !has_count) || given.flag(Key::MergeLogs).unwrap_or(false)
}

fn instances(given: &Given<'_>, loader: &mut Loader<'_>) -> u32 {
    let cpus = i64::from(loader.context.cpus.max(1));
    let Some(count) = given.whole(Key::Instances) else { return 1 };
    if let Some(item) = given.item(Key::Instances).filter(|item| forms::is_odd_count(item.node)) {
        loader.report.warn(
            item.node.at,
            format!(
                "{}: {} is taken for \"max\": one instance per CPU",
                item.written,
                item.node.describe()
            ),
        );
    }
    let count = if count > 0 { count } else { (cpus + count).max(1) };
    u32::try_from(count.min(forms::MOST_INSTANCES)).unwrap_or(1)
}

fn exec_mode(given: &Given<'_>, runtime: Runtime) -> ExecMode {
    if given.flag(Key::ExecuteCommand) == Some(true) {
        return ExecMode::Fork;
    }
    match given.value(Key::ExecMode) {
        Some(Checked::ExecMode(mode)) => *mode,
        _ if runtime == Runtime::Node && given.item(Key::Instances).is_some() => ExecMode::Cluster,
        _ => ExecMode::Fork,
    }
}

fn depends_on(given: &Given<'_>) -> Box<[Dependency]> {
    match given.value(Key::DependsOn) {
        Some(Checked::Depends(needs)) => needs
            .iter()
            .map(|(_, app, condition)| Dependency { app: (&**app).into(), condition: *condition })
            .collect(),
        _ => Box::default(),
    }
}

fn restart(given: &Given<'_>, report: &mut Report) -> RestartPolicy {
    let positive = |key: Key| given.time(key).filter(|time| !time.is_zero());
    for key in [Key::RestartDelay, Key::ExpBackoff] {
        if let Some(item) = given
            .item(key)
            .filter(|item| matches!(&item.node.value, Value::Number(ms) if *ms < 0.0))
        {
            report.warn(item.node.at, format!("{}: a negative time is taken for 0", item.written));
        }
    }
    RestartPolicy {
        autorestart: given.flag(Key::Autorestart).unwrap_or(true),
        stop_exit_codes: match given.value(Key::StopExitCodes) {
            Some(Checked::Codes { codes, .. }) => codes.clone().into(),
            _ => Box::default(),
        },
        min_uptime: given.time(Key::MinUptime).unwrap_or(DEFAULT_MIN_UPTIME),
        max_restarts: match given.whole(Key::MaxRestarts) {
            None => Some(DEFAULT_MAX_RESTARTS),
            Some(most) => u32::try_from(most).ok(),
        },
        delay: match (positive(Key::ExpBackoff), given.time(Key::RestartDelay)) {
            (Some(first), _) => RestartDelay::Growing(first),
            (None, Some(delay)) => RestartDelay::Constant(delay),
            (None, None) => RestartDelay::BackOff,
        },
    }
}

fn stop(given: &Given<'_>, runtime: Runtime) -> StopPolicy {
    StopPolicy {
        signal: match given.value(Key::KillSignal) {
            Some(Checked::Signal(signal)) => *signal,
            // What programs written for PM2 wait for. A shell starts background children deaf to SIGINT.
            _ if runtime == Runtime::Node => libc::SIGINT,
            _ => libc::SIGTERM,
        },
        kill_timeout: given.time(Key::KillTimeout).unwrap_or(DEFAULT_KILL_TIMEOUT),
        whole_tree: given.flag(Key::Treekill).unwrap_or(true),
    }
}

fn filter_env(given: &Given<'_>) -> FilterEnv {
    match given.value(Key::FilterEnv) {
        Some(Checked::FilterEnv(FilterForm::All)) => FilterEnv::DropAll,
        Some(Checked::FilterEnv(FilterForm::Named(name))) => FilterEnv::Named((&**name).into()),
        Some(Checked::FilterEnv(FilterForm::Containing(parts))) => FilterEnv::Containing(
            parts.iter().map(|part: &Cow<'_, str>| Box::from(&**part)).collect(),
        ),
        _ => FilterEnv::Keep,
    }
}
