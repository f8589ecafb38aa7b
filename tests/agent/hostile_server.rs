//! A server that does not speak as codex's does: the client tells it, or passes over it, and ends in time.

mod fake;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cx_operator::agent::conversation::{Conversation, NoConversation, Told};
use cx_operator::agent::report::Line;
use cx_operator::agent::signals::Decision;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio_tungstenite::tungstenite::Message;

use fake::{Act, Heard, LIMIT, Server, Stream, answer_of, answered, converse, tell, text};

/// A message larger than the client takes.
const HUGE: usize = 65 << 20;

/// A server that is right until a prompt comes, and then says that before a turn.
fn saying(before: Vec<Message>) -> Server {
    Server::start(move |request, dir| {
        let mut messages = answered(request, dir);
        if request["method"] == "turn/start" {
            messages.extend(before.clone());
            messages.extend(a_turn());
        }
        Act::Say(messages)
    })
}

fn a_turn() -> Vec<Message> {
    vec![
        tell(
            "turn/started",
            json!({"threadId": "T", "turn": turn("inProgress")}),
        ),
        tell(
            "item/completed",
            json!({"threadId": "T", "turnId": "U", "item": said("All is well.")}),
        ),
        tell(
            "turn/completed",
            json!({"threadId": "T", "turn": turn("completed")}),
        ),
    ]
}

fn turn(status: &str) -> Value {
    json!({"id": "U", "status": status, "items": [], "error": null})
}

fn said(words: &str) -> Value {
    json!({"type": "agentMessage", "id": "i", "text": words, "phase": null})
}

/// What the client tells from a prompt to the end of the turn or of the connection.
async fn told_of(conversation: &mut dyn Conversation) -> Vec<Told> {
    conversation.submit("run-1", "Do it.");
    let listen = async {
        let mut all = Vec::new();
        loop {
            let told = conversation.next().await;
            let ends = matches!(
                told,
                Told::Closed | Told::Line(Line::TurnCompleted { .. } | Line::TurnFailed { .. })
            );
            all.push(told);
            if ends {
                return all;
            }
        }
    };
    tokio::time::timeout(LIMIT, listen)
        .await
        .expect("an end in time")
}

/// The end of a turn, and all that was told but for its usual course.
async fn play(before: Vec<Message>) -> (Option<Told>, Vec<Told>) {
    let server = saying(before);
    let mut conversation = server.converse().await.expect("it begins");
    let mut told = told_of(&mut *conversation).await;
    let end = told.pop();
    let usual = |told: &Told| {
        matches!(
            told,
            Told::Submitted { .. } | Told::Item { .. } | Told::Line(_)
        )
    };
    told.retain(|told| !usual(told));
    (end, told)
}

fn well() -> Option<Told> {
    Some(Told::Line(Line::TurnCompleted {
        turn_id: "U".to_owned(),
        message: "All is well.".to_owned(),
    }))
}

fn notices(told: &[Told]) -> Vec<&str> {
    let texts = told.iter().map(|told| match told {
        Told::Notice(text) => text.as_str(),
        other => panic!("{other:?}"),
    });
    texts.collect()
}

#[tokio::test]
async fn what_is_no_message_is_told_and_passed_over() {
    let long = format!("\u{1f642}{}", "x".repeat(1 << 20));
    let garbage = ["", "null", "[]", "{}", "{\"id\":", "\u{0}", &long];
    let mut before: Vec<Message> = garbage.map(Message::text).into();
    let deep = "[".repeat(100_000);
    before.extend([
        Message::text(deep),
        Message::binary(vec![0xff; 1000]),
        Message::Ping(vec![1, 2].into()),
        Message::Pong(vec![].into()),
    ]);
    let (end, told) = play(before).await;
    assert_eq!(end, well());
    let notices = notices(&told);
    assert_eq!(notices.len(), garbage.len() + 2, "{notices:?}");
    assert!(notices.iter().all(|text| text.len() < 1000), "{notices:?}");
}

#[tokio::test]
async fn much_of_it_fills_nothing() {
    let (end, told) = play(vec![Message::text("no"); 20_000]).await;
    assert_eq!(end, well());
    assert!((1..=20).contains(&told.len()), "{}", told.len());
}

