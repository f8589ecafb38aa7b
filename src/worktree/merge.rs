//! Three trees made one, with no checkout: git's own merge, on objects alone.
//!
//! Owns the merge. Imported by `apply`. Invariant: nothing but objects is written; no file, index or ref.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use git2::{MergeOptions, Oid};

use super::error::Error;
use super::files::shown;
use super::repository::Repository;

/// What git says with for an option that it doesn't know: `merge-tree --write-tree` is there since 2.38.
const WRONG_USAGE: i32 = 129;

/// Three commits: what `theirs` changed since `base` goes onto `ours`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    pub(super) base: Oid,
    pub(super) ours: Oid,
    pub(super) theirs: Oid,
}

/// How a merge ended.
#[derive(Debug)]
pub(super) enum Merged {
    /// A tree with both.
    Tree(Oid),
    /// The paths that both sides changed, for people.
    Conflict(Vec<String>),
}

/// Merges as the checkout of `repo` is configured: its renames, attributes and merge drivers.
pub(super) fn merge(repo: &Repository, sides: Sides) -> Result<Merged, Error> {
    let open = repo.open()?;
    let tree = |id| {
        let commit = open.find_commit(id);
        let tree = commit.map(|commit| commit.tree_id());
        tree.map_err(Error::git("read a commit"))
    };
    let (base, ours, theirs) = (tree(sides.base)?, tree(sides.ours)?, tree(sides.theirs)?);
    if ours == theirs || base == theirs {
        return Ok(Merged::Tree(ours));
    }
    if base == ours {
        return Ok(Merged::Tree(theirs));
    }
    // `--merge-base` came with 2.40: commits of these trees alone have the right one.
    let commit = |tree: Oid, parent: Option<Oid>| write_commit(repo, tree, parent);
    let base = commit(base, None)?;
    let (ours, theirs) = (commit(ours, Some(base))?, commit(theirs, Some(base))?);
    let ended = repo
        .checkout_git("merge-tree")
        .args(["--write-tree", "-z", "--name-only", "--no-messages"])
        .args([ours.to_string(), theirs.to_string()])
        .query_end(Vec::new())?;
    match ended.status.code() {
        Some(0 | 1) => parse(&ended.stdout),
        Some(WRONG_USAGE) => merge_by_libgit2(&open, Sides { base, ours, theirs }),
        _ => ended
            .into_output("merge-tree")
            .and_then(|said| parse(&said)),
    }
}

/// Reads what `merge-tree -z --name-only` prints: the tree's id, NUL, then each path with a conflict, NUL.
fn parse(said: &[u8]) -> Result<Merged, Error> {
    let mut fields = said
        .split(|byte| *byte == 0)
        .filter(|field| !field.is_empty());
    let tree = String::from_utf8_lossy(fields.next().unwrap_or_default()).into_owned();
    let mut paths: Vec<String> = fields
        .map(|path| shown(Path::new(OsStr::from_bytes(path))))
        .collect();
    paths.dedup();
    if !paths.is_empty() {
        return Ok(Merged::Conflict(paths));
    }
    let tree = tree.trim_end().parse();
    tree.map(Merged::Tree)
        .map_err(Error::git("read the id of a tree"))
}

fn merge_by_libgit2(open: &git2::Repository, sides: Sides) -> Result<Merged, Error> {
    let done = || {
        let tree = |id| open.find_commit(id).and_then(|commit| commit.tree());
        let (base, ours, theirs) = (tree(sides.base)?, tree(sides.ours)?, tree(sides.theirs)?);
        let mut options = MergeOptions::new();
        options.find_renames(true);
        let mut index = open.merge_trees(&base, &ours, &theirs, Some(&options))?;
        if !index.has_conflicts() {
            return index.write_tree_to(open).map(Merged::Tree);
        }
        let mut paths = Vec::new();
        for conflict in index.conflicts()? {
            let conflict = conflict?;
            let entry = conflict.our.or(conflict.their).or(conflict.ancestor);
            let path = entry.map(|entry| shown(Path::new(OsStr::from_bytes(&entry.path))));
            paths.extend(path);
        }
        paths.dedup();
        Ok(Merged::Conflict(paths))
    };
    done().map_err(Error::git("merge the result"))
}

fn write_commit(repo: &Repository, tree: Oid, parent: Option<Oid>) -> Result<Oid, Error> {
    let mut git = repo.git("commit-tree").signed().args([tree.to_string()]);
    if let Some(parent) = parent {
        git = git.args(["-p", &parent.to_string()]);
    }
    let id = git
        .args(["-m", "cx-operator: to merge"])
        .query_output(Vec::new())?;
    let id = String::from_utf8_lossy(&id);
    id.trim_end()
        .parse()
        .map_err(Error::git("read the id of a commit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_named_once_each() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let clean = parse(format!("{id}\0").as_bytes()).expect("a tree");
        assert!(matches!(clean, Merged::Tree(tree) if tree.to_string() == id));
        let said = format!("{id}\0a b\0a b\0c\nd\0");
        let found = parse(said.as_bytes()).expect("conflicts");
        assert!(matches!(found, Merged::Conflict(paths) if paths == ["a b", "c\\nd"]));
    }
}
