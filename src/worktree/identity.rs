//! Commits in the operator's name: no identity of the user is needed.

use git2::{Oid, Signature};

use super::error::Error;
use super::git::Git;
use super::repository::Repository;

/// The author of all commits of ours, and the writer of all reflogs.
const NAME: &str = "cx-operator";
const ADDRESS: &str = "cx-operator@localhost";

impl Git {
    /// Has git write in the operator's name.
    pub(super) fn signed(self) -> Self {
        self.env("GIT_AUTHOR_NAME", NAME)
            .env("GIT_AUTHOR_EMAIL", ADDRESS)
            .env("GIT_COMMITTER_NAME", NAME)
            .env("GIT_COMMITTER_EMAIL", ADDRESS)
    }
}

/// Writes a commit of ours that no ref holds.
pub(super) fn write_commit(
    repo: &Repository,
    tree: Oid,
    parent: Oid,
    message: &str,
) -> Result<Oid, Error> {
    let written = repo
        .git("commit-tree")
        .signed()
        .setting("i18n.commitEncoding", "UTF-8")
        .args([&tree.to_string(), "-p", &parent.to_string()])
        .query_output(message.as_bytes().to_vec())?;
    let id = String::from_utf8_lossy(&written);
    id.trim_end()
        .parse()
        .map_err(Error::git("read the id of a commit"))
}

/// Whether a commit's author is the operator.
pub(super) fn is_ours(author: &Signature<'_>) -> bool {
    author.email_bytes() == ADDRESS.as_bytes()
}