#[tokio::test]
async fn unknown_messages_of_the_protocol_are_passed_over() {
    let (end, told) = play(vec![
        tell("thread/dreamt", json!({"threadId": "T", "of": [1, 2]})),
        tell("", json!(null)),
        text(json!({"id": 4_000_000, "result": {"turn": {"id": "V"}}})),
        text(json!({"id": 4_000_001, "error": {"code": -1, "message": "no"}})),
        text(json!({"id": 1, "result": {}})),
        text(json!({"method": "turn/completed"})),
    ])
    .await;
    assert_eq!((end, told), (well(), Vec::new()));
}

#[tokio::test]
async fn what_other_threads_do_is_passed_over() {
    let mut before = Vec::new();
    for params in [
        json!({"threadId": "S", "turn": turn("completed")}),
        json!({"threadId": null, "turn": turn("failed")}),
        json!({"threadId": ["T"], "turn": turn("completed")}),
        json!({"turn": turn("interrupted")}),
    ] {
        before.extend([
            tell("turn/started", params.clone()),
            tell("turn/completed", params),
        ]);
    }
    let item = json!({"threadId": "S", "turnId": "U", "item": said("No.")});
    before.push(tell("item/completed", item));
    assert_eq!(play(before).await, (well(), Vec::new()));
}

#[tokio::test]
async fn what_comes_out_of_order_does_no_harm() {
    let item =
        json!({"type": "commandExecution", "id": "c", "command": "ls", "status": "completed"});
    let of = |item: &Value| json!({"threadId": "T", "turnId": "X", "item": item});
    let (end, told) = play(vec![
        tell("item/completed", of(&item)),
        tell("item/completed", of(&item)),
        tell(
            "serverRequest/resolved",
            json!({"threadId": "T", "requestId": 77}),
        ),
        tell("item/started", of(&item)),
        tell("item/started", of(&said("Not yet."))),
    ])
    .await;
    assert_eq!((end, told), (well(), Vec::new()));
}

#[tokio::test]
async fn requests_of_an_unknown_kind_are_refused_with_their_own_ids() {
    let ids = [
        json!(0),
        json!("r-1"),
        json!(null),
        json!({"a": 1}),
        json!(-3.5),
    ];
    let asked = |id: &Value, method: &str| {
        text(json!({"id": id, "method": method, "params": {"threadId": "T"}}))
    };
    let mut before: Vec<Message> = ids.iter().map(|id| asked(id, "account/dance")).collect();
    // Of a known kind, without what is asked.
    before.push(asked(&json!(8), "item/tool/requestUserInput"));
    before.push(asked(&json!(9), "item/commandExecution/requestApproval"));
    let server = saying(before);
    let mut conversation = server.converse().await.expect("it begins");
    let told = told_of(&mut *conversation).await;
    assert_eq!(told.last().cloned(), well());
    // The answers are in order: this one comes last.
    let _interrupted = conversation.interrupt().await;
    let heard = server.heard();
    let refused = heard
        .iter()
        .filter(|message| message["error"]["code"] == -32601);
    let refused: Vec<Value> = refused.map(|message| message["id"].clone()).collect();
    assert_eq!(refused, [&ids[..], &[json!(8), json!(9)]].concat());
}

#[tokio::test]
async fn an_error_for_each_call_is_told() {
    for (failing, error) in [
        (
            "initialize",
            json!({"code": -32600, "message": "no, thanks"}),
        ),
        (
            "thread/start",
            json!({"code": -32600, "message": "no, thanks"}),
        ),
        ("thread/start", json!("no, thanks")),
        ("thread/start", json!({"message": ["no, thanks"]})),
    ] {
        let server = failing_at(failing, error.clone());
        let Err(NoConversation::Unusable(why)) = server.converse().await else {
            panic!("{failing} fails");
        };
        assert!(why.contains("no, thanks"), "{why}");
    }
    let server = failing_at("turn/start", json!({"message": "too large"}));
    let mut conversation = server.converse().await.expect("it begins");
    conversation.submit("run-1", "Do it.");
    let message = "too large".to_owned();
    assert_eq!(conversation.next().await, Told::Refused { message });
    let server = failing_at("thread/name/set", json!({"message": "taken"}));
    let mut conversation = server.converse().await.expect("it begins");
    assert!(matches!(conversation.next().await, Told::Notice(text) if text.contains("taken")));
    for failing in ["turn/interrupt", "thread/backgroundTerminals/clean"] {
        let server = failing_at(failing, json!({"message": "x".repeat(1 << 20)}));
        let mut conversation = server.converse().await.expect("it begins");
        conversation.submit("run-1", "Do it.");
        conversation.next().await;
        match conversation.interrupt().await {
            Ok(()) => assert_eq!(failing, "turn/interrupt"),
            Err(lost) => assert!(lost.0.len() < 5000, "{failing}: {}", lost.0.len()),
        }
    }
}

