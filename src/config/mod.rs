//! Text in, a checked [`Spec`] or every fault out.
//!
//! ```text
//! text ──text──▶ values with positions ──shape──▶ apps ──given──▶ checked keys ──app──▶ Spec
//! ```
//!
//! Nothing here touches the world: files and accounts are asked through [`Files`] and
//! [`Accounts`], whose real ones are in [`disk`]. Nothing is started here.
#![forbid(unsafe_code)]

mod app;
mod cron;
pub mod disk;
mod effective;
mod env;
mod fault;
mod flags;
mod forms;
mod given;
mod identity;
mod init;
mod keys;
mod literal;
mod logs;
mod neighbours;
mod paths;
mod policy;
mod programs;
mod resolve;
mod shape;
mod skip;
mod suggest;
mod text;
mod units;
mod value;
mod words;

use std::path::Path;

pub use effective::fault_json;
pub use fault::{Fault, Faults};
pub use flags::{FlagValue, from_flags};
pub use identity::{Accounts, User};
pub use programs::{Entry, Files};

use crate::spec::Spec;
use app::Draft;
use fault::Report;
use keys::Names;
use programs::Programs;
use value::Node;

/// More apps than this in one config are a mistake.
const MOST_APPS: usize = 10_000;

/// One config file, read already; see [`disk::read_source`].
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    is_command_line: bool,
}

impl<'a> Source<'a> {
    /// The file at `path`, which contains `text`. A path of `-` is stdin.
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, is_command_line: false }
    }
}

/// What a config is seen against.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The supervisor's own directory, absolute.
    pub cwd: &'a Path,
    /// `--env NAME`.
    pub env_name: Option<&'a str>,
    /// `--only`: names of apps; each may be several with commas or blanks between. Empty: all.
    pub only: &'a [String],
    /// Unknown keys and clashing names are faults.
    pub strict: bool,
    /// How many CPUs may be used: what `max` means. Asked only if something says so.
    pub cpus: &'a dyn Fn() -> u32,
    /// The supervisor's own environment.
    pub variables: &'a dyn Fn(&str) -> Option<String>,
    /// The file system.
    pub files: &'a dyn Files,
    /// Users and groups.
    pub accounts: &'a dyn Accounts,
}

/// A config without faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What to run.
    pub spec: Spec,
    /// What was odd.
    pub warnings: Vec<Fault>,
}

/// Reads config files.
pub fn load(sources: &[Source<'_>], context: &Context<'_>) -> Result<Loaded, Faults> {
    let mut report = Report::new(context.strict);
    let trees = parse(sources, &mut report);
    Ok(read(&trees, sources, context, report, false)?.0)
}

/// The same, and what will really be done as JSON: `{"apps": [...], "init": {...}, "warnings": [...]}`.
pub fn explain(
    sources: &[Source<'_>],
    context: &Context<'_>,
) -> Result<(Loaded, serde_json::Value), Faults> {
    let mut report = Report::new(context.strict);
    let trees = parse(sources, &mut report);
    read(&trees, sources, context, report, true)
}

/// The values of each file; `None` after a syntax error.
fn parse<'a>(sources: &[Source<'a>], report: &mut Report) -> Vec<Option<Node<'a>>> {
    let one = |(index, source): (usize, &Source<'a>)| {
        report.source = u16::try_from(index).unwrap_or(u16::MAX);
        if let Some(language) = foreign(source.path) {
            report.fault(0, format!("{language} config is not supported yet; write it as JSON"));
            return None;
        }
        if source.text.len() > u32::MAX as usize {
            report.fault(0, "the file is too large");
            return None;
        }
        text::parse(source.text, shape::is_unused, report)
    };
    sources.iter().enumerate().map(one).collect()
}

/// The language of a file that is not JSON, by PM2's rule: a part of its name tells.
fn foreign(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    if name.contains(".json") {
        None
    } else if [".yml", ".yaml"].iter().any(|part| name.contains(part)) {
        Some("YAML")
    } else if [".config.js", ".config.cjs", ".config.mjs"].iter().any(|part| name.contains(part)) {
        Some("JavaScript")
    } else {
        None
    }
}

/// What reading an app needs besides the app.
struct Loader<'c> {
    context: &'c Context<'c>,
    report: Report,
    names: Names,
    programs: Programs<'c>,
    working: String,
    /// The directory of the file being read.
    config_directory: String,
    home: Option<String>,
    pm2_home: Option<String>,
}

impl<'c> Loader<'c> {
    fn new(context: &'c Context<'c>, report: Report) -> Self {
        let given = |name: &str| (context.variables)(name).filter(|value| !value.is_empty());
        let working = paths::resolve("/", &context.cwd.to_string_lossy());
        Self {
            report,
            names: Names::new(),
            programs: Programs::new(context.files, given("PATH")),
            home: given("HOME"),
            pm2_home: given("PM2_HOME").map(|home| paths::resolve(&working, &home)),
            config_directory: working.clone(),
            working,
            context,
        }
    }

