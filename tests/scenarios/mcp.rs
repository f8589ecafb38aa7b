//! The MCP server with the real clients: a parent agent delegates, waits, answers, reads and waits again, by its own tool calls. The
//! model behind it plays a script; the child is the stand-in.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use testkit::agents::{OLDER, OLDER_CLAUDE, PINNED, PINNED_CLAUDE, native_codex, real_claude};
use testkit::{built, mock_model};

use crate::detached::remember;
use crate::rig::Rig;

tests_of! { codex_is_a_parent: scripted on Scripted; }
tests_of! { claude_is_a_parent: scripted on Scripted; }
tests_of! { a_parent_of_three: scripted on Scripted; }
tests_of! { real_clients_are_configured: scripted on Scripted; }

const ANSWER: &str = "Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]";

/// What the parent's model does. `space` is what stands before a tool's name.
fn script(rig: &Rig, space: &str) -> Value {
    let call =
        |tool: &str, arguments: Value| json!({"call": format!("{space}{tool}"), "args": arguments});
    let delegation = json!({
        "task": "t",
        "prompt": "[[question]]",
        "program": built::scripted_agent(),
        "worktree_root": rig.worktrees(),
        "idempotency_key": "once",
    });
    let wait = json!({"runs": ["t"], "timeout_seconds": 50});
    json!([
        call("delegate", delegation.clone()),
        call("delegate", delegation),
        call("wait", wait.clone()),
        call("reply", json!({"run": "t", "decision": "allow"})),
        call("reply", json!({"run": "t", "text": ANSWER})),
        call("wait", wait),
        call("diff", json!({"run": "t", "file": "style"})),
        {"say": "The task is done."},
    ])
}

fn server_arguments(rig: &Rig) -> Vec<String> {
    let root = rig.repo().display().to_string();
    [
        "mcp",
        "--allow-option=program",
        "--allow-option=worktree-root",
        "--root",
        &root,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The variables of the server, which a client may start with few of its own.
fn server_environment(rig: &Rig) -> BTreeMap<String, String> {
    let mut variables: BTreeMap<String, String> = rig.environment().into_iter().collect();
    variables.insert(
        "CX_OPERATOR_STATE".to_owned(),
        rig.state().display().to_string(),
    );
    variables.insert("CX_OPERATOR_DRIVE".to_owned(), "keys".to_owned());
    variables
}

/// What the tools came back with, in the order of the calls, as the parent's model saw it.
fn results(rig: &Rig) -> Vec<String> {
    let requests = rig.model.requests();
    let last = requests
        .iter()
        .rev()
        .find(|request| request.text.contains("[[play parent]]"));
    let body = &last.expect("a request of the parent's").body;
    let mut found = Vec::new();
    collect(body, &mut found);
    found
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            let kind = object.get("type").and_then(Value::as_str);
            match kind {
                Some("function_call_output") => found.push(object["output"].to_string()),
                Some("tool_result") => found.push(object["content"].to_string()),
                _ => object.values().for_each(|one| collect(one, found)),
            }
        }
        Value::Array(several) => several.iter().for_each(|one| collect(one, found)),
        _ => {}
    }
}

fn assert_played(rig: &Rig, output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let results = results(rig);
    let shown = format!("{results:#?}\n{said}\n{error}");
    assert!(output.status.success(), "{shown}");
    assert!(said.contains("The task is done."), "{shown}");
    assert_eq!(results.len(), 7, "{shown}");
    let outcome = remember(rig, "t");
    let id = outcome.run_id.as_str();
    for (at, wanted) in [
        (0, id),
        (1, id),
        (2, "tabs or spaces"),
        (3, "takes another answer"),
        (4, "taken"),
        (5, "completed"),
        (6, "+spaces"),
    ] {
        assert!(results[at].contains(wanted), "{at}: no {wanted}: {shown}");
    }
    assert_eq!(
        (outcome.turns, outcome.files[0].path.as_str()),
        (2, "style")
    );
}

async fn codex_is_a_parent(rig: &Rig) {
    let Some(program) = native_codex(PINNED) else {
        return;
    };
    rig.model
        .script("parent", &script(rig, "mcp__cx_operator/"));
    let home = rig.path("parent");
    mock_model::write_codex_home(&home, rig.model.port()).expect("a home");
    let config = home.join("config.toml");
    let mut text = std::fs::read_to_string(&config).expect("a configuration");
    let server = toml::Value::try_from(json!({"mcp_servers": {"cx-operator": {
        "command": built::operator(),
        "args": server_arguments(rig),
        "env": server_environment(rig),
        "default_tools_approval_mode": "approve",
    }}}));
    text += &toml::to_string(&server.expect("TOML")).expect("TOML");
    std::fs::write(&config, text).expect("written");
    let output = parent(rig, &program)
        .env("CODEX_HOME", &home)
        .args([
            "exec",
            "--skip-git-repo-check",
            "Have it done. [[play parent]]",
        ])
        .output();
    assert_played(rig, &output.await.expect("it runs"));
}

async fn claude_is_a_parent(rig: &Rig) {
    let Some(program) = real_claude(PINNED_CLAUDE) else {
        return;
    };
    rig.model
        .script("parent", &script(rig, "mcp__cx-operator__"));
    let output = claude(rig, &program, &["--allowedTools", "mcp__cx-operator"]).await;
    assert_played(rig, &output);
}

