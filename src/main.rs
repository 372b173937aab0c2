//! Which role am I called as, and with which status do I end.
fn main() {}
