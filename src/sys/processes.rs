//! Our children: signalling them and burying them.
//!
//! A pid stays in here exactly as long as the kernel cannot give it to someone else: from
//! spawn until we wait for it. A group is signalled before its leader is buried; after
//! that only while it is known to have kept members.
#![allow(unsafe_code, reason = "kill(2) with every signal there is")]

use std::collections::BTreeMap;

use nix::errno::Errno;

use super::poller::Poller;
use super::spawn::{InFlight, Outcome};
use super::table::{self, Entry};
use super::wait::{Dead, bury, next_dead};
use crate::supervisor::{Event, InstanceId, Run, SpawnFailure, Stage};

/// The main process of a run, and what is left after it.
struct Process {
    run: Run,
    /// Its pid, which is also its group and session.
    pid: i32,
    /// Its main process is not buried yet.
    alive: bool,
    /// It has not yet been seen to execute its program.
    in_flight: Option<Box<InFlight>>,
    /// It never will; its end is on the way.
    failure: Option<SpawnFailure>,
    /// Its tree goes with it.
    whole_tree: bool,
    /// Descendants that had left its group when it was told to stop.
    strays: Vec<Entry>,
    /// Its group has been told to end.
    told: bool,
    /// We were told that we may not signal it.
    refused: bool,
}

/// All main processes.
#[derive(Default)]
pub(super) struct Processes {
    by_instance: BTreeMap<InstanceId, Process>,
    by_pid: BTreeMap<i32, InstanceId>,
    /// Runs whose tree is not gone yet although its main process is.
    leftovers: Vec<InstanceId>,
    /// Main processes on their way to their program.
    in_flight: usize,
    /// Children reaped that we did not start.
    pub(super) orphans: u64,
}

impl Processes {
    pub(super) fn add(&mut self, run: Run, pid: i32, in_flight: InFlight, whole_tree: bool) {
        self.in_flight += 1;
        self.by_pid.insert(pid, run.instance);
        // What would not die of the run before is not waited for any more.
        self.leftovers.retain(|id| *id != run.instance);
        let process = Process {
            run,
            pid,
            alive: true,
            in_flight: Some(Box::new(in_flight)),
            failure: None,
            whole_tree,
            strays: vec![],
            told: false,
            refused: false,
        };
        self.by_instance.insert(run.instance, process);
    }

    /// The main process of a run, if it is alive.
    pub(super) fn pid(&self, run: Run) -> Option<i32> {
        self.of(run).filter(|process| process.alive).map(|process| process.pid)
    }

    fn of(&self, run: Run) -> Option<&Process> {
        self.by_instance.get(&run.instance).filter(|process| process.run == run)
    }

    /// The status pipe of an instance's child has something to say.
    pub(super) fn launched(&mut self, id: InstanceId, poller: &Poller) -> Option<Event> {
        let process = self.by_instance.get_mut(&id)?;
        let in_flight = process.in_flight.take()?;
        self.in_flight -= 1;
        match in_flight.outcome(poller) {
            Outcome::Gone => Some(Event::Executed(process.run)),
            // Told when it is buried: until then the slot is not empty.
            Outcome::Failed(failure) => {
                process.failure = Some(failure);
                None
            }
        }
    }

    /// Runs on their way to their program.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Sends a signal to the main process of a run.
    pub(super) fn signal(&mut self, run: Run, signal: i32) {
        let Some(process) = self.by_instance.get_mut(&run.instance) else { return };
        if process.run == run && process.alive {
            let result = send(process.pid, signal);
            process.note(result, signal);
        }
    }

    /// Tells a run to end: all of it or its main process. With `find_strays`, also those
    /// of its descendants that have left its group.
    pub(super) fn stop(&mut self, run: Run, signal: i32, find_strays: bool) {
        let Some(process) = self.by_instance.get_mut(&run.instance) else { return };
        if process.run != run || !process.alive {
            return;
        }
        if !process.whole_tree {
            return self.signal(run, signal);
        }
        if find_strays && let Some(everyone) = table::everyone() {
            let pid = process.pid;
            process.strays = table::descendants(&everyone, pid);
            process.strays.retain(|entry| entry.group != pid);
        }
        let result = process.signal_group(signal);
        process.told = true;
        process.note(result, signal);
        // A stopped process does not get to see its signal.
        if signal != libc::SIGKILL {
            let _ = process.signal_group(libc::SIGCONT);
        }
        for stray in &process.strays {
            let _ = send(stray.pid, signal);
            let _ = send(stray.pid, libc::SIGCONT);
        }
    }

