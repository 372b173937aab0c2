//! Where lines go: the container's two streams, and files.
//!
//! An outlet never fails its caller. What it cannot write it counts; it says so once, tries
//! again with the next data after a growing pause, and says when it works again.

use crate::moment::Moment;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::write;
use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

/// The first pause after a failure; each further one is twice as long, up to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(64);

/// An outlet's place in [`Outlets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutletId(u32);

impl OutletId {
    pub(super) const STDOUT: Self = Self(0);
    pub(super) const STDERR: Self = Self(1);

    /// The container's stream that a path like `/dev/stdout` means. Opening it would work,
    /// but would show each line twice.
    pub(super) fn of_container(path: &str) -> Option<Self> {
        match path {
            "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1" | "/proc/1/fd/1" => Some(Self::STDOUT),
            "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2" | "/proc/1/fd/2" => Some(Self::STDERR),
            _ => None,
        }
    }
}

/// All outlets; one for each path, however many streams go there.
pub(super) struct Outlets {
    list: Vec<Option<Outlet>>,
    by_path: BTreeMap<Rc<str>, OutletId>,
}

struct Outlet {
    place: Place,
    /// How many streams go here.
    users: u32,
    /// The last byte written was no newline.
    mid_line: bool,
    /// Before anything else a newline is due: what stands there may be half a line.
    torn: bool,
    trouble: Option<Trouble>,
}

enum Place {
    Stdout,
    Stderr,
    File { path: Rc<str>, file: Option<File> },
}

/// Since when it does not work.
struct Trouble {
    lost_lines: u64,
    pause: Duration,
    retry_at: Moment,
}

impl Outlets {
    pub(super) fn new() -> Self {
        let list = vec![Some(Outlet::new(Place::Stdout)), Some(Outlet::new(Place::Stderr))];
        Self { list, by_path: BTreeMap::new() }
    }

    /// Takes one more user for the container's stream.
    pub(super) fn join(&mut self, id: OutletId) {
        if let Some(outlet) = self.find(id) {
            outlet.users += 1;
        }
    }

    /// The outlet for this file, with one more user; opened if it is new.
    pub(super) fn file(&mut self, path: &str) -> OutletId {
        if let Some(&id) = self.by_path.get(path) {
            self.join(id);
            return id;
        }
        let path: Rc<str> = path.into();
        let mut outlet = Outlet::new(Place::File { path: Rc::clone(&path), file: None });
        outlet.users = 1;
        let opened = outlet.open();
        let hole = self.list.iter().skip(2).position(Option::is_none).map(|index| index + 2);
        let index = hole.unwrap_or(self.list.len());
        if index == self.list.len() {
            self.list.push(Some(outlet));
        } else {
            self.list[index] = Some(outlet);
        }
        let id = OutletId(u32::try_from(index).unwrap_or(u32::MAX));
        self.by_path.insert(path, id);
        if let Err(errno) = opened {
            self.fail(id, "open", errno, 0);
        }
        id
    }

    /// One user less; a file that has none is closed.
    pub(super) fn leave(&mut self, id: OutletId) {
        let Some(outlet) = self.find(id) else { return };
        outlet.users = outlet.users.saturating_sub(1);
        if outlet.users > 0 || !matches!(outlet.place, Place::File { .. }) {
            return;
        }
        self.settle_accounts(id);
        if let Some(Outlet { place: Place::File { path, .. }, .. }) =
            self.list[id.0 as usize].take()
        {
            self.by_path.remove(&path);
        }
    }

    /// More than one stream goes here, so only whole lines may.
    pub(super) fn is_shared(&self, id: OutletId) -> bool {
        matches!(self.list.get(id.0 as usize), Some(Some(outlet)) if outlet.users > 1)
    }

    /// What was written last may be half a line: the former log writer was killed.
    pub(super) fn mark_torn(&mut self, id: OutletId) {
        if let Some(outlet) = self.find(id) {
            outlet.torn = true;
        }
    }

    /// Gives up one of the container's streams from the start: it was closed.
    pub(super) fn mark_closed(&mut self, id: OutletId) {
        self.fail(id, "write", Errno::EBADF, 0);
    }

