//! What a dead operator left, kept to be put back: so one run is recovered again and again from the same state.
//!
//! Beside the run stands what has names of its shape and is somebody else's. None of it may change.

use std::fs;
use std::process::{Child, Command, Stdio};

use cx_operator::operator::cleanup::{Action, Found, cleanup};
use cx_operator::record::{Outcome, RunDir};

use super::classes::Class;
use super::outcome::{Tree, tree_at, work_tree};
use super::{delegation, run};
use testkit::git::git;

use crate::rig::{Agent, Rig, on, scope};

/// What the rig's directory holds that a run may change.
const PARTS: [&str; 3] = ["state", "worktrees", "repo"];
/// A run's id that is nobody's.
const OTHER_RUN: &str = "20200101-000000-t-0000";

/// A step of which the journal tells last, when its operator is killed.
pub(super) const PATCHED: &str = "\"event\":\"done\",\"step\":\"patch\"";
pub(super) const ENDED: &str = "\"event\":\"ended\"";
pub(super) const TURN_ENDED: &str = "\"event\":\"turn_ended\"";
pub(super) const SUBMITTED: &str = "\"event\":\"submitted\",\"turn\":2";

/// Does something to what an operator left that was killed after the line with this text: two runs need not have the same number
/// of lines.
pub(super) fn killed_after(
    class: &'static Class,
    text: &'static str,
    scenario: impl AsyncFn(&Rig, &mut Frozen<'_>),
) {
    on(Agent::Scripted, async |rig| {
        let mut frozen = Frozen::after(rig, class, text).await;
        scenario(rig, &mut frozen).await;
        frozen.end().await;
    });
}

/// A run whose operator was killed and whose processes are gone.
pub(super) struct Frozen<'a> {
    rig: &'a Rig,
    pub(super) run: RunDir,
    /// Its journal.
    pub(super) whole: Vec<u8>,
    /// The agent's work.
    tree: Tree,
    /// A process of another run.
    stranger: Child,
    others: Vec<String>,
    /// Whether a tmux server runs, with sessions of others.
    serves: bool,
}

/// Others' sessions, of which one has the name of the run's.
const SESSIONS: [&str; 2] = ["cx-other", "cx-t"];

impl<'a> Frozen<'a> {
    /// Kills an operator after that line of its journal, and every process with it.
    async fn after(rig: &'a Rig, class: &'static Class, text: &str) -> Self {
        let mut command = delegation(rig, class);
        command.env("CX_OPERATOR_CRASH", format!("after:{text}"));
        let output = run(rig, command, class).await;
        let name = class.name;
        assert!(
            output.status.code().is_none(),
            "{name}: not killed after {text}"
        );
        rig.cut_power().await;
        let run = rig.operator.store().find("t").expect("the run");
        let whole = fs::read(run.path().join("events.jsonl")).expect("the journal");
        copy(rig, "", "alone/");
        make_others(rig);
        copy(rig, "", "still/");
        let stranger = Command::new("sleep")
            .arg("600")
            .env("CX_OPERATOR_RUN", OTHER_RUN)
            .stdin(Stdio::null())
            .spawn()
            .expect("sleep starts");
        let mut frozen = Self {
            rig,
            run,
            whole,
            tree: work_tree(rig),
            stranger,
            others: Vec::new(),
            serves: false,
        };
        frozen.put_back();
        frozen.others = frozen.list_others();
        frozen
    }

    /// Makes everything what it was when the operator had been killed, with sessions of others on the server.
    pub(super) fn put_back(&mut self) {
        self.put_back_alone();
        self.serves = true;
        // Only tmux can make a socket anew that was copied.
        let _not_there = fs::remove_file(self.rig.socket());
        for name in SESSIONS {
            self.rig
                .tmux(&["new-session", "-d", "-s", name, "sleep", "600"]);
        }
    }

    /// The same with no server, but the socket file of the one that was killed.
    pub(super) fn put_back_alone(&mut self) {
        copy(self.rig, "still/", "");
        let socket = self.rig.socket();
        assert!(fs::symlink_metadata(socket).is_ok(), "no socket is left");
        self.serves = false;
    }

    pub(super) fn stranger(&self) -> u32 {
        self.stranger.id()
    }

    /// Expects a file of the work no more: it is lost with its worktree.
    pub(super) fn forget(&mut self, path: &str) {
        self.tree.remove(path).expect("the agent made it");
    }

