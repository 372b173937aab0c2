//! Promises about configs nobody thought of.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod config_support;

use std::time::{Duration, Instant};

use config_support::Machine;
use proptest::prelude::*;
use serde_json::{Value, json};

fn env_of(text: &str) -> Value {
    let mut machine = Machine::new();
    machine.file("/srv/a.js", b"");
    machine.explain(text).unwrap_or_else(|faults| panic!("{faults}")).1["apps"][0]["env"].clone()
}

/// Any JSON value without NUL characters and duplicate keys. Whole numbers are those that JavaScript has.
fn any_json() -> impl Strategy<Value = Value> {
    let text = "[^\u{0}]{0,12}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53) + 1..1_i64 << 53).prop_map(Value::from),
        (-1e9..1e9_f64)
            .prop_filter("whole numbers print otherwise", |number| number.fract() != 0.0)
            .prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(text, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*") {
        let _ = Machine::new().load(&text);
    }

    #[test]
    fn no_mixture_of_tokens_makes_it_panic(tokens in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "'", "`", "\\", "${", "//", "/*", "*/", "\n", "\r", "apps", "script", "name", "env", "'a'", "\"b\"",
        "5", "-", "+", ".5", "0x", "1e", "null", "undefined", "NaN", "Infinity", "(", ")", "||", "...", ";", "\\u0000", "\\ud800", "\u{feff}", "é", "/",
        "instances", "depends_on", "init", "deploy", "\0",
    ]), 0..60)) {
        let _ = Machine::new().load(&tokens.concat());
    }

    #[test]
    fn any_bytes_that_are_text_are_fine(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Machine::new().load(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn json_means_itself(value in any_json()) {
        let text = json!({"script": "a.js", "env": {"VALUE": value}});
        prop_assert_eq!(&env_of(&text.to_string())["VALUE"], &value);
        prop_assert_eq!(&env_of(&format!("{text:#}"))["VALUE"], &value);
    }

    #[test]
    fn times_survive_every_unit(count in 0_u64..3000) {
        let mut machine = Machine::new();
        machine.file("/srv/a.js", b"");
        for (unit, factor) in [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000), ("", 1)] {
            let app = machine.app(&format!("{{script:'a.js', kill_timeout:'{count}{unit}'}}"));
            prop_assert_eq!(app.stop.kill_timeout, Duration::from_millis(count * factor));
        }
    }

    #[test]
    fn args_keep_every_character_that_is_no_blank_or_quote(text in "[a-z \"'=-]{0,40}") {
        let mut machine = Machine::new();
        machine.file("/srv/a.js", b"");
        let app = machine.app(&json!({"script": "a.js", "args": text}).to_string());
        let plain = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'')).collect::<String>();
        prop_assert_eq!(plain(&app.command.argv[2..].concat()), plain(&text));
    }
}

#[test]
fn hostile_texts_take_linear_time() {
    let mut machine = Machine::new();
    machine.file("/srv/a.js", b"");
    let args = |text: String| json!({"script": "a.js", "args": text}).to_string();
    let keys: String = (0..100_000).map(|number| format!("k{}: 1,", number / 2)).collect();
    let texts = [
        args("\"".repeat(100_001)),
        args("a=\"".repeat(40_000)),
        args("=".repeat(100_000)),
        args("'\"".repeat(50_000)),
        args("x ".repeat(100_000)),
        format!("{{script:'a.js', env:{{{keys}}}, env_p:{{{keys}}}}}"),
        format!("{{deploy:{}", "[(".repeat(500_000)),
        format!("[{}", "a.b(".repeat(200_000)),
        "/*".repeat(500_000),
        format!("{{x: {}1}}", "1+".repeat(500_000)),
        format!("[{}]", "/a/,".repeat(200_000)),
        "[".repeat(1_000_000),
        "\"\\".repeat(500_000),
    ];
    machine.env_name = Some("p".into());
    for text in texts {
        let start = Instant::now();
        let _ = machine.load(&text);
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(5),
            "{took:?} for {}…",
            text.chars().take(40).collect::<String>()
        );
    }
}

#[test]
fn ten_thousand_apps_that_need_each_other_are_fine() {
    let apps: Vec<Value> = (0..10_000)
        .map(|number: u32| json!({"name": format!("a{number}"), "script": "a.js", "depends_on": if number == 0 { vec![] } else { vec![format!("a{}", number - 1)] }}))
        .collect();
    let mut machine = Machine::new();
    machine.file("/srv/a.js", b"");
    let loaded = machine.load(&Value::from(apps).to_string()).unwrap();
    assert_eq!(loaded.spec.apps.len(), 10_000);
    let same = format!("[{}]", "{script:'a.js'},".repeat(10_000));
    assert_eq!(machine.load(&same).unwrap().spec.apps[9_999].name.as_ref(), "a-10000");
}
