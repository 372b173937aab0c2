//! Which role am I called as, and with which status do I end.
//!
//! There is no `fn main`: std's start-up would ignore SIGPIPE, open what is closed and
//! abort where there is no `/dev/null`, all before we could look at what we were given.
#![no_main]
#![allow(unsafe_code, reason = "the program's entry as the C library calls it")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use rsm_init::roles;

/// The entry of the program.
///
/// # Safety
/// Called once, by the C library, with the arguments that the kernel gave us.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, words: *const *const c_char) -> c_int {
    let count = usize::try_from(count).unwrap_or(0);
    let word = |index| {
        // SAFETY: the kernel gives `count` null-terminated strings.
        let word = unsafe { CStr::from_ptr(*words.add(index)) };
        OsStr::from_bytes(word.to_bytes()).to_owned()
    };
    let words: Vec<OsString> = (0..count).map(word).collect();
    c_int::from(roles::main(&words))
}
