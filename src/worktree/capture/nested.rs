//! Repositories below the work tree: submodules, and those that the agent made or cloned.
//!
//! They are the agent's. No git program is started in them; libgit2 reads their commits, which runs nothing.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{Index, IndexEntry, IndexEntryExtendedFlag, Oid, RepositoryOpenFlags};

use super::adding::entry;
use super::staged::links_and_dirs;
use super::survey::{Ground, Survey};
use super::{COMMIT, FILE, Source, keep_time};
use crate::worktree::diff::shown;
use crate::worktree::error::Error;
use crate::worktree::files::Scratch;
use crate::worktree::snapshot::operator_signature;

/// An empty file. Its name makes a directory one with tracked files, which git enters though a repository is there;
/// being absent, it is gone when the files have been added.
const PLACEHOLDER: &str = ".cx-operator-placeholder";
const EMPTY: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
/// The work tree itself, in which the agent may have made a repository: its commits there are not ours.
const TOP: &[u8] = b".";
/// How many branches of a repository inside are kept.
const TIPS: usize = 100;

/// Commits that were copied into the repository, for a ref to keep.
pub(in crate::worktree) struct History {
    /// A sentence that wants "kept as <refs>" for its end.
    pub(in crate::worktree) said: String,
    pub(in crate::worktree) tips: Vec<Oid>,
}

/// The result for the repositories.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) histories: Vec<History>,
    pub(super) notices: Vec<String>,
    /// Repositories whose history could not be copied.
    pub(super) left_out: Vec<Vec<u8>>,
}

/// The links that stay links: to a directory that is empty, or that holds a repository which the base commit or
/// `.gitmodules` calls a submodule.
pub(super) fn submodules(source: &Source<'_>, links: &[(Vec<u8>, Oid)]) -> HashSet<Vec<u8>> {
    let declared = declared(source);
    let is_populated = |path: &[u8]| {
        let known = in_base(source, path).is_some() || declared.contains(path);
        known && open(source, path).is_some()
    };
    let linked = links.iter().map(|(path, _)| path);
    let linked = linked.filter(|path| is_empty(source, path) || is_populated(path));
    let unlinked = declared.iter().filter(|path| is_populated(path));
    linked.chain(unlinked).cloned().collect()
}

/// The paths in `.gitmodules`.
fn declared(source: &Source<'_>) -> HashSet<Vec<u8>> {
    let mut paths = HashSet::new();
    let file = source.work_tree.join(".gitmodules");
    if fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file())
        && let Ok(config) = git2::Config::open(&file)
        && let Ok(mut entries) = config.entries(Some(r"^submodule\..*\.path$"))
    {
        while let Some(Ok(entry)) = entries.next() {
            paths.insert(entry.value_bytes().to_vec());
        }
    }
    paths
}

/// The commit that the base has at a path.
fn in_base(source: &Source<'_>, path: &[u8]) -> Option<Oid> {
    let found = source.base.get_path(Path::new(OsStr::from_bytes(path)));
    let found = found
        .ok()
        .filter(|entry| entry.filemode() == COMMIT as i32)?;
    Some(found.id())
}

fn full(source: &Source<'_>, path: &[u8]) -> PathBuf {
    source.work_tree.join(OsStr::from_bytes(path))
}

fn is_empty(source: &Source<'_>, path: &[u8]) -> bool {
    let full = full(source, path);
    fs::symlink_metadata(&full).is_ok_and(|meta| meta.is_dir())
        && fs::read_dir(&full).is_ok_and(|mut entries| entries.next().is_none())
}

fn open(source: &Source<'_>, path: &[u8]) -> Option<git2::Repository> {
    let full = full(source, path);
    // Neither through a link nor from a pipe.
    let meta = fs::symlink_metadata(full.join(".git")).ok()?;
    if !meta.is_dir() && !meta.is_file() {
        return None;
    }
    git2::Repository::open_ext(full, RepositoryOpenFlags::NO_SEARCH, &[] as &[&Path]).ok()
}

fn placeholder(dir: &[u8]) -> IndexEntry {
    let empty = Oid::from_str(EMPTY).expect("an id");
    entry(&[dir, b"/", PLACEHOLDER.as_bytes()].concat(), FILE, empty)
}

