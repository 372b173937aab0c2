//! A make-believe machine: it performs actions at once, owns the clock, and checks after
//! every event what must always hold.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::time::Duration;

use rsm_init::moment::Moment;
use rsm_init::spec::*;
use rsm_init::supervisor::*;

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn app(name: &str) -> AppSpec {
    AppSpec {
        name: name.into(),
        namespace: "default".into(),
        command: Command {
            candidates: Box::new(["/bin/app".into()]),
            argv: Box::new(["app".into()]),
            cwd: None,
            env: Box::new([]),
            filter_env: FilterEnv::Keep,
            instance_var: "NODE_APP_INSTANCE".into(),
            increment_var: None,
            identity: None,
            script: "app".into(),
            interpreter: "none".into(),
            found: Found::Absolute,
        },
        instances: 1,
        exec_mode: ExecMode::Fork,
        autostart: true,
        critical: false,
        depends_on: Box::new([]),
        restart: RestartPolicy {
            autorestart: true,
            stop_exit_codes: Box::new([]),
            min_uptime: secs(1),
            max_restarts: Some(3),
            delay: RestartDelay::Constant(secs(2)),
        },
        stop: StopPolicy { signal: libc::SIGTERM, kill_timeout: secs(5), whole_tree: true },
        readiness: Readiness::Spawned,
        logs: LogSpec::default(),
        pid_file: None,
    }
}

pub fn needs(mut app: AppSpec, other: &str, condition: Condition) -> AppSpec {
    app.depends_on = Box::new([Dependency { app: other.into(), condition }]);
    app
}

pub fn one_shot(name: &str) -> AppSpec {
    let mut app = app(name);
    app.restart.autorestart = false;
    app
}

/// How processes take a stop signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Manners {
    /// Exit when told to.
    Polite,
    /// Must be killed.
    Stubborn,
    /// Exit, but leave a child behind that must be killed.
    Untidy,
}

#[derive(Clone)]
pub struct World {
    pub supervisor: Supervisor,
    pub now: Moment,
    /// Every main process alive.
    pub alive: BTreeMap<InstanceId, Run>,
    /// Runs of which only leftovers are alive.
    pub left: BTreeMap<InstanceId, Run>,
    pub manners: Manners,
    /// What the next spawns say; `None`: they work.
    pub next_failure: Option<SpawnFailure>,
    pub spawned: Vec<InstanceId>,
    pub stops: Vec<InstanceId>,
    pub told: Vec<What>,
}

impl World {
    pub fn new(apps: Vec<AppSpec>, manners: Manners) -> Self {
        Self::with_init(apps, InitSpec::default(), manners)
    }

    pub fn with_init(apps: Vec<AppSpec>, init: InitSpec, manners: Manners) -> Self {
        let mut world = Self {
            supervisor: Supervisor::new(Spec { apps, init }),
            now: Moment::START,
            alive: BTreeMap::new(),
            left: BTreeMap::new(),
            manners,
            next_failure: None,
            spawned: vec![],
            stops: vec![],
            told: vec![],
        };
        world.settle(vec![]);
        world
    }

    pub fn tell(&mut self, event: Event) {
        let mut actions = vec![];
        self.supervisor.handle(self.now, event, &mut actions);
        self.settle(actions);
    }

