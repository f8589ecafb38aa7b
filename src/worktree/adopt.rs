//! Takes back a directory of ours whose registration somebody removed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::add::{Worktree, WorktreeSpec, known_path, register, write};
use super::branch::{branch_ref, find_creation};
use super::error::Error;
use super::files::{remove_tree, rename_to_new};
use super::marker::{Marker, Owner, staging_dir};
use super::repository::Repository;

/// Where the `.git` file of a directory leads, whether that exists or not; `None` where there is no such file.
#[must_use]
pub fn linked_git_dir(path: &Path) -> Option<PathBuf> {
    let link = path.join(".git");
    // A link has a line; whatever is larger is none.
    let meta = fs::symlink_metadata(&link).ok()?;
    if !meta.is_file() || meta.len() > 8192 {
        return None;
    }
    let content = fs::read(&link).ok()?;
    let target = content.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    Some(PathBuf::from(OsStr::from_bytes(target)))
}

impl Worktree {
    /// Registers a directory again that a run made and of which the repository knows nothing any more: somebody removed
    /// its administrative directory. Then it can be snapshotted and removed as any other.
    ///
    /// The proof: the directory is ours and its `.git` file leads to where its registration was, and the branch of its
    /// name was made for a run, as that branch's reflog says. The index is lost with the old registration, and so is a
    /// HEAD that was not on the branch.
    ///
    /// # Errors
    /// [`Error::NotOwned`] without that proof; else [`Error::Io`].
    pub fn adopt(repo: &Repository, path: &Path, state_dir: &Path) -> Result<Self, Error> {
        let path = known_path(path)?;
        let not_owned = || Error::NotOwned { path: path.clone() };
        let meta = fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
        let ours = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw();
        let admin_dir = linked_git_dir(&path).filter(|admin_dir| {
            let parent = admin_dir.parent().and_then(Path::parent);
            ours && parent == Some(repo.common_dir()) && !admin_dir.exists()
        });
        let admin_dir = admin_dir.ok_or_else(not_owned)?;
        let branch = path.file_name().and_then(OsStr::to_str);
        let branch = branch.ok_or_else(not_owned)?.to_owned();
        let creation = find_creation(&repo.open()?, &branch_ref(&branch)?);
        let (run_id, base) = creation.ok_or_else(not_owned)?;
        let spec = WorktreeSpec {
            path: path.clone(),
            branch,
            base,
            owner: Owner {
                run_id,
                state_dir: state_dir.to_owned(),
            },
        };
        restore(repo, (&spec, &meta), &admin_dir)?;
        Self::open(repo, &spec)
    }
}

/// Makes the administrative directory anew, under its old name: the directory's `.git` file has it.
fn restore(
    repo: &Repository,
    (spec, meta): (&WorktreeSpec, &fs::Metadata),
    admin_dir: &Path,
) -> Result<(), Error> {
    let staging = staging_dir(repo, &spec.owner);
    fs::create_dir(&staging).map_err(Error::io("create", &staging))?;
    let fill = || {
        write(&staging.join("locked"), b"adopted by cx-operator")?;
        Marker::new(spec).of_directory(meta).write(&staging)?;
        register(spec, &staging)?;
        let parent = repo.common_dir().join("worktrees");
        fs::create_dir_all(&parent).map_err(Error::io("create", &parent))?;
        rename_to_new(&staging, admin_dir).map_err(Error::io("create", admin_dir))
    };
    let filled = fill();
    if filled.is_err() {
        drop(remove_tree(&staging));
    }
    filled
}
