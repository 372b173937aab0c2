//! Time stamps in PM2's date formats, that is, in the tokens of dayjs.
//!
//! Only English names, as PM2 has them. What is no token stays as it is, so `Do` gives
//! `2o`; `Y`, `YYY` are matched by dayjs but mean nothing to it, and give the zone as `ZZ`
//! does: whoever has such a format sees the same text here as under PM2.

use super::raw::{LocalTime, local_time};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A date format, and its text for the present second.
pub(super) struct Stamp {
    format: Box<str>,
    pieces: Box<[Piece]>,
    to_the_millisecond: bool,
    text: Vec<u8>,
    made_for: Option<Duration>,
}

impl Stamp {
    pub(super) fn new(format: &str) -> Self {
        let pieces = pieces(format);
        let to_the_millisecond = pieces.contains(&Piece::Token(Token::Millisecond));
        Self {
            format: format.into(),
            pieces: pieces.into(),
            to_the_millisecond,
            text: Vec::new(),
            made_for: None,
        }
    }

    pub(super) fn format(&self) -> &str {
        &self.format
    }

    /// The stamp for `now`. Made afresh only when it can have changed.
    pub(super) fn text(&mut self, now: SystemTime) -> &[u8] {
        let since_epoch = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = if self.to_the_millisecond { since_epoch.subsec_millis() } else { 0 };
        let shown = Duration::new(since_epoch.as_secs(), millis * 1_000_000);
        if self.made_for != Some(shown) {
            self.made_for = Some(shown);
            let time = local_time(since_epoch.as_secs());
            self.text.clear();
            self.text.extend_from_slice(render(&self.pieces, &time, millis).as_bytes());
        }
        &self.text
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Token(Token),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    YearShort,
    Year,
    Month,
    MonthTwo,
    MonthShort,
    MonthName,
    Day,
    DayTwo,
    Weekday,
    WeekdayMin,
    WeekdayShort,
    WeekdayName,
    Hour,
    HourTwo,
    Hour12,
    Hour12Two,
    Minute,
    MinuteTwo,
    Second,
    SecondTwo,
    Millisecond,
    Zone,
    ZoneShort,
    MeridiemUpper,
    MeridiemLower,
}

/// Splits a format as dayjs does:
/// `\[([^\]]+)]|Y{1,4}|M{1,4}|D{1,2}|d{1,4}|H{1,2}|h{1,2}|a|A|m{1,2}|s{1,2}|Z{1,2}|SSS`.
fn pieces(format: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if let Some((literal, after)) = bracketed(rest) {
            text.push_str(literal);
            rest = after;
            continue;
        }
        let run = rest.chars().take_while(|&c| c == first).count();
        if let Some((token, length)) = token(first, run) {
            if !text.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut text).into()));
            }
            pieces.push(Piece::Token(token));
            rest = &rest[length..];
        } else {
            text.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
    pieces
}

/// `[text]` at the start: the text, and what follows.
fn bracketed(rest: &str) -> Option<(&str, &str)> {
    let (literal, after) = rest.strip_prefix('[')?.split_once(']')?;
    (!literal.is_empty()).then_some((literal, after))
}

