//! Real programs in a Debian container: node, python and nginx are started, serve, and are
//! stopped cleanly. The configs are those of `examples/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(missing_docs)]

mod support;

use std::time::Duration;
use support::docker::{Container, Plan, jackblog};
use support::*;

/// What `url` answers inside the container, once it does.
fn get(container: &Container, url: &str) -> String {
    let program = "import sys,urllib.request;\
        sys.stdout.write(urllib.request.urlopen(sys.argv[1],timeout=5).read().decode())";
    eventually(url, || {
        let outcome = container.exec(&["python3", "-c", program, url]);
        (outcome.code == 0).then_some(outcome.out)
    })
}

fn stop(container: &Container) -> Duration {
    let watch = Watch::start();
    let outcome = container.docker("stop", &["-t", "20"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    watch.elapsed()
}

/// An example's folder, mounted, with its `process.json` as the config.
fn example(name: &str) -> Plan {
    let mount = format!("{ROOT}/examples/{name}:/example:ro");
    Plan::image(&jackblog())
        .with(&["-v", &mount, "--workdir", "/", "--entrypoint", "/rsm-init"])
        .then(&["/example/process.json"])
}

#[test]
fn the_debian_image_serves_is_healthy_and_stops() {
    needs!("debian", "node");
    let container = Plan::image(&jackblog())
        .with(&["--health-interval", "1s", "--health-timeout", "20s"])
        .start();
    container.expect("listening on 9000");
    assert!(get(&container, "http://127.0.0.1:9000/").contains("\"mode\":\"production\""));
    eventually("healthy", || {
        (container.inspect("{{.State.Health.Status}}") == "healthy").then_some(())
    });
    let log = container.exec(&["cat", "/app/logs/pm2-out.log"]).out;
    assert!(log.contains(": listening on 9000"), "stamped: {log:?}");
    let pid = container.exec(&["cat", "/app/logs/jackblog-api-0.pid"]).out;
    let status = container.status();
    assert_eq!(pid.trim(), status["apps"][0]["instances"][0]["pid"].to_string(), "{status}");
    assert!(stop(&container) < Duration::from_secs(8));
    let (code, out, err) = container.exit_and_output();
    assert_eq!(code, 0, "{err:?}");
    assert!(out.iter().any(|l| l.contains("SIGINT: closing")), "{out:?}");
}

#[test]
fn node_python_and_nginx_side_by_side_as_nobody_in_particular() {
    needs!("debian", "node"); // 58, 60
    let container = example("mixed").with(&["--user", "12345", "--cap-drop", "ALL"]).start();
    assert_eq!(get(&container, "http://127.0.0.1:8080/"), "hello from nginx\n");
    assert_eq!(get(&container, "http://127.0.0.1:8080/node"), "hello from node\n");
    assert_eq!(get(&container, "http://127.0.0.1:8080/python"), "hello from python\n");
    assert!(stop(&container) < Duration::from_secs(8));
    let (code, out, err) = container.exit_and_output();
    assert_eq!(code, 0, "{err:?}");
    for goodbye in ["node ends", "python ends"] {
        assert!(out.iter().any(|l| l.contains(goodbye)), "{goodbye}: {out:?}");
    }
}

#[test]
fn the_echo_example_counts_the_cpus_it_may_use() {
    needs!("debian", "node");
    let container = example("echo").with(&["--cpuset-cpus", "0"]).start();
    container.expect("ok");
    container.expect("bus: here");
    container.await_state("api", "online");
    let status = container.status();
    let count = |name: &str| {
        let apps = status["apps"].as_array().unwrap();
        apps.iter().find(|a| a["name"] == name).unwrap()["instances"].as_array().unwrap().len()
    };
    assert_eq!((count("echo"), count("api"), count("bus")), (1, 4, 1), "{status}");
    container.expect("bus: here"); // it broke down and came back
    assert!(stop(&container) < Duration::from_secs(8));
    assert_eq!(container.exit(), 0);
}

#[test]
fn the_quickstart_runs_in_sh() {
    needs!("debian");
    let container = example("quickstart").start();
    container.expect("clock runs");
    container.expect_times(2, " of 2 runs");
    container.expect("tick");
    container.await_state("setup", "completed");
    assert_eq!(container.exec(&["rsm-init", "ctl", "status"]).code, 0);
    assert!(stop(&container) < Duration::from_secs(8));
    let (code, out, _) = container.exit_and_output();
    assert_eq!(code, 0);
    assert!(out.iter().any(|l| l.contains("clock stops")), "{out:?}");
}
