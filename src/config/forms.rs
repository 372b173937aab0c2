//! The forms a value may take: times, sizes, switches, lists. A value goes in; what it
//! means comes out, or the words for what was expected instead.

use std::borrow::Cow;
use std::time::Duration;

use super::keys::Kind;
use super::units;
use super::value::{Entry, Node, Value, quoted};
use super::{cron, words};
use crate::signal;
use crate::spec::{Condition, ExecMode, LogFormat, LogMode};

/// A value that has the form its key asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Checked<'n> {
    Flag(bool),
    Whole(i64),
    Time(Duration),
    Size(u64),
    Text(Cow<'n, str>),
    Words(Vec<Cow<'n, str>>),
    /// `single`: written as a number, not as a list.
    Codes {
        codes: Vec<i32>,
        single: bool,
    },
    ExecMode(ExecMode),
    Signal(i32),
    /// PM2's `true` or a path.
    PathOrTrue(Option<Cow<'n, str>>),
    FilterEnv(FilterForm<'n>),
    Depends(Vec<(u32, Cow<'n, str>, Condition)>),
    LogMode(LogMode),
    /// `None`: json, which is not written yet.
    LogFormat(Option<LogFormat>),
    /// A form that only its reader understands.
    Raw,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum FilterForm<'n> {
    Keep,
    All,
    Containing(Vec<Cow<'n, str>>),
    Named(Cow<'n, str>),
}

/// What was expected instead, and a remark on a value that is accepted all the same.
pub(super) enum Misfit {
    Expected(Cow<'static, str>),
    /// Somewhere inside the value.
    At(u32, String),
}

impl From<&'static str> for Misfit {
    fn from(expected: &'static str) -> Self {
        Self::Expected(Cow::Borrowed(expected))
    }
}

type Form<T> = Result<T, Misfit>;

/// More instances than this of one app is a typing mistake.
pub(super) const MOST_INSTANCES: i64 = 10_000;

const TIME: &str = "a time in milliseconds or like \"500ms\", \"5s\", \"2m\", \"1h\", \"1d\"";
const SIZE: &str = "a size in bytes or like \"500K\", \"300M\", \"1.5G\"";

pub(super) fn check<'n>(kind: Kind, node: &'n Node<'_>) -> Form<Checked<'n>> {
    Ok(match kind {
        Kind::Text => Checked::Text(text(node).ok_or("a string")?),
        Kind::Name => Checked::Text(name(node).ok_or("a string")?),
        Kind::Flag => Checked::Flag(flag(node).ok_or("true or false")?),
        Kind::Whole(from, to) => Checked::Whole(whole(node, from, to)?),
        Kind::Time => {
            Checked::Time(time(node).filter(|ms| *ms >= 0.0).and_then(units::duration).ok_or(TIME)?)
        }
        Kind::Delay => {
            Checked::Time(time(node).and_then(|ms| units::duration(ms.max(0.0))).ok_or(TIME)?)
        }
        Kind::Size => Checked::Size(size(node).ok_or(SIZE)?),
        Kind::Words => Checked::Words(words_of(node)?),
        Kind::List => Checked::Words(list(node)?),
        Kind::Codes => codes(node)?,
        Kind::Instances => Checked::Whole(instances(node)?),
        Kind::ExecMode => Checked::ExecMode(match node.text() {
            Some("fork" | "fork_mode") => ExecMode::Fork,
            Some("cluster" | "cluster_mode") => ExecMode::Cluster,
            _ => return Err("\"fork\" or \"cluster\"".into()),
        }),
        Kind::FilterEnv => Checked::FilterEnv(filter_env(node)?),
        Kind::Watch => match flag(node) {
            Some(on) => Checked::Flag(on),
            None => Checked::Words(
                list(node).map_err(|_| Misfit::from("true, false, a path or an array of paths"))?,
            ),
        },
        Kind::Account => Checked::Text(account(node).ok_or("a name or a number")?),
        Kind::Signal => {
            Checked::Signal(signal(node).ok_or("a signal such as \"SIGTERM\", \"INT\" or 15")?)
        }
        Kind::LogFile => match (&node.value, flag(node)) {
            (Value::Bool(_), Some(on)) => {
                if on {
                    Checked::PathOrTrue(None)
                } else {
                    Checked::Flag(false)
                }
            }
            (Value::Text(path), _) => Checked::PathOrTrue(Some(Cow::Borrowed(path))),
            _ => return Err("a path, true or false".into()),
        },
        Kind::Depends => Checked::Depends(depends(node)?),
        Kind::LogMode => Checked::LogMode(match node.text() {
            Some("capture") => LogMode::Capture,
            Some("inherit") => LogMode::Inherit,
            _ => return Err("\"capture\" or \"inherit\"".into()),
        }),
        Kind::LogFormat => Checked::LogFormat(log_format(node)?),
        Kind::Cron => cron_form(node)?,
        Kind::Map => {
            node.map().ok_or("an object")?;
            Checked::Raw
        }
        Kind::Env | Kind::Any => Checked::Raw,
    })
}

fn text<'n>(node: &'n Node<'_>) -> Option<Cow<'n, str>> {
    node.text().map(Cow::Borrowed)
}

fn name<'n>(node: &'n Node<'_>) -> Option<Cow<'n, str>> {
    match &node.value {
        Value::Number(number) if number.is_finite() => Some(node.to_text()),
        _ => text(node),
    }
}

pub(super) fn flag(node: &Node<'_>) -> Option<bool> {
    match &node.value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(0.0) => Some(false),
        Value::Number(1.0) => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("true") || text == "1" => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") || text == "0" => Some(false),
        _ => None,
    }
}

/// A number, written as one or as a string.
fn number(node: &Node<'_>) -> Option<f64> {
    let number = match &node.value {
        Value::Number(number) => *number,
        Value::Text(text) => units::number(text.trim())?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

pub(super) fn whole(node: &Node<'_>, from: i64, to: i64) -> Form<i64> {
    let expected = || {
        Misfit::Expected(Cow::Owned(match from {
            -1 => "a whole number, or -1 for no limit".into(),
            _ => format!("a whole number from {from} to {to}"),
        }))
    };
    let number = number(node).filter(|number| number.fract() == 0.0).ok_or_else(expected)?;
    let number = units::truncated(number);
    (from..=to).contains(&number).then_some(number).ok_or_else(expected)
}

/// Milliseconds; negative ones too.
fn time(node: &Node<'_>) -> Option<f64> {
    match &node.value {
        Value::Number(number) => number.is_finite().then_some(*number),
        Value::Text(text) => units::milliseconds(text),
        _ => None,
    }
}

fn size(node: &Node<'_>) -> Option<u64> {
    match &node.value {
        Value::Number(number) => units::bytes(*number),
        Value::Text(text) => units::size(text),
        _ => None,
    }
}

fn words_of<'n>(node: &'n Node<'_>) -> Form<Vec<Cow<'n, str>>> {
    match &node.value {
        Value::Text(text) => Ok(words::split(text)),
        _ => list(node),
    }
}

fn list<'n>(node: &'n Node<'_>) -> Form<Vec<Cow<'n, str>>> {
    match &node.value {
        Value::Text(text) => Ok(vec![Cow::Borrowed(text)]),
        Value::List(items) => items
            .iter()
            .map(|item| match &item.value {
                Value::Text(_) | Value::Number(_) | Value::Bool(_) => Ok(item.to_text()),
                _ => Err(Misfit::At(
                    item.at,
                    format!("expected a string; found {}", item.describe()),
                )),
            })
            .collect(),
        _ => Err("a string or an array of strings".into()),
    }
}

fn codes<'n>(node: &'n Node<'_>) -> Form<Checked<'n>> {
    const EXPECTED: &str = "exit codes from 0 to 255: a number or an array of numbers";
    let code = |number: f64| {
        (number.fract() == 0.0 && (0.0..=255.0).contains(&number))
            .then(|| i32::try_from(units::truncated(number)).unwrap_or(0))
    };
    match &node.value {
        Value::Number(number) => {
            Ok(Checked::Codes { codes: vec![code(*number).ok_or(EXPECTED)?], single: true })
        }
        Value::Text(text) => {
            let parts = text.split([' ', ',', '\t']).filter(|part| !part.is_empty());
            let codes: Option<Vec<i32>> =
                parts.map(|part| units::number(part).and_then(code)).collect();
            let codes = codes.ok_or(EXPECTED)?;
            Ok(Checked::Codes { single: codes.len() == 1, codes })
        }
        Value::List(items) => {
            let codes: Form<Vec<i32>> = items
                .iter()
                .map(|item| {
                    number(item).and_then(code).ok_or_else(|| {
                        Misfit::At(
                            item.at,
                            format!(
                                "expected an exit code from 0 to 255; found {}",
                                item.describe()
                            ),
                        )
                    })
                })
                .collect();
            Ok(Checked::Codes { codes: codes?, single: false })
        }
        _ => Err(EXPECTED.into()),
    }
}

/// As the author wrote it: 0 stands for all CPUs and a negative number for all but so many.
fn instances(node: &Node<'_>) -> Form<i64> {
    let expected = || {
        Misfit::Expected(Cow::Owned(format!(
            "a number up to {MOST_INSTANCES}, 0 or \"max\" (one per CPU), or a negative number (all CPUs but so many)"
        )))
    };
    let count = match &node.value {
        Value::Number(number) if number.is_finite() => *number,
        // Every word means `max` to PM2; the reader warns about the odd ones.
        Value::Text(text) => units::number(text.trim()).unwrap_or(0.0),
        _ => return Err(expected()),
    };
    // Half an instance is one; only a zero means all.
    let count = if count > 0.0 { count.trunc().max(1.0) } else { count.trunc() };
    let count = units::truncated(count);
    if count > MOST_INSTANCES { Err(expected()) } else { Ok(count) }
}

/// True: a word that is neither a number nor `max`.
pub(super) fn is_odd_count(node: &Node<'_>) -> bool {
    node.text().is_some_and(|text| text != "max" && units::number(text.trim()).is_none())
}

fn filter_env<'n>(node: &'n Node<'_>) -> Form<FilterForm<'n>> {
    Ok(match &node.value {
        Value::Text(text) if text != "true" && text != "false" => {
            FilterForm::Named(Cow::Borrowed(text))
        }
        Value::List(_) => FilterForm::Containing(
            list(node)?.into_iter().filter(|part| !part.is_empty()).collect(),
        ),
        _ => match flag(node) {
            Some(true) => FilterForm::All,
            Some(false) => FilterForm::Keep,
            None => return Err("true, a name, or an array of parts of names".into()),
        },
    })
}

pub(super) fn account<'n>(node: &'n Node<'_>) -> Option<Cow<'n, str>> {
    match &node.value {
        Value::Number(number)
            if number.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(number) =>
        {
            Some(node.to_text())
        }
        Value::Text(text) => Some(Cow::Borrowed(text)),
        _ => None,
    }
}

pub(super) fn signal(node: &Node<'_>) -> Option<i32> {
    match &node.value {
        Value::Number(number) if number.fract() == 0.0 => i32::try_from(units::truncated(*number))
            .ok()
            .filter(|number| (1..=signal::RTMAX).contains(number)),
        Value::Text(text) => signal::number(text),
        _ => None,
    }
}

fn depends<'n>(node: &'n Node<'_>) -> Form<Vec<(u32, Cow<'n, str>, Condition)>> {
    match &node.value {
        Value::Text(text) => Ok(vec![(node.at, Cow::Borrowed(&**text), Condition::Ready)]),
        Value::List(items) => {
            let one = |item: &'n Node<'_>| match &item.value {
                Value::Text(text) if !text.is_empty() => Ok((item.at, Cow::Borrowed(&**text), Condition::Ready)),
                _ => Err(Misfit::At(item.at, format!("expected the name of an app; found {}", item.describe()))),
            };
            items.iter().map(one).collect()
        }
        Value::Map(entries) => entries.iter().map(|entry| Ok((entry.at, Cow::Borrowed(&*entry.key), condition(entry)?))).collect(),
        _ => Err("an array of app names, or an object from app name to \"started\", \"ready\" or \"completed\"".into()),
    }
}

fn condition(entry: &Entry<'_>) -> Form<Condition> {
    match entry.node.text() {
        Some("started") => Ok(Condition::Started),
        Some("ready") => Ok(Condition::Ready),
        Some("completed") => Ok(Condition::Completed),
        _ => Err(Misfit::At(
            entry.node.at,
            format!(
                "{}: expected \"started\", \"ready\" or \"completed\"; found {}",
                quoted(&entry.key),
                entry.node.describe()
            ),
        )),
    }
}

pub(super) fn log_format(node: &Node<'_>) -> Form<Option<LogFormat>> {
    match node.text() {
        Some("raw") => Ok(Some(LogFormat::Raw)),
        Some("prefix") => Ok(Some(LogFormat::Prefix)),
        Some("json") => Ok(None),
        _ => Err("\"raw\", \"prefix\" or \"json\"".into()),
    }
}

/// PM2 turns it off with 0.
fn cron_form<'n>(node: &'n Node<'_>) -> Form<Checked<'n>> {
    match &node.value {
        Value::Bool(false) | Value::Number(0.0) => Ok(Checked::Flag(false)),
        Value::Text(text) if text == "0" || text == "false" => Ok(Checked::Flag(false)),
        Value::Text(text) => match cron::fault(text) {
            None => Ok(Checked::Text(Cow::Borrowed(text))),
            Some(expected) => Err(Misfit::Expected(expected.into())),
        },
        _ => Err("a cron pattern such as \"0 3 * * *\"".into()),
    }
}
