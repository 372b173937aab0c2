//! From `script`, `interpreter` and `cwd` to what `execve` needs.
//!
//! A program that cannot be found is no fault of the config: it may be there later. The
//! app then fails by itself, and a warning says so beforehand.

use std::borrow::Cow;

use super::keys::Key;
use super::paths;
use super::programs::{Entry, Programs};
use super::value::quoted;
use crate::spec::Found;

/// What the app was given.
pub(super) struct Wanted<'w> {
    pub(super) script: &'w str,
    pub(super) args: &'w [Cow<'w, str>],
    pub(super) interpreter: Option<&'w str>,
    pub(super) interpreter_args: &'w [Cow<'w, str>],
    /// As it was given.
    pub(super) cwd: Option<&'w str>,
    /// The app's own `PATH`, if it has one.
    pub(super) path: Option<&'w str>,
}

/// Where relative names start.
pub(super) struct Bases<'w> {
    pub(super) working: &'w str,
    pub(super) config: &'w str,
}

/// What a program is, as far as it changes how it is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    /// node or bun.
    Node,
    Python,
    Other,
}

pub(super) struct Resolved {
    pub(super) candidates: Vec<Box<str>>,
    pub(super) argv: Vec<Box<str>>,
    pub(super) cwd: Option<Box<str>>,
    pub(super) interpreter: Box<str>,
    pub(super) found: Found,
    pub(super) runtime: Runtime,
    /// A script with a space was handed to this shell.
    pub(super) shell: Option<&'static str>,
    /// Odd things to tell.
    pub(super) remarks: Vec<(Key, String)>,
}

pub(super) fn resolve(
    wanted: &Wanted<'_>,
    bases: &Bases<'_>,
    programs: &mut Programs<'_>,
) -> Resolved {
    let mut resolver = Resolver { wanted, programs, bases, remarks: Vec::new() };
    let cwd = resolver.cwd();
    let mut resolved = resolver.command(cwd.as_deref());
    resolved.cwd = cwd.map(String::into);
    resolved.remarks = resolver.remarks;
    resolved
}

struct Resolver<'w, 'p, 'f> {
    wanted: &'w Wanted<'w>,
    bases: &'w Bases<'w>,
    programs: &'p mut Programs<'f>,
    remarks: Vec<(Key, String)>,
}

/// The chosen way of running a file.
enum Way {
    /// The kernel runs it.
    Itself(Runtime),
    /// This program runs it.
    By(String, Option<String>),
}

