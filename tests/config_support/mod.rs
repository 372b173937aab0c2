//! A small machine for configs: files, programs and users that exist only here.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use std::path::Path;

use rsm_init::config::{self, Accounts, Context, Entry, Faults, Files, Loaded, Source, User};

/// Everything a config may ask about.
pub struct Machine {
    pub files: FakeFiles,
    pub variables: BTreeMap<String, String>,
    pub env_name: Option<String>,
    pub only: Vec<String>,
    pub strict: bool,
    pub cpus: u32,
}

#[derive(Default)]
pub struct FakeFiles(BTreeMap<String, (Entry, Vec<u8>)>);

impl Machine {
    /// node, bash, python3 and a few more in /usr/bin; working directory /srv; nothing in it.
    pub fn new() -> Self {
        let variables = [("PATH", "/usr/local/bin:/usr/bin"), ("HOME", "/root")];
        let mut machine = Self {
            files: FakeFiles::default(),
            variables: variables.map(|(name, value)| (name.into(), value.into())).into(),
            env_name: None,
            only: Vec::new(),
            strict: false,
            cpus: 4,
        };
        for name in ["node", "bash", "sh", "python3", "bun"] {
            machine.program(&format!("/usr/bin/{name}"), b"\x7fELF\0");
        }
        machine
    }

    pub fn program(&mut self, path: &str, head: &[u8]) -> &mut Self {
        self.files.0.insert(path.into(), (Entry::File { executable: true }, head.into()));
        self
    }

    pub fn file(&mut self, path: &str, head: &[u8]) -> &mut Self {
        self.files.0.insert(path.into(), (Entry::File { executable: false }, head.into()));
        self
    }

    pub fn directory(&mut self, path: &str) -> &mut Self {
        self.files.0.insert(path.into(), (Entry::Directory, Vec::new()));
        self
    }

    pub fn remove(&mut self, path: &str) -> &mut Self {
        self.files.0.remove(path);
        self
    }

    pub fn with<T>(&self, act: impl FnOnce(&Context<'_>) -> T) -> T {
        let variables = |name: &str| self.variables.get(name).cloned();
        act(&Context {
            cwd: Path::new("/srv"),
            env_name: self.env_name.as_deref(),
            only: &self.only,
            strict: self.strict,
            cpus: &|| self.cpus,
            variables: &variables,
            files: &self.files,
            accounts: &FakeAccounts,
        })
    }

    /// Loads `text` as /etc/app/process.json.
    pub fn load(&self, text: &str) -> Result<Loaded, Faults> {
        self.load_named("/etc/app/process.json", text)
    }

    pub fn load_named(&self, path: &str, text: &str) -> Result<Loaded, Faults> {
        self.with(|context| config::load(&[Source::new(Path::new(path), text)], context))
    }

    pub fn explain(&self, text: &str) -> Result<(Loaded, serde_json::Value), Faults> {
        let path = Path::new("/etc/app/process.json");
        self.with(|context| config::explain(&[Source::new(path, text)], context))
    }

    /// The only app of `text`.
    pub fn app(&self, text: &str) -> rsm_init::spec::AppSpec {
        let mut loaded = self.load(text).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(loaded.spec.apps.len(), 1);
        loaded.spec.apps.remove(0)
    }

    /// The messages of the faults of `text`.
    pub fn faults(&self, text: &str) -> Vec<String> {
        let faults = self.load(text).expect_err("a fault");
        faults
            .faults
            .iter()
            .map(|fault| format!("{}:{}: {}", fault.line, fault.column, fault.message))
            .collect()
    }

    /// The warnings of `text`.
    pub fn warnings(&self, text: &str) -> Vec<String> {
        let loaded = self.load(text).unwrap_or_else(|faults| panic!("{faults}"));
        loaded.warnings.iter().map(|fault| fault.message.to_string()).collect()
    }
}

impl Files for FakeFiles {
    fn look(&self, path: &str) -> Option<Entry> {
        self.0.get(path).map(|(entry, _)| *entry)
    }

    fn head(&self, path: &str) -> Vec<u8> {
        self.0.get(path).map(|(_, head)| head.clone()).unwrap_or_default()
    }
}

/// Knows `nobody` and `web`, who is also in the group `logs`; runs as root.
pub struct FakeAccounts;

impl Accounts for FakeAccounts {
    fn user(&self, name: &str) -> Option<User> {
        let user = |uid, home: &str| User { name: name.into(), uid, gid: uid, home: home.into() };
        match name {
            "nobody" => Some(user(65534, "/nonexistent")),
            "web" => Some(user(1000, "/home/web")),
            _ => None,
        }
    }

    fn user_by_id(&self, uid: u32) -> Option<User> {
        match uid {
            1000 => self.user("web"),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        match name {
            "daemon" => Some(1),
            "logs" => Some(50),
            _ => None,
        }
    }

    fn groups_of(&self, user: &str) -> Vec<u32> {
        if user == "web" { vec![50] } else { Vec::new() }
    }

    fn own(&self) -> (u32, u32) {
        (0, 0)
    }
}
