//! Any bytes as a process file: a spec or faults, never a panic.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rsm_init::config::{self, Accounts, Context, Entry, Files, Source, User};

/// Here every third path is something.
struct Anything;

impl Files for Anything {
    fn look(&self, path: &str) -> Option<Entry> {
        match path.len() % 4 {
            0 => Some(Entry::Directory),
            1 => Some(Entry::File { executable: true }),
            2 => Some(Entry::File { executable: false }),
            _ => None,
        }
    }

    fn head(&self, path: &str) -> Vec<u8> {
        // So that the fuzzer can choose the first line of a file, too.
        path.replace('!', "#!").into_bytes()
    }
}

impl Accounts for Anything {
    fn user(&self, name: &str) -> Option<User> {
        let user = User { name: name.into(), uid: 1, gid: 1, home: "/home".into() };
        (name.len() % 2 == 0).then_some(user)
    }

    fn user_by_id(&self, _: u32) -> Option<User> {
        None
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name.len() % 2 == 0).then_some(1)
    }

    fn groups_of(&self, _: &str) -> Vec<u32> {
        vec![2]
    }

    fn own(&self) -> (u32, u32) {
        (0, 0)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let context = Context {
        cwd: Path::new("/srv"),
        env_name: Some("production"),
        only: &[],
        strict: false,
        cpus: &|| 2,
        variables: &|name| Some(format!("/{name}")),
        files: &Anything,
        accounts: &Anything,
    };
    match config::explain(&[Source::new(Path::new("f.json"), text)], &context) {
        Ok((_, effective)) => drop(effective.to_string()),
        Err(faults) => drop(faults.render(true)),
    }
});
