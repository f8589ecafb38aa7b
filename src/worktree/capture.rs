//! Turns the files of a work tree into a git tree, by git itself: no index file, ref or file of the work tree changes.
//!
//! What belongs to the tree is what `git add -A` takes, with the configuration of the user and of the repository, into
//! an index of ours ([`staged`]). In three points a snapshot differs:
//!
//! * The files of a repository that the agent made inside the worktree are stored; `git add` would store the id of a
//!   commit that is deleted with it. Its commits, and those of submodules, are copied ([`nested`]).
//! * A file that git can't convert is stored as it is, and one that can't be stored costs nothing but itself.
//! * git opens no repository below the work tree: their configuration is the agent's.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use git2::{Oid, Tree};
use tokio_util::sync::CancellationToken;

use super::add::{SEED_INDEX, write};
use super::error::Error;
use super::files::{Scratch, read_small};
use super::repository::Repository;
use super::snapshot::HEAD_LIMIT;
use crate::worktree::diff::shown;
use adding::{Added, Adding};
pub(super) use nested::History;
use survey::{Ground, Survey};

mod adding;
mod nested;
mod pipes;
mod staged;
mod survey;

const FILE: u32 = 0o100_644;
const EXECUTABLE: u32 = 0o100_755;
const COMMIT: u32 = 0o160_000;
/// So many new files go into one pack.
const MANY: usize = 500;
/// The longest settings of a worktree, in bytes, that count.
const SETTINGS_LIMIT: u64 = 1 << 20;
/// How many names a notice has.
const NAMES_SHOWN: usize = 20;

/// The input of a capture.
pub(super) struct Source<'a> {
    pub(super) repo: &'a Repository,
    /// The shared repository, opened without a work tree.
    pub(super) open: &'a git2::Repository,
    /// Absolute, free of symbolic links.
    pub(super) work_tree: &'a Path,
    /// The worktree's directory in the repository: its index is there, and the one that git wrote when it was made.
    pub(super) admin_dir: &'a Path,
    /// An empty directory, for files of ours.
    pub(super) scratch: &'a Path,
    /// The commit that the agent was given.
    pub(super) base: &'a Tree<'a>,
    /// The agent's last commit.
    pub(super) head: &'a Tree<'a>,
    /// Empty files of these names are no work of anybody's.
    pub(super) mount_points: &'a [&'static str],
    /// Ends the capture with [`Error::Stopped`].
    pub(super) stop: &'a CancellationToken,
}

impl Source<'_> {
    fn seed(&self) -> PathBuf {
        self.admin_dir.join(SEED_INDEX)
    }

    fn agents_index(&self) -> PathBuf {
        self.admin_dir.join("index")
    }

    /// A directory that git takes for that of a worktree.
    fn git_dir(&self) -> PathBuf {
        self.scratch.join("git")
    }

    /// Makes it: with the settings of the agent's worktree and of the branch that it is on, and nothing else of it.
    fn make_git_dir(&self) -> Result<(), Error> {
        let dir = self.git_dir();
        fs::create_dir(&dir).map_err(Error::io("create", &dir))?;
        let head = read_small(&self.admin_dir.join("HEAD"), HEAD_LIMIT).unwrap_or_default();
        let on_branch = head.starts_with(b"ref: refs/heads/");
        let head = if on_branch {
            &head[..]
        } else {
            b"ref: refs/heads/none\n"
        };
        write(&dir.join("HEAD"), head)?;
        let common_dir = self.repo.common_dir().as_os_str().as_bytes();
        write(&dir.join("commondir"), &[common_dir, b"\n"].concat())?;
        let settings = "config.worktree";
        match read_small(&self.admin_dir.join(settings), SETTINGS_LIMIT) {
            Some(content) => write(&dir.join(settings), &content),
            None => Ok(()),
        }
    }

    fn adding<'s>(&'s self, index: &'s Path, many: bool) -> Adding<'s> {
        Adding {
            git_dir: self.git_dir(),
            work_tree: self.work_tree,
            index,
            open: self.open,
            many,
            stop: self.stop,
        }
    }

    /// Mount points that a sandbox left.
    fn find_mount_points(&self) -> Vec<Vec<u8>> {
        let is_left = |name: &&&str| {
            let empty = fs::symlink_metadata(self.work_tree.join(name))
                .is_ok_and(|meta| meta.is_file() && meta.len() == 0);
            empty && self.base.get_name(name).is_none() && self.head.get_name(name).is_none()
        };
        let left = self.mount_points.iter().filter(is_left);
        left.map(|name| name.as_bytes().to_vec()).collect()
    }
}

/// The files of a work tree as a tree in the repository.
pub(super) struct Captured {
    pub(super) tree: Oid,
    /// Commits of repositories inside that were copied, and nothing keeps yet.
    pub(super) histories: Vec<History>,
    pub(super) notices: Vec<String>,
    /// Files that exist nowhere else.
    pub(super) left_out: Vec<PathBuf>,
}

