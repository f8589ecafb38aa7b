//! The program: where it is, and which version.

use std::path::{Path, PathBuf};

use super::refusal::refusal;
use crate::agent::environment::value;
use crate::agent::executor::{Place, Refusal, Trouble};
use crate::agent::query::{self, Said};

/// The versions that every screen and fact here was seen on.
pub(super) const KNOWN_VERSIONS: (&str, &str) = ("2.1.197", "2.1.332");

/// A Claude Code that can be started.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// Its absolute path.
    pub(super) path: PathBuf,
    /// For example `2.1.332`.
    pub(super) version: String,
}

impl Program {
    /// Finds the program and asks it for its version, in the directory where it will be asked for more: a version manager's
    /// shim runs what is chosen there.
    pub(super) async fn query(program: Option<&Path>, place: Place<'_>) -> Result<Self, Refusal> {
        let named = program.unwrap_or(Path::new("claude"));
        let search = value(place.environment, "PATH");
        let Some(path) = query::find(named, search.as_deref()) else {
            let message = match named.components().count() {
                1 => format!(
                    "claude is missing: no program `{}` on PATH",
                    named.display()
                ),
                _ => format!("claude is missing: {} is not a program", named.display()),
            };
            return Err(refusal(Trouble::Missing, message));
        };
        let said = ask(&path, &["--version"], place).await?;
        match said.stdout.lines().find_map(parse_version) {
            Some(version) if said.status.success() => Ok(Self {
                version: version.to_owned(),
                path,
            }),
            _ => {
                let (path, why) = (path.display(), said.complaint());
                let message = format!("`{path} --version` tells no version: {why}");
                Err(refusal(Trouble::Unusable, message))
            }
        }
    }

    /// Whether the version is within the range that was tried.
    pub(super) fn is_known(&self) -> bool {
        (number(KNOWN_VERSIONS.0)..=number(KNOWN_VERSIONS.1)).contains(&number(&self.version))
    }
}

/// The version in `2.1.332 (Claude Code)`, a line that a wrapper may have written others around.
fn parse_version(line: &str) -> Option<&str> {
    let version = line.trim().strip_suffix("(Claude Code)")?.trim_end();
    let parts = version.split('.').count();
    let is_number = version.starts_with(|first: char| first.is_ascii_digit());
    (parts == 3 && is_number).then_some(version)
}

fn number(version: &str) -> Vec<u32> {
    let parts = version.split(['.', '-']).take(3);
    parts.map(|part| part.parse().unwrap_or_default()).collect()
}

/// Asks the program something, in the agent's environment; it and what it started are ended after a while.
pub(super) async fn ask(
    path: &Path,
    arguments: &[&str],
    place: Place<'_>,
) -> Result<Said, Refusal> {
    let asked = query::ask(path, arguments, place.environment, place.directory);
    asked.await.map_err(|why| {
        let words = arguments.join(" ");
        let message = format!("`{} {words}` does not work: {why}", path.display());
        refusal(Trouble::Unusable, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_programs_own_line() {
        assert_eq!(parse_version("2.1.332 (Claude Code)"), Some("2.1.332"));
        for other in [
            "",
            "2.1.332",
            "v20.1.0",
            "(Claude Code)",
            "a.b.c (Claude Code)",
        ] {
            assert_eq!(parse_version(other), None, "{other}");
        }
        let known = |version: &str| {
            let (path, version) = (PathBuf::new(), version.to_owned());
            Program { path, version }.is_known()
        };
        assert!(known("2.1.197") && known("2.1.250") && known("2.1.332"));
        assert!(!known("2.1.99") && !known("2.2.0") && !known("3.0.0"));
    }
}
