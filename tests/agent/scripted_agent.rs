//! The scripted agent behaves as codex 0.169.0 does, and fails loudly on what its script does not expect.

mod model;
mod pane;
mod scripts;

use std::process::Command;
use testkit::agents;

use pane::Pane;
use serde_json::json;

fn run(arguments: &[&str], home: &std::path::Path) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_scripted-agent"))
        .args(arguments)
        .env_clear()
        .env("CODEX_HOME", home)
        .output()
        .expect("the agent runs");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().expect("an exit status"),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn the_command_line_is_the_one_a_driver_uses() {
    let home = tempfile::tempdir().expect("a home");
    let home = home.path();
    assert_eq!(
        run(&["--version"], home),
        (0, "codex-cli 0.169.0\n".to_owned())
    );
    let (status, help) = run(&["--help"], home);
    assert!(
        status == 0
            && ["--no-daemon", "-c, --config", "-C, --cd"]
                .iter()
                .all(|flag| help.contains(flag)),
        "{help}"
    );
    let (status, text) = run(&["--bogus"], home);
    assert!(
        status == 2 && text.starts_with("error: unexpected argument '--bogus' found"),
        "{text}"
    );
    let (status, text) = run(&["--sandbox", "bad"], home);
    assert!(
        status == 2 && text.contains("invalid value 'bad' for '--sandbox <SANDBOX_MODE>'"),
        "{text}"
    );
    assert_eq!(run(&["-c", "foo"], home).0, 1);
    assert_eq!(
        run(&["login", "status"], home),
        (1, "Not logged in\n".to_owned())
    );
    std::fs::write(
        home.join("auth.json"),
        r#"{"OPENAI_API_KEY":"x","tokens":null}"#,
    )
    .expect("a key");
    assert_eq!(run(&["login", "status"], home).0, 0);
    assert!(run(&[], home).1.contains("stdin is not a terminal"));
}

#[test]
fn a_turn_runs_the_hooks_and_ends_in_the_transcript() {
    let pane = Pane::new().ready();
    assert!(
        pane.payloads("SessionStart").is_empty(),
        "the session starts with its first prompt, not before"
    );
    pane.paste("  first\nsecond \n", true);
    let stop = pane.await_payload("Stop", "Done.");
    assert_eq!(
        stop["last_assistant_message"],
        "Done. I've finished: 'first\\nsecond'"
    );
    let (start, prompt) = (
        &pane.payloads("SessionStart")[0],
        &pane.payloads("UserPromptSubmit")[0],
    );
    assert_eq!(
        (&start["source"], &prompt["prompt"]),
        (&json!("startup"), &json!("first\nsecond"))
    );
    assert_eq!(
        [&start["session_id"], &prompt["session_id"]],
        [&stop["session_id"]; 2]
    );
    assert_eq!(prompt["turn_id"], stop["turn_id"]);
    let complete = pane.await_event("task_complete");
    assert_eq!(
        complete["last_agent_message"],
        stop["last_assistant_message"]
    );
    assert_eq!(
        pane.await_event("token_count")["info"]["total_token_usage"]["total_tokens"],
        120
    );
    pane.paste("/exit", true);
    assert_eq!(
        pane.await_payload("SessionEnd", "reason")["reason"],
        "other"
    );
    assert_eq!(pane.await_exit(), 0);
    assert!(
        pane.await_screen("codex resume")
            .contains("Token usage: total=120 input=100 output=20")
    );
}