fn failing_at(method: &'static str, error: Value) -> Server {
    Server::start(move |request, dir| {
        Act::Say(if request["method"] == method {
            vec![text(json!({"id": request["id"], "error": error}))]
        } else {
            answered(request, dir)
        })
    })
}

#[tokio::test]
async fn an_answer_with_anything_missing_or_null_begins_nothing_or_works() {
    let request =
        json!({"id": 1, "method": "thread/start", "params": {"approvalPolicy": "on-request"}});
    let whole = answer_of(&request, Path::new("/")).expect("an answer");
    let paths = [
        "/thread",
        "/thread/id",
        "/thread/path",
        "/thread/cliVersion",
        "/thread/turns",
    ];
    for path in paths
        .into_iter()
        .chain(["", "/cwd", "/approvalPolicy", "/sandbox"])
    {
        for removed in [Some(json!(null)), Some(json!([1])), None] {
            let server = Server::start(move |request, dir| {
                let Some(mut answer) = answer_of(request, dir) else {
                    return Act::Say(Vec::new());
                };
                if request["method"] == "thread/start" {
                    damage(&mut answer, path, removed.clone());
                }
                Act::Say(vec![text(json!({"id": request["id"], "result": answer}))])
            });
            let begun = server.converse().await;
            let needed = !matches!(
                path,
                "/thread/path" | "/thread/cliVersion" | "/thread/turns"
            );
            assert!(begun.is_err() || !needed, "{path} of {whole}");
        }
    }
}

/// Sets a member to another value, or removes it.
fn damage(message: &mut Value, path: &str, to: Option<Value>) {
    let Some((parent, name)) = path.rsplit_once('/') else {
        *message = to.unwrap_or_default();
        return;
    };
    let parent = message.pointer_mut(parent).expect("it is there");
    let parent = parent.as_object_mut().expect("an object");
    match to {
        Some(value) => parent.insert(name.to_owned(), value),
        None => parent.remove(name),
    };
}

#[tokio::test]
async fn null_for_a_list_is_an_empty_one() {
    let command = json!({
        "type": "commandExecution", "id": "c", "command": "ls", "status": "completed", "commandActions": null,
        "changes": null, "receiverThreadIds": null, "exitCode": 0, "durationMs": 1,
    });
    let mut end = turn("completed");
    end["items"] = json!(null);
    let server = saying(vec![
        tell(
            "item/completed",
            json!({"threadId": "T", "turnId": "U", "item": command}),
        ),
        tell("turn/completed", json!({"threadId": "T", "turn": end})),
    ]);
    let mut conversation = server.converse().await.expect("it begins");
    let told = told_of(&mut *conversation).await;
    assert!(
        told.iter().any(|told| matches!(told, Told::Item { .. })),
        "{told:?}"
    );
    let message = String::new();
    let turn_id = "U".to_owned();
    let end = Told::Line(Line::TurnCompleted { turn_id, message });
    assert_eq!(told.last(), Some(&end), "{told:?}");
}

#[tokio::test]
async fn an_end_of_an_unknown_kind_is_no_success() {
    for status in ["vanished", "inProgress"] {
        let params = json!({"threadId": "T", "turn": turn(status)});
        let (end, told) = play(vec![tell("turn/completed", params)]).await;
        assert!(
            matches!(end, Some(Told::Line(Line::TurnFailed { .. }))),
            "{end:?}"
        );
        assert_eq!(told, []);
    }
}

