//! The events of a run in words: its progress, and its log.

use anstyle::Style;

use crate::agent::report::Item;
use crate::cli::look::{self, BOLD, DIM, Look, time, words_of};
use crate::record::journal::{Entry, Progress, Step};
use crate::record::{Failure, Status};
use crate::task::Configuration;

/// What a person who waits is told of an event; only what is essential where `quiet`.
pub(super) fn line_of(progress: &Progress, quiet: bool) -> Option<String> {
    let is_told = match progress {
        Progress::Queued { .. }
        | Progress::Started { .. }
        | Progress::Notice { .. }
        | Progress::StepFailed { .. }
        | Progress::PermissionAsked { .. }
        | Progress::Decided { .. }
        | Progress::Replied { .. }
        | Progress::TurnFailed { .. }
        | Progress::Submitted { .. } => true,
        _ if quiet => false,
        Progress::Item { item, .. } => !matches!(item, Item::Message { .. }),
        Progress::Done(Step::Snapshot { result_commit, .. }) => result_commit.is_some(),
        Progress::Done(Step::Worktree { .. })
        | Progress::Launched { .. }
        | Progress::KeyPressed { .. }
        | Progress::TurnEnded { .. }
        | Progress::Ignored { .. }
        | Progress::Recorded { .. } => true,
        _ => false,
    };
    is_told.then(|| in_words(progress))
}

/// An event in words, among which those of others stand as they are.
fn in_words(progress: &Progress) -> String {
    match progress {
        Progress::Queued { position } => format!("waiting for other runs: position {position}"),
        Progress::Started { run_id, .. } => format!("run {run_id}"),
        Progress::Continues { run_id, session } => continued(run_id.as_str(), session.is_some()),
        Progress::Configured(configuration) => configured(configuration),
        Progress::Notified { of, .. } => {
            format!("the command `on_{of}` of the configuration is run")
        }
        Progress::TakenOver { follows: true, .. } => {
            "another operator goes on with the run".to_owned()
        }
        Progress::TakenOver { .. } => "another operator ends the run".to_owned(),
        Progress::Begun(step) => begun(step),
        Progress::Done(step) => done(step),
        Progress::StepFailed { message, .. } => message.clone(),
        Progress::Launched {
            drive: Some(drive), ..
        } => format!("the agent started, driven by {}", drive.as_str()),
        Progress::Launched { .. } => "the agent started".to_owned(),
        Progress::Connected { session_id, .. } => {
            format!("the agent's server has the session {session_id}")
        }
        Progress::Notice { text } => format!("note: {text}"),
        Progress::KeyPressed { key, on } => format!("pressed {key} ({on})"),
        Progress::Pasted { turn, bytes, .. } => {
            format!("turn {turn}: {bytes} bytes are put into the composer")
        }
        Progress::Submitted { turn, .. } => format!("turn {turn}: the agent has the prompt"),
        Progress::Witnessed { turn, .. } => format!("turn {turn}: a hook told of the prompt, too"),
        Progress::Item { item, .. } => step_of_turn(item),
        Progress::TurnEnded {
            turn,
            verdict,
            rule,
            ..
        } => format!("turn {turn} ended: {verdict} ({rule})"),
        Progress::TurnFailed { message, .. } => format!("the turn failed: {message}"),
        Progress::PermissionAsked { command, .. } => {
            format!("the agent asks for an approval: {command}")
        }
        Progress::Asked { id, kind, text, .. } => asked(id, kind, text),
        Progress::Waiting { id, until, .. } => {
            format!("question {id} waits for an answer until {}", moment(until))
        }
        Progress::Taken { text, now, .. } => taken(text, *now),
        Progress::Steering { .. } => "telling the agent the message".to_owned(),
        Progress::Steered { .. } => "the agent has the message".to_owned(),
        Progress::Tokens { usage, .. } => format!(
            "{} tokens so far, {} of them received",
            usage.total_tokens, usage.output_tokens
        ),
        Progress::Decided {
            command,
            action,
            rule,
            ..
        } => format!(
            "the policy says {} (rule: {rule}): {}",
            action.as_str(),
            first_line(command)
        ),
        Progress::Replied { by, reply, .. } => format!("{by} replied: {}", first_line(reply)),
        Progress::Ignored { why, what } => format!("ignored {what}: {why}"),
        Progress::Ended { status, error, .. } => ended(*status, error.as_ref()),
        Progress::Recorded { status } => format!("done: {}", status.as_str()),
    }
}

