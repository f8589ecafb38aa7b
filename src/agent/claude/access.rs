//! Whether Claude Code is signed in, and can start with the user's settings.
//!
//! What is in the environment and in the user's directory is looked at first: to ask the program takes half a second, and it
//! writes into its directory, so that it gets one of its own for that. A credential that is there may still be refused by the service.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::home::{self, USER_SETTINGS, UserHome};
use super::managed;
use super::program::{self, Program};
use super::refusal::refusal;
use crate::agent::environment::value;
use crate::agent::executor::{Access, Options, Place, Refusal, Trouble};
use crate::agent::query::Said;
use crate::os::files::PrivateDirectory;
use crate::os::search_path::find_program;

/// Variables that choose a provider whose credentials are the provider's.
const PROVIDERS: [&str; 3] = [
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
];
/// The values by which such a variable is on. Source: 2.1.197 and 2.1.332, `claude auth status`.
const ON: [&str; 4] = ["1", "true", "yes", "on"];
/// The ways of signing in, as the program calls them, that are paid by use.
const BILLED: [&str; 3] = ["api_key", "api_key_helper", "third_party"];
/// What an account's token must be for.
const SCOPE: &str = "user:inference";

pub(super) async fn query_access(
    program: &Program,
    _options: &Options,
    place: Place<'_>,
) -> Result<Access, Refusal> {
    let has = |name: &str| value(place.environment, name).is_some_and(|value| !value.is_empty());
    let user = UserHome::of(place.environment)
        .ok_or_else(|| refusal(Trouble::Home, "HOME is not set, nor is CLAUDE_CONFIG_DIR"))?;
    if user.directory.exists() && !user.directory.is_dir() {
        let message = format!("{} is not a directory", user.directory.display());
        return Err(refusal(Trouble::Home, message));
    }
    let state = user.load_state().map_err(|error| {
        let message = format!("claude can't use {}: {error}", user.state.display());
        refusal(Trouble::Configuration, message)
    })?;
    // Broken ones would be a dialog at the start.
    let settings = user.load_settings().map_err(|error| {
        let path = user.directory.join(USER_SETTINGS);
        let message = format!("claude can't use {}: {error}", path.display());
        refusal(Trouble::Configuration, message)
    })?;
    check_sandbox(&settings, place)?;
    if let Some(why) = managed::find_against_hooks() {
        let message = format!("claude runs no hook of a run: {why}");
        return Err(refusal(Trouble::Restricted, message));
    }
    let billed = |is_billed| Access {
        is_billed,
        ..Access::default()
    };
    let key = value(place.environment, home::KEY).filter(|key| !key.is_empty());
    let is_refused = key.as_ref().is_some_and(|key| {
        let end = key.to_str().map(home::end_of_key);
        end.is_some_and(|end| home::is_key_in(&state, "rejected", &end))
    });
    if key.is_some() && !is_refused || has("ANTHROPIC_AUTH_TOKEN") {
        return Ok(billed(true));
    }
    let is_on = |name: &str| {
        let value = value(place.environment, name);
        value.is_some_and(|value| ON.iter().any(|on| value.eq_ignore_ascii_case(on)))
    };
    if PROVIDERS.iter().any(|provider| is_on(provider)) {
        return Ok(billed(true));
    }
    if has("CLAUDE_CODE_OAUTH_TOKEN") || has_login(&user)? {
        return Ok(billed(false));
    }
    if settings.contains_key("apiKeyHelper") {
        return Ok(billed(true));
    }
    if is_refused {
        // It would say that it is signed in by any key.
        let message = format!(
            "claude is not signed in: {} is a key that it was told not to use",
            home::KEY
        );
        return Err(refusal(Trouble::SignedOut, message));
    }
    // A key in its own state or in the settings, a setting of a company, …
    let said = ask_status(program, &user, (&state, &settings), place).await?;
    if !said.status.success() {
        return Err(refusal(Trouble::SignedOut, "claude is not signed in"));
    }
    let status = serde_json::from_str::<Value>(&said.stdout).unwrap_or_default();
    let method = status["authMethod"].as_str().unwrap_or_default();
    Ok(billed(BILLED.contains(&method)))
}

/// Refuses a sandbox that has to be there and can't be: the program would end at its start, without a word on the screen.
///
/// Source: 2.1.332.
fn check_sandbox(settings: &Map<String, Value>, place: Place<'_>) -> Result<(), Refusal> {
    let sandbox = settings.get("sandbox").unwrap_or(&Value::Null);
    if sandbox["enabled"] != true || sandbox["failIfUnavailable"] != true {
        return Ok(());
    }
    let path = value(place.environment, "PATH").unwrap_or_default();
    let missing = ["bwrap", "socat"]
        .into_iter()
        .find(|program| find_program(Path::new(program), &path).is_none());
    missing.map_or(Ok(()), |program| {
        let message = format!(
            "your settings require claude's sandbox (sandbox.failIfUnavailable), which needs `{program}` on PATH"
        );
        Err(refusal(Trouble::Configuration, message))
    })
}

/// Asks the program in a directory that has what the user's own has, but for the credentials, which it reads where they are.
async fn ask_status(
    program: &Program,
    user: &UserHome,
    content: (&Map<String, Value>, &Map<String, Value>),
    place: Place<'_>,
) -> Result<Said, Refusal> {
    let own = PrivateDirectory::make();
    let own = own.and_then(|own| home::imitate(&own.path, content).map(|()| own));
    let own = own.map_err(|error| {
        let message = format!("claude can't be asked in a directory of its own: {error}");
        refusal(Trouble::Unusable, message)
    })?;
    let mut environment = place.environment.to_vec();
    environment.extend(home::variables(&own.path, user));
    let place = Place {
        environment: &environment,
        ..place
    };
    program::ask(&program.path, &["auth", "status"], place).await
}

/// Whether the user's directory has the tokens of an account, as the program wants them. No secret leaves this function.
///
/// Source: 2.1.197 and 2.1.332, `claude auth status` and whole runs.
fn has_login(user: &UserHome) -> Result<bool, Refusal> {
    let path = user.credentials.join(".credentials.json");
    let unusable = |why: &dyn std::fmt::Display| {
        let message = format!("claude can't sign in with {}: {why}", path.display());
        refusal(Trouble::Credentials, message)
    };
    let stored = match fs::read(&path) {
        Ok(stored) => stored,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(unusable(&error)),
    };
    let Ok(stored) = serde_json::from_slice::<Value>(&stored) else {
        return Err(unusable(&"it is not JSON"));
    };
    let account = &stored["claudeAiOauth"];
    let token = |name: &str| {
        account[name]
            .as_str()
            .is_some_and(|token| !token.is_empty())
    };
    let scopes = account["scopes"].as_array();
    let is_for_models = scopes.is_none_or(|scopes| scopes.iter().any(|scope| scope == SCOPE));
    if !token("accessToken") || !is_for_models {
        return Ok(false);
    }
    // The program takes such a token for a login, and the service refuses it.
    let expires = account["expiresAt"].as_u64().map(Duration::from_millis);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let is_over = expires.is_some_and(|expires| now.is_ok_and(|now| now >= expires));
    if is_over && !token("refreshToken") {
        let message = "claude's login has expired, and no token is there to refresh it with";
        return Err(refusal(Trouble::Credentials, message));
    }
    Ok(true)
}
