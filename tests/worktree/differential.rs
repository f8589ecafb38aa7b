//! Random trees of rules, attributes and changes: a snapshot is what `git add -A` makes of the same files in a copy of
//! the index that the worktree began with, of what the agent tracks where it has committed; and its patch makes that tree
//! of a checkout of the base.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use cx_operator::worktree::Worktree;
use cx_operator::worktree::diff::write_patch;

use crate::fixture::{Fixture, command, git, output, snapshot_spec, write};
use testkit::size::size;

const DIRS: [&str; 7] = ["", "a/", "a/b/", "data/", "data/x y/", "vendor/", "\u{e9}/"];
const NAMES: [&str; 9] = [
    "one.txt",
    "two.log",
    ".gitkeep",
    "se cret.txt",
    "run.sh",
    "bin.dat",
    "!odd",
    "#odd",
    "key.ident",
];
const RULES: [&str; 17] = [
    "*.log",
    "!two.log",
    "data/*",
    "!data/.gitkeep",
    "!.gitkeep",
    "vendor/",
    "!vendor",
    "a/",
    "/a/b",
    "*.txt",
    "!one.txt",
    "x*",
    "**/x y/",
    "\\!odd",
    "\\#odd",
    "b/**",
    "# nothing",
];
const ATTRIBUTES: [&str; 14] = [
    "* text=auto",
    "*.txt text",
    "*.txt -text",
    "*.txt eol=crlf",
    "*.txt eol=lf",
    "\"se cret.txt\" filter=up",
    "*.sh filter=up",
    "*.dat binary",
    "*.ident ident",
    "*.log -diff",
    "one.txt working-tree-encoding=UTF-16LE",
    "a/** -text",
    "[attr]plain -text",
    "*.txt plain",
];
const CONTENTS: [&[u8]; 9] = [
    b"",
    b"one\ntwo\nthree\n",
    b"one\r\ntwo\r\n",
    b"one\ntwo\r\n",
    b"no end",
    b"\0\x01\x02\xff",
    b"secret words\n",
    b"$Id$\n",
    b"one\ntwo\nthree\nfour\nfive\nsix\nseven\n",
];

/// A small generator, so that a number says it all.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("small")
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }

    fn lines(&mut self, of: &[&str]) -> String {
        let count = 1 + self.roll(4);
        (0..count).map(|_| format!("{}\n", self.pick(of))).collect()
    }

    fn path(&mut self) -> String {
        format!("{}{}", self.pick(&DIRS), self.pick(&NAMES))
    }
}

/// Makes room for a file, whatever is in its way.
fn put(root: &Path, path: &str, content: &[u8]) {
    let full = root.join(path);
    for above in full.ancestors().skip(1).take_while(|above| *above != root) {
        if fs::symlink_metadata(above).is_ok_and(|meta| !meta.is_dir()) {
            fs::remove_file(above).expect("a file in the way");
        }
    }
    clear(&full);
    write(&full, content);
}

fn clear(full: &Path) {
    match fs::symlink_metadata(full) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(full).expect("a directory"),
        Ok(_) => fs::remove_file(full).expect("a file"),
        Err(_) => {}
    }
}