fn continued(run: &str, is_in_session: bool) -> String {
    let how = if is_in_session {
        "in its agent's session"
    } else {
        "with a summary of it"
    };
    format!("goes on from {run}, {how}")
}

fn configured(configuration: &Configuration) -> String {
    let file = configuration.file.display();
    let values = configuration.values.iter();
    let values: Vec<String> = values
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    match &configuration.profile {
        Some(profile) => format!(
            "configured by {file}, profile {profile}: {}",
            values.join(", ")
        ),
        None => format!("configured by {file}: {}", values.join(", ")),
    }
}

fn begun(step: &Step) -> String {
    match step {
        Step::Worktree { path, .. } => format!("making the worktree {}", path.display()),
        Step::Session { session, .. } => format!("starting the agent in the session {session}"),
        Step::Program { .. } => "starting the agent".to_owned(),
        Step::EndAgent => "ending the agent".to_owned(),
        Step::Snapshot { .. } => "collecting the work".to_owned(),
        Step::Patch { .. } => "writing the diff".to_owned(),
        Step::RemoveSession => "removing the session".to_owned(),
        Step::RemoveWorktree => "removing the worktree".to_owned(),
        Step::RemoveBranch => "removing the branch".to_owned(),
    }
}

fn done(step: &Step) -> String {
    match step {
        Step::Worktree { path, branch, .. } => format!("worktree {} on {branch}", path.display()),
        Step::Session { session, .. } => format!("the session {session} is there"),
        Step::Program { .. } => "the agent's program runs".to_owned(),
        Step::EndAgent => "the agent has ended".to_owned(),
        Step::Snapshot {
            result_ref,
            result_commit: Some(_),
        } => format!("work kept as {result_ref}"),
        Step::Snapshot { .. } => "nothing has changed: no work is kept".to_owned(),
        Step::Patch { path } => format!("diff in {}", path.display()),
        Step::RemoveSession => "the session is removed".to_owned(),
        Step::RemoveWorktree => "the worktree is removed".to_owned(),
        Step::RemoveBranch => "the branch is removed".to_owned(),
    }
}

fn step_of_turn(item: &Item) -> String {
    match item {
        Item::Message { text } => format!("said: {}", first_line(text.trim())),
        item => item_line(item).unwrap_or_default(),
    }
}

fn asked(id: &str, kind: &str, text: &str) -> String {
    let what = match kind {
        "permission" => "an approval is wanted",
        "unclear" => "the agent's message is unclear",
        _ => "the agent asks",
    };
    format!("{what} ({id}): {}", first_line(text.trim()))
}

fn taken(text: &str, now: bool) -> String {
    let when = if now {
        "within the turn"
    } else {
        "when the turn ends"
    };
    format!(
        "a message for the agent, to be told {when}: {}",
        first_line(text.trim())
    )
}

fn ended(status: Status, error: Option<&Failure>) -> String {
    let status = status.as_str().replace('_', " ");
    match error {
        Some(error) => format!(
            "the turns are over: {status}, {}",
            first_line(&error.message)
        ),
        None => format!("the turns are over: {status}"),
    }
}

/// A time of the journal as people read it.
fn moment(at: &str) -> String {
    time::parse(at).map_or_else(|| at.to_owned(), |at| Look::of_stdout().clock(at))
}

/// A step of a turn; `None` for messages, the last of which the report has.
pub(in crate::cli) fn item_line(item: &Item) -> Option<String> {
    Some(match item {
        Item::Command {
            command,
            exit_code,
            outcome,
            ..
        } => {
            let how = match exit_code {
                Some(code) => format!("exit {code}"),
                None => outcome.clone(),
            };
            format!("ran {} ({how})", first_line(command))
        }
        Item::FileChange {
            paths,
            count,
            outcome,
        } => match paths.as_slice() {
            [path] => format!("changed {path} ({outcome})"),
            _ => format!("changed {count} files ({outcome})"),
        },
        Item::Tool { name, outcome } => format!("called {name} ({outcome})"),
        Item::Message { .. } => return None,
    })
}

