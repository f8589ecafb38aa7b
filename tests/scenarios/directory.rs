//! Where the agent starts: where the caller is, or where it is told to.

use std::fs;

use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};

use testkit::git::git;

use crate::rig::{Agent, Rig};

on_every_codex!(as_the_caller);
on_codex!(
    told,
    not_in_the_base,
    linked,
    refused,
    taken_over,
    settings_of_the_directory
);

/// A repository with directories, in a sandbox that lets the agent write to nothing but its workspace.
fn prepare(rig: &Rig) {
    let repo = rig.repo();
    fs::create_dir_all(repo.join("app/web")).expect("directories");
    fs::create_dir_all(repo.join("ignored")).expect("a directory");
    fs::write(repo.join("app/web/page"), "page\n").expect("a file");
    fs::write(repo.join(".gitignore"), "ignored/\n").expect("a file");
    git(&repo, &["add", "-A"]);
    let author = ["-c", "user.name=dev", "-c", "user.email=dev@localhost"];
    git(
        &repo,
        &[&author[..], &["commit", "-qm", "directories"]].concat(),
    );
    // 0.130.0 adds no directory.
    if !matches!(rig.agent, Agent::Codex("0.130.0")) {
        rig.configure(
            "\n[sandbox_workspace_write]\nexclude_slash_tmp = true\nexclude_tmpdir_env_var = true\n",
        );
    }
    rig.note_the_callers_state();
}

const WRITES: &str = "[[shell pwd > here.txt && echo new > $(git rev-parse --show-toplevel)/top.txt; cat top.txt ../../top.txt]]";

/// The paths of the result, which the patch brings to where they belong.
fn assert_worked_in(rig: &Rig, outcome: &Outcome, directory: &str) {
    assert_eq!(outcome.status, Status::Completed, "{outcome:#?}");
    let here = format!("{directory}here.txt");
    let patch = fs::read_to_string(outcome.patch.as_ref().expect("a patch")).expect("it is there");
    let expected = rig.worktree().join(directory).display().to_string();
    assert!(
        patch.contains(&format!("\n+{}\n", expected.trim_end_matches('/'))),
        "{patch}"
    );
    let paths: Vec<_> = outcome.files.iter().map(|file| &*file.path).collect();
    assert_eq!(paths, [&*here, "top.txt"], "{outcome:#?}");
}

async fn as_the_caller(rig: &Rig) {
    prepare(rig);
    let mut task = rig.task(WRITES);
    task.repository = rig.repo().join("app/web");
    let outcome = rig.delegate(task).await;
    assert_worked_in(rig, &outcome, "app/web/");
}

async fn told(rig: &Rig) {
    prepare(rig);
    for told in ["app/", "app/web/.."] {
        let output = rig.delegation(WRITES, &["--cwd", told]).output().await;
        let (outcome, _) = rig.document(&output.expect("it runs"));
        assert_worked_in(rig, &outcome, "app/");
    }
    let path = rig.repo().join("app");
    let path = path.to_str().expect("UTF-8");
    let output = rig.delegation(WRITES, &["--cwd", path]).output().await;
    let (outcome, _) = rig.document(&output.expect("it runs"));
    assert_worked_in(rig, &outcome, "app/");
    // The top, from below.
    let mut task = rig.task(WRITES);
    task.repository = rig.repo().join("app/web");
    task.directory = Some(".".into());
    let outcome = rig.delegate(task).await;
    assert_worked_in(rig, &outcome, "");
}

/// A directory that is in no commit is not in the worktree.
async fn not_in_the_base(rig: &Rig) {
    prepare(rig);
    let mut task = rig.task(WRITES);
    task.repository = rig.repo().join("ignored");
    let outcome = rig.delegate(task).await;
    assert_worked_in(rig, &outcome, "");
    let told = |notice: &String| notice.contains("the base has no directory ignored");
    assert!(outcome.notices.iter().any(told), "{outcome:#?}");
}

/// A link that leads into the checkout is where it leads to.
async fn linked(rig: &Rig) {
    prepare(rig);
    let link = rig.path("link");
    std::os::unix::fs::symlink(rig.repo().join("app"), &link).expect("a link");
    let mut task = rig.task(WRITES);
    task.repository = link;
    let outcome = rig.delegate(task).await;
    assert_worked_in(rig, &outcome, "app/");
}

async fn refused(rig: &Rig) {
    prepare(rig);
    for (told, why) in [
        ("nowhere", "the base has no such directory"),
        ("app/web/page", "the base has no such directory"),
        ("..", "not below the top"),
        ("app/../../x", "not below the top"),
        ("/etc", "not below the top"),
        ("ignored", "the base has no such directory"),
    ] {
        let output = rig.delegation(WRITES, &["--cwd", told]).output().await;
        let (outcome, exit) = rig.document(&output.expect("it runs"));
        let error = outcome.error.as_ref().expect("an error");
        assert_eq!((error.code.as_str(), exit), ("usage", 2), "{told}");
        assert!(
            error.message.contains(told) && error.message.contains(why),
            "{error:?}"
        );
        assert_eq!(outcome.run_dir, None);
    }
}

/// Whoever takes the run over knows where the agent works: its next prompt is proven there.
async fn taken_over(rig: &Rig) {
    prepare(rig);
    let brief = "[[question]]";
    let answers = rig.path("answers.toml");
    fs::write(
        &answers,
        format!("[[answer]]\npattern = \"tabs\"\nreply = '''{WRITES}'''\n"),
    )
    .expect("answers");
    let answers = answers.display().to_string();
    let responder = format!("sleep 3; exit 1 # {answers}");
    let mut child = rig
        .spawn_delegation(
            brief,
            &[
                "--cwd",
                "app",
                "--responder",
                &responder,
                "--answers",
                &answers,
            ],
        )
        .await;
    rig.wait_for_event("the prompt", |progress| {
        matches!(progress, Progress::Launched { .. })
    })
    .await;
    child.start_kill().expect("killed");
    child.wait().await.expect("it ends");
    let output = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, _) = rig.document(&output.expect("it runs"));
    assert_worked_in(rig, &outcome, "app/");
    assert_eq!(outcome.turns, 2);
}

/// codex obeys the settings of every directory between the top and where it starts.
async fn settings_of_the_directory(rig: &Rig) {
    prepare(rig);
    let repo = rig.repo();
    fs::create_dir_all(repo.join("app/.codex")).expect("a directory");
    fs::write(
        repo.join("app/.codex/config.toml"),
        "model_reasoning_effort = \"low\"\n",
    )
    .expect("settings");
    git(&repo, &["add", "-A"]);
    let author = ["-c", "user.name=dev", "-c", "user.email=dev@localhost"];
    git(
        &repo,
        &[&author[..], &["commit", "-qm", "settings"]].concat(),
    );
    rig.note_the_callers_state();
    let mut task = rig.task("[[say Done. All is well.]]");
    task.repository = repo.join("app/web");
    let outcome = rig.delegate(task).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:#?}");
    let told = |notice: &String| notice.contains("obeys app/.codex/config.toml");
    assert!(outcome.notices.iter().any(told), "{outcome:#?}");
}