#[tokio::test]
async fn a_huge_message_ends_the_connection_with_a_word() {
    let (end, told) = play(vec![Message::text("x".repeat(HUGE))]).await;
    assert_eq!(end, Some(Told::Closed));
    let notices = notices(&told);
    assert!(
        notices.len() == 1 && notices[0].contains("too long"),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_closed_connection_stays_closed() {
    let server = Server::start(|request, dir| match request["method"].as_str() {
        Some("turn/start") => Act::Close,
        _ => Act::Say(answered(request, dir)),
    });
    let mut conversation = server.converse().await.expect("it begins");
    assert_eq!(told_of(&mut *conversation).await, [Told::Closed]);
    assert_eq!(conversation.next().await, Told::Closed);
    conversation.submit("run-2", "Once more.");
    conversation.decide("0", &Decision::Allow);
    assert_eq!(conversation.next().await, Told::Closed);
    let interrupted = tokio::time::timeout(Duration::from_secs(2), conversation.interrupt()).await;
    assert!(interrupted.expect("at once").is_err());
}

#[tokio::test]
async fn a_connection_that_closes_at_once_does_not_begin() {
    for method in ["initialize", "thread/start"] {
        let server = Server::start(move |request, dir| {
            if request["method"] == method {
                Act::Close
            } else {
                Act::Say(answered(request, dir))
            }
        });
        let begun = tokio::time::timeout(Duration::from_secs(5), server.converse()).await;
        let Err(NoConversation::Unusable(why)) = begun.expect("at once") else {
            panic!("it closes at {method}");
        };
        assert!(why.contains("closed") && why.contains(method), "{why}");
    }
    // Another protocol.
    let dir = tempfile::tempdir().expect("a directory");
    let listener = UnixListener::bind(dir.path().join("s")).expect("a socket");
    let answering = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let _written = stream.writable().await;
        let _written = stream.try_write(b"220 mail.example ESMTP\r\n");
    });
    let begun = converse(dir.path()).await;
    assert!(
        matches!(begun, Err(NoConversation::Unusable(_))),
        "{begun:?}"
    );
    answering.await.expect("it answered");
}

/// Whoever asks limits the time.
#[tokio::test]
async fn a_connection_that_is_never_answered_can_be_given_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = std::os::unix::net::UnixListener::bind(dir.path().join("s")).expect("a socket");
    let waiting = tokio::time::timeout(Duration::from_millis(300), converse(dir.path()));
    assert!(waiting.await.is_err());
    drop(listener);
    // It greets and then says nothing.
    let server = Server::start(|request, dir| match request["method"].as_str() {
        Some("initialize") => Act::Say(answered(request, dir)),
        _ => Act::Say(Vec::new()),
    });
    let waiting = tokio::time::timeout(Duration::from_millis(300), server.converse());
    assert!(waiting.await.is_err());
}

/// A server that asks and asks and reads no answer is given up.
#[tokio::test]
async fn a_server_that_reads_nothing_is_given_up() {
    let server = Server::start(|request, dir| match request["method"].as_str() {
        Some("turn/start") => Act::Deafly(200_000),
        _ => Act::Say(answered(request, dir)),
    });
    let mut conversation = server.converse().await.expect("it begins");
    let told = told_of(&mut *conversation).await;
    assert_eq!(told.last(), Some(&Told::Closed));
    assert!(told.len() <= 21, "{}", told.len());
}

/// Nobody takes what the server says: it waits, and the client does not grow.
#[tokio::test]
async fn a_server_that_says_too_much_has_to_wait() {
    let part = "x".repeat(1 << 20);
    let said = Arc::new(Mutex::new(0));
    let count = Arc::clone(&said);
    let server = Server::accepting(async move |mut stream: Stream, dir: PathBuf, _: Heard| {
        while let Some(Ok(message)) = stream.next().await {
            let request: Value = serde_json::from_str(&message.to_string()).unwrap_or_default();
            for answer in answered(&request, &dir) {
                stream.send(answer).await.expect("it is read");
            }
            if request["method"] == "thread/name/set" {
                for _ in 0..90 {
                    let told = tell("x", json!({"threadId": "S", "text": part}));
                    stream.send(told).await.expect("it is read");
                    *count.lock().expect("not poisoned") += 1;
                }
                for told in a_turn() {
                    stream.send(told).await.expect("it is read");
                }
            }
        }
    });
    let mut conversation = server.converse().await.expect("it begins");
    let sent = || *said.lock().expect("not poisoned");
    let mut last = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if sent() == last && last > 0 {
            break;
        }
        last = sent();
    }
    assert!((60..80).contains(&last), "{last}");
    // Once it is taken, all of it comes.
    let told = told_of(&mut *conversation).await;
    assert_eq!(told.last().cloned(), well());
    assert_eq!(sent(), 90);
}