/// The events of a journal, a line each. At a terminal each day has a heading, and the lines tell the time.
pub(in crate::cli) fn draw_log(entries: &[Entry], look: &Look) -> String {
    let (mut text, mut today) = (String::new(), String::new());
    for entry in entries {
        text += &log_line(entry, &mut today, look);
    }
    text
}

/// The same of one event, below the heading of its day unless that is `today`.
pub(in crate::cli) fn log_line(entry: &Entry, today: &mut String, look: &Look) -> String {
    let words = words_of(&in_words(&entry.progress));
    let Some(at) = time::parse(&entry.at) else {
        return format!("{} {words}\n", words_of(&entry.at));
    };
    if look.width.is_none() {
        return format!("{} {words}\n", look.moment(at));
    }
    let mut line = String::new();
    let day = look.day(at);
    if day != *today {
        line = look.paint(BOLD, &day) + "\n";
        *today = day;
    }
    let clock = look.paint(DIM, &look.clock(at));
    line + &format!(
        "{clock} {}\n",
        look.paint(of_event(&entry.progress), &words)
    )
}

/// The style of an event: what went wrong and what asks is to be seen among the others.
fn of_event(progress: &Progress) -> Style {
    match progress {
        Progress::StepFailed { .. } | Progress::TurnFailed { .. } => look::BAD,
        Progress::PermissionAsked { .. } | Progress::Asked { .. } | Progress::Waiting { .. } => {
            look::ASKS
        }
        Progress::Submitted { .. } | Progress::TurnEnded { .. } => look::MOVES,
        Progress::Recorded { status } => look::of_status(status.as_str()),
        _ => Style::new(),
    }
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ID: &str = "20261127-115000-fix-it-0001";

    /// One of each kind, and of each step.
    fn events() -> Vec<Value> {
        let item = |item: Value| {
            let mut event = json!({"event": "item", "turn": 1, "id": "1"});
            let fields = item.as_object().expect("an object").clone();
            event.as_object_mut().expect("an object").extend(fields);
            event
        };
        let mut events = vec![
            json!({"event": "queued", "position": 2}),
            json!({"event": "started", "run_id": ID, "task": "fix-it", "repository": "/r", "common_dir": "/r/.git",
                "base_commit": "ab", "boot_id": "b", "operator_pid": 1, "agent_version": "1", "names": null, "schema_version": 1}),
            json!({"event": "continues", "run_id": ID, "session": null}),
            json!({"event": "configured", "file": "/c.toml", "profile": "fast", "values": {"model": "m", "sandbox": "read-only"}}),
            json!({"event": "notified", "of": "waiting", "question": "1-1"}),
            json!({"event": "taken_over", "boot_id": "b", "operator_pid": 2, "follows": true}),
            json!({"event": "taken_over", "boot_id": "b", "operator_pid": 2}),
            json!({"event": "launched", "pid": 3, "pid_start": 4, "directory": "/w", "argv": ["codex"], "drive": "keys"}),
            json!({"event": "connected", "session_id": "s", "transcript": null, "directory": "/w"}),
            json!({"event": "notice", "text": "it is late"}),
            json!({"event": "key_pressed", "key": "Enter", "on": "composer"}),
            json!({"event": "pasted", "turn": 1, "bytes": 120}),
            json!({"event": "submitted", "turn": 1, "session_id": "s", "turn_id": "t"}),
            json!({"event": "witnessed", "turn": 1, "turn_id": "t"}),
            item(
                json!({"kind": "command", "command": "cargo test\nmore", "exit_code": 0, "outcome": "completed"}),
            ),
            item(
                json!({"kind": "file_change", "paths": ["a.rs"], "count": 1, "outcome": "completed"}),
            ),
            item(json!({"kind": "tool", "name": "files/read", "outcome": "completed"})),
            item(json!({"kind": "message", "text": "I begin.\nThen more."})),
            json!({"event": "turn_ended", "turn": 1, "verdict": "question", "rule": "asks", "message": "Tabs?"}),
            json!({"event": "turn_failed", "turn": 1, "message": "500"}),
            json!({"event": "permission_asked", "turn": 1, "command": "make"}),
            json!({"event": "asked", "turn": 1, "id": "1-1", "kind": "permission", "text": "make"}),
            json!({"event": "asked", "turn": 1, "id": "1-2", "kind": "question", "text": "Tabs?"}),
            json!({"event": "waiting", "turn": 1, "id": "1-1", "until": "soon"}),
            json!({"event": "taken", "turn": 1, "id": "m", "text": "Hurry.", "now": true}),
            json!({"event": "steering", "turn": 1, "id": "m"}),
            json!({"event": "steered", "turn": 1, "id": "m"}),
            json!({"event": "tokens", "turn": 1, "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}}),
            json!({"event": "decided", "turn": 1, "id": "h", "tool": "shell", "command": "make", "action": "deny", "rule": "no-make"}),
            json!({"event": "replied", "turn": 1, "by": "person", "question": "Tabs?", "reply": "Tabs."}),
            json!({"event": "ignored", "why": "the run is over", "what": "a stop"}),
            json!({"event": "ended", "status": "needs_input", "error": null, "pending": null, "last_message": null}),
            json!({"event": "ended", "status": "agent_failed", "error": {"code": "c", "message": "it broke"}, "pending": null, "last_message": null}),
            json!({"event": "recorded", "status": "completed"}),
        ];
        for step in [
            json!({"step": "worktree", "path": "/tmp/cx-fix-it", "branch": "cx-fix-it", "base_commit": "ab"}),
            json!({"step": "session", "socket": "/s", "session": "cx-fix-it"}),
            json!({"step": "program", "stream": "/s"}),
            json!({"step": "end_agent"}),
            json!({"step": "snapshot", "result_ref": "refs/cx-operator/1", "result_commit": "ab"}),
            json!({"step": "snapshot", "result_ref": "refs/cx-operator/1"}),
            json!({"step": "patch", "path": "/d"}),
            json!({"step": "remove_session"}),
            json!({"step": "remove_worktree"}),
            json!({"step": "remove_branch"}),
        ] {
            for event in ["begun", "done", "step_failed"] {
                let mut step = step.clone();
                step["event"] = json!(event);
                step["message"] = json!("it did not work");
                events.push(step);
            }
        }
        events
    }

    /// Of each kind that the schema of the journal has there is one here, and its words are of a person's.
    #[test]
    fn each_event_has_words() {
        let mut words = String::new();
        let mut kinds = std::collections::BTreeSet::new();
        for event in events() {
            let progress: Progress = serde_json::from_value(event.clone()).expect("an event");
            kinds.insert(event["event"].as_str().expect("a name").to_owned());
            let line = words_of(&in_words(&progress));
            assert!(
                !line.is_empty() && !line.contains("_id") && !line.contains('='),
                "{line}"
            );
            words += &format!("{line}\n");
        }
        let schema = serde_json::to_value(schemars::schema_for!(Progress)).expect("a schema");
        let all = schema["oneOf"].as_array().expect("the kinds");
        let all = all.iter().map(|kind| &kind["properties"]["event"]["const"]);
        let all: std::collections::BTreeSet<_> =
            all.filter_map(Value::as_str).map(str::to_owned).collect();
        assert_eq!(kinds, all);
        insta::assert_snapshot!("log-words", words);
    }

    #[test]
    fn the_log_at_a_terminal_and_on_a_pipe() {
        use crate::cli::look::tests::look;
        let entries: Vec<Entry> = events()
            .into_iter()
            .take(20)
            .enumerate()
            .map(|(at, mut event)| {
                event["at"] = json!(format!("2026-11-{}T11:50:{at:02}.000Z", 26 + at / 10));
                serde_json::from_value(event).expect("an entry")
            })
            .collect();
        insta::assert_snapshot!("log-pipe", draw_log(&entries, &look(None, false)));
        insta::assert_snapshot!("log-terminal", draw_log(&entries, &look(Some(80), false)));
        let coloured = draw_log(&entries, &look(Some(80), true));
        insta::assert_snapshot!("log-terminal-colours", coloured.replace('\u{1b}', "␛"));
    }
}
