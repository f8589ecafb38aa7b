//! PATH without its relative entries: they name whatever directory a program runs in, which here is a repository's.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::os::given;

/// Where to look for programs when nothing else is said; that of POSIX shells.
const FALLBACK: &str = "/usr/bin:/bin";

/// The caller's PATH, for programs of ours and for the agent.
pub(crate) fn search_path() -> OsString {
    absolute_entries(given::variable("PATH").unwrap_or_default())
}

/// The absolute entries of a PATH, in their order. An empty one would mean the current directory.
pub(crate) fn absolute_entries(path: &OsStr) -> OsString {
    let entries = std::env::split_paths(path).filter(|entry| entry.is_absolute());
    let joined = std::env::join_paths(entries).expect("none has a colon: they were split there");
    if joined.is_empty() {
        FALLBACK.into()
    } else {
        joined
    }
}

/// The first program of that name in the directories of a PATH.
pub(crate) fn find_program(name: &Path, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|program| is_executable(program))
}

/// Returns whether that is an executable file.
pub(crate) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_entries_are_left_out() {
        for (path, expected) in [
            ("/a:/b", "/a:/b"),
            (".:/a::./b:../c:/d:", "/a:/d"),
            ("", FALLBACK),
            (".", FALLBACK),
        ] {
            assert_eq!(absolute_entries(OsStr::new(path)), expected, "{path}");
        }
    }
}
