//! Sub-agents and commands that are at work when the turn of their maker ends, and what they ask for.

use std::fs;
use std::time::{Duration, Instant};

use cx_operator::agent::executor::Sandbox;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Keep;
use cx_operator::task::policy::Permissions;
use serde_json::{Value, json};

use crate::rig::{Agent, Rig, on};
use testkit::agents::{OLDER, PINNED};
use testkit::wait::on_this_machine;

/// What the tool that makes a sub-agent is called: each of the two forms of it in a version, and the switch of the newer.
#[derive(Clone, Copy)]
struct Form {
    version: &'static str,
    tool: &'static str,
    newer: bool,
}

const FORMS: [Form; 4] = [
    Form {
        version: PINNED,
        tool: "multi_agent_v1/spawn_agent",
        newer: false,
    },
    Form {
        version: PINNED,
        tool: "collaboration/spawn_agent",
        newer: true,
    },
    Form {
        version: OLDER[0],
        tool: "multi_agent_v1/spawn_agent",
        newer: false,
    },
    Form {
        version: OLDER[1],
        tool: "spawn_agent",
        newer: false,
    },
];

impl Form {
    fn play(self, agent: fn(&'static str) -> Agent, scenario: impl AsyncFn(&Rig, Form)) {
        on(agent(self.version), async |rig| {
            if self.newer {
                rig.configure("\n[features]\nmulti_agent_v2 = true\n");
            }
            scenario(rig, self).await;
        });
    }

    /// The step that makes a sub-agent, which plays the script `child`.
    fn spawn(self) -> Value {
        let mut arguments = json!({"message": "Help. [[play child]]"});
        if self.newer {
            arguments["task_name"] = json!("helper");
            arguments["fork_turns"] = json!("all");
        }
        json!({"call": self.tool, "args": arguments})
    }

    /// Delegates to an agent that does these steps after it made a sub-agent that does those.
    fn scripts(self, rig: &Rig, child: Value, then: Vec<Value>) {
        let mut parent = vec![self.spawn()];
        parent.extend(then);
        rig.model.script("child", &child);
        rig.model.script("parent", &Value::from(parent));
    }
}

macro_rules! on_every_form {
    ($($name:ident),+ $(,)?) => { $(mod $name {
        use super::{FORMS, Form};
        use crate::rig::Agent::{self, Codex, Requests};

        #[test]
        fn codex_0_169() {
            FORMS[0].play(Codex, super::$name);
        }

        #[test]
        fn requests_0_169() {
            FORMS[0].play(Requests, super::$name);
        }

        fn thoroughly(form: Form, agent: fn(&'static str) -> Agent) {
            if testkit::size::thorough() {
                form.play(agent, super::$name);
            }
        }

        #[test]
        fn thorough_codex_0_169_newer() {
            thoroughly(FORMS[1], Codex);
        }

        #[test]
        fn thorough_requests_0_169_newer() {
            thoroughly(FORMS[1], Requests);
        }

        #[test]
        fn thorough_codex_0_150() {
            thoroughly(FORMS[2], Codex);
        }

        #[test]
        fn thorough_requests_0_150() {
            thoroughly(FORMS[2], Requests);
        }

        #[test]
        fn thorough_codex_0_130() {
            thoroughly(FORMS[3], Codex);
        }
    })+ };
}

on_every_form!(
    sub_agent_is_waited_for,
    sub_agent_that_fails_is_waited_for,
    sub_agent_is_named,
    sub_agent_that_asks_late,
    approval_of_a_sub_agent
);

fn notices<'a>(outcome: &'a Outcome, of: &str) -> Vec<&'a String> {
    let all = outcome.notices.iter();
    all.filter(|notice| notice.contains(of)).collect()
}

const DELEGATED: &str = "Done. It is all delegated.";

/// Its work is in the result.
async fn sub_agent_is_waited_for(rig: &Rig, form: Form) {
    let child = json!([{"shell": "sleep 4; echo late > late.txt"}, {"say": "Done too."}]);
    form.scripts(rig, child, vec![json!({"say": DELEGATED})]);
    let outcome = rig.delegate(rig.task("[[play parent]]")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.last_message.as_deref(), Some(DELEGATED));
    assert_eq!(outcome.files.len(), 1, "{outcome:?}");
    assert!(notices(&outcome, "sub-agent").is_empty(), "{outcome:?}");
}

