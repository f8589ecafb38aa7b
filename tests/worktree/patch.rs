//! The patch, applied by git itself.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use cx_operator::worktree::diff::write_patch;

use crate::fixture::{Fixture, REF, git, snapshot, write};

/// Takes a snapshot, writes the patch, applies it with git to a checkout of the base, and compares the trees.
fn assert_applies(f: &Fixture, change: impl FnOnce(&Path)) -> Vec<u8> {
    let worktree = f.add();
    change(worktree.path());
    let result = snapshot(&worktree).result_commit.expect("a change");
    let base = f.spec("t").base;
    let patch = f.dir().join("patch.diff");
    write_patch(&f.repo(), base, result, &patch).expect("a patch");
    let text = fs::read(&patch).expect("a file");
    let copy = f.dir().join("copy");
    f.git(&[
        "worktree",
        "add",
        "-q",
        "--detach",
        copy.to_str().expect("UTF-8"),
        &base.to_string(),
    ]);
    git(
        &copy,
        &[
            "apply",
            "--index",
            "--whitespace=nowarn",
            patch.to_str().expect("UTF-8"),
        ],
    );
    let applied = git(&copy, &["write-tree"]);
    assert_eq!(applied, f.git(&["rev-parse", &format!("{REF}^{{tree}}")]));
    text
}

fn fixture() -> Fixture {
    let f = Fixture::new();
    f.write("crlf.txt", b"a\r\nb\r\nc\r\n");
    f.write("noeol", b"last line");
    f.write("link-to-file", b"a file\n");
    f.write("dir-to-file/x", b"x\n");
    f.write("file-to-dir", b"y\n");
    f.write("empty-gone", b"");
    f.write("binary", &[0, 1, 2, 3, 0, 255]);
    f.write("binary-gone", &[0, 9, 0]);
    f.write("run", b"#!/bin/sh\n");
    f.write("with space", b"s\n");
    symlink("README", f.root().join("a-link")).expect("a link");
    symlink("README", f.root().join("becomes-file")).expect("a link");
    let long: String = (0..60).map(|n| format!("line {n}\n")).collect();
    f.write("moved", long.as_bytes());
    f.write(
        "moved.bin",
        &(0..=255).cycle().take(4000).collect::<Vec<u8>>(),
    );
    f.commit("kinds");
    f
}

fn change_everything(at: &Path) {
    let path = |name: &str| at.join(name);
    let gone = |name: &str| fs::remove_file(at.join(name)).expect("a file");
    write(&path("README"), b"one\n2\nthree\nfour\n");
    write(&path("crlf.txt"), b"a\r\nB\r\nc\r\n");
    write(&path("noeol"), b"other last line");
    gone("link-to-file");
    symlink("README", path("link-to-file")).expect("a link");
    gone("becomes-file");
    write(&path("becomes-file"), b"a file\n");
    gone("a-link");
    symlink("crlf.txt", path("a-link")).expect("a link");
    fs::remove_dir_all(path("dir-to-file")).expect("a directory");
    write(&path("dir-to-file"), b"now a file\n");
    gone("file-to-dir");
    write(&path("file-to-dir/x"), b"x\n");
    gone("empty-gone");
    gone("binary-gone");
    write(&path("binary"), [0, 1, 2, 3, 4, 0, 255, 254]);
    write(&path("empty-new"), b"");
    fs::set_permissions(path("run"), fs::Permissions::from_mode(0o755)).expect("a mode");
    write(&path("with space"), b"S\n");
    write(&path("new with space"), b"n\n");
    fs::write(
        at.join(OsStr::from_bytes(b"caf\xe9 \"quoted\"\\\n\ttab")),
        "bytes\n",
    )
    .expect("a file");
    write(&path("b/../-dash"), b"d\n");
    fs::rename(path("moved"), path("moved to")).expect("a rename");
    fs::rename(path("moved.bin"), path("moved-to.bin")).expect("a rename");
    let mut bytes = fs::read(path("moved-to.bin")).expect("a file");
    bytes[17] = 0;
    write(&path("moved-to.bin"), &bytes);
}

#[test]
fn it_gives_exactly_the_snapshots_tree() {
    let f = fixture();
    let text = assert_applies(&f, change_everything);
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("GIT binary patch"));
    assert!(text.contains("rename from moved\n"));
}

#[test]
fn the_users_settings_have_no_say() {
    let plain = assert_applies(&fixture(), change_everything);
    let f = fixture();
    for (key, value) in [
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.external", "false"),
        ("diff.renames", "false"),
        ("diff.context", "0"),
        ("diff.interHunkContext", "9"),
        ("diff.custom.textconv", "false"),
        ("core.abbrev", "4"),
        ("color.ui", "always"),
    ] {
        f.git(&["config", key, value]);
    }
    // In the index and in the checkout, but not in the commit.
    f.write(
        ".gitattributes",
        b"* diff=custom\n*.txt -diff\nbinary diff\n",
    );
    f.git(&["add", ".gitattributes"]);
    assert!(assert_applies(&f, change_everything) == plain);
}

#[test]
fn ten_megabytes_are_fine() {
    let f = Fixture::new();
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(10 << 20)
    .collect();
    let lines = b"the same line again\n".repeat((10 << 20) / 20);
    assert_applies(&f, |at| {
        write(&at.join("noise"), &noise);
        write(&at.join("lines"), &lines);
    });
}

#[test]
fn a_submodule_that_became_files_applies() {
    let f = Fixture::new();
    git(f.dir(), &["clone", "-q", "repo", "inner"]);
    let inner = f.dir().join("inner");
    f.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        inner.to_str().expect("UTF-8"),
        "sub",
    ]);
    f.commit("a submodule");
    assert_applies(&f, |at| write(&at.join("sub/file"), b"f\n"));
}

#[test]
fn the_file_is_private_and_complete_or_absent() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("a"), b"a\n");
    let result = snapshot(&worktree).result_commit.expect("a change");
    let base = f.spec("t").base;
    let to = f.dir().join("patch.diff");
    write_patch(&f.repo(), base, result, &to).expect("a patch");
    let mode = fs::metadata(&to).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let taken = f.dir().join("taken");
    fs::create_dir(&taken).expect("a directory");
    assert!(write_patch(&f.repo(), base, result, &taken).is_err());
    let left: Vec<_> = fs::read_dir(f.dir())
        .expect("a directory")
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(
        !left.iter().any(|n| n.to_string_lossy().ends_with(".tmp")),
        "{left:?}"
    );
}

#[test]
fn no_difference_is_an_empty_patch() {
    let f = Fixture::new();
    let base = f.spec("t").base;
    let to = f.dir().join("p");
    write_patch(&f.repo(), base, base, &to).expect("a patch");
    assert_eq!(fs::read(to).expect("a file"), b"");
}

#[test]
fn a_directory_takes_the_place_of_a_renamed_link() {
    let f = fixture();
    assert_applies(&f, |w| {
        fs::rename(w.join("a-link"), w.join("src/a-link")).expect("a rename");
        write(&w.join("a-link/inside"), b"x\n");
    });
}
