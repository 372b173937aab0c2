//! A config file as it was written: values that know where they stand. Judges nothing.

use std::borrow::Cow;

/// One value and the byte at which it starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) at: u32,
    pub(super) value: Value<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    /// JavaScript's `undefined`: the same as leaving the key out.
    Undefined,
    Bool(bool),
    /// JavaScript has one kind of number, and PM2 reads JavaScript.
    Number(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Vec<Entry<'a>>),
    /// Something that would have to be run to know its value; as it stands in the file.
    Code(&'a str),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) at: u32,
    pub(super) key: Cow<'a, str>,
    pub(super) node: Node<'a>,
}

impl<'a> Node<'a> {
    /// PM2 takes `null`, `undefined` and an empty string for "not given".
    pub(super) fn is_absent(&self) -> bool {
        match &self.value {
            Value::Null | Value::Undefined => true,
            Value::Text(text) => text.is_empty(),
            _ => false,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn map(&self) -> Option<&[Entry<'a>]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The member `key` of a map.
    pub(super) fn member(&self, key: &str) -> Option<&Node<'a>> {
        self.map()?.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// What stands here, in words: `the string "abc"`, `an array`.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Null => "null".into(),
            Value::Undefined => "undefined".into(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => format!("the number {}", number_text(*number)),
            Value::Text(text) => format!("the string {}", quoted(text)),
            Value::List(_) => "an array".into(),
            Value::Map(_) => "an object".into(),
            Value::Code(code) => format!("the code {}", quoted(code)),
        }
    }

    /// The value as JSON; whole numbers stay whole.
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null | Value::Undefined => Json::Null,
            Value::Bool(flag) => Json::Bool(*flag),
            Value::Number(number) => number_json(*number),
            Value::Text(text) => Json::String(text.to_string()),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.to_string(), entry.node.to_json())).collect(),
            ),
            Value::Code(code) => Json::String((*code).to_owned()),
        }
    }

    /// What JavaScript's `String()` makes of a scalar; JSON text for the rest.
    pub(super) fn to_text(&self) -> Cow<'_, str> {
        match &self.value {
            Value::Text(text) => Cow::Borrowed(text),
            Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Value::Number(number) => Cow::Owned(number_text(*number)),
            Value::Null | Value::Undefined | Value::List(_) | Value::Map(_) | Value::Code(_) => {
                Cow::Owned(self.to_json().to_string())
            }
        }
    }
}

/// `text` in double quotes, shortened, safe to print on one line.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown = String::new();
    for c in text.chars().take(LONGEST) {
        // An apostrophe needs no escape between double quotes.
        if c == '\'' {
            shown.push(c);
        } else {
            shown.extend(c.escape_debug());
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

fn number_json(number: f64) -> serde_json::Value {
    const SAFE: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < SAFE && !(number == 0.0 && number.is_sign_negative())
    {
        #[allow(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        return serde_json::Value::from(number as i64);
    }
    serde_json::Value::from(number)
}

/// A number as JavaScript prints it.
pub(super) fn number_text(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 {
        "0".into()
    } else if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if (1e-6..1e21).contains(&size) {
        format!("{number}")
    } else {
        let text = format!("{number:e}");
        if size >= 1.0 { text.replace('e', "e+") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_javascript() {
        for (number, text) in [
            (0.1, "0.1"),
            (-0.0, "0"),
            (1e21, "1e+21"),
            (1.5e-7, "1.5e-7"),
            (3000.0, "3000"),
            (1e20, "100000000000000000000"),
        ] {
            assert_eq!(number_text(number), text);
        }
    }
}
