//! `rsm-init check FILE…`: says what is wrong with a config, or what it would do. Starts nothing.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::config::disk::{self, Disk, Passwd};
use crate::config::{self, Context, Fault, Faults, Loaded, Source};

/// Nothing is wrong.
const OK: u8 = 0;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// EX_CONFIG of sysexits.h.
const BAD_CONFIG: u8 = 78;

const HELP: &str = "usage: rsm-init check [--json] [--strict] [--env NAME] [--only NAMES] FILE...

Checks process files and starts nothing. \"-\" is stdin.

  --json        print what would really be done, as JSON
  --strict      unknown keys and clashing names are faults
  --env NAME    merge env_NAME into env
  --only NAMES  only these apps, with commas between them

Exit status: 0 fine, 2 wrong usage, 78 a fault in the config.
";

/// What the command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    files: Vec<PathBuf>,
    json: bool,
    strict: bool,
    help: bool,
    env_name: Option<String>,
    only: Vec<String>,
}

/// Runs the role; `args` are those after `check`. Gives the exit status.
///
/// `cpus` is what `instances: "max"` means here; `caret`: stderr is a terminal, and faults are shown with their line.
pub fn main(
    args: &[OsString],
    cpus: &dyn Fn() -> u32,
    caret: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let options = match options(args) {
        Ok(options) => options,
        Err(message) => {
            // Nobody is left to tell if stderr is gone.
            let _ = writeln!(err, "rsm-init: check: {message}; see \"rsm-init check --help\"");
            return USAGE;
        }
    };
    if options.help {
        return written(out.write_all(HELP.as_bytes()), OK);
    }
    match check(&options, cpus) {
        Ok((loaded, effective)) => {
            for warning in &loaded.warnings {
                let _ = writeln!(err, "warning: {}", warning.render(caret));
            }
            let text = if options.json { pretty(&effective) } else { summary(&loaded) };
            written(writeln!(out, "{text}"), OK)
        }
        Err(faults) => {
            let _ = err.write_all(faults.render(caret).as_bytes());
            if options.json {
                let _ = writeln!(out, "{}", pretty(&faults_json(&faults)));
            }
            BAD_CONFIG
        }
    }
}

fn options(args: &[OsString]) -> Result<Options, String> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let text = arg.to_string_lossy();
        let (flag, attached) = match text.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (&*text, None),
        };
        let mut value = || {
            let next = || rest.next().map(|value| value.to_string_lossy().into_owned());
            attached.clone().or_else(next).ok_or_else(|| format!("{flag} needs a value"))
        };
        match flag {
            "--env" => options.env_name = Some(value()?),
            "--only" => options.only.push(value()?),
            "--json" | "--strict" | "--help" if attached.is_some() => {
                return Err(format!("{flag} takes no value"));
            }
            "--json" => options.json = true,
            "--strict" => options.strict = true,
            "--help" | "-h" => options.help = true,
            "--" => {
                options.files.extend(rest.map(PathBuf::from));
                break;
            }
            _ if flag.starts_with('-') && flag != "-" => {
                return Err(format!("unknown flag \"{flag}\""));
            }
            _ => options.files.push(arg.into()),
        }
    }
    if options.files.is_empty() && !options.help {
        return Err("no file is named".into());
    }
    Ok(options)
}

fn check(options: &Options, cpus: &dyn Fn() -> u32) -> Result<(Loaded, Value), Faults> {
    let texts = disk::read_sources(&options.files)?;
    let sources: Vec<Source<'_>> =
        options.files.iter().zip(&texts).map(|(path, text)| Source::new(path, text)).collect();
    let cwd = env::current_dir().unwrap_or_else(|_| "/".into());
    let context = Context {
        cwd: &cwd,
        env_name: options.env_name.as_deref(),
        only: &options.only,
        strict: options.strict,
        cpus,
        variables: &|name| env::var(name).ok(),
        files: &Disk,
        accounts: &Passwd::default(),
    };
    config::explain(&sources, &context)
}

fn summary(loaded: &Loaded) -> String {
    let apps = loaded.spec.apps.len();
    let instances: u64 = loaded.spec.apps.iter().map(|app| u64::from(app.instances)).sum();
    let warnings = match loaded.warnings.len() {
        0 => String::new(),
        count => format!(", {}", counted(count as u64, "warning")),
    };
    format!("{}, {}{warnings}; ok", counted(apps as u64, "app"), counted(instances, "instance"))
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn faults_json(faults: &Faults) -> Value {
    let all = |faults: &[Fault]| faults.iter().map(config::fault_json).collect::<Vec<_>>();
    json!({ "faults": all(&faults.faults), "warnings": all(&faults.warnings) })
}

fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// A reader that has gone away is no fault of the config.
fn written(result: io::Result<()>, status: u8) -> u8 {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => 1,
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Options, String> {
        options(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn values_follow_or_are_attached() {
        let expected = Options {
            files: vec!["a.json".into(), "-".into()],
            json: true,
            env_name: Some("prod".into()),
            only: vec!["web,db".into()],
            ..Options::default()
        };
        assert_eq!(
            parsed(&["--json", "a.json", "--env", "prod", "--only=web,db", "-"]),
            Ok(expected)
        );
    }

    #[test]
    fn wrong_usage_is_said() {
        for args in [&["--jason", "a"][..], &[], &["a", "--env"], &["--json=yes", "a"]] {
            assert!(parsed(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn a_missing_file_is_a_config_fault() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = main(&["/nowhere/at/all.json".into()], &|| 1, false, &mut out, &mut err);
        assert_eq!(status, BAD_CONFIG);
        let said = String::from_utf8_lossy(&err);
        assert!(said.contains("/nowhere/at/all.json: cannot read it: no such file"), "{said}");
    }
}
