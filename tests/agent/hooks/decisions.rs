//! What the permission hook answers.

use testkit::wait::{on_this_machine, wait_for};

use super::*;

fn ask(dir: &Path) -> Output {
    run(Kind::Permission, dir, payload().as_bytes())
}

fn await_asked(dir: &Path) -> SignalFile {
    wait_for("the hook's record of the question", || {
        signals::list(dir).expect("readable").pop()
    })
}

fn wait_policy(seconds: u64) -> Policy {
    Policy::Wait {
        limit: Duration::from_secs(seconds),
    }
}

/// Starts the hook under `wait`, lets the operator act, and returns what the hook said.
fn answered_by(seconds: u64, act: impl FnOnce(&Path, &SignalFile)) -> Output {
    let dir = directory();
    signals::write_policy(dir.path(), &wait_policy(seconds)).expect("writable");
    let mut child = start(Kind::Permission, dir.path());
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin
        .write_all(payload().as_bytes())
        .expect("the hook reads");
    drop(stdin);
    act(dir.path(), &await_asked(dir.path()));
    child.wait_with_output().expect("the hook ends")
}

#[track_caller]
fn assert_says(output: &Output, expected: &serde_json::Value) {
    assert!(output.status.success());
    assert_eq!(output.stderr, b"");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(
        said,
        serde_json::json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": expected}})
    );
}

#[test]
fn the_policy_decides() {
    let dir = directory();
    signals::write_policy(dir.path(), &Policy::Allow).expect("writable");
    assert_says(&ask(dir.path()), &serde_json::json!({"behavior": "allow"}));

    let message = "no \"network\" here\\\nask\tthe parent\u{1}: é";
    let deny = Policy::Deny {
        message: message.to_owned(),
    };
    signals::write_policy(dir.path(), &deny).expect("writable");
    assert_says(
        &ask(dir.path()),
        &serde_json::json!({"behavior": "deny", "message": message}),
    );

    signals::write_policy(dir.path(), &Policy::Ask).expect("writable");
    assert_silent_success(&ask(dir.path()));
    assert_eq!(signals::list(dir.path()).expect("readable").len(), 3);
}

#[test]
fn only_the_permission_hook_answers() {
    let dir = directory();
    signals::write_policy(dir.path(), &Policy::Allow).expect("writable");
    for kind in [Kind::SessionStart, Kind::Prompt, Kind::Stop] {
        assert_silent_success(&run(kind, dir.path(), payload().as_bytes()));
    }
}

#[test]
fn an_odd_policy_leaves_the_dialog() {
    for text in ["", "ALLOW", "allow please", "wait forever", "\u{0}", "deny"] {
        let dir = directory();
        fs::write(dir.path().join(POLICY_NAME), text).expect("writable");
        let output = ask(dir.path());
        if text == "deny" {
            assert_says(
                &output,
                &serde_json::json!({"behavior": "deny", "message": ""}),
            );
        } else {
            assert_silent_success(&output);
        }
    }
    let dir = directory();
    fs::create_dir(dir.path().join(POLICY_NAME)).expect("a directory");
    assert_silent_success(&ask(dir.path()));
    let dir = directory();
    fs::write(dir.path().join(POLICY_NAME), b"deny \xff").expect("writable");
    assert_silent_success(&ask(dir.path()));
}

#[test]
fn a_malformed_payload_is_never_decided() {
    for policy in [Policy::Allow, wait_policy(20)] {
        let dir = directory();
        signals::write_policy(dir.path(), &policy).expect("writable");
        let started = Instant::now();
        assert_silent_success(&run(Kind::Permission, dir.path(), b"{}"));
        assert!(started.elapsed() < Duration::from_secs(10), "no wait");
    }
}

#[test]
fn a_permission_that_cannot_be_recorded_is_not_decided() {
    let dir = directory();
    signals::write_policy(dir.path(), &Policy::Allow).expect("writable");
    let policy = dir.path().join(POLICY_NAME);
    assert_silent_success(&run(Kind::Permission, &policy, payload().as_bytes()));
}

#[test]
fn a_repository_cannot_grant_itself_a_permission() {
    let dir = directory();
    signals::write_policy(dir.path(), &Policy::Allow).expect("writable");
    let child = spawn(hook(Kind::Permission).current_dir(dir.path()));
    assert_silent_success(&feed(child, payload().as_bytes()));
    assert_eq!(names(dir.path()), [POLICY_NAME], "nor is a file left there");
}

#[test]
fn the_operator_answers_while_the_hook_waits() {
    let allowed = answered_by(20, |dir, asked| {
        signals::write_decision(dir, asked, &Decision::Allow).expect("writable");
    });
    assert_says(&allowed, &serde_json::json!({"behavior": "allow"}));

    let message = "use the \"cache\"\ninstead".to_owned();
    let denied = answered_by(20, |dir, asked| {
        let deny = Decision::Deny {
            message: message.clone(),
        };
        signals::write_decision(dir, asked, &deny).expect("writable");
    });
    assert_says(
        &denied,
        &serde_json::json!({"behavior": "deny", "message": message}),
    );
}

#[test]
fn what_is_no_answer_ends_the_wait_at_once() {
    let started = Instant::now();
    assert_silent_success(&answered_by(20, |dir, asked| {
        signals::write_decision(dir, asked, &Decision::Pass).expect("writable");
    }));
    assert_silent_success(&answered_by(20, |dir, asked| {
        let other = dir.join("other");
        fs::write(&other, "yes, of course").expect("writable");
        fs::rename(other, dir.join(signals::decision_name(asked))).expect("writable");
    }));
    assert!(started.elapsed() < Duration::from_secs(20), "no time-out");
}

#[test]
fn nobody_answers_until_the_limit() {
    let started = Instant::now();
    // The answer to another permission is not ours.
    assert_silent_success(&answered_by(1, |dir, asked| {
        let other = SignalFile {
            seq: format!("{:020}-1", 7),
            ..asked.clone()
        };
        signals::write_decision(dir, &other, &Decision::Allow).expect("writable");
    }));
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < on_this_machine(Duration::from_secs(4)), "{took:?}");
}

#[test]
fn each_permission_gets_its_own_answer() {
    let dir = directory();
    signals::write_policy(dir.path(), &wait_policy(20)).expect("writable");
    let mut children = Vec::new();
    for n in 0..2 {
        let mut child = start(Kind::Permission, dir.path());
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin
            .write_all(payload().as_bytes())
            .expect("the hook reads");
        drop(stdin);
        wait_for("the hook's record of the question", || {
            let asked = signals::list(dir.path()).expect("readable");
            (asked.len() > n).then_some(())
        });
        children.push(child);
    }
    let asked = signals::list(dir.path()).expect("readable");
    let decisions = [
        Decision::Deny {
            message: "first".to_owned(),
        },
        Decision::Allow,
    ];
    for (asked, decision) in asked.iter().zip(&decisions).rev() {
        signals::write_decision(dir.path(), asked, decision).expect("writable");
    }
    let mut said = children
        .into_iter()
        .map(|child| child.wait_with_output().expect("the hook ends"));
    assert_says(
        &said.next().expect("the first"),
        &serde_json::json!({"behavior": "deny", "message": "first"}),
    );
    assert_says(
        &said.next().expect("the second"),
        &serde_json::json!({"behavior": "allow"}),
    );
}
