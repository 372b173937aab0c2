//! What a process file means.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod config_support;

use std::path::Path;
use std::time::Duration;

use config_support::Machine;
use rsm_init::config::{self, FlagValue, Source};
use rsm_init::spec::*;

const SECOND: Duration = Duration::from_secs(1);

fn one(keys: &str) -> String {
    format!("{{script: 'a.js', name: 'n', {keys}}}")
}

fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.file("/srv/a.js", b"");
    machine
}

fn app(keys: &str) -> AppSpec {
    machine().app(&one(keys))
}

#[test]
fn an_old_file_with_comments_and_strings_for_booleans_loads_as_written() {
    let mut machine = Machine::new();
    machine.file("/srv/server/app.js", b"");
    let loaded = machine.load(include_str!("fixtures/config/jackblog.json")).unwrap();
    let [app] = &loaded.spec.apps[..] else { panic!() };
    assert_eq!(&*app.name, "jackblog-api");
    assert_eq!(app.command.candidates[..], ["/usr/bin/node".into()]);
    assert_eq!(app.command.argv[..], ["node".into(), "/srv/server/app.js".into()]);
    assert_eq!(app.command.env[..], [("NODE_ENV".into(), "production".into())]);
    assert_eq!(app.exec_mode, ExecMode::Fork);
    assert_eq!(app.logs.out_file.as_deref(), Some("/srv/logs/pm2-out.log"));
    assert_eq!(app.logs.error_file.as_deref(), Some("/srv/logs/pm2-err.log"));
    assert_eq!(app.pid_file.as_deref(), Some("/srv/logs/jackblog-api.pid"));
    assert_eq!(app.logs.date_format.as_deref(), Some("YYYY-MM-DD HH:mm Z"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn an_array_of_apps_with_counts_in_strings_loads_as_written() {
    let mut machine = Machine::new();
    for name in ["echo", "child", "echokill"] {
        machine.file(&format!("/srv/examples/{name}.js"), b"");
    }
    let loaded = machine.load(include_str!("fixtures/config/three.json")).unwrap();
    let counts: Vec<_> =
        loaded.spec.apps.iter().map(|app| (&*app.name, app.instances, app.exec_mode)).collect();
    assert_eq!(
        counts,
        [("echo", 4, ExecMode::Cluster), ("api", 4, ExecMode::Cluster), ("bus", 1, ExecMode::Fork)]
    );
    assert_eq!(loaded.spec.apps[0].restart.max_restarts, Some(10));
    assert_eq!(loaded.spec.apps[0].command.argv[2..], ["-d".into(), "1".into()]);
}

#[test]
fn a_file_full_of_javascript_manners_loads() {
    let mut machine = Machine::new();
    machine.file("/srv/bin/web.js", b"").directory("/srv/web");
    let loaded = machine.load(include_str!("fixtures/config/manners.json5")).unwrap();
    let names: Vec<_> = loaded.spec.apps.iter().map(|app| &*app.name).collect();
    assert_eq!(names, ["wëb", "job", "job-2"]);
    let web = &loaded.spec.apps[0];
    assert_eq!(web.command.env[0].1.as_ref(), "one line in two");
    assert_eq!(web.command.env[1].1.as_ref(), "a\nb");
    assert_eq!(web.restart.min_uptime, SECOND * 120);
    assert_eq!(&*web.command.argv[1], "--max_old_space_size=8192");
    let said: Vec<_> =
        loaded.warnings.iter().map(|warning| (warning.line, &*warning.message)).collect();
    assert_eq!(
        said,
        [
            (10, "the key \"exec_interpreter\" is given again below; this one has no effect"),
            (
                30,
                "apps[2] \"job\": name: \"job\" is taken by an app above; this one is called \"job-2\""
            ),
            (35, "deploy: has JavaScript in it, which is skipped; nothing here uses it"),
        ]
    );
}

#[test]
fn every_shape_of_a_file_is_understood() {
    let machine = machine();
    for text in [
        "[{script:'a.js'}]",
        "{apps:[{script:'a.js'}]}",
        "{apps:{script:'a.js'}}",
        "{pm2:{script:'a.js'}}",
        "{pm2:[{script:'a.js'}]}",
        "{script:'a.js'}",
        "\u{feff}{script:'a.js'};",
        "/* a */ {script:`a.js`,} // b",
        "{\r\n  \"script\": \"a.js\" // c\r\n}\r\n",
    ] {
        assert_eq!(&*machine.app(text).name, "a", "{text}");
    }
    for text in ["[]", "{apps:[]}", "{deploy:{}}", "{init:{}}"] {
        assert_eq!(machine.warnings(text), ["no app to run"], "{text}");
    }
}

#[test]
fn zero_is_a_value() {
    let app = app(
        "max_restarts: 0, kill_timeout: 0, restart_delay: 0, stop_exit_codes: 0, min_uptime: '0'",
    );
    assert_eq!(app.restart.max_restarts, Some(0));
    assert_eq!(app.stop.kill_timeout, Duration::ZERO);
    assert_eq!(app.restart.delay, RestartDelay::Constant(Duration::ZERO));
    assert_eq!(app.restart.stop_exit_codes[..], [0]);
    assert_eq!(app.restart.min_uptime, Duration::ZERO);
}

#[test]
fn defaults_are_those_of_the_contract() {
    let app = machine().app("{script:'a.js'}");
    assert_eq!(&*app.namespace, "default");
    assert_eq!(
        (app.instances, app.exec_mode, app.autostart, app.critical),
        (1, ExecMode::Fork, true, false)
    );
    let restart = RestartPolicy {
        autorestart: true,
        stop_exit_codes: Box::default(),
        min_uptime: SECOND,
        max_restarts: Some(16),
        delay: RestartDelay::BackOff,
    };
    assert_eq!(app.restart, restart);
    assert_eq!(
        app.stop,
        StopPolicy { signal: libc::SIGINT, kill_timeout: SECOND * 8, whole_tree: true }
    );
    assert_eq!(app.logs, LogSpec { merge: true, ..LogSpec::default() });
    assert_eq!(app.pid_file, None);
    assert_eq!(app.command.cwd, None);
    assert_eq!(app.command.instance_var.as_ref(), "NODE_APP_INSTANCE");
}

#[test]
fn times_and_switches_take_every_plain_form() {
    let app = app(
        "restart_delay: '4s', kill_timeout: '1.5s', min_uptime: '1d', autorestart: 'false', treekill: 0, critical: 1, max_restarts: -1",
    );
    assert_eq!(app.restart.delay, RestartDelay::Constant(SECOND * 4));
    assert_eq!(app.stop.kill_timeout, Duration::from_millis(1500));
    assert_eq!(app.restart.min_uptime, SECOND * 86_400);
    assert!(!app.restart.autorestart && !app.stop.whole_tree && app.critical);
    assert_eq!(app.restart.max_restarts, None);
    assert_eq!(
        self::app("restart_delay: 5, exp_backoff_restart_delay: 100").restart.delay,
        RestartDelay::Growing(Duration::from_millis(100))
    );
    assert_eq!(self::app("stop_exit_codes: '0, 143 7'").restart.stop_exit_codes[..], [0, 143, 7]);
}

#[test]
fn counts_follow_the_cpus() {
    for (count, expected) in
        [("'max'", 4), ("0", 4), ("-1", 3), ("-100", 1), ("1.5", 1), ("'6'", 6), ("'many'", 4)]
    {
        assert_eq!(app(&format!("instances: {count}")).instances, expected, "{count}");
    }
    assert_eq!(machine().faults(&one("instances: 10001")).len(), 1);
}

#[test]
fn cluster_is_the_default_only_for_counted_node_apps() {
    let mut machine = machine();
    machine.file("/srv/b.py", b"").program("/srv/www", b"#!/usr/bin/env node\n");
    assert_eq!(machine.app("{script:'a.js', instances: 1}").exec_mode, ExecMode::Cluster);
    assert_eq!(machine.app("{script:'www', instances: 2}").exec_mode, ExecMode::Cluster);
    assert_eq!(machine.app("{script:'b.py', instances: 2}").exec_mode, ExecMode::Fork);
    assert_eq!(
        machine.app("{script:'b.py', exec_mode: 'cluster_mode'}").exec_mode,
        ExecMode::Cluster
    );
    assert_eq!(
        machine.app("{script:'a.js', instances: 2, exec_mode: 'fork'}").exec_mode,
        ExecMode::Fork
    );
}

#[test]
fn the_stop_signal_depends_on_the_runtime_unless_given() {
    let mut machine = machine();
    machine.file("/srv/b.py", b"").program("/usr/bin/sleep", b"\x7fELF\0");
    let signal = |text: &str| machine.app(text).stop.signal;
    assert_eq!(signal("{script:'a.js'}"), libc::SIGINT);
    assert_eq!(signal("{script:'node', args:'x.js'}"), libc::SIGINT);
    assert_eq!(signal("{script:'b.py'}"), libc::SIGTERM);
    assert_eq!(signal("{script:'sleep', args:'5'}"), libc::SIGTERM);
    assert_eq!(signal("{script:'a.js', stop_signal:'quit'}"), libc::SIGQUIT);
    assert_eq!(signal("{script:'a.js', kill_signal:'SIGRTMIN+3'}"), 37);
}

#[test]
fn scripts_are_found_in_the_working_directory_then_beside_the_config_then_in_path() {
    let mut machine = Machine::new();
    machine
        .file("/srv/x.js", b"")
        .file("/etc/app/x.js", b"")
        .file("/etc/app/y.js", b"")
        .file("/etc/app/sub/z.js", b"");
    machine.program("/usr/bin/serve", b"\0").directory("/etc/app/sub").directory("/srv/serve");
    let found = |text: &str| {
        let command = machine.app(text).command;
        (command.found, command.argv.last().unwrap().to_string())
    };
    assert_eq!(found("{script:'x.js'}"), (Found::WorkingDirectory, "/srv/x.js".into()));
    assert_eq!(found("{script:'./y.js'}"), (Found::ConfigDirectory, "/etc/app/y.js".into()));
    assert_eq!(
        found("{script:'z.js', cwd:'sub'}"),
        (Found::WorkingDirectory, "/etc/app/sub/z.js".into())
    );
    assert_eq!(found("{script:'serve'}"), (Found::Path, "/usr/bin/serve".into()));
    assert_eq!(found("{script:'/srv/x.js'}"), (Found::Absolute, "/srv/x.js".into()));
    assert_eq!(found("{script:'gone.js'}"), (Found::Nowhere, "/srv/gone.js".into()));
    let gone = machine.app("{script:'gone.js'}").command;
    assert_eq!(gone.candidates[..], ["/srv/gone.js".into()]);
    assert_eq!(
        machine.warnings("{script:'./gone.js'}"),
        ["script: cannot find \"./gone.js\": there is no \"/srv/gone.js\""]
    );
}

#[test]
fn the_interpreter_comes_from_the_key_the_extension_or_the_file() {
    let mut machine = Machine::new();
    machine
        .file("/srv/a.py", b"")
        .file("/srv/a.rb", b"")
        .file("/srv/a.ts", b"")
        .file("/srv/a.sh", b"");
    machine
        .program("/srv/elf", b"\x7fELF\0")
        .program("/srv/run", b"#!/bin/sh\n")
        .file("/srv/weak", b"#!/bin/sh -e x\n");
    machine.file("/srv/plain", b"console.log(1)").directory("/srv/dir");
    let argv = |text: &str| machine.app(text).command.argv.join(" ");
    assert_eq!(argv("{script:'a.py'}"), "python3 /srv/a.py");
    assert_eq!(argv("{script:'a.ts', args:['x y']}"), "bun /srv/a.ts x y");
    assert_eq!(argv("{script:'a.sh'}"), "bash /srv/a.sh");
    assert_eq!(argv("{script:'elf'}"), "/srv/elf");
    assert_eq!(argv("{script:'run'}"), "/srv/run");
    assert_eq!(argv("{script:'weak'}"), "/bin/sh -e x /srv/weak");
    assert_eq!(argv("{script:'plain', node_args:'--harmony'}"), "node --harmony /srv/plain");
    assert_eq!(argv("{script:'dir'}"), "node /srv/dir");
    assert_eq!(argv("{script:'a.py', interpreter:'none'}"), "/srv/a.py");
    assert_eq!(
        argv("{script:'a.py', interpreter:'', exec_interpreter:'./venv/python'}"),
        "./venv/python /srv/a.py"
    );
    assert_eq!(
        machine.warnings("{script:'a.rb'}"),
        ["script: cannot find interpreter \"ruby\" in PATH"]
    );
    assert_eq!(
        machine.app("{script:'a.rb'}").command.candidates[..],
        ["/usr/local/bin/ruby".into()]
    );
    assert_eq!(
        machine.app("{script:'a.py'}").command.env[..],
        [("PYTHONUNBUFFERED".into(), "1".into())]
    );
}

#[test]
fn without_bash_and_node_the_next_best_is_taken() {
    let mut machine = Machine::new();
    machine.file("/srv/a.sh", b"").file("/srv/plain", b"echo 1");
    machine.remove("/usr/bin/bash").remove("/usr/bin/node");
    assert_eq!(machine.app("{script:'a.sh'}").command.argv.join(" "), "sh /srv/a.sh");
    assert_eq!(machine.app("{script:'plain'}").command.argv.join(" "), "sh /srv/plain");
    assert_eq!(
        machine.app("{script:'sleep 5'}").command.argv[..],
        ["sh".into(), "-c".into(), "sleep 5".into()]
    );
}

#[test]
fn a_script_with_a_space_is_a_command_line_unless_such_a_file_exists() {
    let mut machine = Machine::new();
    let argv = |machine: &Machine, text: &str| {
        machine.app(text).command.argv.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(argv(&machine, "{script:'npm run start'}"), ["bash", "-c", "npm run start"]);
    assert_eq!(
        argv(&machine, "{script:'npm run start', args:'a.json'}"),
        ["bash", "-c", "npm run start \"$@\"", "npm run start", "a.json"]
    );
    machine.file("/srv/my app.js", b"");
    assert_eq!(argv(&machine, "{script:'my app.js'}"), ["node", "/srv/my app.js"]);
}

#[test]
fn variables_come_from_env_then_deploy_then_the_chosen_environment() {
    let mut machine = machine();
    let text = "{apps:[{script:'a.js', env:{A:1,B:true,C:null,D:{x:[1,'y']},E:1e21,F:'f'}, env_prod:{F:'p',G:''}, port:'80'}], deploy:{prod:{env:{A:'d',F:'d'}}}}";
    let env = |machine: &Machine| {
        machine
            .app(text)
            .command
            .env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        env(&machine),
        ["A=1", "B=true", "D={\"x\":[1,\"y\"]}", "E=1e+21", "F=f", "PORT=80"]
    );
    machine.env_name = Some("prod".into());
    assert_eq!(
        env(&machine),
        ["A=d", "B=true", "D={\"x\":[1,\"y\"]}", "E=1e+21", "F=p", "G=", "PORT=80"]
    );
    machine.env_name = Some("gone".into());
    assert_eq!(machine.warnings("{script:'a.js'}"), ["no app has an \"env_gone\""]);
    machine.env_name = Some("dev".into());
    assert_eq!(&*machine.app(&one("append_env_to_name: true")).name, "n-dev");
}

#[test]
fn a_path_of_its_own_decides_where_programs_are() {
    let mut machine = machine();
    machine.program("/opt/node/bin/node", b"\0");
    let app = machine.app(&one("env: {PATH: '/opt/node/bin:relative:/usr/bin'}"));
    assert_eq!(app.command.candidates[..], ["/opt/node/bin/node".into(), "/usr/bin/node".into()]);
}

#[test]
fn log_files_exist_only_if_named_or_below_pm2_home() {
    let mut machine = machine();
    machine.directory("/srv/sub");
    let logs = machine.app(&one("cwd:'sub', out:'logs/../o.log', error_file:'~/e.log', log_file:'/var/all.log', time:true, log_date_format:'X', pid:'p.pid'"));
    assert_eq!(logs.logs.out_file.as_deref(), Some("/srv/sub/o.log"));
    assert_eq!(logs.logs.error_file.as_deref(), Some("/root/e.log"));
    assert_eq!(logs.logs.log_file.as_deref(), Some("/var/all.log"));
    assert_eq!(logs.logs.date_format.as_deref(), Some("YYYY-MM-DDTHH:mm:ss"));
    assert_eq!(logs.pid_file.as_deref(), Some("/srv/sub/p.pid"));
    assert_eq!(
        machine.app(&one("out_file:'NULL', error_file:'/dev/null', log_file:true")).logs.log_file,
        None
    );
    machine.variables.insert("PM2_HOME".into(), "/pm2".into());
    let named =
        machine.app("{script:'a.js', name:'crash me', log_file:true, error_file:'/dev/null'}");
    assert_eq!(named.logs.out_file.as_deref(), Some("/pm2/logs/crash-me-out.log"));
    assert_eq!(named.logs.error_file, None);
    assert_eq!(named.logs.log_file.as_deref(), Some("/pm2/logs/crash-me.log"));
    assert_eq!(named.pid_file.as_deref(), Some("/pm2/pids/crash-me.pid"));
}

#[test]
fn log_modes_and_formats() {
    assert_eq!(app("disable_logs:'true', log_mode:'inherit'").logs.mode, LogMode::Discard);
    assert_eq!(app("log_mode:'inherit'").logs.mode, LogMode::Inherit);
    assert_eq!(app("log_format:'raw'").logs.format, Some(LogFormat::Raw));
    let loaded = machine().load("{apps:[{script:'a.js'},{name:'b',script:'a.js',log_format:'raw'}], init:{log_format:'prefix'}}").unwrap();
    let formats: Vec<_> = loaded.spec.apps.iter().map(|app| app.logs.format).collect();
    assert_eq!(formats, [Some(LogFormat::Prefix), Some(LogFormat::Raw)]);
}

#[test]
fn users_become_numbers() {
    let identity = |keys: &str| app(keys).command.identity.unwrap();
    let web = identity("user:'web'");
    assert_eq!(
        (web.uid, web.gid, &web.groups[..], web.home.as_deref()),
        (1000, 1000, &[50][..], Some("/home/web"))
    );
    assert_eq!(app("uid:'web'").command.env[..], [("HOME".into(), "/home/web".into())]);
    let by_number = identity("uid:1000, gid:'daemon', groups:['logs', 7]");
    assert_eq!((by_number.uid, by_number.gid, &by_number.groups[..]), (1000, 1, &[50, 7][..]));
    let unknown = identity("uid:'4711'");
    assert_eq!((unknown.uid, unknown.gid, unknown.home), (4711, 0, None));
    assert_eq!(identity("uid:0").uid, 0);
    assert_eq!(identity("user:'nobody:logs'").gid, 50);
    assert_eq!(identity("group:'logs'").gid, 50);
    assert_eq!(
        machine().faults(&one("user:'nobdy'")),
        ["1:34: \"n\": user: no user \"nobdy\" in /etc/passwd"]
    );
}

#[test]
fn filters_of_the_environment() {
    assert_eq!(app("filter_env: true").command.filter_env, FilterEnv::DropAll);
    assert_eq!(
        app("filterEnv: ['AWS_', 'X']").command.filter_env,
        FilterEnv::Containing(["AWS_".into(), "X".into()].into())
    );
    assert_eq!(app("filter_env: 'SECRET'").command.filter_env, FilterEnv::Named("SECRET".into()));
    assert_eq!(app("filter_env: false").command.filter_env, FilterEnv::Keep);
}

#[test]
fn settings_of_the_supervisor() {
    let text = "{apps:[], init:{shutdown_timeout:'9s', socket:'/s', socket_mode:'0660', socket_group:'daemon', termination_log:'', exit_when_idle:'false', forward_signals:['HUP','SIGUSR2', 10]}}";
    let init = machine().load(text).unwrap().spec.init;
    let expected = InitSpec {
        shutdown_timeout: Some(SECOND * 9),
        socket: Some("/s".into()),
        socket_mode: 0o660,
        socket_group: Some(1),
        termination_log: "".into(),
        exit_when_idle: false,
        forward_signals: [1, 10, 12].into(),
    };
    assert_eq!(init, expected);
    assert_eq!(machine().load("[]").unwrap().spec.init, InitSpec::default());
}

#[test]
fn dependencies_are_ready_unless_said_otherwise() {
    let text = "[{name:'db',script:'a.js'},{name:'seed',script:'a.js',depends_on:['db']},{name:'web',script:'a.js',depends_on:{seed:'completed',db:'started'}}]";
    let apps = machine().load(text).unwrap().spec.apps;
    let needs: Vec<_> = apps
        .iter()
        .flat_map(|app| app.depends_on.iter().map(|need| (&*need.app, need.condition)))
        .collect();
    assert_eq!(
        needs,
        [("db", Condition::Ready), ("seed", Condition::Completed), ("db", Condition::Started)]
    );
}

#[test]
fn only_chooses_by_name() {
    let mut machine = machine();
    let text = "[{name:'a',script:'a.js'},{name:'b',script:'a.js',depends_on:['a']},{name:'c',script:'a.js'}]";
    machine.only = vec!["c,b".into()];
    let loaded = machine.load(text).unwrap();
    let names: Vec<_> = loaded.spec.apps.iter().map(|app| &*app.name).collect();
    assert_eq!(names, ["b", "c"]);
    assert!(loaded.spec.apps[0].depends_on.is_empty());
    assert_eq!(loaded.warnings.len(), 1);
    machine.only = vec!["bb".into()];
    assert_eq!(machine.faults(text).len(), 1);
}

#[test]
fn a_name_that_several_apps_asked_for_is_a_need_for_all_of_them() {
    let text = "[{name:'w',script:'a.js'},{name:'w',script:'a.js'},{name:'x',script:'a.js',depends_on:'w'}]";
    let apps = machine().load(text).unwrap().spec.apps;
    let needs: Vec<_> = apps[2].depends_on.iter().map(|need| &*need.app).collect();
    assert_eq!(needs, ["w", "w-2"]);
}

#[test]
fn several_files_are_one_config() {
    let machine = machine();
    let files = [
        (Path::new("one.json"), "{script:'a.js',name:'one'}"),
        (
            Path::new("two.json"),
            "{apps:[{script:'a.js',name:'two',depends_on:['one']}],init:{socket:'/s'}}",
        ),
    ];
    let sources = files.map(|(path, text)| Source::new(path, text));
    let loaded = machine.with(|context| config::load(&sources, context)).unwrap();
    assert_eq!(loaded.spec.apps.len(), 2);
    assert_eq!(loaded.spec.init.socket.as_deref(), Some("/s"));
}

#[test]
fn a_program_described_by_flags_goes_through_the_same_checks() {
    let machine = machine();
    let words = ["--port".to_owned(), "8 0".to_owned()];
    let flags = [
        ("script", FlagValue::Text("a.js")),
        ("instances", FlagValue::Text("2")),
        ("autorestart", FlagValue::Off),
        ("args", FlagValue::Words(&words)),
    ];
    let loaded = machine.with(|context| config::from_flags(&flags, context)).unwrap();
    let app = &loaded.spec.apps[0];
    assert_eq!((app.instances, app.restart.autorestart), (2, false));
    assert_eq!(app.command.argv[2..], ["--port".into(), "8 0".into()]);
    let flags = [("script", FlagValue::Text("a.js")), ("instances", FlagValue::On)];
    let faults = machine.with(|context| config::from_flags(&flags, context)).unwrap_err();
    assert!(faults.render(true).contains("command line: instances: expected a number"), "{faults}");
}

#[test]
fn keys_of_later_are_kept_and_said_to_do_nothing_only_if_they_would() {
    assert_eq!(machine().warnings(&one("watch:false, wait_ready:false, cron_restart:0, max_memory_restart:0, ignore_watch:'x', log_type:'raw', pmx:false, vizion:true")), [""; 0]);
    let said = machine().warnings(&one("watch:true, ignore_watch:'x', max_memory_restart:'300M', ready:{listen:true}, env_file:'.env'"));
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(said.iter().all(|text| text.ends_with("not acted on yet")));
}
