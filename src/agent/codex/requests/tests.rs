//! What a server may say, and what it may not: every message is taken, and only those of the thread count.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

use super::link::{Incoming, understand};
use super::told::Teller;
use super::words::Turn;
use crate::agent::conversation::Told;
use crate::agent::report::{Item, Line};

/// Names that mean something to the reader, in methods and in members.
const METHODS: [&str; 15] = [
    "turn/started",
    "turn/completed",
    "item/started",
    "item/completed",
    "thread/tokenUsage/updated",
    "hook/completed",
    "error",
    "serverRequest/resolved",
    "item/commandExecution/requestApproval",
    "item/fileChange/requestApproval",
    "item/permissions/requestApproval",
    "mcpServer/elicitation/request",
    "item/tool/requestUserInput",
    "thread/closed",
    "",
];
const MEMBERS: [&str; 24] = [
    "id",
    "method",
    "params",
    "result",
    "error",
    "threadId",
    "turnId",
    "turn",
    "item",
    "status",
    "items",
    "type",
    "text",
    "command",
    "commandActions",
    "changes",
    "exitCode",
    "content",
    "questions",
    "options",
    "tokenUsage",
    "run",
    "entries",
    "message",
];
const WORDS: [&str; 12] = [
    "T",
    "S",
    "completed",
    "failed",
    "inProgress",
    "agentMessage",
    "commandExecution",
    "fileChange",
    "userMessage",
    "collabAgentToolCall",
    "spawnAgent",
    "form",
];

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(&WORDS[..]).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(Value::from("🙂".repeat(Item::LIMIT))),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        let name = prop_oneof![select(&MEMBERS[..]).prop_map(str::to_owned), ".{0,5}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((name, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Messages as the server sends them.
fn whole() -> Vec<(&'static str, Value)> {
    let turn = |status: &str| {
        let said =
            json!({"type": "agentMessage", "id": "m", "text": "Done.", "phase": "final_answer"});
        json!({"id": "U", "status": status, "error": {"message": "no", "codexErrorInfo": "other"}, "items": [said]})
    };
    let of_turn = |status| json!({"threadId": "T", "turn": turn(status)});
    let of_item = |item: Value| json!({"threadId": "T", "turnId": "U", "item": item});
    let command = json!({
        "type": "commandExecution", "id": "c", "command": "/bin/bash -lc 'ls'", "status": "completed", "exitCode": 0,
        "commandActions": [{"type": "unknown", "command": "ls"}], "durationMs": 5, "aggregatedOutput": "a",
    });
    let change = json!({"type": "fileChange", "id": "f", "status": "completed", "changes": [{"path": "a", "diff": ""}]});
    let user = json!({"type": "userMessage", "id": "u", "clientId": "r-1", "content": [{"type": "text", "text": "Go."}]});
    let agent = json!({"type": "collabAgentToolCall", "id": "a", "tool": "spawnAgent", "receiverThreadIds": ["V"]});
    let tool =
        json!({"type": "mcpToolCall", "id": "t", "server": "s", "tool": "x", "status": "failed"});
    let count =
        json!({"inputTokens": 1, "outputTokens": 2, "totalTokens": 3, "cachedInputTokens": 0});
    let hook =
        json!({"eventName": "userPromptSubmit", "status": "blocked", "entries": [{"text": "no"}]});
    let question =
        json!({"id": "q", "question": "Tabs?", "options": [{"label": "Yes", "description": ""}]});
    vec![
        ("turn/started", of_turn("inProgress")),
        ("turn/completed", of_turn("completed")),
        ("turn/completed", of_turn("failed")),
        ("turn/completed", of_turn("interrupted")),
        ("item/started", of_item(command.clone())),
        ("item/completed", of_item(command)),
        ("item/started", of_item(change.clone())),
        ("item/completed", of_item(change)),
        ("item/completed", of_item(user)),
        ("item/completed", of_item(agent)),
        ("item/completed", of_item(tool)),
        (
            "thread/tokenUsage/updated",
            json!({"threadId": "T", "tokenUsage": {"total": count}}),
        ),
        ("hook/completed", json!({"threadId": "T", "run": hook})),
        (
            "error",
            json!({"threadId": "T", "willRetry": true, "error": {"message": "again"}}),
        ),
        (
            "serverRequest/resolved",
            json!({"threadId": "T", "requestId": 3}),
        ),
        (
            "item/commandExecution/requestApproval",
            json!({"threadId": "T", "itemId": "c", "reason": null, "command": "ls", "commandActions": null}),
        ),
        (
            "item/fileChange/requestApproval",
            json!({"threadId": "T", "itemId": "f"}),
        ),
        (
            "item/permissions/requestApproval",
            json!({"permissions": {"network": true}, "reason": "r"}),
        ),
        (
            "mcpServer/elicitation/request",
            json!({"serverName": "s", "mode": "form", "message": "m", "requestedSchema": {"properties": {}}}),
        ),
        (
            "item/tool/requestUserInput",
            json!({"itemId": "i", "questions": [question]}),
        ),
    ]
}

/// Replaces one of the values inside, or removes it.
fn damage(value: &mut Value, at: Index, to: Option<Value>) {
    fn places(value: &Value, path: &mut Vec<String>, all: &mut Vec<Vec<String>>) {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(object) => object
                .iter()
                .map(|(name, value)| (name.clone(), value))
                .collect(),
            Value::Array(array) => array
                .iter()
                .enumerate()
                .map(|(at, value)| (at.to_string(), value))
                .collect(),
            _ => return,
        };
        for (name, member) in members {
            path.push(name);
            all.push(path.clone());
            places(member, path, all);
            path.pop();
        }
    }
    let mut all = Vec::new();
    places(value, &mut Vec::new(), &mut all);
    let Some(path) = (!all.is_empty()).then(|| at.get(&all)) else {
        return;
    };
    let (name, parents) = path.split_last().expect("no place is empty");
    let parent = parents.iter().try_fold(value, |value, name| match value {
        Value::Array(array) => array.get_mut(name.parse::<usize>().ok()?),
        value => value.get_mut(name),
    });
    match (parent, to) {
        (Some(Value::Object(object)), Some(to)) => drop(object.insert(name.clone(), to)),
        (Some(Value::Object(object)), None) => drop(object.remove(name)),
        (Some(Value::Array(array)), to) => {
            array[name.parse::<usize>().expect("an index")] = to.unwrap_or_default()
        }
        _ => {}
    }
}

