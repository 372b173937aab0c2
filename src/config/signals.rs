//! Signals by name and number.

const NAMES: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The kernel's own; the C library hides the first two or three and calls a later one `SIGRTMIN`.
const FIRST_REAL_TIME: i32 = 34;
const LAST: i32 = 64;

pub(super) fn by_number(number: i64) -> Option<i32> {
    i32::try_from(number).ok().filter(|number| (1..=LAST).contains(number))
}

/// `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
pub(super) fn by_name(name: &str) -> Option<i32> {
    let upper = name.trim().to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(&(_, number)) = NAMES.iter().find(|(known, _)| *known == short) {
        return Some(number);
    }
    if let Some(offset) = short.strip_prefix("RTMIN") {
        return real_time(offset, '+').map(|offset| FIRST_REAL_TIME + offset);
    }
    if let Some(offset) = short.strip_prefix("RTMAX") {
        return real_time(offset, '-').map(|offset| LAST - offset);
    }
    by_number(short.parse().ok()?)
}

fn real_time(offset: &str, sign: char) -> Option<i32> {
    if offset.is_empty() {
        return Some(0);
    }
    offset
        .strip_prefix(sign)?
        .parse()
        .ok()
        .filter(|offset| (0..=LAST - FIRST_REAL_TIME).contains(offset))
}

/// `SIGTERM`; `SIGRTMIN+3`; the bare number for what has no name.
pub(super) fn name(number: i32) -> String {
    if let Some((known, _)) = NAMES.iter().find(|(_, other)| *other == number) {
        return format!("SIG{known}");
    }
    match number - FIRST_REAL_TIME {
        0 => "SIGRTMIN".into(),
        offset @ 1.. => format!("SIGRTMIN+{offset}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_with_and_without_sig() {
        for text in ["SIGTERM", "term", "15", "Sigterm"] {
            assert_eq!(by_name(text), Some(libc::SIGTERM), "{text}");
        }
        assert_eq!(by_name("SIGRTMIN+3"), Some(37));
        assert_eq!(by_name("SIGRTMAX"), Some(64));
        for text in ["", "SIGNOPE", "0", "65", "RTMIN+99", "RTMIN-1"] {
            assert_eq!(by_name(text), None, "{text}");
        }
        assert_eq!(name(libc::SIGINT), "SIGINT");
        assert_eq!(name(37), "SIGRTMIN+3");
    }
}
