//! Supervising: from the command line to the exit status.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::config::disk::{self, Disk, Passwd};
use crate::config::{self, Context, Faults, FlagValue, Loaded, Source};
use crate::supervisor::Supervisor;
use crate::sys::{self, Inherited, Linux, Stderr};
use crate::{init, journal};

/// EX_CONFIG of sysexits.h.
const BAD_CONFIG: u8 = 78;
/// Something inside went wrong.
const INTERNAL: u8 = 70;
/// Where the config is when nobody says where.
const USUAL_CONFIG: &str = "/etc/rsm-init/process.json";
/// Kubernetes shows no more than this of it.
const LONGEST_REASON: usize = 4096;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Options {
    files: Vec<PathBuf>,
    /// A program instead of files, and how its keys were given.
    program: Option<Program>,
    env_name: Option<String>,
    only: Vec<String>,
    strict: bool,
}

#[derive(Debug)]
struct Program {
    script: String,
    flags: Vec<(&'static str, Given)>,
    args: Vec<String>,
}

#[derive(Debug)]
enum Given {
    On,
    Off,
    Text(String),
}

/// Flags of `start PROGRAM` that take a value, as PM2 names them, and the keys they set.
const VALUES: &[(&str, &str)] = &[
    ("-i", "instances"),
    ("--instances", "instances"),
    ("-n", "name"),
    ("--name", "name"),
    ("--namespace", "namespace"),
    ("--interpreter", "interpreter"),
    ("--interpreter-args", "node_args"),
    ("--node-args", "node_args"),
    ("--cwd", "cwd"),
    ("-o", "out_file"),
    ("--output", "out_file"),
    ("-e", "error_file"),
    ("--error", "error_file"),
    ("-l", "log_file"),
    ("--log", "log_file"),
    ("--log-date-format", "log_date_format"),
    ("-p", "pid_file"),
    ("--pid", "pid_file"),
    ("--exec-mode", "exec_mode"),
    ("--stop-exit-codes", "stop_exit_codes"),
    ("--restart-delay", "restart_delay"),
    ("--exp-backoff-restart-delay", "exp_backoff_restart_delay"),
    ("--max-restarts", "max_restarts"),
    ("--min-uptime", "min_uptime"),
    ("-k", "kill_timeout"),
    ("--kill-timeout", "kill_timeout"),
    ("--kill-signal", "kill_signal"),
    ("--stop-signal", "kill_signal"),
    ("--listen-timeout", "listen_timeout"),
    ("--max-memory-restart", "max_memory_restart"),
    ("-c", "cron_restart"),
    ("--cron", "cron_restart"),
    ("--cron-restart", "cron_restart"),
    ("-u", "uid"),
    ("--user", "uid"),
    ("--uid", "uid"),
    ("--gid", "gid"),
    ("--filter-env", "filter_env"),
    ("--ignore-watch", "ignore_watch"),
    ("--watch-delay", "watch_delay"),
];

/// Flags of `start PROGRAM` that take none.
const SWITCHES: &[(&str, &str, bool)] = &[
    ("--watch", "watch", true),
    ("--time", "time", true),
    ("--merge-logs", "merge_logs", true),
    ("--disable-logs", "disable_logs", true),
    ("--wait-ready", "wait_ready", true),
    ("--shutdown-with-message", "shutdown_with_message", true),
    ("--critical", "critical", true),
    ("--no-autorestart", "autorestart", false),
    ("--no-autostart", "autostart", false),
    ("--no-treekill", "treekill", false),
];

/// Runs the role. `words` are those after the program's name and `start`.
pub(super) fn main(words: &[OsString], is_start: bool, inherited: Inherited) -> u8 {
    super::be_init();
    let mut options = match options(words, is_start) {
        Ok(options) => options,
        Err(message) => {
            log::error!("{message}; see rsm-init --help");
            return super::USAGE;
        }
    };
    if options.files.is_empty() && options.program.is_none() {
        match usual_config() {
            Ok(file) => options.files.push(file),
            Err(message) => {
                log::error!("{message}");
                return BAD_CONFIG;
            }
        }
    }
    let loaded = match load(&options) {
        Ok(loaded) => loaded,
        Err(faults) => {
            let _ = Stderr::new().write(faults.render(std::io::stderr().is_terminal()).as_bytes());
            return BAD_CONFIG;
        }
    };
    supervise(loaded, inherited)
}

fn supervise(loaded: Loaded, inherited: Inherited) -> u8 {
    for warning in &loaded.warnings {
        log::warn!("{}", warning.render(false).trim_end());
    }
    let Loaded { spec, warnings } = loaded;
    drop(warnings);
    let mut machine = match Linux::new(&spec, inherited) {
        Ok(machine) => machine,
        Err(why) => {
            log::error!("cannot start: {why}");
            return INTERNAL;
        }
    };
    let termination_log = spec.init.termination_log.clone();
    let mut supervisor = Supervisor::new(spec);
    let verdict = init::run(&mut supervisor, &mut machine);
    let farewell = journal::farewell(&supervisor, &verdict);
    log::info!("{farewell}");
    machine.end();
    leave_reason(&termination_log, &farewell);
    // The kernel takes it all back faster than we could, and someone waits for our end.
    std::mem::forget((machine, supervisor));
    verdict.status
}

/// Kubernetes shows what stands in this file when the container ends. It makes the file;
/// where there is none, nobody would read it.
fn leave_reason(path: &str, farewell: &str) {
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    if !path.is_empty()
        && let Ok(mut file) = options.write(true).truncate(true).open(path)
    {
        let text = farewell.as_bytes();
        // Nobody is left who could do anything about it.
        let _ = file.write_all(&text[..text.len().min(LONGEST_REASON)]);
    }
}

fn load(options: &Options) -> Result<Loaded, Faults> {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let (variables, accounts) = (|name: &str| std::env::var(name).ok(), Passwd::default());
    let context = Context {
        cwd: &cwd,
        env_name: options.env_name.as_deref(),
        only: &options.only,
        strict: options.strict,
        cpus: &sys::cpus,
        variables: &variables,
        files: &Disk,
        accounts: &accounts,
    };
    if let Some(program) = &options.program {
        let mut flags = vec![("script", FlagValue::Text(&program.script))];
        flags.extend(program.flags.iter().map(|(key, given)| {
            let value = match given {
                Given::On => FlagValue::On,
                Given::Off => FlagValue::Off,
                Given::Text(text) => FlagValue::Text(text),
            };
            (*key, value)
        }));
        if !program.args.is_empty() {
            flags.push(("args", FlagValue::Words(&program.args)));
        }
        return config::from_flags(&flags, &context);
    }
    let texts = disk::read_sources(&options.files)?;
    let sources: Vec<Source<'_>> =
        options.files.iter().zip(&texts).map(|(path, text)| Source::new(path, text)).collect();
    config::load(&sources, &context)
}

fn usual_config() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("RSM_INIT_CONFIG").filter(|path| !path.is_empty()) {
        return Ok(named.into());
    }
    let is_init = std::process::id() == 1;
    let here = (!is_init).then_some("./process.json");
    let places = [Some(USUAL_CONFIG), here];
    let found = places.into_iter().flatten().find(|path| Path::new(path).exists());
    found.map(PathBuf::from).ok_or_else(|| {
        format!("no config: name a file, set RSM_INIT_CONFIG or make {USUAL_CONFIG}")
    })
}

