//! The loop on a machine that misbehaves in every way a kernel, a clock and clients may.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use rsm_init::init::{self, ClientId, Machine, News};
use rsm_init::moment::Moment;
use rsm_init::protocol::control::{Level, Op, Reply, Until, Verb};
use rsm_init::spec::{Condition, InitSpec, Spec};
use rsm_init::supervisor::{
    Action, Event, Exit, InstanceId, Launch, Run, SpawnFailure, Stage, Supervisor,
};
use world::*;

/// Draws its whims from a list, so that a failing test can be shrunk.
struct Whimsical {
    now: Moment,
    whims: VecDeque<u8>,
    alive: BTreeMap<InstanceId, Run>,
    left: BTreeMap<InstanceId, Run>,
    /// Clients that asked and were not answered yet.
    open: Vec<ClientId>,
    clients: u32,
    /// How often it was waited on; a loop that does not end must fail, not hang.
    waits: u32,
}

impl Whimsical {
    fn whim(&mut self) -> Option<u8> {
        self.whims.pop_front()
    }

    fn question(&mut self) -> Op {
        let targets = vec![["web", "db", "all", "0", "web:1", "nobody"][self.pick(6)].to_owned()];
        match self.pick(8) {
            0 => Op::Status { targets: vec![] },
            1 => Op::Describe { targets },
            2 => {
                let until = if self.pick(2) == 0 { Until::Ready } else { Until::Stopped };
                Op::Wait { until, targets, timeout_ms: Some(500) }
            }
            3 => Op::Scale {
                app: "web".into(),
                to: ["3", "+1", "-1", "0", "x"][self.pick(5)].into(),
            },
            4 => Op::Health { level: Level::Ready, targets: vec![] },
            5 => Op::Signal { signal: "USR1".into(), targets },
            6 => Op::Env { target: "web".into() },
            _ => {
                let verbs = [Verb::Start, Verb::Stop, Verb::Restart, Verb::Delete, Verb::Reset];
                Op::Order { verb: verbs[self.pick(5)], targets }
            }
        }
    }

    fn pick(&mut self, of: usize) -> usize {
        usize::from(self.whim().unwrap_or(0)) % of
    }

    fn ask(&mut self) -> News {
        let client = ClientId(self.clients);
        self.clients += 1;
        self.open.push(client);
        News::Asked(client, self.question())
    }
}

impl Machine for Whimsical {
    fn now(&self) -> Moment {
        self.now
    }

    fn wait(&mut self, deadline: Option<Moment>, news: &mut VecDeque<News>) {
        self.waits += 1;
        assert!(self.waits < 10_000, "the loop does not end");
        let Some(whim) = self.whim() else {
            // Out of whims: behave, and ask for the end.
            self.now = deadline.unwrap_or(self.now).max(self.now);
            return news.push_back(News::Event(Event::Shutdown));
        };
        let someone = self.alive.values().next().copied();
        let leftover = self.left.values().next().copied();
        match (whim % 9, someone, leftover) {
            (0, ..) => {} // EINTR: nothing at all
            // Overslept: the machine was suspended.
            (1, ..) => self.now = deadline.unwrap_or(self.now).plus(secs(3600)),
            (2, Some(run), _) => {
                self.alive.remove(&run.instance);
                let leftovers = whim > 128;
                if leftovers {
                    self.left.insert(run.instance, run);
                }
                let exit = Exit::Code(i32::from(whim) % 3);
                news.push_back(News::Event(Event::Exited { run, exit, leftovers }));
                news.push_back(News::Event(Event::Ready(run))); // its last word comes late
            }
            (3, _, Some(run)) => {
                self.left.remove(&run.instance);
                news.push_back(News::Event(Event::Cleared(run)));
            }
            // Of a life long past, or of nobody.
            (4, ..) => {
                let run = Run { instance: InstanceId(u32::from(whim % 5)), life: 0 };
                let exit = Exit::Code(0);
                news.push_back(News::Event(Event::Exited { run, exit, leftovers: true }));
                news.push_back(News::Event(Event::Cleared(run)));
            }
            (5 | 6, ..) => news.push_back(self.ask()),
            (7, ..) => {
                if let Some(client) = self.open.pop() {
                    news.push_back(News::Left(client));
                }
                news.push_back(News::Event(Event::Forward(10)));
            }
            (8, ..) if whim > 200 => news.push_back(News::Reload),
            _ => self.now = deadline.unwrap_or(self.now).max(self.now),
        }
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(Launch { run, .. }) => {
                assert!(!self.alive.contains_key(&run.instance), "two lives at once");
                let errnos = [libc::ENOENT, libc::EAGAIN, libc::EMFILE, libc::ETXTBSY, libc::EACCES];
                if self.whim().is_some_and(|whim| whim % 3 == 0) {
                    let errno = errnos[self.pick(errnos.len())];
                    let failure = SpawnFailure { stage: Stage::Execve, errno };
                    return Some(Event::SpawnFailed(run, failure));
                }
                self.alive.insert(run.instance, run);
                // Sometimes it takes its time to execute, or never gets there.
                self.whim().is_none_or(|whim| whim % 4 != 0).then_some(Event::Executed(run))
            }
            Action::Kill(run) => {
                if self.left.remove(&run.instance).is_some() {
                    return Some(Event::Cleared(run));
                }
                self.alive.remove(&run.instance).map(|run| {
                    let exit = Exit::Signal { signal: 9, core: false, oom: false };
                    Event::Exited { run, exit, leftovers: false }
                })
            }
            Action::Stop { .. } // as good as ignored
            | Action::Signal(..)
            | Action::Forget(_)
            | Action::Stopping
            | Action::Tell(_) => None,
        }
    }

    fn reply(&mut self, to: ClientId, reply: Reply) -> Option<Op> {
        self.open.retain(|client| *client != to);
        assert!(serde_json::to_string(&reply).is_ok());
        None
    }

    fn pid(&self, run: Run) -> Option<u32> {
        self.alive.contains_key(&run.instance).then_some(run.life)
    }

    fn orphans_reaped(&self) -> u64 {
        0
    }

    fn wall_clock(&self) -> Duration {
        Duration::ZERO // the clock of a machine without a battery
    }

    fn environment(&self, _: &Launch) -> Vec<(String, String)> {
        vec![]
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]
    #[test]
    fn whatever_happens_the_loop_ends_and_leaves_nobody_behind(
        whims in prop::collection::vec(any::<u8>(), 0..300)
    ) {
        let mut web = needs(app("web"), "db", Condition::Started);
        web.instances = 2;
        let spec = Spec { apps: vec![app("db"), web, one_shot("job")], init: InitSpec::default() };
        let mut supervisor = Supervisor::new(spec);
        let mut machine = Whimsical {
            now: Moment::START,
            whims: whims.into(),
            alive: BTreeMap::new(),
            left: BTreeMap::new(),
            open: vec![],
            clients: 0,
            waits: 0,
        };
        let verdict = init::run(&mut supervisor, &mut machine);
        prop_assert!(machine.alive.is_empty() && machine.left.is_empty());
        prop_assert!(machine.open.is_empty(), "somebody was never answered");
        prop_assert!([0, 1, 2, 126, 127, 137, 143].contains(&verdict.status), "{verdict:?}");
    }
}
