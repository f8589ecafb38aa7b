//! Somebody who plants things where a worktree is about to be.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cx_operator::worktree::{Error, Removal, Worktree, WorktreeSpec, remove};

use crate::fixture::{Fixture, REF, write};

#[test]
fn a_directory_where_others_could_replace_it_is_refused() {
    let fixture = Fixture::new();
    let open = fixture.dir().join("open");
    fs::create_dir(&open).expect("a directory");
    let spec = WorktreeSpec {
        path: open.join("cx-t"),
        ..fixture.spec("t")
    };
    for (mode, refused) in [
        (0o777, true),
        (0o707, true),
        (0o1777, false),
        (0o775, false),
        (0o700, false),
    ] {
        fs::set_permissions(&open, fs::Permissions::from_mode(mode)).expect("ours");
        let before = fixture.state();
        match Worktree::add(&fixture.repo(), &spec) {
            Err(Error::OpenDirectory { path }) => assert!(refused && path == open, "{mode:o}"),
            Ok(_) => {
                assert!(!refused, "{mode:o}");
                let what = Removal::WorktreeAndBranch { snapshot_ref: REF };
                remove(&fixture.repo(), &spec, what).expect("removed");
            }
            Err(error) => panic!("{mode:o}: {error:?}"),
        }
        assert_eq!(fixture.state(), before, "{mode:o}");
    }
}

/// A link comes and goes at the path as fast as it can, before, between and after each look.
#[test]
fn a_link_planted_at_any_moment_is_never_followed() {
    let fixture = Fixture::new();
    let (spec, repo) = (fixture.spec("t"), fixture.repo());
    let outside = fixture.dir().join("outside");
    write(&outside.join("theirs"), b"untouched");
    let done = AtomicBool::new(false);
    let (mut added, mut refused) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0_u32;
            while !done.load(Ordering::Relaxed) {
                // There, and gone, for longer and longer, then for shorter: each moment of an adding gets its turn.
                round = (round + 7919) % 300_000;
                let wait = || (0..round).for_each(|_| std::hint::spin_loop());
                // Either is refused while a worktree is there.
                drop(symlink(&outside, &spec.path));
                wait();
                drop(fs::remove_file(&spec.path));
                wait();
            }
        });
        // As long as it takes to lose some races and win some; a look that can't be won ends by the clock.
        let limit = Instant::now() + Duration::from_secs(60);
        while Instant::now() < limit {
            match Worktree::add(&repo, &spec) {
                Ok(_) => {
                    added += 1;
                    let meta = fs::symlink_metadata(&spec.path).expect("it is there");
                    assert!(meta.is_dir() && meta.permissions().mode() & 0o777 == 0o700);
                    fixture.remove();
                }
                Err(Error::PathExists { .. }) => refused += 1,
                Err(error) => panic!("{error:?}"),
            }
            if added >= 20 && refused >= 20 {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(
        added >= 20 && refused >= 20,
        "{added} added, {refused} refused"
    );
    let left = fs::read_dir(&outside).expect("theirs").count();
    assert_eq!(left, 1, "something was written through the link");
    assert_eq!(
        fs::read(outside.join("theirs")).expect("theirs"),
        b"untouched"
    );
    assert_eq!(
        fixture.git(&["branch", "--format=%(refname)"]),
        "refs/heads/main"
    );
}
