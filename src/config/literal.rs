//! The smallest pieces of the text: blanks, words, strings, numbers.

use std::borrow::Cow;

use super::fault::Report;
use super::text::{Bad, bad, position};

/// The end of the white space and comments that start at `at`.
pub(super) fn blank_end(text: &str, mut at: usize) -> Result<usize, Bad> {
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => at += 1,
            Some(b'/') => match comment_end(text, at)? {
                Some(end) => at = end,
                None => return Ok(at),
            },
            Some(0x80..) => match text[at..].chars().next() {
                Some(c) if c.is_whitespace() || c == '\u{feff}' => at += c.len_utf8(),
                _ => return Ok(at),
            },
            _ => return Ok(at),
        }
    }
}

/// The end of the comment that starts at `at`, if one does.
pub(super) fn comment_end(text: &str, at: usize) -> Result<Option<usize>, Bad> {
    let rest = &text[at..];
    if rest.starts_with("//") {
        return Ok(Some(rest.find(['\n', '\r']).map_or(text.len(), |length| at + length)));
    }
    if let Some(body) = rest.strip_prefix("/*") {
        return match body.find("*/") {
            Some(length) => Ok(Some(at + length + 4)),
            None => bad(at, "this comment is never closed"),
        };
    }
    Ok(None)
}

/// The end of the identifier that starts at `at`; `at` itself if none does.
pub(super) fn word_end(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .map_or(text.len(), |length| at + length)
}

/// The string that starts with the quote at `at`, and its end. `None`: a template that has to be run.
pub(super) fn string<'a>(
    text: &'a str,
    at: usize,
    report: &mut Report,
) -> Result<(Option<Cow<'a, str>>, usize), Bad> {
    let bytes = text.as_bytes();
    let quote = bytes[at];
    let is_template = quote == b'`';
    let mut owned: Option<String> = None;
    let (mut from, mut now) = (at + 1, at + 1);
    loop {
        match bytes.get(now) {
            None => return bad(at, "this string is never closed"),
            Some(&byte) if byte == quote => break,
            Some(b'\n' | b'\r') if !is_template => {
                return bad(at, "this string is not closed at the end of its line");
            }
            Some(b'$') if is_template && bytes.get(now + 1) == Some(&b'{') => {
                return Ok((None, now));
            }
            Some(0) => {
                report.fault(position(now), "a NUL character, which no program can be given");
                owned.get_or_insert_default().push_str(&text[from..now]);
                now += 1;
                from = now;
            }
            Some(b'\r') => {
                // Inside a template JavaScript reads every line end as \n.
                let so_far = owned.get_or_insert_default();
                so_far.push_str(&text[from..now]);
                so_far.push('\n');
                now += if bytes.get(now + 1) == Some(&b'\n') { 2 } else { 1 };
                from = now;
            }
            Some(b'\\') => {
                let so_far = owned.get_or_insert_default();
                so_far.push_str(&text[from..now]);
                now = escape(text, now, so_far, report)?;
                from = now;
            }
            Some(_) => now += 1,
        }
    }
    let rest = &text[from..now];
    let value = match owned {
        None => Cow::Borrowed(rest),
        Some(mut so_far) => {
            so_far.push_str(rest);
            Cow::Owned(so_far)
        }
    };
    Ok((Some(value), now + 1))
}

/// Adds what the backslash at `at` stands for; gives the end of the escape.
fn escape(text: &str, at: usize, out: &mut String, report: &mut Report) -> Result<usize, Bad> {
    let Some(letter) = text[at + 1..].chars().next() else {
        return bad(at, "this string is never closed");
    };
    let end = at + 1 + letter.len_utf8();
    match letter {
        'b' => out.push('\u{8}'),
        'f' => out.push('\u{c}'),
        'n' => out.push('\n'),
        'r' => out.push('\r'),
        't' => out.push('\t'),
        'v' => out.push('\u{b}'),
        '\r' => return Ok(if text[end..].starts_with('\n') { end + 1 } else { end }),
        '\n' | '\u{2028}' | '\u{2029}' => {}
        'x' => return unit(text, at, end, 2, out, report),
        'u' if text[end..].starts_with('{') => {
            let digits = text[end + 1..].split('}').next().unwrap_or_default();
            let code = if digits.len() <= 6 {
                u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)
            } else {
                None
            };
            let Some(code) = code else { return bad(at, "\\u{...} is not a character") };
            push(code, at, out, report);
            return Ok(end + digits.len() + 2);
        }
        'u' => return unit(text, at, end, 4, out, report),
        '0' if !text[end..].starts_with(|c: char| c.is_ascii_digit()) => {
            push('\0', at, out, report)
        }
        '0'..='9' => return bad(at, "octal escapes are not supported; write \\xHH"),
        other => out.push(other),
    }
    Ok(end)
}

