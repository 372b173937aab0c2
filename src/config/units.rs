//! Numbers with units.

use std::time::Duration;

/// Ten years. Longer than any container, and far from where arithmetic on times overflows.
const LONGEST_MS: f64 = 10.0 * 366.0 * 86_400_000.0;

/// A decimal number. Unlike Rust's own parser it knows no `inf`, `nan` or hidden exponents of thousands of digits.
pub(super) fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts_well = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !starts_well {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A number with a unit behind it, if any: `1.5G` → (1.5, "G").
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.').map(|at| at + 1)?;
    Some((number(&text[..end])?, text[end..].trim_start()))
}

/// `"5s"` in milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" | "ms" => 1.0,
        "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3_600e3,
        "d" => 86_400e3,
        _ => return None,
    };
    Some(number * factor)
}

pub(super) fn duration(ms: f64) -> Option<Duration> {
    // Rounded up: a time that was given is never none at all.
    (0.0..=LONGEST_MS)
        .contains(&ms)
        .then(|| Duration::from_millis(truncated(ms.ceil()).unsigned_abs()))
}

/// `"300M"` in bytes; the units are PM2's, of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit = unit.to_ascii_lowercase();
    let letter = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    if unit == "ib" {
        return None;
    }
    let power = match letter {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return None,
    };
    bytes(number * 1024_f64.powi(power))
}

pub(super) fn bytes(number: f64) -> Option<u64> {
    const MOST: f64 = 9_007_199_254_740_992.0;
    (0.0..=MOST).contains(&number).then(|| truncated(number).unsigned_abs())
}

/// Cuts off the fraction; what is too large becomes the largest.
#[allow(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
pub(super) fn truncated(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_or_are_milliseconds() {
        for (text, ms) in [
            ("500", 500.0),
            ("1000ms", 1000.0),
            ("5s", 5000.0),
            ("2m", 120e3),
            ("1h", 3600e3),
            ("1d", 86400e3),
            ("1.5s", 1500.0),
            ("-5", -5.0),
        ] {
            assert_eq!(milliseconds(text), Some(ms), "{text}");
        }
        for text in ["", "s", "5 parsecs", "1e999", "inf", "NaN", "5s5", "--5"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_count_in_1024() {
        for (text, size) in [
            ("300M", 300 << 20),
            ("300MB", 300 << 20),
            ("300m", 300 << 20),
            ("1.5G", 3 << 29),
            ("500KiB", 500 << 10),
            ("7", 7),
            ("1b", 1),
            ("1 G", 1 << 30),
        ] {
            assert_eq!(super::size(text), Some(size), "{text}");
        }
        for text in ["M", "-1G", "1X", "1iB", "99999999999G"] {
            assert_eq!(super::size(text), None, "{text}");
        }
    }
}
