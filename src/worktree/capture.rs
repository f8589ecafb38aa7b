//! Turns the files of a work tree into a git tree, with git itself: no index file, ref or file of the work tree changes.
//!
//! What belongs to the tree is what `git add -A` takes, with the configuration of the user and of the repository, into
//! an index of ours ([`staged`]). In three points a snapshot differs:
//!
//! * The files of a repository that the agent made inside the worktree are stored; `git add` would store the id of a
//!   commit that is deleted with it. Its commits, and those of submodules, are copied ([`nested`]).
//! * A file that git can't convert is stored as it is, and one that can't be stored costs nothing but itself.
//! * git opens no repository below the work tree: their configuration is the agent's.
//!
//! Owns the order of the steps and the notices about files. Imported by `snapshot` and `dirty`. The files below import
//! each other in one direction: `ground`, `source`, `theirs`, then `staged`, `survey`, `adding`, then `nested`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use git2::{Index, Oid, Tree};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use super::files::{Scratch, shown};
use crate::os::given::temporary_directory;
use adding::Added;
use ground::{Ground, LINK, keep_time, links_and_dirs, lists_submodules};
pub(super) use nested::History;
use nested::Nested;
pub(super) use source::{HEAD_LIMIT, Source};
use survey::{Scope, Survey};

mod adding;
mod ground;
mod nested;
mod pipes;
mod source;
mod staged;
mod survey;
mod theirs;

/// So many new files go into one pack.
const MANY: usize = 500;
/// How many names a notice has.
const NAMES_SHOWN: usize = 20;

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
/// [`Error::Unreadable`] for a device in the place of ignore rules, [`Error::Unstorable`] where the repository takes
/// nothing; else those of libgit2 and git.
pub(super) fn take(source: &Source<'_>) -> Result<Captured, Error> {
    source.make_git_dir()?;
    let work_tree = source.work_tree.to_owned();
    let ground = source.ground(work_tree, source.scratch.join("index"));
    let (mut index, notice) = staged::prepare(source, &ground)?;
    let (links, tracked) = links_and_dirs(&index);
    let known = index.len();
    let mut nested = Nested::new(source);
    let submodules = nested.find_submodules(&links);
    let scope = Scope::into_repositories(tracked, submodules.clone());
    let survey = Survey::take(&ground, &scope)?;
    nested.settle(&mut index, &links, &submodules, &survey)?;
    let refused = find_refused_links(&ground, &index);
    let except = submodules.into_iter().chain(source.find_mount_points());
    let except = except.chain(refused.iter().cloned()).collect();
    let many = survey.files > known + MANY;
    let mut added = ground.add(except, &survey.deep, many)?;
    added.left_out.extend(refused);
    let mut notices: Vec<String> = notice.into_iter().chain(nested.notices).collect();
    let mut left_out = report(source.work_tree, &survey, added, &mut notices);
    let kept = |path: Vec<u8>| PathBuf::from(OsString::from_vec(path));
    left_out.extend(nested.left_out.into_iter().map(kept));
    let tree = ground.write_tree()?;
    // Until here: where it writes the index, git reads files of its second again, with their attributes.
    drop(survey);
    Ok(Captured {
        tree,
        histories: nested.histories,
        notices,
        left_out,
    })
}

/// The files of a checkout of the user's as a tree, with what their index says of them, and what should be known of it.
pub(super) fn take_checkout(
    base: &Tree<'_>,
    git_dir: &Path,
    work_tree: &Path,
) -> Result<(Oid, Vec<String>), Error> {
    let scratch = Scratch::below(&temporary_directory())?;
    let ground = Ground {
        git_dir: git_dir.to_owned(),
        work_tree: work_tree.to_owned(),
        index: scratch.path().join("index"),
        stop: &CancellationToken::new(),
    };
    let index = git_dir.join("index");
    if index.exists() {
        fs::copy(&index, &ground.index).map_err(Error::io("copy", &index))?;
        keep_time(&index, &ground.index)?;
    }
    let survey = Survey::take(&ground, &Scope::default())?;
    let added = ground.add(Vec::new(), &survey.deep, false)?;
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
    let tree = ground.write_tree()?;
    drop(survey);
    Ok((tree, notices))
}

/// The `.gitmodules` that are files in the index and links in the work tree: git would store them so, though it refuses
/// such a link where there was no file, and each patch that makes one.
fn find_refused_links(ground: &Ground<'_>, index: &Index) -> Vec<Vec<u8>> {
    let files = index.iter().filter(|entry| entry.mode != LINK);
    files
        .map(|entry| entry.path)
        .filter(|path| lists_submodules(path) && ground.full(path).is_symlink())
        .collect()
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
