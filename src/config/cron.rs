//! Whether a cron pattern can be one. What it means is somebody else's business.

/// What was expected, if `pattern` is no cron pattern: five fields, or six with seconds first.
pub(super) fn fault(pattern: &str) -> Option<&'static str> {
    const FIELDS: [(u32, u32); 6] = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    if pattern.starts_with('@') {
        return Some("a cron pattern of five or six fields, such as \"0 0 * * *\" for every day");
    }
    let count = pattern.split_whitespace().count();
    if !(5..=6).contains(&count) {
        return Some(
            "a cron pattern of five or six fields (the seconds first), such as \"0 3 * * *\"",
        );
    }
    let bounds = &FIELDS[6 - count..];
    let fits = pattern
        .split_whitespace()
        .zip(bounds)
        .all(|(field, &(from, to))| field.split(',').all(|part| is_part(part, from, to)));
    if fits {
        None
    } else {
        Some(
            "a cron pattern: numbers, names, \"*\", \"a-b\", \"a,b\" and \"*/n\" within the range of each field",
        )
    }
}

/// `*`, `?`, `L`, a value or a range, with or without a step.
fn is_part(part: &str, from: u32, to: u32) -> bool {
    let (range, step) =
        part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let step_fits =
        step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| (1..=to).contains(&step)));
    let range_fits = match range.split_once('-') {
        None => {
            matches!(range, "*" | "?")
                || (range == "L" && to == 31)
                || value(range, to).is_some_and(|value| (from..=to).contains(&value))
        }
        Some((low, high)) => match (value(low, to), value(high, to)) {
            (Some(low), Some(high)) => from <= low && low <= high && high <= to,
            _ => false,
        },
    };
    step_fits && range_fits
}

fn value(text: &str, to: u32) -> Option<u32> {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
    const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let position = |names: &[&str]| {
        names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text))
            .and_then(|at| u32::try_from(at).ok())
    };
    match to {
        12 => position(&MONTHS).map(|at| at + 1),
        7 => position(&DAYS),
        _ => None,
    }
    .or_else(|| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_or_six_fields_in_range() {
        for good in
            ["0 * * * *", "*/5 * * * * *", "0 1/3 * * *", "0 0 L JAN-MAR mon", "0 3 1,15 * 7"]
        {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in
            ["@daily", "* * * *", "60 * * * *", "a b c d e", "", "*/0 * * * *", "5-1 * * * *"]
        {
            assert!(fault(bad).is_some(), "{bad}");
        }
    }
}
