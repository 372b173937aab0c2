#![allow(missing_docs, clippy::disallowed_methods)]
fn main() -> std::process::ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    rsm_init::check::main(&args, 4, true, &mut std::io::stdout(), &mut std::io::stderr()).into()
}