    /// Lets the supervisor say what is to be done and does it, until nothing is left to do.
    fn settle(&mut self, mut actions: Vec<Action>) {
        for round in 0.. {
            assert!(round < 100, "it never comes to rest");
            self.supervisor.settle(self.now, &mut actions);
            if actions.is_empty() {
                break;
            }
            let mut news = vec![];
            for action in actions.drain(..) {
                news.extend(self.perform(action));
            }
            for event in news {
                self.supervisor.handle(self.now, event, &mut actions);
            }
        }
        self.check();
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Spawn(launch) => {
                let id = launch.run.instance;
                let alone = !self.alive.contains_key(&id) && !self.left.contains_key(&id);
                assert!(alone, "two lives of {id:?} at once");
                self.spawned.push(id);
                if let Some(failure) = self.next_failure {
                    return Some(Event::SpawnFailed(launch.run, failure));
                }
                self.alive.insert(id, launch.run);
                Some(Event::Executed(launch.run))
            }
            Action::Stop { run, signal, .. } => {
                assert_eq!(self.alive.get(&run.instance), Some(&run), "signal to the dead");
                self.stops.push(run.instance);
                match self.manners {
                    Manners::Stubborn => None,
                    Manners::Polite => self.die(run, signal, false),
                    Manners::Untidy => self.die(run, signal, true),
                }
            }
            Action::Kill(run) => {
                if self.left.remove(&run.instance).is_some() {
                    return Some(Event::Cleared(run));
                }
                assert_eq!(self.alive.get(&run.instance), Some(&run), "signal to the dead");
                self.die(run, libc::SIGKILL, false)
            }
            Action::Tell(notice) => {
                self.told.push(notice.what);
                None
            }
            Action::Signal(..) | Action::Forget(_) | Action::Stopping => None,
        }
    }

    fn die(&mut self, run: Run, signal: i32, leftovers: bool) -> Option<Event> {
        self.alive.remove(&run.instance);
        if leftovers {
            self.left.insert(run.instance, run);
        }
        let exit = Exit::Signal { signal, core: false, oom: false };
        Some(Event::Exited { run, exit, leftovers })
    }

    /// What must hold after every event, whatever came before.
    fn check(&self) {
        for instance in self.supervisor.instances() {
            let main = instance.phase.main().map(|(run, _)| run);
            assert_eq!(self.alive.get(&instance.id).copied(), main, "a belief is not a fact");
            if !matches!(instance.phase, Phase::Clearing { .. }) {
                assert!(!self.left.contains_key(&instance.id), "leftovers were forgotten");
            }
        }
        let known = |id: &InstanceId| self.supervisor.instance(*id).is_some();
        assert!(self.alive.keys().all(known), "a process of nobody");
        if let Some(deadline) = self.supervisor.next_deadline() {
            assert!(deadline > self.now, "asks to be woken in the past: the loop would spin");
        }
    }

    /// Lets time run to the next thing that is due; false if nothing is.
    pub fn jump(&mut self) -> bool {
        let Some(deadline) = self.supervisor.next_deadline() else { return false };
        self.now = deadline;
        self.settle(vec![]);
        true
    }

    pub fn wait(&mut self, time: Duration) {
        let end = self.now.plus(time);
        while self.supervisor.next_deadline().is_some_and(|next| next <= end) {
            self.jump();
        }
        self.now = end;
        self.settle(vec![]);
    }

    pub fn exit(&mut self, id: u32, exit: Exit, leftovers: bool) {
        let run = self.alive.remove(&InstanceId(id)).expect("a process to exit");
        if leftovers {
            self.left.insert(run.instance, run);
        }
        self.tell(Event::Exited { run, exit, leftovers });
    }

    pub fn code(&mut self, id: u32, code: i32) {
        self.exit(id, Exit::Code(code), false);
    }

    pub fn order(&mut self, id: u32, order: Order) {
        self.tell(Event::Order(InstanceId(id), order));
    }

    pub fn scale(&mut self, app: u32, to: u32) {
        let mut actions = vec![];
        self.supervisor.scale(self.now, AppId(app), to, &mut actions);
        self.settle(actions);
    }

    pub fn phase(&self, id: u32) -> Phase {
        self.supervisor.instance(InstanceId(id)).expect("an instance").phase
    }

    pub fn is_up(&self, id: u32) -> bool {
        matches!(self.phase(id), Phase::Online { .. })
    }

    pub fn starts(&self, id: u32) -> usize {
        self.spawned.iter().filter(|spawned| **spawned == InstanceId(id)).count()
    }
}
