//! Whom an app runs as: names become numbers.

use super::fault::Report;
use super::forms;
use super::given::Given;
use super::keys::Key;
use super::value::{Node, Value, quoted};
use crate::spec::Identity;

/// One user of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: Box<str>,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: Box<str>,
}

/// Where users and groups are looked up. [`super::disk::Passwd`] is one; tests have their own.
pub trait Accounts {
    /// The user of this name.
    fn user(&self, name: &str) -> Option<User>;
    /// The user of this number.
    fn user_by_id(&self, uid: u32) -> Option<User>;
    /// The number of the group of this name.
    fn group(&self, name: &str) -> Option<u32>;
    /// Every group that lists the user as a member.
    fn groups_of(&self, user: &str) -> Vec<u32>;
    /// The supervisor's own user and group.
    fn own(&self) -> (u32, u32);
}

/// `None`: nothing was asked for, or it cannot be had, which is reported.
///
/// A number without an entry in `/etc/passwd` keeps the supervisor's own group unless `gid` is given.
pub(super) fn identity(
    given: &Given<'_>,
    accounts: &dyn Accounts,
    report: &mut Report,
) -> Option<Identity> {
    let (user, group) = (given.item(Key::Uid), given.item(Key::Gid));
    let groups = given.item(Key::Groups);
    if user.is_none() && group.is_none() && groups.is_none() {
        return None;
    }
    let (own_uid, own_gid) = accounts.own();
    let mut identity =
        Identity { uid: own_uid, gid: own_gid, groups: Box::default(), home: None, name: None };
    if let Some(item) = user {
        // "user:group", as in a Dockerfile.
        let text = given.text(Key::Uid)?;
        let (name, with_group) =
            text.split_once(':').map_or((text, None), |(name, group)| (name, Some(group)));
        match find_user(name, accounts) {
            Some(Found::Entry(user)) => {
                (identity.uid, identity.gid) = (user.uid, user.gid);
                identity.groups = accounts.groups_of(&user.name).into();
                identity.home = Some(user.home);
                identity.name = Some(user.name);
            }
            Some(Found::Bare(uid)) => identity.uid = uid,
            None => {
                report.fault(
                    item.node.at,
                    format!("{}: no user {} in /etc/passwd", item.written, quoted(name)),
                );
                return None;
            }
        }
        if let Some(name) = with_group {
            identity.gid = group_id(name, item.written, item.node.at, accounts, report)?;
        }
    }
    if let Some(item) = group {
        identity.gid =
            group_id(given.text(Key::Gid)?, item.written, item.node.at, accounts, report)?;
    }
    if let Some(item) = groups {
        identity.groups = supplementary(item.node, accounts, report)?;
    }
    Some(identity)
}

enum Found {
    Entry(User),
    Bare(u32),
}

fn find_user(name: &str, accounts: &dyn Accounts) -> Option<Found> {
    if let Some(user) = accounts.user(name) {
        return Some(Found::Entry(user));
    }
    let uid = number(name)?;
    Some(accounts.user_by_id(uid).map_or(Found::Bare(uid), Found::Entry))
}

fn supplementary(
    node: &Node<'_>,
    accounts: &dyn Accounts,
    report: &mut Report,
) -> Option<Box<[u32]>> {
    let Value::List(items) = &node.value else {
        report.fault(
            node.at,
            format!("groups: expected an array of names or numbers; found {}", node.describe()),
        );
        return None;
    };
    let mut ids = Vec::with_capacity(items.len());
    for item in items {
        match forms::account(item) {
            Some(name) => ids.push(group_id(&name, "groups", item.at, accounts, report)?),
            None => {
                report.fault(
                    item.at,
                    format!("groups: expected a name or a number; found {}", item.describe()),
                );
                return None;
            }
        }
    }
    Some(ids.into())
}

pub(super) fn group_id(
    name: &str,
    key: &str,
    at: u32,
    accounts: &dyn Accounts,
    report: &mut Report,
) -> Option<u32> {
    let id = accounts.group(name).or_else(|| number(name));
    if id.is_none() {
        report.fault(at, format!("{key}: no group {} in /etc/group", quoted(name)));
    }
    id
}

/// The largest number is the kernel's "leave it as it is", not an id.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|&id| id != u32::MAX)
}
