//! The same in Claude Code's `settings.json`: through the program, and as the real one obeys it.

use std::process::Command;

use testkit::agents::{PINNED_CLAUDE, real_claude};
use testkit::mock_model::MockModel;
use testkit::processes::has_ended;
use testkit::wait::wait_for;
use testkit::world::{Ran, World, names};

use super::*;

const SETTINGS: &str = r#"{
    "permissions": {"allow": ["Bash(ls:*)"], "deny": []},
    "hooks": {
        "Stop": [{"matcher": "", "hooks": [{"type": "command", "command": "/usr/bin/say done", "timeout": 5}]}],
        "PreToolUse": [{"matcher": "Bash", "hooks": [{"type": "http", "url": "http://localhost/"}]}]
    },
    "env": {"B": "2", "A": "1"},
    "cleanupPeriodDays": 99999
}
"#;
const EVENTS: [&str; 5] = [
    "SessionStart",
    "UserPromptSubmit",
    "PermissionRequest",
    "Stop",
    "StopFailure",
];

/// A world whose user has these settings.
fn world(settings: Option<&str>) -> World {
    let world = World::bare();
    fs::create_dir(world.path("home/.claude")).expect("a directory");
    if let Some(settings) = settings {
        world.write("home/.claude/settings.json", settings);
    }
    world
}

fn hooks(world: &World, arguments: &[&str]) -> Ran {
    let arguments = [&["hooks"], arguments, &["--executor", "claude"]].concat();
    world.cli(&arguments)
}

fn settings(world: &World) -> Value {
    let text = fs::read(world.path("home/.claude/settings.json")).expect("the settings");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn settings_keep_order_and_content() {
    let world = world(Some(SETTINGS));
    let before = settings(&world);
    let installed = hooks(&world, &["install", "--json"]);
    assert_eq!(installed.code, 0, "{}", installed.stderr);
    let document = installed.document();
    let changes = document["changes"].as_array().expect("changes");
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change["event"].as_str(), change["action"].as_str()))
        .collect();
    assert_eq!(told, EVENTS.map(|event| (Some(event), Some("added"))));
    let backup = document["backup"].as_str().expect("a backup");
    assert_eq!(fs::read_to_string(backup).expect("readable"), SETTINGS);

    let after = settings(&world);
    for (name, value) in before.as_object().expect("an object") {
        if name != "hooks" {
            assert_eq!(after[name].to_string(), value.to_string());
        }
    }
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, _)| key.clone())
            .collect()
    };
    assert_eq!(keys(&after), keys(&before));
    assert_eq!(after["hooks"]["Stop"][0], before["hooks"]["Stop"][0]);
    assert_eq!(
        after["hooks"]["Stop"][1],
        command_entry(&command(Kind::Stop))
    );
    assert_eq!(
        after["hooks"]["StopFailure"],
        json!([command_entry(&command(Kind::Stop))])
    );

    let again = hooks(&world, &["install"]);
    assert_eq!(
        again.stdout.matches("  kept ").count(),
        5,
        "{}",
        again.stdout
    );
    assert_eq!(again.stderr, "", "nobody has to trust them");
    assert_eq!(settings(&world).to_string(), after.to_string());

    let verified = hooks(&world, &["verify"]);
    assert_eq!(verified.code, 0, "{}{}", verified.stdout, verified.stderr);
    assert_eq!(
        verified.stdout.matches("ok  ").count(),
        5,
        "{}",
        verified.stdout
    );

    assert_eq!(hooks(&world, &["uninstall"]).code, 0);
    assert_eq!(settings(&world).to_string(), before.to_string());
}

#[test]
fn settings_that_did_not_exist_are_removed() {
    let world = world(None);
    hooks(&world, &["install"]);
    let verified = hooks(&world, &["verify", "--json"]).document();
    assert_eq!(verified["works"], true, "{verified}");
    assert_eq!(hooks(&world, &["uninstall"]).code, 0);
    assert_eq!(names(&world.path("home/.claude")), [""; 0]);
    let verified = hooks(&world, &["verify"]);
    assert_eq!(verified.code, 7);
    let advice = "`cx-operator hooks install --executor claude`";
    assert_eq!(
        verified.stdout.matches(advice).count(),
        5,
        "{}",
        verified.stdout
    );
}

