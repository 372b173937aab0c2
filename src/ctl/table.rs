//! Columns side by side, as many as fit.
//!
//! All cells live in one string: five hundred rows of small strings would cost more than
//! everything else the client does.
#![forbid(unsafe_code)]

use super::words::{clip, columns};
use crate::terminal::Screen;
use std::fmt;
use std::ops::Range;

/// What stands between two columns.
const GAP: usize = 2;

/// The column that gives way when the rest is gone is cut to no less than this.
const LEAST: usize = 8;

/// How far a note is set in.
const INDENT: usize = 4;

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Numbers stand to the right.
    pub right: bool,
    /// The least goes first when there is too little room; [`u8::MAX`]: it stays.
    pub worth: u8,
}

/// How a cell is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// As it comes.
    Plain,
    /// All well.
    Green,
    /// On its way.
    Yellow,
    /// Trouble.
    Red,
    /// Of no concern.
    Dim,
}

impl Colour {
    fn start(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Green => "\u{1b}[32m",
            Self::Yellow => "\u{1b}[33m",
            Self::Red => "\u{1b}[31m",
            Self::Dim => "\u{1b}[2m",
        }
    }
}

/// Rows of cells, and notes between them.
#[derive(Debug)]
pub(super) struct Table<'a> {
    columns: &'a [Column],
    /// Which one is cut before a line is.
    flexible: usize,
    text: String,
    cells: Vec<Cell>,
    notes: Vec<Note>,
}

/// Small, because there are thousands.
#[derive(Clone, Copy, Debug)]
struct Cell {
    start: u32,
    end: u32,
    width: u32,
    colour: Colour,
}

impl Cell {
    fn width(self) -> usize {
        self.width as usize
    }

    /// In the text of its table.
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

#[derive(Debug)]
struct Note {
    /// How many cells stand before it.
    after: usize,
    text: Range<usize>,
}

impl<'a> Table<'a> {
    /// With these columns and no rows yet.
    pub(super) fn new(columns: &'a [Column], flexible: usize) -> Self {
        let (text, cells, notes) = Default::default();
        Self { columns, flexible, text, cells, notes }
    }

    /// The next cell, row by row. `write` gets the text to add to.
    pub(super) fn cell(&mut self, colour: Colour, write: impl FnOnce(&mut String) -> fmt::Result) {
        let text = self.add(write);
        let width = columns(&self.text[text.clone()]);
        // A reply, and so each text in it, is far below 4 GiB.
        let small = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let (start, end, width) = (small(text.start), small(text.end), small(width));
        self.cells.push(Cell { start, end, width, colour });
    }

    /// A sentence below the row just finished, if there is one.
    pub(super) fn note(&mut self, write: impl FnOnce(&mut String) -> fmt::Result) {
        let text = self.add(write);
        if !text.is_empty() {
            self.notes.push(Note { after: self.cells.len(), text });
        }
    }

    fn add(&mut self, write: impl FnOnce(&mut String) -> fmt::Result) -> Range<usize> {
        let start = self.text.len();
        // Writing to a string does not fail.
        let _ = write(&mut self.text);
        start..self.text.len()
    }

    /// The whole as lines, none wider than the screen.
    pub(super) fn render(&self, out: &mut String, screen: Screen) {
        let limit = screen.width.unwrap_or(usize::MAX);
        let widths = self.widths(limit);
        let titles =
            self.columns.iter().map(|column| (column.title, column.title.len(), Colour::Dim));
        self.line(out, titles, &widths, limit, screen.colour);
        let mut notes = self.notes.iter().peekable();
        for (row, cells) in self.cells.chunks(self.columns.len()).enumerate() {
            let shown =
                cells.iter().map(|cell| (&self.text[cell.range()], cell.width(), cell.colour));
            self.line(out, shown, &widths, limit, screen.colour);
            let end = (row + 1) * self.columns.len();
            while let Some(note) = notes.next_if(|note| note.after <= end) {
                paragraph(out, &self.text[note.text.clone()], INDENT, limit);
            }
        }
    }

