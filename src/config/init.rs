//! The supervisor's own settings: the top-level `init`.

use super::Loader;
use super::forms::{self, Checked};
use super::given::{self, has_no_code};
use super::identity::group_id;
use super::keys::Kind;
use super::paths;
use super::suggest;
use super::value::{Entry, Node, Value, quoted};
use crate::spec::{InitSpec, LogFormat};

const KEYS: [&str; 8] = [
    "shutdown_timeout",
    "socket",
    "socket_mode",
    "socket_group",
    "termination_log",
    "exit_when_idle",
    "forward_signals",
    "log_format",
];

/// Settings that end up in the apps, or nowhere.
#[derive(Default)]
pub(super) struct Rest {
    /// For apps that have no `log_format` of their own.
    pub(super) log_format: Option<LogFormat>,
}

/// Reads `node` into `init`; a later file overrules an earlier one key by key.
pub(super) fn read(node: &Node<'_>, init: &mut InitSpec, rest: &mut Rest, loader: &mut Loader<'_>) {
    if matches!(node.value, Value::Null | Value::Undefined)
        || !has_no_code("init", node, &mut loader.report)
    {
        return;
    }
    let Some(entries) = node.map() else {
        loader.report.fault(
            node.at,
            format!("init: expected an object of settings; found {}", node.describe()),
        );
        return;
    };
    for entry in
        entries.iter().filter(|entry| !matches!(entry.node.value, Value::Null | Value::Undefined))
    {
        set(entry, init, rest, loader);
    }
}

fn set(entry: &Entry<'_>, init: &mut InitSpec, rest: &mut Rest, loader: &mut Loader<'_>) {
    let (key, node) = (&*entry.key, &entry.node);
    let name = format!("init.{key}");
    let report = &mut loader.report;
    let mut checked = |kind: Kind| given::required(kind, &name, node, report);
    match key {
        "shutdown_timeout" => {
            if let Some(Checked::Time(time)) = checked(Kind::Time) {
                init.shutdown_timeout = Some(time);
            }
        }
        "socket" => {
            if let Some(Checked::Text(path)) = checked(Kind::Text) {
                init.socket = absolute(&path, &loader.working);
            }
        }
        "socket_mode" => match mode(node) {
            Some(mode) => init.socket_mode = mode,
            None => report.fault(
                node.at,
                format!(
                    "{name}: expected an octal mode such as \"0660\"; found {}",
                    node.describe()
                ),
            ),
        },
        "socket_group" => {
            if let Some(Checked::Text(group)) = checked(Kind::Account) {
                init.socket_group =
                    group_id(&group, &name, node.at, loader.context.accounts, report);
            }
        }
        "termination_log" => {
            if let Some(Checked::Text(path)) = checked(Kind::Text) {
                init.termination_log = absolute(&path, &loader.working).unwrap_or_default();
            }
        }
        "exit_when_idle" => {
            if let Some(Checked::Flag(flag)) = checked(Kind::Flag) {
                init.exit_when_idle = flag;
            }
        }
        "forward_signals" => {
            if let Some(signals) = signals(&name, node, loader) {
                init.forward_signals = signals;
            }
        }
        "log_format" => {
            if let Some(Checked::LogFormat(format)) = checked(Kind::LogFormat) {
                rest.log_format = format;
                if format.is_none() {
                    report.warn(node.at, format!("{name}: \"json\" is not acted on yet"));
                }
            }
        }
        _ => {
            let hint = suggest::closest(key, KEYS.into_iter())
                .map_or(String::new(), |meant| format!("; did you mean \"{meant}\"?"));
            report.doubt(entry.at, format!("init: {}: unknown key{hint}", quoted(key)));
        }
    }
}

/// `None`: an empty path, which means none.
fn absolute(path: &str, working: &str) -> Option<Box<str>> {
    // An abstract socket has a name that is no path.
    let is_name = path.starts_with('@');
    match path {
        "" => None,
        _ if is_name => Some(path.into()),
        _ => Some(paths::resolve(working, path).into()),
    }
}

/// Strings are octal; so is a number with a leading zero, which has become its value by now.
fn mode(node: &Node<'_>) -> Option<u32> {
    let mode = match &node.value {
        Value::Number(number) if number.fract() == 0.0 => {
            u32::try_from(super::units::truncated(*number)).ok()?
        }
        Value::Text(text) => u32::from_str_radix(text.trim_start_matches("0o"), 8).ok()?,
        _ => return None,
    };
    (mode <= 0o777).then_some(mode)
}

fn signals(name: &str, node: &Node<'_>, loader: &mut Loader<'_>) -> Option<Box<[i32]>> {
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Text(_) | Value::Number(_) => std::slice::from_ref(node),
        _ => {
            loader.report.fault(
                node.at,
                format!("{name}: expected an array of signals; found {}", node.describe()),
            );
            return None;
        }
    };
    let mut signals = Vec::with_capacity(items.len());
    for item in items {
        match forms::signal(item) {
            // These two reach nobody but the kernel.
            Some(libc::SIGKILL | libc::SIGSTOP) => loader.report.fault(
                item.at,
                format!("{name}: {} cannot be caught, so it cannot be forwarded", item.describe()),
            ),
            Some(signal) => signals.push(signal),
            None => loader.report.fault(
                item.at,
                format!("{name}: expected a signal such as \"SIGUSR1\"; found {}", item.describe()),
            ),
        }
    }
    signals.sort_unstable();
    signals.dedup();
    Some(signals.into())
}
