//! Our entries in the value of a `hooks.json`, whose shape has been checked.
//!
//! `{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "…"}]}]}}`: per event a list of groups, in each a list of
//! hooks.

use serde_json::{Value, json};

use super::{Action, Change};
use crate::agent::codex::trust;
use crate::agent::helper::Helper;
use crate::agent::signals::Kind;

/// What is to become of our entry for an event.
pub(super) enum Entry<'a> {
    /// It is there, with that command line.
    Wanted(String),
    /// It is not there, and no container that is empty without it; but for those of the original file, if there was one.
    Unwanted(Option<&'a Value>),
}

/// The command line of our entry for an event.
pub(super) fn find(value: &Value, kind: Kind) -> Option<&str> {
    let groups = value["hooks"][event(kind)].as_array()?;
    let mut hooks = groups
        .iter()
        .filter_map(|group| group["hooks"].as_array())
        .flatten();
    hooks.find_map(|hook| our_command(hook, kind))
}

/// Adds our entry for an event behind all others, corrects it where it is, or removes it.
pub(super) fn merge(value: &mut Value, kind: Kind, entry: Entry<'_>) -> Option<Change> {
    let found = find(value, kind).map(str::to_owned);
    let (command, action) = match (entry, found) {
        (Entry::Wanted(command), None) => {
            let groups = &mut value["hooks"][event(kind)];
            if groups.is_null() {
                *groups = json!([]);
            }
            let group = json!({"hooks": [{"type": "command", "command": command}]});
            groups.as_array_mut()?.push(group);
            (command, Action::Added)
        }
        (Entry::Wanted(command), Some(from)) if from == command => (command, Action::Kept),
        (Entry::Wanted(command), Some(from)) => {
            for group in value["hooks"][event(kind)].as_array_mut()? {
                let hooks = group.get_mut("hooks").and_then(Value::as_array_mut);
                for hook in hooks.into_iter().flatten() {
                    if our_command(hook, kind) == Some(&from) {
                        hook["command"] = Value::from(command.as_str());
                    }
                }
            }
            (command, Action::Updated { from })
        }
        (Entry::Unwanted(original), Some(command)) => {
            let displaced = remove(value, kind, original)?;
            (command, Action::Removed { displaced })
        }
        (Entry::Unwanted(_), None) => return None,
    };
    Some(Change {
        kind,
        command,
        action,
    })
}

/// Removes our hooks for an event, and the containers that are empty without them; counts the others' hooks whose position
/// changes.
fn remove(value: &mut Value, kind: Kind, original: Option<&Value>) -> Option<usize> {
    let root = value.as_object_mut()?;
    let events = root.get_mut("hooks")?.as_object_mut()?;
    let groups = events.get_mut(event(kind))?.as_array_mut()?;
    let mut displaced = 0;
    let mut is_group_removed = false;
    groups.retain_mut(|group| {
        let is_bare = group.as_object().is_some_and(|group| group.len() == 1);
        let Some(hooks) = group.get_mut("hooks").and_then(Value::as_array_mut) else {
            return true;
        };
        let mut is_hook_removed = false;
        hooks.retain(|hook| {
            let is_ours = our_command(hook, kind).is_some();
            is_hook_removed |= is_ours;
            displaced += usize::from(!is_ours && (is_hook_removed || is_group_removed));
            !is_ours
        });
        let is_removed = is_hook_removed && hooks.is_empty() && is_bare;
        is_group_removed |= is_removed;
        !is_removed
    });
    let original = original.map_or(&Value::Null, |value| &value["hooks"]);
    if groups.is_empty() && original[event(kind)].is_null() {
        events.shift_remove(event(kind));
    }
    if events.is_empty() && original.is_null() {
        root.shift_remove("hooks");
    }
    Some(displaced)
}

fn our_command(hook: &Value, kind: Kind) -> Option<&str> {
    let command = hook["command"].as_str()?;
    let is_ours = hook["type"] == "command" && Helper::program_of(command, kind).is_some();
    is_ours.then_some(command)
}

fn event(kind: Kind) -> &'static str {
    trust::event_names(kind).configured
}
