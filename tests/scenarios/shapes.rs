//! Repositories of many shapes: on each an operator is killed in the middle of a turn, another one takes the work in, and the
//! patch gives the result's tree.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cx_operator::record::{Outcome, Status};
use cx_operator::worktree::Changes;
use rustix::process::Signal;
use tokio::process::Command;

use testkit::git::git;

use crate::rig::{Agent, Rig, on, wait_for};
use testkit::size::size;

mod settings;
mod table;

use settings::SETTINGS;
use table::SHAPES;

/// A repository, and what an agent does in a worktree of it.
struct Shape {
    name: &'static str,
    /// Makes `repo` what it is to be: a line for `/bin/sh` in the directory of everything.
    make: &'static str,
    /// What the agent does besides: a line for `/bin/sh` in its worktree.
    does: &'static str,
    /// More arguments of `delegate`.
    arguments: &'static [&'static str],
    /// Variables of the caller's environment.
    variables: &'static [(&'static str, &'static str)],
    /// What must be so in the worktree after that, by a line for `/bin/sh`.
    holds: &'static str,
    /// Makes `repo` one that the test's own git reads.
    mend: &'static str,
    /// Whether the result is what `git add -A` makes of the files: not where a repository of the agent's is inside.
    as_git: bool,
    /// Where the record must say that the repository is.
    repository: &'static str,
    /// A program without which it can't be tried.
    needs: &'static str,
}

const PLAIN: Shape = Shape {
    name: "plain",
    make: "true",
    does: "true",
    arguments: &[],
    variables: &[],
    holds: "true",
    mend: "true",
    as_git: true,
    repository: "repo",
    needs: "git",
};

#[test]
fn work_survives_in_thorough_shapes() {
    let shapes = SHAPES[..size(4, SHAPES.len())].iter();
    play_all(shapes.chain(&SETTINGS[..size(2, SETTINGS.len())]));
}

fn play_all<'a>(shapes: impl Iterator<Item = &'a Shape>) {
    let only = std::env::var("CX_SHAPE").unwrap_or_default();
    let mut failed = Vec::new();
    for shape in shapes.filter(|shape| shape.name.contains(&only)) {
        if !is_there(shape.needs) {
            continue;
        }
        let play = || on(Agent::Scripted, async |rig: &Rig| play(rig, shape).await);
        if catch_unwind(AssertUnwindSafe(play)).is_err() {
            failed.push(shape.name);
        }
    }
    assert_eq!(failed, [""; 0], "they are not as they should be");
}

/// Whether a program is on PATH; where it must be, it is an error that it isn't.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|dir| dir.join(program).exists());
    let required = std::env::var_os("CX_REQUIRE_REAL_AGENTS").is_some_and(|value| value == "1");
    assert!(found || !required, "{program} is not installed");
    if !found {
        eprintln!("SKIPPED: {program} is not installed");
    }
    found
}

async fn play(rig: &Rig, shape: &Shape) {
    sh(rig, shape.make).await;
    rig.note_the_callers_state();
    kill_in_the_middle(rig, shape).await;
    sh(
        rig,
        &format!(
            "export HOME=$PWD/home; unset GIT_CONFIG_GLOBAL; cd worktrees/cx-t; {}",
            shape.holds
        ),
    )
    .await;
    let tree_of_git = "export HOME=$PWD/home; unset GIT_CONFIG_GLOBAL; cd worktrees/cx-t; cp -p \"$(git rev-parse --git-dir)/cx-operator.index\" ../../git.index; export GIT_INDEX_FILE=$PWD/../../git.index; git add -A --sparse && git write-tree > ../../tree-of-git";
    if shape.as_git {
        sh(rig, tree_of_git).await;
    }
    let outcome = recover(rig).await;
    assert_eq!(
        outcome.status,
        Status::Aborted,
        "{}: {outcome:#?}",
        shape.name
    );
    assert_eq!(
        outcome.changes,
        Changes::Uncommitted,
        "{}: {outcome:#?}",
        shape.name
    );
    assert_eq!(outcome.worktree, None, "{}: {outcome:#?}", shape.name);
    let said = "the repository is where it was";
    assert_eq!(
        outcome.repository,
        Some(real(&rig.path(shape.repository))),
        "{}: {said}",
        shape.name
    );
    sh(rig, shape.mend).await;
    rig.note_the_callers_state();
    assert_applies(rig, &outcome).await;
    if shape.as_git {
        let git = fs::read_to_string(rig.path("tree-of-git")).expect("a tree");
        let ours = fs::read_to_string(rig.path("tree")).expect("a tree");
        let differ = ["diff-tree", "-r", git.trim(), ours.trim()];
        let differ = || rig.git(&differ);
        assert_eq!(ours, git, "{}: {}", shape.name, differ());
    }
}

