//! `ctl status`: the table, and what its exit status says.
#![forbid(unsafe_code)]

use super::cause;
use super::table::{Colour, Column, Table};
use super::words::{Plain, Size, Uptime};
use crate::protocol::control::{AppStatus, InstanceStatus, State, Status};
use crate::terminal::Screen;
use std::fmt::Write;

/// 3 if something that should run does not.
pub(super) fn exit_status(status: &Status) -> u8 {
    let mut instances = status.apps.iter().flat_map(|app| &app.instances);
    if instances.any(|instance| is_down(instance.state)) { 3 } else { 0 }
}

/// Wanted, and neither running nor on its way.
fn is_down(state: State) -> bool {
    match state {
        State::Waiting | State::Backoff | State::Errored => true,
        State::Launching | State::Online | State::Stopping | State::Stopped | State::Completed => {
            false
        }
    }
}

/// As the contract and PM2's users call it.
pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Launching => "launching",
        State::Online => "online",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::Backoff => "backoff",
        State::Errored => "errored",
        State::Completed => "completed",
    }
}

fn colour(state: State) -> Colour {
    match state {
        State::Online => Colour::Green,
        State::Waiting | State::Launching | State::Stopping | State::Backoff => Colour::Yellow,
        State::Errored => Colour::Red,
        State::Stopped | State::Completed => Colour::Dim,
    }
}

/// The name of one instance: with its number if there are several.
pub(super) fn name(
    out: &mut String,
    app: &AppStatus,
    instance: &InstanceStatus,
) -> std::fmt::Result {
    write!(out, "{}", Plain(&app.name))?;
    if app.instances.len() > 1 || instance.instance > 0 {
        write!(out, ":{}", instance.instance)?;
    }
    Ok(())
}

/// What a cell shows. The order is the order of the columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fact {
    Id,
    Name,
    Namespace,
    Mode,
    Pid,
    State,
    Ready,
    Uptime,
    Restarts,
    Cpu,
    Memory,
    Ports,
}

const FACTS: [(Fact, Column); 12] = [
    (Fact::Id, Column { title: "id", right: true, worth: u8::MAX }),
    (Fact::Name, Column { title: "name", right: false, worth: u8::MAX }),
    (Fact::Namespace, Column { title: "namespace", right: false, worth: 0 }),
    (Fact::Mode, Column { title: "mode", right: false, worth: 1 }),
    (Fact::Pid, Column { title: "pid", right: true, worth: 4 }),
    (Fact::State, Column { title: "state", right: false, worth: u8::MAX }),
    (Fact::Ready, Column { title: "ready", right: false, worth: 3 }),
    (Fact::Uptime, Column { title: "uptime", right: false, worth: 7 }),
    (Fact::Restarts, Column { title: "restarts", right: true, worth: 8 }),
    (Fact::Cpu, Column { title: "cpu", right: true, worth: 5 }),
    (Fact::Memory, Column { title: "memory", right: true, worth: 6 }),
    (Fact::Ports, Column { title: "ports", right: false, worth: 2 }),
];

/// The table, with a line below whoever is not well.
pub(super) fn render(out: &mut String, status: &Status, screen: Screen) {
    if status.apps.iter().all(|app| app.instances.is_empty()) {
        out.push_str("no apps\n");
    } else {
        table(out, status, screen);
    }
    if status.state != "running" {
        super::table::paragraph(
            out,
            &format!("the supervisor is {}", Plain(&status.state)),
            0,
            screen.width.unwrap_or(usize::MAX),
        );
    }
}

fn table(out: &mut String, status: &Status, screen: Screen) {
    let instances = || status.apps.iter().flat_map(|app| &app.instances);
    // A column that says the same everywhere says nothing.
    let namespaces = status.apps.iter().any(|app| app.namespace != "default");
    let ports = instances().any(|instance| !instance.ports.is_empty());
    let shown = FACTS.into_iter().filter(|(fact, _)| match fact {
        Fact::Namespace => namespaces,
        Fact::Ports => ports,
        _ => true,
    });
    let (facts, columns): (Vec<Fact>, Vec<Column>) = shown.unzip();
    let flexible = facts.iter().position(|&fact| fact == Fact::Name).unwrap_or(0);
    let mut table = Table::new(&columns, flexible);
    for app in &status.apps {
        for instance in &app.instances {
            for &fact in &facts {
                let colour = match fact {
                    Fact::State => colour(instance.state),
                    _ => Colour::Plain,
                };
                table.cell(colour, |cell| write_fact(cell, fact, app, instance));
            }
            table.note(|note| cause::write(note, &app.name, instance));
        }
    }
    table.render(out, screen);
}

