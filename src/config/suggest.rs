//! "Did you mean …?"

/// The candidate that `word` most likely stands for, if one is near enough.
pub(super) fn closest<'c>(
    word: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    /// Nobody mistypes this much text; and the cost is quadratic.
    const LONGEST: usize = 40;
    let word = plain(word);
    if word.len() > LONGEST {
        return None;
    }
    let near = candidates
        .map(|candidate| (distance(&word, &plain(candidate)), candidate))
        .min_by_key(|&(distance, _)| distance)?;
    (near.0 <= word.len() / 3).then_some(near.1)
}

/// Without the differences that are mere style.
fn plain(word: &str) -> Vec<u8> {
    word.bytes()
        .filter(|byte| !matches!(byte, b'_' | b'-'))
        .map(|byte| byte.to_ascii_lowercase())
        .collect()
}

/// How many letters to change, add, drop or swap with their neighbour.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_is_one_mistake() {
        assert_eq!(distance(b"instnaces", b"instances"), 1);
        assert_eq!(distance(b"", b"abc"), 3);
    }
}
