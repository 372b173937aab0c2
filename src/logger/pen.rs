//! Prefix and stamp before each line.

use super::outlet::{OutletId, Outlets};
use super::stamp::Stamp;
use memchr::memchr_iter;
use std::time::SystemTime;

/// So much is written at a time; if a single line is longer, more.
const FULL_SHEET: usize = 128 * 1024;

/// Marks the place where a line was cut that is longer than the biggest pipe.
const CONTINUES: &[u8] = b" [rsm-init: line continues]\n";

/// How an instance's lines look.
pub(super) struct Dress {
    /// Before each line on the container's streams; may be empty.
    pub(super) prefix: Box<[u8]>,
    /// Before each line everywhere.
    pub(super) stamp: Option<StampId>,
}

/// One of the pen's date formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StampId(u16);

/// Lines on their way to one outlet.
pub(super) struct Lines<'a> {
    /// Ends with a newline, unless `end` says otherwise.
    pub(super) text: &'a [u8],
    pub(super) end: End,
    /// The outlet has the head of the first line already.
    pub(super) continues: bool,
}

/// How the last of some lines ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a newline.
    Newline,
    /// As a line that will get no newline any more.
    Complete,
    /// Somewhere in the middle of a line that is too long.
    Cut,
}

/// Writes lines; knows the time.
#[derive(Default)]
pub(super) struct Pen {
    /// Kept for good: a config has few date formats.
    stamps: Vec<Stamp>,
    sheet: Vec<u8>,
    head: Vec<u8>,
}

impl Pen {
    pub(super) fn stamp(&mut self, format: &str) -> Option<StampId> {
        let known = self.stamps.iter().position(|stamp| stamp.format() == format);
        let index = known.unwrap_or_else(|| {
            self.stamps.push(Stamp::new(format));
            self.stamps.len() - 1
        });
        u16::try_from(index).ok().map(StampId)
    }

    /// Lines with nothing before them.
    pub(super) fn write_plain(&self, lines: &Lines<'_>, to: OutletId, outlets: &mut Outlets) {
        if lines.continues {
            outlets.write_on(to, lines.text);
        } else {
            outlets.write_lines(to, lines.text);
        }
        outlets.write_on(to, lines.trailer());
    }

    /// Lines with `prefix` and the time before each.
    pub(super) fn write_dressed(
        &mut self,
        lines: &Lines<'_>,
        (prefix, stamp): (&[u8], Option<StampId>),
        to: OutletId,
        outlets: &mut Outlets,
    ) {
        self.head.clear();
        self.head.extend_from_slice(prefix);
        if let Some(stamp) = stamp.and_then(|id| self.stamps.get_mut(usize::from(id.0))) {
            self.head.extend_from_slice(stamp.text(SystemTime::now()));
            self.head.extend_from_slice(b": ");
        }
        self.sheet.clear();
        let mut start = 0;
        for newline in memchr_iter(b'\n', lines.text) {
            let line = &lines.text[start..=newline];
            if !self.sheet.is_empty()
                && self.sheet.len() + self.head.len() + line.len() > FULL_SHEET
            {
                outlets.write_lines(to, &self.sheet);
                self.sheet.clear();
            }
            self.sheet.extend_from_slice(&self.head);
            self.sheet.extend_from_slice(line);
            start = newline + 1;
        }
        if start < lines.text.len() {
            self.sheet.extend_from_slice(&self.head);
            self.sheet.extend_from_slice(&lines.text[start..]);
            self.sheet.extend_from_slice(lines.trailer());
        }
        outlets.write_lines(to, &self.sheet);
        self.sheet.clear();
        self.sheet.shrink_to(FULL_SHEET);
    }
}

impl Lines<'_> {
    fn trailer(&self) -> &'static [u8] {
        match self.end {
            _ if self.text.ends_with(b"\n") => b"",
            End::Newline => b"",
            End::Complete => b"\n",
            End::Cut => CONTINUES,
        }
    }
}
