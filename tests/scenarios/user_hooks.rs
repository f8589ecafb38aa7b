//! Stop hooks of the user's own: a turn is over when all of them are done with it.

use std::fs;
use std::time::Duration;

use cx_operator::agent::codex::trust::trusted_hash;
use cx_operator::record::{Outcome, Status};
use cx_operator::worktree::Changes;
use serde_json::{Value, json};
use testkit::built;

use crate::rig::Rig;

on_every_version!(
    stop_hook_that_blocks_once,
    stop_hook_that_blocks_twice,
    stop_hook_that_blocks_by_its_status,
    one_of_two_stop_hooks_blocks,
    stop_hook_that_takes_its_time,
    stop_hook_that_fails,
    stop_hook_that_talks_nonsense,
    stop_hook_of_ours_for_every_session,
);
// The scripted agent's screen has no row for hooks.
on_every_codex!(long_stop_hook_without_a_transcript);
on_codex!(hook_that_stops_a_compaction);

on_scripted!(end_that_is_told_late, end_that_is_never_told);

/// Trusts Stop hooks in the user's configuration.
fn add_stop_hooks(rig: &Rig, scripts: &[&str]) {
    if rig.is_claude() {
        return add_stop_hooks_for_claude(rig, scripts);
    }
    add_codex_hooks(rig, ("Stop", "stop"), scripts);
}

/// Trusts hooks of an event, by its name and by that in codex's keys.
fn add_codex_hooks(rig: &Rig, (event, snake): (&str, &str), scripts: &[&str]) {
    let (mut hooks, mut trust) = (Vec::new(), String::new());
    for (at, script) in scripts.iter().enumerate() {
        let path = rig.path(&format!("user-{snake}-hook-{at}"));
        fs::write(&path, script).expect("the hook");
        let command = format!("sh {}", path.display());
        let key = format!("{}:{snake}:0:{at}", rig.path("codex/config.toml").display());
        let hash = trusted_hash(snake, &command, 600);
        hooks.push(format!("{{ type = \"command\", command = {command:?} }}"));
        trust += &format!("[hooks.state.{key:?}]\ntrusted_hash = {hash:?}\n");
    }
    let hooks = hooks.join(", ");
    rig.configure(&format!("\n[[hooks.{event}]]\nhooks = [{hooks}]\n{trust}"));
}

/// The same in Claude Code's settings, which trust them.
fn add_stop_hooks_for_claude(rig: &Rig, scripts: &[&str]) {
    let hooks: Vec<Value> = scripts
        .iter()
        .enumerate()
        .map(|(at, script)| {
            let path = rig.path(&format!("user-stop-hook-{at}"));
            fs::write(&path, script).expect("the hook");
            json!({"type": "command", "command": format!("sh {}", path.display())})
        })
        .collect();
    let path = rig.path("home/.claude/settings.json");
    let settings = fs::read(&path).expect("the settings");
    let mut settings: Value = serde_json::from_slice(&settings).expect("JSON");
    settings["hooks"]["Stop"] = json!([{"hooks": hooks}]);
    fs::write(&path, settings.to_string()).expect("the settings");
    rig.note_the_callers_state();
}

/// The end was the transcript's word, not the hook's alone.
fn assert_transcript_told(outcome: &Outcome) {
    let told = |notice: &String| notice.contains("transcript");
    assert!(!outcome.notices.iter().any(told), "{:?}", outcome.notices);
}

/// The run completed with just these files, all in one turn.
fn assert_made(outcome: &Outcome, files: &[&str]) {
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let made: Vec<&str> = outcome.files.iter().map(|file| &*file.path).collect();
    assert_eq!((made.as_slice(), outcome.turns), (files, 1), "{outcome:?}");
}

/// What the agent does after a hook said "the linter fails".
const LINT: &str = "[[shell echo linted | tee linted.txt]]";

/// "The linter fails": what the agent says after that is the result, and its work is in it.
async fn stop_hook_that_blocks_once(rig: &Rig) {
    let block = format!(
        "grep -q '\"stop_hook_active\":true' || printf '{{\"decision\":\"block\",\"reason\":\"{LINT}\"}}'\n"
    );
    add_stop_hooks(rig, &[&block]);
    let outcome = rig.delegate(rig.task("[[say Done. First try.]]")).await;
    assert_made(&outcome, &["linted.txt"]);
    assert_eq!(outcome.changes, Changes::Uncommitted);
    assert_transcript_told(&outcome);
}

/// It counts the agent's tries.
async fn stop_hook_that_blocks_twice(rig: &Rig) {
    let tries = rig.path("tries");
    let script = format!(
        "cat > /dev/null\necho try >> {tries}\nn=$(wc -l < {tries})\ntest $n -gt 2 || \
         printf '{{\"decision\":\"block\",\"reason\":\"[[shell touch try-%s.txt]]\"}}' $n\n",
        tries = tries.display()
    );
    add_stop_hooks(rig, &[&script]);
    let outcome = rig.delegate(rig.task("[[say Done. First try.]]")).await;
    assert_made(&outcome, &["try-1.txt", "try-2.txt"]);
    assert_transcript_told(&outcome);
}

