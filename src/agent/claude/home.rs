//! The configuration directory of a run, made from the user's.
//!
//! The program writes a good deal beside its work: transcripts, history, counters, per-project entries, caches. All of that
//! goes into a directory of the run. What the user has set up counts there: settings and memory are copied, as they were at
//! the start; skills, commands, agents and plugins are links. Trust in the repository is given in the copy alone.
//!
//! Credentials stay where they are: the program refreshes them in place. A copy or a link of the file would end with a
//! refresh token in the user's file that is used up. Source: 2.1.197 and 2.1.332.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use super::{launch, traces};
use crate::agent::environment::value;
use crate::agent::executor::{Launch, TrustPolicy};
use crate::agent::signals::Kind;
use crate::os::files::{Durability, make_private_directory, write_private};

/// The variable that names the directory.
pub(super) const VARIABLE: &str = "CLAUDE_CONFIG_DIR";
/// The variable that names the directory with the credentials, where that is another one.
///
/// Source: 2.1.197 and 2.1.332; it is in no documentation, and held by `tests/scenarios/claude/traces.rs`.
const CREDENTIALS_VARIABLE: &str = "CLAUDE_SECURESTORAGE_CONFIG_DIR";
/// The variable with a key of the user's.
pub(super) const KEY: &str = "ANTHROPIC_API_KEY";
/// The file with the program's own state, in the directory; without a directory of that name in the home directory.
const STATE: &str = ".claude.json";

/// Beginnings of the names of what a user sets for this program. All others of `CLAUDE_CODE_` may be a parent's.
pub(super) const SETTINGS: [&str; 18] = [
    "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
    "CLAUDE_CODE_AUTO_COMPACT",
    "CLAUDE_CODE_BASH_",
    "CLAUDE_CODE_CERT_STORE",
    "CLAUDE_CODE_CLIENT_",
    "CLAUDE_CODE_DISABLE_",
    "CLAUDE_CODE_EFFORT_LEVEL",
    "CLAUDE_CODE_ENABLE_",
    "CLAUDE_CODE_EXTRA_",
    "CLAUDE_CODE_GLOB_",
    "CLAUDE_CODE_MAX_",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CODE_PROXY_",
    "CLAUDE_CODE_SHELL",
    "CLAUDE_CODE_SKIP_",
    "CLAUDE_CODE_STOP_HOOK_BLOCK_CAP",
    "CLAUDE_CODE_SUBAGENT_",
    "CLAUDE_CODE_USE_",
];

/// What is copied of the user's directory beside the settings. Not `keybindings.json`: Enter submits.
const COPIED: [&str; 1] = ["CLAUDE.md"];
/// The file with the user's settings, in the directory.
pub(super) const USER_SETTINGS: &str = "settings.json";
/// Settings that a run can't do with: hooks switched off, no transcript, a row of the screen that could say anything.
const LEFT_OUT: [&str; 4] = ["disableAllHooks", "cleanupPeriodDays", "statusLine", "tui"];
/// Of a project: whether its imports from outside are read, and whether that was asked.
///
/// Source: 2.1.197 and 2.1.332.
const IMPORTS_ALLOWED: &str = "hasClaudeMdExternalIncludesApproved";
const IMPORTS_ASKED: &str = "hasClaudeMdExternalIncludesWarningShown";
/// What is linked.
const LINKED: [&str; 7] = [
    "agents",
    "commands",
    "skills",
    "plugins",
    "output-styles",
    "rules",
    "hooks",
];

/// So often a request that failed is made again, in about four seconds: a short overload is ridden out, and a service that
/// is gone is known while somebody still waits. The program's own ten take three minutes.
const RETRIES: &str = "3";

/// What holds for the runs of this tool alone, unless the caller has set it.
const VARIABLES: [(&str, &str); 4] = [
    ("CLAUDE_CODE_MAX_RETRIES", RETRIES),
    // The layout of the screen would change between runs, and its history could not be read.
    ("CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN", "1"),
    // An unattended run replaces no program and clones no repository.
    ("DISABLE_AUTOUPDATER", "1"),
    ("CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL", "1"),
];

