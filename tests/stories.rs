//! The supervisor's behaviour, told as stories in virtual time. Nothing here sleeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod world;

use rsm_init::spec::{Condition, InitSpec, RestartDelay};
use rsm_init::supervisor::{
    Cause, Down, Event, Exit, InstanceId, Order, Phase, SpawnFailure, Stage,
};
use world::Manners::{Polite, Stubborn, Untidy};
use world::*;

const MISSING: SpawnFailure = SpawnFailure { stage: Stage::Execve, errno: libc::ENOENT };
const FULL: SpawnFailure = SpawnFailure { stage: Stage::Fork, errno: libc::EAGAIN };

#[test]
fn a_crash_loop_ends_after_the_budget_and_decides_the_status() {
    let mut world = World::new(vec![app("web")], Polite);
    for _ in 0..2 {
        world.code(0, 7);
        assert!(matches!(world.phase(0), Phase::Backoff { .. }));
        world.wait(secs(2));
    }
    world.code(0, 7);
    assert!(matches!(world.phase(0), Phase::Down(Down::Errored { .. })));
    assert!(world.supervisor.is_finished());
    assert_eq!(world.supervisor.verdict().status, 7);
}

#[test]
fn a_stable_run_gives_the_budget_back_and_mere_time_does_not() {
    let mut world = World::new(vec![app("web")], Polite);
    world.code(0, 1);
    world.wait(secs(2));
    world.code(0, 1);
    world.wait(secs(2 + 1));
    world.code(0, 1); // has lived a second
    let instance = world.supervisor.instance(InstanceId(0)).unwrap();
    assert_eq!(instance.unstable, 0);
    world.wait(secs(2));
    world.code(0, 1);
    world.wait(secs(3600)); // long, but spent with one life only
    assert_eq!(world.starts(0), 5);
}

#[test]
fn the_first_unstable_exit_costs_no_time() {
    let mut web = app("web");
    web.restart.delay = RestartDelay::BackOff;
    let mut world = World::new(vec![web], Polite);
    world.code(0, 1);
    assert_eq!(world.starts(0), 2);
    world.code(0, 1);
    assert_eq!(world.starts(0), 2);
    world.wait(millis(111));
    assert_eq!(world.starts(0), 3);
}

#[test]
fn what_will_not_stop_is_killed_when_its_time_is_up() {
    let mut world = World::new(vec![app("web")], Stubborn);
    world.order(0, Order::Stop);
    world.wait(millis(4999));
    assert!(!world.alive.is_empty());
    world.wait(millis(1));
    assert!(world.alive.is_empty());
    assert_eq!(world.phase(0), Phase::Down(Down::Stopped));
    assert!(!world.supervisor.is_finished(), "stopped by order keeps the container");
}

#[test]
fn a_start_during_a_stop_starts_it_again_afterwards() {
    let mut world = World::new(vec![app("web")], Stubborn);
    world.order(0, Order::Stop);
    world.order(0, Order::Start);
    world.wait(secs(5));
    assert_eq!(world.starts(0), 2);
    assert!(world.is_up(0));
}

#[test]
fn nobody_starts_beside_the_leftovers_of_the_run_before() {
    let mut web = app("web");
    web.restart.delay = RestartDelay::BackOff;
    let mut world = World::new(vec![web], Polite);
    world.exit(0, Exit::Code(1), true);
    assert_eq!(world.starts(0), 1);
    let run = world.left.remove(&InstanceId(0)).unwrap();
    world.tell(Event::Cleared(run));
    assert_eq!(world.starts(0), 2);
    // And if they do not go by themselves, they are killed in the app's own time.
    world.exit(0, Exit::Code(1), true);
    world.wait(secs(5));
    assert!(world.left.is_empty());
}

#[test]
fn a_start_that_cannot_work_is_final_and_a_lack_is_tried_again() {
    let mut world = World::new(vec![app("web")], Polite);
    world.code(0, 1);
    world.next_failure = Some(MISSING); // it has worked before: tried again
    world.wait(secs(2));
    assert!(matches!(world.phase(0), Phase::Backoff { .. }));
    world.order(0, Order::Restart); // a new start by order is a first one
    assert!(matches!(world.phase(0), Phase::Down(Down::Errored { .. })));
    assert_eq!(world.supervisor.verdict().status, 127);
    world.next_failure = Some(FULL);
    world.order(0, Order::Start);
    assert!(matches!(world.phase(0), Phase::Backoff { .. }));
    world.next_failure = None;
    world.wait(secs(2));
    assert!(world.is_up(0));
}

#[test]
fn a_one_shot_is_completed_or_errored_and_never_comes_back() {
    let mut world = World::new(vec![one_shot("good"), one_shot("bad")], Polite);
    world.code(0, 0);
    world.code(1, 3);
    assert_eq!(world.phase(0), Phase::Down(Down::Completed));
    assert!(world.supervisor.is_finished());
    assert_eq!(world.supervisor.verdict().cause, Cause::NothingLeft(InstanceId(1)));
    assert_eq!(world.supervisor.verdict().status, 3);
}