    /// Kills all that is left of a run; tells if there was nothing left of its tree.
    pub(super) fn kill(&mut self, run: Run) -> Option<Event> {
        let process = self.by_instance.get_mut(&run.instance)?;
        if process.run != run {
            return None;
        }
        let result = process.signal_group(libc::SIGKILL);
        for stray in process.living_strays() {
            let _ = send(stray.pid, libc::SIGKILL);
        }
        process.note(result, libc::SIGKILL);
        if process.alive { None } else { self.cleared(run.instance) }
    }

    /// Buries all the dead, ours and the orphans, and tells of ours. Others than our main
    /// processes go to `other` first, which says whether it knew them.
    pub(super) fn reap(
        &mut self,
        poller: &Poller,
        mut other: impl FnMut(i32) -> bool,
        mut tell: impl FnMut(Event),
    ) {
        while let Some(dead) = next_dead() {
            match self.by_pid.remove(&dead.pid) {
                Some(id) => self.bury(id, &dead, poller, &mut tell),
                None => {
                    bury(dead.pid);
                    if !other(dead.pid) {
                        self.orphans += 1;
                    }
                }
            }
        }
        for id in std::mem::take(&mut self.leftovers) {
            match self.cleared(id) {
                Some(event) => tell(event),
                None if self.by_instance.contains_key(&id) => self.leftovers.push(id),
                None => {}
            }
        }
    }

    fn bury(&mut self, id: InstanceId, dead: &Dead, poller: &Poller, tell: &mut impl FnMut(Event)) {
        let Some(process) = self.by_instance.get_mut(&id) else {
            bury(dead.pid);
            return;
        };
        if process.whole_tree && !process.told {
            // The last moment at which the group is certainly ours: what is left of it
            // is asked to go too.
            let _ = process.signal_group(libc::SIGTERM);
            let _ = process.signal_group(libc::SIGCONT);
        }
        bury(dead.pid);
        process.alive = false;
        let run = process.run;
        if let Some(in_flight) = process.in_flight.take() {
            self.in_flight -= 1;
            match in_flight.outcome(poller) {
                Outcome::Gone => tell(Event::Executed(run)),
                Outcome::Failed(failure) => process.failure = Some(failure),
            }
        }
        if let Some(failure) = process.failure {
            self.by_instance.remove(&id);
            return tell(Event::SpawnFailed(run, failure));
        }
        let leftovers = process.whole_tree && process.has_leftovers();
        if leftovers {
            if process.told {
                // Whoever was born after the group was told has not heard it.
                let _ = process.signal_group(libc::SIGTERM);
            }
            self.leftovers.push(id);
        } else {
            self.by_instance.remove(&id);
        }
        tell(Event::Exited { run, exit: dead.exit, leftovers });
    }

    /// Forgets a run whose main process is buried and of which nothing is left.
    fn cleared(&mut self, id: InstanceId) -> Option<Event> {
        let process = self.by_instance.get_mut(&id)?;
        if process.alive || process.has_leftovers() {
            return None;
        }
        let run = process.run;
        self.by_instance.remove(&id);
        Some(Event::Cleared(run))
    }
}

impl Process {
    /// To the group, while it is ours: until its leader is buried certainly, and from then
    /// on as long as nobody else goes by that number.
    fn signal_group(&mut self, signal: i32) -> Result<(), Errno> {
        if !self.alive && send(self.pid, 0) != Err(Errno::ESRCH) {
            return Err(Errno::ESRCH);
        }
        match send(-self.pid, signal) {
            // Not in its own session yet. It will find the signal waiting.
            Err(Errno::ESRCH) if self.alive => send(self.pid, signal),
            result => result,
        }
    }

    fn has_leftovers(&mut self) -> bool {
        // Signal 0 asks whether there is anyone; EPERM means yes. Nearly always there is
        // nobody, so that is asked first.
        let someone =
            send(-self.pid, 0) != Err(Errno::ESRCH) && self.signal_group(0) != Err(Errno::ESRCH);
        someone || self.living_strays().next().is_some()
    }

    fn living_strays(&self) -> impl Iterator<Item = Entry> {
        self.strays.iter().copied().filter(|stray| {
            table::one(stray.pid).is_some_and(|now| now.started == stray.started && !now.is_zombie)
        })
    }

    fn note(&mut self, result: Result<(), Errno>, signal: i32) {
        if result == Err(Errno::EPERM) && !self.refused {
            self.refused = true;
            log::warn!(
                "may not send {} to process {}: it runs as another user and rsm-init has no CAP_KILL; \
                 run both as the same user or give the container that capability",
                crate::signal::name(signal),
                self.pid
            );
        }
    }
}

/// kill(2), without a type that would leave out the real-time signals.
pub(super) fn send(pid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill has no memory arguments.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// A failed start when there never was a process.
pub(super) fn never_started(stage: Stage, errno: Errno) -> SpawnFailure {
    SpawnFailure { stage, errno: errno as i32 }
}
