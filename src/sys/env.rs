//! The environment: what we were given, and what each app gets.
#![allow(unsafe_code, reason = "reads the environment block that the kernel gave us")]

use std::ffi::{CStr, CString, c_char};

use crate::spec::{AppSpec, FilterEnv};

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// The variables this process was started with. Nothing of ours ever changes them.
pub(super) struct Environment(Vec<&'static CStr>);

impl Environment {
    pub(super) fn inherited() -> Self {
        let mut entries = vec![];
        // SAFETY: the kernel's block, a list that ends with a null pointer; it is never
        // written to, so it lives and stays as it is while the process does.
        unsafe {
            let mut next = environ;
            while !next.is_null() && !(*next).is_null() {
                entries.push(CStr::from_ptr(*next));
                next = next.add(1);
            }
        }
        Self(entries)
    }

    pub(super) fn all(&self) -> &[&'static CStr] {
        &self.0
    }

    /// What an instance gets: what we inherited minus `filter_env`, overlaid with the
    /// app's own variables and those that say who it is. Inherited entries first.
    pub(super) fn of(&self, instance: &Who<'_>) -> (Vec<&'static CStr>, Vec<CString>) {
        let own = own_variables(instance);
        let is_own = |name: &[u8]| own.iter().any(|(own, _)| own.as_bytes() == name);
        let filter = &instance.app.command.filter_env;
        let kept = self.0.iter().copied().filter(|entry| {
            let name = name_of(entry.to_bytes());
            !is_dropped(filter, name) && !is_own(name)
        });
        let entry = |(name, value): (&str, &str)| CString::new(format!("{name}={value}")).ok();
        let kept = kept.collect();
        (kept, own.iter().filter_map(|(name, value)| entry((name, value))).collect())
    }
}

/// Whose environment it is.
pub(super) struct Who<'a> {
    pub(super) app: &'a AppSpec,
    pub(super) id: u32,
    pub(super) number: u32,
    pub(super) of: u32,
    /// Where the control socket is, if there is one.
    pub(super) socket: Option<&'a str>,
}

fn own_variables<'a>(who: &'a Who<'_>) -> Vec<(&'a str, std::borrow::Cow<'a, str>)> {
    let command = &who.app.command;
    let mut own: Vec<(&str, std::borrow::Cow<'_, str>)> =
        Vec::with_capacity(command.env.len() + 12);
    let mut set = |name, value| match own.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => own.push((name, value)),
    };
    if let Some(identity) = &command.identity {
        for (name, value) in
            [("HOME", &identity.home), ("USER", &identity.name), ("LOGNAME", &identity.name)]
        {
            if let Some(value) = value {
                set(name, (&**value).into());
            }
        }
    }
    for (name, value) in &command.env {
        set(name, (&**value).into());
    }
    if let Some(name) = &command.increment_var {
        let base = command.env.iter().find(|(known, _)| known == name);
        let base: i64 = base.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
        set(name, base.saturating_add(i64::from(who.number)).to_string().into());
    }
    set("name", (&*who.app.name).into());
    set("pm_id", who.id.to_string().into());
    set(&command.instance_var, who.number.to_string().into());
    set("RSM_APP", (&*who.app.name).into());
    set("RSM_INSTANCE", who.number.to_string().into());
    set("RSM_INSTANCES", who.of.to_string().into());
    if let Some(socket) = who.socket {
        set("RSM_INIT_SOCKET", socket.into());
    }
    own
}

fn name_of(entry: &[u8]) -> &[u8] {
    entry.split(|byte| *byte == b'=').next().unwrap_or(entry)
}

fn is_dropped(filter: &FilterEnv, name: &[u8]) -> bool {
    let contains =
        |part: &[u8]| !part.is_empty() && name.windows(part.len()).any(|window| window == part);
    match filter {
        FilterEnv::Keep => false,
        FilterEnv::DropAll => true,
        FilterEnv::Named(one) => one.as_bytes() == name,
        FilterEnv::Containing(parts) => parts.iter().any(|part| contains(part.as_bytes())),
    }
}
