//! The loop: waits for news, lets the supervisor decide, has the machine act, answers
//! who asks. It joins and decides nothing.
#![forbid(unsafe_code)]

mod answers;
mod waiters;

use std::collections::VecDeque;
use std::time::Duration;

use crate::journal;
use crate::moment::Moment;
use crate::protocol::control::{Op, Reply};
use crate::supervisor::{Action, Event, Launch, Order, Run, Supervisor, Verdict};
use waiters::Waiters;

/// A client of the control socket, for as long as it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u32);

/// What comes from outside.
#[derive(Clone, Debug)]
pub enum News {
    /// Something happened to a process, or to us.
    Event(Event),
    /// We were asked to bring everything up anew.
    Reload,
    /// A client asks.
    Asked(ClientId, Op),
    /// A client is gone; nobody waits for its answer.
    Left(ClientId),
}

/// All that the loop asks of the world. The real one is [`crate::sys::Linux`]; tests
/// bring their own, with whims.
pub trait Machine {
    /// The time on the supervisor's clock.
    fn now(&self) -> Moment;

    /// Sleeps until something happens, or until `deadline`, and tells the news.
    fn wait(&mut self, deadline: Option<Moment>, news: &mut VecDeque<News>);

    /// Does one thing. Whatever is known at once comes back as an event.
    fn perform(&mut self, action: Action) -> Option<Event>;

    /// Answers a client; gives its next request if it has made one meanwhile.
    fn reply(&mut self, to: ClientId, reply: Reply) -> Option<Op>;

    /// The process id of a run's main process, for people.
    fn pid(&self, run: Run) -> Option<u32>;

    /// How many orphans were reaped that nobody here had started.
    fn orphans_reaped(&self) -> u64;

    /// The time of day since 1970, for people.
    fn wall_clock(&self) -> Duration;

    /// The environment that a launch would get.
    fn environment(&self, launch: &Launch) -> Vec<(String, String)>;
}

/// Supervises until there is nothing left to supervise, and says how it ended.
pub fn run(supervisor: &mut Supervisor, machine: &mut impl Machine) -> Verdict {
    let mut news = VecDeque::new();
    let mut actions = Vec::new();
    let mut waiters = Waiters::default();
    loop {
        settle(supervisor, machine, &mut actions);
        waiters.review(supervisor, machine, &mut news);
        if supervisor.is_finished() {
            waiters.dismiss(machine);
            return supervisor.verdict();
        }
        if news.is_empty() {
            let deadlines = [supervisor.next_deadline(), waiters.next_deadline()];
            machine.wait(deadlines.into_iter().flatten().min(), &mut news);
        }
        while let Some(one) = news.pop_front() {
            match one {
                News::Event(event) => supervisor.handle(machine.now(), event, &mut actions),
                News::Reload => {
                    let up = supervisor.instances().iter();
                    let up = up.filter(|instance| instance.phase.main().is_some());
                    let orders = up.map(|instance| Event::Order(instance.id, Order::Restart));
                    news.extend(orders.map(News::Event).collect::<Vec<_>>());
                }
                News::Left(client) => waiters.forget(client),
                News::Asked(client, op) => {
                    // What happened before the question belongs into the answer.
                    settle(supervisor, machine, &mut actions);
                    let mut desk = answers::Desk { supervisor, machine, actions: &mut actions };
                    match desk.answer(client, op) {
                        answers::Outcome::Now(reply) => {
                            let next = machine.reply(client, reply);
                            news.extend(next.map(|op| News::Asked(client, op)));
                        }
                        answers::Outcome::Later(waiter) => waiters.add(waiter),
                        answers::Outcome::Shutdown(reply) => {
                            machine.reply(client, reply);
                            news.push_back(News::Event(Event::Shutdown));
                        }
                    }
                }
            }
        }
    }
}

/// Lets the supervisor say what is to be done and does it, until nothing is left to do.
/// What a system call says at once is heard at once.
fn settle(supervisor: &mut Supervisor, machine: &mut impl Machine, actions: &mut Vec<Action>) {
    loop {
        supervisor.settle(machine.now(), actions);
        if actions.is_empty() {
            return;
        }
        // What comes back is heard after all actions of this round were performed.
        let (mut back, mut told) = (vec![], vec![]);
        for action in actions.drain(..) {
            match action {
                Action::Tell(notice) => told.push(notice),
                action => back.extend(machine.perform(action)),
            }
        }
        // First act, then talk: a restart does not wait for its own story.
        told.iter().for_each(journal::tell);
        for event in back {
            supervisor.handle(machine.now(), event, actions);
        }
    }
}
