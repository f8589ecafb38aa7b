//! The launcher, in a terminal and without one: what it starts, what it leaves of it, and what it says in the end.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use cx_operator::os::launcher::environment_file;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use testkit::wait::wait_for;

/// A launcher's directory: `status` comes there.
struct Pane(TempDir);

impl Pane {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, cwd: &Path, program: &str, arguments: &[&str]) -> Command {
        let variables = [
            ("PATH", "/usr/bin:/bin"),
            ("D", &self.path().to_string_lossy()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = self.path().join("environment");
        fs::write(&environment, environment_file(&variables)).expect("the environment");
        let mut command = Command::new(env!("CARGO_BIN_EXE_cx-helper"));
        command
            .arg("launch")
            .arg(cwd)
            .arg(environment)
            .arg(self.path().join("status"));
        command.arg("-").arg(program).args(arguments);
        command
            .env("FOREIGN", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Starts a script.
    fn spawn(&self, script: &str) -> Child {
        let mut command = self.command(self.path(), "/bin/sh", &["-c", script]);
        command.spawn().expect("the launcher starts")
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path().join(name))
            .ok()
            .filter(|text| text.ends_with('\n'))
    }

    /// Waits for a pid that a script wrote.
    fn pid(&self, name: &str) -> u32 {
        wait_for(name, || self.read(name)?.trim().parse().ok())
    }
}

fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a pid");
    kill_process(pid, signal).expect("it runs");
}

fn wait_for_end(mut launcher: Child) -> i32 {
    let status = wait_for("the launcher's end", || {
        launcher.try_wait().expect("a child")
    });
    status.code().expect("it ended by itself")
}

fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

#[test]
fn the_agent_has_the_file_s_environment_and_its_status_is_written() {
    let pane = Pane::new();
    let launcher = pane.spawn("env >$D/env; pwd >$D/pwd; ls >$D/ls; exit 7");
    assert_eq!(wait_for_end(launcher), 7);
    assert_eq!(pane.read("status").as_deref(), Some("7\n"));
    let dir = pane.path().display();
    assert_eq!(pane.read("pwd"), Some(format!("{dir}\n")));
    assert!(!pane.read("ls").expect("a list").contains("environment"));
    let environment = pane.read("env").expect("variables");
    let mut names: Vec<_> = environment
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["D", "PATH", "PWD"]);
}

#[test]
fn a_signal_s_status_is_a_shell_s() {
    let pane = Pane::new();
    assert_eq!(wait_for_end(pane.spawn("kill -KILL $$")), 137);
    assert_eq!(pane.read("status").as_deref(), Some("137\n"));
}

#[test]
fn what_can_not_be_started_is_told_as_a_shell_tells_it() {
    let pane = Pane::new();
    let start = |cwd: &Path, program: &str| {
        wait_for_end(
            pane.command(cwd, program, &[])
                .spawn()
                .expect("the launcher starts"),
        )
    };
    assert_eq!(start(Path::new("/nonexistent"), "/bin/true"), 126);
    assert_eq!(pane.read("status"), None, "there was no agent");
    assert_eq!(start(pane.path(), "/nonexistent"), 127);
    assert_eq!(pane.read("status").as_deref(), Some("127\n"));
    assert_eq!(start(pane.path(), "/etc/passwd"), 126);
    assert_eq!(pane.read("status").as_deref(), Some("126\n"));
}

/// Neither parent nor session nor environment lead to it: only the launcher does.
#[test]
fn what_the_agent_leaves_ends_after_it() {
    let pane = Pane::new();
    let daemon = "trap \"\" HUP TERM; echo $$ >$D/daemon; while :; do sleep 1; done";
    let launcher = pane.spawn(&format!(
        "setsid sh -c '(exec env -i D=$D setsid sh -c '\\''{daemon}'\\'') &'; while ! test -s $D/daemon; do sleep 0.01; done; exit 3"
    ));
    let daemon = pane.pid("daemon");
    assert_eq!(wait_for_end(launcher), 3);
    assert!(!runs(daemon), "{daemon} is left");
}

/// None of its processes lives as long as one look at all processes takes.
#[test]
fn a_fast_chain_ends() {
    let pane = Pane::new();
    let chain = "use POSIX (); %ENV = (); $SIG{TERM} = 'IGNORE'; open F, '>', shift; print F \"$$\\n\"; close F; \
                 while (1) { my $p = fork; POSIX::_exit(0) if $p; POSIX::setsid() if defined $p }";
    let file = pane.path().join("chain");
    let chain = ["-e", chain, &file.to_string_lossy()];
    let launcher = pane
        .command(pane.path(), "perl", &chain)
        .spawn()
        .expect("it starts");
    pane.pid("chain");
    assert_eq!(
        wait_for_end(launcher),
        0,
        "by its own wait(2), no child is left"
    );
}

#[test]
fn a_hang_up_ends_everything() {
    for signal in [Signal::HUP, Signal::TERM] {
        let pane = Pane::new();
        let launcher = pane.spawn(
            "(trap '' HUP; echo $$ >$D/shell; exec setsid sh -c 'echo $$ >$D/child; exec sleep 600') & exec sleep 600",
        );
        let child = pane.pid("child");
        send(launcher.id(), signal);
        let expected = 128 + signal.as_raw();
        assert_eq!(wait_for_end(launcher), expected);
        assert_eq!(pane.read("status"), Some(format!("{expected}\n")));
        assert!(!runs(child), "{child} is left");
    }
}

#[test]
fn a_terminal_s_interrupt_is_the_agent_s() {
    let pane = Pane::new();
    let launcher = pane.spawn("trap 'exit 5' INT; echo $$ >$D/agent; while :; do sleep 0.05; done");
    let agent = pane.pid("agent");
    for signal in [Signal::INT, Signal::QUIT] {
        send(launcher.id(), signal);
    }
    assert!(runs(agent));
    send(agent, Signal::INT);
    assert_eq!(wait_for_end(launcher), 5);
}