/// The token that `run` times the letter begin with, and its length.
fn token(letter: char, run: usize) -> Option<(Token, usize)> {
    let longest = match letter {
        'Y' | 'M' | 'd' => 4,
        'D' | 'H' | 'h' | 'm' | 's' | 'Z' => 2,
        'a' | 'A' => 1,
        'S' if run >= 3 => 3,
        _ => return None,
    };
    let length = run.min(longest);
    let token = match (letter, length) {
        ('Y', 2) => Token::YearShort,
        ('Y', 4) => Token::Year,
        ('M', 1) => Token::Month,
        ('M', 2) => Token::MonthTwo,
        ('M', 3) => Token::MonthShort,
        ('M', _) => Token::MonthName,
        ('D', 1) => Token::Day,
        ('D', _) => Token::DayTwo,
        ('d', 1) => Token::Weekday,
        ('d', 2) => Token::WeekdayMin,
        ('d', 3) => Token::WeekdayShort,
        ('d', _) => Token::WeekdayName,
        ('H', 1) => Token::Hour,
        ('H', _) => Token::HourTwo,
        ('h', 1) => Token::Hour12,
        ('h', _) => Token::Hour12Two,
        ('m', 1) => Token::Minute,
        ('m', _) => Token::MinuteTwo,
        ('s', 1) => Token::Second,
        ('s', _) => Token::SecondTwo,
        ('S', _) => Token::Millisecond,
        ('Z', 1) => Token::Zone,
        ('A', _) => Token::MeridiemUpper,
        ('a', _) => Token::MeridiemLower,
        _ => Token::ZoneShort,
    };
    Some((token, length))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn render(pieces: &[Piece], time: &LocalTime, millis: u32) -> String {
    let month = MONTHS[time.month as usize % 12];
    let weekday = WEEKDAYS[time.weekday as usize % 7];
    let hour12 = (time.hour + 11) % 12 + 1;
    let (sign, offset) = (if time.offset < 0 { '-' } else { '+' }, time.offset.unsigned_abs() / 60);
    let (zone_hours, zone_minutes) = (offset / 60, offset % 60);
    let one = |piece: &Piece| match piece {
        Piece::Text(text) => text.to_string(),
        Piece::Token(token) => match token {
            Token::YearShort => format!("{:02}", time.year % 100),
            Token::Year => format!("{:04}", time.year),
            Token::Month => format!("{}", time.month + 1),
            Token::MonthTwo => format!("{:02}", time.month + 1),
            Token::MonthShort => month[..3].to_owned(),
            Token::MonthName => month.to_owned(),
            Token::Day => format!("{}", time.day),
            Token::DayTwo => format!("{:02}", time.day),
            Token::Weekday => format!("{}", time.weekday),
            Token::WeekdayMin => weekday[..2].to_owned(),
            Token::WeekdayShort => weekday[..3].to_owned(),
            Token::WeekdayName => weekday.to_owned(),
            Token::Hour => format!("{}", time.hour),
            Token::HourTwo => format!("{:02}", time.hour),
            Token::Hour12 => format!("{hour12}"),
            Token::Hour12Two => format!("{hour12:02}"),
            Token::Minute => format!("{}", time.minute),
            Token::MinuteTwo => format!("{:02}", time.minute),
            Token::Second => format!("{}", time.second),
            Token::SecondTwo => format!("{:02}", time.second),
            Token::Millisecond => format!("{millis:03}"),
            Token::Zone => format!("{sign}{zone_hours:02}:{zone_minutes:02}"),
            Token::ZoneShort => format!("{sign}{zone_hours:02}{zone_minutes:02}"),
            Token::MeridiemUpper => (if time.hour < 12 { "AM" } else { "PM" }).to_owned(),
            Token::MeridiemLower => (if time.hour < 12 { "am" } else { "pm" }).to_owned(),
        },
    };
    pieces.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sunday, 2 March 2025, 15:04:05.006, two hours east of Greenwich.
    const TIME: LocalTime = LocalTime {
        year: 2025,
        month: 2,
        day: 2,
        weekday: 0,
        hour: 15,
        minute: 4,
        second: 5,
        offset: 7200,
    };

    fn shown(format: &str) -> String {
        render(&pieces(format), &TIME, 6)
    }

    #[test]
    fn every_token_means_what_it_means_to_dayjs() {
        assert_eq!(shown("YYYY-MM-DDTHH:mm:ss.SSSZ"), "2025-03-02T15:04:05.006+02:00");
        assert_eq!(shown("YY M D d dd ddd dddd"), "25 3 2 0 Su Sun Sunday");
        assert_eq!(shown("MMM MMMM H h hh m s A a ZZ"), "Mar March 15 3 03 4 5 PM pm +0200");
    }

    #[test]
    fn what_is_no_token_stays_as_it_is() {
        assert_eq!(shown("x X S SS Q L ,é"), "x X S SS Q L ,é");
        assert_eq!(shown("[at] [YYYY][] ["), "at YYYY[] [");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn runs_are_cut_as_dayjs_cuts_them() {
        assert_eq!(shown("Do"), "2o");
        assert_eq!(shown("DDD"), "022");
        assert_eq!(shown("SSSS"), "006S");
        assert_eq!(shown("YYYYY"), "2025+0200");
        assert_eq!(shown("AA"), "PMPM");
    }

    #[test]
    fn midnight_and_noon_are_twelve_o_clock() {
        let at = |hour| render(&pieces("h A"), &LocalTime { hour, ..TIME }, 0);
        assert_eq!([at(0), at(11), at(12), at(23)], ["12 AM", "11 AM", "12 PM", "11 PM"]);
    }

    #[test]
    fn a_zone_west_of_greenwich_has_a_minus() {
        let west = LocalTime { offset: -(3 * 3600 + 1800), ..TIME };
        assert_eq!(render(&pieces("Z ZZ"), &west, 0), "-03:30 -0330");
    }

    #[test]
    fn the_text_follows_the_clock() {
        let mut stamp = Stamp::new("s");
        let first = stamp.text(UNIX_EPOCH + Duration::from_millis(1999)).to_vec();
        let second = stamp.text(UNIX_EPOCH + Duration::from_millis(2000)).to_vec();
        assert_eq!((first.as_slice(), second.as_slice()), (&b"1"[..], &b"2"[..]));
    }
}
