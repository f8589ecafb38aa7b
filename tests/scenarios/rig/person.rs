//! What a person can do to a run from outside: look at its pane, press keys, end its processes.

use std::process::Stdio;

use cx_operator::task::name::RunId;
use rustix::process::Signal;

use testkit::processes;

use super::{Rig, wait_for};

impl Rig {
    /// Joins the session of task `t`, as a client that needs no terminal.
    pub(crate) fn attach(&self) -> tokio::process::Child {
        tokio::process::Command::new("tmux")
            .args(["-C", "-f", "/dev/null", "-S"])
            .arg(self.socket())
            .args(["attach-session", "-t", &format!("={}", self.session())])
            .env_remove("TMUX")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("tmux runs")
    }

    /// The pane of task `t`, as tmux finds it.
    pub(crate) fn pane(&self) -> String {
        format!("={}:", self.session())
    }

    /// What the pane of task `t` shows.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", &self.pane()])
    }

    /// Waits until the pane of task `t` shows a text.
    pub(crate) async fn wait_for_screen(&self, text: &str) {
        wait_for(text, || self.screen().contains(text).then_some(())).await;
    }

    /// Types a text into the pane of task `t`, waits until it shows, and presses Enter.
    pub(crate) async fn type_text(&self, text: &str) {
        let pane = self.pane();
        self.tmux(&["send-keys", "-t", &pane, "-l", text]);
        self.wait_for_screen(text).await;
        self.tmux(&["send-keys", "-t", &pane, "Enter"]);
    }

    /// The pid of the agent's own program in a run.
    pub(crate) async fn agent_pid(&self, run: &RunId) -> u32 {
        let mark = format!("CX_OPERATOR_RUN={run}");
        let program = self.program.canonicalize().expect("it is there");
        wait_for("the agent's process", || {
            self.processes()
                .into_iter()
                .find(|process| process.has(&mark) && process.program().as_ref() == Some(&program))
                .map(|process| process.pid)
        })
        .await
    }

    /// Ends every process of the rig at once, as the end of the machine would.
    pub(crate) async fn cut_power(&self) {
        wait_for("the end of everything that names the rig", || {
            let running = self.processes();
            processes::kill(&running);
            running.is_empty().then_some(())
        })
        .await;
    }

    /// Sends a signal to a process.
    pub(crate) fn signal(&self, pid: u32, signal: Signal) {
        processes::signal(pid, signal);
    }
}
