//! The sources on real files.

use std::io::Write;

use super::super::*;
use super::*;
use crate::agent::ExecutorId;

const TOKENS: &str = r#"{"type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}}}"#;
const ABORTED: &str =
    r#"{"type":"event_msg","payload":{"type":"turn_aborted","turn_id":"t","reason":"r"}}"#;

fn aborted() -> Vec<Event> {
    vec![Event::TurnAborted {
        turn_id: Some("t".to_owned()),
        reason: "r".to_owned(),
    }]
}

fn transcript() -> (tempfile::NamedTempFile, Transcript) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let transcript = Transcript::new(file.path().to_owned(), ExecutorId::default());
    (file, transcript)
}

#[test]
fn a_line_is_read_when_it_is_whole() {
    let (mut file, mut transcript) = transcript();
    let (start, end) = ABORTED.split_at(20);
    write!(file, "{TOKENS}\n{start}").expect("written");
    assert_eq!(transcript.read(), []);
    assert_eq!(transcript.usage().map(|usage| usage.total_tokens), Some(3));
    writeln!(file, "{end}").expect("written");
    assert_eq!(transcript.read(), aborted());
    assert_eq!(transcript.read(), []);
}

#[test]
fn the_transcript_tells_of_a_turn_and_of_its_own_loss() {
    let (mut file, mut transcript) = transcript();
    let session = "019a0000-0000-7000-8000-000000000000";
    let meta = format!(r#"{{"type":"session_meta","payload":{{"id":"{session}"}}}}"#);
    let began = r#"{"type":"event_msg","payload":{"type":"task_started","turn_id":"t"}}"#;
    let completed = r#"{"type":"event_msg","payload":{"type":"task_complete","turn_id":"t","last_agent_message":"Done."}}"#;
    writeln!(file, "{meta}\n{began}\n{completed}\n{began}").expect("written");
    let turn_id = || "t".to_owned();
    let began = Event::TurnBegan { turn_id: turn_id() };
    let stop = Event::TurnStopped {
        session: session.to_owned(),
        turn_id: Some(turn_id()),
        message: Some("Done.".to_owned()),
        evidence: Evidence::default(),
    };
    assert_eq!(transcript.read(), [began.clone(), stop, began]);
    drop(file);
    assert_eq!(transcript.read(), [Event::TranscriptLost]);
    assert_eq!(transcript.read(), []);
}

#[test]
fn an_approval_is_decided_when_its_last_call_has_returned() {
    let (mut file, mut transcript) = transcript();
    let call = |id: &str| {
        format!(
            r#"{{"type":"response_item","payload":{{"type":"function_call","call_id":"{id}","name":"exec_command","arguments":"{{\"cmd\":\"touch x\"}}"}}}}"#
        )
    };
    let returned = |id: &str| {
        format!(
            r#"{{"type":"response_item","payload":{{"type":"function_call_output","call_id":"{id}","output":"ok"}}}}"#
        )
    };
    for (line, decided) in [
        (call("1"), false),
        (returned("1"), true),
        (call("2"), false),
        (returned("2"), true),
    ] {
        writeln!(file, "{line}").expect("written");
        assert_eq!(transcript.read(), []);
        assert_eq!(transcript.is_decided("touch x"), decided, "{line}");
        assert!(!transcript.is_decided("touch y"));
    }
}

#[test]
fn the_events_of_a_sub_agent_move_no_transcript() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut signals = Signals::new(dir.path().to_owned(), ExecutorId::default());
    let session = "019a0000-0000-7000-8000-000000000000";
    let lines = [
        ("prompt", "/own", ""),
        ("permission", "/child", r#","agent_id":"a""#),
        ("stop", "/child", r#","agent_id":"a""#),
        // An older codex names no agent.
        ("permission", "/child", ""),
    ];
    for (at, (kind, path, agent)) in lines.into_iter().enumerate() {
        let payload = format!(r#"{{"session_id":"{session}","transcript_path":"{path}"{agent}}}"#);
        let name = format!("{kind}-{session}-{at:020}-1.json");
        fs::write(dir.path().join(name), payload).expect("a signal");
    }
    let events = signals.read();
    assert!(matches!(&events[1], Event::PermissionAsked { .. }));
    assert!(matches!(&events[2], Event::SubAgent { agent, .. } if agent == "a"));
    assert_eq!(signals.transcript_of(session), Some(Path::new("/own")));
}

#[test]
fn a_line_without_end_takes_no_more_than_its_limit() {
    let (mut file, mut transcript) = transcript();
    let length = 3 * LINE_LIMIT as u64 + 5;
    file.as_file().set_len(length).expect("a long line");
    file.seek(SeekFrom::End(0)).expect("its end");
    assert_eq!(transcript.read(), []);
    assert!(transcript.skipping && transcript.partial.len() == 5);
    assert!(transcript.partial.capacity() <= 2 * LINE_LIMIT);
    // The rest of a skipped line is not a line of its own.
    writeln!(file, "{ABORTED}").expect("written");
    assert_eq!(transcript.read(), []);
    writeln!(file, "{ABORTED}").expect("written");
    assert_eq!(transcript.read(), aborted());
}

#[test]
fn what_is_truncated_is_read_anew() {
    let (mut file, mut transcript) = transcript();
    write!(file, "{TOKENS}\n{TOKENS}").expect("written");
    assert_eq!(transcript.read(), []);
    file.as_file().set_len(0).expect("truncated");
    file.rewind().expect("its start");
    writeln!(file, "{ABORTED}").expect("written");
    assert_eq!(transcript.read(), aborted());
}

#[test]
fn a_refused_prompt_is_past_once_a_turn_begins() {
    let mut transcript = Transcript::new("/t".into(), ExecutorId::default());
    let mut events = Vec::new();
    let reason = "no tickets".to_owned();
    transcript.take(Line::Refused { reason }, &mut events);
    assert_eq!(transcript.blocked(), Some("no tickets"));
    let turn_id = "2".to_owned();
    transcript.take(Line::TurnStarted { turn_id }, &mut events);
    assert_eq!(transcript.blocked(), None);
}
