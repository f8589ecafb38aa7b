//! What every refusal has in common.

use std::process::Command;

use serde_json::Value;

use testkit::world::{Ran, names};

use crate::place::Place;

/// What a refusal must look like.
pub(crate) struct Refusal<'a> {
    pub(crate) code: &'a str,
    pub(crate) exit: i32,
    /// What stderr names.
    pub(crate) names: &'a [&'a str],
}

/// Runs the command for people and for programs, and holds both to the refusal.
pub(crate) fn assert_refused(
    place: &Place,
    command: impl Fn() -> Command,
    stdin: &[u8],
    refusal: &Refusal,
) -> Ran {
    let branches = place.git(&["branch", "--format=%(refname)"]);
    let worktrees = names(&place.worktrees());
    let told = Ran::of(&mut command(), stdin);
    let ran = Ran::of(command().arg("--json"), stdin);
    for (ran, how) in [(&told, "for people"), (&ran, "for programs")] {
        assert_eq!(ran.code, refusal.exit, "{how}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
        assert!(ran.is_harmless(), "{how}: {}", ran.stderr);
        for name in refusal.names {
            assert!(ran.stderr.contains(name), "{how}: {name} in {}", ran.stderr);
        }
    }
    assert_eq!(told.stdout, "");
    place.take_down(refusal.code, &told.stderr);
    let document = ran.document();
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["status"], "failed");
    assert_eq!(document["error"]["code"], refusal.code);
    assert_eq!(
        (&document["run_dir"], &document["turns"]),
        (&Value::Null, &Value::from(0))
    );
    let message = document["error"]["message"].as_str().expect("a message");
    assert!(
        !message.is_empty() && !message.starts_with("failed to use"),
        "{message}"
    );
    if let Some(hint) = document["error"]["hint"].as_str() {
        assert!(
            told.stderr.contains(&format!("hint: {hint}")),
            "{}",
            told.stderr
        );
    }
    assert_eq!(names(&place.path("state/runs")), [""; 0], "a record");
    assert_eq!(names(&place.worktrees()), worktrees, "a worktree");
    assert_eq!(place.git(&["branch", "--format=%(refname)"]), branches);
    assert_eq!(place.git(&["worktree", "list"]).lines().count(), 1);
    ran
}

pub(crate) fn refusal<'a>(code: &'a str, exit: i32, names: &'a [&'a str]) -> Refusal<'a> {
    Refusal { code, exit, names }
}

pub(crate) fn usage<'a>(names: &'a [&'a str]) -> Refusal<'a> {
    Refusal {
        code: "usage",
        exit: 2,
        names,
    }
}

pub(crate) fn repository<'a>(names: &'a [&'a str]) -> Refusal<'a> {
    Refusal {
        code: "repository",
        exit: 8,
        names,
    }
}
