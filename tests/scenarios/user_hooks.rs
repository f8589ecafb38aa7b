//! Stop hooks of the user's own: a turn is over when all of them are done with it.

use std::fs;

use cx_operator::agent::codex::trust::trusted_hash;
use cx_operator::run::{Outcome, Status};
use cx_operator::worktree::Changes;

use crate::rig::Rig;

on_every_version!(stop_hook_that_blocks_once, stop_hook_that_takes_its_time);

/// Trusts a Stop hook in the user's configuration.
fn add_stop_hook(rig: &Rig, script: &str) {
    let path = rig.path("user-stop-hook");
    fs::write(&path, script).expect("the hook");
    let command = format!("sh {}", path.display());
    let key = format!("{}:stop:0:0", rig.path("codex/config.toml").display());
    let hash = trusted_hash("stop", &command, 600);
    rig.configure(&format!(
        "\n[[hooks.Stop]]\nhooks = [{{ type = \"command\", command = {command:?} }}]\n\
         [hooks.state.{key:?}]\ntrusted_hash = {hash:?}\n"
    ));
}

/// The end was the transcript's word, not the hook's alone.
fn assert_transcript_told(outcome: &Outcome) {
    let told = |notice: &String| notice.contains("transcript");
    assert!(!outcome.notices.iter().any(told), "{:?}", outcome.notices);
}

/// "The linter fails": what the agent says after that is the result, and its work is in it.
async fn stop_hook_that_blocks_once(rig: &Rig) {
    let reason = "[[shell echo linted | tee linted.txt]]";
    add_stop_hook(
        rig,
        &format!(
            "grep -q '\"stop_hook_active\":true' || printf '{{\"decision\":\"block\",\"reason\":\"{reason}\"}}'\n"
        ),
    );
    let outcome = rig.delegate(rig.task("[[say Done. First try.]]")).await;
    assert_eq!(
        (outcome.status, outcome.changes),
        (Status::Completed, Changes::Uncommitted),
        "{outcome:?}"
    );
    assert_eq!(outcome.files[0].path, "linted.txt");
    assert_transcript_told(&outcome);
}

/// A formatter: what it changes after our own hook is in the result.
async fn stop_hook_that_takes_its_time(rig: &Rig) {
    add_stop_hook(
        rig,
        "cat > /dev/null\nsleep 4\necho formatted > formatted.txt\n",
    );
    let outcome = rig.delegate(rig.task("[[say Done. It works.]]")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "formatted.txt");
    assert_transcript_told(&outcome);
}