#[test]
fn directives_decide_what_the_model_says() {
    let pane = Pane::new().ready();
    for (prompt, message) in [
        (
            "[[question]]",
            "I see two options. Should I use tabs or spaces?",
        ),
        ("[[status]] now", "Let me check the files first."),
        ("[[say it's \"so\"]]", "it's \"so\""),
        (
            "it's [[sleep 0.01]]",
            "Done. I've finished: \"it's [[sleep 0.01]]\"",
        ),
        (
            "[[shell echo $((6 * 7)); exit 3]]",
            "Process exited with code 3\nOriginal token count: 1\nOutput:\n42\n",
        ),
        (
            "[[patch *** Begin Patch\n*** Add File: d/new\n+a\n+b\n*** End Patch]]",
            "Output:\nSuccess. Updated the following files:\nA d/new\n",
        ),
        (
            "[[patch *** Begin Patch\n*** Update File: d/new\n@@\n a\n-b\n+c\n*** End Patch]]",
            "files:\nM d/new\n",
        ),
    ] {
        pane.paste(prompt, true);
        let text = json!(message).to_string();
        pane.await_payload("Stop", text.trim_matches('"'));
    }
    assert_eq!(pane.read("linked/d/new"), "a\nc\n");
}

#[test]
fn a_failed_request_is_in_the_transcript_and_no_hook_hears_of_it() {
    for (status, text, info) in [
        (
            401,
            "unexpected status 401 Unauthorized",
            json!({ "http_connection_failed": { "http_status_code": 401 } }),
        ),
        (
            429,
            "exceeded retry limit, last status: 429",
            json!({ "response_too_many_failed_attempts": { "http_status_code": 429 } }),
        ),
        (
            500,
            "We’re currently experiencing high demand",
            json!("internal_server_error"),
        ),
    ] {
        let pane = Pane::new().ready();
        pane.paste(&format!("x [[http {status}]]"), true);
        let complete = pane.await_event("task_complete");
        assert_eq!(
            (
                &complete["last_agent_message"],
                &complete["error"]["codex_error_info"]
            ),
            (&json!(null), &info)
        );
        assert!(
            complete["error"]["message"]
                .as_str()
                .is_some_and(|message| message.starts_with(text)),
            "{complete}"
        );
        pane.await_screen(&format!("■ {text}"));
        assert!(pane.payloads("Stop").is_empty());
    }
}

#[test]
fn escape_interrupts_and_a_second_prompt_steers() {
    let pane = Pane::new().ready();
    pane.paste("a [[sleep 60]]", true);
    pane.await_screen("esc to interrupt");
    pane.keys(&["Escape"]);
    assert_eq!(pane.await_event("turn_aborted")["reason"], "interrupted");
    pane.await_screen("■ Conversation interrupted");
    pane.paste("b [[shell sleep 60]]", true);
    pane.await_screen("• Running sleep 60");
    pane.keys(&["Escape"]);
    pane.await_screen("› b [[shell sleep 60]]\n\n\n■ Conversation interrupted");
    pane.paste("c [[sleep 60]]", true);
    pane.await_payload("UserPromptSubmit", "c [[");
    pane.paste("more", true);
    let stop = pane.await_payload("Stop", "finished: 'more'");
    assert_eq!(
        pane.await_payload("UserPromptSubmit", "c [[")["turn_id"],
        stop["turn_id"]
    );
    assert_eq!(
        pane.await_payload("UserPromptSubmit", "\"more\"")["turn_id"],
        stop["turn_id"]
    );
}

#[test]
fn an_approval_follows_the_keys() {
    for (keys, text, runs) in [
        (
            &["y"][..],
            "✔ You approved codex to run touch ran this time",
            true,
        ),
        (
            &["Enter"],
            "✔ You approved codex to run touch ran this time",
            true,
        ),
        (
            &["Up", "Up", "Enter"],
            "✔ You approved codex to always run commands",
            true,
        ),
        (
            &["Escape"],
            "✗ You canceled the request to run touch ran",
            false,
        ),
        (&["x", "3"], "■ Conversation interrupted", false),
    ] {
        let pane = Pane::new().ready();
        pane.paste("[[shell touch ran]] [[escalate]]", true);
        let screen = pane.await_screen("Press enter to confirm or esc to cancel");
        assert!(
            screen.contains("› 1. Yes, proceed (y)") && screen.contains("  $ touch ran"),
            "{screen}"
        );
        assert_eq!(
            pane.payloads("PermissionRequest")[0]["tool_input"]["command"],
            "touch ran"
        );
        pane.keys(keys);
        pane.await_screen(text);
        pane.await_event(if runs {
            "task_complete"
        } else {
            "turn_aborted"
        });
        assert_eq!(pane.path("linked/ran").exists(), runs, "{keys:?}");
        assert_eq!(pane.payloads("Stop").len(), usize::from(runs));
    }
}