/// The user's directory, by the variables.
pub(super) fn directory(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    set(VARIABLE).or_else(|| Some(set("HOME")?.join(".claude")))
}

/// Where the user's configuration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserHome {
    /// Settings, memory, skills.
    pub(super) directory: PathBuf,
    /// The program's own state.
    pub(super) state: PathBuf,
    /// The directory with the credentials.
    pub(super) credentials: PathBuf,
}

impl UserHome {
    /// By the environment; `None` without a home directory.
    pub(super) fn of(environment: &[(String, String)]) -> Option<Self> {
        let path = |name: &str| {
            let value = value(environment, name).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        };
        let text = |name: &str| path(name)?.into_os_string().into_string().ok();
        let directory = directory(&text)?;
        let state = match path(VARIABLE) {
            Some(directory) => directory.join(STATE),
            None => path("HOME")?.join(STATE),
        };
        Some(Self {
            credentials: path(CREDENTIALS_VARIABLE).unwrap_or_else(|| directory.clone()),
            directory,
            state,
        })
    }

    /// The user's settings; empty where there are none.
    ///
    /// # Errors
    /// Whatever reading meets; [`io::ErrorKind::InvalidData`] where they are not a JSON object.
    pub(super) fn load_settings(&self) -> io::Result<Map<String, Value>> {
        match fs::read(self.directory.join(USER_SETTINGS)) {
            Ok(bytes) if bytes.iter().all(u8::is_ascii_whitespace) => Ok(Map::new()),
            Ok(bytes) => {
                let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
                serde_json::from_slice(text).map_err(io::Error::from)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(error),
        }
    }

    /// The program's own state; empty where there is none.
    ///
    /// # Errors
    /// Whatever reading meets; [`io::ErrorKind::InvalidData`] where it is not a JSON object.
    pub(super) fn load_state(&self) -> io::Result<Map<String, Value>> {
        match fs::read(&self.state) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Map::new()),
            Err(error) => Err(error),
        }
    }
}

/// Makes the directory, with hooks for `events`; returns the variables that a start needs.
pub(super) fn prepare(
    launch: &Launch<'_>,
    events: &[(&str, Kind)],
) -> io::Result<Vec<(String, String)>> {
    let home = launch.home;
    make_private_directory(home)?;
    let own = home.join("claude");
    make_private_directory(&own)?;
    let user = UserHome::of(launch.environment);
    if let Some(user) = &user {
        for name in COPIED {
            copy(&user.directory.join(name), &own.join(name))?;
        }
        let settings = own_settings(user.load_settings()?);
        write(&own.join(USER_SETTINGS), &Value::Object(settings))?;
        for name in LINKED {
            let from = user.directory.join(name);
            if from.is_dir() {
                symlink(from.canonicalize()?, own.join(name))?;
            }
        }
    }
    let state = match &user {
        Some(user) => user.load_state()?,
        None => Map::new(),
    };
    let key = value(launch.environment, KEY);
    let key = key.and_then(|key| key.into_string().ok());
    let trusted = match launch.options.trust {
        TrustPolicy::Accept => Some(launch.repository),
        TrustPolicy::Ask => None,
    };
    let state = own_state(state, (launch.repository, trusted), key.as_deref());
    write(&own.join(STATE), &Value::Object(state))?;
    write(
        &launch::settings_file(home),
        &launch::settings(launch, events),
    )?;
    traces::note(launch)?;
    if let Some(resumed) = launch.resumed {
        let directory = launch.directory.canonicalize();
        let directory = directory.unwrap_or_else(|_| launch.directory.to_owned());
        let sessions = own.join("projects").join(traces::name_of(&directory));
        fs::create_dir_all(&sessions)?;
        let session = sessions.join(&resumed.session_id).with_extension("jsonl");
        fs::copy(&resumed.transcript, session)?;
    }
    let temporary = home.join("tmp");
    make_private_directory(&temporary)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables = match user {
        Some(user) => variables(&own, &user),
        None => vec![(VARIABLE.to_owned(), text(&own))],
    };
    variables.push(("CLAUDE_CODE_TMPDIR".to_owned(), text(&temporary)));
    for (name, default) in VARIABLES {
        if value(launch.environment, name).is_none() {
            variables.push((name.to_owned(), default.to_owned()));
        }
    }
    Ok(variables)
}

