//! Whether Claude Code is signed in.
//!
//! What is in the environment and in the user's directory is looked at first: to ask the program takes half a second, and it
//! writes into the directory that it is asked in. A credential that is there may still be refused by the service.

use std::fs;
use std::io;

use serde_json::Value;

use super::executor::refusal;
use super::home::{USER_SETTINGS, UserHome};
use super::program::{self, Program};
use crate::agent::environment::value;
use crate::agent::executor::{Access, Options, Place, Refusal, Trouble};

/// Variables that choose a provider whose credentials are the provider's.
const PROVIDERS: [&str; 3] = [
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
];

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
    user.load_state().map_err(|error| {
        let message = format!("claude can't use {}: {error}", user.state.display());
        refusal(Trouble::Configuration, message)
    })?;
    // Broken ones would be a dialog at the start.
    let settings = user.load_settings().map_err(|error| {
        let path = user.directory.join(USER_SETTINGS);
        let message = format!("claude can't use {}: {error}", path.display());
        refusal(Trouble::Configuration, message)
    })?;
    let billed = |is_billed| Access {
        is_billed,
        ..Access::default()
    };
    if has("ANTHROPIC_API_KEY") || has("ANTHROPIC_AUTH_TOKEN") {
        return Ok(billed(true));
    }
    if PROVIDERS.iter().any(|provider| has(provider)) {
        return Ok(billed(true));
    }
    if has("CLAUDE_CODE_OAUTH_TOKEN") || has_login(&user)? {
        return Ok(billed(false));
    }
    if settings.contains_key("apiKeyHelper") {
        return Ok(billed(true));
    }
    // A keychain, a setting of a company, …
    let said = program::ask(&program.path, &["auth", "status"], place).await?;
    if !said.status.success() {
        return Err(refusal(Trouble::SignedOut, "claude is not signed in"));
    }
    let status = serde_json::from_slice::<Value>(&said.stdout).unwrap_or_default();
    Ok(billed(status["authMethod"] == "api_key"))
}

/// Whether the user's directory has the tokens of an account. No secret leaves this function.
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
    let token = |name: &str| {
        let token = stored["claudeAiOauth"][name].as_str();
        token.is_some_and(|token| !token.is_empty())
    };
    Ok(token("accessToken") || token("refreshToken"))
}
