//! A company's settings, which go before the user's and a run's own.
//!
//! Source: 2.1.197 and 2.1.332; no variable leads to another directory.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Where they are.
const DIRECTORY: &str = "/etc/claude-code";
/// The settings by which no hook of a user's runs, nor a run's.
const AGAINST_HOOKS: [&str; 2] = ["disableAllHooks", "allowManagedHooksOnly"];

/// Which of them keeps hooks from running, in words; `None` where none does.
pub(super) fn find_against_hooks() -> Option<String> {
    find_against_hooks_in(Path::new(DIRECTORY))
}

fn find_against_hooks_in(directory: &Path) -> Option<String> {
    files(directory).into_iter().find_map(|path| {
        let settings: Value = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let mut names = AGAINST_HOOKS.into_iter();
        let name = names.find(|name| settings[name] == true)?;
        Some(format!("{name} is set in {}", path.display()))
    })
}

/// The file, and those beside it that add to it.
fn files(directory: &Path) -> Vec<PathBuf> {
    let added = fs::read_dir(directory.join("managed-settings.d"));
    let added = added.into_iter().flatten().flatten();
    let added = added.map(|entry| entry.path());
    let mut files: Vec<PathBuf> = added
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .collect();
    files.sort();
    files.insert(0, directory.join("managed-settings.json"));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_hooks_from_running_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let find = || find_against_hooks_in(dir.path());
        assert_eq!(find(), None);
        let path = dir.path().join("managed-settings.json");
        fs::write(&path, r#"{"disableAllHooks": false, "model": "opus"}"#).expect("written");
        assert_eq!(find(), None);
        let added = dir.path().join("managed-settings.d");
        fs::create_dir(&added).expect("made");
        let own = added.join("10-hooks.json");
        fs::write(&own, r#"{"allowManagedHooksOnly": true}"#).expect("written");
        let expected = format!("allowManagedHooksOnly is set in {}", own.display());
        assert_eq!(find(), Some(expected));
        fs::write(&path, r#"{"disableAllHooks": true}"#).expect("written");
        let expected = format!("disableAllHooks is set in {}", path.display());
        assert_eq!(find(), Some(expected));
        fs::write(&path, "{").expect("written");
        fs::remove_file(own).expect("removed");
        assert_eq!(find(), None);
    }
}
