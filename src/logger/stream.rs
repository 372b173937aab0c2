//! One stream of one instance: what comes out of its pipe, and where that goes.

use super::outlet::{OutletId, Outlets};
use super::peek::{self, BATCH, Look, Peek};
use super::pen::{Dress, End, Lines, Pen};
use super::raw;
use memchr::memrchr;
use std::os::fd::{AsFd, OwnedFd};

/// A pipe grows up to this for a line that does not fit.
const LONGEST_LINE: usize = 1024 * 1024;

/// A pipe grows up to this when it is found full: while one batch is written, the app can
/// fill the rest.
const BUSY: usize = 4 * BATCH;

/// Read end of a pipe, and the outlets for what comes out.
pub(super) struct Stream {
    pipe: OwnedFd,
    capacity: usize,
    sinks: Box<[Sink]>,
    queued: bool,
    /// Half a line lies in the pipe, so edges do not tell all; each write sends SIGIO.
    signals: bool,
}

#[derive(Debug)]
struct Sink {
    outlet: OutletId,
    /// Of the container's, not a file.
    of_container: bool,
    /// So many of the bytes at the head of the pipe it has already.
    has: usize,
}

/// What streams need to do their work. All share one of each.
pub(super) struct Tools {
    pub(super) peek: Peek,
    pub(super) outlets: Outlets,
    pub(super) pen: Pen,
}

/// How a pass looks at an unfinished line at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// The rest of it will come.
    Unfinished,
    /// That was all.
    Final,
}

impl Stream {
    /// `container`: the container's stream that shows it. Takes its place at each outlet.
    pub(super) fn new(
        pipe: OwnedFd,
        container: Option<OutletId>,
        files: [Option<&str>; 2],
        outlets: &mut Outlets,
    ) -> Self {
        let capacity = peek::capacity(pipe.as_fd()).unwrap_or(BATCH);
        let mut sinks: Vec<Sink> = Vec::new();
        let (streams, files): (Vec<_>, Vec<_>) =
            files.into_iter().flatten().partition(|path| OutletId::of_container(path).is_some());
        // `error_file: "/dev/stdout"` means: there instead.
        let named = streams.first().and_then(|path| OutletId::of_container(path));
        if let Some(outlet) = container.and(named).or(container) {
            outlets.join(outlet);
            sinks.push(Sink { outlet, of_container: true, has: 0 });
        }
        for path in files {
            let outlet = outlets.file(path);
            if sinks.iter().any(|sink| sink.outlet == outlet) {
                outlets.leave(outlet);
            } else {
                sinks.push(Sink { outlet, of_container: false, has: 0 });
            }
        }
        Self { pipe, capacity, sinks: sinks.into(), queued: false, signals: false }
    }

    /// Gives up its places. What is still in the pipe stays there.
    pub(super) fn leave(self, outlets: &mut Outlets) -> OwnedFd {
        for sink in &self.sinks {
            outlets.leave(sink.outlet);
        }
        self.pipe
    }

    pub(super) fn pipe(&self) -> &OwnedFd {
        &self.pipe
    }

    pub(super) fn mark_torn(&self, outlets: &mut Outlets) {
        for sink in self.sinks.iter().filter(|sink| sink.of_container) {
            outlets.mark_torn(sink.outlet);
        }
    }

    /// True if it was not in the queue before; it is now.
    pub(super) fn enqueue(&mut self) -> bool {
        !std::mem::replace(&mut self.queued, true)
    }

    pub(super) fn dequeue(&mut self) {
        self.queued = false;
    }

    /// Deals with all that is in the pipe now; its end is the end of the last line.
    pub(super) fn finish(&mut self, dress: &Dress, tools: &mut Tools) {
        // Others may go on writing into the pipe: it ends after what it could hold.
        let mut passes = 2 * self.capacity.max(LONGEST_LINE) / BATCH;
        while passes > 0 && self.pass(dress, tools, Tail::Unfinished) {
            passes -= 1;
        }
        self.pass(dress, tools, Tail::Final);
    }

