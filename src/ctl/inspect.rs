//! JSON as Node's `util.inspect` shows it: `prettylist` prints that in PM2, and people grep for
//! `status: 'online'` in it.
#![forbid(unsafe_code)]

use serde_json::Value;

/// Adds `value` to `out`, its inner lines set in by `depth` levels.
pub(super) fn write(out: &mut String, value: &Value, depth: usize) {
    match value {
        Value::String(text) => string(out, text),
        Value::Array(items) if !items.is_empty() => {
            let items = items.iter().map(|item| (None, item));
            block(out, ['[', ']'], items, depth);
        }
        Value::Object(fields) if !fields.is_empty() => {
            let fields = fields.iter().map(|(name, item)| (Some(name.as_str()), item));
            block(out, ['{', '}'], fields, depth);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            out.push_str(&value.to_string());
        }
    }
}

fn block<'a>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl Iterator<Item = (Option<&'a str>, &'a Value)>,
    depth: usize,
) {
    out.push(open);
    for (at, (name, item)) in items.enumerate() {
        out.push_str(if at > 0 { ",\n" } else { "\n" });
        out.extend(std::iter::repeat_n("  ", depth + 1));
        if let Some(name) = name {
            key(out, name);
            out.push_str(": ");
        }
        write(out, item, depth + 1);
    }
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
    out.push(close);
}

fn key(out: &mut String, name: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push_str(name);
    } else {
        string(out, name);
    }
}

fn string(out: &mut String, text: &str) {
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_looks_like_node() {
        let mut out = String::new();
        let value =
            json!([{ "name": "it's", "a-b": [1, null], "env": {}, "monit": { "cpu": 0.5 } }]);
        write(&mut out, &value, 0);
        assert_eq!(
            out,
            "\
[
  {
    name: 'it\\'s',
    'a-b': [
      1,
      null
    ],
    env: {},
    monit: {
      cpu: 0.5
    }
  }
]"
        );
    }
}