/// Claude Code with the server, on the script `parent`.
async fn claude(rig: &Rig, program: &Path, arguments: &[&str]) -> Output {
    let home = rig.path("parent");
    let variables = mock_model::write_claude_home(&home, rig.model.port()).expect("a home");
    let configuration = json!({"mcpServers": {"cx-operator": {
        "command": built::operator(),
        "args": server_arguments(rig),
        "env": server_environment(rig),
    }}});
    let output = parent(rig, program)
        .env("HOME", &home)
        .envs(variables)
        .args(["-p", "Have it done. [[play parent]]", "--strict-mcp-config"])
        .args(arguments)
        .arg("--mcp-config")
        .arg(configuration.to_string())
        .output();
    output.await.expect("it runs")
}

/// It starts three runs at once, answers one, denies a command of one, steers one, waits and brings a result home.
async fn a_parent_of_three(rig: &Rig) {
    let Some(program) = real_claude(PINNED_CLAUDE) else {
        return;
    };
    rig.git(&["config", "user.name", "Ada"]);
    rig.git(&["config", "user.email", "ada@example.com"]);
    let call = |tool: &str, args: Value| json!({"call": format!("mcp__cx-operator__{tool}"), "args": args});
    let delegate = |task: &str, brief: &str| {
        let program = built::scripted_agent();
        let root = rig.worktrees();
        call(
            "delegate",
            json!({"task": task, "prompt": brief, "program": program, "worktree_root": root}),
        )
    };
    let gate = rig.path("gate").display().to_string();
    let working = format!("[[await {gate}]] [[status]]");
    let wait = |runs: &[&str]| call("wait", json!({"runs": runs, "timeout_seconds": 50}));
    let steps = json!([
        delegate("indent", "[[question]]"),
        delegate("fetch", "[[shell curl -O https://example.com/x]] [[escalate]]"),
        delegate("rename", &working),
        wait(&["indent"]),
        call("reply", json!({"run": "indent", "text": ANSWER})),
        wait(&["fetch"]),
        call("reply", json!({"run": "fetch", "decision": "deny", "message": "Use the vendored copy."})),
        call("send", json!({"run": "rename", "text": "[[shell echo kept > old; echo 'STATUS: DONE']]"})),
        {"shell": format!("touch {gate}")},
        wait(&["indent", "fetch", "rename"]),
        call("diff", json!({"run": "rename"})),
        call("diff", json!({"run": "rename", "file": "old"})),
        call("apply", json!({"run": "rename", "branch": "renamed"})),
        {"say": "The task is done."},
    ]);
    rig.model.script("parent", &steps);
    let output = claude(rig, &program, &["--allowedTools", "mcp__cx-operator,Bash"]).await;
    let (said, results) = (String::from_utf8_lossy(&output.stdout), results(rig));
    let shown = format!(
        "{results:#?}\n{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("The task is done."), "{shown}");
    assert_eq!(results.len(), 13, "{shown}");
    for (at, wanted) in [
        (3, "tabs or spaces"),
        (5, "curl"),
        (10, "old"),
        (11, "+kept"),
        (12, "renamed"),
    ] {
        assert!(results[at].contains(wanted), "{at}: no {wanted}: {shown}");
    }
    for task in ["indent", "fetch", "rename"] {
        remember(rig, task);
    }
    assert_eq!(first_reply(rig, "fetch"), "deny Use the vendored copy.");
    assert_eq!(rig.git(&["show", "renamed:old"]), "kept");
    rig.git(&["branch", "-q", "-D", "renamed"]);
    rig.note_the_callers_state();
}

fn first_reply(rig: &Rig, task: &str) -> String {
    let run = rig.operator.store().find(task).expect("the run");
    let outcome = run.load_record().expect("readable").expect("a record");
    outcome.replies[0].reply.clone()
}

/// By their own commands, in homes of their own.
async fn real_clients_are_configured(rig: &Rig) {
    let home = rig.path("parent");
    std::fs::create_dir(&home).expect("made");
    let clients = [
        ("codex", native_codex(PINNED), "config.toml"),
        ("codex", native_codex(OLDER[1]), "config.toml"),
        ("claude", real_claude(PINNED_CLAUDE), ".claude.json"),
        ("claude", real_claude(OLDER_CLAUDE), ".claude.json"),
    ];
    for (name, program, file) in clients {
        let Some(program) = program else { return };
        let configure = async |how: &str| {
            let mut command = rig.binary(&["mcp", how, name, "--program"]);
            command
                .arg(&program)
                .env("HOME", &home)
                .env("CODEX_HOME", &home);
            let output = command.output().await.expect("it runs");
            assert!(output.status.success(), "{output:?}");
            std::fs::read_to_string(home.join(file)).unwrap_or_default()
        };
        let server = built::operator().display().to_string();
        for _again in 0..2 {
            let configured = configure("install").await;
            assert!(configured.contains(&server), "{name}: {configured}");
        }
        let configured = configure("uninstall").await;
        assert!(!configured.contains(&server), "{name}: {configured}");
    }
}

fn parent(rig: &Rig, program: &Path) -> Command {
    let mut command: Command = rig.command(program).into();
    // Not the checkout, which is to stay as it is.
    command.current_dir(rig.dir()).kill_on_drop(true);
    command
}
