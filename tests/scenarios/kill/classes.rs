//! The ways in which a run can end, each with its operator's command line.

use std::fs;

use cx_operator::record::Status;
use cx_operator::task::question::Answer;

use crate::rig::Rig;

/// One way to end.
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) status: Status,
    /// What is given to `delegate`.
    pub(super) setup: fn(&Rig) -> Setup,
    /// Whether the operator gets SIGINT when the prompt is submitted.
    pub(super) interrupted: bool,
    /// What another process says to each question, whether an operator lives at that moment or not.
    pub(super) reply: Option<fn() -> Answer>,
    /// Whether a process of its own drives the run.
    pub(super) detached: bool,
}

/// A command line, and what the scripted agent does beyond the brief's directives.
pub(super) struct Setup {
    pub(super) brief: String,
    pub(super) arguments: Vec<String>,
    pub(super) script: Option<&'static str>,
}

const DONE: &str = "[[shell echo work > new; echo 'STATUS: DONE']]";
const COMMIT: &str =
    "git add -A && git -c user.name=Agent -c user.email=agent@example.org commit -q -m 'add a'";

fn setup(brief: &str, arguments: &[&str]) -> Setup {
    Setup {
        brief: brief.to_owned(),
        arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
        script: None,
    }
}

fn obeying(script: &'static str, arguments: &[&str]) -> Setup {
    Setup {
        script: Some(script),
        ..setup("Do what the script says.", arguments)
    }
}

/// A responder that counts its questions in the file `asked` and gives this answer.
fn answered_by(rig: &Rig, brief: &str, answer: &serde_json::Value) -> Setup {
    let path = rig.path("answer");
    fs::write(&path, answer.to_string()).expect("the answer");
    let responder = format!(
        "cat > /dev/null; echo asked >> '{}'; cat '{}'",
        rig.path("asked").display(),
        path.display()
    );
    setup(brief, &["--responder", &responder])
}

fn committed(_: &Rig) -> Setup {
    let brief = format!("[[shell echo a > a && {COMMIT}; echo b > b; echo 'STATUS: DONE']]");
    setup(&brief, &["--sandbox", "danger-full-access"])
}

const SPACES: &str = "Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]";
const ESCALATE: &str = "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]";
const WAIT: [&str; 2] = ["--wait-for-reply", "60s"];

fn question(rig: &Rig) -> Setup {
    answered_by(rig, "[[question]]", &serde_json::json!({ "reply": SPACES }))
}

fn permission(rig: &Rig) -> Setup {
    let brief = "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]";
    answered_by(rig, brief, &serde_json::json!({ "decision": "allow" }))
}

fn turn_cap(rig: &Rig) -> Setup {
    let again = serde_json::json!({ "reply": "[[question]] again" });
    let mut setup = answered_by(rig, "[[question]]", &again);
    setup.arguments.extend(["--max-turns".into(), "2".into()]);
    setup
}

/// Ends with more arguments than tmux takes: the agent is never started.
fn failed_launch(_: &Rig) -> Setup {
    setup(DONE, &["--agent-arg", &"x".repeat(16_000)])
}

const fn class(name: &'static str, status: Status, setup: fn(&Rig) -> Setup) -> Class {
    Class {
        name,
        status,
        setup,
        interrupted: false,
        reply: None,
        detached: false,
    }
}

pub(super) static COMPLETED: Class = class("completed", Status::Completed, |_| setup(DONE, &[]));
pub(super) static ANSWERED: Class = class("answered question", Status::Completed, question);
pub(super) static PROBED: Class = class("asked how it stands", Status::Completed, |_| {
    obeying(
        "expect-prompt *\nwrite new done\nsay Voilà.\nexpect-prompt *\nsay STATUS: DONE\ndefault",
        &[],
    )
});
pub(super) static FAILED: Class = class("agent_failed", Status::AgentFailed, |_| {
    setup("[[http 401]]", &[])
});

/// Those that need no script, and those that need one.
pub(super) static MORE: [Class; 18] = [
    class("completed, committed", Status::Completed, committed),
    class("continued", Status::Completed, |_| setup("[[status]]", &[])),
    class("needs_input", Status::NeedsInput, |_| {
        setup("[[question]]", &[])
    }),
    class("needs_permission", Status::NeedsPermission, |_| {
        setup(
            "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]",
            &[],
        )
    }),
    class("decided permission", Status::Completed, permission),
    class("allowed by policy", Status::Completed, |_| {
        let brief = "[[shell touch asked && echo 'STATUS: DONE']] [[escalate]]";
        setup(brief, &["--permissions", "allow"])
    }),
    class("blocked_dialog", Status::BlockedDialog, |_| {
        obeying(
            "expect-prompt *\nwrite half done\nshow unknown Rate your experience\nhang",
            &[],
        )
    }),
    class("turn_cap", Status::TurnCap, turn_cap),
    class("agent_died", Status::AgentDied, |_| {
        obeying("expect-prompt *\nwrite half done\ndie 9", &[])
    }),
    class("timed_out", Status::TimedOut, |_| {
        obeying(
            "expect-prompt *\nwrite half done\nhang",
            &["--turn-timeout", "1s"],
        )
    }),
    Class {
        interrupted: true,
        ..class("aborted by SIGINT", Status::Aborted, |_| {
            setup("[[sleep 60]]", &[])
        })
    },
    class("failed launch", Status::Failed, failed_launch),
    class("--keep branch", Status::Completed, |_| {
        setup(DONE, &["--keep", "branch"])
    }),
    class("--keep worktree", Status::Completed, |_| {
        setup(DONE, &["--keep", "worktree"])
    }),
    class("--keep session", Status::Completed, |_| {
        setup(DONE, &["--keep", "session"])
    }),
    Class {
        reply: Some(|| Answer::Text(SPACES.to_owned())),
        ..class("parked question", Status::Completed, |_| {
            setup("[[question]]", &WAIT)
        })
    },
    Class {
        reply: Some(|| Answer::Allow),
        ..class("parked permission", Status::Completed, |_| {
            setup(ESCALATE, &WAIT)
        })
    },
    Class {
        reply: Some(|| Answer::Text(SPACES.to_owned())),
        detached: true,
        ..class("parked, detached", Status::Completed, |_| {
            setup("[[question]]", &WAIT)
        })
    },
];

/// Two that codex's server brings about without a script.
pub(super) static BY_REQUESTS: [Class; 2] = [
    class("timed_out by requests", Status::TimedOut, |_| {
        setup(
            "[[shell echo half > new; sleep 60]]",
            &["--turn-timeout", "2s"],
        )
    }),
    class("agent_died by requests", Status::AgentDied, |_| {
        let brief = "[[shell echo half > new; kill -KILL $PPID; sleep 60]]";
        setup(brief, &["--sandbox", "danger-full-access"])
    }),
];

/// All of them.
pub(super) fn all() -> Vec<&'static Class> {
    let first = [&COMPLETED, &ANSWERED, &PROBED, &FAILED];
    first.into_iter().chain(&MORE).collect()
}
