//! What an agent's commands start ends with the run, whatever they do to get away; nothing else does.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use cx_operator::Operator;
use cx_operator::agent::executor::Sandbox;
use cx_operator::operator::cleanup::{Action, cleanup};
use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use rustix::process::Signal;

use crate::rig::{Rig, scope, wait_for};
use testkit::agents::{PINNED, native_codex};

on_both!(all_shapes_with_a_cgroup, all_shapes_without);
on_scripted!(
    a_chain_with_a_cgroup,
    a_chain_without,
    a_bomb_with_a_cgroup,
    a_bomb_without,
    launcher_killed,
    launcher_killed_without_a_cgroup,
    operator_killed,
    session_killed,
    cleaned_from_inside,
    bystanders
);

on_codex!(daemon_of_codex);

/// Processes that go on until they are ended: each writes its pid into the file that it is given.
const WAITING: &str = "echo $$ >$1; exec sleep 600";
const STUBBORN: &str = "trap '' TERM HUP INT QUIT; echo $$ >$1; while :; do sleep 1; done";
const STOPPED: &str = "echo $$ >$1; kill -STOP $$; exec sleep 600";

/// How a command can start one of them: its name, and the line, in which `W`, `S` and `T` are the three above.
const SHAPES: [(&str, &str); 10] = [
    ("child", "W &"),
    ("nohup", "nohup W &"),
    ("own-session", "setsid W &"),
    ("orphan", "(W &)"),
    ("daemon", "(setsid sh -c 'W &' &)"),
    ("no-environment", "env -i W &"),
    ("bare-daemon", "(env -i setsid sh -c 'W &' &)"),
    ("stubborn", "S &"),
    ("stubborn-bare-daemon", "(env -i setsid sh -c 'S &' &)"),
    ("stopped-bare-daemon", "(env -i setsid sh -c 'T &' &)"),
];

/// A process that this test looks for: its pid and its start time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen(u32, String);

impl Seen {
    fn now(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit(')').next()?.split(' ').collect();
        (fields[1] != "Z").then(|| Self(pid, fields[20].to_owned()))
    }

    fn runs(&self) -> bool {
        Self::now(self.0).as_ref() == Some(self)
    }
}

fn find_pid(path: &Path) -> Option<Seen> {
    let text = fs::read_to_string(path).ok()?;
    Seen::now(text.strip_suffix('\n')?.parse().ok()?)
}

/// Writes a script, and returns the command that runs it.
fn script(rig: &Rig, name: &str, text: &str) -> String {
    let path = rig.path(name);
    fs::write(&path, text).expect("a script");
    format!("sh {}", path.display())
}

/// A task whose agent runs a script of the rig in a turn that does not end by itself.
fn endless(rig: &Rig, text: &str) -> Task {
    let command = script(rig, "endless", &format!("{text}\nexec sleep 600\n"));
    free(rig.task(&format!("[[shell {command}]]")))
}

fn free(mut task: Task) -> Task {
    task.agent.sandbox = Sandbox::DangerFullAccess;
    task
}

fn operator(rig: &Rig, cgroups: bool) -> Operator {
    let builder = Operator::builder().state_directory(rig.state());
    let builder = match cgroups {
        true => builder,
        false => builder.without_cgroups(),
    };
    builder.build().expect("an operator")
}

/// The cgroup of the newest run.
fn find_cgroup(rig: &Rig) -> Option<PathBuf> {
    let run = rig.operator.store().load_runs().ok()?.pop()?;
    Some(fs::read_to_string(run.path().join("cgroup")).ok()?.into())
}

/// Whether this machine lets us make cgroups; where it doesn't, it is said loudly that half of this file tests nothing.
fn permits_cgroups(rig: &Rig) -> bool {
    let permitted = find_cgroup(rig).is_some();
    if !permitted {
        let text = "NOT TESTED: a cgroup of a run's own, which this machine does not permit\n";
        // Straight to the stream: a passed test's output is not shown.
        drop(io::stderr().write_all(text.as_bytes()));
    }
    permitted
}

