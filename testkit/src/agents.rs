//! The real programs that tests and benches drive: installed once below `target/agents/`, by npm, at fixed versions.
//!
//! Nothing outside that directory is written but npm's own cache. Without npm, or when an install fails, a caller gets
//! `None` and one loud line is on stderr; with `CX_REQUIRE_REAL_AGENTS=1` that is a failure instead.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// The version that every scenario runs on.
pub const PINNED: &str = "0.169.0";

/// Older versions that the main scenarios run on, newest first.
pub const OLDER: [&str; 2] = ["0.150.0", "0.130.0"];

/// The version of Claude Code that every scenario runs on.
pub const PINNED_CLAUDE: &str = "2.1.332";

/// An older one that the main scenarios run on.
pub const OLDER_CLAUDE: &str = "2.1.197";

/// What npm knows of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    /// The program, and the beginning of its directory.
    program: &'static str,
    name: &'static str,
    /// What `--version` says around the version.
    says: (&'static str, &'static str),
    /// The variable that names its home.
    home: &'static str,
}

const CODEX: Package = Package {
    program: "codex",
    name: "@openai/codex",
    says: ("codex-cli ", ""),
    home: "CODEX_HOME",
};

const CLAUDE: Package = Package {
    program: "claude",
    name: "@anthropic-ai/claude-code",
    says: ("", " (Claude Code)"),
    home: "CLAUDE_CONFIG_DIR",
};

/// What became of each version asked for in this process.
static INSTALLED: Mutex<BTreeMap<(Package, String), Result<PathBuf, String>>> =
    Mutex::new(BTreeMap::new());

/// The codex of that version as npm installs it: a node script, `…/node_modules/.bin/codex`.
///
/// The first call installs it (6 s, 400 MB); other processes that ask in the meantime wait for that install.
pub fn real_codex(version: &str) -> Option<PathBuf> {
    real(CODEX, version)
}

/// The Claude Code of that version as npm installs it: a static ELF behind the link `…/node_modules/.bin/claude`.
///
/// The first call installs it (6 s, 250 to 400 MB).
pub fn real_claude(version: &str) -> Option<PathBuf> {
    real(CLAUDE, version)
}

fn real(package: Package, version: &str) -> Option<PathBuf> {
    let agent = package.program;
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (package, version.to_owned());
    let known = installed.get(&key).cloned();
    let first = known.is_none();
    let outcome = known.unwrap_or_else(|| {
        let outcome = find_or_install(package, version);
        installed.insert(key, outcome.clone());
        outcome
    });
    drop(installed);
    match outcome {
        Ok(program) => Some(program),
        Err(why) => {
            if std::env::var_os("CX_REQUIRE_REAL_AGENTS").is_some_and(|value| value == "1") {
                panic!("real {agent} {version} is required: {why}");
            }
            if first {
                // Straight to the stream: the test harness swallows what `eprintln!` says in a passing test.
                drop(writeln!(
                    io::stderr(),
                    "SKIPPED: real {agent} {version}: {why}"
                ));
            }
            None
        }
    }
}

/// The program inside that package, without the node script around it: a static ELF.
pub fn native_codex(version: &str) -> Option<PathBuf> {
    let script = real_codex(version)?;
    let modules = script.ancestors().nth(2)?;
    let program = find_native(modules);
    assert!(
        program.is_some(),
        "codex {version} has no native program below {}",
        modules.display()
    );
    program
}

/// `@openai/codex-<platform>/vendor/<target>/{bin,codex}/codex`; the last directory was renamed after 0.130.
fn find_native(modules: &Path) -> Option<PathBuf> {
    let below = |dir: &Path| {
        let entries = fs::read_dir(dir).into_iter().flatten();
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path()))
    };
    below(&modules.join("@openai"))
        .flat_map(|package| below(&package.join("vendor")))
        .flat_map(|target| ["bin/codex", "codex/codex"].map(|program| target.join(program)))
        .find(|program| program.is_file())
}

fn find_or_install(package: Package, version: &str) -> Result<PathBuf, String> {
    let agents = crate::built::checkout().join("target/agents");
    let place_name = format!("{}-{version}", package.program);
    let place = agents.join(&place_name);
    let program = place.join("node_modules/.bin").join(package.program);
    // A finished install appears by one rename, so whatever is there is whole.
    if program.exists() {
        return Ok(program);
    }
    let failed = |what: &str, error: io::Error| format!("{what}: {error}");
    fs::create_dir_all(&agents).map_err(|error| failed("target/agents", error))?;
    let lock = File::create(agents.join(format!("{place_name}.lock")))
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| failed("lock", error))?;
    if !program.exists() {
        let partial = agents.join(format!("{place_name}.partial"));
        install(package, version, &partial)?;
        fs::rename(&partial, &place).map_err(|error| failed("rename", error))?;
    }
    drop(lock);
    Ok(program)
}

/// Installs into `partial`, which a killed install may have left, and runs the program to see its version.
fn install(package: Package, version: &str, partial: &Path) -> Result<(), String> {
    if partial.exists() {
        fs::remove_dir_all(partial).map_err(|error| error.to_string())?;
    }
    let mut npm = Command::new("npm");
    // Its registry, and a cache that outlives this test: `.cargo/clean-environment` keeps the caller's home for it.
    if let Some(home) = std::env::var_os("CX_CALLER_HOME") {
        npm.env("HOME", home);
    }
    let npm = npm
        .args(["install", "--no-audit", "--no-fund", "--no-update-notifier"])
        .args(["--loglevel=error", "--prefix"])
        .arg(partial)
        .arg(format!("{}@{version}", package.name))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("npm: {error}"))?;
    if !npm.status.success() {
        let words = String::from_utf8_lossy(&npm.stderr);
        return Err(format!(
            "npm install: {}",
            words.split_whitespace().collect::<Vec<_>>().join(" ")
        ));
    }
    // codex makes a directory in its home even to print its version; it is not to be the user's.
    let home = partial.join("home");
    fs::create_dir(&home).map_err(|error| error.to_string())?;
    let program = package.program;
    let shown = Command::new(partial.join("node_modules/.bin").join(program))
        .arg("--version")
        .env(package.home, &home)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} --version: {error}"))?;
    fs::remove_dir_all(&home).map_err(|error| error.to_string())?;
    let shown = String::from_utf8_lossy(&shown.stdout).trim().to_owned();
    let (before, after) = package.says;
    if shown == format!("{before}{version}{after}") {
        Ok(())
    } else {
        Err(format!("{program} --version says {shown:?}"))
    }
}
