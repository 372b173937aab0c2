//! How many instances, of which kind, and how they are restarted and stopped.

use std::borrow::Cow;
use std::time::Duration;

use super::Loader;
use super::fault::Report;
use super::forms::{self, Checked, FilterForm};
use super::given::Given;
use super::keys::Key;
use super::resolve::Runtime;
use super::value::Value;
use crate::spec::{Dependency, ExecMode, FilterEnv, RestartDelay, RestartPolicy, StopPolicy};

const DEFAULT_MIN_UPTIME: Duration = Duration::from_secs(1);
const DEFAULT_MAX_RESTARTS: u32 = 16;
/// Inside the 10 s that `docker stop` gives.
const DEFAULT_KILL_TIMEOUT: Duration = Duration::from_secs(8);
/// PM2's rule: one process, or as many as there are CPUs, share the files whatever the key says.
pub(super) fn merges_logs(given: &Given<'_>) -> bool {
    let is_cluster =
        matches!(given.value(Key::ExecMode), Some(Checked::ExecMode(ExecMode::Cluster)));
    let has_count = given.whole(Key::Instances).is_some_and(|count| count != 0);
    (!is_cluster && !has_count) || given.flag(Key::MergeLogs).unwrap_or(false)
}

pub(super) fn instances(given: &Given<'_>, loader: &mut Loader<'_>) -> u32 {
    let Some(count) = given.whole(Key::Instances) else { return 1 };
    if let Some(item) = given.item(Key::Instances).filter(|item| forms::is_odd_count(item.node)) {
        loader.report.warn(
            item.node.at,
            format!(
                "{}: {} is taken for \"max\": one instance per CPU",
                item.written,
                item.node.describe()
            ),
        );
    }
    let cpus = || i64::from((loader.context.cpus)().max(1));
    let count = if count > 0 { count } else { (cpus() + count).max(1) };
    u32::try_from(count.min(forms::MOST_INSTANCES)).unwrap_or(1)
}

pub(super) fn exec_mode(given: &Given<'_>, runtime: Runtime) -> ExecMode {
    if given.flag(Key::ExecuteCommand) == Some(true) {
        return ExecMode::Fork;
    }
    match given.value(Key::ExecMode) {
        Some(Checked::ExecMode(mode)) => *mode,
        _ if runtime == Runtime::Node && given.item(Key::Instances).is_some() => ExecMode::Cluster,
        _ => ExecMode::Fork,
    }
}

pub(super) fn depends_on(given: &Given<'_>) -> Box<[Dependency]> {
    match given.value(Key::DependsOn) {
        Some(Checked::Depends(needs)) => needs
            .iter()
            .map(|(_, app, condition)| Dependency { app: (&**app).into(), condition: *condition })
            .collect(),
        _ => Box::default(),
    }
}

pub(super) fn restart(given: &Given<'_>, report: &mut Report) -> RestartPolicy {
    let positive = |key: Key| given.time(key).filter(|time| !time.is_zero());
    for key in [Key::RestartDelay, Key::ExpBackoff] {
        if let Some(item) = given
            .item(key)
            .filter(|item| matches!(&item.node.value, Value::Number(ms) if *ms < 0.0))
        {
            report.warn(item.node.at, format!("{}: a negative time is taken for 0", item.written));
        }
    }
    RestartPolicy {
        autorestart: given.flag(Key::Autorestart).unwrap_or(true),
        stop_exit_codes: match given.value(Key::StopExitCodes) {
            Some(Checked::Codes { codes, .. }) => codes.clone().into(),
            _ => Box::default(),
        },
        min_uptime: given.time(Key::MinUptime).unwrap_or(DEFAULT_MIN_UPTIME),
        max_restarts: match given.whole(Key::MaxRestarts) {
            None => Some(DEFAULT_MAX_RESTARTS),
            Some(most) => u32::try_from(most).ok(),
        },
        delay: match (positive(Key::ExpBackoff), given.time(Key::RestartDelay)) {
            (Some(first), _) => RestartDelay::Growing(first),
            (None, Some(delay)) => RestartDelay::Constant(delay),
            (None, None) => RestartDelay::BackOff,
        },
    }
}

pub(super) fn stop(given: &Given<'_>, runtime: Runtime) -> StopPolicy {
    StopPolicy {
        signal: match given.value(Key::KillSignal) {
            Some(Checked::Signal(signal)) => *signal,
            // What programs written for PM2 wait for. A shell starts background children deaf to SIGINT.
            _ if runtime == Runtime::Node => libc::SIGINT,
            _ => libc::SIGTERM,
        },
        kill_timeout: given.time(Key::KillTimeout).unwrap_or(DEFAULT_KILL_TIMEOUT),
        whole_tree: given.flag(Key::Treekill).unwrap_or(true),
    }
}

pub(super) fn filter_env(given: &Given<'_>) -> FilterEnv {
    match given.value(Key::FilterEnv) {
        Some(Checked::FilterEnv(FilterForm::All)) => FilterEnv::DropAll,
        Some(Checked::FilterEnv(FilterForm::Named(name))) => FilterEnv::Named((&**name).into()),
        Some(Checked::FilterEnv(FilterForm::Containing(parts))) => FilterEnv::Containing(
            parts.iter().map(|part: &Cow<'_, str>| Box::from(&**part)).collect(),
        ),
        _ => FilterEnv::Keep,
    }
}