fn real(path: &Path) -> std::path::PathBuf {
    path.canonicalize().expect("it is there")
}

/// Starts a run and ends its operator by SIGKILL when the agent has done its work and goes on.
async fn kill_in_the_middle(rig: &Rig, shape: &Shape) {
    let (done, script) = (rig.path("done"), rig.path("script"));
    let does = format!(
        "echo done > half; mkdir d; echo more > d/more; {}",
        shape.does
    );
    let text = format!(
        "expect-prompt *\nexec {does}; touch {}\nawait-file {}\nsay Done.\ndefault",
        done.display(),
        rig.path("never").display()
    );
    fs::write(&script, text).expect("the script");
    let mut command = rig.delegation("Do what the script says.", shape.arguments);
    command.env("CX_SCRIPT", script);
    command.envs(shape.variables.iter().copied());
    let mut child = command.spawn().expect("it starts");
    let pid = child.id().expect("it runs");
    wait_for("the agent's work", || {
        if let Ok(Some(status)) = child.try_wait() {
            panic!("{}: it ended: {status}", shape.name);
        }
        done.exists().then_some(())
    })
    .await;
    rig.signal(pid, Signal::KILL);
    child.wait().await.expect("it ended");
}

/// Has the run ended; returns its record.
async fn recover(rig: &Rig) -> Outcome {
    let end = rig.binary(&["recover", "--end", "--json"]).output().await;
    let end = end.expect("it runs");
    assert!(
        end.status.success(),
        "{}",
        String::from_utf8_lossy(&end.stdout)
    );
    let show = rig.binary(&["show", "--json", "t"]).output().await;
    let outcome: Outcome =
        serde_json::from_slice(&show.expect("it runs").stdout).expect("a record");
    rig.keep_in_mind(&outcome);
    outcome
}

/// The patch, applied to a checkout of the base, gives the result's tree.
async fn assert_applies(rig: &Rig, outcome: &Outcome) {
    let text = |value: &Option<String>| value.clone().expect("it is known");
    let (base, result) = (text(&outcome.base_commit), text(&outcome.result_commit));
    let patch = outcome.patch.as_ref().expect("a patch");
    let line = format!(
        "export GIT_INDEX_FILE=$PWD/applied.index TOP=$PWD; cd repo; git read-tree {base} && git apply --cached --binary {} && git write-tree > $TOP/tree",
        patch.display()
    );
    sh(rig, &line).await;
    let tree = fs::read_to_string(rig.path("tree")).expect("a tree");
    let expected = rig.git(&["rev-parse", &format!("{result}^{{tree}}")]);
    assert_eq!(tree.trim(), expected, "the patch gives another tree");
    let half = rig.git(&["show", &format!("{result}:half")]);
    assert_eq!(half, "done");
}

/// Runs a line in the directory of everything.
async fn sh(rig: &Rig, line: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]).current_dir(rig.path(""));
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Ada")
            .env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    let output = command.output().await.expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

/// An agent that does nothing changes nothing, whatever stands in the place of its base for the user's git.
#[test]
fn a_base_that_is_replaced_or_dirty_is_no_change() {
    let replaced = SHAPES
        .iter()
        .find(|shape| shape.name == "a commit that is replaced");
    let replaced = replaced.expect("it is in the table");
    for (make, mend, arguments) in [
        (replaced.make, replaced.mend, &[][..]),
        (
            "cd repo; git init -q own; git -C own commit -q --allow-empty -m own; echo x > x",
            "true",
            &["--include-dirty"],
        ),
    ] {
        on(Agent::Scripted, async |rig: &Rig| {
            sh(rig, make).await;
            rig.note_the_callers_state();
            let mut delegation = rig.delegation("Hello.", arguments);
            let output = delegation.output().await.expect("it runs");
            let (outcome, _) = rig.document(&output);
            assert_eq!(outcome.changes, Changes::None, "{outcome:#?}");
            let said = |notice: &String| notice.starts_with("own is a repository");
            let told = outcome.notices.iter().any(said);
            assert_eq!(told, !arguments.is_empty(), "{:?}", outcome.notices);
            sh(rig, mend).await;
            rig.note_the_callers_state();
        });
    }
}