/// The variables by which the program takes that directory for its own, and leaves the credentials where they are.
pub(super) fn variables(own: &Path, user: &UserHome) -> Vec<(String, String)> {
    let variable = |name: &str, path: &Path| (name.to_owned(), path.to_string_lossy().into_owned());
    vec![
        variable(VARIABLE, own),
        variable(CREDENTIALS_VARIABLE, &user.credentials),
    ]
}

/// Fills a directory with the user's state and settings, so that the program can be asked about them.
pub(super) fn imitate(
    own: &Path,
    (state, settings): (&Map<String, Value>, &Map<String, Value>),
) -> io::Result<()> {
    write(&own.join(STATE), &Value::Object(state.clone()))?;
    let settings = Value::Object(settings.clone());
    write(&own.join(USER_SETTINGS), &settings)
}

/// The end of a key, by which the state remembers it.
pub(super) fn end_of_key(key: &str) -> String {
    let letters: Vec<char> = key.chars().collect();
    letters[letters.len().saturating_sub(20)..].iter().collect()
}

/// Whether the state has the key with that end in that list of answers.
pub(super) fn is_key_in(state: &Map<String, Value>, list: &str, end: &str) -> bool {
    let list = state
        .get("customApiKeyResponses")
        .and_then(|responses| responses[list].as_array());
    list.is_some_and(|list| list.iter().any(|known| known == end))
}

/// The settings of a run: the user's, without what it can't do with. The mode is an argument; another default would be asked
/// about.
fn own_settings(mut settings: Map<String, Value>) -> Map<String, Value> {
    for name in LEFT_OUT {
        settings.remove(name);
    }
    if let Some(permissions) = settings
        .get_mut("permissions")
        .and_then(Value::as_object_mut)
    {
        permissions.remove("defaultMode");
    }
    settings
}

/// The state of a run: the user's, of all projects this one alone, and what would be asked at the start.
fn own_state(
    mut state: Map<String, Value>,
    (repository, trusted): (&Path, Option<&Path>),
    key: Option<&str>,
) -> Map<String, Value> {
    let root = repository.to_string_lossy().into_owned();
    let mut project = state
        .remove("projects")
        .and_then(|mut projects| projects.as_object_mut()?.remove(&root))
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({}));
    // Trust is a caller's decision for each run.
    project["hasTrustDialogAccepted"] = json!(trusted.is_some());
    // Files from outside of the repository that its CLAUDE.md imports are read where the user has allowed it, else not.
    let is_allowed = project[IMPORTS_ALLOWED] == true;
    project[IMPORTS_ALLOWED] = json!(is_allowed);
    project[IMPORTS_ASKED] = json!(true);
    state.insert("projects".to_owned(), json!({root: project}));
    state.insert("hasCompletedOnboarding".to_owned(), json!(true));
    // With the keys of vi a paste would be commands.
    state.insert("editorMode".to_owned(), json!("normal"));
    // Whoever passes a key wants it used; a key that was refused once stays refused.
    let end = key.map(end_of_key);
    let is_known = end.as_deref().is_some_and(|end| {
        ["rejected", "approved"]
            .iter()
            .any(|list| is_key_in(&state, list, end))
    });
    let responses = state
        .entry("customApiKeyResponses")
        .or_insert_with(|| json!({}));
    if let (Some(end), Some(responses), false) = (end, responses.as_object_mut(), is_known) {
        let approved = responses.entry("approved").or_insert_with(|| json!([]));
        if let Some(approved) = approved.as_array_mut() {
            approved.push(json!(end));
        }
    }
    state
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::read(from) {
        Ok(bytes) => write_private(to, &bytes, Durability::Cached),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, value: &Value) -> io::Result<()> {
    write_private(path, &serde_json::to_vec(value)?, Durability::Cached)
}

