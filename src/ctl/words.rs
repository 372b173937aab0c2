//! Numbers and names as people read them.
#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter};

/// A length of time in a sentence: `40 ms`, `3.8 s`, `2 min 5 s`, `3 d 4 h`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub u64);

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ ..100 => write!(f, "{ms} ms"),
            ms @ ..10_000 => write!(f, "{}.{} s", ms / 1000, ms % 1000 / 100),
            ms => two_units(f, ms / 1000, [" s", " min", " h", " d"]),
        }
    }
}

/// A length of time in a table: `3s`, `2m 5s`, `3d 4h`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uptime(pub u64);

impl Display for Uptime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        two_units(f, self.0 / 1000, ["s", "m", "h", "d"])
    }
}

/// The greatest unit that fits and the one below it, unless that is zero.
fn two_units(f: &mut Formatter<'_>, seconds: u64, units: [&str; 4]) -> fmt::Result {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    let (great, small, at) = match (days, hours, minutes) {
        (0, 0, 0) => (seconds, 0, 0),
        (0, 0, _) => (minutes, seconds % 60, 1),
        (0, _, _) => (hours, minutes % 60, 2),
        _ => (days, hours % 24, 3),
    };
    write!(f, "{great}{}", units[at])?;
    if small > 0 {
        write!(f, " {small}{}", units[at - 1])?;
    }
    Ok(())
}

/// An amount of memory: `512 KiB`, `25.3 MiB`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub u64);

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1 << 20;
        const GIB: u64 = 1 << 30;
        match self.0 {
            bytes @ ..MIB => write!(f, "{} KiB", bytes / 1024),
            bytes @ ..GIB => write!(f, "{}.{} MiB", bytes / MIB, bytes % MIB * 10 / MIB),
            bytes => write!(f, "{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB),
        }
    }
}

/// `1st`, `2nd`, `3rd`, `11th`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ordinal(pub u32);

impl Display for Ordinal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let suffix = match (self.0 % 10, self.0 % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        write!(f, "{}{suffix}", self.0)
    }
}

/// Text from elsewhere, harmless to a terminal: what could move the cursor, change colours or
/// turn the writing direction is shown by its code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain<'a>(pub &'a str);

impl Display for Plain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, bad)) = rest.char_indices().find(|&(_, c)| is_harmful(c)) {
            f.write_str(&rest[..at])?;
            write!(f, "{}", bad.escape_default())?;
            rest = &rest[at + bad.len_utf8()..];
        }
        f.write_str(rest)
    }
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// How many columns a terminal uses for `text`, which must be [`Plain`]. A rough table: a wrong
/// guess puts a column out of line, no more.
pub(super) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_columns).sum() }
}

/// How many columns a terminal uses for one character.
pub(super) fn char_columns(c: char) -> usize {
    match c as u32 {
        0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f => 0,
        0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f => {
            0
        }
        0x1100..=0x115f | 0x231a..=0x231b | 0x23e9..=0x23ec | 0x2e80..=0x303e => 2,
        0x3041..=0xa4cf | 0xa960..=0xa97f | 0xac00..=0xd7a3 | 0xf900..=0xfaff => 2,
        0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 => 2,
        0x1f000..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// The longest beginning of `text` that fits into `width` columns.
pub(super) fn clip(text: &str, width: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|&(_, c)| {
        used += char_columns(c);
        used > width
    });
    end.map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short_and_have_at_most_two_units() {
        let cases = [
            (0, "0 ms", "0s"),
            (40, "40 ms", "0s"),
            (300, "0.3 s", "0s"),
            (3_850, "3.8 s", "3s"),
            (59_999, "59 s", "59s"),
            (60_000, "1 min", "1m"),
            (125_000, "2 min 5 s", "2m 5s"),
            (7_500_000, "2 h 5 min", "2h 5m"),
            (273_600_000, "3 d 4 h", "3d 4h"),
            (u64::MAX, "213503982334 d 14 h", "213503982334d 14h"),
        ];
        for (ms, sentence, table) in cases {
            assert_eq!(
                (Span(ms).to_string(), Uptime(ms).to_string()),
                (sentence.into(), table.into())
            );
        }
    }

    #[test]
    fn sizes_have_three_or_four_digits() {
        let shown = [0, 1023 * 1024, 26_528_973, u64::MAX].map(|size| Size(size).to_string());
        assert_eq!(shown, ["0 KiB", "1023 KiB", "25.3 MiB", "17179869183.9 GiB"]);
    }

    #[test]
    fn ordinals_know_the_teens() {
        let shown = [1, 2, 3, 4, 11, 12, 13, 21, 111, 122].map(|n| Ordinal(n).to_string());
        assert_eq!(
            shown,
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th", "122nd"]
        );
    }

    #[test]
    fn nothing_reaches_the_terminal_that_could_steer_it() {
        let evil = "a\u{1b}[31mb\r\nc\u{202e}d\u{9b}e\u{e0041}";
        assert_eq!(Plain(evil).to_string(), "a\\u{1b}[31mb\\r\\nc\\u{202e}d\\u{9b}e\\u{e0041}");
        assert_eq!(Plain("größe 日本").to_string(), "größe 日本");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(columns("日本x"), 5);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(clip("日本x", 3), "日");
        assert_eq!(clip("abc", 3), "abc");
    }
}
