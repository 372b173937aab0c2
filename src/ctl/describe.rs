//! `ctl describe`: everything about an instance, a fact a line.
#![forbid(unsafe_code)]

use super::processes::Processes;
use super::table::paragraph;
use super::words::{Plain, Size, Span, clip};
use super::{cause, status};
use crate::protocol::control::Detail;
use crate::terminal::Screen;
use std::fmt::Write;

/// Where the values begin.
const MARGIN: usize = 16;

/// One paragraph for each, its process tree included.
pub(super) fn render(out: &mut String, details: &[Detail], processes: &Processes, screen: Screen) {
    for (at, detail) in details.iter().enumerate() {
        if at > 0 {
            out.push('\n');
        }
        let mut listing = Listing { out, width: screen.width.unwrap_or(usize::MAX) };
        listing.heading(detail);
        listing.present(detail);
        listing.program(detail);
        listing.rules(detail);
        listing.processes(detail, processes);
        listing.history(detail);
    }
}

struct Listing<'a> {
    out: &'a mut String,
    width: usize,
}

impl Listing<'_> {
    fn heading(&mut self, detail: &Detail) {
        let instance = &detail.instance;
        let title = format!("{}:{} (id {})", Plain(&detail.name), instance.instance, instance.id);
        paragraph(self.out, &title, 0, self.width);
    }

    fn present(&mut self, detail: &Detail) {
        let instance = &detail.instance;
        self.fact("state", status::word(instance.state));
        let mut why = String::new();
        let _ = cause::write(&mut why, &detail.name, instance);
        self.fact("why", &why);
        if instance.pid != 0 {
            self.fact("pid", &instance.pid.to_string());
            self.fact("ready", if instance.ready { "yes" } else { "no" });
            self.fact("uptime", &Span(instance.uptime_ms).to_string());
        }
        let allowed = match instance.max_restarts {
            Some(max) => format!("{max} allowed"),
            None => "no limit".to_string(),
        };
        let (all, unstable) = (instance.restarts, instance.unstable_restarts);
        self.fact("restarts", &format!("{all}; unstable in a row: {unstable}, {allowed}"));
        if instance.memory_bytes > 0 {
            let cpu = instance.cpu_percent;
            self.fact("cpu", &format!("{cpu:.1}% on average"));
            self.fact("memory", &Size(instance.memory_bytes).to_string());
        }
        let ports: Vec<String> = instance.ports.iter().map(u16::to_string).collect();
        self.fact("ports", &ports.join(", "));
    }

    fn program(&mut self, detail: &Detail) {
        self.fact("namespace", &detail.namespace);
        self.fact("mode", &detail.exec_mode);
        self.fact("script", &format!("{} ({})", detail.script, detail.script_found));
        self.fact("interpreter", &detail.interpreter);
        self.fact("executes", &detail.exec_path);
        let argv: Vec<String> = detail.argv.iter().map(|word| quoted(word)).collect();
        self.fact("arguments", &argv.join(" "));
        self.fact("directory", detail.cwd.as_deref().unwrap_or("the supervisor's"));
        self.fact("runs as", detail.identity.as_deref().unwrap_or("the supervisor's user"));
        self.fact("stdout to", detail.out_file.as_deref().unwrap_or_default());
        self.fact("stderr to", detail.error_file.as_deref().unwrap_or_default());
        self.fact("both to", detail.log_file.as_deref().unwrap_or_default());
        self.fact("pid file", detail.pid_file.as_deref().unwrap_or_default());
    }

    fn rules(&mut self, detail: &Detail) {
        let min_uptime = Span(detail.min_uptime_ms);
        self.fact("restart", if detail.autorestart { "always" } else { "never" });
        self.fact("unstable", &format!("an exit before {min_uptime}"));
        let (signal, patience) = (&detail.stop_signal, Span(detail.kill_timeout_ms));
        self.fact("stop", &format!("{signal}, SIGKILL after {patience}"));
        self.fact(
            "critical",
            if detail.critical { "yes: its failure ends the container" } else { "no" },
        );
    }

    fn processes(&mut self, detail: &Detail, processes: &Processes) {
        for (at, process) in processes.tree(detail.instance.pid).enumerate() {
            if at == 0 {
                self.row("processes", "    pid    ppid      memory  name");
            }
            let memory = Size(processes.memory_bytes(process)).to_string();
            let name = process.name();
            let (pid, ppid) = (process.pid, process.ppid);
            self.row("", &format!("{pid:>7} {ppid:>7} {memory:>11}  {}", Plain(&name)));
        }
    }

    fn history(&mut self, detail: &Detail) {
        for (at, exit) in detail.history.iter().enumerate() {
            let mut line = format!("{}  ", exit.at);
            let _ = cause::ended(&mut line, exit);
            self.fact(if at == 0 { "ended before" } else { "" }, &line);
        }
    }

    /// A value that may be long; nothing if it is empty.
    fn fact(&mut self, label: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let room = self.width.saturating_sub(MARGIN).max(1);
        let mut lines = String::new();
        paragraph(&mut lines, &Plain(value).to_string(), 0, room);
        for (at, line) in lines.lines().enumerate() {
            self.row(if at == 0 { label } else { "" }, line);
        }
    }

    fn row(&mut self, label: &str, line: &str) {
        let row = format!("  {label:<width$}{line}", width = MARGIN - 2);
        let _ = writeln!(self.out, "{}", clip(row.trim_end(), self.width));
    }
}

/// As one would have to type it into a shell.
fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_string()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::samples::{detail, instance};
    use crate::ctl::words::columns;
    use crate::protocol::control::{How, LastExit, State};

    fn example() -> Detail {
        let mut web = detail("web", instance(0, State::Errored));
        let exit = LastExit {
            how: How::Code { code: 1 },
            at: "2026-11-25T10:00:00Z".to_string(),
            uptime_ms: 300,
        };
        web.instance.last_exit = Some(exit.clone());
        web.instance.unstable_restarts = 16;
        web.instance.restarts = 15;
        web.history = vec![exit.clone(), exit];
        web
    }

    fn shown(detail: Detail, width: Option<usize>) -> String {
        let mut out = String::new();
        render(&mut out, &[detail], &Processes::default(), Screen { width, colour: false });
        out
    }

    #[test]
    fn each_fact_has_a_line() {
        assert_eq!(
            shown(example(), None),
            "\
web:0 (id 0)
  state         errored
  why           exit 1 after 0.3 s, 16th in a row; given up; \"ctl restart web\" gives it 16 new tries
  restarts      15; unstable in a row: 16, 16 allowed
  namespace     default
  mode          fork
  script        server.js (working directory)
  interpreter   node
  executes      /usr/bin/node
  arguments     node /app/server.js 'two words'
  directory     /app
  runs as       the supervisor's user
  stdout to     /var/log/web-out.log
  restart       always
  unstable      an exit before 1.0 s
  stop          SIGINT, SIGKILL after 8.0 s
  critical      no
  ended before  2026-11-25T10:00:00Z  exit 1 after 0.3 s
                2026-11-25T10:00:00Z  exit 1 after 0.3 s
"
        );
    }

    #[test]
    fn it_fits_every_screen() {
        for width in 1..120 {
            for line in shown(example(), Some(width)).lines() {
                assert!(columns(line) <= width, "{width}: {line:?}");
            }
        }
    }

    #[test]
    fn a_process_tree_is_listed() {
        let mut me = example();
        me.instance.pid = std::process::id();
        let mut out = String::new();
        render(&mut out, &[me], &Processes::read(), Screen::PLAIN);
        assert!(out.contains("    pid    ppid      memory  name\n"), "{out}");
    }
}
