//! Every probe of one feature, against what PM2 7 makes of it.
//!
//! `NAME.expected.json` holds PM2's verdict. What PM2 takes, we take with the same values;
//! what it refuses, we refuse. The exceptions stand in the two tables, each with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod config_support;

use std::fs;
use std::path::Path;

use config_support::Machine;
use serde_json::{Value, json};

/// File, key, our value, and why it is not PM2's. A value of null: the key may have any value.
fn other_values() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    vec![
        (
            "k-run_as_user",
            "env",
            json!({"HOME": "/nonexistent"}),
            "the old name of uid still means uid",
        ),
        ("k-stopExitCodes", "stop_exit_codes", json!([1]), "a list stays a list"),
        (
            "script-with-space",
            "args",
            json!(["-c", "sleep 5 \"$@\"", "sleep 5", "lost"]),
            "PM2 loses the arguments",
        ),
        ("v-env-01", "env", json!({"X": "1"}), "PM2 makes one variable of each character"),
        ("v-restart_delay-04", "restart_delay", json!(0), "there is no negative time"),
        (
            "v-stop_exit_codes-04",
            "stop_exit_codes",
            json!([0, 143]),
            "numbers, however they were written",
        ),
        ("v-stop_exit_codes-06", "stop_exit_codes", json!([]), "PM2 makes NaN of an empty list"),
        ("v-watch-02", "watch", json!(true), "PM2 watches a path named true"),
        ("v-watch-03", "watch", json!(false), "PM2 watches a path named false"),
        ("v-watch-04", "watch", json!(false), "an empty string means not given"),
    ]
}

/// What PM2 refuses or cannot cope with, and we take: the plain meaning is clear.
const ACCEPTED: &[(&str, &str)] = &[
    ("trailing-semicolon", "harmless"),
    ("v-autorestart-04", "0 is false"),
    ("v-autorestart-05", "1 is true"),
    ("v-disable_logs-01", "\"true\" is true"),
    ("v-gid-00", "a group without a user"),
    ("v-max_memory_restart-03", "MB"),
    ("v-max_memory_restart-05", "a decimal"),
    ("v-merge_logs-02", "\"true\" is true"),
    ("v-merge_logs-03", "1 is true"),
    ("v-name-00", "a number is a fine name"),
    ("v-restart_delay-03", "a time with a unit"),
    ("v-stop_exit_codes-05", "codes in a string"),
];

/// What PM2 takes at this stage and fails on later, without saying where; or a key that it has not.
const REFUSED: &[(&str, &str)] = &[
    ("empty-object", "names no script"),
    ("k-depends_on", "depends on an app that does not exist; the key is ours"),
    ("no-script", "names no script"),
    ("number", "is no config"),
    ("script-empty", "names no script"),
    ("string", "is no config"),
];

#[test]
fn every_probe_agrees_with_pm2_or_is_a_known_exception() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/probes"));
    let mut machine = Machine::new();
    for script in ["a.js", "ok.js"] {
        machine.file(&format!("/srv/{script}"), b"");
    }
    let mut complaints = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(name) = name.strip_suffix(".json").filter(|name| !name.ends_with(".expected"))
        else {
            continue;
        };
        count += 1;
        let text = fs::read_to_string(&path).unwrap();
        let expected = fs::read_to_string(folder.join(format!("{name}.expected.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let is_ok = expected["stage"] == "ok";
        match machine.explain(&text) {
            Err(faults) if is_ok && !REFUSED.iter().any(|(refused, _)| *refused == name) => {
                complaints.push(format!("{name}: {faults}"))
            }
            Ok(_) if !is_ok && !ACCEPTED.iter().any(|(accepted, _)| *accepted == name) => {
                complaints.push(format!("{name}: accepted"))
            }
            Ok((_, ours)) if is_ok => {
                if REFUSED.iter().any(|(refused, _)| *refused == name) {
                    complaints.push(format!("{name}: is in REFUSED and was not refused"));
                }
                compare(name, &expected["verified"], &ours["apps"], &mut complaints);
            }
            Ok(_) | Err(_) => {}
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(count, 158);
}

fn compare(name: &str, theirs: &Value, ours: &Value, complaints: &mut Vec<String>) {
    let (theirs, ours) = (theirs.as_array().unwrap(), ours.as_array().unwrap());
    if theirs.len() != ours.len() {
        complaints.push(format!("{name}: {} apps, PM2 has {}", ours.len(), theirs.len()));
        return;
    }
    let others = other_values();
    for (theirs, ours) in theirs.iter().zip(ours) {
        for (key, value) in theirs.as_object().unwrap() {
            let other = others.iter().find(|(file, other, ..)| *file == name && *other == key);
            let expected = other.map_or(value, |(_, _, value, _)| value);
            let got = ours.get(key).unwrap_or(&Value::Null);
            if got != expected {
                complaints.push(format!("{name}: {key}: {got}, expected {expected}"));
            }
        }
    }
}
