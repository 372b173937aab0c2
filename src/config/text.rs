//! Text in, values with positions out: JSON, JSON5, and the harmless part of JavaScript
//! that PM2's loader takes. Linear in the length of the text, and it recurses no deeper
//! than [`DEEPEST`].
//!
//! What would have to be *run* becomes [`Value::Code`]: a fault where the value is used,
//! of no interest where it is not (`deploy`).

use std::borrow::Cow;

use super::fault::Report;
use super::value::{Entry, Node, Value, quoted};
use super::{literal, skip};

/// How deep arrays and objects may be nested.
const DEEPEST: u32 = 64;

/// Where reading could not go on, and why.
pub(super) struct Bad {
    pub(super) at: usize,
    pub(super) message: String,
}

pub(super) fn bad<T>(at: usize, message: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { at, message: message.into() })
}

/// The one value of a file; `None` after a syntax error, which is reported.
///
/// `is_unused` tells the top-level keys whose values nobody reads: what cannot be parsed there is skipped.
pub(super) fn parse<'a>(
    text: &'a str,
    is_unused: fn(&str) -> bool,
    report: &mut Report,
) -> Option<Node<'a>> {
    let mut reader = Reader { text, at: 0, depth: 0, is_unused, report };
    match reader.document() {
        Ok(node) => Some(node),
        Err(Bad { at, message }) => {
            report.fault(position(at), message);
            None
        }
    }
}

/// Files are far smaller than 4 GiB; see `MOST_BYTES` in `config`.
pub(super) fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

struct Reader<'a, 'r> {
    text: &'a str,
    at: usize,
    depth: u32,
    is_unused: fn(&str) -> bool,
    report: &'r mut Report,
}