    pub(super) fn work(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn write_journal(&self, journal: &[u8]) {
        fs::write(self.run.path().join("events.jsonl"), journal).expect("the journal");
    }

    /// Has the run recovered as it is now, and looks at what came out. `what`: for people. The run's record, if any.
    pub(super) async fn recover(&mut self, what: &str) -> Option<Outcome> {
        let store = self.rig.operator.store();
        let found = cleanup(store, &scope(self.rig, false)).await;
        let found = found.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(
            self.stranger.try_wait().expect("it can be asked").is_none(),
            "{what}: a process of somebody else's was ended"
        );
        assert_eq!(self.list_others(), self.others, "{what}");
        let sessions = self.rig.tmux(&["list-sessions", "-F", "#{session_name}"]);
        let expected = if self.serves { &SESSIONS[..] } else { &[] };
        assert_eq!(sessions.lines().collect::<Vec<_>>(), expected, "{what}");
        let record = self.run.load_record();
        let record = record.unwrap_or_else(|error| panic!("{what}: {error}"));
        match self.run.is_closed() {
            true => self.assert_kept(what, record.as_ref()),
            false => self.assert_stands(what, &found),
        }
        self.rig.cut_power().await;
        record
    }

    /// The work is in the result, and nothing else is left.
    fn assert_kept(&self, what: &str, record: Option<&Outcome>) {
        let record = record.unwrap_or_else(|| panic!("{what}: closed without a record"));
        let name = record.result_ref.as_ref().or(record.base_commit.as_ref());
        let kept = name.and_then(|name| tree_at(self.rig, name));
        let kept = kept.unwrap_or_else(|| panic!("{what}: no result: {record:?}"));
        for (path, content) in &self.tree {
            assert_eq!(kept.get(path), Some(content), "{what}: {path} is lost");
        }
        self.assert_nothing_left(what);
    }

    pub(super) fn assert_nothing_left(&self, what: &str) {
        assert!(!self.rig.worktree().exists(), "{what}: the worktree");
        let admin_dir = self.rig.repo().join(".git/worktrees/cx-t");
        assert!(!admin_dir.exists(), "{what}: its registration");
        let branch = self.rig.git(&["branch", "--list", "cx-t"]);
        assert_eq!(branch, "", "{what}: its branch");
    }

    /// The worktree is there with all its files, and whoever cleans up is told.
    fn assert_stands(&self, what: &str, found: &[Found]) {
        assert_eq!(work_tree(self.rig), self.tree, "{what}: the worktree");
        let told = found.iter().any(|found| {
            found.kind == "run"
                && found.name == self.run.name()
                && found.action == Action::Left
                && !found.reason.is_empty()
        });
        assert!(told, "{what}: nobody is told: {found:?}");
        let known = work_tree(self.rig).is_empty()
            || found.iter().any(|found| {
                let path = self.rig.worktree().display().to_string();
                found.name == path || found.reason.contains(&path)
            });
        assert!(known, "{what}: the worktree is not named: {found:?}");
    }

    /// Everything that is somebody else's, as lines.
    fn list_others(&self) -> Vec<String> {
        let rig = self.rig;
        let repo = rig.repo();
        let format = "--format=%(refname) %(objectname)";
        let mut lines = git(&repo, &["for-each-ref", format]);
        for name in ["worktrees/cx-other/precious", "worktrees/cx-plain/precious"] {
            let text = fs::read_to_string(rig.path(name));
            lines += &format!("\n{name}: {text:?}");
        }
        lines += &format!("\n{}", git(&repo, &["worktree", "list"]));
        let own = ["refs/heads/cx-t ", "[cx-t]", "(cx-t)", self.run.name()];
        let mut lines: Vec<String> = lines
            .lines()
            .filter(|line| own.iter().all(|own| !line.contains(own)))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    }

    /// Leaves nothing but the run, recovered.
    pub(super) async fn end(mut self) {
        self.rig.cut_power().await;
        copy(self.rig, "alone/", "");
        let found = cleanup(self.rig.operator.store(), &scope(self.rig, false)).await;
        let record = self.run.load_record().expect("readable");
        let record = record.unwrap_or_else(|| panic!("no record: {found:?}"));
        self.assert_kept("in the end", Some(&record));
        self.rig.keep_in_mind(&record);
        self.stranger.kill().expect("it is ours");
        self.stranger.wait().expect("reaped");
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let _ended_before = self.stranger.kill();
        let _reaped_before = self.stranger.wait();
    }
}

/// Copies the parts of the rig from below one prefix to below another, in the place of what is there.
fn copy(rig: &Rig, from: &str, to: &str) {
    for part in PARTS {
        let (from, to) = (
            rig.path(&format!("{from}{part}")),
            rig.path(&format!("{to}{part}")),
        );
        if to.exists() {
            fs::remove_dir_all(&to).expect("removed");
        }
        fs::create_dir_all(to.parent().expect("below the rig")).expect("a directory");
        let status = Command::new("cp").arg("-a").args([&from, &to]).status();
        assert!(status.expect("cp runs").success(), "{}", from.display());
    }
}

fn make_others(rig: &Rig) {
    let repo = rig.repo();
    let other = rig.path("worktrees/cx-other");
    git(&repo, &["branch", "cx-mine"]);
    git(
        &repo,
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "cx-other",
            &other.to_string_lossy(),
        ],
    );
    let name = format!("refs/cx-operator/{OTHER_RUN}");
    git(&repo, &["update-ref", &name, "HEAD"]);
    let plain = rig.path("worktrees/cx-plain");
    fs::create_dir(&plain).expect("a directory");
    for dir in [other, plain] {
        fs::write(dir.join("precious"), "theirs\n").expect("a file");
    }
}
