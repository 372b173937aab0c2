//! What people read when a config is wrong: `errors/NAME.json` gives `errors/NAME.stderr`.
//!
//! After a change of wording: `UPDATE_GOLDEN=1 cargo test --test config_errors`, and read the diff.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod config_support;

use std::fs;
use std::path::Path;

use config_support::Machine;

fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.file("/srv/a.js", b"");
    machine
}

#[test]
fn every_wrong_config_says_what_is_wrong_and_where() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/config/errors"));
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut complaints = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let Err(faults) = machine().load_named(name, &text) else {
            complaints.push(format!("{name}: accepted"));
            continue;
        };
        let (said, golden) = (faults.render(true), path.with_extension("stderr"));
        if update {
            fs::write(golden, said).unwrap();
        } else if fs::read_to_string(golden).unwrap_or_default() != said {
            complaints.push(format!("{name} now says:\n{said}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn one_mistake_in_each_of_ten_apps_makes_ten_faults() {
    let faults = machine().faults(include_str!("fixtures/config/errors/ten-apps.json"));
    assert_eq!(faults.len(), 10);
    for (index, fault) in faults.iter().enumerate() {
        let line = 6 + 5 * index;
        assert!(fault.starts_with(&format!("{line}:")), "{fault}");
        assert!(fault.contains(&format!("apps[{index}] \"app{index}\": ")), "{fault}");
    }
}

#[test]
fn unknown_keys_are_warnings_with_a_guess_and_faults_when_strict() {
    let text = "{script:'a.js', instnaces:2, autoRestart:false, instance:1, max_memory:'1G', colour:'red'}";
    let warnings = machine().warnings(text);
    let expected = [
        "\"instnaces\": unknown key; did you mean \"instances\"?",
        "\"autoRestart\": unknown key; did you mean \"autorestart\"?",
        "\"instance\": unknown key; did you mean \"instances\"?",
        "\"max_memory\": unknown key; did you mean \"max_memory_restart\"?",
        "\"colour\": unknown key",
    ];
    assert_eq!(warnings, expected);
    let mut strict = machine();
    strict.strict = true;
    assert_eq!(strict.faults(text).len(), 5);
    assert_eq!(strict.faults("[{script:'a.js'},{script:'a.js'}]").len(), 1);
}

#[test]
fn other_languages_are_refused_by_name() {
    for (name, language) in [
        ("process.yml", "YAML"),
        ("a.yaml", "YAML"),
        ("ecosystem.config.js", "JavaScript"),
        ("x.config.mjs", "JavaScript"),
    ] {
        let faults = machine().load_named(name, "a: 1").unwrap_err();
        assert!(
            faults.to_string().contains(&format!("{language} config is not supported yet")),
            "{faults}"
        );
    }
    assert!(machine().load_named("x.json.bak", "{script:'a.js'}").is_ok());
}

#[test]
fn faults_of_all_files_come_together_in_order() {
    let machine = machine();
    let texts =
        [("one.json", "{"), ("two.json", "[{script:'a.js',instances:[]}]"), ("three.json", "5")];
    let sources: Vec<_> = texts
        .iter()
        .map(|(path, text)| rsm_init::config::Source::new(Path::new(path), text))
        .collect();
    let faults = machine.with(|context| rsm_init::config::load(&sources, context)).unwrap_err();
    let files: Vec<_> = faults.faults.iter().map(|fault| &*fault.file).collect();
    assert_eq!(files, ["one.json", "two.json", "three.json"]);
    assert!(
        faults
            .render(false)
            .starts_with("rsm-init: cannot use one.json, two.json, three.json: 3 faults\n")
    );
}

#[test]
fn millions_of_faults_are_counted_not_kept() {
    let faults = machine().load(&format!("[{}]", ",".repeat(100_000))).unwrap_err();
    assert_eq!((faults.faults.len(), faults.more), (1000, 99_000));
    let many = format!("[{}]", "{},".repeat(10_001));
    assert!(machine().faults(&many)[0].contains("more than 10000 apps"));
}
