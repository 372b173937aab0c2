//! Clients that wait for something to become true.

use std::collections::VecDeque;
use std::time::Duration;

use super::{ClientId, Machine, News};
use crate::journal;
use crate::moment::Moment;
use crate::protocol::control::{Answer, Done, ErrorKind, Refusal, Reply, Until};
use crate::supervisor::{Down, InstanceId, Phase, Supervisor, Wanted};

/// One of them.
pub(super) struct Waiter {
    pub(super) client: ClientId,
    pub(super) until: Until,
    pub(super) ids: Vec<InstanceId>,
    pub(super) deadline: Option<Moment>,
}

impl Waiter {
    pub(super) fn new(
        client: ClientId,
        until: Until,
        ids: Vec<InstanceId>,
        now: Moment,
        timeout_ms: Option<u64>,
    ) -> Self {
        let deadline = timeout_ms.map(|ms| now.plus(Duration::from_millis(ms)));
        Self { client, until, ids, deadline }
    }

    /// The answer, if it is time for one.
    fn reply(&self, supervisor: &Supervisor, now: Moment) -> Option<Reply> {
        let mut pending = None;
        for id in &self.ids {
            match (self.until, supervisor.instance(*id)) {
                (Until::Stopped, None) => {}
                (Until::Ready, None) => {
                    return Some(refuse(ErrorKind::Failed, format!("{} is gone", id.0)));
                }
                (Until::Stopped, Some(instance)) => match instance.phase {
                    Phase::Down(_) if instance.wanted != Wanted::Up => {}
                    Phase::Down(Down::Stopped | Down::Completed | Down::Errored { .. }) => {}
                    _ => pending = Some(*id),
                },
                (Until::Ready, Some(instance)) => match instance.phase {
                    Phase::Online { .. } | Phase::Down(Down::Completed) => {}
                    Phase::Down(Down::Errored { .. } | Down::Stopped) => {
                        let message = journal::why_down(supervisor, instance);
                        return Some(refuse(ErrorKind::Failed, message));
                    }
                    Phase::Down(Down::Idle) if instance.wanted != Wanted::Up => {
                        let message = journal::why_down(supervisor, instance);
                        return Some(refuse(ErrorKind::Failed, message));
                    }
                    _ => pending = Some(*id),
                },
            }
        }
        let Some(pending) = pending else {
            let ids = self.ids.iter().map(|id| id.0).collect();
            return Some(Reply::Ok(Answer::Done(Done { ids })));
        };
        self.deadline.filter(|deadline| *deadline <= now).map(|_| {
            let name = supervisor.instance(pending).map(|one| journal::name(supervisor, one));
            let what = if self.until == Until::Ready { "ready" } else { "stopped" };
            let message = format!("{} is not {what} yet", name.unwrap_or_default());
            refuse(ErrorKind::TimedOut, message)
        })
    }
}

fn refuse(kind: ErrorKind, message: String) -> Reply {
    Reply::Refused { error: Refusal { kind, message } }
}

/// All of them; at most one for each client, so no more than there are clients.
#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

impl Waiters {
    pub(super) fn add(&mut self, waiter: Waiter) {
        self.0.push(waiter);
    }

    pub(super) fn forget(&mut self, client: ClientId) {
        self.0.retain(|waiter| waiter.client != client);
    }

    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.0.iter().filter_map(|waiter| waiter.deadline).min()
    }

    /// Answers those for whom it is time.
    pub(super) fn review(
        &mut self,
        supervisor: &Supervisor,
        machine: &mut impl Machine,
        news: &mut VecDeque<News>,
    ) {
        let now = machine.now();
        self.0.retain(|waiter| match waiter.reply(supervisor, now) {
            None => true,
            Some(reply) => {
                let next = machine.reply(waiter.client, reply);
                news.extend(next.map(|op| News::Asked(waiter.client, op)));
                false
            }
        });
    }

    /// The end: nothing that anyone waits for will come any more, but a stop.
    pub(super) fn dismiss(&mut self, machine: &mut impl Machine) {
        for waiter in self.0.drain(..) {
            let reply = match waiter.until {
                Until::Stopped => Reply::Ok(Answer::Done(Done::default())),
                Until::Ready => refuse(ErrorKind::Failed, "the supervisor has stopped".to_owned()),
            };
            machine.reply(waiter.client, reply);
        }
    }
}
