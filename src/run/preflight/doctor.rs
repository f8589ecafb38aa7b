//! `doctor`: every check, told one by one.

use std::path::Path;

use serde::Serialize;

use super::*;
use crate::agent::environment::examining_environment;
use crate::agent::executor::Options;

/// Below this much `doctor` warns, in MB.
const DISK_WANTED_MB: u64 = 1_000;

/// A place in which nothing can be made, not even by root: the answers of the agent's program are not kept.
const NOWHERE: &str = "/dev/null";

/// How a check came out.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// In order.
    Ok,
    /// A run can start; a person should look.
    Warn,
    /// A run could not start.
    Fail,
}

/// One line of `doctor`.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The subject of the check.
    pub name: String,
    /// How it came out.
    pub level: Level,
    /// The finding.
    pub found: String,
    /// How to fix it.
    pub fix: Option<String>,
}

/// Whether a run could start, with each check.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// 1.
    pub schema_version: u32,
    /// Whether a run could start.
    pub ready: bool,
    /// The checks, in their order.
    pub checks: Vec<Check>,
}

impl Readiness {
    /// What the checks come to.
    #[must_use]
    pub fn of(checks: Vec<Check>) -> Self {
        Self {
            schema_version: 1,
            ready: checks.iter().all(|check| check.level != Level::Fail),
            checks,
        }
    }
}

impl Check {
    pub(crate) fn of(name: impl Into<String>, result: Result<String, Error>) -> Self {
        let name = name.into();
        match result {
            Ok(found) => Self {
                name,
                level: Level::Ok,
                found,
                fix: None,
            },
            Err(error) => Self {
                name,
                level: Level::Fail,
                found: error.message(),
                fix: Some(error.hint()),
            },
        }
    }

    fn warn_if(mut self, warned: bool, fix: &str) -> Self {
        if warned && self.level == Level::Ok {
            self.level = Level::Warn;
            self.fix = Some(fix.to_owned());
        }
        self
    }
}

/// Every check that needs no task, in the order of a run's needs. Changes nothing.
pub async fn doctor(state: &Path, repository: &Path, options: &Options) -> Vec<Check> {
    let (agent, is_headless) = examine_agent(repository, options, Path::new(NOWHERE)).await;
    let mut checks = vec![
        look_at_tmux(check_tmux().await, is_headless),
        Check::of("git", check_git()),
        look_at_repository(repository),
        Check::of(
            "helper",
            find_helper(None).map(|helper| helper.program().display().to_string()),
        ),
    ];
    let place = Store::examine(state).map_err(Error::from);
    let free = place.as_ref().map(|place| available_mb(place));
    let scarce = matches!(&free, Ok(Ok(mb)) if *mb < DISK_WANTED_MB);
    let state_check = place.and_then(|place| {
        let mb = check_disk(&place, "--state-dir")?;
        let found = format!("{}, {mb} MB free", state.display());
        Ok(if state.exists() {
            found
        } else {
            format!("{found}; the first run creates it")
        })
    });
    checks.push(Check::of("state directory", state_check).warn_if(scarce, "free some space"));
    let temporary =
        check_disk(Path::new("/tmp"), "--worktree-root").map(|mb| format!("{mb} MB free"));
    checks.push(Check::of("/tmp", temporary));
    checks.extend(agent);
    checks
}

/// A run of a headless program needs no tmux.
fn look_at_tmux(found: Result<String, Error>, is_headless: bool) -> Check {
    match found {
        Err(error) if is_headless => Check::of(
            "tmux",
            Ok(format!("{}; a headless run needs none", error.message())),
        ),
        found => Check::of("tmux", found),
    }
}

/// The checks of the agent's program, and whether it is a headless one.
async fn examine_agent(repository: &Path, options: &Options, state: &Path) -> (Vec<Check>, bool) {
    let executor = options.executor;
    let (name, sign_in) = (executor.name(), format!("{} sign-in", executor.name()));
    let environment = examining_environment(&*executor);
    let here = existing(repository);
    let place = Place {
        environment: &environment,
        repository: here,
        directory: here,
        state,
    };
    let program = match executor.find(options, place).await {
        Ok(program) => program,
        Err(refusal) => return (vec![Check::of(name, Err(refusal.into()))], false),
    };
    let is_headless = program.drive(options) == Ok(Drive::Headless);
    let found = format!("{} at {}", program.version(), program.path().display());
    let untried = !program.is_known();
    let fix = format!("update cx-operator, or install a {name} that it knows");
    let inside = Repository::discover(repository).ok();
    let stands = repository.canonicalize().ok().filter(|_| inside.is_some());
    let outside = Path::new("/");
    let place = Place {
        environment: &environment,
        repository: inside.as_ref().map_or(outside, trusted),
        directory: stands.as_deref().unwrap_or(outside),
        state,
    };
    let access = program.query_access(options, place).await;
    let says = |is_billed| {
        if is_billed {
            "an API key: billed by use, with no spending cap"
        } else {
            "signed in, or a provider that needs no sign-in"
        }
    };
    let access = access.map(|access| says(access.is_billed).to_owned());
    let checks = vec![
        Check::of(name, Ok(found)).warn_if(untried, &fix),
        Check::of(sign_in, access.map_err(Error::from)),
    ];
    (checks, is_headless)
}

/// Outside of any the machine may be ready all the same.
fn look_at_repository(path: &Path) -> Check {
    let name = "git repository";
    match examine_repository(path) {
        Err(error @ Error::Worktree(crate::worktree::Error::NotARepository { .. })) => Check {
            level: Level::Warn,
            fix: Some("name one with --repo, or run it inside one".to_owned()),
            ..Check::of(name, Err(error))
        },
        other => Check::of(name, other),
    }
}

fn examine_repository(path: &Path) -> Result<String, Error> {
    let repository = Repository::discover(path)?;
    let base = repository.resolve_base("HEAD")?;
    let dirty = repository.query_dirty()?;
    let state = if dirty.is_clean() {
        "clean".to_owned()
    } else {
        format!(
            "{} modified, {} untracked (the agent won't see them)",
            dirty.modified, dirty.untracked
        )
    };
    Ok(format!(
        "{} at {base}, {state}",
        repository.root().display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_headless_run_needs_no_tmux() {
        let too_old = || {
            Err(Error::TmuxTooOld {
                version: "2.9".to_owned(),
            })
        };
        let check = look_at_tmux(too_old(), true);
        assert_eq!(check.level, Level::Ok, "{check:?}");
        assert!(check.found.contains("2.9"), "{check:?}");
        assert_eq!(look_at_tmux(too_old(), false).level, Level::Fail);
    }
}
