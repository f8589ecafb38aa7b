//! `cx-operator skill`: what a parent agent reads of how to delegate, and where its user's skills are.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};

use super::{Error, print_text, safe, tell, usage};
use crate::error::io as io_error;
use crate::os::files::replace;

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
    /// Put it into the skills of this agent's user. An older one is updated; if
    /// you have changed a file of it, nothing is written.
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
        let done = install(&place)?;
        let place = safe(&place.display().to_string());
        tell(&match done {
            Done { new: 0, updated: 0 } => format!("the skill is in {place} already"),
            Done { updated: 0, .. } => format!("the skill is in {place}"),
            Done { .. } => {
                format!("the skill in {place} was an older one, and is this version's now")
            }
        });
        Ok(ExitCode::SUCCESS)
    }
}

/// Beside its files, their hashes as they were installed, as `sha256sum -c` takes them: what still has that hash is nobody else's.
const INSTALLED: &str = ".installed.sha256";

/// What an installation did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Done {
    /// Files that were not there.
    new: usize,
    /// Files of another version.
    updated: usize,
}

/// Writes what is missing, and what is of another version and as that one installed it.
fn install(place: &Path) -> Result<Done, Error> {
    let list = fs::read_to_string(place.join(INSTALLED)).unwrap_or_default();
    let mut done = Done::default();
    let mut wanted = Vec::new();
    for (name, text) in FILES {
        let path = place.join(name);
        match fs::read(&path) {
            Ok(found) if found == text.as_bytes() => continue,
            Ok(found) if list.lines().any(|line| line == entry(name, &found)) => done.updated += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => done.new += 1,
            Ok(_) => {
                return Err(usage(format!(
                    "{} has been changed by somebody: nothing is written; move it away to have this version's",
                    path.display()
                )));
            }
            Err(error) => return Err(io_error(format!("read {}", path.display()))(error)),
        }
        wanted.push((path, text));
    }
    for (path, text) in &wanted {
        write(path, text).map_err(io_error(format!("write {}", path.display())))?;
    }
    let entries = FILES.map(|(name, text)| entry(name, text.as_bytes()) + "\n");
    let entries = entries.concat();
    if list != entries {
        let path = place.join(INSTALLED);
        write(&path, &entries).map_err(io_error(format!("write {}", path.display())))?;
    }
    Ok(done)
}

/// A line of the list of what was installed.
fn entry(name: &str, bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hash}  {name}")
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("it is in the skill's directory"))?;
    replace(path, |file| {
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all(text.as_bytes())
    })
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
        let (new, updated) = (FILES.len(), 0);
        assert_eq!(install(&place).expect("installed"), Done { new, updated });
        assert_eq!(install(&place).expect("there"), Done::default());
        fs::remove_file(place.join("SKILL.md")).expect("removed");
        fs::write(place.join("references/briefs.md"), "mine").expect("changed");
        let refused = install(&place).expect_err("it is changed").message();
        assert!(refused.contains("references/briefs.md"), "{refused}");
        assert!(!place.join("SKILL.md").exists());
    }

    #[test]
    fn an_older_skill_is_updated_unless_somebody_has_changed_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let place = dir.path().join(NAME);
        install(&place).expect("installed");
        let older = |text: &str| {
            let name = "references/briefs.md";
            fs::write(place.join(name), text).expect("written");
            let list = place.join(INSTALLED);
            let known = fs::read_to_string(&list).expect("a list");
            let lines = known.lines().filter(|line| !line.ends_with(name));
            let lines: Vec<&str> = lines.collect();
            let lines = format!("{}\n{}\n", lines.join("\n"), entry(name, text.as_bytes()));
            fs::write(list, lines).expect("written");
        };
        older("of an older version");
        let (new, updated) = (0, 1);
        assert_eq!(install(&place).expect("updated"), Done { new, updated });
        assert_eq!(install(&place).expect("there"), Done::default());
        older("of an older version");
        fs::write(place.join("references/briefs.md"), "mine").expect("changed");
        install(&place).expect_err("it is changed");
        assert_eq!(
            fs::read_to_string(place.join("references/briefs.md")).expect("there"),
            "mine"
        );
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