fn change(root: &Path, dice: &mut Dice) {
    let path = dice.path();
    let full = root.join(&path);
    match dice.roll(12) {
        0..4 => put(root, &path, dice.pick(&CONTENTS)),
        4 => clear(&full),
        5 => {
            put(root, &path, b"#!/bin/sh\n");
            fs::set_permissions(&full, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        6 => {
            put(root, &path, b"");
            clear(&full);
            symlink(dice.pick(&["one.txt", "..", "nowhere"]), &full).expect("a link");
        }
        7 => {
            let name = format!("{}.gitignore", dice.pick(&DIRS));
            put(root, &name, dice.lines(&RULES).as_bytes());
        }
        8 => {
            let name = format!("{}.gitattributes", dice.pick(&DIRS));
            put(root, &name, dice.lines(&ATTRIBUTES).as_bytes());
        }
        9 => {
            let other = dice.path();
            if full.is_file() && path != other {
                put(root, &other, &fs::read(&full).expect("a file"));
                clear(&full);
            }
        }
        10 => put(root, &format!("{path}/inside"), dice.pick(&CONTENTS)),
        _ => {
            let name = format!("{}.gitignore", dice.pick(&DIRS));
            put(root, &name, b"");
            clear(&root.join(&name));
            symlink("one.txt", root.join(&name)).expect("a link");
        }
    }
}

fn configure(f: &Fixture, dice: &mut Dice) {
    f.git(&["config", "filter.up.clean", "tr a-z A-Z"]);
    f.git(&["config", "filter.up.smudge", "tr A-Z a-z"]);
    match dice.roll(5) {
        0 => drop(f.git(&["config", "core.autocrlf", "input"])),
        1 => drop(f.git(&["config", "core.autocrlf", "true"])),
        2 => drop(f.git(&["config", "core.fileMode", "false"])),
        _ => {}
    }
    if dice.roll(3) == 0 {
        write(
            &f.root().join(".git/info/exclude"),
            dice.lines(&RULES).as_bytes(),
        );
    }
    if dice.roll(6) == 0 {
        let attributes = dice.lines(&ATTRIBUTES);
        write(
            &f.root().join(".git/info/attributes"),
            attributes.as_bytes(),
        );
    }
}

/// The tree that git makes of the worktree's files; `None` where git ends at a file that it can't convert. Where the agent
/// has `committed`, the index has its paths, without times for what differs from the seed.
fn tree_of_git(f: &Fixture, worktree: &Worktree, committed: bool) -> Option<String> {
    let index = f.dir().join("index");
    let seed = worktree.admin_dir().join("cx-operator.index");
    let run = |index: &Path, args: &[&str], input: &str| {
        let mut child = command(worktree.path(), args)
            .env("GIT_DIR", f.root().join(".git"))
            .env("GIT_WORK_TREE", worktree.path())
            .env("GIT_INDEX_FILE", index)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("git runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        // One that reads nothing may be gone.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("git runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    };
    fs::copy(&seed, &index).expect("a copy");
    if committed {
        let list = |index: &Path| run(index, &["ls-files", "-z", "--stage"], "").expect("entries");
        let (ours, theirs) = (list(&seed), list(&worktree.admin_dir().join("index")));
        let path = |entry: &str| entry.split_once('\t').expect("a path").1.to_owned();
        let of = |text: &str| {
            let entries = text.split_terminator('\0').map(str::to_owned);
            entries.collect::<BTreeSet<_>>()
        };
        let (ours, theirs) = (of(&ours), of(&theirs));
        let gone = ours.difference(&theirs);
        let gone = gone.map(|entry| format!("0 {}\t{}\0", "0".repeat(40), path(entry)));
        let new = theirs.difference(&ours).map(|entry| format!("{entry}\0"));
        let input: String = gone.chain(new).collect();
        run(&index, &["update-index", "-z", "--index-info"], &input).expect("an index");
    }
    let written = fs::metadata(&seed).and_then(|meta| meta.modified());
    let file = fs::File::options()
        .write(true)
        .open(&index)
        .expect("the copy");
    file.set_modified(written.expect("a time")).expect("a time");
    run(&index, &["add", "-A"], "")?;
    Some(run(&index, &["write-tree"], "")?.trim().to_owned())
}

/// The tree that the patch makes of a checkout of the base, and whether it was one: where the base's own attributes have
/// git call a fresh checkout changed, no patch applies to its files, and the index alone is asked.
fn tree_of_patch(f: &Fixture, base: &str, patch: &Path, case: u64) -> (String, bool) {
    let checkout = f.dir().join("applied");
    fs::create_dir(&checkout).expect("a new directory");
    let git = |args: &[&str]| {
        let mut command = command(&checkout, args);
        command
            .env("GIT_DIR", f.root().join(".git"))
            .env("GIT_WORK_TREE", &checkout)
            .env("GIT_INDEX_FILE", f.dir().join("applied.index"));
        command.output().expect("git runs")
    };
    let run = |args: &[&str]| {
        let output = git(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "case {case}: {args:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    run(&["read-tree", "-m", "-u", base]);
    let same = git(&["diff-files", "--quiet"]).status.success();
    if fs::metadata(patch).expect("a patch").len() > 0 {
        let patch = patch.to_str().expect("UTF-8");
        let to = if same { "--index" } else { "--cached" };
        run(&["apply", to, "--whitespace=nowarn", patch]);
    }
    (run(&["write-tree"]), same)
}

/// Commits all that git takes: it ends at a file that it can't convert.
fn commit(at: &Path, message: &str) {
    output(at, &["add", "-A", "--ignore-errors"]);
    git(at, &["commit", "-q", "--allow-empty", "-m", message]);
}

/// Plays a case; says whether its patch was applied to a checkout.
fn assert_case(number: u64) -> bool {
    let mut dice = Dice(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let f = Fixture::empty();
    configure(&f, &mut dice);
    for _ in 0..8 {
        change(&f.root(), &mut dice);
    }
    commit(&f.root(), "base");
    let worktree = f.add();
    let commits = dice.roll(4) == 0;
    for step in 0..10 {
        change(worktree.path(), &mut dice);
        if commits && step == 5 {
            commit(worktree.path(), "half");
        }
    }
    let expected = tree_of_git(&f, &worktree, commits);
    let base = f.spec("t").base;
    let taken = worktree.snapshot(&snapshot_spec());
    let taken = taken.unwrap_or_else(|error| panic!("case {number}: {error}"));
    let result = taken.result_commit.unwrap_or(base);
    let tree = f.git(&["rev-parse", &format!("{result}^{{tree}}")]);
    if let Some(expected) = expected {
        let differ = || f.git(&["diff-tree", "-r", &expected, &tree]);
        let notices = &taken.notices;
        assert_eq!(tree, expected, "case {number}: {notices:?}\n{}", differ());
    }
    let patch = f.dir().join("patch");
    write_patch(&f.repo(), base, result, &patch).expect("a patch");
    let (patched, checked_out) = tree_of_patch(&f, &base.to_string(), &patch, number);
    assert_eq!(patched, tree, "case {number}");
    let numbers = f.git(&[
        "diff-tree",
        "-r",
        "--shortstat",
        "-M",
        &format!("{base}^{{tree}}"),
        &tree,
    ]);
    let files = numbers
        .split_whitespace()
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    assert_eq!(taken.diff.file_count, files, "case {number}: {numbers}");
    checked_out
}

#[test]
fn thorough_random_trees_are_as_git_has_them() {
    let cases = u64::try_from(size(60, 2000)).expect("small");
    let only = std::env::var("CX_CASE").ok().and_then(|n| n.parse().ok());
    let next = AtomicU64::new(only.unwrap_or(1));
    let applied = AtomicU64::new(0);
    let last = only.unwrap_or(cases);
    let workers = thread::available_parallelism()
        .map_or(2, usize::from)
        .min(8);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number > last {
                        break;
                    }
                    let checked_out = assert_case(number);
                    applied.fetch_add(checked_out.into(), Ordering::Relaxed);
                }
            });
        }
    });
    let applied = applied.into_inner();
    assert!(
        only.is_some() || applied * 10 > cases * 8,
        "only {applied} patches met a checkout"
    );
}
