//! Times of the git side, each beside git's own in the same run.
//!
//! * Adding a worktree of a generated repository of 50,000 files against `git worktree add`, in pairs.
//! * The whole way on a small repository: add, snapshot, patch, remove.
//! * A snapshot of 40,000 new files, and one of 50,000 files of which one changed, against `git add -A` with its tree,
//!   commit and numbers, in pairs.
//! * The whole way in a repository of 100,000 refs: what they cost.
//!
//! `cargo bench --bench worktree [-- PAIRS]`. The large repository is generated once, below `target/`; the worktrees go
//! to `/dev/shm` where there is one, so that the disk's write-back isn't what is measured.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cx_operator::worktree::diff::write_patch;
use cx_operator::worktree::{
    Owner, Removal, Repository, SnapshotSpec, Worktree, WorktreeSpec, remove,
};

const FILES: usize = 50_000;
const NEW_FILES: usize = 40_000;
const REFS: usize = 100_000;
const SMALL_RUNS: usize = 30;
const REF: &str = "refs/cx-operator/bench";
/// A collection in the background would be measured.
const NO_GC: [&str; 2] = ["-c", "gc.auto=0"];

fn main() {
    let pairs = std::env::args()
        .filter_map(|a| a.parse().ok())
        .next()
        .unwrap_or(5);
    let fast = Path::new("/dev/shm");
    let dir = if fast.is_dir() {
        tempfile::tempdir_in(fast)
    } else {
        tempfile::tempdir()
    };
    let dir = dir.expect("a temporary directory");
    small(dir.path());
    many_refs(dir.path());
    new_files(dir.path(), pairs);
    large(dir.path(), pairs);
}

fn small(dir: &Path) {
    let root = dir.join("small");
    generate(&root, 20);
    let repo = Repository::discover(&root).expect("a repository");
    let spec = spec(&repo, dir.join("cx-small"));
    let names = ["add", "snapshot", "patch", "remove", "all"];
    let mut times = vec![Vec::new(); names.len()];
    for _ in 0..SMALL_RUNS {
        let laps = once(&repo, &spec, dir);
        for (times, lap) in times.iter_mut().zip(laps) {
            times.push(lap);
        }
    }
    let floor = (0..SMALL_RUNS)
        .map(|_| git_worktree_add(&root, &dir.join("git-small")))
        .collect();
    for (name, times) in names.into_iter().zip(times) {
        report(&format!("small: {name}"), times);
    }
    report("small: git worktree add", floor);
}

/// One cycle with one changed and one new file: the time of each step, and of all.
fn once(repo: &Repository, spec: &WorktreeSpec, dir: &Path) -> [Duration; 5] {
    let start = Instant::now();
    let worktree = Worktree::add(repo, spec).expect("a worktree");
    let added = start.elapsed();
    fs::write(worktree.path().join("d0/f0.rs"), "changed\n").expect("a file");
    fs::write(worktree.path().join("new"), "new\n").expect("a file");
    let start = Instant::now();
    let result = worktree
        .snapshot(&keep())
        .expect("a snapshot")
        .result_commit;
    let snapshot = start.elapsed();
    let start = Instant::now();
    write_patch(
        repo,
        spec.base,
        result.expect("a change"),
        &dir.join("patch"),
    )
    .expect("a patch");
    let patch = start.elapsed();
    let start = Instant::now();
    remove(repo, spec, Removal::WorktreeAndBranch { snapshot_ref: REF }).expect("removal");
    let removed = start.elapsed();
    [
        added,
        snapshot,
        patch,
        removed,
        added + snapshot + patch + removed,
    ]
}

