//! The arguments of `ctl`, and what they mean.
#![forbid(unsafe_code)]

use super::words::Plain;
use crate::protocol::control::{Level, Target, Until, Verb};
use std::ffi::OsString;
use std::time::Duration;

/// One call of `ctl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    /// What to do.
    pub command: Command,
    /// Answer with JSON.
    pub json: bool,
    /// Wait this long for what was ordered to come true.
    pub wait: Option<Duration>,
    /// Wait this long for a reply.
    pub timeout: Duration,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// The table.
    Status(Vec<Target>),
    /// Everything about some.
    Describe(Vec<Target>),
    /// Start, stop, …
    Order(Verb, Vec<Target>),
    /// Change the number of instances.
    Scale {
        /// Of this app.
        app: String,
        /// `N`, `+N`, `-N`.
        to: String,
    },
    /// Send a signal.
    Signal {
        /// By name or number.
        signal: String,
        /// To these.
        targets: Vec<Target>,
    },
    /// Well or not.
    Health(Level, Vec<Target>),
    /// Wait for a condition.
    Wait {
        /// For what.
        until: Until,
        /// Of these.
        targets: Vec<Target>,
        /// Longest wait.
        within: Duration,
    },
    /// An environment.
    Env {
        /// Of this instance.
        target: Target,
        /// With the values.
        show: bool,
    },
    /// PM2's `jlist`.
    Jlist,
    /// PM2's `prettylist`.
    Prettylist,
    /// Are you there?
    Ping,
    /// Who is there?
    Version,
    /// Stop everything.
    Shutdown,
    /// The verbs.
    Help,
}

/// A mistake in the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Usage(pub String);

/// For a reply.
const TIMEOUT: Duration = Duration::from_secs(10);

/// For `health`, which probes call often.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);

/// For `--wait` and `wait`.
const WAIT: Duration = Duration::from_secs(60);

/// More would be a mistake, and cannot overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// All verbs, with the names PM2 and `docker` users try first.
const VERBS: [(&str, &[&str]); 18] = [
    ("status", &["ls", "list", "ps", "l"]),
    ("describe", &["show", "info", "desc"]),
    ("start", &[]),
    ("stop", &[]),
    ("restart", &[]),
    ("delete", &["del"]),
    ("scale", &[]),
    ("signal", &[]),
    ("reset", &[]),
    ("health", &[]),
    ("wait", &[]),
    ("env", &[]),
    ("jlist", &[]),
    ("prettylist", &[]),
    ("ping", &[]),
    ("version", &[]),
    ("shutdown", &["kill"]),
    ("help", &[]),
];

/// Promised, not kept yet.
const LATER: [&str; 9] =
    ["logs", "flush", "reload", "apply", "events", "monit", "why", "upgrade", "reopen-logs"];

/// `ctl help`.
pub(super) const HELP: &str = "\
usage: rsm-init ctl VERB [TARGET…] [--json] [--wait[=TIME]] [--timeout TIME]

TARGET: app, id, APP:INSTANCE, namespace, /regex/ or all.  TIME: 500ms, 5s, 2m, 1h.

  status [TARGET…]            what runs (ls, list, ps, l); exit status 3: something should and does not
  describe TARGET…            everything about them (show, info, desc)
  start|stop|restart TARGET…  --wait: until ready, or stopped
  delete TARGET…              stop and forget (del)
  reset TARGET…               set the restart counters to zero
  scale APP N|+N|-N           change the number of instances
  signal SIG TARGET…          send a signal to the main processes
  wait TARGET… --for ready|stopped
  health [--ready|--live] [TARGET…]  one line; exit status 0 or 1
  env TARGET [--show]         environment of the next start; --show: with values
  jlist, prettylist           PM2's list
  ping, version, shutdown (kill), help

exit status: 0 done, 1 failed or unhealthy, 2 usage, 3 see status, 4 no such target or no supervisor
";

/// True if this is about `health`, whose exit status is special.
pub(super) fn is_health(args: &[OsString]) -> bool {
    Words::read(args).is_ok_and(|words| words.verb() == Some("health"))
        || args.iter().any(|arg| arg == "health") && Words::read(args).is_err()
}

/// What the arguments ask for.
pub(super) fn parse(args: &[OsString]) -> Result<Invocation, Usage> {
    let words = Words::read(args)?;
    let Some(verb) = words.verb() else {
        return if words.help { Ok(help()) } else { usage(format!("what shall it do?\n{HELP}")) };
    };
    if words.help {
        return Ok(help());
    }
    words.check_flags(verb)?;
    let command = words.command(verb)?;
    let usual = if verb == "health" { HEALTH_TIMEOUT } else { TIMEOUT };
    Ok(Invocation {
        command,
        json: words.json,
        wait: words.wait,
        timeout: words.timeout.unwrap_or(usual),
    })
}

fn help() -> Invocation {
    Invocation { command: Command::Help, json: false, wait: None, timeout: TIMEOUT }
}

fn usage<T>(message: impl Into<String>) -> Result<T, Usage> {
    Err(Usage(message.into()))
}

