//! What is wrong with a config, with the place and words for people.

use std::fmt::{self, Write as _};
use std::path::Path;

/// More than this are only counted: nobody reads them, and a hostile file could hold millions.
const MOST: usize = 1000;

/// One thing to tell about a config: a fault, or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named; or `command line`.
    pub file: Box<str>,
    /// Line from 1; 0 where there is no line (the command line, a file that cannot be read).
    pub line: u32,
    /// Character in the line, from 1.
    pub column: u32,
    /// What is wrong; names its app and key.
    pub message: Box<str>,
    /// The line, made safe to print.
    pub excerpt: Box<str>,
    /// How many characters of [`Self::excerpt`] lie before the place.
    pub indent: u32,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}", self.file, self.message);
        }
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl Fault {
    pub(super) fn without_place(path: &Path, message: impl Into<Box<str>>) -> Self {
        Self {
            file: path.to_string_lossy().into(),
            line: 0,
            column: 0,
            message: message.into(),
            excerpt: "".into(),
            indent: 0,
        }
    }

    /// One line for people; with `caret` also the line of the file and a mark below it.
    pub fn render(&self, caret: bool) -> String {
        let mut text = self.to_string();
        if caret && self.line > 0 {
            let indent = self.indent as usize;
            let _ = write!(text, "\n    {}\n    {:indent$}^", self.excerpt, "");
        }
        text
    }
}

/// Why a config cannot be used: every fault in every file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Never empty.
    pub faults: Vec<Fault>,
    /// What was odd besides.
    pub warnings: Vec<Fault>,
    /// Faults beyond the ones listed.
    pub more: usize,
}

impl Faults {
    /// The text for stderr: a headline, then one fault a line.
    pub fn render(&self, caret: bool) -> String {
        let count = self.faults.len() + self.more;
        let plural = if count == 1 { "" } else { "s" };
        let mut files: Vec<&str> = self.faults.iter().map(|fault| &*fault.file).collect();
        files.dedup();
        let mut text =
            format!("rsm-init: cannot use {}: {count} fault{plural}\n", files.join(", "));
        for fault in &self.faults {
            let _ = writeln!(text, "  {}", fault.render(caret));
        }
        if self.more > 0 {
            let _ = writeln!(text, "  and {} more", self.more);
        }
        text
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Faults {}

/// A byte of one of the sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: u16,
    pub(super) at: u32,
}

/// Whom a message is about: `apps[1] "web": `, as far as that is known; nothing outside of apps.
#[derive(Clone, Default)]
pub(super) struct Subject {
    index: Option<usize>,
    name: String,
}

impl Subject {
    pub(super) fn new(index: Option<usize>, name: &str) -> Self {
        Self { index, name: name.to_owned() }
    }

    /// Another one, in the same memory.
    pub(super) fn set(&mut self, index: Option<usize>, name: &str) {
        self.index = index;
        self.name.clear();
        self.name.push_str(name);
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = || super::value::quoted(&self.name);
        match (self.index, self.name.is_empty()) {
            (Some(index), false) => write!(f, "apps[{index}] {}: ", name()),
            (Some(index), true) => write!(f, "apps[{index}]: "),
            (None, false) => write!(f, "{}: ", name()),
            (None, true) => Ok(()),
        }
    }
}

/// Collects while the files are read; lines are counted only if there is something to tell.
#[derive(Default)]
pub(super) struct Report {
    /// The file being read.
    pub(super) source: u16,
    /// The app being read.
    pub(super) subject: Subject,
    /// Unknown keys and clashing names are faults.
    pub(super) strict: bool,
    faults: Vec<(Place, String)>,
    warnings: Vec<(Place, String)>,
    more: usize,
}

impl Report {
    pub(super) fn new(strict: bool) -> Self {
        Self { strict, ..Self::default() }
    }

    pub(super) fn place(&self, at: u32) -> Place {
        Place { source: self.source, at }
    }

    pub(super) fn fault(&mut self, at: u32, message: impl AsRef<str>) {
        self.fault_at(self.place(at), format!("{}{}", self.subject, message.as_ref()));
    }

    pub(super) fn fault_at(&mut self, place: Place, message: String) {
        if self.faults.len() < MOST {
            self.faults.push((place, message));
        } else {
            self.more += 1;
        }
    }

    pub(super) fn warn(&mut self, at: u32, message: impl AsRef<str>) {
        self.warn_at(self.place(at), format!("{}{}", self.subject, message.as_ref()));
    }

    pub(super) fn warn_at(&mut self, place: Place, message: String) {
        if self.warnings.len() < MOST {
            self.warnings.push((place, message));
        }
    }

    /// A fault under `--strict`, else a warning.
    pub(super) fn doubt(&mut self, at: u32, message: impl AsRef<str>) {
        if self.strict { self.fault(at, message) } else { self.warn(at, message) }
    }

    pub(super) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// The warnings, or the faults.
    pub(super) fn finish(self, sources: &[super::Source<'_>]) -> Result<Vec<Fault>, Faults> {
        let warnings = placed(self.warnings, sources);
        if self.faults.is_empty() {
            return Ok(warnings);
        }
        Err(Faults { faults: placed(self.faults, sources), warnings, more: self.more })
    }
}

fn placed(mut found: Vec<(Place, String)>, sources: &[super::Source<'_>]) -> Vec<Fault> {
    if found.is_empty() {
        return Vec::new();
    }
    found.sort_by_key(|(place, _)| (place.source, place.at));
    let mut lines: Vec<u32> = Vec::new();
    let mut counted = None;
    let mut faults = Vec::with_capacity(found.len());
    for (place, message) in found {
        let Some(source) = sources.get(usize::from(place.source)) else { continue };
        if source.is_command_line {
            faults.push(Fault::without_place(source.path, message));
            continue;
        }
        if counted != Some(place.source) {
            lines = line_starts(source.text);
            counted = Some(place.source);
        }
        faults.push(in_text(source, &lines, place.at, message));
    }
    faults
}

fn line_starts(text: &str) -> Vec<u32> {
    let newlines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
    std::iter::once(0).chain(newlines.map(|(at, _)| super::text::position(at + 1))).collect()
}

fn in_text(source: &super::Source<'_>, lines: &[u32], at: u32, message: String) -> Fault {
    /// Characters shown of a long line, and how many of them before the place.
    const WIDTH: usize = 100;
    const BEFORE: usize = 60;
    let line = lines.partition_point(|&start| start <= at).max(1);
    let start = lines.get(line - 1).copied().unwrap_or(0) as usize;
    let end = lines.get(line).map_or(source.text.len(), |&next| next as usize - 1);
    let whole = source.text.get(start..end).unwrap_or_default().trim_start_matches('\u{feff}');
    let start = end - whole.len();
    let before =
        source.text.get(start..(at as usize).clamp(start, end)).unwrap_or(whole).chars().count();
    let skipped = before.saturating_sub(BEFORE);
    let shown =
        whole.chars().skip(skipped).take(WIDTH).map(|c| if c.is_control() { ' ' } else { c });
    Fault {
        file: source.path.to_string_lossy().into(),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: u32::try_from(before + 1).unwrap_or(u32::MAX),
        message: message.into(),
        excerpt: shown.collect::<String>().trim_end().into(),
        indent: u32::try_from(before - skipped).unwrap_or(0),
    }
}
