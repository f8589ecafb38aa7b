//! Where in the worktree the agent starts.

use std::path::{Component, Path, PathBuf};

use crate::error::Error;
use crate::task::Task;
use crate::worktree::{CommitId, Repository};

/// Where the agent works: where it was told to, or where the caller is in the checkout.
pub(super) fn find_directory(
    repository: &Repository,
    base: CommitId,
    task: &Task,
    notices: &mut Vec<String>,
) -> Result<PathBuf, Error> {
    let top = repository.checkout();
    if let Some(wanted) = &task.directory {
        let refused = |why: &str| {
            Error::Usage(format!(
                "the agent can't start in {}: {why}",
                wanted.display()
            ))
        };
        let within = match top.filter(|_| wanted.is_absolute()) {
            Some(top) => wanted.strip_prefix(top).ok(),
            None => Some(wanted.as_path()),
        };
        let directory = within
            .and_then(normal)
            .ok_or_else(|| refused("it is not below the top of the repository"))?;
        return if repository.has_directory_at(base, &directory)? {
            Ok(directory)
        } else {
            Err(refused("the base has no such directory"))
        };
    }
    let place = task.repository.canonicalize().ok();
    let (Some(top), Some(place)) = (top, place) else {
        return Ok(PathBuf::new());
    };
    let directory = place.strip_prefix(top).unwrap_or(Path::new("")).to_owned();
    if repository.has_directory_at(base, &directory)? {
        return Ok(directory);
    }
    if place.is_dir() {
        let directory = directory.display();
        notices.push(format!(
            "the agent starts at the top of its worktree: the base has no directory {directory}"
        ));
    }
    Ok(PathBuf::new())
}

/// A relative path without `.` and `..`; `None` where it leads out.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_out_is_none() {
        for (path, expected) in [
            ("", Some("")),
            (".", Some("")),
            ("./a//b/", Some("a/b")),
            ("a/../b", Some("b")),
            ("a/b/../..", Some("")),
            ("..", None),
            ("a/../../b", None),
            ("/a", None),
        ] {
            assert_eq!(
                normal(Path::new(path)),
                expected.map(PathBuf::from),
                "{path}"
            );
        }
    }
}
