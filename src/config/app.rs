//! One app: from checked keys to an [`AppSpec`].

use super::env::{self, Variable};
use super::fault::{Place, Report, Subject};
use super::given::Given;
use super::identity::identity;
use super::keys::Key;
use super::logs::{self, Places};
use super::resolve::{self, Bases, Resolved, Runtime, Wanted};
use super::value::{Node, Value, quoted};
use super::{Loader, shape};
use super::{paths, policy};
use crate::spec::{AppSpec, Command, Identity, Readiness};

/// An app that is fine by itself; its neighbours are not looked at yet.
pub(super) struct Draft<'n> {
    pub(super) app: AppSpec,
    pub(super) given: Given<'n>,
    pub(super) variables: Vec<Variable<'n>>,
    /// Its place among the apps of its file.
    index: Option<usize>,
    pub(super) place: Place,
    /// The name before another app of that name made it change.
    pub(super) asked_name: Box<str>,
    /// The shell that a script with a space was handed to.
    pub(super) shell: Option<&'static str>,
}

impl Draft<'_> {
    /// For what is found out about it later.
    pub(super) fn subject(&self) -> Subject {
        Subject::new(self.index, &self.asked_name)
    }
}

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
        loader.report.subject.set(index, "");
        loader.report.fault(node.at, message);
        loader.report.subject.set(None, "");
        return None;
    };
    loader.report.subject.set(index, node.member("name").and_then(Node::text).unwrap_or_default());
    let elsewhere: &[&str] = if index.is_none() { &shape::BESIDES } else { &[] };
    let given = Given::collect(entries, elsewhere, &loader.names, &mut loader.report);
    let draft = build(node, index, given, deploy, loader);
    loader.report.subject.set(None, "");
    draft
}

fn build<'n>(
    node: &'n Node<'n>,
    index: Option<usize>,
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

    let count = policy::instances(&given, loader);
    let cwd = resolved.cwd.as_deref().unwrap_or(&loader.working);
    let places = Places { cwd, home: loader.home.as_deref(), pm2_home: loader.pm2_home.as_deref() };
    let logs = logs::logs(&given, &name, policy::merges_logs(&given), &places, &mut loader.report);
    let app = AppSpec {
        namespace: given.text(Key::Namespace).unwrap_or("default").into(),
        instances: count,
        exec_mode: policy::exec_mode(&given, resolved.runtime),
        autostart: given.flag(Key::Autostart).unwrap_or(true),
        critical: given.flag(Key::Critical).unwrap_or(false),
        depends_on: policy::depends_on(&given),
        restart: policy::restart(&given, &mut loader.report),
        stop: policy::stop(&given, resolved.runtime),
        readiness: Readiness::Spawned,
        logs,
        pid_file: logs::pid_file(&given, &name, &places),
        command: Command {
            candidates: resolved.candidates.into(),
            argv: resolved.argv.into(),
            cwd: resolved.cwd,
            env,
            filter_env: policy::filter_env(&given),
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
    Some(Draft { app, given, variables, index, place, asked_name: name, shell: resolved.shell })
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
    // Room for what is added below, so that it is allocated once.
    let mut env: Vec<(Box<str>, Box<str>)> = Vec::with_capacity(variables.len() + 3);
    for variable in variables.iter().filter(|variable| !variable.is_absent) {
        env.push(((&*variable.name).into(), (&*variable.value).into()));
    }
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
