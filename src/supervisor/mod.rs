//! Decides everything, does nothing.
//!
//! [`Supervisor::handle`] takes in one event; [`Supervisor::settle`] then says what to
//! do about all of them. Neither makes a system call, reads a clock or can fail, so any
//! run can be replayed from its events.
//!
//! Each instance has two things: what is **wanted** of it and the **phase** it is in.
//! Orders change only the want; facts about processes change only the phase; `settle`
//! moves phases towards wants until nothing can move.
#![forbid(unsafe_code)]

mod event;
mod instance;
mod phase;
mod policy;
mod select;
mod verdict;

use std::rc::Rc;
use std::time::Duration;

pub use event::{
    Action, Ended, Event, Exit, InstanceId, Launch, Next, Notice, Order, Past, Run, SpawnFailure,
    Stage, What,
};
pub use instance::{Instance, Wanted};
pub use phase::{Down, Phase, Then, Why};
pub use verdict::{Cause, Verdict};

use crate::moment::Moment;
use crate::spec::{AppSpec, Condition, Readiness, Spec};
use policy::End;
use verdict::Stopping;

/// How long a killed process may take to die before a shutdown goes on without it. Only
/// one that hangs in the kernel takes that long, and the kernel ends it with the container.
const UNDYING: Duration = Duration::from_secs(5);
/// Two requests to stop that are closer than this are one: timeout(1), for one, signals
/// its command and then its own group, to which the command belongs.
const SAME_REQUEST: Duration = Duration::from_millis(10);
/// How often SIGKILL is sent to what is left of a tree, in growing distances.
const SWEEPS: u8 = 8;

/// An app's place in the supervisor; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub u32);

/// One app.
#[derive(Clone, Debug)]
pub struct App {
    /// Its place.
    pub id: AppId,
    /// What the config says of it.
    pub spec: Rc<AppSpec>,
    /// How many instances it has, those on their way out included.
    pub size: u32,
    needs: Vec<(AppId, Condition)>,
    /// Apps that need this one; while they run, a shutdown lets it run.
    needed_by: Vec<AppId>,
}

/// The state of everything supervised.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// By id.
    apps: Vec<App>,
    /// By id.
    instances: Vec<Instance>,
    next_app: u32,
    next_instance: u32,
    /// Once set, nothing starts any more.
    stopping: Option<Stopping>,
    stopping_since: Moment,
    /// When everything still alive is killed, whatever its own grace period says.
    kill_by: Option<Moment>,
    shutdown_timeout: Option<Duration>,
    exit_when_idle: bool,
}

impl Supervisor {
    /// Takes over all apps of a config. [`Supervisor::settle`] starts them.
    pub fn new(spec: Spec) -> Self {
        let mut supervisor = Self {
            apps: Vec::with_capacity(spec.apps.len()),
            instances: Vec::with_capacity(spec.apps.len()),
            next_app: 0,
            next_instance: 0,
            stopping: None,
            stopping_since: Moment::START,
            kill_by: None,
            shutdown_timeout: spec.init.shutdown_timeout,
            exit_when_idle: spec.init.exit_when_idle,
        };
        for app in spec.apps {
            supervisor.add(app, Moment::START);
        }
        supervisor.connect();
        supervisor
    }

    fn add(&mut self, spec: AppSpec, now: Moment) {
        let id = AppId(self.next_app);
        self.next_app += 1;
        let (spec, size) = (Rc::new(spec), 0);
        self.apps.push(App { id, spec, size, needs: vec![], needed_by: vec![] });
        let last = self.apps.len() - 1;
        for number in 0..self.apps[last].spec.instances {
            self.add_instance(last, number, now);
        }
    }

    fn add_instance(&mut self, app: usize, number: u32, now: Moment) -> InstanceId {
        let id = InstanceId(self.next_instance);
        self.next_instance += 1;
        let app = &mut self.apps[app];
        app.size += 1;
        self.instances.push(Instance::new(id, app.id, Rc::clone(&app.spec), number, now));
        id
    }