/// Since when the program says that the session with that transcript has nothing to do: no turn runs, also none that no
/// hook will tell of any more.
pub(super) fn idle_since(transcript: &Path, session: &str) -> Option<SystemTime> {
    let states = transcript.ancestors().nth(3)?.join("sessions");
    let mut states = fs::read_dir(states).ok()?.flatten().filter_map(|file| {
        let bytes = fs::read(file.path()).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    });
    let state = states.find(|state| state["sessionId"] == session)?;
    let is_idle = matches!(state["status"].as_str(), Some("idle" | "shell"));
    let since = Duration::from_millis(state["statusUpdatedAt"].as_u64()?);
    is_idle.then(|| SystemTime::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_project_is_known_and_trusted_for_the_run() {
        let state = json!({
            "projects": {
                "/a": {"mcpServers": {"files": {}}, "hasTrustDialogAccepted": true},
                "/b": {"history": ["secret"]},
            },
            "mcpServers": {"mine": {}},
            "editorMode": "vim",
        });
        let state = state.as_object().expect("an object").clone();
        let root = Path::new("/a");
        let own = own_state(state.clone(), (root, None), None);
        assert_eq!(own["projects"]["/a"]["hasTrustDialogAccepted"], false);
        assert_eq!(own["projects"]["/a"]["mcpServers"], json!({"files": {}}));
        assert!(own["projects"].get("/b").is_none());
        assert_eq!(own["projects"]["/a"][IMPORTS_ALLOWED], false);
        assert_eq!(own["projects"]["/a"][IMPORTS_ASKED], true);
        assert_eq!(own["editorMode"], "normal");
        assert_eq!(own["mcpServers"], json!({"mine": {}}));
        let own = own_state(state, (root, Some(root)), None);
        assert_eq!(own["projects"]["/a"]["hasTrustDialogAccepted"], true);
    }

    #[test]
    fn settings_that_would_break_a_run_are_left_out() {
        let settings = json!({
            "disableAllHooks": true, "cleanupPeriodDays": 0, "statusLine": {}, "model": "haiku",
            "permissions": {"defaultMode": "plan", "allow": ["Bash"]},
        });
        let own = own_settings(settings.as_object().expect("an object").clone());
        let kept = json!({"model": "haiku", "permissions": {"allow": ["Bash"]}});
        assert_eq!(Value::Object(own), kept);
    }

    #[test]
    fn a_key_is_used_unless_it_was_refused() {
        let key = "sk-ant-0123456789-0123456789";
        let root = Path::new("/a");
        let own = own_state(Map::new(), (root, None), Some(key));
        let approved = &own["customApiKeyResponses"]["approved"];
        assert_eq!(*approved, json!([&key[key.len() - 20..]]));
        let state = json!({"customApiKeyResponses": {"rejected": [&key[key.len() - 20..]]}});
        let state = state.as_object().expect("an object").clone();
        let own = own_state(state, (root, None), Some(key));
        assert!(own["customApiKeyResponses"].get("approved").is_none());
    }

    #[test]
    fn the_users_directory_is_where_the_program_looks_for_it() {
        let of = |pairs: &[(&str, &str)]| {
            let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            UserHome::of(&pairs.iter().map(pair).collect::<Vec<_>>())
        };
        let plain = of(&[("HOME", "/h")]).expect("a home");
        assert_eq!(plain.state, Path::new("/h/.claude.json"));
        assert_eq!(plain.credentials, Path::new("/h/.claude"));
        let named = of(&[
            ("HOME", "/h"),
            (VARIABLE, "/c"),
            (CREDENTIALS_VARIABLE, "/s"),
        ]);
        let named = named.expect("a home");
        assert_eq!(named.state, Path::new("/c/.claude.json"));
        assert_eq!(named.directory, Path::new("/c"));
        assert_eq!(named.credentials, Path::new("/s"));
        assert_eq!(of(&[]), None);
    }
}