#[test]
fn an_approval_swallows_a_paste_and_takes_its_enter() {
    let pane = Pane::new().ready();
    pane.paste("[[shell touch ran]] [[escalate]]", true);
    pane.await_screen("Would you like to run the following command?");
    pane.paste("no, don't", true);
    pane.await_payload("Stop", "Process exited with code 0");
    assert!(pane.path("linked/ran").exists());
    assert_eq!(pane.payloads("UserPromptSubmit").len(), 1);
}

#[test]
fn a_permission_hook_decides_before_the_dialog() {
    let decision = |behavior: &str| json!({ "hookSpecificOutput": { "hookEventName": "PermissionRequest", "decision": { "behavior": behavior, "message": "not now" } } });
    for (behavior, answer, runs) in [
        ("allow", "Process exited with code 0", true),
        ("deny", "Rejected(", false),
    ] {
        let pane = Pane::new();
        pane.write(
            "signals/decision-PermissionRequest",
            &decision(behavior).to_string(),
        );
        let pane = pane.ready();
        pane.paste("[[shell touch ran]] [[escalate]]", true);
        pane.await_payload("Stop", answer);
        assert_eq!(pane.path("linked/ran").exists(), runs);
        let log = pane.read("log");
        assert!(!log.contains("\"approval\""), "no dialog is shown: {log}");
    }
}

#[test]
fn a_policy_of_never_refuses_and_full_access_needs_no_asking() {
    for (flags, mode, answer) in [
        (
            ["--ask-for-approval", "never"],
            "bypassPermissions",
            "approval policy is Never",
        ),
        (
            ["--sandbox", "danger-full-access"],
            "default",
            "Process exited with code 0",
        ),
    ] {
        let pane = Pane::new().with(&flags).ready();
        pane.paste("[[shell true]] [[escalate]]", true);
        assert_eq!(pane.await_payload("Stop", answer)["permission_mode"], mode);
        assert!(pane.payloads("PermissionRequest").is_empty());
    }
}

#[test]
fn an_enter_right_after_a_burst_is_a_line_break() {
    let pane = Pane::new().ready();
    pane.keys(&["one two three", "Enter"]);
    pane.await_log("Enter", |line| line["key"] == "Enter");
    pane.await_screen("› one two three");
    pane.paste(&"é".repeat(1001), true);
    let prompt = pane.await_payload("UserPromptSubmit", "one two")["prompt"].to_string();
    assert_eq!(
        prompt,
        format!("\"one two three\\n{}\"", "é".repeat(1001)),
        "the first Enter did not submit"
    );
}

#[test]
fn a_large_paste_is_shown_as_a_placeholder() {
    let pane = Pane::new().ready();
    pane.paste(&"é".repeat(1001), false);
    pane.await_screen("› [Pasted Content 1001 chars]");
    pane.paste("end", true);
    pane.await_payload("UserPromptSubmit", &format!("{}end\"", "é".repeat(1001)));
}

#[test]
fn a_prompt_of_a_megabyte_arrives_whole() {
    let pane = Pane::new().ready();
    let prompt = "0123456789abcde\n".repeat(65_535) + "last line: \"quoted\"";
    pane.paste(&prompt, true);
    pane.await_payload("Stop", "last line:");
    assert!(
        pane.payloads("UserPromptSubmit")[0]["prompt"] == prompt,
        "another prompt arrived"
    );
}

#[test]
fn a_prompt_of_the_command_line_is_submitted() {
    let pane = Pane::new()
        .with(&["--no-daemon", "--", " -x [[status]] "])
        .ready();
    pane.await_payload("Stop", "Let me check the files first.");
    assert_eq!(
        pane.payloads("UserPromptSubmit")[0]["prompt"],
        "-x [[status]]"
    );
}