async fn stop_hook_that_blocks_by_its_status(rig: &Rig) {
    let script =
        format!("grep -q '\"stop_hook_active\":true' && exit 0\necho '{LINT}' >&2\nexit 2\n");
    add_stop_hooks(rig, &[&script]);
    let outcome = rig.delegate(rig.task("[[say Done. First try.]]")).await;
    assert_made(&outcome, &["linted.txt"]);
    assert_transcript_told(&outcome);
}

/// The other one takes longer.
async fn one_of_two_stop_hooks_blocks(rig: &Rig) {
    let block = format!(
        "grep -q '\"stop_hook_active\":true' || printf '{{\"decision\":\"block\",\"reason\":\"{LINT}\"}}'\n"
    );
    add_stop_hooks(rig, &[&block, "cat > /dev/null\nsleep 1\nexit 0\n"]);
    let outcome = rig.delegate(rig.task("[[say Done. First try.]]")).await;
    assert_made(&outcome, &["linted.txt"]);
    assert_transcript_told(&outcome);
}

/// A formatter: what it changes after our own hook is in the result.
async fn stop_hook_that_takes_its_time(rig: &Rig) {
    let format = "cat > /dev/null\nsleep 8\necho formatted > formatted.txt\n";
    add_stop_hooks(rig, &[format]);
    let outcome = rig.delegate(rig.task("[[say Done. It works.]]")).await;
    assert_made(&outcome, &["formatted.txt"]);
    assert_transcript_told(&outcome);
}

async fn stop_hook_that_fails(rig: &Rig) {
    let script = "cat > /dev/null\necho 'no such linter' >&2\ntouch tried.txt\nexit 1\n";
    add_stop_hooks(rig, &[script]);
    let outcome = rig.delegate(rig.task("[[say Done. It works.]]")).await;
    assert_made(&outcome, &["tried.txt"]);
    assert_transcript_told(&outcome);
}

async fn stop_hook_that_talks_nonsense(rig: &Rig) {
    let script = "cat > /dev/null\ntouch tried.txt\necho '{\"decision\": maybe, all is'\n";
    add_stop_hooks(rig, &[script]);
    let outcome = rig.delegate(rig.task("[[say Done. It works.]]")).await;
    assert_made(&outcome, &["tried.txt"]);
    assert_transcript_told(&outcome);
}

/// The user's own session would get its files; a run's agent works in a worktree, in which they would be in the result.
async fn stop_hook_of_ours_for_every_session(rig: &Rig) {
    let helper = built::program("cx-helper");
    let script = format!("touch tried.txt\nexec '{}' stop\n", helper.display());
    add_stop_hooks(rig, &[&script]);
    let outcome = rig.delegate(rig.task("[[say Done. It works.]]")).await;
    assert_made(&outcome, &["tried.txt"]);
}

/// Only the screen tells that it still runs.
async fn long_stop_hook_without_a_transcript(rig: &Rig) {
    let script = "cat > /dev/null\nrm -r \"$CODEX_HOME/sessions\"\nsleep 9\necho formatted > formatted.txt\n";
    add_stop_hooks(rig, &[script]);
    let outcome = rig.delegate(rig.task("[[say Done. It works.]]")).await;
    assert_made(&outcome, &["formatted.txt"]);
    let told = |notice: &String| notice.contains("transcript");
    assert!(outcome.notices.iter().any(told), "{:?}", outcome.notices);
}

const STOPPED: &str = "expect-prompt *\nhook stop {\"last_assistant_message\":\"Done. Early.\"}\n";

/// Long after our hook: what the agent did and said meanwhile counts.
async fn end_that_is_told_late(rig: &Rig) {
    let script = "sleep 6000\nexec echo late > late.txt\nsay Done. Late.\nhang";
    let outcome = rig
        .delegate(rig.scripted(&format!("{STOPPED}{script}")))
        .await;
    assert_made(&outcome, &["late.txt"]);
    assert_eq!(outcome.last_message.as_deref(), Some("Done. Late."));
    assert_transcript_told(&outcome);
}

/// The turn's budget is the limit of its hooks, too.
async fn end_that_is_never_told(rig: &Rig) {
    let mut task = rig.scripted(&format!("{STOPPED}hang"));
    task.limits.turn = Duration::from_secs(7);
    let outcome = rig.delegate(task).await;
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::TimedOut, "turn_timeout"),
        "{outcome:?}"
    );
    assert!(error.message.contains("Stop hooks"), "{}", error.message);
}

/// It is no person who interrupted that turn.
async fn hook_that_stops_a_compaction(rig: &Rig) {
    let stop = "cat > /dev/null\nprintf '{\"continue\":false,\"stopReason\":\"not in this repository\"}'\n";
    add_codex_hooks(rig, ("PreCompact", "pre_compact"), &[stop]);
    let mut task = rig.task("[[shell echo half > half.txt]]");
    let limit = "model_auto_compact_token_limit=50";
    task.agent.arguments = ["-c", limit].map(str::to_owned).into();
    let outcome = rig.delegate(task).await;
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::AgentFailed, "hook_stopped"),
        "{outcome:?}"
    );
    assert!(
        error.message.contains("not in this repository"),
        "{error:?}"
    );
    assert_eq!(outcome.files[0].path, "half.txt");
}
