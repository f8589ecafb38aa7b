//! PATH without its relative entries: they name whatever directory a program runs in, which here is a repository's.

use std::ffi::{OsStr, OsString};

/// Where to look for programs when nothing else is said; that of POSIX shells.
const FALLBACK: &str = "/usr/bin:/bin";

/// The caller's PATH, for programs of ours and for the agent.
pub(crate) fn search_path() -> OsString {
    absolute_entries(&std::env::var_os("PATH").unwrap_or_default())
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
