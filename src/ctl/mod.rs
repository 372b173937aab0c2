//! `rsm-init ctl VERB …`: asks a running supervisor and shows the answer.
//!
//! [`command`] reads the arguments, [`perform`] talks and makes the text, and [`main`] alone
//! writes it. What the supervisor sent is shown through [`words::Plain`]: app names and
//! messages can hold anything.
#![forbid(unsafe_code)]

mod cause;
mod command;
mod describe;
mod inspect;
mod jlist;
mod perform;
mod processes;
#[cfg(test)]
mod samples;
mod status;
mod table;
mod targets;
mod words;

use crate::client::Failure;
use crate::protocol::control::ErrorKind;
use command::Usage;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, ErrorKind as Io, Write as _};
use words::Plain;

/// What a verb has to show and how it went.
#[derive(Debug, Default)]
struct Outcome {
    /// For stdout.
    text: String,
    /// Exit status.
    status: u8,
}

impl Outcome {
    fn done(text: String) -> Self {
        Self { text, status: 0 }
    }
}

/// Why a verb could not be carried out.
#[derive(Debug)]
struct Trouble {
    /// For stderr, without the program's name.
    message: String,
    /// Exit status.
    status: u8,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let status = match &failure {
            Failure::Unreachable(_) => 4,
            Failure::Refused(refusal) => match refusal.kind {
                ErrorKind::NoSuchTarget => 4,
                ErrorKind::BadRequest => 2,
                ErrorKind::NotAllowed
                | ErrorKind::Failed
                | ErrorKind::TimedOut
                | ErrorKind::Busy => 1,
            },
            Failure::NoAnswer(_) | Failure::Garbled(_) | Failure::Lost(_) => 1,
            Failure::TooLong(_) => 2,
        };
        Self { message: failure.to_string(), status }
    }
}

impl From<Usage> for Trouble {
    fn from(usage: Usage) -> Self {
        Self { message: usage.0, status: 2 }
    }
}

/// Runs one verb; `args` come without the program's name and without `ctl`. Gives the exit
/// status: 0 done, 1 failed or unhealthy, 2 usage, 3 something that should run does not,
/// 4 no such target or no supervisor.
pub fn main(args: &[OsString]) -> u8 {
    let outcome = match command::parse(args) {
        Ok(invocation) => perform::perform(&invocation),
        Err(usage) => Err(usage.into()),
    };
    // Docker reserves 2 and takes everything but 0 and 1 for a mistake of its own.
    let clamp = |status: u8| if command::is_health(args) { status.min(1) } else { status };
    match outcome {
        Ok(outcome) => match show(&outcome.text) {
            Ok(()) => clamp(outcome.status),
            Err(error) => {
                complain(&format!("cannot write to stdout: {error}"));
                1
            }
        },
        Err(trouble) => {
            complain(&trouble.message);
            clamp(trouble.status)
        }
    }
}

/// Whoever read our output may have had enough of it: that is no failure.
fn show(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == Io::BrokenPipe => Ok(()),
        result => result,
    }
}

fn complain(message: &str) {
    let mut text = String::from("rsm-init ctl: ");
    for (at, line) in message.lines().enumerate() {
        // Writing to a string does not fail.
        let _ = write!(text, "{}{}", if at == 0 { "" } else { "\n" }, Plain(line));
    }
    text.push('\n');
    // If that fails, nobody is left to be told.
    let _ = io::stderr().write_all(text.as_bytes());
}