/// Writes into the index what the repositories are to become, and copies their commits.
pub(super) fn settle(
    source: &Source<'_>,
    (index, links): (&Path, &[(Vec<u8>, Oid)]),
    submodules: &HashSet<Vec<u8>>,
    survey: &Survey,
) -> Result<Settled, Error> {
    let mut settled = Settled::default();
    let git = fs::symlink_metadata(source.work_tree.join(".git"));
    if git.is_ok_and(|meta| meta.is_dir()) {
        settled.keep_repository(source, TOP);
    }
    if links.is_empty() && survey.repositories.is_empty() && submodules.is_empty() {
        return Ok(settled);
    }
    let mut edit = Index::open(index).map_err(Error::git("read an index of ours"))?;
    for (path, _) in links.iter().filter(|(path, _)| !submodules.contains(path)) {
        let os = Path::new(OsStr::from_bytes(path));
        let hidden = edit.get_path(os, 0).is_some_and(|entry| {
            entry.flags_extended & IndexEntryExtendedFlag::SKIP_WORKTREE.bits() != 0
        });
        if hidden {
            continue;
        }
        edit.remove(os, 0)
            .map_err(Error::git("leave out a link to a commit"))?;
        let is_dir = fs::symlink_metadata(full(source, path)).is_ok_and(|meta| meta.is_dir());
        if is_dir && !survey.repositories.contains(path) {
            let shown = shown(os);
            settled.notices.push(format!(
                "the submodule {shown} was changed: its files are stored in place of the link"
            ));
        }
    }
    for path in &survey.repositories {
        // A name that libgit2 refuses no tree may have.
        drop(edit.add(&placeholder(path)));
        settled.keep_repository(source, path);
    }
    for path in submodules {
        let recorded = in_base(source, path);
        if let Some(head) = settled.keep_submodule(source, path, recorded)? {
            edit.add(&entry(path, COMMIT, head))
                .map_err(Error::git("add a submodule"))?;
        }
    }
    edit.write().map_err(Error::git("write an index of ours"))?;
    keep_time(&source.seed(), index)?;
    Ok(settled)
}

impl Settled {
    /// Copies the history of a repository whose files are stored in place.
    fn keep_repository(&mut self, source: &Source<'_>, path: &[u8]) {
        let shown = shown(Path::new(OsStr::from_bytes(path)));
        let said = match path {
            TOP => "the worktree has a repository of its own, in place of its `.git` file: its files are stored".to_owned(),
            _ => format!("{shown} has a repository of its own: its files are stored"),
        };
        let Some(nested) = open(source, path) else {
            let git_dir = full(source, path).join(".git");
            let is_dir = fs::symlink_metadata(&git_dir).is_ok_and(|meta| meta.is_dir());
            if is_dir && git_dir.join("HEAD").exists() {
                let unread = git2::Error::from_str("it can't be read");
                return self.miss(path, &format!("{said}, but not its history"), &unread);
            }
            let none = format!("{said}, and it has no history that can be read");
            return self.notices.push(none);
        };
        let mut wanted = tips(&nested);
        let empty = wanted.is_empty();
        if nested.is_shallow() {
            // Not all of it is here, and what was fetched can be fetched again.
            wanted.retain(|tip| !is_fetched(&nested, *tip));
        }
        match copy(source, &nested, &wanted) {
            Ok(tips) if tips.is_empty() => {
                let why = match empty {
                    true => "and it has no commit",
                    false => "and its history is that of its remote, not kept",
                };
                self.notices.push(format!("{said}, {why}"))
            }
            Ok(tips) => self.histories.push(History {
                said: format!("{said}, its history is"),
                tips,
            }),
            Err(error) => self.miss(path, &format!("{said}, but not its history"), &error),
        }
    }

    /// The commit that a submodule is at, if it isn't the `recorded` one; what is new in it is copied.
    fn keep_submodule(
        &mut self,
        source: &Source<'_>,
        path: &[u8],
        recorded: Option<Oid>,
    ) -> Result<Option<Oid>, Error> {
        let Some(nested) = open(source, path) else {
            return Ok(None);
        };
        let Some(head) = nested.head().ok().and_then(|head| head.target()) else {
            return Ok(None);
        };
        let shown = shown(Path::new(OsStr::from_bytes(path)));
        let mut new = tips(&nested);
        if let Some(recorded) = recorded {
            let has = |tip: &Oid| {
                *tip == recorded || nested.graph_descendant_of(recorded, *tip).unwrap_or(false)
            };
            new.retain(|tip| !has(tip) && !is_fetched(&nested, *tip));
        }
        let said = format!("the submodule {shown} has commits of its own: they are");
        match copy(source, &nested, &new) {
            Ok(tips) if tips.is_empty() => {}
            Ok(tips) => self.histories.push(History { said, tips }),
            Err(error) => self.miss(path, &format!("{said} not"), &error),
        }
        match self.find_uncommitted(source, &nested, (path, head)) {
            Ok(None) => {}
            Ok(Some(tip)) => self.histories.push(History {
                said: format!("the submodule {shown} has uncommitted changes: they are"),
                tips: vec![tip],
            }),
            Err(Error::Git { source: error, .. }) => {
                let said = format!("the submodule {shown} has uncommitted changes that are not");
                self.miss(path, &said, &error);
            }
            Err(error) => return Err(error),
        }
        Ok((recorded != Some(head)).then_some(head))
    }