/// Of that the transcript of its maker need not tell.
async fn sub_agent_that_fails_is_waited_for(rig: &Rig, form: Form) {
    let child = json!([{"shell": "sleep 2; echo late > late.txt"}, {"http": 401}]);
    form.scripts(rig, child, vec![json!({"say": DELEGATED})]);
    let since = Instant::now();
    let outcome = rig.delegate(rig.task("[[play parent]]")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.files.len(), 1, "{outcome:?}");
    assert!(
        since.elapsed() < on_this_machine(Duration::from_secs(25)),
        "it has ended"
    );
    assert!(notices(&outcome, "sub-agent").is_empty(), "{outcome:?}");
}

/// One that is at work for too long.
async fn sub_agent_is_named(rig: &Rig, form: Form) {
    let child = json!([{"shell": "sleep 60"}, {"say": "Done too."}]);
    form.scripts(rig, child, vec![json!({"say": DELEGATED})]);
    let mut task = rig.task("[[play parent]]");
    task.limits.linger = Duration::from_secs(2);
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let told = notices(&outcome, "a sub-agent still worked");
    assert_eq!(told.len(), 1, "{outcome:?}");
    if form.newer {
        assert!(told[0].ends_with("/helper"), "{told:?}");
    }
}

/// After the turn of its maker has ended.
async fn sub_agent_that_asks_late(rig: &Rig, form: Form) {
    let child = json!([
        {"shell": "sleep 2"},
        {"shell": "echo late > late.txt", "escalate": "I must"},
        {"say": "Done too."}
    ]);
    form.scripts(rig, child, vec![json!({"say": DELEGATED})]);
    let mut task = rig.task("[[play parent]]");
    task.responders = rig.answers("[[permission]]\npattern = \".*\"\ndecision = \"allow\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.replies.len(), 1, "{outcome:?}");
    assert_eq!(outcome.files[0].path, "late.txt");
}

mod commands_of_a_sub_agent {
    use super::{FORMS, command_of_a_sub_agent};
    use crate::rig::Agent::{Codex, Requests};

    #[test]
    fn codex_0_169() {
        FORMS[0].play(Codex, command_of_a_sub_agent);
    }

    #[test]
    fn requests_0_169() {
        FORMS[0].play(Requests, command_of_a_sub_agent);
    }

    #[test]
    fn codex_0_150() {
        FORMS[2].play(Codex, command_of_a_sub_agent);
    }
}

/// The sub-agent's turn is over, and so is its maker's.
async fn command_of_a_sub_agent(rig: &Rig, form: Form) {
    let late = json!({"cmd": "sleep 4; echo late > late.txt", "yield_time_ms": 300});
    let child = json!([{"call": "exec_command", "args": late}, {"say": "Done too."}]);
    form.scripts(rig, child, vec![json!({"say": DELEGATED})]);
    let outcome = rig.delegate(rig.task("[[play parent]]")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.files.len(), 1, "{outcome:?}");
    assert!(notices(&outcome, "still").is_empty(), "{outcome:?}");
}

mod refusals_of_a_sub_agent {
    use super::{FORMS, change_of_a_sub_agent, reason_for_a_sub_agent};
    use crate::rig::Agent::Requests;

    #[test]
    fn the_reason_reaches_it() {
        FORMS[0].play(Requests, reason_for_a_sub_agent);
    }

    #[test]
    fn a_change_is_named() {
        FORMS[0].play(Requests, change_of_a_sub_agent);
    }
}

async fn reason_for_a_sub_agent(rig: &Rig, form: Form) {
    let child = json!([{"shell": "touch asked", "escalate": "I must"}, {"say": "Done too."}]);
    let then = vec![json!({"shell": "sleep 2"}), json!({"say": DELEGATED})];
    form.scripts(rig, child, then);
    let mut task = rig.task("[[play parent]]");
    task.responders = rig
        .answers("[[permission]]\npattern = \".\"\ndecision = \"deny\"\nmessage = \"Use make.\"");
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let told: Vec<bool> = rig
        .model
        .requests()
        .iter()
        .filter(|request| request.body.to_string().contains("Use make."))
        .map(|request| request.body.to_string().contains("[[play parent]]"))
        .collect();
    assert_eq!(told, [false], "it and nobody else");
}

async fn change_of_a_sub_agent(rig: &Rig, form: Form) {
    let patch = "*** Begin Patch\n*** Add File: new\n+x\n*** End Patch";
    let child = json!([{"custom": "apply_patch", "input": patch}, {"say": "Done too."}]);
    let then = vec![json!({"shell": "sleep 2"}), json!({"say": DELEGATED})];
    form.scripts(rig, child, then);
    let mut task = rig.task("[[play parent]]");
    task.agent.sandbox = Sandbox::ReadOnly;
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::NeedsPermission, "{outcome:?}");
    let asked = outcome.pending.expect("what it asks").text;
    assert!(
        asked.starts_with("change ") && asked.ends_with("/new"),
        "{asked}"
    );
}