/// A message that is nearly right, or not at all.
fn message() -> impl Strategy<Value = (String, Value)> {
    let damages =
        proptest::collection::vec((any::<Index>(), proptest::option::of(any_json())), 0..4);
    let near = (select(whole()), damages).prop_map(|((method, mut params), damages)| {
        for (at, to) in damages {
            damage(&mut params, at, to);
        }
        (method.to_owned(), params)
    });
    let any =
        (select(&METHODS[..]), any_json(), any::<bool>()).prop_map(|(method, mut params, ours)| {
            if let (true, Value::Object(object)) = (ours, &mut params) {
                object.insert("threadId".to_owned(), json!("T"));
            }
            (method.to_owned(), params)
        });
    prop_oneof![3 => near, 2 => any]
}

fn ends(told: &Told) -> bool {
    matches!(
        told,
        Told::Line(Line::TurnCompleted { .. } | Line::TurnFailed { .. } | Line::TurnAborted { .. })
    )
}

/// The texts of a step are short, whatever the server sends.
fn check_size(told: &Told) {
    let limit = Item::LIMIT + '…'.len_utf8();
    match told {
        Told::Item { item, .. } => {
            let texts: Vec<&String> = match item {
                Item::Message { text } => vec![text],
                Item::Command { command, .. } => vec![command],
                Item::FileChange { paths, .. } => {
                    assert!(paths.len() <= Item::PATHS);
                    paths.iter().collect()
                }
                Item::Tool { name, .. } => vec![name],
            };
            assert!(texts.iter().all(|text| text.len() <= limit));
        }
        Told::Trouble(text) => assert!(text.len() <= limit),
        _ => {}
    }
}

proptest! {
    #[test]
    fn every_message_is_taken(messages in proptest::collection::vec(message(), 1..20), id in any_json()) {
        let mut teller = Teller::of("T");
        for (method, params) in messages {
            let is_ours = params.get("threadId") == Some(&json!("T"));
            let told = teller.notification(&method, params.clone());
            prop_assert!(is_ours || told.is_empty(), "{told:?}");
            let over = told.iter().filter(|told| ends(told)).count();
            prop_assert_eq!(over, usize::from(over > 0 && method == "turn/completed"), "{:?}", told);
            told.iter().for_each(check_size);
            if let Some((Told::Form { inquiries, .. }, _)) = teller.request(&id, &method, params.clone()) {
                prop_assert!(!inquiries.is_empty());
            }
            if let Ok(turn) = serde_json::from_value::<Turn>(params["turn"].clone()) {
                let (_, told) = teller.recount(&turn);
                prop_assert!(told.iter().filter(|told| ends(told)).count() <= 1);
            }
        }
        // Whatever was said before: an end is an end.
        let end = json!({"threadId": "T", "turn": {"id": "U", "status": "completed"}});
        let told = teller.notification("turn/completed", end);
        prop_assert!(told.iter().any(ends));
    }

    #[test]
    fn every_text_is_one_kind_of_message(text in ".{0,200}", value in any_json(), members in any_json()) {
        if let Incoming::Malformed(shown) = understand(&text) {
            prop_assert!(shown.chars().count() <= 200);
        }
        let _kind = understand(&value.to_string());
        let mut message = Map::new();
        for (at, name) in ["id", "method", "params", "result", "error"].into_iter().enumerate() {
            if let Some(member) = members.get(MEMBERS[at]).or_else(|| members.get(at)) {
                message.insert(name.to_owned(), member.clone());
            }
        }
        if let Incoming::Answer { result: Err(error), .. } = understand(&Value::Object(message).to_string()) {
            prop_assert!(error.len() <= Item::LIMIT + '…'.len_utf8());
        }
    }
}
