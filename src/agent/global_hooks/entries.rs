//! Our entries in the value of a file of hooks, whose shape has been checked.
//!
//! `{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "…"}]}]}}`: per event a list of groups, in each a list of
//! hooks.

use serde_json::{Value, json};

use super::{Action, Change};
use crate::agent::helper::Helper;
use crate::agent::signals::Kind;

/// An event by its name in the file, and what our hook reports of it.
pub(super) type Event = (&'static str, Kind);

/// The command line of our entry for an event.
pub(super) fn find(value: &Value, (event, kind): Event) -> Option<&str> {
    let groups = value["hooks"][event].as_array()?;
    let hooks = groups.iter().filter_map(|group| group["hooks"].as_array());
    hooks.flatten().find_map(|hook| our_command(hook, kind))
}

/// Gives our entry for an event the command line that is wanted, behind all others where it is new. Where none is wanted, it
/// is removed, with the containers that are empty without it, but for those of the original file.
pub(super) fn merge(
    value: &mut Value,
    event: Event,
    wanted: Option<String>,
    original: &Value,
) -> Option<Change> {
    let (name, kind) = event;
    let found = find(value, event).map(str::to_owned);
    let (command, action) = match (wanted, found) {
        (None, None) => return None,
        (None, Some(command)) => {
            let displaced = remove(value, event, &original["hooks"])?;
            (command, Action::Removed { displaced })
        }
        (Some(command), Some(from)) if from == command => (command, Action::Kept),
        (Some(command), Some(from)) => {
            let groups = value["hooks"][name].as_array_mut()?;
            let hooks = groups
                .iter_mut()
                .filter_map(|group| group.get_mut("hooks")?.as_array_mut());
            for hook in hooks.flatten() {
                if our_command(hook, kind) == Some(&from) {
                    hook["command"] = Value::from(command.as_str());
                }
            }
            (command, Action::Updated { from })
        }
        (Some(command), None) => {
            let groups = &mut value["hooks"][name];
            if groups.is_null() {
                *groups = json!([]);
            }
            let group = json!({"hooks": [{"type": "command", "command": command}]});
            groups.as_array_mut()?.push(group);
            (command, Action::Added)
        }
    };
    Some(Change {
        event: name,
        kind,
        command,
        action,
    })
}

/// Removes our hooks for an event; counts the others' hooks whose position changes.
fn remove(value: &mut Value, (event, kind): Event, original: &Value) -> Option<usize> {
    let root = value.as_object_mut()?;
    let events = root.get_mut("hooks")?.as_object_mut()?;
    let groups = events.get_mut(event)?.as_array_mut()?;
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
    if groups.is_empty() && original[event].is_null() {
        events.shift_remove(event);
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