/// What fails afterwards is seen, and the tokens are those of the session itself.
async fn approval_of_a_sub_agent(rig: &Rig, form: Form) {
    let word = rig.path("word");
    let asks = json!([
        {"shell": format!("echo asked > asked.txt; touch {}", word.display()), "escalate": "I must"},
        {"usage": 7_000, "say": "Done too."}
    ]);
    let then = vec![json!({"await": word, "http": 401})];
    form.scripts(rig, asks, then);
    let mut task = rig.task("[[play parent]]");
    task.permissions = Permissions::Allow;
    let outcome = rig.delegate(task).await;
    let error = outcome.error.as_ref().expect("an error");
    assert_eq!(
        (outcome.status, error.code.as_str()),
        (Status::AgentFailed, "http_401"),
        "{outcome:?}"
    );
    assert_eq!(outcome.replies.len(), 1, "{outcome:?}");
    assert_eq!(outcome.replies[0].reply, "allow");
    assert_eq!(outcome.files[0].path, "asked.txt");
    let usage = outcome.usage.expect("the tokens of the first request");
    assert!(usage.input_tokens < 1_000, "{usage:?}");
}

macro_rules! on_both_drives {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        codex_0_169 on Codex(testkit::agents::PINNED);
        requests_0_169 on Requests(testkit::agents::PINNED);
        codex_0_150 on Codex(testkit::agents::OLDER[0]);
        requests_0_150 on Requests(testkit::agents::OLDER[0]);
    })+ };
}

on_both_drives!(command_is_waited_for, command_is_named, goal);

fn left(command: &str) -> String {
    let arguments = json!({"cmd": command, "yield_time_ms": 300});
    format!("[[call exec_command {arguments}]]")
}

async fn command_is_waited_for(rig: &Rig) {
    let outcome = rig
        .delegate(rig.task(&left("sleep 3; echo late > late.txt")))
        .await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(outcome.files.len(), 1, "{outcome:?}");
    assert!(notices(&outcome, "still ran").is_empty(), "{outcome:?}");
}

async fn command_is_named(rig: &Rig) {
    let mut task = rig.task(&left("sleep 50; echo late"));
    task.limits.linger = Duration::from_secs(1);
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let told = notices(&outcome, "sleep 50; echo late");
    assert_eq!(told.len(), 1, "{outcome:?}");
}

/// Whoever sets one is refused: the run ends with its turn, and a session that is kept is idle.
async fn goal(rig: &Rig) {
    // Wherever goals are turned on.
    rig.configure("\n[features]\ngoals = true\n");
    fs::create_dir(rig.repo().join(".codex")).expect("a directory");
    fs::write(
        rig.repo().join(".codex/config.toml"),
        "[features]\ngoals = true\n",
    )
    .expect("settings");
    rig.git(&["add", "-A"]);
    rig.git(&["commit", "-q", "-m", "settings"]);
    rig.note_the_callers_state();
    rig.model.script(
        "goal",
        &json!([
            {"shell": "echo kept > new"},
            {"call": "create_goal", "args": {"objective": "Count to a million."}},
            {"say": "Done. One step is made."}
        ]),
    );
    let mut task = rig.task("[[play goal]]");
    task.keep = Keep::Session;
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let offered = rig.model.requests();
    let requests = offered.len();
    let offers = |name: &str| {
        offered
            .iter()
            .any(|one| one.tools.iter().any(|tool| tool == name))
    };
    assert!(offers("exec_command") && !offers("create_goal"));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(rig.model.requests().len(), requests, "it is idle");
    crate::keeping::remove_kept(rig, &outcome).await;
}
