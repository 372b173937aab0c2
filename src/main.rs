//! Which role am I called as, and with which status do I end.
use std::ffi::OsString;
use std::process::ExitCode;

#[expect(clippy::disallowed_methods, reason = "main hands the arguments on")]
fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    match args.split_first() {
        Some((role, rest)) if role == "ctl" => ExitCode::from(rsm_init::ctl::main(rest)),
        _ => ExitCode::from(2),
    }
}
