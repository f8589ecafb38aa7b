//! What may not get out: credentials of the caller, and the records of a run.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cx_operator::record::Status;
use cx_operator::record::journal::{self, Progress};
use rustix::process::Signal;
use serde_json::json;
use tokio::process::{Child, Command};

use crate::rig::{Rig, wait_for};

on_both!(credentials_stay_where_they_are, records_are_private);

/// What stands for three keys: none of a known shape, no two alike, and no other test's.
struct Canaries {
    environment: String,
    variable: String,
    argument: String,
}

impl Canaries {
    fn of(rig: &Rig) -> Self {
        let dir = rig.path("");
        let name = dir
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .replace('.', "");
        let canary = |of: &str| format!("canary-{name}-{of}");
        Self {
            environment: canary("environment"),
            variable: canary("variable"),
            argument: canary("argument"),
        }
    }

    fn all(&self) -> [&str; 3] {
        [&self.environment, &self.variable, &self.argument]
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|part| part == text.as_bytes())
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The command lines, titles included, in which a text stands; that of the operator, which its caller wrote, is passed over.
fn command_lines_with(text: &str, operator: u32) -> Vec<String> {
    let operators = fs::read(format!("/proc/{operator}/cmdline")).unwrap_or_default();
    pids()
        .filter(|&pid| pid != operator)
        .filter_map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let title = fs::read(format!("/proc/{pid}/comm")).ok()?;
            // A child has its parent's until it has become a program of its own.
            let has = line != operators && (contains(&line, text) || contains(&title, text));
            has.then(|| String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
}

/// Every file, directory and socket below a directory, itself included.
fn all_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        // What a run removes meanwhile is not there to be looked at.
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            found.extend(entries.map(|entry| entry.path()));
        }
    }
    found
}

/// The files below the state directory in which a text stands.
fn whose_content_has(rig: &Rig, text: &str) -> Vec<PathBuf> {
    let mut files = all_below(&rig.state());
    files.retain(|path| path.is_file() && contains(&fs::read(path).unwrap_or_default(), text));
    files
}

/// Whether the agent of the living run has its prompt.
fn is_in_turn(rig: &Rig) -> Option<()> {
    let runs = rig.operator.store().load_runs().ok()?;
    let run = runs.iter().find(|run| run.is_alive())?;
    let entries = journal::load(&run.path().join("events.jsonl")).ok()?;
    let submitted = |progress: &Progress| matches!(progress, Progress::Submitted { .. });
    entries
        .iter()
        .any(|entry| submitted(&entry.progress))
        .then_some(())
}

/// What tmux knows and tells, and what its server was started with.
fn tmux_knowledge(rig: &Rig) -> String {
    let mut known = rig.tmux(&["show-environment", "-g"]);
    known += &rig.tmux(&["show-environment", "-t", &format!("={}:", rig.session())]);
    known += &rig.tmux(&["show-messages"]);
    known += &rig.tmux(&["show-options", "-A"]);
    let pid = rig.tmux(&["display-message", "-p", "#{pid}"]);
    let started_with = fs::read(format!("/proc/{}/environ", pid.trim())).expect("a tmux server");
    assert!(!started_with.is_empty());
    known + &String::from_utf8_lossy(&started_with)
}

async fn credentials_stay_where_they_are(rig: &Rig) {
    let canaries = Canaries::of(rig);
    let mut argument = format!("x.y=\"{}\"", canaries.argument);
    if rig.is_claude() {
        let server = json!({"command": "true", "env": {"KEY": canaries.argument}});
        argument = json!({"mcpServers": {"x": server}}).to_string();
    }
    let variable = format!("CX_TEST={}", canaries.variable);
    let flag = match rig.is_claude() {
        true => "--mcp-config",
        false => "-c",
    };
    let arguments = [
        "-vv",
        "--env",
        &variable,
        "--agent-arg",
        flag,
        "--agent-arg",
        &argument,
    ];
    // The turn lasts until everything has been looked at.
    let seen = rig.path("seen");
    let brief = format!(
        "[[shell until test -e '{}'; do sleep 0.05; done; echo 'STATUS: DONE']]",
        seen.display()
    );
    let mut command = rig.delegation(&brief, &arguments);
    command.env("OPENAI_API_KEY", &canaries.environment);
    if rig.is_claude() {
        command.env("ANTHROPIC_API_KEY", &canaries.environment);
    }
    let child = command.spawn().expect("cx-operator starts");
    let pid = child.id().expect("it runs");
    let run = tokio::spawn(child.wait_with_output());
    // From the first moment to the last: a command line may live for a millisecond.
    while !run.is_finished() {
        for secret in [&canaries.environment, &canaries.variable] {
            assert_eq!(command_lines_with(secret, pid), [""; 0]);
        }
        if !seen.exists() && is_in_turn(rig).is_some() {
            let known = tmux_knowledge(rig);
            for secret in [&canaries.environment, &canaries.variable] {
                assert!(!known.contains(secret.as_str()), "{secret}: {known}");
            }
            assert_not_recorded(rig, &canaries);
            fs::write(&seen, "").expect("the turn may end");
        }
        tokio::task::yield_now().await;
    }
    assert!(seen.exists(), "it ended before its turn");
    let output = run.await.expect("no panic").expect("it ends");
    let (outcome, _) = rig.document(&output);
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_not_recorded(rig, &canaries);
    for secret in canaries.all() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!contains(&output.stderr, secret), "{secret}: {said}");
        assert!(!contains(&output.stdout, secret), "{secret}");
    }
}

