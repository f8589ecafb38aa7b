//! `cx-operator cleanup`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::Error;
use crate::operator::cleanup::{Action, Found, Scope, cleanup, force_orphan};
use crate::record::Store;
use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::{State, block_on, one_line, print_json, print_text, safe};

/// End and remove what runs left whose operator died; their work is collected first. What isn't provably ours is
/// listed and left alone.
#[derive(Args)]
pub(crate) struct Cleanup {
    /// Only print what would be done.
    #[arg(long)]
    dry_run: bool,
    /// A path in a repository that is searched as well.
    #[arg(long, value_name = "DIR", default_value = ".")]
    repo: PathBuf,
    /// A directory of worktrees that is searched as well.
    #[arg(long, value_name = "DIR", default_value = "/tmp")]
    worktree_root: PathBuf,
    /// Keep the work of this worktree as `refs/cx-operator/<run-id>` and remove it, though its run has no record here: it
    /// belongs to another state directory, or its record or its registration is lost. Refused if no mark of ours says
    /// that a run made it. Ignored files are removed. Nothing else is cleaned up.
    #[arg(long, value_name = "PATH", conflicts_with = "kept")]
    force_orphan: Option<PathBuf>,
    /// Also remove what `--keep worktree` or `--keep session` kept of this run: its id, its beginning, or a task.
    #[arg(long, value_name = "RUN")]
    kept: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

/// The document of `cleanup --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Document {
    /// 1.
    schema_version: u32,
    /// Whether nothing was done.
    dry_run: bool,
    /// What was found.
    found: Vec<Found>,
}

impl Cleanup {
    fn scope(&self, store: &Store) -> Result<Scope, Error> {
        let kept = self.kept.as_deref().map(|name| store.find(name));
        Ok(Scope {
            repository: Some(self.repo.clone()),
            worktree_root: Some(self.worktree_root.clone()),
            kept: kept.transpose()?,
            dry_run: self.dry_run,
        })
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let store = self.state.open()?;
        let found = match &self.force_orphan {
            Some(path) => {
                let orphan = force_orphan(&store, path, Some(&self.repo), self.dry_run);
                vec![block_on(orphan)??]
            }
            None => block_on(cleanup(&store, &self.scope(&store)?))??,
        };
        if self.json {
            print_json(&Document {
                schema_version: 1,
                dry_run: self.dry_run,
                found,
            })?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut text = String::new();
        for item in &found {
            let verb = match item.action {
                Action::Removed => "removed",
                Action::WouldRemove => "would remove",
                Action::Left => "left alone",
            };
            let line = format!("{verb}: {} {} ({})", item.kind, item.name, item.reason);
            text.push_str(&format!("{}\n", one_line(&line)));
        }
        if found.is_empty() {
            text.push_str("nothing to clean up\n");
        }
        print_text(&safe(&text))?;
        Ok(ExitCode::SUCCESS)
    }
}