    /// The width of each column, 0 for one that is left out.
    fn widths(&self, limit: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.title.len()).collect();
        for cells in self.cells.chunks(self.columns.len()) {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.width());
            }
        }
        // A very long name rather loses its end than costs a column.
        self.cut(&mut widths, limit, 3 * LEAST);
        while overflow(&widths, limit) > 0 {
            let worth = |&at: &usize| self.columns[at].worth;
            let droppable = |&at: &usize| widths[at] > 0 && worth(&at) < u8::MAX;
            match (0..widths.len()).filter(droppable).min_by_key(worth) {
                Some(at) => widths[at] = 0,
                None => break,
            }
        }
        self.cut(&mut widths, limit, LEAST);
        widths
    }

    /// Makes the flexible column narrower, as far as needed and not below `least`.
    fn cut(&self, widths: &mut [usize], limit: usize, least: usize) {
        let spare = widths[self.flexible].saturating_sub(least);
        widths[self.flexible] -= overflow(widths, limit).min(spare);
    }

    fn line<'t>(
        &self,
        out: &mut String,
        cells: impl Iterator<Item = (&'t str, usize, Colour)>,
        widths: &[usize],
        limit: usize,
        colours: bool,
    ) {
        let mut used = 0;
        let mut owed = 0;
        for ((text, width, colour), (column, &room)) in cells.zip(self.columns.iter().zip(widths)) {
            if room == 0 {
                continue;
            }
            let room = room.min(limit.saturating_sub(used));
            let cut = width > room;
            let shown = if cut { clip(text, room.saturating_sub(1)) } else { text };
            let length = if cut { columns(shown) + usize::from(room > 0) } else { width };
            if column.right {
                owed += room - length;
            }
            // Spaces are written only before something, so no line ends in one.
            if length > 0 {
                pad(out, owed);
                owed = 0;
                let coloured = colours && colour != Colour::Plain;
                out.push_str(if coloured { colour.start() } else { "" });
                out.push_str(shown);
                out.push_str(if cut { "…" } else { "" });
                out.push_str(if coloured { "\u{1b}[0m" } else { "" });
            }
            if !column.right {
                owed += room - length;
            }
            owed += GAP;
            used += room + GAP;
        }
        end_line(out);
    }
}

/// How much too wide these columns are.
fn overflow(widths: &[usize], limit: usize) -> usize {
    let shown = widths.iter().filter(|&&width| width > 0);
    let total = shown.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP);
    total.saturating_sub(limit)
}

/// Without spaces at its end, which would wrap on a narrow screen.
fn end_line(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

fn pad(out: &mut String, width: usize) {
    out.extend(std::iter::repeat_n(' ', width));
}

/// `text` in lines of at most `limit` columns, broken between words where that is possible.
pub(super) fn paragraph(out: &mut String, text: &str, indent: usize, limit: usize) {
    let indent = indent.min(limit / 4);
    let room = (limit - indent).max(1);
    let mut used = 0;
    // Not the same as nothing used: a word can be of no width.
    let mut fresh = true;
    for word in text.split(' ') {
        let width = columns(word);
        if !fresh && used + 1 + width > room {
            end_line(out);
            fresh = true;
        }
        if fresh && word.is_empty() {
            continue;
        }
        if fresh {
            pad(out, indent);
            (used, fresh) = (0, false);
        } else {
            out.push(' ');
            used += 1;
        }
        let mut rest = word;
        loop {
            let part = clip(rest, room);
            out.push_str(part);
            used += columns(part);
            rest = &rest[part.len()..];
            // A part is empty where not even one character fits.
            if rest.is_empty() || part.is_empty() {
                break;
            }
            end_line(out);
            pad(out, indent);
            used = 0;
        }
    }
    end_line(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, limit: usize) -> Vec<String> {
        let mut out = String::new();
        paragraph(&mut out, text, INDENT, limit);
        out.lines().map(str::to_string).collect()
    }

    #[test]
    fn a_paragraph_breaks_between_words_and_inside_them_only_if_it_must() {
        assert_eq!(lines("one two three", 16), ["    one two", "    three"]);
        assert_eq!(lines("abcdefghijklmnop", 16), ["    abcdefghijkl", "    mnop"]);
    }

    #[test]
    fn every_line_is_set_in_once() {
        assert_eq!(lines("  a  b", 16), ["    a  b"]);
        assert_eq!(lines("\u{301} a", 16), ["    \u{301} a"]);
        assert_eq!(lines("abcdefghijkl   m", 16), ["    abcdefghijkl", "    m"]);
    }
}
