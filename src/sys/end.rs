//! The end of a container: nobody is left behind without having been asked, nothing that
//! was written is lost, and the exit follows the last process at once.

use std::collections::VecDeque;
use std::time::Duration;

use super::linux::Linux;
use super::processes::send;
use super::table;
use super::wait::has_children;
use crate::init::{Machine, News};
use crate::moment::Moment;
use crate::supervisor::Event;

/// How long what is left may take after SIGTERM.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// How long the dead may take to be gone after SIGKILL; what hangs in the kernel ends with us.
const AFTER_KILL: Duration = Duration::from_millis(500);
/// How long the log writer may take to write what is left.
const LAST_WORDS: Duration = Duration::from_millis(1500);

impl Linux {
    /// After the last app: strays are asked to end, then killed; what they and the apps
    /// wrote is written.
    pub fn end(&mut self) {
        self.control.close();
        self.stopping = true;
        let mut hurried = false;
        self.end_strays(&mut hurried);
        let limit = self.now().plus(LAST_WORDS);
        while !self.output.finish(self.now(), &self.house, &self.poller) {
            if hurried || self.now() >= limit {
                log::warn!("not all output could be written in time");
                break;
            }
            self.wait_for_end(limit, &mut hurried);
        }
    }

    fn end_strays(&mut self, hurried: &mut bool) {
        let mut strays = self.strays();
        if strays.is_empty() {
            return;
        }
        log::info!("{} stray processes are left; asking them to end", strays.len());
        for pid in &strays {
            let _ = send(*pid, libc::SIGTERM);
            let _ = send(*pid, libc::SIGCONT);
        }
        let start = self.now();
        let limit = start.plus(GRACE);
        // Most of them are our children by now and their end wakes us. Those that were
        // put into the container from outside are not: they are looked for again, at
        // growing distances.
        let mut pause = Duration::from_millis(10);
        while !strays.is_empty() && self.now() < limit && !*hurried {
            self.wait_for_end(limit.min(self.now().plus(pause)), hurried);
            pause = pause.saturating_mul(2);
            strays = self.strays();
        }
        let limit = self.now().plus(AFTER_KILL);
        let mut pause = Duration::from_millis(5);
        while !strays.is_empty() && self.now() < limit {
            for pid in &strays {
                let _ = send(*pid, libc::SIGKILL);
            }
            self.wait_for_end(limit.min(self.now().plus(pause)), hurried);
            pause = pause.saturating_mul(2);
            strays = self.strays();
        }
    }

    /// Everyone who is ours to end: as PID 1 all of its namespace, else our descendants;
    /// the log writer excepted.
    fn strays(&self) -> Vec<i32> {
        let has_company = has_children() || self.house.is_init && send(-1, 0).is_ok();
        if !has_company {
            return vec![];
        }
        let Some(everyone) = table::everyone() else { return vec![] };
        let me = std::process::id().cast_signed();
        let writer = self.output.pid();
        let all = if self.house.is_init {
            everyone.into_iter().filter(|entry| !entry.is_zombie && entry.pid != me).collect()
        } else {
            table::descendants(&everyone, me)
        };
        all.iter().map(|entry| entry.pid).filter(|pid| Some(*pid) != writer).collect()
    }

    fn wait_for_end(&mut self, limit: Moment, hurried: &mut bool) {
        let mut news = VecDeque::new();
        self.turn(Some(limit), &mut news);
        *hurried |= news.iter().any(|one| matches!(one, News::Event(Event::Shutdown)));
    }
}