/// A file by PM2's rule: a part of its name tells.
fn is_config(word: &str) -> bool {
    let name = Path::new(word).file_name().and_then(OsStr::to_str).unwrap_or(word);
    word == "-"
        || [".json", ".yml", ".yaml", ".config.js", ".config.cjs", ".config.mjs"]
            .iter()
            .any(|part| name.contains(part))
}

fn options(words: &[OsString], is_start: bool) -> Result<Options, String> {
    let mut options = Options::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.to_str() else {
            return Err(format!("{word:?} is not UTF-8"));
        };
        let (flag, attached) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (text, None),
        };
        let mut value = || {
            let next = || words.next().and_then(|next| next.to_str()).map(str::to_owned);
            attached.clone().or_else(next).ok_or_else(|| format!("{flag} wants a value"))
        };
        match flag {
            "--env" => options.env_name = Some(value()?),
            "--only" => options.only.push(value()?),
            "--strict" => options.strict = true,
            "--" => {
                let rest = words.by_ref().map(|word| word.to_string_lossy().into_owned());
                match &mut options.program {
                    Some(program) => program.args = rest.collect(),
                    None => return Err("\"--\" follows a program".to_owned()),
                }
            }
            _ if text.starts_with('-') && text != "-" => {
                let Some(program) = &mut options.program else {
                    return Err(unknown(flag, is_start));
                };
                if let Some((_, key)) = VALUES.iter().find(|(known, _)| *known == flag) {
                    program.flags.push((key, Given::Text(value()?)));
                } else if let Some((_, key, on)) =
                    SWITCHES.iter().find(|(known, ..)| *known == flag)
                {
                    program.flags.push((key, if *on { Given::On } else { Given::Off }));
                } else {
                    return Err(unknown(flag, is_start));
                }
            }
            _ if is_start && !is_config(text) && options.files.is_empty() => {
                match &mut options.program {
                    Some(program) => {
                        return Err(format!(
                            "{:?} or {text:?}? Arguments of the program follow \"--\"",
                            program.script
                        ));
                    }
                    None => {
                        let script = text.to_owned();
                        options.program = Some(Program { script, flags: vec![], args: vec![] });
                    }
                }
            }
            _ if options.program.is_some() => {
                return Err(format!("a program or config files, not both: {text:?}"));
            }
            _ => options.files.push(word.into()),
        }
    }
    Ok(options)
}

fn unknown(flag: &str, is_start: bool) -> String {
    let known = |known: &str| known == flag;
    let is_flag =
        VALUES.iter().any(|(name, _)| known(name)) || SWITCHES.iter().any(|(name, ..)| known(name));
    if is_flag && is_start {
        format!("{flag} goes after the program")
    } else {
        format!("unknown option {flag}")
    }
}
