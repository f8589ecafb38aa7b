//! Where the demo plays: a project, a configuration of the agent and a model, all below one temporary directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cx_operator::agent::ExecutorId;

use crate::Result;
use testkit::git;
use testkit::mock_model::MockModel;
use testkit::world::World;

/// The brief. `[[question]]` tells the model's stand-in to ask first.
pub(crate) const BRIEF: &str = "\
Indent src/main.rs consistently, by running format.sh. Ask how to indent before you change anything.

[[question]]
";

/// Who answers in the user's place. The reply's directives let the model run the script, and ask for an approval.
pub(crate) const ANSWERS: &str = r#"
[[answer]]
pattern = "tabs or spaces"
reply = "Spaces. [[shell sh format.sh]] [[escalate]]"

[[permission]]
pattern = 'sh format\.sh'
decision = "allow"
"#;

const MAIN: &str = "\
//! Prints each argument with its length.

fn main() {
\tfor word in std::env::args().skip(1) {
\t\tprintln!(\"{word} {}\", word.len());
\t}
}
";

const FORMAT: &str = "\
#!/bin/sh
# Indents src/main.rs by spaces and says so.
set -eu
expand -t 4 src/main.rs > src/main.rs.new
mv src/main.rs.new src/main.rs
echo 'Indented by four spaces.' > STYLE.md
echo 'src/main.rs is indented by spaces.'
";

/// The world of the demo, and what it was before the run.
pub(crate) struct Scene {
    pub(crate) world: World,
    _model: MockModel,
    /// What git tells of the checkout before the run.
    pub(crate) checkout: String,
    /// codex's `config.toml` before the run.
    pub(crate) configuration: String,
    /// The files of the home directory before the run, where the agent's configuration is there.
    pub(crate) home: Option<BTreeMap<PathBuf, Vec<u8>>>,
}

impl Scene {
    pub(crate) fn new(executor: ExecutorId) -> Result<Self> {
        let mut world = World::new(&[("src/main.rs", MAIN), ("format.sh", FORMAT)]);
        let model = MockModel::start()?;
        world.use_model(&model);
        let is_claude = executor.name() == "claude";
        if is_claude {
            world.use_model_for_claude(&model);
        }
        world.write("answers.toml", ANSWERS);
        Ok(Self {
            _model: model,
            checkout: world.look_at_checkout(),
            configuration: world.codex_configuration(),
            home: is_claude.then(|| world.home_files()),
            world,
        })
    }

    pub(crate) fn answers(&self) -> PathBuf {
        self.world.path("answers.toml")
    }

    /// The content of a file after the patch was applied to a fresh clone.
    pub(crate) fn apply(&self, patch: &Path, file: &str) -> Result<String> {
        let clone = self.world.path("clone");
        let whole = ["clone", "-q", "--no-local", "repo", "clone"];
        git::query(self.world.dir(), &whole)?;
        git::query(&clone, &["apply", "--index", &patch.to_string_lossy()])?;
        Ok(fs::read_to_string(clone.join(file))?)
    }
}