fn pids(cgroup: &Path) -> Vec<u32> {
    let text = fs::read_to_string(cgroup.join("cgroup.procs")).expect("its processes");
    text.lines()
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

/// Runs `task` until `ready` is there, cancels it, and returns its outcome and what `ready` returned.
async fn cancel_when<T>(
    rig: &Rig,
    operator: &Operator,
    task: Task,
    ready: impl AsyncFnOnce() -> T,
) -> (Outcome, T) {
    let run = operator.start(task);
    let seen = ready().await;
    run.canceller().cancel("the test");
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
    (outcome, seen)
}

fn assert_gone(seen: &[Seen], outcome: &Outcome) {
    let left: Vec<_> = seen.iter().filter(|process| process.runs()).collect();
    assert!(left.is_empty(), "{left:?} are left: {outcome:?}");
    let text = format!("{:?}", outcome.notices);
    assert!(!text.contains("processes"), "{text}");
}

async fn all_shapes(rig: &Rig, cgroups: bool) {
    let mut text = String::new();
    for (name, line) in SHAPES {
        let file = rig.path(name).display().to_string();
        let command = |name, body| format!("{} {file}", script(rig, name, body));
        // At once: the rig's directory has capitals of its own.
        let words = line
            .split_inclusive(['W', 'S', 'T'])
            .map(|word| match word.chars().last() {
                Some('W') => word.replace('W', &command("waiting", WAITING)),
                Some('S') => word.replace('S', &command("stubborn-one", STUBBORN)),
                Some('T') => word.replace('T', &command("stopped-one", STOPPED)),
                _ => word.to_owned(),
            });
        let line: String = words.collect();
        text += &format!("{line}\nwhile ! test -s {file}; do sleep 0.01; done\n");
    }
    let go = rig.path("go");
    // Nothing of what is started holds the command's output, whose end the agent waits for.
    let text = format!(
        "exec 3>&1 </dev/null >/dev/null 2>&1\n{{\n{text}}} 3>&-\n\
         while ! test -e {}; do sleep 0.01; done\necho 'STATUS: DONE' >&3\n",
        go.display()
    );
    let task = free(rig.task(&format!("[[shell {}]]", script(rig, "shapes", &text))));
    let operator = operator(rig, cgroups);
    let run = operator.start(task);
    let mut seen = Vec::new();
    for (name, _) in SHAPES {
        seen.push(wait_for(name, || find_pid(&rig.path(name))).await);
    }
    let cgroup = find_cgroup(rig);
    if cgroups && permits_cgroups(rig) {
        let members = pids(cgroup.as_ref().expect("one"));
        assert!(
            seen.iter().all(|process| members.contains(&process.0)),
            "{members:?} {seen:?}"
        );
    }
    fs::write(go, "").expect("a file");
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_gone(&seen, &outcome);
    if let Some(cgroup) = cgroup {
        assert!(cgroups && !cgroup.exists(), "{}", cgroup.display());
    }
    assert_eq!(find_cgroup(rig), None);
}

async fn all_shapes_with_a_cgroup(rig: &Rig) {
    all_shapes(rig, true).await;
}

async fn all_shapes_without(rig: &Rig) {
    all_shapes(rig, false).await;
}

/// Codex's own background server (two processes, in sessions of their own, children of nobody), which a command starts in
/// an environment that has no mark.
async fn daemon_of_codex(rig: &Rig) {
    let codex = native_codex(PINNED).expect("it drives this");
    let (home, started) = (rig.path("codex"), rig.path("started"));
    let text = format!(
        "env -i PATH=\"$PATH\" HOME={home} CODEX_HOME={home} {codex} app-server daemon start >{started} 2>/dev/null\n\
         echo 'STATUS: DONE'\n",
        home = home.display(),
        codex = codex.display(),
        started = started.display()
    );
    let task = free(rig.task(&format!("[[shell {}]]", script(rig, "daemon", &text))));
    let run = operator(rig, false).start(task);
    let daemon = wait_for("codex's daemon", || {
        let text = fs::read_to_string(&started).ok()?;
        let line = text
            .lines()
            .find(|line| line.contains("\"status\":\"started\""))?;
        let started: serde_json::Value = serde_json::from_str(line).ok()?;
        Seen::now(u32::try_from(started["pid"].as_u64()?).ok()?)
    });
    let daemon = daemon.await;
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
    assert_gone(&[daemon], &outcome);
}

/// Each process starts the next in a session of its own, with an empty environment, and ends: there is never one for long.
async fn chain(rig: &Rig, cgroups: bool) {
    let links = rig.path("links");
    let text = format!(
        "trap '' TERM\necho >>{}\nenv -i setsid sh $0 </dev/null >/dev/null 2>&1 &\n",
        links.display()
    );
    let command = script(rig, "chain", &text);
    let count = || fs::read(&links).map_or(0, |links| links.len());
    let ready = async || wait_for("some links", || (count() > 50).then_some(())).await;
    let (outcome, ()) =
        cancel_when(rig, &operator(rig, cgroups), endless(rig, &command), ready).await;
    let ended = count();
    let held = Instant::now();
    while held.elapsed() < Duration::from_millis(300) {
        assert_eq!(count(), ended, "the chain goes on: {outcome:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn a_chain_with_a_cgroup(rig: &Rig) {
    chain(rig, true).await;
}

async fn a_chain_without(rig: &Rig) {
    chain(rig, false).await;
}

/// Many processes that fork without end, half of them in sessions of their own.
async fn bomb(rig: &Rig, cgroups: bool) {
    let body = "trap '' TERM; echo $$ >$1; while :; do (:) & (:); done";
    let body = script(rig, "bomb", body);
    let names: Vec<String> = (0..8).map(|number| format!("bomb-{number}")).collect();
    let lines = names.iter().enumerate().map(|(number, name)| {
        let session = if number % 2 == 0 { "env -i setsid" } else { "" };
        format!("{session} {body} {} &\n", rig.path(name).display())
    });
    let task = endless(rig, &lines.collect::<String>());
    let ready = async || {
        let mut seen = Vec::new();
        for name in &names {
            seen.push(wait_for(name, || find_pid(&rig.path(name))).await);
        }
        seen
    };
    let (outcome, seen) = cancel_when(rig, &operator(rig, cgroups), task, ready).await;
    assert_gone(&seen, &outcome);
}

async fn a_bomb_with_a_cgroup(rig: &Rig) {
    bomb(rig, true).await;
}

async fn a_bomb_without(rig: &Rig) {
    bomb(rig, false).await;
}

/// The launcher's pid: the pane's process.
fn launcher(rig: &Rig) -> u32 {
    let pid = rig.tmux(&["list-panes", "-t", "=cx-t:", "-F", "#{pane_pid}"]);
    pid.trim().parse().expect("a pid")
}

/// Something kills the launcher while a process of the agent's hides.
async fn kill_the_launcher(rig: &Rig, cgroups: bool, line: &str) -> (Outcome, Seen, bool) {
    let file = rig.path("hidden");
    let hidden = format!("{} {}", script(rig, "waiting", WAITING), file.display());
    let run = operator(rig, cgroups).start(endless(rig, &line.replace('W', &hidden)));
    let seen = wait_for("the hidden process", || find_pid(&file)).await;
    let permitted = cgroups && permits_cgroups(rig);
    rig.signal(launcher(rig), Signal::KILL);
    let outcome = rig.outcome(run).await;
    assert_eq!(outcome.status, Status::AgentDied, "{outcome:?}");
    (outcome, seen, permitted)
}

/// A cgroup needs nobody who adopts.
async fn launcher_killed(rig: &Rig) {
    let line = "(env -i setsid sh -c 'W &' &)";
    let (outcome, seen, permitted) = kill_the_launcher(rig, true, line).await;
    if permitted {
        assert_gone(&[seen], &outcome);
    } else {
        rig.signal(seen.0, Signal::KILL);
    }
}

/// With neither cgroup nor launcher there is the mark.
async fn launcher_killed_without_a_cgroup(rig: &Rig) {
    let line = "(setsid sh -c 'W &' &)";
    let (outcome, seen, _) = kill_the_launcher(rig, false, line).await;
    assert_gone(&[seen], &outcome);
}

const HIDING: &str = "(env -i setsid sh -c 'S &' &)";

/// A script that starts a stubborn process which hides, and the file of its pid.
fn hiding(rig: &Rig) -> (String, PathBuf) {
    let file = rig.path("hidden");
    let command = format!(
        "{} {}",
        script(rig, "stubborn-one", STUBBORN),
        file.display()
    );
    (HIDING.replace('S', &command), file)
}

/// The operator is killed; another ends what it left.
async fn operator_killed(rig: &Rig) {
    let (line, file) = hiding(rig);
    let command = script(rig, "endless", &format!("{line}\nexec sleep 600\n"));
    let brief = format!("[[shell {command}]]");
    let arguments = ["--sandbox", "danger-full-access"];
    let mut child = rig.spawn_delegation(&brief, &arguments).await;
    let seen = wait_for("the hidden process", || find_pid(&file)).await;
    rig.signal(child.id().expect("it runs"), Signal::KILL);
    child.wait().await.expect("it ended");
    let cgroup = find_cgroup(rig);
    let found = cleanup(rig.operator.store(), &scope(rig, false))
        .await
        .expect("a list");
    assert!(
        found.len() == 1 && found[0].action == Action::Removed,
        "{found:?}"
    );
    let record = rig
        .operator
        .store()
        .find("t")
        .and_then(|run| run.load_record());
    let outcome = record.expect("readable").expect("a record");
    rig.keep_in_mind(&outcome);
    assert_gone(&[seen], &outcome);
    assert!(cgroup.is_none_or(|cgroup| !cgroup.exists()));
}

/// Whoever kills the session, the launcher ends what was in it: here there is no operator that could.
async fn session_killed(rig: &Rig) {
    let (line, file) = hiding(rig);
    let command = script(rig, "endless", &format!("{line}\nexec sleep 600\n"));
    let brief = format!("[[shell {command}]]");
    let arguments = ["--sandbox", "danger-full-access"];
    let mut child = rig.spawn_delegation(&brief, &arguments).await;
    let seen = wait_for("the hidden process", || find_pid(&file)).await;
    rig.signal(child.id().expect("it runs"), Signal::KILL);
    child.wait().await.expect("it ended");
    rig.tmux(&["kill-server"]);
    wait_for("the end of the hidden process", || {
        (!seen.runs()).then_some(())
    })
    .await;
    let found = cleanup(rig.operator.store(), &scope(rig, false))
        .await
        .expect("a list");
    assert!(
        found.len() == 1 && found[0].action == Action::Removed,
        "{found:?}"
    );
    let record = rig
        .operator
        .store()
        .find("t")
        .and_then(|run| run.load_record());
    rig.keep_in_mind(&record.expect("readable").expect("a record"));
}

/// An agent whose operator is gone cleans up: its own run is not for it to end.
async fn cleaned_from_inside(rig: &Rig) {
    let (go, found) = (rig.path("go"), rig.path("found"));
    let text = format!(
        "while ! test -e {}; do sleep 0.01; done\n\
         CX_OPERATOR_STATE={} {} cleanup --json >{found}.part\nmv {found}.part {found}\nexec sleep 600\n",
        go.display(),
        rig.state().display(),
        env!("CARGO_BIN_EXE_cx-operator"),
        found = found.display()
    );
    let brief = format!("[[shell {}]]", script(rig, "inside", &text));
    let arguments = ["--sandbox", "danger-full-access"];
    let mut child = rig.spawn_delegation(&brief, &arguments).await;
    rig.signal(child.id().expect("it runs"), Signal::KILL);
    child.wait().await.expect("it ended");
    let launcher = Seen::now(launcher(rig)).expect("it runs");
    fs::write(go, "").expect("a file");
    let document = wait_for("the list", || fs::read_to_string(&found).ok()).await;
    let document: serde_json::Value = serde_json::from_str(&document).expect("one document");
    assert_eq!(document["found"][0]["action"], "left", "{document}");
    assert!(launcher.runs() && rig.worktree().exists());
    let list = cleanup(rig.operator.store(), &scope(rig, false))
        .await
        .expect("a list");
    assert!(
        list.len() == 1 && list[0].action == Action::Removed,
        "{list:?}"
    );
    let record = rig
        .operator
        .store()
        .find("t")
        .and_then(|run| run.load_record());
    rig.keep_in_mind(&record.expect("readable").expect("a record"));
}

/// Another run of the same operator, a process of this one's session, and a terminal of the same user's go on.
async fn bystanders(rig: &Rig) {
    let mut sleep = std::process::Command::new("sleep");
    let mut neighbour = sleep
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let file = rig.path("other");
    let command = format!("{} {}", script(rig, "waiting", WAITING), file.display());
    let mut other = endless(rig, &format!("{command} &"));
    other.name = cx_operator::task::name::TaskName::parse("other").expect("a name");
    let other = rig.operator.start(other);
    let seen = wait_for("the other's process", || find_pid(&file)).await;
    let (line, file) = hiding(rig);
    let ready = async || wait_for("the hidden process", || find_pid(&file)).await;
    let text = script(rig, "second", &format!("{line}\nexec sleep 600\n"));
    let task = free(rig.task(&format!("[[shell {text}]]")));
    let (outcome, hidden) = cancel_when(rig, &rig.operator, task, ready).await;
    assert_gone(&[hidden], &outcome);
    assert!(seen.runs(), "the other run's process is gone");
    assert_eq!(neighbour.try_wait().expect("a child"), None);
    other.canceller().cancel("the test");
    let outcome = rig.outcome(other).await;
    assert_eq!(outcome.status, Status::Aborted, "{outcome:?}");
    neighbour.kill().expect("it runs");
    neighbour.wait().expect("reaped");
}
