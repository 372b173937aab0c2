//! `rsm-init check`, on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use rsm_init::check;
use serde_json::{Value, json};

/// A directory of its own for one test, gone afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("rsm-init-check-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> OsString {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.into()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(args: &[OsString]) -> (u8, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = check::main(args, &|| 3, false, &mut out, &mut err);
    (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn a_good_file_is_summed_up() {
    let folder = Folder::new("good");
    folder.file("run", "#!/bin/sh\n");
    let file = folder.file(
        "process.json",
        "[{script:'./run', name:'a'}, {script:'./run', name:'b', instances:'max', colour:1}]",
    );
    let (status, out, err) = run(std::slice::from_ref(&file));
    assert_eq!((status, &*out), (0, "2 apps, 4 instances, 1 warning; ok\n"));
    assert!(err.ends_with(":1:74: apps[1] \"b\": \"colour\": unknown key\n"), "{err}");
    assert_eq!(run(&["--strict".into(), file]).0, 78);
}

#[test]
fn json_shows_times_in_ms_sizes_in_bytes_and_args_as_arrays() {
    let folder = Folder::new("json");
    folder.file("run", "#!/bin/sh\n");
    let text = "{apps:[{script:'./run', args:'-d 1', min_uptime:'5s', max_memory_restart:'300MB', instances:'max', error:'e.log', env_p:{A:1}}], init:{shutdown_timeout:'1m'}}";
    let file = folder.file("process.json", text);
    let (status, out, _) = run(&["--json".into(), "--env=p".into(), file]);
    assert_eq!(status, 0);
    let shown: Value = serde_json::from_str(&out).unwrap();
    let app = &shown["apps"][0];
    for (key, value) in [
        ("name", json!("run")),
        ("args", json!(["-d", "1"])),
        ("min_uptime", json!(5000)),
        ("max_memory_restart", json!(300 * 1024 * 1024)),
        ("instances", json!(0)),
        ("instances_effective", json!(3)),
        ("exec_mode", json!("fork_mode")),
        ("error_file", json!("e.log")),
        ("env", json!({"A": 1})),
        ("kill_timeout", json!(8000)),
        ("kill_signal", json!("SIGTERM")),
        ("script_found", json!("config directory")),
    ] {
        assert_eq!(app[key], value, "{key}");
    }
    assert_eq!(shown["init"]["shutdown_timeout"], json!(60_000));
    assert_eq!(shown["warnings"].as_array().unwrap().len(), 1);
}

#[test]
fn faults_go_to_stderr_and_as_json_to_stdout() {
    let folder = Folder::new("bad");
    let file = folder.file("process.json", "{script:'x', instances:[]}");
    let (status, out, err) = run(&["--json".into(), file]);
    assert_eq!(status, 78);
    assert!(err.starts_with("rsm-init: cannot use "), "{err}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["faults"][0]["column"], json!(24));
}

#[test]
fn files_that_are_no_text_are_refused() {
    let folder = Folder::new("binary");
    let path = folder.0.join("process.json");
    for (bytes, reason) in [
        (&b"\xff\xfe{\0"[..], "it is UTF-16"),
        (b"{\n\xc3(", "line 2 is not UTF-8"),
        (&[b' '; 9 << 20], "larger than 8 MiB"),
    ] {
        fs::write(&path, bytes).unwrap();
        let (status, _, err) = run(&[path.clone().into()]);
        assert_eq!(status, 78);
        assert!(err.contains(reason), "{err}");
    }
    let (status, _, err) = run(&[folder.0.clone().into()]);
    assert_eq!(status, 78);
    assert!(err.contains("it is a directory"), "{err}");
}