#[test]
fn control_c_clears_interrupts_and_quits() {
    let pane = Pane::new().ready();
    pane.paste("a [[sleep 60]]", true);
    pane.await_screen("esc to interrupt");
    pane.keys(&["C-c"]);
    pane.await_event("turn_aborted");
    pane.paste("text", false);
    pane.await_screen("› text");
    pane.keys(&["C-c"]);
    pane.await_screen("› Ask Codex to do anything");
    pane.keys(&["C-c"]);
    assert_eq!(pane.await_exit(), 0);
    assert_eq!(pane.payloads("SessionEnd").len(), 1);
}

#[test]
fn a_stop_hook_can_continue_the_turn() {
    let pane = Pane::new().ready();
    pane.write(
        "signals/decision-Stop",
        r#"{"decision":"block","reason":"go <on>"}"#,
    );
    pane.paste("begin", true);
    let more = pane.await_payload("Stop", "go &lt;on&gt;</hook_prompt>");
    std::fs::remove_file(pane.path("signals/decision-Stop")).expect("the decision");
    assert_eq!(more["stop_hook_active"], true);
    assert_eq!(
        more["turn_id"],
        pane.await_payload("Stop", "finished: 'begin'")["turn_id"]
    );
    pane.await_event("task_complete");
    assert_eq!(pane.payloads("UserPromptSubmit").len(), 1);
}

#[test]
fn untrusted_hooks_are_reviewed_and_do_not_run() {
    let untrusted = "hooks={Stop=[{hooks=[{type=\"command\",command=\"touch stopped\"}]}]}";
    for (keys, runs) in [(&["3"][..], false), (&["2", "Enter"], true)] {
        let mut pane = Pane::new().with(&["-c", untrusted]);
        pane.arguments.drain(2..4);
        let pane = pane.start();
        pane.await_screen("1 hook is new or changed.");
        pane.keys(keys);
        pane.await_screen("GPT-5.5 default ·");
        pane.paste("go", true);
        pane.await_screen("Worked for");
        assert_eq!(pane.path("linked/stopped").exists(), runs);
        assert_eq!(pane.read("home/config.toml").contains("trusted_hash"), runs);
    }
}

#[test]
fn trust_is_asked_for_the_main_root_and_remembered() {
    let pane = Pane::untrusting().start();
    let screen = pane.await_screen("Trust this folder?");
    assert!(
        screen.contains("Trusting will apply to the repository root:"),
        "{screen}"
    );
    assert!(
        screen.contains("› 1. Trust and continue\n  2. Back to Agent Command Center"),
        "{screen}"
    );
    pane.keys(&["1"]);
    pane.keys(&["Down"]);
    pane.await_screen("› 2. Back to Agent Command Center");
    pane.keys(&["Up", "Enter"]);
    pane.await_screen("GPT-5.5 default ·");
    let config: toml::Table = pane.read("home/config.toml").parse().expect("TOML");
    let root = pane.path("repository").display().to_string();
    assert_eq!(
        config["projects"][&root]["trust_level"].as_str(),
        Some("trusted")
    );
}

#[test]
fn turns_have_the_fields_that_codex_gives_them() {
    let Some(codex) = agents::native_codex(agents::PINNED) else {
        return;
    };
    let fields = |program: Option<&str>| {
        let pane = Pane::new();
        let server = model::serve();
        let config = pane
            .read("home/config.toml")
            .replace("127.0.0.1:1/", &format!("127.0.0.1:{server}/"));
        pane.write("home/config.toml", &config);
        let pane = match program {
            Some(program) => pane.with_program(program).with(&["--no-daemon"]),
            None => pane,
        };
        model::fields_of_a_turn(&pane.ready())
    };
    let real = fields(Some(&codex.to_string_lossy()));
    assert!(real.len() > 100, "a whole turn was seen: {real:?}");
    let ours = fields(None);
    let missing: Vec<_> = real.difference(&ours).collect();
    let invented: Vec<_> = ours.difference(&real).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing {missing:#?}\ninvented {invented:#?}"
    );
}
