//! An app described on the command line goes through the same checks as one in a file.

use std::borrow::Cow;
use std::path::Path;

use super::fault::{Faults, Report};
use super::text::position;
use super::value::{Entry, Node, Value};
use super::{Context, Loaded, Source, read};

/// The value of a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagValue<'a> {
    /// Present, without a value.
    On,
    /// Switched off (`--no-autorestart`).
    Off,
    /// As typed.
    Text(&'a str),
    /// Several words, each as typed.
    Words(&'a [String]),
}

/// One app from pairs of a config key and what was typed for it. Faults name the key, and `command line` as their file.
pub fn from_flags(
    flags: &[(&str, FlagValue<'_>)],
    context: &Context<'_>,
) -> Result<Loaded, Faults> {
    let entries = flags
        .iter()
        .enumerate()
        .map(|(at, (key, value))| entry(position(at), key, *value))
        .collect();
    let tree = [Some(Node { at: 0, value: Value::Map(entries) })];
    let source = Source { path: Path::new("command line"), text: "", is_command_line: true };
    let report = Report::new(context.strict);
    Ok(read(&tree, &[source], context, report, false)?.0)
}

fn entry<'a>(at: u32, key: &'a str, value: FlagValue<'a>) -> Entry<'a> {
    let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
    let value = match value {
        FlagValue::On => Value::Bool(true),
        FlagValue::Off => Value::Bool(false),
        FlagValue::Text(typed) => text(typed),
        FlagValue::Words(words) => {
            Value::List(words.iter().map(|word| Node { at, value: text(word) }).collect())
        }
    };
    Entry { at, key: Cow::Borrowed(key), node: Node { at, value } }
}
