//! `cx-operator skill`: what a parent agent reads of how to delegate, and where its user's skills are.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{Error, print_text, safe, tell, usage};
use crate::error::io as io_error;

/// The name of the skill, and of its directory.
const NAME: &str = "cx-operator";
/// Its files, by their paths in it.
const FILES: [(&str, &str); 4] = [
    (
        "SKILL.md",
        include_str!("../../skills/cx-operator/SKILL.md"),
    ),
    (
        "references/answers.md",
        include_str!("../../skills/cx-operator/references/answers.md"),
    ),
    (
        "references/briefs.md",
        include_str!("../../skills/cx-operator/references/briefs.md"),
    ),
    (
        "references/results.md",
        include_str!("../../skills/cx-operator/references/results.md"),
    ),
];

/// Whose skills it is put beside.
#[derive(Clone, Copy, ValueEnum)]
enum Agent {
    Claude,
    Codex,
}

impl Agent {
    /// The agent's directory: the one that its variable names, else the one in the home directory. Each reads the skills below
    /// its `skills/`.
    ///
    /// Source: codex 0.169.0, `skills/list` of its server; Claude Code's manual.
    fn directory(self, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
        let (own, below_home) = match self {
            Self::Claude => ("CLAUDE_CONFIG_DIR", ".claude"),
            Self::Codex => ("CODEX_HOME", ".codex"),
        };
        let set = |name: &str| variable(name).filter(|path| path.is_absolute());
        set(own).or_else(|| set("HOME").map(|home| home.join(below_home)))
    }
}

/// Print the skill that tells a parent agent when and how to delegate, or install it for one.
///
/// Example: `cx-operator skill --install claude`
#[derive(Args)]
pub(crate) struct Skill {
    /// Put it into the skills of this agent's user. A file there that differs is left as it is, and nothing is written.
    #[arg(long, value_enum, value_name = "AGENT")]
    install: Option<Agent>,
}

impl Skill {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let Some(agent) = self.install else {
            print_text(FILES[0].1)?;
            return Ok(ExitCode::SUCCESS);
        };
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let directory = agent.directory(variable);
        let directory =
            directory.ok_or_else(|| usage("HOME is not set: there is no place for it"))?;
        let place = directory.join("skills").join(NAME);
        let written = install(&place)?;
        let place = safe(&place.display().to_string());
        tell(&match written {
            0 => format!("the skill is in {place} already"),
            _ => format!("the skill is in {place}"),
        });
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes what is missing, and tells how many files that were.
fn install(place: &Path) -> Result<usize, Error> {
    let mut missing = Vec::new();
    for (name, text) in FILES {
        let path = place.join(name);
        match fs::read(&path) {
            Ok(found) if found == text.as_bytes() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push((path, text)),
            Ok(_) => {
                return Err(usage(format!(
                    "{} is another one than this version's: nothing is written; move it away to have this one",
                    path.display()
                )));
            }
            Err(error) => return Err(io_error(format!("read {}", path.display()))(error)),
        }
    }
    for (path, text) in &missing {
        write(path, text).map_err(io_error(format!("write {}", path.display())))?;
    }
    Ok(missing.len())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("it is in the skill's directory"))?;
    let mut options = OpenOptions::new();
    // Whatever came into being in the meantime is not ours either.
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_skill_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("skills")
            .join(NAME);
        let names = |dir: &Path| {
            let entries = fs::read_dir(dir).expect("a directory");
            let paths = entries.map(|entry| entry.expect("an entry").path());
            paths.filter(|path| path.is_file()).collect::<Vec<_>>()
        };
        let mut found = [names(&root), names(&root.join("references"))].concat();
        found.sort();
        let embedded = FILES.map(|(name, _)| root.join(name));
        assert_eq!(found, embedded);
    }

    #[test]
    fn an_installation_is_whole_or_nothing_and_a_second_one_writes_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join("skills").join(NAME);
        assert_eq!(install(&place).expect("installed"), FILES.len());
        assert_eq!(install(&place).expect("there"), 0);
        fs::remove_file(place.join("SKILL.md")).expect("removed");
        fs::write(place.join("references/briefs.md"), "mine").expect("changed");
        let refused = install(&place).expect_err("it is changed").message();
        assert!(refused.contains("references/briefs.md"), "{refused}");
        assert!(!place.join("SKILL.md").exists());
    }

    #[test]
    fn the_place_is_the_agents_own() {
        let variable = |set: &'static [(&str, &str)]| {
            move |name: &str| {
                let found = set.iter().find(|(other, _)| *other == name);
                found.map(|(_, path)| PathBuf::from(path))
            }
        };
        let place = Agent::Claude.directory(variable(&[("HOME", "/h")]));
        assert_eq!(place, Some("/h/.claude".into()));
        let place = Agent::Codex.directory(variable(&[("HOME", "/h"), ("CODEX_HOME", "/c")]));
        assert_eq!(place, Some("/c".into()));
        assert_eq!(Agent::Codex.directory(variable(&[("HOME", "")])), None);
    }
}
