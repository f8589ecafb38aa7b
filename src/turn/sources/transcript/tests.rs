//! The sources on real files.

use std::io::Write;

use super::super::*;
use super::*;

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
    let transcript = Transcript::new(file.path().to_owned());
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
fn a_stop_that_the_hook_has_not_told_is_told_by_the_transcript() {
    let (mut file, mut transcript) = transcript();
    let dir = tempfile::tempdir().expect("a directory");
    let mut signals = Signals::new(dir.path().to_owned());
    let session = "019a0000-0000-7000-8000-000000000000";
    let meta = format!(r#"{{"type":"session_meta","payload":{{"id":"{session}"}}}}"#);
    let completed = r#"{"type":"event_msg","payload":{"type":"task_complete","turn_id":"t","last_agent_message":"Done."}}"#;
    writeln!(file, "{meta}\n{completed}").expect("written");
    let stop = Event::TurnStopped {
        session: session.to_owned(),
        turn_id: Some("t".to_owned()),
        message: Some("Done.".to_owned()),
        evidence: Evidence::default(),
    };
    let events = transcript.read();
    let mut notices = Vec::new();
    let untold = signals.untold(events.clone(), &mut notices);
    assert_eq!(untold, std::slice::from_ref(&stop));
    assert_eq!(notices.len(), 1);
    let payload = format!(
        r#"{{"session_id":"{session}","turn_id":"t","hook_event_name":"Stop","last_assistant_message":"Done."}}"#
    );
    let name = format!("stop-{session}-{:020}-1.json", 1);
    fs::write(dir.path().join(name), payload).expect("a signal");
    assert_eq!(signals.read(), [stop]);
    assert_eq!(signals.untold(events, &mut notices), []);
    assert_eq!(notices.len(), 1);
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
    // The end of what is passed over is no line of its own.
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