/// Captures tracked and untracked files, respecting `.gitignore`, `info/exclude` and the user's excludes.
///
/// # Errors
/// [`Error::Unreadable`] for a device in the place of ignore rules, [`Error::Unstorable`] where the repository takes nothing; else
/// those of libgit2 and git.
pub(super) fn take(source: &Source<'_>) -> Result<Captured, Error> {
    source.make_git_dir()?;
    let path = source.scratch.join("index");
    let prepared = staged::prepare(source, &path)?;
    let mut notices: Vec<String> = prepared.notice.into_iter().collect();
    let submodules = nested::submodules(source, &prepared.links);
    let survey = Survey::take(&Ground {
        git_dir: &source.git_dir(),
        work_tree: source.work_tree,
        tracked: &prepared.dirs,
        closed: &submodules,
        into_repositories: true,
        stop: source.stop,
    })?;
    let links = nested::settle(source, (&path, &prepared.links), &submodules, &survey)?;
    notices.extend(links.notices);
    let mut except: Vec<Vec<u8>> = submodules.into_iter().collect();
    except.extend(source.find_mount_points());
    let many = survey.files > prepared.count + MANY;
    let adding = source.adding(&path, many);
    let added = adding.run(&except, &survey.deep)?;
    let mut left_out = report(source.work_tree, &survey, added, &mut notices);
    let kept = |path: Vec<u8>| PathBuf::from(OsString::from_vec(path));
    left_out.extend(links.left_out.into_iter().map(kept));
    let tree = adding.write_tree()?;
    // Until here: where it writes the index, git reads files of its second again, with their attributes.
    drop(survey);
    Ok(Captured {
        tree,
        histories: links.histories,
        notices,
        left_out,
    })
}

/// The files of a checkout of the user's as a tree, with what their index says of them, and what should be known of it.
pub(super) fn take_checkout(
    (open, base): (&git2::Repository, &Tree<'_>),
    git_dir: &Path,
    work_tree: &Path,
) -> Result<(Oid, Vec<String>), Error> {
    let scratch = Scratch::below(&std::env::temp_dir())?;
    let path = scratch.path().join("index");
    let index = git_dir.join("index");
    if index.exists() {
        fs::copy(&index, &path).map_err(Error::io("copy", &index))?;
        keep_time(&index, &path)?;
    }
    let stop = CancellationToken::new();
    let survey = Survey::take(&Ground {
        git_dir,
        work_tree,
        tracked: &HashSet::new(),
        closed: &HashSet::new(),
        into_repositories: false,
        stop: &stop,
    })?;
    let adding = Adding {
        git_dir: git_dir.to_owned(),
        work_tree,
        index: &path,
        open,
        many: false,
        stop: &stop,
    };
    let added = adding.run(&[], &survey.deep)?;
    let is_new = |path: &&Vec<u8>| base.get_path(Path::new(OsStr::from_bytes(path))).is_err();
    let linked = survey.repositories.iter().filter(is_new);
    let linked: Vec<Vec<u8>> = linked
        .filter(|path| !added.left_out.contains(path))
        .cloned()
        .collect();
    let what =
        "is a repository: the base has a link to its commit, and the agent won't see its files";
    let mut notices = say(&linked, what);
    for lost in report(work_tree, &survey, added, &mut notices) {
        let lost = shown(&lost);
        notices.push(format!(
            "{lost} could not be read or stored: the agent won't see it"
        ));
    }
    let tree = adding.write_tree()?;
    drop(survey);
    Ok((tree, notices))
}

/// Gives a copy of an index the time of the first: by it git knows which files may have changed in the instant that
/// they were written.
fn keep_time(of: &Path, copy: &Path) -> Result<(), Error> {
    let Ok(written) = fs::metadata(of).and_then(|meta| meta.modified()) else {
        return Ok(());
    };
    File::options()
        .write(true)
        .open(copy)
        .and_then(|file| file.set_modified(written))
        .map_err(Error::io("set the time of", copy))
}

/// Says what isn't stored as git would, and returns the paths of what exists nowhere else.
fn report(
    work_tree: &Path,
    survey: &Survey,
    added: Added,
    notices: &mut Vec<String>,
) -> Vec<PathBuf> {
    let odd = "is neither a file nor a link: not stored";
    notices.extend(say(&survey.odd, odd));
    let raw = "is stored as it is, since git can't convert it";
    notices.extend(say(&added.raw, raw));
    let mut lost = Vec::new();
    let lost_files = added.left_out.iter().chain(&survey.unreadable);
    for path in lost_files.filter(|path| !survey.odd.contains(path)) {
        let path = Path::new(OsStr::from_bytes(path));
        match fs::read_link(work_tree.join(path)) {
            Ok(target) => notices.push(format!(
                "{} is a link to {}, and git stores no link of that name: left out",
                shown(path),
                shown(&target)
            )),
            Err(_) => lost.push(path.to_owned()),
        }
    }
    lost
}

/// Notices about some paths, not too many.
fn say(paths: &[Vec<u8>], what: &str) -> Vec<String> {
    let path = |path: &Vec<u8>| shown(Path::new(OsStr::from_bytes(path)));
    let told = paths.iter().take(NAMES_SHOWN);
    let mut said: Vec<String> = told.map(|of| format!("{} {what}", path(of))).collect();
    if paths.len() > NAMES_SHOWN {
        said.push(format!("and so for {} more", paths.len() - NAMES_SHOWN));
    }
    said
}
