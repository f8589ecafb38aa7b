//! Settings that take precedence over a run's own arguments and prevent the run.

use serde_json::Value;

use super::Error;
use crate::agent::executor::Options;

/// The effective configuration must say what the run's arguments said; of hooks and the terminal's settings for a run by keys.
///
/// Source: codex 0.169.0: `--disable hooks` takes precedence over `-c features.hooks=true`, as does `managed_config.toml`.
pub(super) fn check(config: &Value, options: &Options, by_keys: bool) -> Result<(), Error> {
    let by = |setting: &str| {
        let whose = if options.arguments.is_empty() {
            "an administrator's managed_config.toml"
        } else {
            "an argument of --agent-arg, or an administrator's managed_config.toml,"
        };
        Err(Error::Forced(format!(
            "{whose} sets {setting}, which a run needs unchanged: remove that"
        )))
    };
    if config["features"]["goals"].as_bool() == Some(true) {
        return by("features.goals = true");
    }
    if !by_keys {
        return Ok(());
    }
    if config["features"]["hooks"].as_bool() == Some(false) {
        return by("features.hooks = false");
    }
    let row = &config["tui"]["status_line"];
    let names_the_model = |item: &Value| item.as_str() == Some("model-with-reasoning");
    if row
        .as_array()
        .is_some_and(|row| !row.first().is_some_and(names_the_model))
    {
        return by("tui.status_line");
    }
    let submit = &config["tui"]["keymap"]["composer"]["submit"];
    let keys = submit
        .as_array()
        .map_or(std::slice::from_ref(submit), Vec::as_slice);
    let has = |key: &str| keys.iter().any(|have| have.as_str() == Some(key));
    if !(submit.is_null() || has("enter") && has("shift-f12")) {
        return by("tui.keymap.composer.submit");
    }
    Ok(())
}

/// Checks that the administrator allows the caller's options, and the hooks that a run by keys needs.
///
/// Source: codex 0.169.0, `configRequirements/read` with each of these in `/etc/codex/requirements.toml`.
pub(super) fn check_administrators(
    requirements: &Value,
    options: &Options,
    by_keys: bool,
) -> Result<(), Error> {
    let forced = |text: String| {
        Err(Error::Forced(format!(
            "the administrator's requirements.toml {text}"
        )))
    };
    if by_keys && requirements["allowManagedHooksOnly"].as_bool() == Some(true) {
        return forced("has allow_managed_hooks_only = true, and a run needs its own hooks: ask the administrator to let them run".to_owned());
    }
    if by_keys && requirements["featureRequirements"]["hooks"].as_bool() == Some(false) {
        return forced("has features.hooks = false, and a run needs hooks: ask the administrator to let them run".to_owned());
    }
    let choices = [
        (
            "allowed_sandbox_modes",
            "allowedSandboxModes",
            options.sandbox.as_str(),
            "--sandbox",
        ),
        (
            "allowed_approval_policies",
            "allowedApprovalPolicies",
            options.ask.as_str(),
            "--ask",
        ),
    ];
    for (setting, key, wanted, flag) in choices {
        let Some(allowed) = requirements[key].as_array() else {
            continue;
        };
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        if !names.contains(&wanted) {
            let names = names.join(", ");
            return forced(format!(
                "has {setting} = [{names}], which lacks {wanted}: choose an allowed one with {flag}"
            ));
        }
    }
    Ok(())
}