impl Resolver<'_, '_, '_> {
    /// The working directory wins over the config file's, as everywhere.
    fn cwd(&mut self) -> Option<String> {
        let given = self.wanted.cwd?;
        let is_directory = |path: &str| self.programs.look(path) == Some(Entry::Directory);
        let path = paths::resolve(self.bases.working, given);
        if is_directory(&path) {
            return Some(path);
        }
        if !given.starts_with('/') {
            let beside = paths::resolve(self.bases.config, given);
            if is_directory(&beside) {
                return Some(beside);
            }
        }
        let hint = if given.starts_with('~') { "; \"~\" is not expanded here" } else { "" };
        self.remarks.push((Key::Cwd, format!("there is no directory {}{hint}", quoted(&path))));
        Some(path)
    }

    fn command(&mut self, cwd: Option<&str>) -> Resolved {
        let explicit = self.interpreter();
        let script = self.wanted.script;
        let (file, found) = self.find(script, cwd, explicit.is_some());
        if found == Found::Nowhere
            && script.contains(' ')
            && explicit.as_deref().is_none_or(is_shell)
        {
            return self.by_shell(explicit);
        }
        if found == Found::Nowhere {
            self.miss(&file);
        }
        let way = match explicit {
            Some(name) if name == "none" => Way::Itself(runtime(paths::base_name(&file))),
            Some(name) => Way::By(name, None),
            None => self.way(&file, found),
        };
        match way {
            Way::Itself(runtime) => {
                if !self.wanted.interpreter_args.is_empty() {
                    self.remarks.push((Key::NodeArgs, "no effect without an interpreter".into()));
                }
                let argv = self.argv(&[&file]);
                Resolved {
                    candidates: vec![file.into()],
                    argv,
                    ..Resolved::new("none", found, runtime)
                }
            }
            Way::By(name, argument) => {
                let program = self.program(&name, cwd);
                let mut front: Vec<&str> = vec![&name];
                front.extend(argument.as_deref());
                front.extend(self.wanted.interpreter_args.iter().map(|word| &**word));
                front.push(&file);
                let argv = self.argv(&front);
                // A missing script is told by execve itself, not by what the interpreter makes of it.
                let candidates = if found == Found::Nowhere { vec![file.into()] } else { program };
                let runtime = runtime(paths::base_name(&name));
                Resolved { candidates, argv, ..Resolved::new(&name, found, runtime) }
            }
        }
    }

    /// Said once: where the directory is missing, everything in it is.
    fn miss(&mut self, file: &str) {
        if self.remarks.iter().any(|(key, _)| *key == Key::Cwd) {
            return;
        }
        let script = self.wanted.script;
        let also = if script.contains('/') { "" } else { ", and no such program in PATH" };
        self.remarks.push((
            Key::Script,
            format!("cannot find {}: there is no {}{also}", quoted(script), quoted(file)),
        ));
    }

    fn argv(&self, front: &[&str]) -> Vec<Box<str>> {
        front
            .iter()
            .map(|&word| word.into())
            .chain(self.wanted.args.iter().map(|word| (&**word).into()))
            .collect()
    }

    /// The interpreter that was asked for.
    fn interpreter(&mut self) -> Option<String> {
        let name = self.wanted.interpreter?;
        match name.split_once('@') {
            Some((program @ ("node" | "bun"), version)) => {
                self.remarks.push((Key::Interpreter, format!("versions are not managed here; \"{program}\" from PATH is used instead of version {}", quoted(version))));
                Some(program.into())
            }
            _ => Some(name.into()),
        }
    }

    /// Below the app's directory, below the config file's, in `PATH`.
    fn find(
        &mut self,
        script: &str,
        cwd: Option<&str>,
        takes_directories: bool,
    ) -> (String, Found) {
        let is_there = |path: &str| match self.programs.look(path) {
            Some(Entry::Directory) => takes_directories,
            Some(Entry::File { .. }) => true,
            None => false,
        };
        let path = paths::resolve(cwd.unwrap_or(self.bases.working), script);
        if script.starts_with('/') {
            let found = if is_there(&path) { Found::Absolute } else { Found::Nowhere };
            return (path, found);
        }
        if is_there(&path) {
            return (path, Found::WorkingDirectory);
        }
        let beside_cwd = self
            .wanted
            .cwd
            .map(|cwd| paths::resolve(&paths::resolve(self.bases.config, cwd), script));
        for beside in beside_cwd.into_iter().chain([paths::resolve(self.bases.config, script)]) {
            if beside != path && is_there(&beside) {
                return (beside, Found::ConfigDirectory);
            }
        }
        if !script.contains('/')
            && let Some(program) = self.programs.find(script, self.wanted.path).into_iter().next()
        {
            return (program.into(), Found::Path);
        }
        if !takes_directories && self.programs.look(&path) == Some(Entry::Directory) {
            return (path, Found::WorkingDirectory);
        }
        (path, Found::Nowhere)
    }

    /// How a file without an explicit interpreter runs: by its extension, by its first bytes.
    fn way(&mut self, file: &str, found: Found) -> Way {
        let by = |name: &str| Way::By(name.into(), None);
        match paths::extension(file) {
            ".js" | ".cjs" | ".mjs" => return by("node"),
            ".ts" | ".tsx" => return by("bun"),
            ".sh" => return by(self.first_of("bash", "sh")),
            ".py" => return by(self.first_of("python3", "python")),
            ".rb" => return by("ruby"),
            ".php" => return by("php"),
            ".pl" => return by("perl"),
            ".coffee" => return by("coffee"),
            ".ls" => return by("lsc"),
            _ => {}
        }
        if found == Found::Nowhere {
            return Way::Itself(runtime(paths::base_name(file)));
        }
        let Some(Entry::File { executable }) = self.programs.look(file) else {
            return by("node");
        };
        let head = self.programs.head(file);
        if let Some((name, argument)) = shebang(head) {
            if executable {
                return Way::Itself(shebang_runtime(name, argument));
            }
            return Way::By(name.into(), argument.map(str::to_owned));
        }
        if head.is_empty() || head.contains(&0) {
            return Way::Itself(runtime(paths::base_name(file)));
        }
        // Text that does not say what it is: PM2 takes it for JavaScript, execvp for a shell script.
        by(self.first_of("node", "sh"))
    }

    fn first_of(&mut self, first: &'static str, second: &'static str) -> &'static str {
        let is_there = |programs: &mut Programs<'_>, name| programs.has(name, self.wanted.path);
        if is_there(self.programs, first) || !is_there(self.programs, second) {
            first
        } else {
            second
        }
    }

    /// Where the interpreter is. If it is nowhere, a path that fails as it should.
    fn program(&mut self, name: &str, cwd: Option<&str>) -> Vec<Box<str>> {
        if !name.contains('/') {
            let found = self.programs.find(name, self.wanted.path);
            if !found.is_empty() {
                return found;
            }
            self.remarks.push((
                Key::Interpreter,
                format!("cannot find interpreter {} in PATH", quoted(name)),
            ));
            return vec![self.programs.first_place(name, self.wanted.path)];
        }
        let path = paths::resolve(cwd.unwrap_or(self.bases.working), name);
        let beside = paths::resolve(self.bases.config, name);
        let chosen = [&path, &beside].into_iter().find(|path| self.programs.look(path).is_some());
        if chosen.is_none() {
            self.remarks
                .push((Key::Interpreter, format!("there is no interpreter {}", quoted(&path))));
        }
        vec![chosen.unwrap_or(&path).as_str().into()]
    }

    /// A script with a space in it is a command line. Its `args` become the shell's "$@".
    fn by_shell(&mut self, explicit: Option<String>) -> Resolved {
        let shell = match explicit.as_deref() {
            Some("sh") => "sh",
            Some("bash") => "bash",
            _ => self.first_of("bash", "sh"),
        };
        let script = self.wanted.script;
        let candidates = self.program(shell, None);
        let argv = if self.wanted.args.is_empty() {
            self.argv(&[shell, "-c", script])
        } else {
            self.argv(&[shell, "-c", &format!("{script} \"$@\""), script])
        };
        Resolved {
            candidates,
            argv,
            shell: Some(shell),
            ..Resolved::new("none", Found::Path, Runtime::Other)
        }
    }
}

