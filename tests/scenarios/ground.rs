//! The fault table, its second half: what happens to the ground that a run stands on, its worktree, its repository, the disk.
//!
//! A row is data: what the agent does in the middle of its turn, and how the run must end. Each is a test of its own, and says
//! in one line how it came out: `cargo test --test scenarios ground -- --nocapture | grep '^|'` prints the table. After each row
//! nothing is left; where the removal was refused, the record says where the work is, and a cleanup takes it in once the fault
//! is mended.

mod disk;
mod git;
mod limits;
mod many;
mod state;
mod time;
mod tree;

use std::process::Stdio;
use std::time::{Duration, Instant};

use cx_operator::record::{Outcome, Status};
use cx_operator::worktree::Changes;
use serde_json::Value;
use tokio::process::Command;

use testkit::git::git;

use crate::rig::{Agent, Rig, on};

/// Makes a test of each row: `name = Row { … }`.
macro_rules! table {
    ($($name:ident = $row:expr;)+) => { $(
        #[test]
        fn $name() {
            $crate::ground::assert_row(stringify!($name), &$row);
        }
    )+ };
}
use table;

/// What must have become of the agent's work.
#[derive(Clone, Copy)]
enum Work {
    /// The result is what git makes of the same doing in a clone of the base.
    AsGit,
    /// These files of the result, `(path, content)`.
    Files(&'static [(&'static str, &'static str)]),
    /// The worktree was kept and said; after the mending and a cleanup these are files of the result.
    Kept(&'static [(&'static str, &'static str)]),
    /// It was taken in, and something else is left, which is said; after the mending a cleanup removes it.
    Late(&'static [(&'static str, &'static str)]),
    /// It was taken in, and the worktree, which nothing proves to be ours any more, is left and said for good.
    Left(&'static [(&'static str, &'static str)]),
    /// There was nothing to keep.
    Nothing,
}

/// One fault, and the end that it must come to.
struct Row {
    /// What the agent does in its worktree, in the middle of a turn: a line for `/bin/sh`. `$RIG` is the directory of
    /// everything, with `repo`, `state` and `worktrees`.
    does: &'static str,
    status: Status,
    code: Option<&'static str>,
    /// The longest that the run may take, in seconds.
    within: u64,
    /// What the record or stderr must say.
    said: &'static str,
    /// What the record must say of the changes, where the work doesn't tell.
    changes: Option<Changes>,
    work: Work,
    /// Whether the doing changes the user's repository, so that only our own traces in it are looked for.
    in_repository: bool,
    /// Mends the fault, in `$RIG`: a line for `/bin/sh`.
    mend: &'static str,
    /// What the operator is started by, such as `prlimit --nofile=64`.
    under: &'static [&'static str],
    /// Whether the result can't be seen from here: whoever plays the row looks at it.
    elsewhere: bool,
}

/// A row whose fault changes nothing for the run.
const HARMLESS: Row = Row {
    does: "true",
    status: Status::Completed,
    code: None,
    within: 20,
    said: "",
    changes: None,
    work: Work::AsGit,
    in_repository: false,
    mend: "true",
    under: &[],
    elsewhere: false,
};

/// A row whose fault makes the snapshot impossible: the tree stays.
const REFUSED: Row = Row {
    status: Status::Failed,
    code: Some("repository"),
    said: "nothing was removed: the work is in ",
    changes: Some(Changes::Unknown),
    ..HARMLESS
};

/// Plays a row on the scripted agent.
fn assert_row(name: &str, row: &Row) {
    on(Agent::Scripted, async |rig: &Rig| {
        play(rig, name, row, row.under).await;
    });
}

/// Plays a row, everything of it started by `starter`.
async fn play(rig: &Rig, name: &str, row: &Row, starter: &[&str]) -> Outcome {
    let began = Instant::now();
    let mut command = rig.delegation("Do what the script says.", &["--turn-timeout", "5s"]);
    command.env("CX_SCRIPT", script(rig, row.does));
    let output = under(rig, starter, &command)
        .output()
        .await
        .expect("it starts");
    let took = began.elapsed();
    let (outcome, _) = rig.document(&output);
    let stderr = String::from_utf8_lossy(&output.stderr);
    report(name, &outcome, took);
    assert_ended(row, &outcome, &stderr, took);
    if let Work::Kept(_) | Work::Left(_) = row.work {
        assert_eq!(outcome.worktree, Some(rig.worktree()), "{outcome:#?}");
        assert!(rig.worktree().exists(), "the work is where the record says");
    }
    // The mending lifts the limits, but for the disk that only its own can see.
    let starter = if row.elsewhere { starter } else { &[] };
    shell(rig, starter, row.mend).await;
    let outcome = match row.work {
        Work::Kept(_) | Work::Late(_) => clean(rig, starter).await,
        _ => outcome,
    };
    if !matches!(row.work, Work::Left(_)) {
        assert_eq!(outcome.worktree, None, "{outcome:#?}");
    }
    if !row.elsewhere {
        assert_work(rig, row, &outcome).await;
    }
    outcome
}

/// The script of an agent that does something in its turn and then says that all is done.
fn script(rig: &Rig, does: &str) -> std::path::PathBuf {
    let path = rig.path("script");
    let text = format!("expect-prompt *\nexec {does}\nsay Done. All of it is there.\ndefault");
    std::fs::write(&path, text).expect("the script");
    path
}

/// A user who isn't root has no rights to give away.
fn allowed<'a>(starter: &'a [&'a str]) -> &'a [&'a str] {
    match starter.first() {
        Some(&"setpriv") if !rustix::process::geteuid().is_root() => &[],
        _ => starter,
    }
}

/// The command, started by another, with what the agent's own commands need in its environment.
fn under(rig: &Rig, starter: &[&str], command: &Command) -> Command {
    let starter = allowed(starter);
    let inner = command.as_std();
    let mut words = starter.iter().map(std::ffi::OsStr::new);
    let mut outer = Command::new(words.next().unwrap_or(inner.get_program()));
    outer.args(words);
    if !starter.is_empty() {
        outer.arg(inner.get_program());
    }
    outer.args(inner.get_args()).env_clear();
    for (name, value) in inner.get_envs() {
        outer.env(name, value.unwrap_or_default());
    }
    for role in ["AUTHOR", "COMMITTER"] {
        outer
            .env(format!("GIT_{role}_NAME"), "Ada")
            .env(format!("GIT_{role}_EMAIL"), "ada@example.com");
    }
    outer
        .env("IN", inner.get_current_dir().expect("a directory"))
        .env("RIG", rig.repo().parent().expect("the rig"))
        .current_dir(inner.get_current_dir().expect("a directory"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    outer
}

/// Says how a row came out, as a row of a table. On a line of its own: the harness has begun one.
#[expect(clippy::print_stdout, reason = "a table for people to read")]
fn report(name: &str, outcome: &Outcome, took: Duration) {
    println!(
        "\n| {name} | {} | {} | {:.2} |",
        outcome.status.as_str(),
        code(outcome).unwrap_or("-"),
        took.as_secs_f64()
    );
}

fn code(outcome: &Outcome) -> Option<&str> {
    outcome.error.as_ref().map(|error| error.code.as_str())
}

fn assert_ended(row: &Row, outcome: &Outcome, stderr: &str, took: Duration) {
    assert_eq!(
        (outcome.status, code(outcome)),
        (row.status, row.code),
        "{outcome:#?}\n{stderr}"
    );
    if let Some(changes) = row.changes {
        assert_eq!(outcome.changes, changes, "{outcome:#?}");
    }
    let limit = Duration::from_secs(row.within);
    assert!(took <= limit, "it took {took:?}, and {limit:?} is allowed");
    let error = outcome.error.as_ref();
    let record = outcome
        .notices
        .iter()
        .chain(error.map(|error| &error.message));
    assert!(
        record.clone().any(|text| text.contains(row.said)) || stderr.contains(row.said),
        "`{}` isn't said: {:?}\n{stderr}",
        row.said,
        record.collect::<Vec<_>>()
    );
}

async fn assert_work(rig: &Rig, row: &Row, outcome: &Outcome) {
    match row.work {
        Work::Nothing => assert_eq!(outcome.result_commit, None, "{outcome:#?}"),
        Work::Files(files) | Work::Kept(files) | Work::Late(files) | Work::Left(files) => {
            assert_files(rig, outcome, files);
        }
        Work::AsGit => assert_as_git(rig, row.does, outcome).await,
    }
    if row.in_repository {
        let branches = rig.git(&["branch", "--list", "cx-*"]);
        assert_eq!(branches, "", "a branch is left");
        let registered = rig.repo().join(".git/worktrees");
        assert!(!registered.exists(), "a worktree is registered");
        rig.note_the_callers_state();
    }
}

/// Cleans up, which must remove the one run that there is; returns its record.
async fn clean(rig: &Rig, starter: &[&str]) -> Outcome {
    let command = rig.binary(&["cleanup", "--json"]);
    let output = under(rig, starter, &command)
        .output()
        .await
        .expect("it starts");
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["found"][0]["action"], "removed", "{document:#}");
    let command = rig.binary(&["show", "--json", "t"]);
    let output = under(rig, starter, &command)
        .output()
        .await
        .expect("it starts");
    let outcome: Outcome = serde_json::from_slice(&output.stdout).expect("a record");
    rig.expect_record(outcome.clone());
    outcome
}

fn assert_files(rig: &Rig, outcome: &Outcome, files: &[(&str, &str)]) {
    let clone = rig.apply(outcome);
    for (path, content) in files {
        let found = std::fs::read_to_string(clone.join(path));
        assert_eq!(found.ok().as_deref(), Some(*content), "{path}");
    }
}

/// The same doing in a clone of the base, added by git, is the same tree.
async fn assert_as_git(rig: &Rig, does: &str, outcome: &Outcome) {
    let reference = rig.path("reference");
    let (repo, at) = (rig.repo(), reference.to_string_lossy());
    git(&repo, &["clone", "-q", "--no-local", ".", &at]);
    let aside = "mv .git $RIG/reference.git";
    let line = format!(
        "cd reference && {aside} && {{ {does}; }}; mv $RIG/reference.git $RIG/reference/.git"
    );
    shell(rig, &[], &line).await;
    git(&reference, &["add", "-A"]);
    let expected = git(&reference, &["write-tree"]);
    let result = outcome
        .result_commit
        .as_ref()
        .or(outcome.base_commit.as_ref());
    let tree = format!("{}^{{tree}}", result.expect("a commit"));
    assert_eq!(git(&repo, &["rev-parse", &tree]), expected);
    if outcome.result_commit.is_some() {
        rig.apply(outcome);
    }
}

/// Runs a line in the directory of everything.
async fn shell(rig: &Rig, starter: &[&str], line: &str) {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", line])
        .current_dir(rig.repo().parent().expect("the rig"));
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let output = under(rig, starter, &command).output();
    let output = output.await.expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}
