//! Whether codex can be started and reach a model: its program, its directory, its configuration, its credentials.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::program::{self, Program};
use super::refusal;
use super::setup::{self, Provider, Setup, SetupQuery};
use crate::agent::conversation::Drive;
use crate::agent::environment::value;
use crate::agent::executor::{Access, Installed, Options, Place, Refusal, Trouble};
use crate::os::blocking::blocking;

/// The number of files that codex must be able to open at once.
///
/// Source: codex 0.169.0 takes no prompt, now and then, where it may open 64; 0.130.0 to 0.169.0 raise a soft limit.
const FILES_NEEDED: u64 = 256;

/// Refuses a limit that codex can't work under.
pub(super) fn check_limits() -> Result<(), Refusal> {
    match getrlimit(Resource::Nofile).maximum {
        Some(files) if files < FILES_NEEDED => Err(refusal(
            Trouble::Limits,
            format!("codex may open at most {files} files; it needs {FILES_NEEDED}"),
        )),
        _ => Ok(()),
    }
}

/// Reads codex's configuration through codex itself, and checks its access to the model.
pub(super) async fn query_access(
    program: &Program,
    options: &Options,
    place: Place<'_>,
) -> Result<Access, Refusal> {
    let environment = place.environment;
    let home = find_home(environment)?;
    let setup = query_setup(program, options, place, &home).await?;
    let is_billed = match &setup.provider {
        // Nothing but a server on this machine.
        _ if options.arguments.iter().any(|argument| argument == "--oss") => false,
        Provider::Other {
            name,
            key: Some(variable),
        } => {
            let set = value(environment, variable).is_some_and(|value| !value.is_empty());
            if !set {
                let message = format!(
                    "{variable} is not set; it has the key of codex's model provider {name}"
                );
                return Err(refusal(Trouble::KeyMissing, message));
            }
            true
        }
        Provider::Other { key: None, .. } => false,
        Provider::OpenAi => check_sign_in(&setup, &home, program, environment).await?,
    };
    Ok(Access {
        is_billed,
        settings: setup.unbound,
    })
}

async fn query_setup(
    program: &Program,
    options: &Options,
    place: Place<'_>,
    home: &Path,
) -> Result<Setup, Refusal> {
    let (program, options, home) = (program.clone(), options.clone(), home.to_owned());
    let environment = place.environment.to_owned();
    let (repository, directory) = (place.repository.to_owned(), place.directory.to_owned());
    let state = place.state.to_owned();
    // Where requests are wanted in vain, that is what is said first.
    let drive = program.drive(&options).unwrap_or(Drive::Keys);
    blocking(move || {
        let query = SetupQuery {
            program: &program,
            options: &options,
            drive,
            environment: &environment,
            home: &home,
            repository: &repository,
            directory: &directory,
        };
        match query.ask(&state)? {
            Some(setup) => Ok::<_, Refusal>(setup),
            None => Ok(setup::load(&home)?),
        }
    })
    .await
}

/// codex's directory. It makes the one in the home directory by itself, but none that CODEX_HOME names.
fn find_home(environment: &[(String, String)]) -> Result<PathBuf, Refusal> {
    let variable = |name: &str| value(environment, name).and_then(|value| value.into_string().ok());
    let home = program::codex_home(variable).ok_or_else(signed_out)?;
    let named = value(environment, "CODEX_HOME").is_some_and(|value| !value.is_empty());
    let why = match fs::read_dir(&home) {
        Ok(_) => return Ok(home),
        Err(error) if error.kind() == ErrorKind::NotFound && !named => return Ok(home),
        Err(error) => error.to_string(),
    };
    Err(setup::Error::Home { path: home, why }.into())
}

/// Whether codex is signed in with OpenAI, and whether by an API key. No secret leaves this function.
async fn check_sign_in(
    setup: &Setup,
    home: &Path,
    program: &Program,
    environment: &[(String, String)],
) -> Result<bool, Refusal> {
    let path = home.join("auth.json");
    let stored = match fs::read(&path) {
        _ if setup.store.as_deref() == Some("keyring") => None,
        Ok(stored) => Some(stored),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(credentials(&path, &error.to_string())),
    };
    let Some(stored) = stored else {
        // They may be in the system's keyring: codex knows.
        return if program.query_signed_in(environment).await? {
            Ok(false)
        } else {
            Err(signed_out())
        };
    };
    let Ok(stored) = serde_json::from_slice::<Value>(&stored) else {
        return Err(credentials(&path, "it is not JSON"));
    };
    let present = |name: &str| stored.get(name).is_some_and(|value| !value.is_null());
    let api_key = match (present("tokens"), present("OPENAI_API_KEY")) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => return Err(credentials(&path, "it contains no credential")),
    };
    match (setup.login.as_deref(), api_key) {
        (Some(way @ "chatgpt"), true) | (Some(way @ "api"), false) => {
            let why = format!(
                "codex is configured with forced_login_method = \"{way}\", and it contains the other kind"
            );
            Err(credentials(&path, &why))
        }
        _ => Ok(api_key),
    }
}

fn signed_out() -> Refusal {
    refusal(Trouble::SignedOut, "codex is not signed in".to_owned())
}

fn credentials(path: &Path, why: &str) -> Refusal {
    let message = format!("codex can't sign in with {}: {why}", path.display());
    refusal(Trouble::Credentials, message)
}