/// Flags and the rest, apart.
#[derive(Debug, Default)]
struct Words {
    /// The verb and what it is about.
    plain: Vec<String>,
    json: bool,
    help: bool,
    wait: Option<Duration>,
    timeout: Option<Duration>,
    show: bool,
    ready: bool,
    live: bool,
    until: Option<Until>,
}

impl Words {
    fn read(args: &[OsString]) -> Result<Self, Usage> {
        let mut words = Self::default();
        let mut args = args.iter();
        let mut flags = true;
        while let Some(arg) = args.next() {
            let Some(arg) = arg.to_str() else {
                return usage(format!("\"{}\" is not UTF-8", arg.to_string_lossy()));
            };
            if !flags || !is_flag(arg) {
                words.plain.push(arg.to_string());
            } else if arg == "--" {
                flags = false;
            } else {
                words.flag(arg, &mut args)?;
            }
        }
        Ok(words)
    }

    fn flag<'a>(
        &mut self,
        arg: &str,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), Usage> {
        let (name, attached) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (arg, None),
        };
        let mut value = || {
            let value = attached.clone().or_else(|| Some(rest.next()?.to_str()?.to_string()));
            value.ok_or_else(|| Usage(format!("{name} needs a value")))
        };
        match name {
            "--wait" => self.wait = Some(attached.as_deref().map_or(Ok(WAIT), time)?),
            "--timeout" => self.timeout = Some(time(&value()?)?),
            "--for" => {
                self.until = Some(match value()?.as_str() {
                    "ready" => Until::Ready,
                    "stopped" => Until::Stopped,
                    other => {
                        return usage(format!("--for takes ready or stopped, not \"{other}\""));
                    }
                });
            }
            _ if attached.is_some() => return usage(format!("unknown flag \"{arg}\"")),
            "--json" => self.json = true,
            "--show" => self.show = true,
            "--ready" => self.ready = true,
            "--live" => self.live = true,
            "-h" | "--help" => self.help = true,
            _ => {
                let known =
                    ["--json", "--wait", "--timeout", "--for", "--show", "--ready", "--live"];
                let hint = closest(name, known.into_iter());
                return usage(format!("unknown flag \"{arg}\"{hint}"));
            }
        }
        Ok(())
    }

    /// By its first name.
    fn verb(&self) -> Option<&str> {
        let said = self.plain.first()?.as_str();
        let known = VERBS.iter().find(|(name, aliases)| *name == said || aliases.contains(&said));
        Some(known.map_or(said, |(name, _)| name))
    }

    fn check_flags(&self, verb: &str) -> Result<(), Usage> {
        let misplaced = [
            ("--show", self.show, "env"),
            ("--ready", self.ready, "health"),
            ("--live", self.live, "health"),
            ("--for", self.until.is_some(), "wait"),
        ];
        match misplaced.iter().find(|(_, given, owner)| *given && *owner != verb) {
            Some((flag, _, owner)) => {
                usage(format!("{flag} belongs to \"{owner}\", not \"{verb}\""))
            }
            None if self.ready && self.live => usage("--ready and --live: choose one"),
            None => Ok(()),
        }
    }

    fn command(&self, verb: &str) -> Result<Command, Usage> {
        let operands = &self.plain[1..];
        let targets = || {
            let named = !operands.is_empty();
            let missing =
                || Usage(format!("{verb} needs a target: an app, an id, a namespace, or all"));
            named.then(|| operands.to_vec()).ok_or_else(missing)
        };
        let alone = |command| match operands {
            [] => Ok(command),
            [operand, ..] => usage(format!("{verb} takes no target, not \"{operand}\" either")),
        };
        match verb {
            "status" => Ok(Command::Status(operands.to_vec())),
            "describe" => Ok(Command::Describe(targets()?)),
            "start" => Ok(Command::Order(Verb::Start, targets()?)),
            "stop" => Ok(Command::Order(Verb::Stop, targets()?)),
            "restart" => Ok(Command::Order(Verb::Restart, targets()?)),
            "delete" => Ok(Command::Order(Verb::Delete, targets()?)),
            "reset" => Ok(Command::Order(Verb::Reset, targets()?)),
            "scale" => match operands {
                [app, to] if is_count(to) => {
                    Ok(Command::Scale { app: app.clone(), to: to.clone() })
                }
                _ => usage("scale needs an app and N, +N or -N"),
            },
            "signal" => match operands {
                [signal, targets @ ..] if !targets.is_empty() => Ok(Command::Signal {
                    signal: signal.trim_start_matches('-').to_string(),
                    targets: targets.to_vec(),
                }),
                _ => usage("signal needs a signal and a target"),
            },
            "health" => {
                let level = if self.live { Level::Live } else { Level::Ready };
                Ok(Command::Health(level, operands.to_vec()))
            }
            "wait" => Ok(Command::Wait {
                until: self.until.unwrap_or(Until::Ready),
                targets: targets()?,
                within: self.wait.or(self.timeout).unwrap_or(WAIT),
            }),
            "env" => match operands {
                [target] => Ok(Command::Env { target: target.clone(), show: self.show }),
                _ => usage("env needs one target"),
            },
            "jlist" => alone(Command::Jlist),
            "prettylist" => alone(Command::Prettylist),
            "ping" => alone(Command::Ping),
            "version" => alone(Command::Version),
            "shutdown" => alone(Command::Shutdown),
            "help" => Ok(Command::Help),
            later if LATER.contains(&later) => {
                usage(format!("\"{later}\" is not in this version yet"))
            }
            unknown => {
                let names = VERBS.iter().flat_map(|(name, others)| others.iter().chain([name]));
                let hint = closest(unknown, names.copied().chain(LATER));
                let unknown = Plain(unknown);
                usage(format!("unknown verb \"{unknown}\"{hint}; \"ctl help\" lists them all"))
            }
        }
    }
}

