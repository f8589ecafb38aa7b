//! What the agent committed, as the worktree's HEAD and its branch tell.

use git2::{Commit, Oid};
use serde::{Deserialize, Serialize};

use super::add::Worktree;
use super::ancestry;
use super::capture::HEAD_LIMIT;
use super::error::Error;
use super::files::read_small;
use super::new_refs;
use super::repository::CommitId;

/// A commit that the agent made.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCommit {
    /// Its full id.
    pub id: CommitId,
    /// The first line of its message.
    pub summary: String,
    /// The author's name and address, `Name <address>`.
    pub author: String,
    /// The author's time, RFC 3339, UTC.
    pub time: String,
}

impl Worktree {
    /// The agent's commit, on whatever branch, and what is to be said of it; the base if HEAD leads nowhere.
    pub(super) fn agent_head<'r>(
        &self,
        repo: &'r git2::Repository,
    ) -> Result<(Commit<'r>, Vec<String>), Error> {
        let base = self.spec.base.0;
        let Some(head) = self.find_head(repo) else {
            let said = "the worktree's HEAD has no commit: compared with the base commit";
            let base = repo.find_commit(base);
            let base = base.map_err(Error::git("read the base commit"))?;
            return Ok((base, vec![said.to_owned()]));
        };
        let mut notices = Vec::new();
        if head.id() != base && !self.descends(head.id(), base) {
            notices.push("the agent's HEAD doesn't descend from the base commit".into());
        }
        let branch = format!("refs/heads/{}", self.spec.branch);
        let name = self.head_text().unwrap_or_default();
        let on = name.strip_prefix("ref: ").unwrap_or_default();
        if !on.is_empty() && on != branch {
            notices.push(format!("the agent left the branch {on}: it stays"));
        }
        notices.extend(new_refs::describe(
            &self.repo,
            &self.admin_dir,
            &branch,
            on,
        )?);
        let tip = repo.refname_to_id(&branch).unwrap_or(base);
        if tip != base && tip != head.id() && !self.descends(head.id(), tip) {
            notices.push(format!(
                "{branch} has commits that aren't in the result: the branch is kept"
            ));
        }
        Ok((head, notices))
    }

    fn find_head<'r>(&self, repo: &'r git2::Repository) -> Option<Commit<'r>> {
        // Where the worktree's registration was pruned, its branch still knows what was committed.
        let branch = || format!("ref: refs/heads/{}", self.spec.branch);
        let text = self.head_text().unwrap_or_else(branch);
        match text.strip_prefix("ref: ") {
            Some(name) => repo.find_reference(name).ok()?.peel_to_commit().ok(),
            None => repo.find_commit(Oid::from_str(&text).ok()?).ok(),
        }
    }

    fn head_text(&self) -> Option<String> {
        let text = read_small(&self.admin_dir.join("HEAD"), HEAD_LIMIT)?;
        Some(String::from_utf8(text).ok()?.trim_end().to_owned())
    }

    pub(super) fn descends(&self, commit: Oid, ancestor: Oid) -> bool {
        ancestry::descends(&self.repo, commit, ancestor).unwrap_or(false)
    }

    /// The commits that `head` leads to and the base doesn't, oldest first.
    pub(super) fn query_agent_commits(&self, head: Oid) -> Result<Vec<AgentCommit>, Error> {
        if head == self.spec.base.0 {
            return Ok(Vec::new());
        }
        let listed = self
            .repo
            .git("log")
            .env("TZ", "UTC")
            .setting("i18n.logOutputEncoding", "UTF-8")
            .args(["-z", "--no-show-signature", "--topo-order", "--reverse"])
            .args(["--date=format-local:%Y-%m-%dT%H:%M:%SZ"])
            .args(["--format=%H%n%an <%ae>%n%ad%n%s"])
            .args([format!("{}..{head}", self.spec.base)])
            .query_output(Vec::new())?;
        let commits = listed
            .split(|b| *b == 0)
            .filter(|commit| !commit.is_empty());
        Ok(commits.filter_map(parse_commit).collect())
    }
}

/// One commit of `git log`, as it is asked for above.
fn parse_commit(commit: &[u8]) -> Option<AgentCommit> {
    let text = String::from_utf8_lossy(commit);
    let mut lines = text.splitn(4, '\n').map(str::to_owned);
    Some(AgentCommit {
        id: lines.next()?.parse().ok()?,
        author: lines.next()?,
        time: lines.next()?,
        summary: lines.next()?,
    })
}
