//! Tests that load the machine, or measure their own process: nothing else of their program runs in the meantime.

use std::process::Command;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Held by each test of the program that this matters to.
static MACHINE: RwLock<()> = RwLock::new(());
/// Names the test that a process was started for.
const VARIABLE: &str = "CX_TEST_ALONE";

/// Waits until no test has the machine for itself.
pub fn beside_others() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the machine is free, and has it alone.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the body of a test in a process of its own, whose memory, files and processor time are that test's only.
///
/// `test` is the name that the running program has for it: `scale::a_crowd_in_one_process`.
///
/// # Panics
/// The body fails there, or there is no test of that name.
pub fn in_own_process(test: &str, body: impl FnOnce()) {
    if std::env::var_os(VARIABLE).is_some_and(|name| name == test) {
        return body();
    }
    let _alone = alone();
    let program = std::env::current_exe().expect("a program knows its path");
    let output = Command::new(program)
        .args([test, "--exact", "--include-ignored", "--nocapture"])
        .env(VARIABLE, test)
        .output()
        .expect("the tests run again");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let passed = output.status.success() && text.contains("test result: ok. 1 passed");
    assert!(passed, "{test}, in a process of its own:\n{text}");
}
