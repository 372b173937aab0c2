//! What the terminal on stdout can show.

use std::io::IsTerminal;

/// Where text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Columns; `None`: without end (a file, a pipe).
    pub width: Option<usize>,
    /// Colours are welcome.
    pub colour: bool,
}

impl Screen {
    /// A file or a pipe.
    pub const PLAIN: Self = Self { width: None, colour: false };

    /// Stdout as it is now.
    pub fn of_stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::PLAIN;
        }
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let columns = || set("COLUMNS")?.to_str()?.parse().ok().filter(|&columns| columns > 0);
        Self {
            width: Some(window_columns().or_else(columns).unwrap_or(80)),
            // https://no-color.org
            colour: set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"),
        }
    }
}

/// Columns of the terminal on stdout; `None` where the kernel does not know (a serial console).
#[expect(unsafe_code, reason = "nix has no safe TIOCGWINSZ")]
fn window_columns() -> Option<usize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize` to the pointer, which is a live one of ours; on a
    // descriptor that is closed or no terminal it fails and writes nothing.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(usize::from(size.ws_col))
}
