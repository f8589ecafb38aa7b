//! Files that git can't convert or store, and indexes that it can't read: each costs itself at most.

use std::fs;

use crate::fixture::{Fixture, REF, git, snapshot, write};

/// A file that git refuses: the settings, the line of `.gitattributes`, its name and content.
type Refused = (
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [u8],
);

const REFUSED: [Refused; 9] = [
    (
        &[("core.autocrlf", "input"), ("core.safecrlf", "true")],
        "",
        b"a\r\nb\r\n",
    ),
    (
        &[("core.autocrlf", "true"), ("core.safecrlf", "true")],
        "",
        b"a\nb\n",
    ),
    (
        &[("core.eol", "crlf"), ("core.safecrlf", "true")],
        "x text",
        b"a\nb\r\n",
    ),
    (&[], "x working-tree-encoding=UTF-16", b"no mark"),
    (&[], "x working-tree-encoding=UTF-16LE", b"odd"),
    (&[], "x working-tree-encoding=no-such-encoding", b"text\n"),
    (
        &[("filter.f.clean", "false"), ("filter.f.required", "true")],
        "x filter=f",
        b"text\n",
    ),
    (
        &[
            ("filter.f.clean", "/nonexistent"),
            ("filter.f.required", "true"),
        ],
        "x filter=f",
        b"text\n",
    ),
    (
        &[("filter.f.process", "true"), ("filter.f.required", "true")],
        "x filter=f",
        b"text\n",
    ),
];

#[test]
fn a_file_that_git_cannot_convert_is_stored_as_it_is() {
    for (settings, attributes, content) in REFUSED {
        for known in [false, true] {
            let f = Fixture::new();
            if known {
                f.write("x", b"before");
                f.commit("x");
            }
            let worktree = f.add();
            for (name, value) in settings {
                f.git(&["config", name, value]);
            }
            write(
                &worktree.path().join(".gitattributes"),
                attributes.as_bytes(),
            );
            write(&worktree.path().join("x"), content);
            write(&worktree.path().join("other"), b"\0other");
            let taken = snapshot(&worktree);
            let notices = &taken.notices;
            let what = format!("{settings:?} {attributes} {notices:?}");
            let size = f.git(&["cat-file", "-s", &format!("{REF}:x")]);
            assert_eq!(size, content.len().to_string(), "{what}");
            assert_eq!(
                f.git(&["cat-file", "-s", &format!("{REF}:other")]),
                "6",
                "{what}"
            );
            let said = notices
                .iter()
                .filter(|notice| notice.starts_with("x is stored as it is"));
            assert_eq!(said.count(), 1, "{what}");
            assert!(taken.left_out.is_empty(), "{what}");
        }
    }
}

#[test]
fn a_name_that_no_tree_may_have_is_left_out_alone() {
    let f = Fixture::new();
    let worktree = f.add();
    let names = ["git~1", "GIT~1/x", "d/.git ", ".GIT", ".g\u{200c}it"];
    f.git(&["config", "core.protectHFS", "true"]);
    for name in names {
        write(&worktree.path().join(name), b"x\n");
    }
    write(&worktree.path().join("d/fine"), b"f\n");
    let taken = snapshot(&worktree);
    let stored = f.git(&["ls-tree", "-r", "--name-only", REF]);
    assert!(stored.contains("d/fine"), "{stored}");
    f.git(&["fsck", "--strict", "--no-dangling"]);
    let mut left: Vec<_> = taken
        .left_out
        .iter()
        .map(|path| path.to_string_lossy())
        .collect();
    left.sort();
    let mut expected = names.to_vec();
    expected.sort_unstable();
    assert_eq!(left, expected, "{:?}", taken.notices);
}

#[test]
fn an_index_of_any_state_costs_no_file() {
    for damage in [
        "gone",
        "junk",
        "a directory",
        "version 4",
        "empty",
        "conflict",
    ] {
        let f = Fixture::new();
        let worktree = f.add();
        let at = worktree.path();
        write(&at.join("new"), b"n\n");
        write(&at.join("debug.log"), b"ignored\n");
        let index = worktree.admin_dir().join("index");
        match damage {
            "gone" => fs::remove_file(&index).expect("an index"),
            "junk" => write(&index, b"junk"),
            "a directory" => {
                fs::remove_file(&index).expect("an index");
                fs::create_dir(&index).expect("a directory");
            }
            "version 4" => {
                git(
                    at,
                    &[
                        "-c",
                        "index.skipHash=true",
                        "update-index",
                        "--index-version",
                        "4",
                    ],
                );
            }
            "empty" => drop(git(at, &["read-tree", "--empty"])),
            _ => {
                let blob = git(at, &["rev-parse", "HEAD:README"]);
                let entry = format!("100644,{blob},README");
                git(at, &["rm", "-q", "--cached", "README"]);
                git(at, &["update-index", "--add", "--cacheinfo", &entry]);
            }
        }
        let taken = snapshot(&worktree);
        let seen: Vec<_> = taken.diff.files.iter().map(|file| &file.path[..]).collect();
        assert_eq!(seen, ["new"], "{damage}: {:?}", taken.notices);
        if index.is_dir() {
            fs::remove_dir(&index).expect("a directory");
        }
    }
}