    /// Writes whole lines, and begins a new line first if someone left one unfinished.
    pub(super) fn write_lines(&mut self, id: OutletId, bytes: &[u8]) {
        self.write(id, bytes, true);
    }

    /// Writes bytes that may continue the line that was written last.
    pub(super) fn write_on(&mut self, id: OutletId, bytes: &[u8]) {
        self.write(id, bytes, false);
    }

    fn write(&mut self, id: OutletId, bytes: &[u8], new_line: bool) {
        if bytes.is_empty() {
            return;
        }
        let Some(outlet) = self.find(id) else { return };
        match outlet.write(bytes, new_line) {
            Ok(Wrote::All) => {}
            Ok(Wrote::AllAgain { lost_lines }) => {
                let name = outlet.name();
                self.say(&format!("writing {name} again; {lost_lines} lines are missing there"));
            }
            Ok(Wrote::NothingYet) => {}
            Err(Failure { doing, errno, lost_lines }) => self.fail(id, doing, errno, lost_lines),
        }
    }

    /// Opens every file again. Where that does not work the old one stays in use.
    pub(super) fn reopen(&mut self) {
        for index in 2..self.list.len() {
            let id = OutletId(u32::try_from(index).unwrap_or(u32::MAX));
            let Some(outlet) = self.find(id) else { continue };
            if let Err(errno) = outlet.open()
                && outlet.trouble.is_none()
            {
                let (name, cause) = (outlet.name(), cause(errno));
                self.say(&format!("cannot open {name} again: {cause}; going on with the old file"));
            }
        }
    }

    /// Says what was lost and never made good.
    pub(super) fn close(&mut self) {
        for index in 0..self.list.len() {
            self.settle_accounts(OutletId(u32::try_from(index).unwrap_or(u32::MAX)));
        }
    }

    /// One line of our own on stderr. If it can't be written, so be it.
    pub(super) fn say(&mut self, what: &str) {
        let line = format!("rsm-init: log writer: {what}\n");
        if let Some(Some(stderr)) = self.list.get_mut(OutletId::STDERR.0 as usize) {
            let _ = stderr.write(line.as_bytes(), true);
        }
    }

    fn find(&mut self, id: OutletId) -> Option<&mut Outlet> {
        self.list.get_mut(id.0 as usize)?.as_mut()
    }

    fn fail(&mut self, id: OutletId, doing: &str, errno: Errno, lost_lines: u64) {
        let Some(outlet) = self.find(id) else { return };
        let is_news = outlet.trouble.is_none();
        let trouble = outlet.trouble.get_or_insert(Trouble {
            lost_lines: 0,
            pause: FIRST_PAUSE,
            retry_at: Moment::START,
        });
        trouble.lost_lines += lost_lines;
        trouble.retry_at = now().plus(trouble.pause);
        trouble.pause = (trouble.pause * 2).min(LAST_PAUSE);
        if let Place::File { file, .. } = &mut outlet.place {
            *file = None;
        }
        if is_news {
            let name = outlet.name();
            let cause = cause(errno);
            self.say(&format!(
                "cannot {doing} {name}: {cause}; what should go there is lost until it works again"
            ));
        }
    }

    fn settle_accounts(&mut self, id: OutletId) {
        let Some(outlet) = self.find(id) else { return };
        if let Some(Trouble { lost_lines, .. }) = outlet.trouble.take()
            && lost_lines > 0
        {
            let name = outlet.name();
            self.say(&format!("{lost_lines} lines could not be written to {name}"));
        }
    }
}

enum Wrote {
    All,
    /// And that after it had not worked for a while.
    AllAgain {
        lost_lines: u64,
    },
    /// It is not yet time for another try.
    NothingYet,
}

struct Failure {
    doing: &'static str,
    errno: Errno,
    lost_lines: u64,
}

impl Outlet {
    fn new(place: Place) -> Self {
        Self { place, users: 0, mid_line: false, torn: false, trouble: None }
    }

    fn name(&self) -> String {
        match &self.place {
            Place::Stdout => "the container's stdout".to_owned(),
            Place::Stderr => "the container's stderr".to_owned(),
            Place::File { path, .. } => format!("\"{path}\""),
        }
    }