/// A repository of another user is git's to judge: refused with its remedy, and used once that was followed.
#[test]
fn a_repository_of_another_user_is_used_where_git_trusts_it() {
    on(Agent::Scripted, async |rig: &Rig| {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        sh(rig, "chown -R 1234 repo").await;
        rig.note_the_callers_state();
        let output = rig
            .delegation("Hello.", &[])
            .output()
            .await
            .expect("it runs");
        let (refused, exit) = rig.document(&output);
        let message = refused.error.expect("an error").message;
        assert_eq!(exit, 8, "{message}");
        assert!(
            message.contains("git config --global --add safe.directory"),
            "{message}"
        );
        let trust = format!("[safe]\n\tdirectory = {}\n", rig.repo().display());
        fs::write(rig.path("home/.gitconfig"), trust).expect("the user's configuration");
        kill_in_the_middle(
            rig,
            &Shape {
                does: "git status >/dev/null",
                ..PLAIN
            },
        )
        .await;
        let outcome = recover(rig).await;
        sh(rig, "chown -R 0 repo").await;
        assert_applies(rig, &outcome).await;
    });
}

/// A path that no record can hold is refused before anything is made.
#[test]
fn a_path_that_is_no_text_is_refused() {
    on(Agent::Scripted, async |rig: &Rig| {
        let odd = rig.path("").join(std::ffi::OsStr::from_bytes(b"odd\xff"));
        fs::create_dir(&odd).expect("a directory");
        for option in ["--worktree-root", "--state-dir", "--repo"] {
            if option == "--repo" {
                git(&rig.path(""), &["clone", "-q", "repo", "clone"]);
                fs::remove_dir_all(&odd).expect("it was there");
                fs::rename(rig.path("clone"), &odd).expect("renamed");
            }
            let mut command =
                rig.binary(&["delegate", "--task", "t", "--prompt", "Hello.", "--json"]);
            let output = command
                .args(["--codex", env!("CARGO_BIN_EXE_scripted-agent")])
                .arg(option)
                .arg(&odd)
                .output()
                .await
                .expect("it runs");
            let (outcome, exit) = rig.document(&output);
            let message = outcome.error.expect("an error").message;
            assert!(exit == 7 || exit == 8, "{option}: {exit} {message}");
            assert!(message.contains("is not UTF-8"), "{option}: {message}");
        }
    });
}

/// A repository that is away is neither "nothing there" nor found somewhere else; once it is back the work is taken in.
#[test]
fn a_repository_that_is_away_is_said_and_tried_again() {
    on(Agent::Scripted, async |rig: &Rig| {
        sh(
            rig,
            "git init -q .; git -C repo init -q --separate-git-dir ../store",
        )
        .await;
        rig.note_the_callers_state();
        kill_in_the_middle(rig, &PLAIN).await;
        sh(rig, "mv store away").await;
        for arguments in [
            &["recover", "--end"][..],
            &["cleanup"],
            &["prune", "--older-than", "0s"],
        ] {
            let output = rig.binary(arguments).output().await.expect("it runs");
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said).into_owned();
            let why = ["moved or deleted", "needs recovery"];
            assert!(
                why.iter().any(|why| said.contains(why)),
                "{arguments:?}: {said}"
            );
            assert!(
                rig.worktree().join("half").exists(),
                "{arguments:?}: {said}"
            );
        }
        let said = rig
            .binary(&["cleanup", "--dry-run"])
            .output()
            .await
            .expect("it runs");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            said.contains("moved or deleted") && !said.contains("would remove"),
            "{said}"
        );
        sh(rig, "mv away store").await;
        let outcome = recover(rig).await;
        assert_eq!(outcome.changes, Changes::Uncommitted, "{outcome:#?}");
        assert_applies(rig, &outcome).await;
        sh(rig, "rm -rf .git").await;
    });
}