fn write_fact(
    cell: &mut String,
    fact: Fact,
    app: &AppStatus,
    instance: &InstanceStatus,
) -> std::fmt::Result {
    let runs = instance.pid != 0;
    match fact {
        Fact::Id => write!(cell, "{}", instance.id),
        Fact::Name => name(cell, app, instance),
        Fact::Namespace => write!(cell, "{}", Plain(&app.namespace)),
        Fact::Mode => write!(cell, "{}", Plain(&app.exec_mode)),
        Fact::Pid if runs => write!(cell, "{}", instance.pid),
        Fact::State => write!(cell, "{}", word(instance.state)),
        Fact::Ready if runs => write!(cell, "{}", if instance.ready { "yes" } else { "no" }),
        Fact::Uptime if runs => write!(cell, "{}", Uptime(instance.uptime_ms)),
        Fact::Restarts => write!(cell, "{}", instance.restarts),
        // No process is without memory: nothing could be read.
        Fact::Cpu if instance.memory_bytes > 0 => write!(cell, "{:.1}%", instance.cpu_percent),
        Fact::Memory if instance.memory_bytes > 0 => {
            write!(cell, "{}", Size(instance.memory_bytes))
        }
        Fact::Ports => {
            for (at, port) in instance.ports.iter().enumerate() {
                write!(cell, "{}{port}", if at > 0 { "," } else { "" })?;
            }
            Ok(())
        }
        Fact::Pid | Fact::Ready | Fact::Uptime | Fact::Cpu | Fact::Memory => write!(cell, "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::samples::{app, instance, status};
    use crate::ctl::words::columns;
    use crate::protocol::control::{How, LastExit};
    use proptest::prelude::*;

    fn shown(status: &Status, width: Option<usize>) -> String {
        let mut out = String::new();
        render(&mut out, status, Screen { width, colour: false });
        out
    }

    fn example() -> Status {
        let mut api = [instance(0, State::Online), instance(1, State::Online)];
        for (cpu, instance) in [0.3, 12.5].into_iter().zip(&mut api) {
            instance.cpu_percent = cpu;
            instance.memory_bytes = 26_528_973;
            instance.ports = vec![80, 443];
        }
        let mut web = instance(2, State::Backoff);
        web.last_exit = Some(LastExit {
            how: How::Code { code: 1 },
            at: "2026-11-25T10:00:00Z".to_string(),
            uptime_ms: 300,
        });
        web.restarts = 4;
        web.unstable_restarts = 4;
        web.next_restart_ms = Some(3_800);
        let mut web = app("web", vec![web]);
        web.namespace = "front".to_string();
        status(vec![app("api", api.to_vec()), web, app("job", vec![instance(3, State::Completed)])])
    }

    #[test]
    fn with_room_for_everything() {
        assert_eq!(
            shown(&example(), None),
            "\
id  name   namespace  mode  pid  state      ready  uptime  restarts    cpu    memory  ports
 0  api:0  default    fork   10  online     yes    2m 5s          0   0.3%  25.3 MiB  80,443
 1  api:1  default    fork   11  online     yes    2m 5s          0  12.5%  25.3 MiB  80,443
 2  web    front      fork    -  backoff    -      -              4      -         -
    exit 1 after 0.3 s, 4th in a row; next try in 3.8 s; 12 of 16 left
 3  job    default    fork    -  completed  -      -              0      -         -
"
        );
    }

    #[test]
    fn the_least_important_columns_go_first() {
        assert_eq!(
            shown(&example(), Some(60)),
            "\
id  name   pid  state      uptime  restarts    cpu    memory
 0  api:0   10  online     2m 5s          0   0.3%  25.3 MiB
 1  api:1   11  online     2m 5s          0  12.5%  25.3 MiB
 2  web      -  backoff    -              4      -         -
    exit 1 after 0.3 s, 4th in a row; next try in 3.8 s; 12
    of 16 left
 3  job      -  completed  -              0      -         -
"
        );
        assert_eq!(
            shown(&example(), Some(30)),
            "\
id  name   state      restarts
 0  api:0  online            0
 1  api:1  online            0
 2  web    backoff           4
    exit 1 after 0.3 s, 4th in
    a row; next try in 3.8 s;
    12 of 16 left
 3  job    completed         0
"
        );
    }

    #[test]
    fn a_long_name_is_cut_before_its_state() {
        let long = status(vec![app("a-very-long-name-indeed", vec![instance(0, State::Online)])]);
        assert_eq!(shown(&long, Some(22)), "id  name        state\n 0  a-very-lo…  online\n");
        assert_eq!(shown(&long, Some(8)), "id  name\n 0  a-v…\n");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let evil = status(vec![app("a\u{1b}[2Jb\n", vec![instance(0, State::Stopped)])]);
        assert!(shown(&evil, None).contains("a\\u{1b}[2Jb\\n  fork"));
    }

    #[test]
    fn colours_stand_around_words_only() {
        let one = status(vec![app("web", vec![instance(0, State::Errored)])]);
        let mut out = String::new();
        render(&mut out, &one, Screen { width: None, colour: true });
        assert!(out.contains("\u{1b}[31merrored\u{1b}[0m"), "{out:?}");
    }

    #[test]
    fn no_apps_and_an_end_in_sight_are_told() {
        let mut none = status(Vec::new());
        none.state = "stopping".to_string();
        assert_eq!(shown(&none, Some(80)), "no apps\nthe supervisor is stopping\n");
    }

    #[test]
    fn only_what_should_run_and_does_not_is_a_failure() {
        let with = |state| exit_status(&status(vec![app("web", vec![instance(0, state)])]));
        for state in [State::Waiting, State::Backoff, State::Errored] {
            assert_eq!(with(state), 3);
        }
        for state in
            [State::Launching, State::Online, State::Stopping, State::Stopped, State::Completed]
        {
            assert_eq!(with(state), 0);
        }
    }

    fn any_state() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Waiting),
            Just(State::Launching),
            Just(State::Online),
            Just(State::Stopping),
            Just(State::Stopped),
            Just(State::Backoff),
            Just(State::Errored),
            Just(State::Completed),
        ]
    }

    fn any_exit() -> impl Strategy<Value = Option<LastExit>> {
        let how = prop_oneof![
            any::<i32>().prop_map(|code| How::Code { code }),
            (".*", any::<bool>(), any::<bool>()).prop_map(|(signal, core, oom)| How::Signal {
                signal,
                core,
                oom
            }),
            ".*".prop_map(|spawn| How::Spawn { spawn }),
        ];
        let exit = (how, any::<u64>()).prop_map(|(how, uptime_ms)| LastExit {
            how,
            at: String::new(),
            uptime_ms,
        });
        prop::option::of(exit)
    }

    fn any_instance() -> impl Strategy<Value = InstanceStatus> {
        let numbers = (any::<u32>(), any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>());
        let more = (any::<Option<u32>>(), any::<Option<u64>>(), any::<u64>(), any::<bool>());
        let lists = (prop::collection::vec(".*", 0..3), prop::collection::vec(any::<u16>(), 0..4));
        (any_state(), any_exit(), numbers, more, lists).prop_map(|(state, exit, n, m, lists)| {
            InstanceStatus {
                pid: n.1,
                uptime_ms: n.2,
                restarts: n.3,
                unstable_restarts: n.4,
                max_restarts: m.0,
                next_restart_ms: m.1,
                kill_in_ms: m.1,
                memory_bytes: m.2,
                ready: m.3,
                last_exit: exit,
                waits_for: lists.0,
                ports: lists.1,
                ..instance(n.0, state)
            }
        })
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_screen(
            apps in prop::collection::vec(
                (".*", ".*", prop::collection::vec(any_instance(), 0..4)),
                0..5,
            ),
            width in 1_usize..150,
        ) {
            let apps = apps.into_iter().map(|(name, namespace, instances)| {
                let mut app = app(&name, instances);
                app.namespace = namespace;
                app
            });
            let shown = shown(&status(apps.collect()), Some(width));
            for line in shown.lines() {
                // "no apps" is as short as it gets.
                prop_assert!(columns(line) <= width.max(7), "{width}: {line:?}");
                prop_assert_eq!(line.trim_end_matches(' '), line);
            }
        }
    }
}