    fn write(&mut self, bytes: &[u8], new_line: bool) -> Result<Wrote, Failure> {
        if let Some(trouble) = &mut self.trouble
            && now() < trouble.retry_at
        {
            trouble.lost_lines += lines_in(bytes);
            return Ok(Wrote::NothingYet);
        }
        if matches!(self.place, Place::File { file: None, .. }) {
            let failed = |errno| Failure { doing: "open", errno, lost_lines: lines_in(bytes) };
            self.open().map_err(failed)?;
        }
        let lead = self.torn || (new_line && self.mid_line);
        let written = if lead { self.write_all(b"\n") } else { Ok(()) };
        written.map_err(|(_, errno)| Failure {
            doing: "write",
            errno,
            lost_lines: lines_in(bytes),
        })?;
        self.torn = false;
        self.mid_line = false;
        match self.write_all(bytes) {
            Ok(()) => {
                self.mid_line = !bytes.ends_with(b"\n");
                Ok(match self.trouble.take() {
                    Some(Trouble { lost_lines, .. }) => Wrote::AllAgain { lost_lines },
                    None => Wrote::All,
                })
            }
            Err((written, errno)) => {
                self.torn = written > 0 && !bytes[..written].ends_with(b"\n");
                Err(Failure { doing: "write", errno, lost_lines: lines_in(&bytes[written..]) })
            }
        }
    }

    /// On failure, how much was written before.
    fn write_all(&self, bytes: &[u8]) -> Result<(), (usize, Errno)> {
        let (stdout, stderr);
        let target = match &self.place {
            Place::Stdout => {
                stdout = io::stdout();
                stdout.as_fd()
            }
            Place::Stderr => {
                stderr = io::stderr();
                stderr.as_fd()
            }
            Place::File { file: Some(file), .. } => file.as_fd(),
            Place::File { file: None, .. } => return Err((0, Errno::EBADF)),
        };
        let mut written = 0;
        while written < bytes.len() {
            match write(target, &bytes[written..]) {
                Ok(0) => return Err((written, Errno::EIO)),
                Ok(count) => written += count,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => wait_for_room(target),
                Err(errno) => return Err((written, errno)),
            }
        }
        Ok(())
    }

    /// Opens the file, new or again, making the directories above it.
    fn open(&mut self) -> Result<(), Errno> {
        let Place::File { path, file } = &mut self.place else { return Ok(()) };
        let opened = match append_to(path) {
            Err(Errno::ENOENT) => {
                if let Some(directory) = Path::new(&**path).parent() {
                    DirBuilder::new().recursive(true).create(directory).map_err(errno_of)?;
                }
                append_to(path)?
            }
            opened => opened?,
        };
        // Only at the first time: later a file without a newline at its end is so
        // because we are in the middle of a line that is shown as it comes.
        if file.is_none() && !ends_with_newline(path, &opened) {
            self.torn = true;
        }
        *file = Some(opened);
        Ok(())
    }
}

/// `O_NONBLOCK`: a FIFO that nobody reads must not hold us up here. It is this open file's
/// own, nobody shares it.
fn append_to(path: &str) -> Result<File, Errno> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o644).custom_flags(flags);
    options.open(path).map_err(errno_of)
}

/// True as well when it can't be known.
fn ends_with_newline(path: &str, opened: &File) -> bool {
    let length = match opened.metadata() {
        Ok(status) if status.is_file() && status.len() > 0 => status.len(),
        _ => return true,
    };
    let mut last = [b'\n'];
    if let Ok(file) = File::open(path) {
        let _ = file.read_at(&mut last, length - 1);
    }
    last == [b'\n']
}

/// Someone else has made the descriptor non-blocking, and it is not for us to change that.
fn wait_for_room(target: BorrowedFd<'_>) {
    let mut room = [PollFd::new(target, PollFlags::POLLOUT)];
    // Whatever it says, the next write will know better.
    let _ = poll(&mut room, PollTimeout::NONE);
}

/// A line is counted where it ends: one that comes in pieces is one line.
fn lines_in(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

fn errno_of(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn cause(errno: Errno) -> String {
    errno.desc().to_lowercase()
}

fn now() -> Moment {
    let elapsed = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    Moment::after_start(elapsed)
}
