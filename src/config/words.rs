//! A string of arguments, split as PM2 splits it.

use std::borrow::Cow;

/// Splits at blanks. `"a b"` and `'a b'` are one word and lose their quotes; in `--key="a b"` they stay.
/// There are no escapes, and an empty pair of quotes gives nothing.
///
/// One pass: whether a quote is closed again is found out at most once for each kind.
pub(super) fn split(text: &str) -> Vec<Cow<'_, str>> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    let mut last_quote = LastQuotes::of(bytes);
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let start = at;
        // A word that is quoted as a whole.
        if let Some(close) = last_quote.closing(bytes, at) {
            words.push(Cow::Borrowed(&text[start + 1..close]));
            at = close + 1;
            continue;
        }
        at =
            assignment_end(text, start, &mut last_quote).unwrap_or_else(|| blank_from(text, start));
        words.push(Cow::Borrowed(&text[start..at]));
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The end of `name="some value"`, if the text at `start` begins with one.
fn assignment_end(text: &str, start: usize, quotes: &mut LastQuotes) -> Option<usize> {
    let rest = &text[start..];
    let name = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '='))?;
    if name == 0 || !rest[name..].starts_with('=') {
        return None;
    }
    quotes.closing(text.as_bytes(), start + name + 1).map(|close| close + 1)
}

fn blank_from(text: &str, start: usize) -> usize {
    text[start..].find(char::is_whitespace).map_or(text.len(), |length| start + length)
}

/// Where each kind of quote stands for the last time: a quote after that is never closed, and need not be searched for.
struct LastQuotes {
    double: Option<usize>,
    single: Option<usize>,
}

impl LastQuotes {
    fn of(bytes: &[u8]) -> Self {
        let last = |quote: u8| bytes.iter().rposition(|&byte| byte == quote);
        Self { double: last(b'"'), single: last(b'\'') }
    }

    /// The quote that closes the one at `at`, if there is one at `at`.
    fn closing(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let quote = *bytes.get(at)?;
        let last = match quote {
            b'"' => self.double,
            b'\'' => self.single,
            _ => return None,
        };
        if last? <= at {
            return None;
        }
        bytes[at + 1..].iter().position(|&byte| byte == quote).map(|length| at + 1 + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_around_a_whole_word_go_and_others_stay() {
        for (text, words) in [
            ("-d 1", vec!["-d", "1"]),
            ("-d 1 'a b' --x=\"1 2\"", vec!["-d", "1", "a b", "--x=\"1 2\""]),
            (
                "['--toto=heya coco', '-d', '1']",
                vec!["['--toto=heya", "coco',", "-d", ",", "1", "]"],
            ),
            ("  ", vec![]),
            ("\"\" a", vec!["a"]),
            ("it's 'so\nwhat", vec!["it's", "'so", "what"]),
            ("a='b c'd e", vec!["a='b c'", "d", "e"]),
            ("\"open and never closed", vec!["\"open", "and", "never", "closed"]),
            ("==\"a b\"", vec!["==\"a", "b\""]),
        ] {
            assert_eq!(split(text), words, "{text}");
        }
    }
}