/// `\xHH` or `\uHHHH`; two of the latter may make one character.
fn unit(
    text: &str,
    at: usize,
    from: usize,
    digits: usize,
    out: &mut String,
    report: &mut Report,
) -> Result<usize, Bad> {
    let hex = |from: usize| {
        let digits = text
            .get(from..from + digits)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    let Some(high) = hex(from) else {
        return bad(at, format!("expected {digits} hexadecimal digits here"));
    };
    let end = from + digits;
    if (0xd800..0xdc00).contains(&high)
        && text[end..].starts_with("\\u")
        && let Some(low @ 0xdc00..0xe000) = hex(end + 2)
    {
        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        return Ok(end + 6);
    }
    if let Some(c) = char::from_u32(high) {
        push(c, at, out, report);
    } else {
        report.warn(position(at), "half a character (a lone surrogate); it becomes U+FFFD");
        out.push(char::REPLACEMENT_CHARACTER);
    }
    Ok(end)
}

fn push(c: char, at: usize, out: &mut String, report: &mut Report) {
    if c == '\0' {
        report.fault(position(at), "a NUL character, which no program can be given");
    } else {
        out.push(c);
    }
}

/// The number that starts at `at`, and its end; `None` if it is none.
pub(super) fn number(text: &str, at: usize) -> Option<(f64, usize)> {
    let bytes = text.as_bytes();
    let (sign, from) = match bytes.get(at)? {
        b'-' => (-1.0, at + 1),
        b'+' => (1.0, at + 1),
        _ => (1.0, at),
    };
    for (word, value) in [("Infinity", f64::INFINITY), ("NaN", f64::NAN)] {
        if text[from..].starts_with(word) {
            return Some((sign * value, from + word.len()));
        }
    }
    if bytes.get(from) == Some(&b'0') {
        let radix = match bytes.get(from + 1) {
            Some(b'x' | b'X') => Some(16),
            Some(b'o' | b'O') => Some(8),
            Some(b'b' | b'B') => Some(2),
            _ => None,
        };
        if let Some(radix) = radix {
            return in_radix(text, from + 2, radix).map(|(value, end)| (sign * value, end));
        }
        // 0755: old-style octal, unless a digit says otherwise.
        if bytes.get(from + 1).is_some_and(u8::is_ascii_digit) {
            let end = digits_end(bytes, from);
            if bytes[from..end].iter().all(|byte| (b'0'..b'8').contains(byte)) {
                return in_radix(text, from + 1, 8).map(|(value, end)| (sign * value, end));
            }
        }
    }
    let whole = digits_end(bytes, from);
    let mut end = whole;
    if bytes.get(end) == Some(&b'.') {
        end = digits_end(bytes, end + 1);
        if end == whole + 1 && whole == from {
            return None;
        }
    }
    if end == from {
        return None;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let digits = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits_end(bytes, digits);
        if exponent == digits {
            return None;
        }
        end = exponent;
    }
    text[from..end].parse::<f64>().ok().map(|value| (sign * value, end))
}

fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn in_radix(text: &str, from: usize, radix: u32) -> Option<(f64, usize)> {
    let (mut value, mut end) = (0.0, from);
    for digit in text[from..].chars().map_while(|c| c.to_digit(radix)) {
        value = value * f64::from(radix) + f64::from(digit);
        end += 1;
    }
    (end > from).then_some((value, end))
}
