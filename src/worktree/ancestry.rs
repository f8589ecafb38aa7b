//! Which commits come before which, by git's own word: libgit2 looks for parents beyond the end of a shallow clone.

use git2::Oid;

use super::error::Error;
use super::repository::Repository;

/// The commits that `from` lead to and that no branch, tag or remote-tracking branch leads to.
///
/// A commit that isn't there is passed over.
pub(super) fn on_no_branch(
    repo: &Repository,
    from: impl Iterator<Item = Oid>,
) -> Result<Vec<Oid>, Error> {
    let input: String = from.map(|id| format!("{id}\n")).collect();
    let listed = repo
        .git("rev-list")
        .args(["--ignore-missing", "--stdin", "--not"])
        .args(["--branches", "--tags", "--remotes"])
        .query_output(input.into_bytes())?;
    parse_ids(&listed)
}

/// Returns whether `commit` has `ancestor` somewhere before it; no commit has itself.
pub(super) fn descends(repo: &Repository, commit: Oid, ancestor: Oid) -> Result<bool, Error> {
    if commit == ancestor {
        return Ok(false);
    }
    let verb = "merge-base";
    let (before, after) = (ancestor.to_string(), commit.to_string());
    let ended = repo
        .git(verb)
        .args(["--is-ancestor", &before, &after])
        .query_end(Vec::new())?;
    match ended.status.code() {
        Some(1) => Ok(false),
        _ => ended.into_output(verb).map(|_| true),
    }
}

/// Reads the ids that git prints, one a line.
pub(super) fn parse_ids(output: &[u8]) -> Result<Vec<Oid>, Error> {
    let text = String::from_utf8_lossy(output);
    let ids = text.lines().map(str::parse).collect::<Result<_, _>>();
    ids.map_err(Error::git("read the ids of commits"))
}
