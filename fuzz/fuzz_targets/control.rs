//! Whatever bytes a client sends as a request, and a supervisor as a reply: understood or
//! refused, never a panic, and what was understood means the same when it is said again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rsm_init::protocol::control::{Reply, Request, parse};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(op) = parse(bytes) {
        let _ = op.changes_something();
        let again = serde_json::to_vec(&Request::new(op.clone())).expect("a request is plain data");
        assert_eq!(parse(&again), Ok(op));
    }
    let _ = serde_json::from_slice::<Reply>(bytes);
});