fn large(dir: &Path, pairs: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-worktree-50k");
    if !root.join(".git/complete").exists() {
        drop(fs::remove_dir_all(&root));
        generate(&root, FILES);
        fs::write(root.join(".git/complete"), "").expect("a file");
    }
    let repo = Repository::discover(&root).expect("a repository");
    let spec = spec(&repo, dir.join("cx-large"));
    // What an interrupted bench registered.
    git(&root, &["worktree", "prune"]);
    // Warms the caches for both.
    git_worktree_add(&root, &dir.join("git-large"));
    let (mut ours, mut theirs, mut removals) = (vec![], vec![], vec![]);
    let (mut snapshots, mut git_snapshots) = (vec![], vec![]);
    for pair in 0..pairs {
        // Neither is always first.
        for turn in [pair % 2, (pair + 1) % 2] {
            if turn == 0 {
                theirs.push(git_worktree_add(&root, &dir.join("git-large")));
                git_snapshots.push(git_once(&repo, &spec));
            } else {
                let laps = once(&repo, &spec, dir);
                ours.push(laps[0]);
                snapshots.push(laps[1]);
                removals.push(laps[3]);
            }
        }
    }
    let theirs = report("50k: git worktree add", theirs);
    let ours = report("50k: add", ours);
    compare("50k", snapshots, git_snapshots);
    report("50k: remove", removals);
    println!(
        "50k: add / git worktree add = {:.2}",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}

/// The whole way beside 100,000 packed refs.
fn many_refs(dir: &Path) {
    let root = dir.join("refs");
    generate(&root, 20);
    let repo = Repository::discover(&root).expect("a repository");
    let spec = spec(&repo, dir.join("cx-refs"));
    let base = repo.resolve_base("HEAD").expect("a commit");
    let names = (0..REFS).map(|n| format!("{base} refs/tags/t{n:06}\n"));
    let packed: String =
        std::iter::once("# pack-refs with: peeled fully-peeled sorted \n".to_owned())
            .chain(names)
            .collect();
    let without = (0..5).map(|_| once(&repo, &spec, dir)[4]).collect();
    let without = report("small: all", without);
    fs::write(root.join(".git/packed-refs"), packed).expect("a file");
    let mut laps = vec![Vec::new(); 5];
    for _ in 0..5 {
        for (laps, lap) in laps.iter_mut().zip(once(&repo, &spec, dir)) {
            laps.push(lap);
        }
    }
    for (name, laps) in ["add", "snapshot", "patch", "remove"].iter().zip(&laps) {
        report(&format!("100k refs: {name}"), laps.clone());
    }
    let with = report("100k refs: all", laps[4].clone());
    println!("100k refs: in addition {:.0} ms", ms(with) - ms(without));
}

/// git's snapshot of a worktree with one changed and one new file.
fn git_once(repo: &Repository, spec: &WorktreeSpec) -> Duration {
    let worktree = Worktree::add(repo, spec).expect("a worktree");
    fs::write(worktree.path().join("d0/f0.rs"), "changed\n").expect("a file");
    fs::write(worktree.path().join("new"), "new\n").expect("a file");
    let time = git_snapshot(&worktree);
    remove(repo, spec, Removal::WorktreeAndBranch { snapshot_ref: REF }).expect("removal");
    time
}

/// Each on a repository of its own: what one has stored the other would find.
fn new_files(dir: &Path, pairs: usize) {
    let (mut ours, mut theirs) = (vec![], vec![]);
    for pair in 0..pairs {
        for turn in [pair % 2, (pair + 1) % 2] {
            let root = dir.join("new");
            generate(&root, 20);
            let repo = Repository::discover(&root).expect("a repository");
            let spec = spec(&repo, dir.join("cx-new"));
            let worktree = Worktree::add(&repo, &spec).expect("a worktree");
            write_files(worktree.path(), NEW_FILES);
            if turn == 0 {
                theirs.push(git_snapshot(&worktree));
            } else {
                let start = Instant::now();
                worktree.snapshot(&keep()).expect("a snapshot");
                ours.push(start.elapsed());
            }
            fs::remove_dir_all(worktree.path()).expect("it is there");
            fs::remove_dir_all(&root).expect("it is there");
        }
    }
    compare("40k new", ours, theirs);
}

/// What git itself does of a snapshot, with an index that knows the times of the checkout.
fn git_snapshot(worktree: &Worktree) -> Duration {
    let index = worktree.admin_dir().join("bench.index");
    fs::copy(worktree.admin_dir().join("index"), &index).expect("an index");
    let run = |args: &[&str]| {
        let output = command(worktree.path(), args)
            .env("GIT_INDEX_FILE", &index)
            .output()
            .expect("git runs");
        assert!(output.status.success(), "git {args:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let start = Instant::now();
    run(&["add", "-A"]);
    let tree = run(&["write-tree"]);
    let commit = run(&["commit-tree", "-p", "HEAD", "-m", "bench", &tree]);
    run(&[
        "diff-tree",
        "-r",
        "-M",
        "--raw",
        "--numstat",
        "HEAD",
        &commit,
    ]);
    let time = start.elapsed();
    fs::remove_file(&index).expect("it is there");
    time
}

/// Prints both and their ratio.
fn compare(name: &str, ours: Vec<Duration>, theirs: Vec<Duration>) {
    let theirs = report(&format!("{name}: git add, commit, diff"), theirs);
    let ours = report(&format!("{name}: snapshot"), ours);
    println!(
        "{name}: snapshot / git = {:.2}",
        ours.as_secs_f64() / theirs.as_secs_f64()
    );
}

fn keep() -> SnapshotSpec {
    SnapshotSpec {
        ref_name: REF.into(),
        message: "bench".into(),
        mount_points: &[".codex"],
    }
}

fn spec(repo: &Repository, path: PathBuf) -> WorktreeSpec {
    WorktreeSpec {
        path,
        branch: format!("cx-bench-{}", std::process::id()),
        base: repo.resolve_base("HEAD").expect("a commit"),
        owner: Owner {
            run_id: "bench".into(),
            state_dir: "/nonexistent".into(),
        },
    }
}

/// Prints and returns the median.
fn report(name: &str, mut times: Vec<Duration>) -> Duration {
    times.sort();
    let (min, median) = (times[0], times[times.len() / 2]);
    println!(
        "{name:<28} min {:>8.2} ms   median {:>8.2} ms",
        ms(min),
        ms(median)
    );
    median
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn generate(root: &Path, files: usize) {
    write_files(root, files);
    if files > 500 {
        fs::write(root.join("d0/f0.rs"), "first\n").expect("a file");
    }
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["add", "-A"]);
    git(root, &["commit", "-q", "-m", "base"]);
    git(root, &["gc", "-q"]);
}

fn write_files(root: &Path, files: usize) {
    for n in 0..files {
        let dir = root.join(format!("d{}", n / 500)).join(if files > 500 {
            format!("m{}", n / 50)
        } else {
            String::new()
        });
        fs::create_dir_all(&dir).expect("directories");
        let body = format!("fn f{n}() {{ call({n}); }}\n").repeat(10 + n % 50);
        fs::write(dir.join(format!("f{n}.rs")), body).expect("a file");
    }
}

fn git_worktree_add(root: &Path, to: &Path) -> Duration {
    let path = to.to_str().expect("UTF-8");
    let branch = format!("git-bench-{}", std::process::id());
    let start = Instant::now();
    git(root, &["worktree", "add", "-q", "-b", &branch, path]);
    let time = start.elapsed();
    git(root, &["worktree", "remove", "--force", path]);
    git(root, &["branch", "-q", "-D", &branch]);
    time
}

fn git(dir: &Path, args: &[&str]) {
    testkit::git::git(dir, &[&NO_GC, args].concat());
}

fn command(dir: &Path, args: &[&str]) -> Command {
    testkit::git::command(dir, &[&NO_GC, args].concat())
}
