//! Our entries in the value of a `hooks.json`, whose shape has been checked.
//!
//! `{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "…"}]}]}}`: per event a list of groups, in each a list of
//! hooks.

use serde_json::{Map, Value, json};

use super::{Action, Change};
use crate::agent::codex::trust;
use crate::agent::helper::Helper;
use crate::agent::signals::Kind;

/// The command line of our entry for an event.
pub(super) fn find(value: &Value, kind: Kind) -> Option<&str> {
    let groups = value["hooks"][event(kind)].as_array()?;
    groups
        .iter()
        .filter_map(|group| group["hooks"].as_array())
        .flatten()
        .find_map(|hook| our_command(hook, kind))
}

/// Adds our entry behind all others, or corrects the command line of the one that is there.
pub(super) fn put(value: &mut Value, kind: Kind, command: &str) -> Action {
    let Some(found) = find(value, kind).map(str::to_owned) else {
        let events = member(as_object(value), "hooks", json!({}));
        let groups = member(as_object(events), event(kind), json!([]));
        as_array(groups).push(json!({"hooks": [{"type": "command", "command": command}]}));
        return Action::Added;
    };
    if found == command {
        return Action::Kept;
    }
    for group in as_array(&mut value["hooks"][event(kind)]) {
        let hooks = group.get_mut("hooks").and_then(Value::as_array_mut);
        for hook in hooks.into_iter().flatten() {
            if our_command(hook, kind) == Some(&found) {
                hook["command"] = Value::from(command);
            }
        }
    }
    Action::Updated { from: found }
}

/// Removes our entries for an event, then the containers that are empty by that, unless the original file had them.
pub(super) fn remove(value: &mut Value, kind: Kind, original: Option<&Value>) -> Option<Change> {
    let command = find(value, kind)?.to_owned();
    let root = as_object(value);
    let events = as_object(root.get_mut("hooks")?);
    let groups = as_array(events.get_mut(event(kind))?);
    let displaced = remove_hooks(groups, kind);
    let original = original.map(|value| &value["hooks"]);
    if groups.is_empty() && original.is_none_or(|events| events[event(kind)].is_null()) {
        events.shift_remove(event(kind));
    }
    if events.is_empty() && original.is_none_or(Value::is_null) {
        root.shift_remove("hooks");
    }
    Some(Change {
        kind,
        command,
        action: Action::Removed { displaced },
    })
}

/// Removes our hooks, and the groups that held nothing else; counts the others' hooks whose position changes.
fn remove_hooks(groups: &mut Vec<Value>, kind: Kind) -> usize {
    let mut displaced = 0;
    let mut group_removed = false;
    groups.retain_mut(|group| {
        let Some(hooks) = group.get_mut("hooks").and_then(Value::as_array_mut) else {
            return true;
        };
        let mut hook_removed = false;
        hooks.retain(|hook| {
            let ours = our_command(hook, kind).is_some();
            hook_removed |= ours;
            displaced += usize::from(!ours && (hook_removed || group_removed));
            !ours
        });
        let emptied = hook_removed && hooks.is_empty();
        let remove = emptied && group.as_object().is_some_and(|group| group.len() == 1);
        group_removed |= remove;
        !remove
    });
    displaced
}

fn our_command(hook: &Value, kind: Kind) -> Option<&str> {
    if hook["type"] != "command" {
        return None;
    }
    let command = hook["command"].as_str()?;
    Helper::program_of(command, kind).map(|_program| command)
}

fn event(kind: Kind) -> &'static str {
    trust::event_names(kind).configured
}

fn member<'v>(object: &'v mut Map<String, Value>, key: &str, default: Value) -> &'v mut Value {
    object.entry(key).or_insert(default)
}

fn as_object(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("the shape has been checked")
}

fn as_array(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("the shape has been checked")
}
