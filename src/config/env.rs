//! An app's own variables: `env`, then `deploy.NAME.env`, then `env_NAME`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::fault::Report;
use super::given::Given;
use super::keys::Key;
use super::value::{Node, Value, quoted};

/// The kernel's MAX_ARG_STRLEN, less the closing NUL.
pub(super) const LONGEST_STRING: usize = 131_071;

/// One variable; where it came from tells its JSON form.
#[derive(Clone)]
pub(super) struct Variable<'n> {
    pub(super) name: Cow<'n, str>,
    pub(super) value: Cow<'n, str>,
    /// As it was written.
    pub(super) node: Option<&'n Node<'n>>,
    /// `null`: there is no such variable.
    pub(super) is_absent: bool,
}

/// All variables of an app in the order in which they were first named.
pub(super) fn variables<'n>(
    given: &Given<'n>,
    deploy: Option<&'n Node<'n>>,
    chosen: Option<&str>,
    report: &mut Report,
) -> Vec<Variable<'n>> {
    let mut all = match given.item(Key::Env) {
        Some(item) => read("env", item.node, report),
        None => Vec::new(),
    };
    // The other environments are checked even if they are not chosen.
    let mut overlays = Vec::new();
    if let Some(node) = deploy {
        overlays.push(read("deploy.env", node, report));
    }
    for (name, node) in &given.environments {
        let variables = read(&format!("env_{name}"), node, report);
        if chosen == Some(name) {
            overlays.push(variables);
        }
    }
    for overlay in overlays {
        all = merge(all, overlay);
    }
    all
}

fn merge<'n>(base: Vec<Variable<'n>>, overlay: Vec<Variable<'n>>) -> Vec<Variable<'n>> {
    if base.is_empty() {
        return overlay;
    }
    let places: BTreeMap<String, usize> =
        base.iter().enumerate().map(|(at, variable)| (variable.name.to_string(), at)).collect();
    let mut merged = base;
    for variable in overlay {
        match places.get(&*variable.name) {
            Some(&at) => merged[at] = variable,
            None => merged.push(variable),
        }
    }
    merged
}

fn read<'n>(key: &str, node: &'n Node<'n>, report: &mut Report) -> Vec<Variable<'n>> {
    let variables = match &node.value {
        Value::Map(entries) => entries
            .iter()
            .map(|entry| Variable {
                name: Cow::Borrowed(&entry.key),
                value: entry.node.to_text(),
                node: Some(&entry.node),
                is_absent: matches!(entry.node.value, Value::Null | Value::Undefined),
            })
            .collect(),
        Value::Text(text) => match assignments(text) {
            Some(variables) => {
                report.warn(
                    node.at,
                    format!("{key}: a string is read as NAME=VALUE words; an object is clearer"),
                );
                variables
            }
            None => {
                report.fault(
                    node.at,
                    format!("{key}: expected an object of variables; found {}", node.describe()),
                );
                return Vec::new();
            }
        },
        _ => {
            report.fault(
                node.at,
                format!("{key}: expected an object of variables; found {}", node.describe()),
            );
            return Vec::new();
        }
    };
    for variable in &variables {
        let at = variable.node.map_or(node.at, |node| node.at);
        if variable.name.is_empty() || variable.name.contains('=') {
            report.fault(
                at,
                format!(
                    "{key}: {} cannot be the name of a variable: it is empty or has a \"=\"",
                    quoted(&variable.name)
                ),
            );
        }
        let length = variable.name.len() + 1 + variable.value.len();
        if length > LONGEST_STRING {
            report.fault(at, format!("{key}: {} is too long: {length} bytes, and the kernel passes on {LONGEST_STRING}", quoted(&variable.name)));
        }
    }
    variables
}

fn assignments(text: &str) -> Option<Vec<Variable<'_>>> {
    text.split_whitespace()
        .map(|word| {
            let (name, value) = word.split_once('=')?;
            (!name.is_empty()).then_some(Variable {
                name: Cow::Borrowed(name),
                value: Cow::Borrowed(value),
                node: None,
                is_absent: false,
            })
        })
        .collect()
}