impl<'a> Reader<'a, '_> {
    fn document(&mut self) -> Result<Node<'a>, Bad> {
        self.blank()?;
        if self.peek().is_none() {
            return bad(
                0,
                "the file is empty; expected an array of apps, {\"apps\": [...]} or one app",
            );
        }
        let node = self.value()?;
        loop {
            self.blank()?;
            match self.peek() {
                None => return Ok(node),
                Some(b';') => self.at += 1,
                Some(_) => {
                    return bad(
                        self.at,
                        format!("expected the end of the file, found {}", self.found()),
                    );
                }
            }
        }
    }

    /// A value and everything that makes it an expression instead.
    fn value(&mut self) -> Result<Node<'a>, Bad> {
        let start = self.at;
        let value = match self.peek() {
            Some(b'{') => self.nested(Self::map)?,
            Some(b'[') => self.nested(Self::list)?,
            Some(b'"' | b'\'' | b'`') => self.string()?,
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => self.number()?,
            Some(b'(' | b'!' | b'/' | b'~') => self.code(start)?,
            Some(_) => self.word()?,
            None => return bad(self.at, "expected a value, found the end of the file"),
        };
        self.blank()?;
        let goes_on = matches!(
            self.peek(),
            Some(
                b'.' | b'('
                    | b'['
                    | b'+'
                    | b'-'
                    | b'*'
                    | b'/'
                    | b'%'
                    | b'|'
                    | b'&'
                    | b'?'
                    | b'<'
                    | b'>'
                    | b'='
                    | b'!'
                    | b'^'
                    | b'`'
            )
        );
        let value = if goes_on { self.code(start)? } else { value };
        Ok(Node { at: position(start), value })
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Value<'a>, Bad>) -> Result<Value<'a>, Bad> {
        if self.depth == DEEPEST {
            return bad(self.at, format!("nested too deeply: more than {DEEPEST} levels"));
        }
        self.depth += 1;
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Value<'a>, Bad> {
        let opened = self.at;
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blank()?;
            match self.peek() {
                Some(b']') => break,
                Some(b',') => {
                    self.report
                        .fault(position(self.at), "an empty place in the array; remove one comma");
                    self.at += 1;
                    continue;
                }
                None => return bad(opened, "this [ is never closed"),
                Some(_) => items.push(self.value()?),
            }
            if !self.comma_or(b']', opened)? {
                break;
            }
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    fn map(&mut self) -> Result<Value<'a>, Bad> {
        let opened = self.at;
        self.at += 1;
        let mut entries = Vec::with_capacity(8);
        loop {
            self.blank()?;
            match self.peek() {
                Some(b'}') => break,
                None => return bad(opened, "this { is never closed"),
                Some(_) => {
                    let entry = self.entry()?;
                    entries.push(entry);
                }
            }
            if !self.comma_or(b'}', opened)? {
                break;
            }
        }
        self.at += 1;
        Ok(Value::Map(self.without_duplicates(entries)))
    }

    fn entry(&mut self) -> Result<Entry<'a>, Bad> {
        let at = position(self.at);
        let key = self.key()?;
        self.blank()?;
        if self.peek() != Some(b':') {
            return bad(
                self.at,
                format!("expected \":\" after the key {}, found {}", quoted(&key), self.found()),
            );
        }
        self.at += 1;
        self.blank()?;
        let start = self.at;
        let node = match self.value() {
            Err(_) if self.depth == 1 && (self.is_unused)(&key) => {
                self.at = start;
                Node { at: position(start), value: self.code(start)? }
            }
            result => result?,
        };
        Ok(Entry { at, key, node })
    }

    fn key(&mut self) -> Result<Cow<'a, str>, Bad> {
        match self.peek() {
            Some(b'"' | b'\'') => match self.string()? {
                Value::Text(key) => Ok(key),
                _ => bad(self.at, "expected a key"),
            },
            Some(b'[') => bad(self.at, "a computed key is code; a JSON config is data, not code"),
            Some(b'.') if self.rest().starts_with("...") => {
                bad(self.at, "\"...\" is code; a JSON config is data, not code")
            }
            _ => {
                let end = self.word_end(self.at);
                if end == self.at {
                    return bad(self.at, format!("expected a key, found {}", self.found()));
                }
                let key = &self.text[self.at..end];
                self.at = end;
                Ok(Cow::Borrowed(key))
            }
        }
    }

    /// True: a comma was taken and more may follow; false: at the closing bracket.
    fn comma_or(&mut self, close: u8, opened: usize) -> Result<bool, Bad> {
        self.blank()?;
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            None => bad(
                opened,
                format!("this {} is never closed", if close == b']' { '[' } else { '{' }),
            ),
            Some(_) => bad(
                self.at,
                format!(
                    "expected \",\" or \"{}\", found {}; is a comma missing before it?",
                    char::from(close),
                    self.found()
                ),
            ),
        }
    }

    fn string(&mut self) -> Result<Value<'a>, Bad> {
        let start = self.at;
        let (value, end) = literal::string(self.text, start, self.report)?;
        self.at = end;
        match value {
            Some(text) => Ok(Value::Text(text)),
            None => self.code(start),
        }
    }

    fn number(&mut self) -> Result<Value<'a>, Bad> {
        let start = self.at;
        match literal::number(self.text, start) {
            Some((number, end)) if self.word_end(end) == end => {
                self.at = end;
                Ok(Value::Number(number))
            }
            _ => self.code(start),
        }
    }

    fn word(&mut self) -> Result<Value<'a>, Bad> {
        let start = self.at;
        let end = self.word_end(start);
        self.at = end;
        Ok(match &self.text[start..end] {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            "undefined" => Value::Undefined,
            "NaN" => Value::Number(f64::NAN),
            "Infinity" => Value::Number(f64::INFINITY),
            "" => return bad(start, format!("expected a value, found {}", self.found())),
            _ => return self.code(start),
        })
    }

    /// Everything from `start` to the comma or bracket that ends it.
    fn code(&mut self, start: usize) -> Result<Value<'a>, Bad> {
        let end = skip::code_end(self.text, start)?;
        let code = self.text[start..end].trim_end();
        if code.is_empty() {
            return bad(start, format!("expected a value, found {}", self.found()));
        }
        self.at = end;
        Ok(Value::Code(code))
    }

    /// JavaScript lets the last one win; it keeps the place of the first, which matters to nobody.
    fn without_duplicates(&mut self, mut entries: Vec<Entry<'a>>) -> Vec<Entry<'a>> {
        /// Up to here, comparing all with all is cheaper than sorting.
        const FEW: usize = 16;
        let is_few = entries.len() <= FEW;
        let is_new = |(at, entry): (usize, &Entry<'a>)| {
            entries[..at].iter().all(|other| other.key != entry.key)
        };
        if is_few && entries.iter().enumerate().all(is_new) {
            return entries;
        }
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|&a, &b| entries[a].key.cmp(&entries[b].key).then(a.cmp(&b)));
        let mut overruled: Vec<usize> = order
            .windows(2)
            .filter(|pair| entries[pair[0]].key == entries[pair[1]].key)
            .map(|pair| pair[0])
            .collect();
        if overruled.is_empty() {
            return entries;
        }
        overruled.sort_unstable();
        for &index in &overruled {
            let entry = &entries[index];
            self.report.warn(
                entry.at,
                format!(
                    "the key {} is given again below; this one has no effect",
                    quoted(&entry.key)
                ),
            );
        }
        let mut index = 0;
        entries.retain(|_| {
            index += 1;
            overruled.binary_search(&(index - 1)).is_err()
        });
        entries
    }

    /// Skips white space and comments.
    fn blank(&mut self) -> Result<(), Bad> {
        self.at = literal::blank_end(self.text, self.at)?;
        Ok(())
    }

    fn word_end(&self, from: usize) -> usize {
        literal::word_end(self.text, from)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn found(&self) -> String {
        match self.rest().chars().next() {
            None => "the end of the file".into(),
            Some('#') => "\"#\" (comments start with \"//\")".into(),
            Some(c) => format!("\"{}\"", c.escape_debug()),
        }
    }
}
