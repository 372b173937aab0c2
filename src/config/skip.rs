//! JavaScript that is skipped, because nobody runs it: where it ends.

use super::literal::comment_end;
use super::text::{Bad, bad};

/// Where the expression that starts at `start` ends: at a comma, semicolon or closing bracket of its surroundings.
pub(super) fn code_end(text: &str, start: usize) -> Result<usize, Bad> {
    let bytes = text.as_bytes();
    // The closers still to come; a back-quote while inside a template.
    let mut open: Vec<u8> = Vec::new();
    let mut at = start;
    // What came last tells a division from a regular expression.
    let mut last = b'(';
    while let Some(&byte) = bytes.get(at) {
        if open.last() == Some(&b'`') {
            match byte {
                b'\\' => at += 1,
                b'`' => {
                    open.pop();
                }
                b'$' if bytes.get(at + 1) == Some(&b'{') => {
                    open.push(b'}');
                    at += 1;
                }
                _ => {}
            }
            at += 1;
            continue;
        }
        match byte {
            b'"' | b'\'' => at = skip_quoted(bytes, at)?,
            b'/' => match comment_end(text, at)? {
                Some(end) => {
                    at = end;
                    continue;
                }
                None if b"(,=:[!&|?{};+-*%<>~^".contains(&last) => at = skip_regex(bytes, at)?,
                None => {}
            },
            b'`' => open.push(b'`'),
            b'(' => open.push(b')'),
            b'[' => open.push(b']'),
            b'{' => open.push(b'}'),
            b')' | b']' | b'}' => match open.pop() {
                None => return Ok(at),
                Some(expected) if expected == byte => {}
                Some(_) => return bad(at, format!("this \"{}\" closes nothing", char::from(byte))),
            },
            b',' | b';' if open.is_empty() => return Ok(at),
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            last = byte;
        }
        at += 1;
    }
    if open.is_empty() { Ok(text.len()) } else { bad(start, "this expression is never closed") }
}

/// The closing quote.
fn skip_quoted(bytes: &[u8], start: usize) -> Result<usize, Bad> {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => break,
            _ if byte == bytes[start] => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    bad(start, "this string is never closed")
}

/// The closing slash.
fn skip_regex(bytes: &[u8], start: usize) -> Result<usize, Bad> {
    let (mut at, mut in_class) = (start + 1, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b'\n' => break,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'/' if !in_class => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    bad(start, "expected a value, found \"/\"")
}
