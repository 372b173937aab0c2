//! The outermost level of a file: where its apps are.

use super::fault::Report;
use super::given::code_fault;
use super::keys::{self, Names};
use super::suggest;
use super::value::{Entry, Node, Value, quoted};

/// Keys that may stand beside `apps`, or beside the keys of a single app.
pub(super) const BESIDES: [&str; 4] = ["init", "deploy", "static", "$schema"];

pub(super) struct Shape<'n> {
    /// With their index, unless the file is one app.
    pub(super) apps: Vec<(Option<usize>, &'n Node<'n>)>,
    pub(super) init: Option<&'n Node<'n>>,
    pub(super) deploy: Option<&'n Node<'n>>,
}

/// Top-level keys whose values nobody reads: code may stand there.
pub(super) fn is_unused(key: &str) -> bool {
    matches!(key, "deploy" | "static")
}

/// `None`: no such file can be meant; reported.
pub(super) fn shape<'n>(
    root: &'n Node<'n>,
    names: &Names,
    report: &mut Report,
) -> Option<Shape<'n>> {
    match &root.value {
        Value::List(items) => Some(Shape { apps: numbered(items), init: None, deploy: None }),
        Value::Map(entries) => {
            let mut shape = Shape {
                apps: Vec::new(),
                init: root.member("init"),
                deploy: root.member("deploy"),
            };
            let list = root
                .member("apps")
                .map(|apps| ("apps", apps))
                .or_else(|| root.member("pm2").map(|apps| ("pm2", apps)));
            match list {
                Some((key, apps)) => {
                    warn_of_others(entries, key, report);
                    shape.apps = listed(key, apps, report)?;
                }
                None if is_only_settings(entries) => {}
                None if is_misspelt(entries, names, report) => return None,
                None => shape.apps.push((None, root)),
            }
            warn_of_code(entries, report);
            Some(shape)
        }
        Value::Code(code) => {
            report.fault(root.at, code_fault(code));
            None
        }
        _ => {
            report.fault(
                root.at,
                format!(
                    "expected an array of apps, {{\"apps\": [...]}} or one app; found {}",
                    root.describe()
                ),
            );
            None
        }
    }
}

fn numbered<'n>(items: &'n [Node<'n>]) -> Vec<(Option<usize>, &'n Node<'n>)> {
    items.iter().enumerate().map(|(index, item)| (Some(index), item)).collect()
}

fn listed<'n>(
    key: &str,
    apps: &'n Node<'n>,
    report: &mut Report,
) -> Option<Vec<(Option<usize>, &'n Node<'n>)>> {
    match &apps.value {
        Value::List(items) => Some(numbered(items)),
        Value::Map(_) => Some(vec![(Some(0), apps)]),
        Value::Code(code) => {
            report.fault(apps.at, format!("{key}: {}", code_fault(code)));
            None
        }
        _ => {
            report.fault(
                apps.at,
                format!("{key}: expected an array of apps, or one app; found {}", apps.describe()),
            );
            None
        }
    }
}

fn warn_of_others(entries: &[Entry<'_>], list: &str, report: &mut Report) {
    for entry in entries {
        let key = &*entry.key;
        if key == list || BESIDES.contains(&key) {
            continue;
        }
        if key == "pm2" {
            report.warn(entry.at, "pm2: no effect, because \"apps\" is given too");
            continue;
        }
        let hint = match suggest::closest(key, BESIDES.into_iter()) {
            Some(meant) => format!("; did you mean \"{meant}\"?"),
            None => String::new(),
        };
        report.doubt(entry.at, format!("{}: unknown key beside \"{list}\"{hint}", quoted(key)));
    }
}

/// A file with a `deploy` section and no apps is fine for PM2.
fn is_only_settings(entries: &[Entry<'_>]) -> bool {
    !entries.is_empty() && entries.iter().all(|entry| BESIDES.contains(&&*entry.key))
}

/// `{"app": [...]}`: reported once, instead of as an app without a script.
fn is_misspelt(entries: &[Entry<'_>], names: &Names, report: &mut Report) -> bool {
    let is_known = |entry: &Entry<'_>| {
        names.find(&entry.key).is_some() || keys::env_name(&entry.key).is_some()
    };
    if entries.iter().any(is_known) {
        return false;
    }
    let near = entries.iter().find(|entry| {
        matches!(entry.node.value, Value::List(_) | Value::Map(_))
            && suggest::closest(&entry.key, ["apps", "app"].into_iter()).is_some()
    });
    if let Some(entry) = near {
        report.fault(
            entry.at,
            format!("{}: unknown key; did you mean \"apps\"?", quoted(&entry.key)),
        );
    }
    near.is_some()
}

fn warn_of_code(entries: &[Entry<'_>], report: &mut Report) {
    for entry in entries.iter().filter(|entry| is_unused(&entry.key)) {
        if let Some(at) = first_code(&entry.node) {
            report.warn(
                at,
                format!(
                    "{}: has JavaScript in it, which is skipped; nothing here uses it",
                    entry.key
                ),
            );
        }
    }
}

fn first_code(node: &Node<'_>) -> Option<u32> {
    match &node.value {
        Value::Code(_) => Some(node.at),
        Value::List(items) => items.iter().find_map(first_code),
        Value::Map(entries) => entries.iter().find_map(|entry| first_code(&entry.node)),
        _ => None,
    }
}
