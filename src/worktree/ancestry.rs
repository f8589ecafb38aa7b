//! Which commits come before which. libgit2 looks for parents beyond the end of a shallow clone, and fails; git is asked
//! there. Source: libgit2 1.9, `commit_list.c`; `tests/worktree/repository.rs`.

use git2::{Oid, Sort};

use super::git::Git;

/// The commits that `from` leads to and `without` doesn't, oldest first.
pub(super) fn between(
    repo: &git2::Repository,
    from: Oid,
    without: Oid,
) -> Result<Vec<Oid>, git2::Error> {
    let walk = || {
        let mut walk = repo.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
        walk.push(from)?;
        walk.hide(without)?;
        walk.collect()
    };
    let (from, without) = (from.to_string(), format!("^{without}"));
    or_by_git(repo, walk(), || {
        ask(
            repo,
            "rev-list",
            &["--topo-order", "--reverse", &from, &without],
        )
    })
}

/// The commits that lead to any of `from` and that no branch, tag or remote-tracking branch leads to.
pub(super) fn on_no_branch(repo: &git2::Repository, from: &[Oid]) -> Result<Vec<Oid>, git2::Error> {
    let walk = || {
        let mut walk = repo.revwalk()?;
        for commit in from {
            walk.push(*commit)?;
        }
        for glob in ["refs/heads/*", "refs/tags/*", "refs/remotes/*"] {
            walk.hide_glob(glob)?;
        }
        walk.collect()
    };
    let from: Vec<String> = from.iter().map(Oid::to_string).collect();
    let from = from.iter().map(String::as_str);
    let args = from.chain(["--not", "--branches", "--tags", "--remotes"]);
    or_by_git(repo, walk(), || {
        ask(repo, "rev-list", &args.collect::<Vec<_>>())
    })
}

/// Whether `commit` has `ancestor` somewhere before it; no commit has itself.
pub(super) fn descends(
    repo: &git2::Repository,
    commit: Oid,
    ancestor: Oid,
) -> Result<bool, git2::Error> {
    let (before, after) = (ancestor.to_string(), commit.to_string());
    or_by_git(repo, repo.graph_descendant_of(commit, ancestor), || {
        let base = ask(repo, "merge-base", &["--all", &before, &after])?;
        Some(ancestor != commit && base.contains(&ancestor))
    })
}

/// git's answer where libgit2 has none since the clone is shallow.
fn or_by_git<T>(
    repo: &git2::Repository,
    answer: Result<T, git2::Error>,
    ask: impl FnOnce() -> Option<T>,
) -> Result<T, git2::Error> {
    match answer {
        Err(error) if repo.is_shallow() => ask().ok_or(error),
        answer => answer,
    }
}

/// The ids that git prints.
fn ask(repo: &git2::Repository, verb: &'static str, args: &[&str]) -> Option<Vec<Oid>> {
    let dir = repo.commondir();
    let ended = Git::new(dir, dir, verb).args(args).query_end(Vec::new());
    let ended = ended.ok()?;
    // 1 says that they have none in common.
    if !matches!(ended.status.code(), Some(0 | 1)) {
        return None;
    }
    let ids = String::from_utf8_lossy(&ended.stdout).into_owned();
    ids.lines().map(|id| id.parse().ok()).collect()
}
