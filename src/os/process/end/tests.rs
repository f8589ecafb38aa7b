use std::fs;
use std::process::{Child, Command, Stdio};

use testkit::wait::wait_for_async;

use super::*;
use crate::os::process::RUN_VARIABLE;

const LIMIT: Duration = Duration::from_secs(20);

/// A run whose root is a shell of this process.
struct Case {
    id: String,
    dir: tempfile::TempDir,
    root: Child,
}

impl Case {
    /// Runs `script` as the root. It finds its directory in `$D`.
    fn start(script: &str) -> Self {
        let id = format!("test-{}", uuid::Uuid::new_v4());
        let dir = tempfile::tempdir().expect("a directory");
        let root = shell(script)
            .env("D", dir.path())
            .env(RUN_VARIABLE, &id)
            .spawn()
            .expect("sh runs");
        Self { id, dir, root }
    }

    /// The process whose pid a script wrote into that file.
    async fn process(&self, name: &str) -> Process {
        let path = self.dir.path().join(name);
        let read = || {
            fs::read_to_string(&path)
                .ok()?
                .strip_suffix('\n')?
                .parse()
                .ok()
        };
        wait_for_async("a process", || Process::find(read()?)).await
    }

    fn processes(&self, root: Option<Process>) -> RunProcesses<'_> {
        RunProcesses {
            run_id: &self.id,
            root,
            cgroup: None,
        }
    }

    async fn end(&mut self, grace: Duration) -> Result<(), Left> {
        let root = Process::find(self.root.id());
        let id = self.id.clone();
        let run = RunProcesses {
            run_id: &id,
            root,
            cgroup: None,
        };
        let ended = end_run_processes(&run, grace, || false);
        let reaped = async {
            // Its parent is this process, for which no launcher reaps.
            wait_for_async("the end of the root", || {
                self.root.try_wait().expect("a child")
            })
            .await;
        };
        tokio::join!(ended, reaped).0
    }
}

impl Drop for Case {
    /// Ends what a failed test left.
    fn drop(&mut self) {
        let root = Process::find(self.root.id());
        for member in Family::of_run(&self.processes(root)).look().members {
            member.process.signal(Signal::KILL);
        }
        let _ended_already = self.root.kill();
    }
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn runs(process: Process) -> bool {
    let stat = Stat::load(process.pid);
    stat.is_some_and(|stat| stat.start == process.start && !stat.is_dead())
}

const SHORT: Duration = Duration::from_millis(100);

/// A script that waits to be ended, having written its pid.
fn sleeper(name: &str) -> String {
    format!("echo $$ >$D/{name}; exec sleep 600")
}

#[tokio::test]
async fn what_ignores_every_polite_word_is_killed() {
    let mut case = Case::start("trap '' TERM HUP INT; echo $$ >$D/a; while :; do sleep 1; done");
    let stubborn = case.process("a").await;
    assert_eq!(case.end(SHORT).await, Ok(()));
    assert!(!runs(stubborn));
}

#[tokio::test]
async fn a_stopped_process_ends_within_the_grace() {
    let mut case = Case::start(&sleeper("a"));
    let stopped = case.process("a").await;
    stopped.signal(Signal::STOP);
    wait_for_async("the stop", || {
        Stat::load(stopped.pid)?.is_stopped().then_some(())
    })
    .await;
    let begun = Instant::now();
    assert_eq!(case.end(LIMIT).await, Ok(()));
    assert!(!runs(stopped) && begun.elapsed() < LIMIT / 2);
}

#[tokio::test]
async fn an_orphan_with_the_mark_is_found() {
    let orphan = sleeper("a");
    let mut case = Case::start(&format!("setsid sh -c '{orphan}' &"));
    let orphan = case.process("a").await;
    assert_eq!(case.end(SHORT).await, Ok(()));
    assert!(!runs(orphan));
}

/// Its parent is gone and its environment empty, but the session that it is in was opened by one that was found.
#[tokio::test]
async fn an_orphan_is_found_by_its_session() {
    let orphan = sleeper("a");
    let mut case = Case::start(&format!(
        "exec setsid -w sh -c '(env -i D=$D sh -c \"{}\" &); {}'",
        orphan.replace('$', "\\$"),
        sleeper("b")
    ));
    let (orphan, leader) = (case.process("a").await, case.process("b").await);
    let stat = Stat::load(orphan.pid).expect("it runs");
    assert_eq!(stat.session, leader.pid);
    assert_ne!(stat.parent, leader.pid);
    assert_eq!(case.end(SHORT).await, Ok(()));
    assert!(!runs(orphan) && !runs(leader));
}

/// They share parent, session and process group with the run's own.
#[tokio::test]
async fn a_bystander_is_not_touched() {
    let mut case = Case::start(&format!(
        "trap '' TERM; (trap '' TERM; {}) & wait",
        sleeper("a")
    ));
    let mut bystander = shell("exec sleep 600").spawn().expect("sh runs");
    case.process("a").await;
    assert_eq!(case.end(SHORT).await, Ok(()));
    assert_eq!(bystander.try_wait().expect("a child"), None);
    bystander.kill().expect("ended");
    bystander.wait().expect("reaped");
}

/// All of them fork all the time, in a process group of their own.
#[tokio::test]
async fn a_fork_bomb_ends() {
    let bomb = "trap \"\" TERM; echo $$ >$D/a; while :; do (trap \"\" TERM; sleep 0.01; while :; do (:); done) & \
                (:); sleep 0.02; done";
    let mut case = Case::start(&format!("setsid sh -c '{bomb}'"));
    let bomb = case.process("a").await;
    assert_eq!(case.end(SHORT).await, Ok(()));
    assert!(!runs(bomb));
    let look = Family::of_run(&case.processes(None)).look();
    assert!(look.members.is_empty(), "{look:?}");
}

#[tokio::test]
async fn a_hurried_end_waits_for_no_grace() {
    let mut case = Case::start("trap '' TERM; echo $$ >$D/a; while :; do sleep 1; done");
    case.process("a").await;
    let id = case.id.clone();
    let run = RunProcesses {
        run_id: &id,
        root: None,
        cgroup: None,
    };
    let begun = Instant::now();
    let ended = end_run_processes(&run, Duration::from_secs(600), || true);
    let reaped = wait_for_async("the end of the root", || {
        case.root.try_wait().expect("a child")
    });
    assert_eq!(tokio::join!(ended, reaped).0, Ok(()));
    assert!(begun.elapsed() < LIMIT);
}

/// The process that looks is marked itself: it is in the pane of the very run.
#[tokio::test]
async fn nothing_is_touched_from_the_inside() {
    let own = Process::find(std::process::id()).expect("it runs");
    let run = RunProcesses {
        run_id: "test-inside",
        root: Some(own),
        cgroup: None,
    };
    let above = Stat::load(own.pid).expect("it runs").parent;
    let above = RunProcesses {
        root: Process::find(above),
        ..run.clone()
    };
    assert_eq!(
        end_run_processes(&above, SHORT, || true).await,
        Err(Left::Inside)
    );
}
