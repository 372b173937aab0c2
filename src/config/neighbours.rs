//! What can be judged only with all apps in sight: names and dependencies.

use std::collections::BTreeMap;

use super::app::Draft;
use super::fault::Report;
use super::forms::Checked;
use super::keys::Key;
use super::suggest;
use super::value::quoted;
use crate::spec::Dependency;

/// Later apps of a name that is taken get `-2`, `-3` …
///
/// For PM2 apps of one name are a group; here a name is one app.
pub(super) fn make_names_unique(drafts: &mut [Draft<'_>], report: &mut Report) {
    if are_unique(drafts) {
        return;
    }
    let mut counts: BTreeMap<Box<str>, u32> = BTreeMap::new();
    for draft in drafts.iter() {
        counts.entry(draft.asked_name.clone()).or_insert(0);
    }
    for draft in drafts {
        let count = counts.entry(draft.asked_name.clone()).or_insert(0);
        *count += 1;
        if *count == 1 {
            continue;
        }
        let mut number = *count;
        let mut name: Box<str> = format!("{}-{number}", draft.asked_name).into();
        while counts.contains_key(&name) {
            number += 1;
            name = format!("{}-{number}", draft.asked_name).into();
        }
        counts.insert(draft.asked_name.clone(), number);
        counts.insert(name.clone(), 1);
        let message = format!(
            "{}name: {} is taken by an app above; this one is called {}",
            draft.subject(),
            quoted(&draft.asked_name),
            quoted(&name)
        );
        if report.strict {
            report.fault_at(draft.place, message)
        } else {
            report.warn_at(draft.place, message)
        }
        draft.app.name = name;
    }
}

fn are_unique(drafts: &[Draft<'_>]) -> bool {
    let mut names: Vec<&str> = drafts.iter().map(|draft| &*draft.asked_name).collect();
    names.sort_unstable();
    names.windows(2).all(|pair| pair[0] != pair[1])
}

/// Dependencies name apps that exist, and have no cycle.
pub(super) fn check_dependencies(drafts: &mut [Draft<'_>], report: &mut Report) {
    if drafts.iter().all(|draft| draft.app.depends_on.is_empty()) {
        return;
    }
    let mut by_name: BTreeMap<Box<str>, Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        by_name.entry(draft.asked_name.clone()).or_default().push(index);
        if draft.app.name != draft.asked_name {
            by_name.entry(draft.app.name.clone()).or_default().push(index);
        }
    }
    let names: Vec<Box<str>> = drafts.iter().map(|draft| draft.app.name.clone()).collect();
    let mut edges: Vec<Vec<usize>> = Vec::with_capacity(drafts.len());
    for draft in drafts.iter_mut() {
        let mut targets = Vec::new();
        let mut needs: Vec<Dependency> = Vec::new();
        for (nth, need) in draft.app.depends_on.iter().enumerate() {
            let Some(found) = by_name.get(&need.app) else {
                unknown(draft, nth, &need.app, &names, report);
                continue;
            };
            // A name that several apps asked for stands for all of them.
            for &target in found {
                if !targets.contains(&target) {
                    targets.push(target);
                    needs
                        .push(Dependency { app: names[target].clone(), condition: need.condition });
                }
            }
        }
        draft.app.depends_on = needs.into();
        edges.push(targets);
    }
    for cycle in cycles(&edges) {
        let draft = &drafts[cycle[0]];
        let mut chain: Vec<String> = cycle.iter().map(|&index| quoted(&names[index])).collect();
        chain.push(chain[0].clone());
        report.fault_at(
            place(draft, 0),
            format!("{}depends_on: a cycle: {}", draft.subject(), chain.join(" needs ")),
        );
    }
}

fn unknown(draft: &Draft<'_>, nth: usize, name: &str, names: &[Box<str>], report: &mut Report) {
    // Searching thousands of names for each of thousands of faults takes too long.
    let hint = if names.len() > 200 {
        None
    } else {
        suggest::closest(name, names.iter().map(|name| &**name))
    };
    let hint = hint.map_or(String::new(), |meant| format!("; did you mean {}?", quoted(meant)));
    report.fault_at(
        place(draft, nth),
        format!("{}depends_on: {} is not an app{hint}", draft.subject(), quoted(name)),
    );
}

fn place(draft: &Draft<'_>, nth: usize) -> super::fault::Place {
    match draft.given.value(Key::DependsOn) {
        Some(Checked::Depends(needs)) => needs
            .get(nth)
            .map_or(draft.place, |&(at, ..)| super::fault::Place { at, ..draft.place }),
        _ => draft.place,
    }
}

/// Each cycle that a walk along the edges meets. On a stack of its own: a chain may be ten thousand apps long.
fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        OnPath,
        Done,
    }
    let mut states = vec![State::New; edges.len()];
    let mut found = Vec::new();
    for start in 0..edges.len() {
        if states[start] != State::New {
            continue;
        }
        let mut path = vec![(start, 0)];
        states[start] = State::OnPath;
        while let Some((node, next)) = path.last_mut() {
            let Some(&target) = edges[*node].get(*next) else {
                states[*node] = State::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match states[target] {
                State::New => {
                    states[target] = State::OnPath;
                    path.push((target, 0));
                }
                State::OnPath => {
                    let from = path.iter().position(|&(node, _)| node == target).unwrap_or(0);
                    found.push(path[from..].iter().map(|&(node, _)| node).collect());
                }
                State::Done => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_chain_is_no_cycle_and_its_closing_is_one() {
        let mut edges: Vec<Vec<usize>> = (1..10_000).map(|next| vec![next]).collect();
        edges.push(Vec::new());
        assert_eq!(cycles(&edges), Vec::<Vec<usize>>::new());
        edges[9_999] = vec![9_998];
        assert_eq!(cycles(&edges), [vec![9_998, 9_999]]);
    }
}
