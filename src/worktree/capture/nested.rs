//! Repositories below the work tree: submodules, and those that the agent made or cloned.
//!
//! They are the agent's. No git program is started in them: libgit2 reads their refs, which runs nothing, and git reads
//! their objects beside those of the user's repository.
//!
//! Owns the decision which of them stay links, and the copies of their commits. Imported by `capture`.
//!
//! Invariant: work in them is in the result, in a copy of their history, or named as left out.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{Index, Oid, Repository};

use super::ground::{
    COMMIT, FILE, Link, entry, find, is_skipped, keep_time, links_and_dirs, quoted,
};
use super::source::{HEAD_LIMIT, Source};
use super::survey::{Scope, Survey};
use super::theirs;
use crate::os::chain::chain;
use crate::worktree::admin_dir::{checkout_of, registered};
use crate::worktree::error::Error;
use crate::worktree::files::{Scratch, read_small, shown};
use crate::worktree::identity::write_commit;

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

/// The repositories, and what was made of them. Paths are relative to the worktree.
pub(super) struct Nested<'a> {
    source: &'a Source<'a>,
    pub(super) histories: Vec<History>,
    pub(super) notices: Vec<String>,
    /// Repositories whose history could not be copied.
    pub(super) left_out: Vec<Vec<u8>>,
    /// The git directories that were looked at.
    known: HashSet<PathBuf>,
}

