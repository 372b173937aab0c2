//! Where an app's output and pid go.

use super::fault::Report;
use super::forms::Checked;
use super::given::Given;
use super::keys::Key;
use super::paths;
use crate::spec::{LogMode, LogSpec};

/// What paths of logs are relative to.
pub(super) struct Places<'p> {
    pub(super) cwd: &'p str,
    pub(super) home: Option<&'p str>,
    /// Files that were not asked for are made only here.
    pub(super) pm2_home: Option<&'p str>,
}

const TIME_FORMAT: &str = "YYYY-MM-DDTHH:mm:ss";

pub(super) fn logs(
    given: &Given<'_>,
    name: &str,
    merge: bool,
    places: &Places<'_>,
    report: &mut Report,
) -> LogSpec {
    let file_name = plain(name);
    let by_default = |suffix: &str| {
        places.pm2_home.map(|home| format!("{home}/logs/{file_name}{suffix}").into())
    };
    let mode = match given.value(Key::LogMode) {
        Some(Checked::LogMode(mode)) => *mode,
        _ => LogMode::Capture,
    };
    LogSpec {
        mode: if given.flag(Key::DisableLogs) == Some(true) { LogMode::Discard } else { mode },
        format: match given.value(Key::LogFormat) {
            Some(Checked::LogFormat(format)) => *format,
            _ => None,
        },
        out_file: given
            .text(Key::OutFile)
            .map_or_else(|| by_default("-out.log"), |path| places.file(path)),
        error_file: given
            .text(Key::ErrorFile)
            .map_or_else(|| by_default("-error.log"), |path| places.file(path)),
        log_file: match (given.value(Key::LogFile), given.item(Key::LogFile)) {
            (Some(Checked::PathOrTrue(Some(path))), _) => places.file(path),
            (Some(Checked::PathOrTrue(None)), Some(item)) => {
                let file = by_default(".log");
                if file.is_none() {
                    report.warn(
                        item.node.at,
                        format!(
                            "{}: true names no file unless PM2_HOME is set; write a path",
                            item.written
                        ),
                    );
                }
                file
            }
            _ => None,
        },
        date_format: date_format(given).map(Into::into),
        merge,
    }
}

/// The stamp before each line, if any.
pub(super) fn date_format<'g>(given: &'g Given<'_>) -> Option<&'g str> {
    if given.flag(Key::Time) == Some(true) {
        Some(TIME_FORMAT)
    } else {
        given.text(Key::LogDateFormat)
    }
}

pub(super) fn pid_file(given: &Given<'_>, name: &str, places: &Places<'_>) -> Option<Box<str>> {
    match given.text(Key::PidFile) {
        Some(path) => places.file(path),
        None => places.pm2_home.map(|home| format!("{home}/pids/{}.pid", plain(name)).into()),
    }
}

impl Places<'_> {
    /// `None`: no file.
    fn file(&self, path: &str) -> Option<Box<str>> {
        if matches!(path, "NULL" | "/dev/null") {
            return None;
        }
        let path = paths::with_home(path, self.home)
            .map_or_else(|| paths::resolve(self.cwd, path), |path| paths::resolve("/", &path));
        Some(path.into())
    }
}

/// An app's name as part of a file name.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '\\') { c } else { '-' })
        .collect()
}