    /// A commit of the files of a submodule on top of its HEAD, if they differ; repositories in it are settled too.
    fn find_uncommitted(
        &mut self,
        source: &Source<'_>,
        nested: &git2::Repository,
        (path, head): (&[u8], Oid),
    ) -> Result<Option<Oid>, Error> {
        let failed = "compare a submodule with its commit";
        let scratch = Scratch::below(source.admin_dir)?;
        let file = scratch.path().join("index");
        let tree = nested
            .find_commit(head)
            .and_then(|commit| commit.tree())
            .map_err(Error::git(failed))?;
        let mut index = Index::open(&file).map_err(Error::git(failed))?;
        index.read_tree(&tree).map_err(Error::git(failed))?;
        let work_tree = full(source, path);
        let (links, dirs) = links_and_dirs(&index);
        let closed: HashSet<Vec<u8>> = links.iter().map(|(link, _)| link.clone()).collect();
        let survey = Survey::take(&Ground {
            git_dir: &source.git_dir(),
            work_tree: &work_tree,
            tracked: &dirs,
            closed: &closed,
            into_repositories: true,
            stop: source.stop,
        })?;
        let below = |name: &[u8]| [path, b"/", name].concat();
        for (link, recorded) in links {
            if let Some(moved) = self.keep_submodule(source, &below(&link), Some(recorded))? {
                let moved = entry(&link, COMMIT, moved);
                index.add(&moved).map_err(Error::git(failed))?;
            }
        }
        for inside in &survey.repositories {
            // A name that libgit2 refuses no tree may have.
            drop(index.add(&placeholder(inside)));
            self.keep_repository(source, &below(inside));
        }
        index.write().map_err(Error::git(failed))?;
        let mut adding = source.adding(&file, false);
        adding.work_tree = &work_tree;
        let except: Vec<Vec<u8>> = closed.into_iter().collect();
        adding.run(&except, &survey.deep)?;
        let found = adding.write_tree()?;
        if found == tree.id() {
            return Ok(None);
        }
        copy(source, nested, &[head]).map_err(Error::git(failed))?;
        commit_uncommitted(source, (found, head))
            .map(Some)
            .ok_or_else(|| Error::git(failed)(git2::Error::from_str("its commit can't be read")))
    }

    fn miss(&mut self, path: &[u8], said: &str, error: &git2::Error) {
        self.notices
            .push(format!("{said} kept: {}", error.message()));
        self.left_out.push(path.to_vec());
    }
}

/// Whether a remote had the commit when it was last asked.
fn is_fetched(nested: &git2::Repository, tip: Oid) -> bool {
    let refs = nested.references_glob("refs/remotes/*");
    let mut refs = refs.into_iter().flatten().flatten();
    if refs.any(|found| found.target() == Some(tip)) {
        return true;
    }
    let Ok(mut walk) = nested.revwalk() else {
        return false;
    };
    walk.push(tip).is_ok() && walk.hide_glob("refs/remotes/*").is_ok() && walk.next().is_none()
}

/// HEAD and what branches, tags and the stash point at, without what another of them has.
fn tips(nested: &git2::Repository) -> Vec<Oid> {
    let mut found: Vec<Oid> = nested
        .head()
        .iter()
        .filter_map(git2::Reference::target)
        .collect();
    if let Ok(refs) = nested.references() {
        let own = refs
            .flatten()
            .filter(|name| !name.name_bytes().starts_with(b"refs/remotes/"));
        found.extend(
            own.take(TIPS)
                .filter_map(|name| Some(name.peel_to_commit().ok()?.id())),
        );
    }
    let mut tips: Vec<Oid> = Vec::new();
    for id in found {
        let below = |a: Oid, b: Oid| a == b || nested.graph_descendant_of(b, a).unwrap_or(false);
        if !tips.iter().any(|tip| below(id, *tip)) {
            tips.retain(|tip| !below(*tip, id));
            tips.push(id);
        }
    }
    tips
}

/// Copies commits with all that they reach, and returns them.
fn copy(
    source: &Source<'_>,
    nested: &git2::Repository,
    tips: &[Oid],
) -> Result<Vec<Oid>, git2::Error> {
    let shared = |dir: &Path| {
        dir.canonicalize()
            .is_ok_and(|dir| dir == source.repo.common_dir())
    };
    // Another worktree of the same repository has its commits here.
    if tips.is_empty() || shared(nested.commondir()) {
        return Ok(tips.to_vec());
    }
    if nested.is_shallow() {
        return Err(git2::Error::from_str("it is a shallow clone"));
    }
    let mut walk = nested.revwalk()?;
    for tip in tips {
        walk.push(*tip)?;
    }
    let mut pack = nested.packbuilder()?;
    pack.insert_walk(&mut walk)?;
    let odb = source.open.odb()?;
    let mut writer = odb.packwriter()?;
    let mut written = Ok(());
    pack.foreach(|bytes| {
        written = std::io::Write::write_all(&mut writer, bytes);
        written.is_ok()
    })?;
    written.map_err(|error| git2::Error::from_str(&error.to_string()))?;
    writer.commit()?;
    Ok(tips.to_vec())
}

fn commit_uncommitted(source: &Source<'_>, (tree, head): (Oid, Oid)) -> Option<Oid> {
    let author = operator_signature().ok()?;
    let (tree, parent) = (
        source.open.find_tree(tree).ok()?,
        source.open.find_commit(head).ok()?,
    );
    let message = "what was not committed in a submodule";
    let commit = source.open;
    let commit = commit.commit(None, &author, &author, message, &tree, &[&parent]);
    commit.ok()
}