/// `-2` is a count (`scale`) or a signal, `-` nothing special.
fn is_flag(arg: &str) -> bool {
    arg.starts_with("--") || arg.starts_with('-') && arg.len() > 1 && !is_count(arg)
}

fn is_count(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// `500ms`, `5s`, `1.5m`, `1h`. A bare number is refused: PM2 would mean milliseconds, most
/// people seconds.
fn time(text: &str) -> Result<Duration, Usage> {
    let unit = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let scale = match &text[unit..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return usage(format!("\"{text}\" is no time; write 500ms, 5s, 2m or 1h")),
    };
    let seconds = text[..unit].parse::<f64>().map(|number| number * scale);
    match seconds.map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) if time <= LONGEST => Ok(time),
        Ok(_) => usage(format!("\"{text}\" is too long")),
        Err(_) => usage(format!("\"{text}\" is no time; write 500ms, 5s, 2m or 1h")),
    }
}

/// `; did you mean "status"?` if one of them is near enough.
fn closest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> String {
    let best = known.map(|name| (distance(word, name), name)).min();
    match best {
        Some((distance, name)) if distance <= 2 && distance < word.chars().count() => {
            format!("; did you mean \"{name}\"?")
        }
        _ => String::new(),
    }
}

/// How many letters must change, come or go.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (at, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, &other) in to.iter().enumerate() {
            let change = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        parse(&args).map_err(|usage| usage.0)
    }

    #[test]
    fn flags_stand_anywhere() {
        let expected = parsed("restart web --json --wait=5s --timeout 2s").unwrap();
        assert_eq!(expected.command, Command::Order(Verb::Restart, vec!["web".to_string()]));
        assert_eq!(expected.wait, Some(Duration::from_secs(5)));
        for line in [
            "--timeout=2s --json restart --wait=5s web",
            "restart --json --timeout 2s web --wait=5s",
        ] {
            assert_eq!(parsed(line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn a_negative_count_is_no_flag() {
        let scale = |to: &str| Command::Scale { app: "web".to_string(), to: to.to_string() };
        for to in ["3", "+2", "-1"] {
            assert_eq!(parsed(&format!("scale web {to}")).unwrap().command, scale(to));
        }
        assert!(parsed("scale web many").is_err());
        let signal = Command::Signal { signal: "9".to_string(), targets: vec!["web".to_string()] };
        assert_eq!(parsed("signal -9 web").unwrap().command, signal);
    }

    #[test]
    fn everything_after_two_dashes_is_a_target() {
        let command = parsed("stop -- --json").unwrap().command;
        assert_eq!(command, Command::Order(Verb::Stop, vec!["--json".to_string()]));
    }

    #[test]
    fn a_wait_has_its_own_time() {
        let within = |line| match parsed(line).unwrap().command {
            Command::Wait { within, .. } => within.as_millis(),
            other => panic!("{other:?}"),
        };
        assert_eq!(within("wait web --for ready"), 60_000);
        assert_eq!(within("wait web --timeout 1.5s"), 1_500);
        assert_eq!(within("wait web --wait=2m"), 120_000);
    }

    #[test]
    fn mistakes_are_named() {
        let cases = [
            ("statsu", "did you mean \"status\"?"),
            ("restrat web", "did you mean \"restart\"?"),
            ("logs", "\"logs\" is not in this version yet"),
            ("stop", "stop needs a target"),
            ("stop web --jsn", "did you mean \"--json\"?"),
            ("stop web --show", "--show belongs to \"env\""),
            ("wait web --for tea", "--for takes ready or stopped"),
            ("stop web --wait=5", "\"5\" is no time"),
            ("stop web --timeout", "--timeout needs a value"),
            ("stop web --timeout 999999999h", "is too long"),
            ("stop web --json=1", "unknown flag"),
            ("ping web", "takes no target"),
            ("health --ready --live", "choose one"),
            ("", "usage: rsm-init ctl"),
        ];
        for (line, expected) in cases {
            let message = parsed(line).unwrap_err();
            assert!(message.contains(expected), "{line}: {message}");
        }
    }

    #[test]
    fn health_is_known_even_among_mistakes() {
        let health = |line: &str| {
            is_health(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
        };
        assert!(health("health --nonsense") && health("--json health web"));
        assert!(!health("status health"));
    }
}