#[test]
fn what_keeps_them_from_working_is_told() {
    let world = world(Some(r#"{"disableAllHooks": true}"#));
    hooks(&world, &["install"]);
    let verified = hooks(&world, &["verify"]);
    assert_eq!(verified.code, 7);
    assert!(
        verified.stdout.contains("disableAllHooks is set"),
        "{}",
        verified.stdout
    );

    // A helper that is there and fails is no helper.
    let home = Home::new();
    let helper = home.helper("broken");
    global_hooks::install(hooks_of("claude"), &home.path(), &helper).expect("installable");
    fs::remove_file(helper.program()).expect("it is there");
    symlink("/bin/false", helper.program()).expect("a link");
    let found = global_hooks::verify(hooks_of("claude"), None, &home.path()).expect("a state");
    assert!(
        found.hooks.iter().all(|hook| !hook.runnable && !hook.works),
        "{found:?}"
    );
}

/// What is installed can be uninstalled, and what was there is there again, byte for byte.
#[test]
fn every_form_that_the_program_reads_is_taken_and_given_back() {
    let in_windows = SETTINGS.replace('\n', "\r\n");
    let with_mark = format!("\u{feff}{SETTINGS}");
    let with_tabs = SETTINGS.replace("    ", "\t");
    let with_three = SETTINGS.replace("    ", "   ");
    for before in [
        "",
        " \n\t\n",
        "{}",
        "{\n}",
        r#"{"model":"opus","hooks":{}}"#,
        r#"{ "b" : 1.50, "a": "\u00e9" }"#,
        &in_windows,
        &with_mark,
        &with_tabs,
        &with_three,
    ] {
        let world = world(Some(before));
        let path = world.path("home/.claude/settings.json");
        let installed = hooks(&world, &["install"]);
        assert_eq!(installed.code, 0, "{before:?}: {}", installed.stderr);
        let verified = hooks(&world, &["verify"]);
        assert_eq!(verified.code, 0, "{before:?}: {}", verified.stdout);
        let after = fs::read_to_string(&path).expect("the settings");
        assert_eq!(
            after.starts_with('\u{feff}'),
            before.starts_with('\u{feff}')
        );
        let ends = after.matches('\n').count();
        let foreign = after.matches("\r\n").count();
        assert_eq!(foreign, if before.contains("\r\n") { ends } else { 0 });
        let inner = |text: &str| {
            text.lines()
                .nth(1)
                .map(|line| line.len() - line.trim_start().len())
        };
        if before.lines().count() > 2 {
            assert_eq!(inner(&after), inner(before), "{after}");
        }
        assert_eq!(hooks(&world, &["uninstall"]).code, 0);
        assert_eq!(fs::read_to_string(&path).expect("the settings"), before);
    }
}

/// As it is where a manager of such files puts a link.
#[test]
fn a_link_stays_one() {
    let world = world(None);
    world.write("files/claude.json", SETTINGS);
    let link = world.path("home/.claude/settings.json");
    symlink("../../files/claude.json", &link).expect("a link");
    assert_eq!(hooks(&world, &["install"]).code, 0);
    assert!(link.is_symlink());
    assert_ne!(fs::read_to_string(&link).expect("the settings"), SETTINGS);
    assert_eq!(hooks(&world, &["uninstall"]).code, 0);
    assert!(link.is_symlink());
    let text = fs::read_to_string(world.path("files/claude.json"));
    assert_eq!(text.expect("the settings"), SETTINGS);
}

#[test]
fn what_cannot_be_written_or_read_is_left_alone() {
    let world = world(Some(SETTINGS));
    let path = world.path("home/.claude/settings.json");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
    mode(0o444);
    let refused = hooks(&world, &["install"]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let message = format!("failed to write {}: permission denied", path.display());
    assert!(refused.stderr.contains(&message), "{}", refused.stderr);
    assert_eq!(names(&world.path("home/.claude")), ["settings.json"]);
    mode(0o644);
    for (text, place) in [
        ("{\n  // mine\n  \"model\": \"opus\"\n}", "line 2, column 3"),
        ("{\"hooks\":\n[]}", "line 2, column "),
        ("{\"hooks\": {\"Stop\":\n{}}}", "line 2, column "),
        ("[]", "line 1, column "),
    ] {
        fs::write(&path, text).expect("written");
        for action in ["install", "verify", "uninstall"] {
            let refused = hooks(&world, &[action]);
            assert_eq!(refused.code, 1, "{text}: {}", refused.stdout);
            let said = &refused.stderr;
            let begin = format!("{} is invalid, {place}", path.display());
            assert!(said.contains(&begin), "{text}: {said}");
        }
        assert_eq!(fs::read_to_string(&path).expect("the settings"), text);
    }
}

/// A hook that does not come back is given up with all that it started.
#[test]
fn a_trial_ends_with_its_whole_tree() {
    let home = Home::new();
    let helper = home.helper("slow");
    global_hooks::install(hooks_of("claude"), &home.path(), &helper).expect("installable");
    let told = home.path().join("told");
    let script = format!(
        "#!/bin/sh\nsleep 600 & echo $! >> '{}'\nwait\n",
        told.display()
    );
    fs::remove_file(helper.program()).expect("it is there");
    fs::write(helper.program(), script).expect("a script");
    fs::set_permissions(helper.program(), fs::Permissions::from_mode(0o755)).expect("ours");
    let found = global_hooks::verify(hooks_of("claude"), None, &home.path()).expect("a state");
    assert!(found.hooks.iter().all(|hook| !hook.works), "{found:?}");
    let pids = fs::read_to_string(told).expect("it was tried");
    assert_eq!(pids.lines().count(), EVENTS.len());
    for pid in pids.lines() {
        wait_for("the end of what a hook started", || {
            has_ended(pid.parse().expect("a pid")).then_some(())
        });
    }
}

#[test]
fn another_directory_can_be_named() {
    let mut world = world(Some(SETTINGS));
    fs::create_dir(world.path("elsewhere")).expect("a directory");
    world.set(
        "CLAUDE_CONFIG_DIR",
        &world.path("elsewhere").display().to_string(),
    );
    hooks(&world, &["install"]);
    assert_eq!(names(&world.path("elsewhere")), ["settings.json"]);
    let named = world.path("home/.claude").display().to_string();
    let verified = hooks(&world, &["verify", "--json", "--home", &named]).document();
    assert_eq!(verified["works"], false);
    let nowhere = hooks(&world, &["install", "--home", "/nowhere"]);
    assert_eq!(nowhere.code, 1);
    let message = "claude's home directory /nowhere does not exist";
    assert!(nowhere.stderr.contains(message), "{}", nowhere.stderr);
}

#[test]
fn an_executor_without_such_hooks_is_refused() {
    let world = World::bare();
    for action in ["install", "verify", "uninstall"] {
        let refused = world.cli(&["hooks", action, "--executor", "scripted"]);
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        let message = "scripted has no hooks for all of a user's sessions: --executor must be one of: codex, claude";
        assert!(refused.stderr.contains(message), "{}", refused.stderr);
    }
}

/// In a session that no run has begun, and in one that is a run's, which has hooks of its own.
#[test]
fn the_real_one_runs_them() {
    let Some(claude) = real_claude(PINNED_CLAUDE) else {
        return;
    };
    let mut world = world(Some("{}"));
    let model = MockModel::start().expect("a model");
    world.use_model_for_claude(&model);
    hooks(&world, &["install"]);
    let verified = hooks(&world, &["verify", "--json"]).document();
    assert_eq!(verified["works"], true, "{verified}");
    let ask = |command: &mut Command| {
        let output = command.args(["-p", "--", "[[say Voilà.]]"]).output();
        let output = output.expect("it runs");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "Voilà.\n",
            "{output:?}"
        );
    };
    ask(world.command(&claude).env("CX_OPERATOR_RUN", "a run"));
    assert_eq!(names(&world.repo()), [""; 0]);

    ask(&mut world.command(&claude));
    let session = fs::read_to_string(world.repo().join(".session-id")).expect("a session");
    let session = session.trim();
    let expected = [
        format!(".done-{session}"),
        ".session-id".to_owned(),
        format!("sentinel-{session}.json"),
    ];
    assert_eq!(names(&world.repo()), expected);
    let sentinel = fs::read(world.repo().join(&expected[2])).expect("the end of the turn");
    let payload: Value = serde_json::from_slice(&sentinel).expect("JSON");
    assert_eq!(payload["last_assistant_message"], "Voilà.");
}
