//! A repository that means no good, and an agent that obeys it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Stdio;

use cx_operator::agent::executor::TrustPolicy;
use cx_operator::record::{Outcome, Status};

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use testkit::git::git;

use crate::rig::Rig;

on_both!(
    a_repository_runs_nothing_of_its_own,
    links_and_odd_names_lead_nowhere,
    settings_of_a_repository_are_told_or_surfaced
);

on_scripted!(a_pane_reaches_nothing_of_the_terminal_but_its_cells);

/// A command that leaves a trace.
fn traced(rig: &Rig, name: &str) -> String {
    format!("echo {name} >>'{}'", rig.path("ran").display())
}

fn plant(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, text).expect("written");
}

fn plant_program(path: &Path, command: &str) {
    plant(path, &format!("#!/bin/sh\n{command}\ncat\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("executable");
}

fn commit(rig: &Rig) {
    rig.git(&["add", "-A"]);
    rig.git(&["commit", "-q", "-m", "as it came"]);
}

fn ran(rig: &Rig) -> String {
    fs::read_to_string(rig.path("ran")).unwrap_or_default()
}

/// Hooks of git and of codex, a file system monitor, filters, a submodule whose address is a command.
async fn a_repository_runs_nothing_of_its_own(rig: &Rig) {
    let repo = rig.repo();
    let hook = format!(
        r#"{{"hooks":[{{"type":"command","command":"{}"}}]}}"#,
        traced(rig, "codex-hook")
    );
    let hooks = format!(
        r#"{{"hooks":{{"SessionStart":[{hook}],"UserPromptSubmit":[{hook}],"Stop":[{hook}]}}}}"#
    );
    plant(&repo.join(".codex/hooks.json"), &hooks);
    plant(
        &repo.join(".gitattributes"),
        "* filter=evil diff=evil merge=evil\n",
    );
    plant(
        &repo.join(".gitmodules"),
        "[submodule \"s\"]\n\tpath = s\n\turl = ext::sh -c touch% ran\n",
    );
    plant(&repo.join(".envrc"), &traced(rig, "envrc"));
    commit(rig);
    for name in [
        "post-checkout",
        "pre-commit",
        "post-commit",
        "reference-transaction",
        "post-index-change",
    ] {
        plant_program(&repo.join(".git/hooks").join(name), &traced(rig, name));
    }
    let monitor = rig.path("monitor");
    plant_program(&monitor, &traced(rig, "fsmonitor"));
    git(
        &repo,
        &["config", "core.fsmonitor", &monitor.to_string_lossy()],
    );
    drop(fs::remove_file(rig.path("ran")));
    rig.note_the_callers_state();
    let outcome = rig
        .delegate(rig.task("[[shell echo x > new; echo 'STATUS: DONE']]"))
        .await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_eq!(ran(rig), "");
    rig.apply(&outcome);
}

/// What a trusted repository may do is said, and without trust it does nothing.
async fn settings_of_a_repository_are_told_or_surfaced(rig: &Rig) {
    let server = format!(
        "[mcp_servers.x]\ncommand = \"sh\"\nargs = [\"-c\", \"{}\"]\n",
        traced(rig, "server")
    );
    let mut settings = ".codex/config.toml";
    if rig.is_claude() {
        settings = ".claude/settings.json";
        let hook = json!({"type": "command", "command": traced(rig, "hook")});
        let hooks = json!({"hooks": {"SessionStart": [{"hooks": [hook]}]}});
        plant(&rig.repo().join(settings), &hooks.to_string());
    } else {
        plant(&rig.repo().join(settings), &server);
    }
    commit(rig);
    rig.note_the_callers_state();
    let mut task = rig.task("[[say Done.]]");
    task.agent.trust = TrustPolicy::Ask;
    let outcome = rig.delegate(task).await;
    let end = match rig.is_by_requests() {
        true => Status::Completed,
        false => Status::BlockedDialog,
    };
    assert_eq!(outcome.status, end, "{outcome:?}");
    assert_eq!(ran(rig), "");
    let outcome = rig.delegate(rig.task("[[say Done.]]")).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let told = |notice: &String| notice.contains(settings) && notice.contains("--trust ask");
    assert!(outcome.notices.iter().any(told), "{:?}", outcome.notices);
}

fn paths(outcome: &Outcome) -> Vec<&str> {
    outcome
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect()
}

/// What the agent puts in place of files and directories: links to the outside, and names that read as options.
async fn links_and_odd_names_lead_nowhere(rig: &Rig) {
    let repo = rig.repo();
    let outside = rig.path("outside");
    plant(&outside.join("secret"), "not yours\n");
    for name in ["--help", "-rf", "dir/-x", ":(glob)*", "dir/file"] {
        plant(&repo.join(name), "here\n");
    }
    symlink(&outside, repo.join("link")).expect("a link");
    commit(rig);
    rig.note_the_callers_state();
    let to = outside.display();
    let script = format!(
        "expect-prompt *\nexec cd '{work}' && rm -r dir && ln -s '{to}' dir && ln -s '{to}/secret' leak && echo more >>./-rf && rm ./--help\nsay Done.\ndefault",
        work = rig.worktree().display()
    );
    let task = match rig.agent {
        crate::rig::Agent::Scripted => rig.scripted(&script),
        _ => rig.task(&format!(
            "[[shell rm -r dir && ln -s '{to}' dir && ln -s '{to}/secret' leak && echo more >>./-rf && rm ./--help; echo 'STATUS: DONE']]"
        )),
    };
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    let mut found = paths(&outcome);
    found.sort_unstable();
    assert_eq!(
        found,
        ["--help", "-rf", "dir", "dir/-x", "dir/file", "leak"]
    );
    assert_eq!(
        fs::read_to_string(outside.join("secret")).expect("it is there"),
        "not yours\n"
    );
    let patch = fs::read_to_string(outcome.patch.as_ref().expect("a patch")).expect("text");
    assert!(!patch.contains("not yours"), "{patch}");
    let clone = rig.apply(&outcome);
    assert_eq!(fs::read_link(clone.join("dir")).expect("a link"), outside);
}

/// What the agent draws, as the terminal of somebody who attaches gets it.
async fn a_pane_reaches_nothing_of_the_terminal_but_its_cells(rig: &Rig) {
    let drawn = "\u{1b}]0;owned-title\u{7}\u{1b}]2;owned-title\u{7}\u{1b}]52;c;b3duZWQ=\u{7}\u{1b}]8;;file:///owned-link\u{1b}\\x\u{1b}]8;;\u{1b}\\\u{1b}Ptmux;\u{1b}\u{1b}]52;c;b3duZWQ=\u{7}\u{1b}\\\u{1b}]777;notify;owned-note;x\u{7}drawn-to-the-end\r\n";
    plant(&rig.path("drawing"), drawn);
    let script = format!(
        "expect-prompt *\nshow-file {}\nhang",
        rig.path("drawing").display()
    );
    let run = rig.start(rig.scripted(&script)).await;
    rig.wait_for_screen("drawn-to-the-end").await;
    let attach = format!("'{}' attach t", env!("CARGO_BIN_EXE_cx-operator"));
    let mut terminal = rig.binary(&[]);
    let environment: Vec<_> = terminal
        .as_std()
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    terminal = Command::new("script");
    terminal
        .args(["-qfc", &attach, "/dev/null"])
        .env_clear()
        .envs(environment)
        .env("TERM", "xterm-256color")
        .kill_on_drop(true);
    let mut attached = terminal
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script runs");
    let mut stdout = attached.stdout.take().expect("a pipe");
    let mut got = Vec::new();
    while !String::from_utf8_lossy(&got).contains("drawn-to-the-end") {
        let count = stdout.read_buf(&mut got).await.expect("readable");
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&got));
    }
    attached.kill().await.expect("it ends");
    let got = String::from_utf8_lossy(&got).into_owned();
    for trace in ["owned", "b3duZWQ", "]52;", "]8;", "]777;", "Ptmux"] {
        assert!(!got.contains(trace), "{trace}: {got:?}");
    }
    run.canceller().cancel("the test");
    rig.outcome(run).await;
}