    fn enter(&mut self, index: usize, source: &Source<'_>) {
        self.report.source = u16::try_from(index).unwrap_or(u16::MAX);
        self.config_directory = match source.path.to_str() {
            _ if source.is_command_line => self.working.clone(),
            Some("-") | None => self.working.clone(),
            Some(path) => paths::directory(&paths::resolve(&self.working, path)).to_owned(),
        };
    }
}

fn read<'n>(
    trees: &'n [Option<Node<'n>>],
    sources: &[Source<'_>],
    context: &Context<'_>,
    report: Report,
    explains: bool,
) -> Result<(Loaded, serde_json::Value), Faults> {
    let mut loader = Loader::new(context, report);
    let mut spec = Spec::default();
    let mut rest = init::Rest::default();
    let mut drafts: Vec<Draft<'n>> = Vec::new();
    let mut has_environment = false;
    for (index, (tree, source)) in trees.iter().zip(sources).enumerate() {
        let Some(tree) = tree else { continue };
        loader.enter(index, source);
        let Some(shape) = shape::shape(tree, &loader.names, &mut loader.report) else { continue };
        if let Some(node) = shape.init {
            init::read(node, &mut spec.init, &mut rest, &mut loader);
        }
        if drafts.len() + shape.apps.len() > MOST_APPS {
            loader.report.fault(tree.at, format!("more than {MOST_APPS} apps"));
            continue;
        }
        let deploy = deploy_env(shape.deploy, context.env_name);
        has_environment |= deploy.is_some();
        drafts.reserve_exact(shape.apps.len());
        for (number, node) in shape.apps {
            let draft = app::draft(node, number, deploy, &mut loader);
            has_environment |= draft.as_ref().is_some_and(|draft| {
                draft.given.environments.iter().any(|(name, _)| Some(*name) == context.env_name)
            });
            drafts.extend(draft);
        }
    }
    let mut report = loader.report;
    report.source = 0;
    neighbours::make_names_unique(&mut drafts, &mut report);
    neighbours::check_dependencies(&mut drafts, &mut report);
    choose(&mut drafts, context.only, &mut report);
    if let (Some(name), false, false) = (context.env_name, has_environment, drafts.is_empty()) {
        report.warn(0, format!("no app has an \"env_{name}\""));
    }
    if drafts.is_empty() && !report.has_faults() {
        report.warn(0, "no app to run");
    }
    for draft in &mut drafts {
        draft.app.logs.format = draft.app.logs.format.or(rest.log_format);
    }
    let warnings = report.finish(sources)?;
    let effective = if explains {
        effective::effective(&drafts, &spec.init, rest.log_format, &warnings)
    } else {
        serde_json::Value::Null
    };
    spec.apps = drafts.into_iter().map(|draft| draft.app).collect();
    Ok((Loaded { spec, warnings }, effective))
}

/// PM2's `deploy.NAME.env`.
fn deploy_env<'n>(deploy: Option<&'n Node<'n>>, name: Option<&str>) -> Option<&'n Node<'n>> {
    let env = deploy?.member(name?)?.member("env")?;
    // Code in there was reported as skipped.
    env.map().filter(|entries| {
        !entries.iter().any(|entry| matches!(entry.node.value, value::Value::Code(_)))
    })?;
    Some(env)
}

/// `--only`.
fn choose(drafts: &mut Vec<Draft<'_>>, only: &[String], report: &mut Report) {
    let wanted: Vec<&str> = only
        .iter()
        .flat_map(|names| names.split([',', ' ']))
        .filter(|name| !name.is_empty())
        .collect();
    if wanted.is_empty() {
        return;
    }
    let is_wanted = |draft: &Draft<'_>| {
        wanted.iter().any(|&name| *draft.app.name == *name || *draft.asked_name == *name)
    };
    for name in &wanted {
        if !drafts.iter().any(|draft| *draft.app.name == **name || *draft.asked_name == **name) {
            let known = drafts.iter().map(|draft| &*draft.asked_name);
            let hint = suggest::closest(name, known)
                .map_or(String::new(), |meant| format!("; did you mean {}?", value::quoted(meant)));
            report.fault(0, format!("--only: there is no app {}{hint}", value::quoted(name)));
        }
    }
    drafts.retain(is_wanted);
    let left: Vec<Box<str>> = drafts.iter().map(|draft| draft.app.name.clone()).collect();
    for draft in drafts {
        let (kept, dropped): (Vec<_>, Vec<_>) =
            draft.app.depends_on.iter().cloned().partition(|need| left.contains(&need.app));
        for need in dropped {
            report.warn_at(
                draft.place,
                format!(
                    "{}depends_on: {} is left out by --only and not waited for",
                    draft.subject(),
                    value::quoted(&need.app)
                ),
            );
            draft.app.depends_on = kept.clone().into();
        }
    }
}
