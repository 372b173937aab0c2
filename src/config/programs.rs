//! Programs by name.

use std::cell::RefCell;

use super::paths;

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Directory,
    /// Anything else.
    File {
        /// Somebody may execute it.
        executable: bool,
    },
}

/// The file system, as far as a config needs it. [`super::disk::Disk`] is one; tests have their own.
pub trait Files {
    /// What stands at this absolute path, links followed; `None`: nothing.
    fn look(&self, path: &str) -> Option<Entry>;
    /// The first bytes of a file, up to 512; empty if it cannot be read.
    fn head(&self, path: &str) -> Vec<u8>;
}

/// What a shell without a `PATH` searches.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A name is rarely in more than two directories, and every app keeps what was found.
const MOST: usize = 4;

/// Looks programs up in `PATH`; each name once.
pub(super) struct Programs<'f> {
    files: &'f dyn Files,
    path: String,
    seen: Vec<(Box<str>, Vec<Box<str>>)>,
    /// The latest answers of `files`: a thousand apps ask for the same few.
    looks: RefCell<Recent<Option<Entry>>>,
    heads: Recent<Vec<u8>>,
}

impl<'f> Programs<'f> {
    pub(super) fn new(files: &'f dyn Files, path: Option<String>) -> Self {
        Self {
            files,
            path: path.unwrap_or_else(|| USUAL.into()),
            seen: Vec::new(),
            looks: RefCell::default(),
            heads: Recent::default(),
        }
    }

    /// See [`Files::look`].
    pub(super) fn look(&self, path: &str) -> Option<Entry> {
        *self.looks.borrow_mut().get(path, |path| self.files.look(path))
    }

    /// See [`Files::head`].
    pub(super) fn head(&mut self, path: &str) -> &[u8] {
        self.heads.get(path, |path| self.files.head(path))
    }

    /// Every place in `PATH` (or in `own`, an app's) where a program of this name is.
    pub(super) fn find(&mut self, name: &str, own: Option<&str>) -> Vec<Box<str>> {
        if let Some(own) = own {
            return search(self.files, own, name);
        }
        self.known(name).to_vec()
    }

    pub(super) fn has(&mut self, name: &str, own: Option<&str>) -> bool {
        match own {
            Some(own) => !search(self.files, own, name).is_empty(),
            None => !self.known(name).is_empty(),
        }
    }

    fn known(&mut self, name: &str) -> &[Box<str>] {
        let index = match self.seen.iter().position(|(seen, _)| **seen == *name) {
            Some(index) => index,
            None => {
                let found = search(self.files, &self.path, name);
                // A thousand apps share a few interpreters; a thousand different names are not worth keeping.
                if self.seen.len() == 16 {
                    self.seen.pop();
                }
                self.seen.push((name.into(), found));
                self.seen.len() - 1
            }
        };
        &self.seen[index].1
    }

    /// Where a program that is nowhere would be.
    pub(super) fn first_place(&self, name: &str, own: Option<&str>) -> Box<str> {
        let first = directories(own.unwrap_or(&self.path)).next().unwrap_or("/usr/bin");
        paths::resolve(first, name).into()
    }
}

/// The latest few answers to a question about a path.
struct Recent<T> {
    answers: Vec<(Box<str>, T)>,
    next: usize,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { answers: Vec::new(), next: 0 }
    }
}

impl<T> Recent<T> {
    const MOST: usize = 8;

    fn get(&mut self, path: &str, ask: impl FnOnce(&str) -> T) -> &T {
        let index = match self.answers.iter().position(|(asked, _)| **asked == *path) {
            Some(index) => index,
            None => {
                let answer = (path.into(), ask(path));
                let index = self.next;
                self.next = (index + 1) % Self::MOST;
                if index < self.answers.len() {
                    self.answers[index] = answer;
                } else {
                    self.answers.push(answer);
                }
                index
            }
        };
        &self.answers[index].1
    }
}

fn search(files: &dyn Files, path: &str, name: &str) -> Vec<Box<str>> {
    let mut runs = Vec::new();
    let mut stuck = Vec::new();
    if name.is_empty() {
        return runs;
    }
    for directory in directories(path) {
        let place: Box<str> = paths::resolve(directory, name).into();
        match files.look(&place) {
            Some(Entry::File { executable: true }) => runs.push(place),
            Some(Entry::File { executable: false }) => stuck.push(place),
            Some(Entry::Directory) | None => {}
        }
    }
    let mut found = if runs.is_empty() { stuck } else { runs };
    found.dedup();
    found.truncate(MOST);
    found
}

/// A relative directory in `PATH` means something else in every working directory: skipped.
fn directories(path: &str) -> impl Iterator<Item = &str> {
    path.split(':').filter(|directory| directory.starts_with('/'))
}