impl<'a> Nested<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        Self {
            source,
            histories: Vec::new(),
            notices: Vec::new(),
            left_out: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// The links that stay links: to a directory that is empty, or that holds a repository which the base commit or
    /// `.gitmodules` calls a submodule.
    pub(super) fn find_submodules(&self, links: &[Link]) -> HashSet<Vec<u8>> {
        let declared = self.declared();
        let is_populated = |path: &[u8]| {
            let known = self.in_base(path).is_some() || declared.contains(path);
            known && self.open(path).is_some()
        };
        let linked = links.iter().map(|(path, _)| path);
        let linked = linked.filter(|path| self.is_empty(path) || is_populated(path));
        let unlinked = declared.iter().filter(|path| is_populated(path));
        linked.chain(unlinked).cloned().collect()
    }

    /// The paths in `.gitmodules`. What it includes isn't read, as git doesn't.
    fn declared(&self) -> HashSet<Vec<u8>> {
        let file = self.source.work_tree.join(".gitmodules");
        if !fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file()) {
            return HashSet::new();
        }
        let index = self.source.scratch.join("index");
        let ground = self.source.ground(self.source.work_tree.to_owned(), index);
        let listed = ground
            .git("config")
            .args(["-f".as_ref(), file.as_os_str()])
            .args(["--no-includes", "-z", "--get-regexp"])
            .args([r"^submodule\..*\.path$"])
            .query_output(Vec::new());
        // An error says that there are none, or that it can't be read.
        let listed = listed.unwrap_or_default();
        let entries = listed.split(|byte| *byte == 0);
        let value = |entry: &[u8]| Some(entry.splitn(2, |byte| *byte == b'\n').nth(1)?.to_vec());
        entries.filter_map(value).collect()
    }

    /// The commit that the base has at a path.
    fn in_base(&self, path: &[u8]) -> Option<Oid> {
        let path = Path::new(OsStr::from_bytes(path));
        let found = self.source.base.get_path(path).ok()?;
        (found.filemode() == COMMIT as i32).then(|| found.id())
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.source.work_tree.join(OsStr::from_bytes(path))
    }

    fn is_dir(&self, path: &[u8]) -> bool {
        fs::symlink_metadata(self.full(path)).is_ok_and(|meta| meta.is_dir())
    }

    fn is_empty(&self, path: &[u8]) -> bool {
        self.is_dir(path)
            && fs::read_dir(self.full(path)).is_ok_and(|mut entries| entries.next().is_none())
    }

    fn git_dir(&self, path: &[u8]) -> Option<PathBuf> {
        theirs::find_git_dir(&self.full(path))
    }

    fn open(&self, path: &[u8]) -> Option<Repository> {
        theirs::open(&self.git_dir(path)?, self.source.repo.common_dir())
    }

    /// Writes into the index what the repositories are to become, and copies their commits.
    pub(super) fn settle(
        &mut self,
        index: &mut Index,
        links: &[Link],
        submodules: &HashSet<Vec<u8>>,
        survey: &Survey,
    ) -> Result<(), Error> {
        let own = self.source.admin_dir.canonicalize().ok();
        if self.git_dir(TOP).is_some_and(|found| Some(found) != own) {
            self.keep_repository(TOP);
        }
        self.keep_worktrees(survey)?;
        self.settle_links(index, links, submodules, survey)?;
        self.keep_modules();
        Ok(())
    }

    fn settle_links(
        &mut self,
        index: &mut Index,
        links: &[Link],
        submodules: &HashSet<Vec<u8>>,
        survey: &Survey,
    ) -> Result<(), Error> {
        if links.is_empty() && survey.repositories.is_empty() && submodules.is_empty() {
            return Ok(());
        }
        for (path, _) in links.iter().filter(|(path, _)| !submodules.contains(path)) {
            if find(index, path).is_some_and(|entry| is_skipped(&entry)) {
                continue;
            }
            let os = Path::new(OsStr::from_bytes(path));
            index
                .remove(os, 0)
                .map_err(Error::git("leave out a link to a commit"))?;
            if self.is_dir(path) && !survey.repositories.contains(path) {
                self.notices.push(format!(
                    "the submodule {} was changed: its files are stored in place of the link",
                    shown(os)
                ));
            }
        }
        self.settle_repositories(index, b"", survey);
        for path in submodules {
            self.settle_submodule(index, b"", path, self.in_base(path))?;
        }
        index
            .write()
            .map_err(Error::git("write an index of ours"))?;
        match index.path() {
            Some(path) => keep_time(&self.source.seed(), path),
            None => Ok(()),
        }
    }

    /// Has the files of the repositories below `top` stored in place, with their history beside.
    fn settle_repositories(&mut self, index: &mut Index, top: &[u8], survey: &Survey) {
        let empty = Oid::from_str(EMPTY).expect("an id");
        for path in &survey.repositories {
            let placeholder = [path, &b"/"[..], PLACEHOLDER.as_bytes()].concat();
            // A name that libgit2 refuses no tree may have.
            let _refused = index.add(&entry(&placeholder, FILE, empty));
            self.keep_repository(&below(top, path));
        }
    }

    /// Has a submodule at the commit that it is at now, which the one that is `recorded` may not be.
    fn settle_submodule(
        &mut self,
        index: &mut Index,
        top: &[u8],
        path: &[u8],
        recorded: Option<Oid>,
    ) -> Result<(), Error> {
        let head = self.keep_submodule(&below(top, path), recorded)?;
        match head.filter(|head| recorded != Some(*head)) {
            Some(head) => index
                .add(&entry(path, COMMIT, head))
                .map_err(Error::git("add a submodule")),
            None => Ok(()),
        }
    }

    /// Copies the history of a repository whose files are stored in place.
    fn keep_repository(&mut self, path: &[u8]) {
        let said = match path {
            TOP => "the worktree has a repository of its own, in place of its `.git` file: its files are stored".to_owned(),
            _ => format!("{} has a repository of its own: its files are stored", name(path)),
        };
        let git_dir = self.git_dir(path);
        self.known.extend(git_dir.clone());
        let Some(nested) = self.open(path) else {
            if git_dir.is_some() {
                return self.miss(path, &format!("{said}, its history is"), "it can't be read");
            }
            let none = format!("{said}, and it has no history that can be read");
            return self.notices.push(none);
        };
        let mut wanted = tips(&nested);
        if wanted.is_empty() {
            return self.notices.push(format!("{said}, and it has no commit"));
        }
        if nested.is_shallow() {
            // Not all of it is here, and what was fetched can be fetched again.
            wanted.retain(|tip| !is_fetched(&nested, *tip));
        }
        if wanted.is_empty() {
            let why = "and its history is that of its remote, not kept";
            return self.notices.push(format!("{said}, {why}"));
        }
        let copied = self.copy(&nested, &wanted).map(|()| wanted);
        self.keep(path, format!("{said}, its history is"), copied);
    }

    /// Returns the commit that a submodule is at, if any; what the `recorded` one doesn't have is copied.
    fn keep_submodule(&mut self, path: &[u8], recorded: Option<Oid>) -> Result<Option<Oid>, Error> {
        self.known.extend(self.git_dir(path));
        let Some(nested) = self.open(path) else {
            return Ok(None);
        };
        let Some(head) = nested.head().ok().and_then(|head| head.target()) else {
            return Ok(None);
        };
        let mut new = tips(&nested);
        if let Some(recorded) = recorded {
            new.retain(|tip| !has(&nested, recorded, *tip) && !is_fetched(&nested, *tip));
        }
        let said = format!("the submodule {} has", name(path));
        if !new.is_empty() {
            let copied = self.copy(&nested, &new).map(|()| new);
            self.keep(path, format!("{said} commits of its own: they are"), copied);
        }
        let uncommitted = match self.find_uncommitted(&nested, path, head) {
            Ok(None) => return Ok(Some(head)),
            Err(error) if error.is_disk_full() => return Err(error),
            Err(error) if !matches!(error, Error::Git { .. } | Error::GitFailed { .. }) => {
                return Err(error);
            }
            found => found.map(|tip| tip.into_iter().collect()),
        };
        self.keep(
            path,
            format!("{said} uncommitted changes: they are"),
            uncommitted,
        );
        Ok(Some(head))
    }

    /// Copies the commits of submodules that were checked out here and are no more: they go with the worktree's
    /// administrative directory.
    fn keep_modules(&mut self) {
        let modules = self.source.admin_dir.join("modules");
        for git_dir in theirs::find_git_dirs(modules.clone()) {
            let found = git_dir.canonicalize();
            if found.is_ok_and(|found| self.known.contains(&found)) {
                continue;
            }
            let path = git_dir.strip_prefix(&modules).unwrap_or(&git_dir);
            let path = path.as_os_str().as_bytes();
            let said = format!(
                "the submodule {}, which is checked out no more, has",
                name(path)
            );
            let Some(nested) = theirs::open(&git_dir, self.source.repo.common_dir()) else {
                self.miss(
                    path,
                    &format!("{said} a history: it is"),
                    "it can't be read",
                );
                continue;
            };
            let mut new = tips(&nested);
            new.retain(|tip| !is_fetched(&nested, *tip));
            if !new.is_empty() {
                let copied = self.copy(&nested, &new).map(|()| new);
                self.keep(path, format!("{said} commits of its own: they are"), copied);
            }
        }
    }

    /// Keeps the commits of worktrees inside that were not looked at: in an ignored directory, or gone. Their branches
    /// stay; without one, nothing else leads to the commits.
    fn keep_worktrees(&mut self, survey: &Survey) -> Result<(), Error> {
        let failed = "read the commits of a worktree";
        let open = self.source.repo.open()?;
        for admin_dir in registered(self.source.repo)? {
            let path = checkout_of(&admin_dir);
            let inside = path
                .as_deref()
                .and_then(|path| path.strip_prefix(self.source.work_tree).ok());
            let path = inside.unwrap_or(Path::new("")).as_os_str().as_bytes();
            if path.is_empty() || survey.repositories.iter().any(|seen| seen == path) {
                continue;
            }
            let head = read_small(&admin_dir.join("HEAD"), HEAD_LIMIT).unwrap_or_default();
            let head = str::from_utf8(head.trim_ascii()).unwrap_or_default();
            let Some(head) = head
                .parse()
                .ok()
                .filter(|head| open.find_commit(*head).is_ok())
            else {
                continue;
            };
            let mut walk = open.revwalk().map_err(Error::git(failed))?;
            walk.push(head).map_err(Error::git(failed))?;
            for refs in ["refs/heads/*", "refs/tags/*", "refs/remotes/*"] {
                walk.hide_glob(refs).map_err(Error::git(failed))?;
            }
            if walk.next().is_some() {
                let said = format!(
                    "the worktree {} has commits that are on no branch: they are",
                    name(path)
                );
                self.keep(path, said, Ok(vec![head]));
            }
        }
        Ok(())
    }

    /// A commit of the files of a submodule on top of its HEAD, if they differ; repositories in it are settled too.
    fn find_uncommitted(
        &mut self,
        nested: &Repository,
        path: &[u8],
        head: Oid,
    ) -> Result<Option<Oid>, Error> {
        let failed = "compare a submodule with its commit";
        let scratch = Scratch::below(self.source.scratch)?;
        let index = scratch.path().join("index");
        let ground = self.source.ground(self.full(path), index);
        let tree = nested
            .find_commit(head)
            .and_then(|commit| commit.tree())
            .map_err(Error::git(failed))?;
        let mut index = ground.read_index()?;
        index.read_tree(&tree).map_err(Error::git(failed))?;
        let (links, dirs) = links_and_dirs(&index);
        let closed: HashSet<Vec<u8>> = links.iter().map(|(link, _)| link.clone()).collect();
        let except: Vec<Vec<u8>> = closed.iter().cloned().collect();
        let survey = Survey::take(&ground, &Scope::into_repositories(dirs, closed))?;
        for (link, recorded) in links {
            self.settle_submodule(&mut index, path, &link, Some(recorded))?;
        }
        self.settle_repositories(&mut index, path, &survey);
        index.write().map_err(Error::git(failed))?;
        ground.add(except, &survey.deep, false)?;
        let found = ground.write_tree()?;
        if found == tree.id() {
            return Ok(None);
        }
        self.copy(nested, &[head])?;
        let message = "what was not committed in a submodule";
        write_commit(self.source.repo, found, head, message).map(Some)
    }

    /// Copies commits with all that they reach.
    fn copy(&self, nested: &Repository, tips: &[Oid]) -> Result<(), Error> {
        let common_dir = self.source.repo.common_dir();
        let theirs = nested.commondir().canonicalize();
        // Another worktree of the same repository has its commits here.
        if theirs.is_ok_and(|theirs| theirs == common_dir) {
            return Ok(());
        }
        if nested.is_shallow() {
            let shallow = git2::Error::from_str("it is a shallow clone");
            return Err(Error::git("copy its commits")(shallow));
        }
        let objects = nested.commondir().join("objects");
        let tips: String = tips.iter().map(|tip| format!("{tip}\n")).collect();
        self.source
            .repo
            .git("pack-objects")
            .env(
                "GIT_ALTERNATE_OBJECT_DIRECTORIES",
                quoted(objects.as_os_str().as_bytes()),
            )
            .stop(self.source.stop)
            .args(["--revs", "-q"])
            .args([common_dir.join("objects/pack/pack")])
            .query_output(tips.into_bytes())
            .map(drop)
    }

    /// Has a ref keep what was copied.
    fn keep(&mut self, path: &[u8], said: String, copied: Result<Vec<Oid>, Error>) {
        match copied {
            Ok(tips) => self.histories.push(History { said, tips }),
            Err(error) => self.miss(path, &said, &chain(&error)),
        }
    }

    fn miss(&mut self, path: &[u8], said: &str, why: &str) {
        self.notices.push(format!("{said} not kept: {why}"));
        self.left_out.push(path.to_vec());
    }
}

fn below(top: &[u8], path: &[u8]) -> Vec<u8> {
    match top {
        [] => path.to_vec(),
        top => [top, b"/", path].concat(),
    }
}

fn name(path: &[u8]) -> String {
    shown(Path::new(OsStr::from_bytes(path)))
}

/// Returns whether `commit` is `other` or has it somewhere before it.
fn has(nested: &Repository, commit: Oid, other: Oid) -> bool {
    commit == other || nested.graph_descendant_of(commit, other).unwrap_or(false)
}

/// Returns whether a remote had the commit when it was last asked.
fn is_fetched(nested: &Repository, tip: Oid) -> bool {
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
fn tips(nested: &Repository) -> Vec<Oid> {
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
        if !tips.iter().any(|tip| has(nested, *tip, id)) {
            tips.retain(|tip| !has(nested, id, *tip));
            tips.push(id);
        }
    }
    tips
}