impl Resolved {
    fn new(interpreter: &str, found: Found, runtime: Runtime) -> Self {
        Self {
            candidates: Vec::new(),
            argv: Vec::new(),
            cwd: None,
            interpreter: interpreter.into(),
            found,
            runtime,
            shell: None,
            remarks: Vec::new(),
        }
    }
}

fn is_shell(name: &str) -> bool {
    matches!(name, "none" | "sh" | "bash")
}

fn runtime(program: &str) -> Runtime {
    match program {
        "node" | "nodejs" | "bun" => Runtime::Node,
        _ if program.starts_with("python") => Runtime::Python,
        _ => Runtime::Other,
    }
}

/// `#!/usr/bin/env -S node --flag` is node, too.
fn shebang_runtime(name: &str, argument: Option<&str>) -> Runtime {
    if paths::base_name(name) != "env" {
        return runtime(paths::base_name(name));
    }
    let program = argument
        .unwrap_or_default()
        .split_whitespace()
        .find(|word| !word.starts_with('-') && !word.contains('='));
    runtime(paths::base_name(program.unwrap_or_default()))
}

/// The interpreter and the one argument that a first line names; the kernel, too, passes the rest of it as one.
fn shebang(head: &[u8]) -> Option<(&str, Option<&str>)> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    let (name, argument) = line
        .split_once([' ', '\t'])
        .map_or((line, None), |(name, argument)| (name, Some(argument.trim())));
    (!name.is_empty()).then_some((name, argument))
}
