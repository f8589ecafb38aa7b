//! Runs that share a repository with each other and with the user's own git.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{finish, runtime, start};
use testkit::alone::alone;
use testkit::crowd::Crowd;
use testkit::git;

/// What a user's git may do to the repository at any moment.
const HOUSEKEEPING: [&[&str]; 5] = [
    &["gc", "--quiet"],
    &["pack-refs", "--all", "--prune"],
    &["worktree", "prune", "--expire=now"],
    &["fetch", "--quiet", ".", "+refs/heads/*:refs/remotes/self/*"],
    &["config", "user.nickname", "ada"],
];

/// The user's housekeeping and the runs are not in each other's way: no work is lost, no branch comes back.
#[test]
fn a_crowd_beside_the_users_git() {
    let _alone = alone();
    let crowd = Crowd::new(24, 21);
    let over = AtomicBool::new(false);
    let outcomes = thread::scope(|scope| {
        for command in HOUSEKEEPING {
            let (crowd, over) = (&crowd, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    keep_house(crowd, command);
                }
            });
        }
        let outcomes = runtime().block_on(async { finish(start(&crowd)).await });
        over.store(true, Ordering::Relaxed);
        outcomes
    });
    crowd.assert_own(&outcomes);
    crowd.assert_nothing_left(&outcomes);
}

fn keep_house(crowd: &Crowd, command: &[&str]) {
    let output = git::output(&crowd.world.repo(), command);
    let said = String::from_utf8_lossy(&output.stderr);
    // One git gives up where another holds a ref's lock for more than 0.1 s, as these do among each other.
    let locked = said.contains(".lock': File exists");
    assert!(output.status.success() || locked, "git {command:?}: {said}");
}