#[track_caller]
fn assert_not_recorded(rig: &Rig, canaries: &Canaries) {
    for secret in canaries.all() {
        let files = whose_content_has(rig, secret);
        assert!(files.is_empty(), "{secret}: {files:?}");
    }
}

/// The same command by a shell that takes no right away from new files.
fn without_a_umask(command: &Command) -> Command {
    let command = command.as_std();
    let mut open = Command::new("/bin/sh");
    open.args(["-c", "umask 000; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear()
        .envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(command.get_current_dir().expect("one was set"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    open
}

#[track_caller]
fn assert_private(rig: &Rig, when: &str) {
    let all = all_below(&rig.state());
    assert!(all.len() > 3, "{when}: {all:?}");
    let open: BTreeSet<String> = all
        .iter()
        // What the agent's program writes there is its own; nobody else can enter.
        .filter(|path| {
            !path
                .parent()
                .is_some_and(|parent| parent.ancestors().any(|dir| dir.ends_with("home/claude")))
        })
        .filter_map(|path| {
            // A link has no mode of its own; it leads to the socket of the agent's server.
            let mode = fs::metadata(path).ok()?.permissions().mode();
            (mode & 0o077 != 0).then(|| format!("{} {mode:o}", path.display()))
        })
        .collect();
    assert!(open.is_empty(), "{when}: {open:#?}");
}

async fn run_openly(rig: &Rig, arguments: &[&str]) {
    let mut command = without_a_umask(&rig.binary(arguments));
    let output = command.output().await.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    assert_private(rig, arguments[0]);
}

fn spawn_openly(rig: &Rig, brief: &str) -> Child {
    without_a_umask(&rig.delegation(brief, &[]))
        .spawn()
        .expect("it starts")
}

/// Runs of each kind by an operator whose files would be open to all, and every other command after them.
async fn records_are_private(rig: &Rig) {
    for (brief, status) in [
        (
            "[[shell echo x > new; echo 'STATUS: DONE']]",
            Status::Completed,
        ),
        ("[[http 401]]", Status::AgentFailed),
        (
            "[[shell touch /tmp/x]][[escalate]]",
            Status::NeedsPermission,
        ),
    ] {
        let output = spawn_openly(rig, brief)
            .wait_with_output()
            .await
            .expect("it ends");
        let (outcome, _) = rig.document(&output);
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert_private(rig, brief);
    }
    let mut child = spawn_openly(rig, "[[sleep 60]]");
    wait_for("the last run's turn", || is_in_turn(rig)).await;
    assert_private(rig, "in a turn");
    let worktree = fs::metadata(rig.worktree())
        .expect("the worktree")
        .permissions();
    assert_eq!(worktree.mode() & 0o777, 0o700);
    rig.signal(child.id().expect("it runs"), Signal::KILL);
    child.wait().await.expect("reaped");
    assert_private(rig, "after the operator's death");
    run_openly(rig, &["cleanup"]).await;
    for run in rig.operator.store().load_runs().expect("the runs") {
        let record = run.load_record().expect("readable").expect("written");
        rig.expect_record(record);
    }
    for arguments in [&["list"][..], &["show", "t"], &["log", "t"], &["diff", "t"]] {
        run_openly(rig, arguments).await;
    }
}
