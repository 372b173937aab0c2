//! What this program can be, by its name or first word.

mod supervise;

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write};
use std::path::Path;

use crate::sys::{self, Inherited, Plain, Stderr};

const HELP: &str = "\
rsm-init: the process supervisor for PID 1 of a container

usage:
  rsm-init [OPTIONS] FILE...     supervise every app of these config files
  rsm-init start FILE...         the same
  rsm-init start PROGRAM [FLAGS] [-- ARGS...]
                                 supervise one program; flags as PM2 names them: -i N, --name,
                                 --cwd, --interpreter, --max-restarts, --no-autorestart, ...
  rsm-init -- CMD [ARGS...]      plain init: run CMD, forward signals, reap, exit with its status
  rsm-init                       supervise $RSM_INIT_CONFIG, else /etc/rsm-init/process.json;
                                 where it is not PID 1, else ./process.json
  rsm-init check [--json] FILE...
                                 validate config files; starts nothing
  rsm-init ctl VERB ...          talk to the running supervisor (\"rsm-init ctl help\")

options of supervising and check:
  --env NAME     use env_NAME of each app
  --only A,B     only these apps
  --strict       warnings about unknown keys are errors
  -h, --help     this text
  -V, --version  the version

environment:
  RSM_INIT_CONFIG   config file used when none is named
  RSM_INIT_SOCKET   path of the control socket
  RSM_LOG           error, warn, info (default), debug: what rsm-init itself says on stderr

exit status: 0 all ended well or a requested stop finished; 143 a requested stop interrupted a
one-shot app; 128+N or the app's own status when an app failed for good; 2 usage; 78 config error;
70 internal error; 126/127 the command cannot be executed / was not found.
";

/// Exit status of a wrong command line.
const USAGE: u8 = 2;

/// Runs the role that these words ask for and gives the status to end with.
pub fn main(words: &[OsString]) -> u8 {
    // Before anything else: a signal that comes now must not be lost.
    let inherited = sys::block_everything();
    sys::ensure_open();
    let name = words.first().map(Path::new).and_then(Path::file_name).and_then(OsStr::to_str);
    let rest = words.get(1..).unwrap_or(&[]);
    match (name, rest.first().and_then(|word| word.to_str())) {
        (Some("ctl"), _) => tool(inherited, || crate::ctl::main(rest)),
        (_, Some("ctl")) => tool(inherited, || crate::ctl::main(&rest[1..])),
        (_, Some("logger")) => crate::logger::main(),
        (_, Some("check")) => tool(inherited, || check(&rest[1..])),
        (_, Some("-h" | "--help" | "help")) => say(HELP),
        (_, Some("-V" | "--version" | "version")) => {
            say(concat!("rsm-init ", env!("CARGO_PKG_VERSION"), "\n"))
        }
        (_, Some("--")) => plain(&rest[1..], inherited),
        (_, Some("start")) => supervise::main(&rest[1..], true, inherited),
        _ => supervise::main(rest, false, inherited),
    }
}

fn check(words: &[OsString]) -> u8 {
    let (mut out, mut err) = (std::io::stdout(), std::io::stderr());
    let caret = err.is_terminal();
    crate::check::main(words, &sys::cpus, caret, &mut out, &mut err)
}

/// A role that is no init takes signals as any program does.
fn tool(inherited: Inherited, role: impl FnOnce() -> u8) -> u8 {
    sys::restore(inherited);
    role()
}

fn plain(words: &[OsString], inherited: Inherited) -> u8 {
    be_init();
    if words.is_empty() {
        log::error!("\"--\" wants a command; see rsm-init --help");
        return USAGE;
    }
    sys::run_plain(&Plain { argv: words.to_vec() }, inherited)
}

/// What every init role needs: a voice that never waits, and no end without a word.
fn be_init() {
    let level = std::env::var("RSM_LOG").unwrap_or_default();
    let mut logger = env_logger::Builder::new();
    logger.filter_level(log::LevelFilter::Info).parse_filters(&level);
    logger.format(|line, record| writeln!(line, "rsm-init: {}", record.args()));
    logger.target(env_logger::Target::Pipe(Box::new(Stderr::new())));
    // Only the first one counts, and it is the first.
    let _ = logger.try_init();
    std::panic::set_hook(Box::new(|panic| {
        let _ = Stderr::new().write(format!("rsm-init: internal error: {panic}\n").as_bytes());
        sys::exit_now(70);
    }));
}

fn say(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}