    /// Deals with a batch of what is in the pipe. True if there may be more of it that
    /// nobody will wake us for.
    pub(super) fn pass(&mut self, dress: &Dress, tools: &mut Tools, tail: Tail) -> bool {
        if self.sinks.is_empty() {
            tools.peek.discard(self.pipe.as_fd(), self.capacity);
            return peek::holds_more(self.pipe.as_fd());
        }
        let mut limit = if tail == Tail::Final { usize::MAX } else { BATCH };
        let mut split = false;
        loop {
            let look = tools.peek.look(self.pipe.as_fd(), self.capacity, limit);
            let (seen, taken) = match look {
                Look::Empty => {
                    self.signal_writes(false);
                    return false;
                }
                Look::Seen(seen) => (seen, false),
                Look::Taken(seen) => (seen, true),
            };
            let whole = memrchr(b'\n', tools.peek.view()).map_or(0, |last| last + 1);
            let is_held = whole == 0 && tail == Tail::Unfinished && !split && !taken;
            if is_held && self.sinks.iter().any(|sink| !sink.is_immediate(dress, &tools.outlets)) {
                if seen >= limit {
                    limit = limit.saturating_mul(2);
                    continue;
                }
                if tools.peek.is_full(self.pipe.as_fd(), self.capacity) {
                    split = tools.peek.is_smaller_than(self.capacity) || !self.grow(LONGEST_LINE);
                    continue;
                }
            }
            if seen >= self.capacity.min(BATCH) {
                self.grow(BUSY);
            }
            let (end, upto) = match tail {
                Tail::Final => (End::Complete, seen),
                Tail::Unfinished if taken || whole == 0 && split => (End::Cut, seen),
                Tail::Unfinished => (End::Newline, whole),
            };
            let consumed = self.hand_out(dress, tools, end, upto);
            if !taken {
                tools.peek.consume(self.pipe.as_fd(), consumed);
            }
            let missed = seen >= limit || tools.peek.is_smaller_than(self.capacity) || taken;
            if missed && consumed > 0 {
                return true;
            }
            // A write that found the pipe not yet empty may sleep without having woken us.
            if consumed == seen && peek::holds_more(self.pipe.as_fd()) {
                return true;
            }
            return self.signal_writes(tail == Tail::Unfinished && !taken && consumed < seen);
        }
    }

    /// True if half a line is left in the pipe, and its rest may come with a signal.
    pub(super) fn awaits_signal(&self) -> bool {
        self.signals
    }

    /// True if signals begin now: what came just before has sent none.
    fn signal_writes(&mut self, on: bool) -> bool {
        if self.signals == on || raw::signal_writes(self.pipe.as_fd(), on).is_err() {
            return false;
        }
        self.signals = on;
        on
    }

    /// Writes what is in view to every sink: to those that take lines up to `end`, to the
    /// others all. Tells how much of it all of them have now.
    fn hand_out(&mut self, dress: &Dress, tools: &mut Tools, end: End, upto: usize) -> usize {
        let Tools { peek, outlets, pen } = tools;
        let view = peek.view();
        let mut consumed = view.len();
        for sink in &mut self.sinks {
            if sink.is_immediate(dress, outlets) {
                outlets.write_on(sink.outlet, &view[sink.has.min(view.len())..]);
                sink.has = view.len();
                continue;
            }
            consumed = upto;
            if upto > sink.has {
                let lines = Lines { text: &view[sink.has..upto], end, continues: sink.has > 0 };
                if sink.is_plain(dress) {
                    pen.write_plain(&lines, sink.outlet, outlets);
                } else {
                    let prefix = if sink.of_container { &*dress.prefix } else { &[] };
                    pen.write_dressed(&lines, (prefix, dress.stamp), sink.outlet, outlets);
                }
                sink.has = upto;
            }
        }
        for sink in &mut self.sinks {
            sink.has = sink.has.saturating_sub(consumed);
        }
        consumed
    }

    fn grow(&mut self, limit: usize) -> bool {
        if self.capacity >= limit {
            return false;
        }
        match peek::set_capacity(self.pipe.as_fd(), (2 * self.capacity).min(limit)) {
            Ok(capacity) if capacity > self.capacity => {
                self.capacity = capacity;
                true
            }
            _ => false,
        }
    }
}

impl Sink {
    /// Nothing comes before its lines.
    fn is_plain(&self, dress: &Dress) -> bool {
        dress.stamp.is_none() && (dress.prefix.is_empty() || !self.of_container)
    }

    /// It gets bytes as they come, unfinished lines too, since nobody else writes there.
    fn is_immediate(&self, dress: &Dress, outlets: &Outlets) -> bool {
        self.is_plain(dress) && !outlets.is_shared(self.outlet)
    }
}
