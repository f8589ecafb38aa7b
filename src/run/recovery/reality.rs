//! What is left of a run, looked at: its agent and its worktree.

use std::collections::HashSet;

use super::DeadRun;
use crate::agent::conversation::Drive;
use crate::error::Error;
use crate::os::process::{Exit, Process};
use crate::run::context::Agent;
use crate::worktree::{Owner, Removal, Worktree, WorktreeSpec, owned, remove};

impl DeadRun {
    /// Whether the root of what the run started runs.
    pub(super) fn is_running(&self) -> bool {
        let root = self.journal_state.launched.as_ref().and_then(|at| at.root);
        !self.journal_state.is_of_another_boot() && root.is_some_and(Process::is_running)
    }

    /// The agent in its pane, if that very process still runs.
    pub(super) async fn find_agent(&self) -> Option<Agent> {
        if self.journal_state.is_of_another_boot() {
            return None;
        }
        let launched = self.journal_state.launched.as_ref()?;
        let root = launched.root.filter(|root| root.is_running())?;
        let pane = match (&launched.session_id, &launched.pane) {
            _ if launched.drive == Drive::Headless => None,
            (Some(session), Some(pane)) => {
                let found = self.tmux.find_pane(session, pane, launched.pid).await;
                Some(found.ok().flatten()?)
            }
            _ => return None,
        };
        let exit = Exit::of(launched.pid).ok()?;
        Some(Agent {
            pane,
            exit,
            root: Some(root),
            drive: self.journal_state.drive(),
            server: HashSet::new(),
        })
    }

    /// The run's worktree, by its marker; if its registration was removed, by itself or by its branch.
    pub(super) fn find_worktree(&self) -> Result<Option<Worktree>, Error> {
        let repository = self.journal_state.open_repository()?;
        let ours = owned(&repository)?.into_iter().find(|owned| {
            owned.spec.owner.run_id == self.journal_state.run_id.as_str()
                && owned.spec.owner.state_dir == self.store.root()
        });
        if let Some(owned) = ours {
            return Ok(Some(Worktree::open(&repository, &owned.spec)?));
        }
        let Some(spec) = self.spec()? else {
            return Ok(None);
        };
        let root = self.store.root();
        match Worktree::find_lost(&repository, &spec.path, root)? {
            Some(lost) if lost.owner == spec.owner => {
                return Ok(Some(Worktree::adopt(&repository, &spec.path, root)?));
            }
            _ => {}
        }
        let revived = Worktree::revive(&repository, &spec)?;
        if revived.is_none() {
            // At most a registration that was only prepared.
            let nothing_kept = remove(&repository, &spec, Removal::Worktree);
            tracing::debug!(?nothing_kept, "no worktree is left");
        }
        Ok(revived)
    }

    /// What the worktree was to be made as.
    fn spec(&self) -> Result<Option<WorktreeSpec>, Error> {
        let Some((path, branch)) = &self.journal_state.worktree else {
            return Ok(None);
        };
        Ok(Some(WorktreeSpec {
            path: path.clone(),
            branch: branch.clone(),
            base: self.journal_state.base_commit.parse()?,
            owner: Owner {
                run_id: self.journal_state.run_id.as_str().to_owned(),
                state_dir: self.store.root().to_owned(),
            },
        }))
    }
}