#[test]
fn a_stop_that_interrupts_a_one_shot_does_not_count_as_done() {
    let mut world = World::new(vec![one_shot("job"), app("web")], Polite);
    world.tell(Event::Shutdown);
    assert!(world.supervisor.is_finished());
    assert_eq!(world.supervisor.verdict().status, 143);
    let mut world = World::new(vec![one_shot("job"), app("web")], Polite);
    world.code(0, 0);
    world.tell(Event::Shutdown);
    assert_eq!(world.supervisor.verdict().status, 0);
}

#[test]
fn a_critical_app_takes_the_others_along_with_its_status() {
    let mut db = one_shot("db");
    db.critical = true;
    let mut world = World::new(vec![db, app("web")], Polite);
    world.exit(0, Exit::Signal { signal: 9, core: false, oom: true }, false);
    assert!(world.supervisor.is_finished());
    assert_eq!(world.stops, [InstanceId(1)]);
    assert_eq!(world.supervisor.verdict().status, 137);
}

#[test]
fn who_asks_twice_means_now_but_not_within_the_same_breath() {
    let mut world = World::new(vec![app("web")], Stubborn);
    world.tell(Event::Shutdown);
    world.tell(Event::Shutdown);
    assert!(!world.supervisor.is_finished());
    world.wait(millis(10));
    world.tell(Event::Shutdown);
    assert!(world.supervisor.is_finished());
}

#[test]
fn dependencies_decide_the_order_of_start_and_stop() {
    let web = needs(app("web"), "db", Condition::Completed);
    let mut world = World::new(vec![web, one_shot("db")], Polite);
    assert_eq!(world.phase(0), Phase::Waiting);
    world.code(1, 0);
    assert!(world.is_up(0));

    let web = needs(app("web"), "db", Condition::Ready);
    let mut world = World::new(vec![app("db"), web], Stubborn);
    assert!(world.is_up(1));
    world.tell(Event::Shutdown);
    assert_eq!(world.stops, [InstanceId(1)], "web still leans on db");
    world.wait(secs(5));
    assert_eq!(world.stops, [InstanceId(1), InstanceId(0)]);
    world.wait(secs(5));
    assert!(world.supervisor.is_finished());
}

#[test]
fn whoever_waits_in_vain_does_not_keep_the_container() {
    let web = needs(app("web"), "db", Condition::Completed);
    let mut world = World::new(vec![one_shot("db"), web], Polite);
    assert_eq!(world.phase(1), Phase::Waiting);
    assert!(!world.supervisor.is_finished());
    world.code(0, 4);
    assert_eq!(world.phase(1), Phase::Waiting);
    assert_eq!(world.starts(1), 0);
    assert!(world.supervisor.is_finished());
    assert_eq!(world.supervisor.verdict().status, 4);
}

#[test]
fn when_everything_is_done_the_status_is_0() {
    let mut worker = app("worker");
    worker.restart.stop_exit_codes = Box::new([0, 42]);
    let mut world = World::new(vec![one_shot("job"), worker], Polite);
    world.code(0, 0);
    assert!(!world.supervisor.is_finished());
    world.code(1, 42);
    assert_eq!(world.phase(1), Phase::Down(Down::Completed));
    assert!(world.supervisor.is_finished());
    assert_eq!(world.supervisor.verdict().cause, Cause::AllDone);
    assert_eq!(world.supervisor.verdict().status, 0);
}

#[test]
fn scaling_takes_the_highest_numbers_and_fills_the_lowest() {
    let mut web = app("web");
    web.instances = 3;
    let mut world = World::new(vec![web], Polite);
    world.scale(0, 1);
    let numbers = |world: &World| -> Vec<(u32, u32)> {
        world.supervisor.instances().iter().map(|i| (i.id.0, i.number)).collect()
    };
    assert_eq!(numbers(&world), [(0, 0)]);
    world.scale(0, 3);
    assert_eq!(numbers(&world), [(0, 0), (3, 1), (4, 2)]);
    assert!(world.is_up(4));
}

#[test]
fn what_is_deleted_is_forgotten_and_old_news_of_it_is_nothing() {
    let mut world = World::new(vec![app("web"), app("api")], Untidy);
    let run = world.alive[&InstanceId(0)];
    world.order(0, Order::Delete);
    assert!(world.supervisor.named("web").is_empty());
    world.wait(secs(5));
    assert_eq!(world.supervisor.instances().len(), 1);
    world.tell(Event::Exited { run, exit: Exit::Code(1), leftovers: false });
    assert!(world.is_up(1));
}

#[test]
fn the_whole_stop_has_a_limit_of_its_own() {
    let init = InitSpec { shutdown_timeout: Some(secs(2)), ..InitSpec::default() };
    let web = needs(app("web"), "db", Condition::Ready);
    let mut world = World::with_init(vec![app("db"), web], init, Stubborn);
    world.tell(Event::Shutdown);
    world.wait(secs(2));
    assert!(world.supervisor.is_finished());
}

#[test]
fn an_app_that_is_not_to_start_waits_for_its_order() {
    let mut idle = app("idle");
    idle.autostart = false;
    let mut world = World::new(vec![idle, app("web")], Polite);
    assert_eq!(world.starts(0), 0);
    world.order(0, Order::Start);
    assert!(world.is_up(0));
}
