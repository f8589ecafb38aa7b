//! Whether codex can be started and reach a model: its program, its directory, its configuration, its credentials.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::value;
use crate::agent::codex::launch::Options;
use crate::agent::codex::program::{self, Program};
use crate::agent::codex::setup::{self, Provider, Query, Setup};
use crate::error::Error;
use crate::os::blocking::blocking;

/// So many files codex must be able to open at once.
///
/// Source: codex 0.169.0 takes no prompt, now and then, where it may open 64; 0.130.0 to 0.169.0 raise a soft limit.
const FILES_NEEDED: u64 = 256;

/// Finds the program and asks it what it is, where it will be started.
pub(super) async fn check_program(
    options: &Options,
    environment: &[(String, String)],
    place: &Path,
    state: &Path,
) -> Result<Program, Error> {
    if let Some(files) = getrlimit(Resource::Nofile).maximum
        && files < FILES_NEEDED
    {
        let needed = FILES_NEEDED;
        return Err(Error::Limit { files, needed });
    }
    let place = if place.is_dir() {
        place
    } else {
        Path::new("/")
    };
    let program = options.program.as_deref();
    Ok(Program::query(program, environment, place, state).await?)
}

/// Where codex is asked about its configuration.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    /// The directory that it trusts.
    pub(super) repository: &'a Path,
    /// Where the agent would work in the caller's checkout.
    pub(super) directory: &'a Path,
    /// Where the answer is kept.
    pub(super) state: &'a Path,
}

/// A codex that can reach a model.
pub(super) struct Able {
    /// Whether it pays by an API key.
    pub(super) api_key: bool,
    /// Further `-c` values for it.
    pub(super) unbound: Vec<String>,
}

/// What codex makes of its configuration, and whether it has what it needs to reach the model.
pub(super) async fn check_access(
    program: &Program,
    options: &Options,
    environment: &[(String, String)],
    Places {
        repository,
        directory,
        state,
    }: Places<'_>,
) -> Result<Able, Error> {
    let home = check_home(environment)?;
    let setup = {
        let (program, options) = (program.clone(), options.clone());
        let (environment, home) = (environment.to_owned(), home.clone());
        let (repository, directory) = (repository.to_owned(), directory.to_owned());
        let state = state.to_owned();
        blocking(move || {
            let query = Query {
                program: &program,
                options: &options,
                environment: &environment,
                home: &home,
                repository: &repository,
                directory: &directory,
            };
            match query.ask(&state)? {
                Some(setup) => Ok::<_, Error>(setup),
                None => Ok(setup::load(&home)?),
            }
        })
        .await?
    };
    let api_key = match &setup.provider {
        // Nothing but a server on this machine.
        _ if options.arguments.iter().any(|argument| argument == "--oss") => false,
        Provider::Other {
            name,
            key: Some(variable),
        } => {
            let set = value(environment, variable).is_some_and(|value| !value.is_empty());
            if !set {
                let (provider, variable) = (name.clone(), variable.clone());
                return Err(Error::ProviderKeyMissing { provider, variable });
            }
            true
        }
        Provider::Other { key: None, .. } => false,
        Provider::OpenAi => check_sign_in(&setup, &home, (program, environment)).await?,
    };
    let unbound = setup.unbound;
    Ok(Able { api_key, unbound })
}

/// codex's directory. It makes the one in the home directory by itself, but none that CODEX_HOME names.
fn check_home(environment: &[(String, String)]) -> Result<PathBuf, Error> {
    let variable = |name: &str| value(environment, name).and_then(|value| value.into_string().ok());
    let home = program::codex_home(variable).ok_or(Error::SignedOut)?;
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
    (program, environment): (&Program, &[(String, String)]),
) -> Result<bool, Error> {
    let path = home.join("auth.json");
    let stored = match fs::read(&path) {
        _ if setup.store.as_deref() == Some("keyring") => None,
        Ok(stored) => Some(stored),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(credentials(path, error.to_string())),
    };
    let Some(stored) = stored else {
        // They may lie in the system's keyring: codex knows.
        return match program.query_signed_in(environment).await? {
            true => Ok(false),
            false => Err(Error::SignedOut),
        };
    };
    let Ok(stored) = serde_json::from_slice::<Value>(&stored) else {
        return Err(credentials(path, "it is not JSON".to_owned()));
    };
    let present = |name: &str| stored.get(name).is_some_and(|value| !value.is_null());
    let api_key = match (present("tokens"), present("OPENAI_API_KEY")) {
        (true, _) => false,
        (false, true) => true,
        (false, false) => return Err(credentials(path, "it holds no credential".to_owned())),
    };
    match (setup.login.as_deref(), api_key) {
        (Some(way @ "chatgpt"), true) | (Some(way @ "api"), false) => {
            let why = format!(
                "codex is configured with forced_login_method = \"{way}\", and it holds the other kind"
            );
            Err(credentials(path, why))
        }
        _ => Ok(api_key),
    }
}

fn credentials(path: PathBuf, why: String) -> Error {
    Error::Credentials { path, why }
}
