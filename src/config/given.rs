//! The keys that one app was given, each checked by itself.

use super::fault::Report;
use super::forms::{self, Checked, Misfit};
use super::keys::{self, Key, Kind, Names, Rank, Role};
use super::suggest;
use super::value::{Entry, Node, Value, quoted};

/// One key with a value that has the right form.
pub(super) struct Item<'n> {
    pub(super) key: Key,
    rank: Rank,
    /// The name that was used.
    pub(super) written: &'n str,
    pub(super) at: u32,
    pub(super) node: &'n Node<'n>,
    pub(super) value: Checked<'n>,
}

pub(super) struct Given<'n> {
    items: Vec<Item<'n>>,
    /// `env_NAME`, without the `env_`.
    pub(super) environments: Vec<(&'n str, &'n Node<'n>)>,
}

impl<'n> Given<'n> {
    /// Checks each key; what is wrong is reported and left out. Keys in `elsewhere` belong to somebody else.
    pub(super) fn collect(
        entries: &'n [Entry<'n>],
        elsewhere: &[&str],
        names: &Names,
        report: &mut Report,
    ) -> Self {
        let mut given = Self { items: Vec::with_capacity(entries.len()), environments: Vec::new() };
        for entry in entries {
            if let Some((key, rank)) = names.find(&entry.key) {
                given.add(entry, key, rank, report);
            } else if let Some(name) = keys::env_name(&entry.key) {
                if !entry.node.is_absent() {
                    has_no_code(&entry.key, &entry.node, report);
                    given.environments.push((name, &entry.node));
                }
            } else if !elsewhere.contains(&&*entry.key) {
                unknown(entry, names, report);
            }
        }
        given
    }

    fn add(&mut self, entry: &'n Entry<'n>, key: Key, rank: Rank, report: &mut Report) {
        let (name, node) = (&*entry.key, &entry.node);
        if node.is_absent() {
            return;
        }
        if keys::is_old(rank) {
            report.warn(entry.at, format!("{name}: an old name; taken for \"{}\"", key.name()));
        }
        let kind = key.info().kind;
        // What else is wrong with the variables is worth telling at once.
        if !has_no_code(name, node, report) && kind != Kind::Env {
            return;
        }
        let value = match forms::check(kind, node) {
            Ok(value) => value,
            Err(misfit) => return report_misfit(name, node, misfit, report),
        };
        let item = Item { key, rank, written: name, at: entry.at, node, value };
        match self.items.iter_mut().find(|other| other.key == key) {
            None => self.items.push(item),
            Some(other) => {
                let (strong, weak) = if item.rank < other.rank {
                    (item.written, &*other)
                } else {
                    (other.written, &item)
                };
                report.warn(
                    weak.at,
                    format!("{}: no effect, because \"{strong}\" is given too", weak.written),
                );
                if item.rank < other.rank {
                    *other = item;
                }
            }
        }
    }

    pub(super) fn item(&self, key: Key) -> Option<&Item<'n>> {
        self.items.iter().find(|item| item.key == key)
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item<'n>> {
        self.items.iter()
    }

    pub(super) fn value(&self, key: Key) -> Option<&Checked<'n>> {
        self.item(key).map(|item| &item.value)
    }

    pub(super) fn flag(&self, key: Key) -> Option<bool> {
        match self.value(key) {
            Some(Checked::Flag(flag)) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn text(&self, key: Key) -> Option<&str> {
        match self.value(key) {
            Some(Checked::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn words(&self, key: Key) -> &[std::borrow::Cow<'n, str>] {
        match self.value(key) {
            Some(Checked::Words(words)) => words,
            _ => &[],
        }
    }

    pub(super) fn whole(&self, key: Key) -> Option<i64> {
        match self.value(key) {
            Some(Checked::Whole(number)) => Some(*number),
            _ => None,
        }
    }

    pub(super) fn time(&self, key: Key) -> Option<std::time::Duration> {
        match self.value(key) {
            Some(Checked::Time(time)) => Some(*time),
            _ => None,
        }
    }

    /// Tells which keys would change something and do not yet.
    pub(super) fn warn_of_the_future(&self, report: &mut Report) {
        let watches = self.value(Key::Watch).is_some_and(|value| *value != Checked::Flag(false));
        for item in self.items.iter().filter(|item| item.key.info().role == Role::Later) {
            let matters = match item.key {
                Key::IgnoreWatch | Key::WatchDelay | Key::WatchOptions => watches,
                Key::LogType => item.node.text() == Some("json"),
                Key::MaxMemoryRestart => item.value != Checked::Size(0),
                _ => item.value != Checked::Flag(false),
            };
            if matters {
                report.warn(item.at, format!("{}: not acted on yet", item.written));
            }
        }
    }
}

pub(super) fn report_misfit(name: &str, node: &Node<'_>, misfit: Misfit, report: &mut Report) {
    match misfit {
        Misfit::Expected(expected) => {
            let hint = hint(&expected, node);
            let found = node.describe();
            report.fault(node.at, format!("{name}: expected {expected}; found {found}{hint}"));
        }
        Misfit::At(at, message) => report.fault(at, format!("{name}: {message}")),
    }
}

/// One of the words in quotes that were expected may be the one that was meant.
fn hint(expected: &str, node: &Node<'_>) -> String {
    let words = expected.split('"').skip(1).step_by(2);
    match node.text().and_then(|text| suggest::closest(text, words)) {
        Some(meant) => format!("; did you mean \"{meant}\"?"),
        None => String::new(),
    }
}

fn unknown(entry: &Entry<'_>, names: &Names, report: &mut Report) {
    let hint = match keys::suggestion(names, &entry.key) {
        Some(meant) => format!("; did you mean \"{meant}\"?"),
        None => String::new(),
    };
    report.doubt(entry.at, format!("{}: unknown key{hint}", quoted(&entry.key)));
}

/// False: there is code inside a value that is used; every piece of it is reported.
pub(super) fn has_no_code(name: &str, node: &Node<'_>, report: &mut Report) -> bool {
    let is_plain = is_plain(node);
    if !is_plain {
        report_code(name, node, report);
    }
    is_plain
}

fn is_plain(node: &Node<'_>) -> bool {
    match &node.value {
        Value::Code(_) => false,
        Value::Number(number) => number.is_finite(),
        Value::List(items) => items.iter().all(is_plain),
        Value::Map(entries) => entries.iter().all(|entry| is_plain(&entry.node)),
        Value::Null | Value::Undefined | Value::Bool(_) | Value::Text(_) => true,
    }
}

fn report_code(path: &str, node: &Node<'_>, report: &mut Report) {
    match &node.value {
        Value::Code(code) => report.fault(node.at, format!("{path}: {}", code_fault(code))),
        Value::Number(number) if !number.is_finite() => {
            let number = super::value::number_text(*number);
            report.fault(node.at, format!("{path}: {number} is not a number that can be used"));
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                report_code(&format!("{path}[{index}]"), item, report);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                report_code(&format!("{path}.{}", entry.key.escape_debug()), &entry.node, report);
            }
        }
        Value::Null | Value::Undefined | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

pub(super) fn code_fault(code: &str) -> String {
    if code.starts_with('`') {
        return "a template string with ${…} is code; a JSON config is data, not code".into();
    }
    if code.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '/' | ':' | '@'))
        && !code.starts_with('/')
    {
        return format!("text needs quotes: write {}", quoted(code));
    }
    format!("the JavaScript {} would have to be run; a JSON config is data, not code", quoted(code))
}

/// For keys outside of apps: a value of this form, or a fault.
pub(super) fn required<'n>(
    kind: Kind,
    name: &str,
    node: &'n Node<'_>,
    report: &mut Report,
) -> Option<Checked<'n>> {
    if !has_no_code(name, node, report) {
        return None;
    }
    match forms::check(kind, node) {
        Ok(value) => Some(value),
        Err(misfit) => {
            report_misfit(name, node, misfit, report);
            None
        }
    }
}
