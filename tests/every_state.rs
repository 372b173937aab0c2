//! Visits every state that two apps can reach and checks the promises in each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod world;

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

use rsm_init::spec::Condition;
use rsm_init::supervisor::{
    Down, Event, Exit, InstanceId, Order, Phase, Run, SpawnFailure, Stage, Then, Wanted,
};
use world::*;

/// A state without its absolute times and run numbers, so that equal states reached by
/// different ways count once.
fn shape(world: &World) -> impl Hash + Eq + use<> {
    let one = |instance: &rsm_init::supervisor::Instance| {
        let then = |then: Then| match then {
            Then::Down(Down::Idle) => (0, None),
            Then::Down(Down::Stopped) => (1, None),
            Then::Down(Down::Completed) => (2, None),
            Then::Down(Down::Errored { .. }) => (3, None),
            Then::Backoff { until } => (4, Some(until.since(world.now))),
        };
        let kind = match instance.phase {
            Phase::Down(down) => (0, then(Then::Down(down))),
            Phase::Waiting => (1, (0, None)),
            Phase::Launching { .. } => (2, (0, None)),
            Phase::Online { since, .. } => {
                (3, (u32::from(world.now.since(since) >= secs(1)), None))
            }
            Phase::Stopping { killed, why, .. } => (
                4 + i32::from(killed),
                (u32::from(why == rsm_init::supervisor::Why::Ordered), None),
            ),
            Phase::Clearing { sweeps, then: next, .. } => (10 + i32::from(sweeps), then(next)),
            Phase::Backoff { .. } => (30, (0, None)),
        };
        let due = instance.phase.deadline().map(|at| at.since(world.now));
        (instance.id, kind, due, instance.wanted, instance.unstable, instance.proven)
    };
    let all: Vec<_> = world.supervisor.instances().iter().map(one).collect();
    (all, world.supervisor.is_finished(), world.supervisor.is_stopping())
}

fn moves(world: &World) -> Vec<World> {
    let mut next = vec![];
    let mut go = |change: &dyn Fn(&mut World)| {
        let mut copy = world.clone();
        copy.spawned.clear();
        copy.stops.clear();
        copy.told.clear();
        change(&mut copy);
        next.push(copy);
    };
    go(&|w| {
        w.jump();
    });
    go(&|w| w.wait(secs(1)));
    let old = Run { instance: InstanceId(0), life: 0 };
    go(&|w| w.tell(Event::Exited { run: old, exit: Exit::Code(1), leftovers: false }));
    for instance in world.supervisor.instances() {
        let id = instance.id.0;
        for order in [Order::Start, Order::Stop, Order::Restart, Order::Delete] {
            go(&|w| w.order(id, order));
        }
        go(&|w| {
            w.next_failure = Some(SpawnFailure { stage: Stage::Execve, errno: libc::ENOENT });
            w.order(id, Order::Start);
            w.jump();
            w.next_failure = None;
        });
        if world.alive.contains_key(&instance.id) {
            go(&|w| w.code(id, 0));
            go(&|w| w.code(id, 1));
            go(&|w| w.exit(id, Exit::Code(1), true));
        }
        if let Some(run) = world.left.get(&instance.id).copied() {
            go(&|w| {
                w.left.remove(&run.instance);
                w.tell(Event::Cleared(run));
            });
        }
    }
    next
}

/// From anywhere, a shutdown comes to its end within the grace of two apps one after the
/// other, starts nothing on the way, and gives one of the promised statuses.
fn shutdown_ends(world: &World) {
    let mut world = world.clone();
    let start = world.now;
    world.spawned.clear();
    world.tell(Event::Shutdown);
    let mut steps = 0;
    while !world.supervisor.is_finished() {
        assert!(world.jump(), "shutdown is stuck: nothing is due and nothing will come");
        steps += 1;
        assert!(steps < 50, "shutdown does not end");
    }
    assert!(world.now.since(start) <= secs(10), "shutdown takes too long");
    assert!(world.alive.is_empty() && world.left.is_empty());
    assert!(world.spawned.is_empty(), "started something while shutting down");
    assert!([0, 1, 143, 127].contains(&world.supervisor.verdict().status));
}

/// Whoever waits must be waiting *for* something.
fn nobody_waits_for_nothing(world: &World) {
    let supervisor = &world.supervisor;
    for instance in supervisor.instances().iter().filter(|one| one.wanted == Wanted::Up) {
        if supervisor.is_stopping() {
            continue;
        }
        assert_ne!(instance.phase, Phase::Down(Down::Idle), "could run but does not");
        if instance.phase == Phase::Waiting && !instance.spec.depends_on.is_empty() {
            let gone = supervisor.named("db").is_empty();
            assert!(gone || !supervisor.waits_for(instance).is_empty(), "waits for nothing");
        }
    }
}

fn visit_all(manners: Manners) -> usize {
    let mut db = one_shot("db");
    db.restart.max_restarts = Some(2);
    let mut web = needs(app("web"), "db", Condition::Started);
    web.restart.max_restarts = Some(2);
    let start = World::new(vec![db, web], manners);
    let mut seen = HashSet::from([shape(&start)]);
    let mut queue = VecDeque::from([start]);
    while let Some(world) = queue.pop_front() {
        nobody_waits_for_nothing(&world);
        shutdown_ends(&world);
        for next in moves(&world) {
            if seen.insert(shape(&next)) {
                queue.push_back(next);
            }
        }
        assert!(seen.len() < 200_000, "the state space is not closed");
    }
    seen.len()
}

#[test]
fn polite_processes() {
    assert!(visit_all(Manners::Polite) > 100);
}

#[test]
fn stubborn_processes() {
    assert!(visit_all(Manners::Stubborn) > 100);
}

#[test]
fn untidy_processes() {
    assert!(visit_all(Manners::Untidy) > 100);
}
