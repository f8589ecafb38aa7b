//! What a parent may not do, and what it can't: each is the error document of the command line, and nothing is begun.

use serde_json::{Value, json};

use testkit::mcp_client::McpClient;

use super::{client, text};
use crate::place::Place;

/// Options that only the person who configured the server can allow, with the tool and their names there.
const RISKS: [(&str, &str, &str); 10] = [
    (
        "delegate",
        "danger-full-access",
        r#"{"sandbox": "danger-full-access"}"#,
    ),
    (
        "delegate",
        "permissions-allow",
        r#"{"permissions": "allow"}"#,
    ),
    ("delegate", "policy-file", r#"{"policy": "policy.toml"}"#),
    ("delegate", "answers", r#"{"answers": "answers.toml"}"#),
    ("delegate", "responder", r#"{"responder": "true"}"#),
    ("delegate", "agent-arg", r#"{"agent_arg": ["--yolo"]}"#),
    ("delegate", "program", r#"{"program": "sh"}"#),
    ("delegate", "env", r#"{"env": ["A=b"]}"#),
    ("delegate", "worktree-root", r#"{"worktree_root": "/"}"#),
    ("apply", "check", r#"{"check": "true"}"#),
];

fn arguments(tool: &str, more: &str) -> Value {
    let mut arguments = match tool {
        "apply" => json!({"run": "none"}),
        _ => json!({"task": "t", "prompt": "x", "base": "no-such-revision"}),
    };
    let more: Value = serde_json::from_str(more).expect("JSON");
    for (name, value) in more.as_object().expect("an object") {
        arguments[name] = value.clone();
    }
    arguments
}

#[test]
fn options_that_can_do_harm_are_refused_unless_they_are_allowed() {
    let place = Place::new();
    let mut strict = McpClient::begin(&mut place.operator(&["mcp"]), &json!({})).0;
    for (tool, option, more) in RISKS {
        let error = strict.refuse(tool, arguments(tool, more));
        assert_eq!(error["code"], "not_allowed", "{option}: {error}");
        let message = text(&error["message"]);
        assert!(
            message.contains(&format!("--allow-option {option}")),
            "{message}"
        );
        // Where it is allowed it comes to what is wrong with the rest.
        let flag = format!("--allow-option={option}");
        let mut server = place.operator(&["mcp", &flag]);
        let mut client = McpClient::begin(&mut server, &json!({})).0;
        let error = client.refuse(tool, arguments(tool, more));
        assert_ne!(error["code"], "not_allowed", "{option}: {error}");
    }
    let error = strict.refuse("doctor", json!({"program": "sh"}));
    assert_eq!(error["code"], "not_allowed");
    place.assert_untouched("refs/heads/main");
}

#[test]
fn arguments_that_are_none_are_refused_with_a_document() {
    let place = Place::new();
    let mut client = client(&place);
    let nul = json!({"task": "t", "prompt": "x", "model": "a\u{0}b"});
    let long = "k".repeat(201);
    for (tool, arguments, code) in [
        ("delegate", json!({}), "usage"),
        ("delegate", json!({"task": "t"}), "usage"),
        (
            "delegate",
            json!({"task": "A b", "prompt": "x"}),
            "task_name",
        ),
        (
            "delegate",
            json!({"task": "--help", "prompt": "x"}),
            "task_name",
        ),
        ("delegate", json!({"task": "t", "prompt": " "}), "prompt"),
        (
            "delegate",
            json!({"task": "t", "prompt": "x", "odd": 1}),
            "usage",
        ),
        (
            "delegate",
            json!({"task": "t", "prompt": "x", "timeout": "soon"}),
            "usage",
        ),
        (
            "delegate",
            json!({"task": "t", "prompt": "x", "max_turns": 9}),
            "usage",
        ),
        (
            "delegate",
            json!({"task": "t", "prompt": "x", "sandbox": "none"}),
            "usage",
        ),
        (
            "delegate",
            json!({"task": "t", "prompt": "x", "executor": "nobody"}),
            "usage",
        ),
        (
            "delegate",
            json!({"task": "t", "prompt": "x", "idempotency_key": long}),
            "usage",
        ),
        ("delegate", nul, "usage"),
        ("wait", json!({"runs": []}), "usage"),
        ("wait", json!({"runs": ["none"]}), "run_not_found"),
        (
            "wait",
            json!({"runs": ["none"], "timeout_seconds": -1}),
            "usage",
        ),
        ("status", json!({"run": ""}), "run_not_found"),
        ("status", json!({"run": "../runs"}), "run_not_found"),
        (
            "reply",
            json!({"run": "none", "text": "x"}),
            "run_not_found",
        ),
        ("send", json!({"run": "none", "text": "x"}), "run_not_found"),
        (
            "continue",
            json!({"run": "none", "prompt": "x"}),
            "run_not_found",
        ),
        ("continue", json!({"run": "none"}), "usage"),
        ("continue", json!({"run": "none", "prompt": " "}), "prompt"),
        (
            "continue",
            json!({"run": "none", "prompt": "x", "base": "HEAD"}),
            "usage",
        ),
        ("abort", json!({"runs": []}), "usage"),
        ("abort", json!({"runs": "none"}), "usage"),
        ("diff", json!({"run": "none"}), "run_not_found"),
        ("apply", json!({"run": "none", "form": "merge"}), "usage"),
        ("list", json!({"executor": "nobody"}), "usage"),
        ("doctor", json!({"executor": "nobody"}), "usage"),
    ] {
        let error = client.refuse(tool, arguments.clone());
        assert_eq!(error["code"], code, "{tool} {arguments}: {error}");
        assert!(error["hint"].is_string(), "{tool} {arguments}: {error}");
    }
    assert!(client.end().success());
    place.assert_untouched("refs/heads/main");
}

#[test]
fn a_root_that_is_none_is_refused_at_once() {
    let place = Place::new();
    for root in ["/no/such/root", "/dev/null"] {
        let ran = place.cli(&["mcp", "--root", root]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(ran.stderr.contains("is no directory"), "{ran:?}");
    }
}