    /// Finds every dependency by name, both ways.
    fn connect(&mut self) {
        if self.apps.iter().all(|app| app.spec.depends_on.is_empty()) {
            return;
        }
        let mut needed_by: Vec<Vec<AppId>> = vec![vec![]; self.apps.len()];
        for index in 0..self.apps.len() {
            let spec = Rc::clone(&self.apps[index].spec);
            let mut needs = Vec::with_capacity(spec.depends_on.len());
            for dependency in &*spec.depends_on {
                let other = self.apps.iter().position(|app| app.spec.name == dependency.app);
                if let Some(other) = other {
                    needs.push((self.apps[other].id, dependency.condition));
                    needed_by[other].push(self.apps[index].id);
                }
            }
            self.apps[index].needs = needs;
        }
        for (app, needed_by) in self.apps.iter_mut().zip(needed_by) {
            app.needed_by = needed_by;
        }
    }

    /// Takes in one event. What follows from it comes out of [`Supervisor::settle`];
    /// only what must not wait for that goes to `actions` at once.
    pub fn handle(&mut self, now: Moment, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Executed(run) => self.executed(run),
            Event::Ready(run) => self.ready(run),
            Event::SpawnFailed(run, failure) => {
                self.ended(now, run, Ended::Spawn(failure), false, actions);
            }
            Event::Exited { run, exit, leftovers } => {
                self.ended(now, run, Ended::Exit(exit), leftovers, actions);
            }
            Event::Cleared(run) => self.cleared(run),
            Event::Order(id, order) => self.order(now, id, order, actions),
            Event::Forward(signal) => actions.extend(
                self.instances
                    .iter()
                    .filter_map(|instance| instance.phase.main())
                    .map(|(run, _)| Action::Signal(run, signal)),
            ),
            Event::Shutdown => self.shut_down(now, actions),
        }
    }

    /// Moves every instance as far as it can go now and says what is to be done.
    /// Call after every batch of events and whenever [`Supervisor::next_deadline`] has come.
    pub fn settle(&mut self, now: Moment, actions: &mut Vec<Action>) {
        loop {
            let mut moved = false;
            for index in 0..self.instances.len() {
                while self.advance(index, now, actions) {
                    moved = true;
                }
            }
            moved |= self.forget_the_gone(actions);
            moved |= self.heed_critical_apps(now, actions);
            if !moved {
                return;
            }
        }
    }

    /// When to call [`Supervisor::settle`] if nothing else happens first.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.instances.iter().filter_map(|instance| instance.phase.deadline()).min()
    }

    /// True once there is nothing left to supervise.
    pub fn is_finished(&self) -> bool {
        if self.stopping.is_some() {
            return self.instances.iter().all(|instance| instance.phase.run().is_none());
        }
        // Whoever waits here waits in vain: nothing else moves any more.
        self.exit_when_idle
            && self.instances.iter().all(|instance| match instance.phase {
                Phase::Down(Down::Idle | Down::Completed | Down::Errored { .. })
                | Phase::Waiting => true,
                Phase::Down(Down::Stopped)
                | Phase::Launching { .. }
                | Phase::Online { .. }
                | Phase::Stopping { .. }
                | Phase::Clearing { .. }
                | Phase::Backoff { .. } => false,
            })
    }

    /// True once an end was decided on.
    pub fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Every app, by id.
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// Every instance, by id.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// One instance.
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.index(id).map(|index| &self.instances[index])
    }

    /// One app.
    pub fn app(&self, id: AppId) -> Option<&App> {
        self.apps.binary_search_by_key(&id, |app| app.id).ok().map(|index| &self.apps[index])
    }

    /// Names of the apps that an instance waits for.
    pub fn waits_for(&self, instance: &Instance) -> Vec<&str> {
        let Some(app) = self.app(instance.app) else { return vec![] };
        let unmet = app.needs.iter().filter(|(need, condition)| !self.is_met(*need, *condition));
        unmet.filter_map(|(need, _)| self.app(*need)).map(|app| &*app.spec.name).collect()
    }

    fn index(&self, id: InstanceId) -> Option<usize> {
        self.instances.binary_search_by_key(&id, |instance| instance.id).ok()
    }

    /// The instance that lives this run now; `None`: old news.
    fn living(&self, run: Run) -> Option<usize> {
        let index = self.index(run.instance)?;
        (self.instances[index].phase.run() == Some(run)).then_some(index)
    }

    // Facts about processes.

    fn executed(&mut self, run: Run) {
        let Some(index) = self.living(run) else { return };
        self.instances[index].proven = true;
        if self.instances[index].spec.readiness == Readiness::Spawned {
            self.ready(run);
        }
    }

    fn ready(&mut self, run: Run) {
        let Some(index) = self.living(run) else { return };
        if let Phase::Launching { since, .. } = self.instances[index].phase {
            self.instances[index].phase = Phase::Online { run, since };
        }
    }

    fn ended(
        &mut self,
        now: Moment,
        run: Run,
        how: Ended,
        leftovers: bool,
        actions: &mut Vec<Action>,
    ) {
        let Some(index) = self.living(run) else { return };
        let instance = &mut self.instances[index];
        let spec = Rc::clone(&instance.spec);
        let (since, was_ready, told_to, grace) = match instance.phase {
            Phase::Launching { since, .. } => (since, false, None, None),
            Phase::Online { since, .. } => (since, true, None, None),
            // Once killed, its tree has no grace left either.
            Phase::Stopping { since, why, killed: true, .. } => {
                (since, false, Some(why), Some(now))
            }
            Phase::Stopping { since, why, kill_at, .. } => (since, false, Some(why), kill_at),
            Phase::Clearing { .. } | Phase::Down(_) | Phase::Waiting | Phase::Backoff { .. } => {
                return;
            }
        };
        let lived = now.since(since);
        let then = if told_to == Some(Why::Ordered) {
            instance.remember(Past { how, at: now, lived });
            Then::Down(if instance.wanted == Wanted::Up { Down::Idle } else { Down::Stopped })
        } else {
            let how = if told_to == Some(Why::NotReady) { Ended::NotReady } else { how };
            instance.remember(Past { how, at: now, lived });
            let end = End {
                how,
                lived,
                was_ready,
                unstable: instance.unstable,
                proven: instance.proven,
                run,
            };
            let (unstable, next) = policy::decide(&spec.restart, &end);
            instance.unstable = unstable;
            let what =
                What::Ended { how, lived, next, unstable, max_restarts: spec.restart.max_restarts };
            actions.push(Action::Tell(self.notice(index, what)));
            match next {
                Next::RestartNow => Then::Down(Down::Idle),
                Next::RestartIn(time) => Then::Backoff { until: now.plus(time) },
                Next::Completed => Then::Down(Down::Completed),
                Next::Errored => Then::Down(Down::Errored { since: now }),
            }
        };
        self.instances[index].phase = if leftovers {
            let kill_at = grace.unwrap_or_else(|| self.kill_time(now, spec.stop.kill_timeout));
            let then = if self.stopping.is_some() { Then::Down(Down::Stopped) } else { then };
            Phase::Clearing { run, kill_at, sweeps: 0, then }
        } else {
            then.into()
        };
    }

    fn cleared(&mut self, run: Run) {
        let Some(index) = self.living(run) else { return };
        if let Phase::Clearing { then, .. } = self.instances[index].phase {
            self.instances[index].phase = then.into();
        }
    }

    // Orders.

    fn order(&mut self, now: Moment, id: InstanceId, order: Order, actions: &mut Vec<Action>) {
        let Some(index) = self.index(id) else { return };
        let instance = &mut self.instances[index];
        match order {
            Order::Start | Order::Restart => {
                instance.wanted = Wanted::Up;
                match &mut instance.phase {
                    Phase::Down(_) | Phase::Waiting | Phase::Backoff { .. } => {
                        instance.phase = Phase::Down(Down::Idle);
                        instance.forgive();
                    }
                    Phase::Clearing { then, .. } => {
                        *then = Then::Down(Down::Idle);
                        instance.forgive();
                    }
                    // A stop that was not ordered goes on; it is one now.
                    Phase::Stopping { why, .. } => {
                        *why = Why::Ordered;
                        instance.forgive();
                    }
                    Phase::Launching { .. } | Phase::Online { .. } => {
                        if order == Order::Restart {
                            instance.forgive();
                            self.stop(index, Why::Ordered, now, actions);
                        }
                    }
                }
            }
            Order::Stop | Order::Delete => {
                instance.wanted = if order == Order::Delete { Wanted::Gone } else { Wanted::Down };
                match &mut instance.phase {
                    Phase::Down(_) | Phase::Waiting | Phase::Backoff { .. } => {
                        instance.phase = Phase::Down(Down::Stopped);
                    }
                    Phase::Clearing { then, .. } => *then = Then::Down(Down::Stopped),
                    Phase::Stopping { why, .. } => *why = Why::Ordered,
                    Phase::Launching { .. } | Phase::Online { .. } => {
                        self.stop(index, Why::Ordered, now, actions);
                    }
                }
            }
            Order::Reset => {
                instance.unstable = 0;
                instance.restarts = 0;
            }
        }
    }

    /// Changes how many instances an app has: more get the lowest free numbers, fewer
    /// lose the highest. Gives the ids concerned.
    pub fn scale(
        &mut self,
        now: Moment,
        app: AppId,
        to: u32,
        actions: &mut Vec<Action>,
    ) -> Vec<InstanceId> {
        let Ok(index) = self.apps.binary_search_by_key(&app, |app| app.id) else { return vec![] };
        let its = self.instances.iter().filter(|instance| instance.app == app);
        let mut staying: Vec<(u32, InstanceId)> = its
            .filter(|instance| instance.wanted != Wanted::Gone)
            .map(|instance| (instance.number, instance.id))
            .collect();
        staying.sort_unstable();
        let have = u32::try_from(staying.len()).unwrap_or(u32::MAX);
        let mut concerned = vec![];
        for (_, id) in staying.drain(..).rev().take(have.saturating_sub(to) as usize) {
            self.order(now, id, Order::Delete, actions);
            concerned.push(id);
        }
        for _ in have..to {
            // An instance on its way out holds its number until it is gone.
            let is_free = |number: &u32| {
                !self.instances.iter().any(|other| other.app == app && other.number == *number)
            };
            let Some(number) = (0..).find(is_free) else { break };
            let id = self.add_instance(index, number, now);
            self.order(now, id, Order::Start, actions);
            concerned.push(id);
        }
        concerned
    }

    fn shut_down(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.stopping.is_some() {
            if now.since(self.stopping_since) >= SAME_REQUEST {
                self.no_later_than(now);
            }
            return;
        }
        let interrupts = self.instances.iter().find(|instance| {
            let one_shot = !instance.spec.restart.autorestart;
            let unfinished = match instance.phase {
                Phase::Launching { .. }
                | Phase::Online { .. }
                | Phase::Waiting
                | Phase::Backoff { .. } => true,
                Phase::Stopping { .. } => instance.wanted == Wanted::Up,
                Phase::Clearing { then, .. } => matches!(then, Then::Backoff { .. }),
                Phase::Down(down) => down == Down::Idle && instance.wanted == Wanted::Up,
            };
            one_shot && unfinished
        });
        let interrupts = interrupts.map(|instance| instance.id);
        self.begin_stop(now, Stopping::Requested { interrupts }, actions);
    }

    fn begin_stop(&mut self, now: Moment, stopping: Stopping, actions: &mut Vec<Action>) {
        self.stopping = Some(stopping);
        self.stopping_since = now;
        actions.push(Action::Stopping);
        if let Some(limit) = self.shutdown_timeout {
            self.no_later_than(now.plus(limit));
        }
        for instance in &mut self.instances {
            if let Phase::Stopping { kill_at: kill_at @ None, .. } = &mut instance.phase {
                *kill_at = Some(now.plus(UNDYING));
            }
        }
    }

    /// Whoever asks twice means now.
    fn no_later_than(&mut self, limit: Moment) {
        self.kill_by = Some(self.kill_by.map_or(limit, |other| other.min(limit)));
        for instance in &mut self.instances {
            match &mut instance.phase {
                Phase::Stopping { kill_at, killed: false, .. } => {
                    *kill_at = Some(kill_at.map_or(limit, |other| other.min(limit)));
                }
                Phase::Clearing { kill_at, .. } => *kill_at = limit.min(*kill_at),
                Phase::Stopping { .. }
                | Phase::Down(_)
                | Phase::Waiting
                | Phase::Launching { .. }
                | Phase::Online { .. }
                | Phase::Backoff { .. } => {}
            }
        }
    }

    /// When something told to stop now is killed.
    fn kill_time(&self, now: Moment, grace: Duration) -> Moment {
        let own = now.plus(grace);
        self.kill_by.map_or(own, |limit| own.min(limit))
    }

    // From wants to phases.

    /// Moves one instance by one step; false if it must stay where it is.
    fn advance(&mut self, index: usize, now: Moment, actions: &mut Vec<Action>) -> bool {
        let instance = &self.instances[index];
        let should_run = instance.wanted == Wanted::Up && self.stopping.is_none();
        match instance.phase {
            // Nearly always, nearly everyone: up, and meant to be.
            Phase::Online { .. } if should_run => return false,
            Phase::Down(Down::Idle) | Phase::Waiting if should_run => {
                if self.needs_are_met(index) {
                    self.spawn(index, now, actions);
                } else if instance.phase == Phase::Waiting {
                    return false;
                } else {
                    self.instances[index].phase = Phase::Waiting;
                }
            }
            Phase::Backoff { until } if should_run && until > now => return false,
            Phase::Waiting | Phase::Backoff { .. } => {
                self.instances[index].phase = Phase::Down(Down::Idle);
            }
            Phase::Launching { .. } | Phase::Online { .. } if !should_run => {
                if self.is_needed(index) && self.kill_by.is_none_or(|limit| limit > now) {
                    return false;
                }
                self.stop(index, Why::Ordered, now, actions);
            }
            Phase::Launching { ready_by: Some(limit), .. } if limit <= now => {
                actions.push(Action::Tell(self.notice(index, What::NotReady)));
                self.stop(index, Why::NotReady, now, actions);
            }
            Phase::Stopping { run, since, kill_at: Some(limit), killed: false, why }
                if limit <= now =>
            {
                let hurried = self.kill_by.is_some_and(|limit| limit <= now);
                let after = (!hurried).then_some(instance.spec.stop.kill_timeout);
                actions.push(Action::Tell(self.notice(index, What::Killed { after })));
                actions.push(Action::Kill(run));
                let kill_at = self.stopping.is_some().then(|| now.plus(UNDYING));
                self.instances[index].phase =
                    Phase::Stopping { run, since, kill_at, killed: true, why };
            }
            Phase::Stopping { kill_at: Some(limit), killed: true, .. } if limit <= now => {
                self.instances[index].phase = Phase::Down(Down::Stopped);
            }
            Phase::Clearing { run, kill_at, sweeps, then } if kill_at <= now => {
                if sweeps < SWEEPS {
                    actions.push(Action::Kill(run));
                    let kill_at = now.plus(Duration::from_millis(10 << sweeps));
                    self.instances[index].phase =
                        Phase::Clearing { run, kill_at, sweeps: sweeps + 1, then };
                } else {
                    self.instances[index].phase = then.into();
                }
            }
            Phase::Down(_)
            | Phase::Launching { .. }
            | Phase::Online { .. }
            | Phase::Stopping { .. }
            | Phase::Clearing { .. } => return false,
        }
        true
    }

    fn spawn(&mut self, index: usize, now: Moment, actions: &mut Vec<Action>) {
        let of = self.app(self.instances[index].app).map_or(1, |app| app.size);
        let instance = &mut self.instances[index];
        let ready_by = match instance.spec.readiness {
            Readiness::Spawned => None,
            Readiness::Notified { within } => Some(now.plus(within)),
        };
        let run = instance.next_run();
        instance.phase = Phase::Launching { run, since: now, ready_by };
        let (app, number) = (Rc::clone(&instance.spec), instance.number);
        actions.push(Action::Spawn(Launch { run, app, number, of }));
    }

    fn stop(&mut self, index: usize, why: Why, now: Moment, actions: &mut Vec<Action>) {
        let policy = self.instances[index].spec.stop;
        let Some((run, since)) = self.instances[index].phase.main() else { return };
        actions.push(Action::Stop { run, signal: policy.signal, whole_tree: policy.whole_tree });
        let kill_at = Some(self.kill_time(now, policy.kill_timeout));
        self.instances[index].phase = Phase::Stopping { run, since, kill_at, killed: false, why };
    }

    fn needs_are_met(&self, index: usize) -> bool {
        let Some(app) = self.app(self.instances[index].app) else { return false };
        app.needs.len() == app.spec.depends_on.len()
            && app.needs.iter().all(|(need, condition)| self.is_met(*need, *condition))
    }

    fn is_met(&self, need: AppId, condition: Condition) -> bool {
        let mut its = self.instances.iter().filter(|instance| instance.app == need).peekable();
        its.peek().is_some()
            && its.all(|instance| match (condition, instance.phase) {
                (_, Phase::Down(Down::Completed))
                | (Condition::Started | Condition::Ready, Phase::Online { .. })
                | (Condition::Started, Phase::Launching { .. }) => true,
                (
                    Condition::Started | Condition::Ready | Condition::Completed,
                    Phase::Down(_)
                    | Phase::Waiting
                    | Phase::Launching { .. }
                    | Phase::Online { .. }
                    | Phase::Stopping { .. }
                    | Phase::Clearing { .. }
                    | Phase::Backoff { .. },
                ) => false,
            })
    }

    /// Is the container stopping while a process is alive that leans on this one? An
    /// order to stop one instance asks nobody.
    fn is_needed(&self, index: usize) -> bool {
        let instance = &self.instances[index];
        if self.stopping.is_none() || instance.wanted != Wanted::Up {
            return false;
        }
        let Some(app) = self.app(instance.app) else { return false };
        !app.needed_by.is_empty()
            && self
                .instances
                .iter()
                .any(|other| other.phase.run().is_some() && app.needed_by.contains(&other.app))
    }

    fn forget_the_gone(&mut self, actions: &mut Vec<Action>) -> bool {
        let is_gone = |instance: &Instance| {
            instance.wanted == Wanted::Gone && matches!(instance.phase, Phase::Down(_))
        };
        if !self.instances.iter().any(is_gone) {
            return false;
        }
        for instance in self.instances.extract_if(.., |instance| is_gone(instance)) {
            actions.push(Action::Forget(instance.id));
            if let Some(app) = self.apps.iter_mut().find(|app| app.id == instance.app) {
                app.size -= 1;
            }
        }
        self.apps.retain(|app| app.size > 0);
        self.connect();
        true
    }

    /// An app that is critical and cannot run any more takes the container with it.
    fn heed_critical_apps(&mut self, now: Moment, actions: &mut Vec<Action>) -> bool {
        if self.stopping.is_some() {
            return false;
        }
        let is_over = |app: AppId| {
            self.instances.iter().filter(|other| other.app == app).all(|other| {
                matches!(other.phase, Phase::Down(Down::Completed | Down::Errored { .. }))
            })
        };
        let failed = self.instances.iter().filter_map(|instance| match instance.phase {
            Phase::Down(Down::Errored { since }) if instance.spec.critical => {
                Some((since, instance.id, instance.app))
            }
            _ => None,
        });
        let Some((_, culprit, _)) = failed.filter(|(_, _, app)| is_over(*app)).min() else {
            return false;
        };
        let status = self.status_of(culprit);
        self.begin_stop(now, Stopping::Critical { culprit, status }, actions);
        true
    }

    fn notice(&self, index: usize, what: What) -> Notice {
        let instance = &self.instances[index];
        let alone = self.app(instance.app).is_none_or(|app| app.size == 1);
        let number = (!alone).then_some(instance.number);
        Notice { app: Rc::clone(&instance.spec), number, what }
    }
}
