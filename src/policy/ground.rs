//! Where a run works, and where a path leads.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The most links on the way to a file, as Linux has it.
const LINKS: usize = 40;

/// The directories that the system's programs are in.
const SYSTEM: [&str; 6] = [
    "/bin",
    "/usr/bin",
    "/usr/local/bin",
    "/sbin",
    "/usr/sbin",
    "/usr/local/sbin",
];

/// Where a run works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ground {
    worktree: PathBuf,
    home: Option<PathBuf>,
}

/// Where an effect is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// At this file or below this directory: absolute, without links, and whether that is in the worktree.
    Path {
        /// The file or directory.
        path: PathBuf,
        /// Whether it is in the worktree, and not in its git directory.
        inside: bool,
    },
    /// Nobody can tell before it runs.
    Unsure,
}

impl Ground {
    /// The ground of a run: the worktree's top and the user's home, both absolute.
    #[must_use]
    pub fn new(worktree: &Path, home: Option<&Path>) -> Self {
        let real = |path: &Path| resolve(path).unwrap_or_else(|| path.to_owned());
        Self {
            worktree: real(worktree),
            home: home
                .filter(|home| home.is_absolute())
                .map(Path::to_path_buf),
        }
    }

    /// The worktree's top, without links.
    #[must_use]
    pub fn worktree(&self) -> &Path {
        &self.worktree
    }

    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Where a path leads, from that directory.
    pub(crate) fn place(&self, directory: &Path, spelled: &str) -> Place {
        match resolve(&directory.join(spelled)) {
            Some(path) => self.place_of(path),
            None => Place::Unsure,
        }
    }

    /// The place of a path without links.
    pub(crate) fn place_of(&self, path: PathBuf) -> Place {
        let below = path.strip_prefix(&self.worktree);
        let inside = below.is_ok_and(|below| {
            below
                .components()
                .all(|part| !part.as_os_str().eq_ignore_ascii_case(".git"))
        });
        Place::Path { path, inside }
    }
}

/// Whether a program of that path is the system's.
pub(crate) fn is_system(program: &Path) -> bool {
    let parent = program.parent();
    parent.is_some_and(|parent| SYSTEM.iter().any(|dir| parent == Path::new(dir)))
}

/// The path without `.`, `..` and links, whether it exists or not; `None` for a circle of links, or a path that is not absolute.
pub(crate) fn resolve(path: &Path) -> Option<PathBuf> {
    let mut left: VecDeque<OsString> = parts(path);
    let mut real = PathBuf::from("/");
    let mut links = 0;
    if !path.is_absolute() {
        return None;
    }
    while let Some(part) = left.pop_front() {
        if part == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        let Ok(target) = fs::read_link(&next) else {
            real = next;
            continue;
        };
        links += 1;
        if links > LINKS {
            return None;
        }
        if target.is_absolute() {
            real = PathBuf::from("/");
        }
        for part in parts(&target).into_iter().rev() {
            left.push_front(part);
        }
    }
    Some(real)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_parents_lead_where_they_lead() {
        let dir = tempfile::tempdir().expect("a directory");
        let top = dir.path().canonicalize().expect("a path");
        let tree = top.join("tree");
        fs::create_dir_all(tree.join("src/deep")).expect("a directory");
        symlink("/etc", tree.join("out")).expect("a link");
        symlink("src/deep", tree.join("in")).expect("a link");
        symlink("round", tree.join("round")).expect("a link");
        let ground = Ground::new(&tree, None);
        let inside = |spelled: &str| match ground.place(&tree, spelled) {
            Place::Path { inside, .. } => Some(inside),
            Place::Unsure => None,
        };
        for spelled in ["a", "./a/../b", "in/x", "in/../x", "src", "."] {
            assert_eq!(inside(spelled), Some(true), "{spelled}");
        }
        // `in/..` is `src`, and `in/../../..` is above the worktree.
        for spelled in [
            "out/x",
            "../x",
            "in/../../../x",
            "/etc",
            ".git/config",
            "a/.GIT/x",
        ] {
            assert_eq!(inside(spelled), Some(false), "{spelled}");
        }
        assert_eq!(inside("round/x"), None);
    }
}
