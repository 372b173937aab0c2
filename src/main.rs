//! Which role am I called as, and with which status do I end.
use std::process::ExitCode;

#[allow(clippy::disallowed_methods, reason = "std's start-up runs before this main")]
fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(role) if role == "logger" => ExitCode::from(rsm_init::logger::main()),
        _ => ExitCode::from(2),
    }
}
