//! Nothing is called safe that isn't: each way in which the keeping of the work can fail, made to happen.

use std::fs;
use std::path::PathBuf;

use cx_operator::worktree::diff::write_patch;
use cx_operator::worktree::{Changes, CommitId, Error, Worktree};

use crate::fixture::{Fixture, REF, git, snapshot, snapshot_spec, write};

/// The file of an object that is in no pack.
fn object(f: &Fixture, id: &str) -> PathBuf {
    f.root().join(".git/objects").join(&id[..2]).join(&id[2..])
}

fn refused(f: &Fixture, worktree: &Worktree) -> Error {
    let error = worktree
        .snapshot(&snapshot_spec())
        .expect_err("it isn't safe");
    assert!(worktree.path().join("README").exists(), "{error}");
    assert!(f.git(&["branch", "--list", "cx-t"]).contains("cx-t"));
    error
}

#[test]
fn a_commit_of_the_agents_that_lacks_an_object_is_no_result() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("dir/new"), b"the only copy\n");
    git(worktree.path(), &["add", "-A"]);
    git(worktree.path(), &["commit", "-q", "-m", "work"]);
    fs::remove_file(worktree.path().join("dir/new")).expect("a file");
    for what in ["HEAD:dir/new", "HEAD:dir"] {
        let id = git(worktree.path(), &["rev-parse", what]);
        let path = object(&f, &id);
        let content = fs::read(&path).expect("an object");
        for damage in [None, Some(&b""[..])] {
            let _gone_since_the_damage_before = fs::remove_file(&path);
            if let Some(damage) = damage {
                fs::write(&path, damage).expect("damage, as a power cut does it");
            }
            let error = refused(&f, &worktree);
            let named = matches!(&error, Error::Incomplete { what, .. } if *what == id);
            assert!(named || matches!(error, Error::Git { .. }), "{error:?}");
        }
        fs::remove_file(&path).expect("damage");
        fs::write(&path, content).expect("mended");
    }
    assert_eq!(snapshot(&worktree).changes, Changes::Both);
}

#[test]
fn a_repository_that_takes_no_object_is_no_place_for_a_result() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("new"), b"the only copy\n");
    // Files where directories must come, as good as a full disk.
    let taken: Vec<PathBuf> = (0..256)
        .map(|n| f.root().join(format!(".git/objects/{n:02x}")))
        .filter(|path| !path.exists())
        .collect();
    taken.iter().for_each(|path| write(path, b""));
    let error = refused(&f, &worktree);
    assert!(
        matches!(&error, Error::Unstorable { path, .. } if path.ends_with("new")),
        "{error:?}"
    );
    assert!(f.git(&["for-each-ref", REF]).is_empty());
    for path in taken {
        fs::remove_file(path).expect("a file");
    }
    snapshot(&worktree);
    assert_eq!(f.git(&["show", &format!("{REF}:new")]), "the only copy");
}

#[test]
fn a_ref_that_cannot_be_written_is_no_result() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("new"), b"n");
    let lock = f.root().join(format!(".git/{REF}.lock"));
    write(&lock, b"");
    let error = refused(&f, &worktree);
    let locked = format!("{REF}.lock': File exists");
    assert!(error.to_string().contains(&locked), "{error:?}");
    fs::remove_file(lock).expect("a lock");
    snapshot(&worktree);
}

#[test]
fn a_patch_is_complete_or_not_there() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("new"), b"n\n");
    let result = snapshot(&worktree).result_commit.expect("a result");
    let base = f.spec("t").base;
    let to = f.dir().join("patch.diff");
    fs::create_dir(&to).expect("a directory in its place");
    assert!(write_patch(&f.repo(), base, result, &to).is_err());
    fs::remove_dir(&to).expect("empty: nothing was written into it");
    assert!(!f.dir().join("patch.diff.tmp").exists());
    let nothing: CommitId = "1".repeat(40).parse().expect("an id");
    assert!(write_patch(&f.repo(), base, nothing, &to).is_err());
    assert!(!to.exists());
}

#[test]
fn many_objects_are_kept_as_few_are() {
    let f = Fixture::new();
    let worktree = f.add();
    for n in 0..300 {
        write(
            &worktree.path().join(format!("many/{n}")),
            n.to_string().as_bytes(),
        );
    }
    assert_eq!(snapshot(&worktree).diff.files.len(), 300);
    f.remove();
    f.git(&["fsck", "--strict", "--no-dangling"]);
    assert_eq!(f.git(&["show", &format!("{REF}:many/299")]), "299");
}

#[test]
fn the_same_files_make_the_same_result() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("new"), b"n");
    let first = snapshot(&worktree).result_commit;
    let again = snapshot(&worktree);
    assert!(first.is_some() && again.notices.is_empty());
    assert_eq!(again.result_commit, first);
    assert_eq!(
        f.git(&["for-each-ref", "--format=%(refname)", "refs/cx-operator"]),
        REF
    );
}

#[test]
fn an_earlier_snapshot_is_never_lost_to_a_later_one() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("new"), b"all of it");
    snapshot(&worktree);
    // As when something empties /tmp file by file, and then the rest.
    fs::remove_file(worktree.path().join("src/lib.rs")).expect("a file");
    fs::remove_file(worktree.path().join("new")).expect("a file");
    let second = snapshot(&worktree);
    assert!(
        second.notices[0].ends_with(&format!("{REF}.1")),
        "{:?}",
        second.notices
    );
    assert_eq!(f.git(&["show", &format!("{REF}.1:new")]), "all of it");
    git(worktree.path(), &["checkout", "-q", "."]);
    let third = snapshot(&worktree);
    assert_eq!((third.changes, third.result_commit), (Changes::None, None));
    assert!(
        third.notices[0].ends_with(&format!("{REF}.2")),
        "{:?}",
        third.notices
    );
    let refs = f.git(&["for-each-ref", "--format=%(refname)", "refs/cx-operator"]);
    assert_eq!(
        refs,
        format!("{REF}.1\n{REF}.2"),
        "none says that there is a result"
    );
}

#[test]
fn what_was_committed_since_replaces_the_snapshot() {
    let f = Fixture::new();
    let worktree = f.add();
    write(&worktree.path().join("new"), b"n");
    snapshot(&worktree);
    git(worktree.path(), &["add", "-A"]);
    git(worktree.path(), &["commit", "-q", "-m", "the same"]);
    let committed = snapshot(&worktree);
    assert_eq!(
        (committed.changes, committed.notices.len()),
        (Changes::Committed, 0)
    );
    fs::remove_dir_all(worktree.path()).expect("a directory");
    assert_eq!(snapshot(&worktree).result_commit, committed.result_commit);
    assert_eq!(f.git(&["rev-parse", REF]), f.git(&["rev-parse", "cx-t"]));
}
