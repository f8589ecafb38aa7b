//! The scripted agent obeys its script and nothing else.

use serde_json::json;

use super::pane::Pane;

#[test]
fn a_script_strands_an_enter_and_drops_a_paste() {
    let pane = Pane::new().with_script("strand-enter 2\nexpect-prompt hello\\nyou\nsay So.\ndrop-paste\nexpect-prompt *\nfail 401").ready();
    pane.paste("hello\nyou", true);
    pane.await_screen("› hello\n  you");
    pane.keys(&["Enter"]);
    pane.keys(&["Enter"]);
    pane.await_payload("Stop", "So.");
    pane.paste("lost", true);
    pane.await_log("the paste", |line| line["dropped"] == true);
    pane.paste("kept", true);
    pane.await_payload("UserPromptSubmit", "\"kept\"");
    pane.await_screen("■ unexpected status 401");
    pane.paste("too much", true);
    assert_eq!(pane.await_exit(), 97);
    pane.await_screen("expected no prompt after the script's end, got too much");
}

#[test]
fn a_script_plays_hooks_sessions_and_transcript_lines() {
    let script = "hook stop {\"last_assistant_message\":null,\"extra\":1}\nhook-raw stop not json\nforeign-stop\nexpect-prompt *\n\
        transcript {\"type\":\"event_msg\",\"payload\":{\"type\":\"odd\"}}\nwrite $DIR/written a\\nb\nexec touch executed\n\
        ask-permission true\nsay one\nsession new\nexpect-prompt *\nabort\nawait-file $DIR/go\nsleep 1\nexit 7";
    let pane = Pane::new().with_script(script).ready();
    pane.write(
        "signals/decision-PermissionRequest",
        r#"{"hookSpecificOutput":{"decision":{"behavior":"allow"}}}"#,
    );
    assert_eq!(
        pane.await_payload("Stop", "\"extra\":1")["last_assistant_message"],
        json!(null)
    );
    assert_eq!(pane.await_payload("Stop", "not json"), json!("not json"));
    assert_eq!(pane.await_payload("Stop", "elsewhere")["cwd"], "/");
    pane.paste("first", true);
    let one = pane.await_payload("Stop", "\"one\"");
    pane.paste("second", true);
    let second = pane.await_payload("UserPromptSubmit", "\"second\"");
    assert_ne!(one["session_id"], second["session_id"]);
    assert_eq!(
        pane.await_payload("SessionStart", "clear")["session_id"],
        second["session_id"]
    );
    let transcript = std::fs::read_to_string(one["transcript_path"].as_str().expect("a path"))
        .expect("a transcript");
    assert!(
        transcript.contains("{\"type\":\"odd\"}") && transcript.contains("function_call_output")
    );
    assert_eq!(pane.read("written"), "a\nb");
    assert!(pane.path("linked/executed").exists());
    pane.write("go", "");
    assert_eq!(pane.await_exit(), 7);
}

#[test]
fn a_script_shows_each_dialog_and_takes_only_the_expected_keys() {
    let script = "show update\nexpect-keys Down Enter\nshow model-offer\nexpect-keys 2\nshow hook-review\nexpect-keys Esc\n\
        show directory-trust\nexpect-keys Enter\nshow unknown A new thing\nexpect-keys q\n";
    let pane = Pane::new().with_script(script).start();
    for (screen, keys) in [
        (
            "› 1. Update now (runs `npm install -g @openai/codex`)",
            &["Down", "Enter"][..],
        ),
        ("› 1. Try new model\n  2. Use existing model", &["2"]),
        (
            "  3. Continue without trusting (hooks won't run)",
            &["Escape"],
        ),
        ("› 1. Trust and continue", &["Enter"]),
        ("  A new thing", &["Enter"]),
    ] {
        pane.await_screen(screen);
        pane.keys(keys);
    }
    assert_eq!(pane.await_exit(), 97);
    pane.await_screen("expected the key q, got Enter");
    let choices: Vec<_> = pane
        .lines(&pane.path("log"))
        .into_iter()
        .filter(|line| line["event"] == "choice")
        .collect();
    let options: Vec<_> = choices
        .iter()
        .filter_map(|line| line["option"].as_i64())
        .collect();
    assert_eq!(options, [2, 2, 3, 1]);
}

#[test]
fn a_choice_no_driver_may_make_fails_loudly() {
    for dialog in ["update", "sign-in"] {
        let pane = Pane::new()
            .with_script(&format!("show {dialog}\ndefault"))
            .start();
        pane.await_log(dialog, |line| line["name"] == dialog);
        pane.keys(&["Enter"]);
        assert_eq!(pane.await_exit(), 97);
    }
}

#[test]
fn the_first_option_of_the_model_offer_changes_the_users_model() {
    let pane = Pane::new().with_script("show model-offer\ndefault").start();
    pane.await_screen("Meet GPT-6 Sol");
    pane.keys(&["Enter"]);
    pane.await_screen("GPT-6-Sol default ·");
    assert!(
        pane.read("home/config.toml")
            .contains("model = \"gpt-6-sol\"")
    );
}

#[test]
fn a_script_that_cannot_be_parsed_fails_before_anything_is_drawn() {
    for line in [
        "frobnicate",
        "show nothing",
        "expect-keys Hyper",
        "hook stop {",
        "die x",
        "say",
        "hang on",
    ] {
        let pane = Pane::new()
            .with_script(&format!("# a comment\n{line}"))
            .start();
        assert_eq!(pane.await_exit(), 97, "{line}");
        let log = pane.read("log");
        assert!(
            log.contains("script line 2: ") && !log.contains("\"screen\""),
            "{log}"
        );
    }
}

#[test]
fn a_typed_prompt_and_a_wrong_prompt_fail_loudly() {
    let pane = Pane::new().with_script("expect-prompt right\nhang").ready();
    pane.paste("wrong", true);
    assert_eq!(pane.await_exit(), 97);
    pane.await_screen("expected the prompt \"right\", got \"wrong\"");
    let pane = Pane::new().with_script("expect-prompt *\nhang").ready();
    pane.keys(&["-l", "a"]);
    pane.keys(&["Enter"]);
    assert_eq!(pane.await_exit(), 97);
    pane.await_screen("expected a bracketed paste");
}

#[test]
fn a_script_ends_by_a_signal() {
    let pane = Pane::new().with_script("die 9").start();
    assert_eq!(pane.await_exit(), 128 + 9);
    assert!(!pane.read("log").contains("exit"));
}

#[test]
fn a_script_shows_a_file_and_hangs() {
    let pane = Pane::new();
    pane.write("picture", "one\n  two");
    let pane = pane.with_script("show-file $DIR/picture\nhang").start();
    pane.await_screen("one\n  two");
    pane.keys(&["Escape"]);
    pane.keys(&["C-c"]);
    pane.await_log("the key", |line| line["key"] == "C-c");
    assert!(pane.read("status").is_empty(), "it still hangs");
}
