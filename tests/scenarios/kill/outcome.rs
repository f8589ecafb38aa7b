//! What must hold of a run whose operator was killed, once it was brought to its end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cx_operator::operator::cleanup::{Scope, cleanup};
use cx_operator::record::journal::{Progress, Step};
use cx_operator::record::{Outcome, Status};
use cx_operator::task::policy::Keep;

use super::classes::PROBED;
use super::{Kill, Killed, Reference, asked};
use crate::rig::{Agent, Rig, scope};

/// Path → content.
pub(super) type Tree = BTreeMap<String, Vec<u8>>;

/// What a run's result holds; its base where there is none.
pub(super) fn tree_of(rig: &Rig, outcome: &Outcome) -> Tree {
    let commit = outcome
        .result_commit
        .as_ref()
        .or(outcome.base_commit.as_ref());
    let commit = commit.expect("a commit");
    tree_at(rig, commit).expect("its tree")
}

/// The files of a commit, by its id or the name of a ref to it; `None` where there is none.
pub(super) fn tree_at(rig: &Rig, commit: &str) -> Option<Tree> {
    let repository = git2::Repository::open(rig.repo()).expect("the repository");
    let commit = repository.revparse_single(commit).ok()?;
    let tree = commit.peel_to_tree().ok()?;
    let mut files = Tree::new();
    let walked = tree.walk(git2::TreeWalkMode::PreOrder, |dir, entry| {
        if let Ok(blob) = repository.find_blob(entry.id()) {
            let name = entry.name().expect("a name");
            files.insert(format!("{dir}{name}"), blob.content().to_owned());
        }
        git2::TreeWalkResult::Ok
    });
    walked.expect("its files");
    Some(files)
}

/// What is in the worktree now; nothing where it isn't there.
pub(super) fn work_tree(rig: &Rig) -> Tree {
    let mut files = Tree::new();
    collect(&rig.worktree(), "", &mut files);
    files
}

fn collect(dir: &Path, prefix: &str, into: &mut Tree) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), into);
        } else if name != ".git" {
            into.insert(name, fs::read(entry.path()).unwrap_or_default());
        }
    }
}

impl Killed {
    pub(super) fn assert_recovered(&self, rig: &Rig, kill: Kill, reference: &Reference) {
        let store = rig.operator.store();
        let unfinished = store.load_unfinished().expect("a list");
        assert!(
            unfinished.is_empty(),
            "{kill}: {unfinished:?} is unfinished"
        );
        let Ok(run) = store.find("t") else {
            assert!(self.entries.is_empty(), "{kill}: the record is gone");
            return;
        };
        let record = run.load_record().expect("a valid record");
        let record = record.unwrap_or_else(|| panic!("{kill}: no record"));
        rig.keep_in_mind(&record);
        self.assert_status(kill, reference, &record);
        self.assert_work(rig, kill, (reference, &record));
        self.assert_asked_once(rig, kill, (reference, &record));
    }

    fn has(&self, fits: impl Fn(&Progress) -> bool) -> bool {
        self.entries.iter().any(|entry| fits(&entry.progress))
    }

    /// Whether there was an agent to follow on.
    fn is_launched(&self) -> bool {
        // A server is started beside the worktree.
        self.has(|progress| matches!(progress, Progress::Launched { .. })) && self.has_worktree()
    }

    /// Whether the worktree was whole: git may still fill it when its operator is dead.
    fn has_worktree(&self) -> bool {
        self.has(|progress| matches!(progress, Progress::Done(Step::Worktree { .. })))
    }

    fn assert_status(&self, kill: Kill, reference: &Reference, record: &Outcome) {
        let ended = self.has(|progress| matches!(progress, Progress::Ended { .. }));
        let expected = &reference.outcome;
        let code = |outcome: &Outcome| outcome.error.as_ref().map(|error| error.code.clone());
        if ended || (kill.heir.follows() && self.is_launched()) {
            let seen = (record.status, code(record), &record.pending, record.turns);
            let expected = (
                expected.status,
                code(expected),
                &expected.pending,
                expected.turns,
            );
            assert_eq!(seen, expected, "{kill}: {record:?}");
            assert_eq!(record.replies, reference.outcome.replies, "{kill}");
            assert_eq!(record.notices, reference.outcome.notices, "{kill}");
        } else if (reference.asked > 0 || kill.class.name == PROBED.name)
            && record.pending.is_some()
        {
            // Whoever could have answered was not asked, be it the agent itself: it was to end.
            assert!(!kill.heir.follows(), "{kill}: {record:?}");
        } else if record.status != expected.status {
            let died = (Status::Aborted, Some("operator_died".to_owned()));
            assert_eq!((record.status, code(record)), died, "{kill}: {record:?}");
        }
    }

    /// Nothing is missing that was there, and nothing is there that the agent didn't make.
    fn assert_work(&self, rig: &Rig, kill: Kill, (reference, record): (&Reference, &Outcome)) {
        let tree = tree_of(rig, record);
        // A removal that was cut short has taken the work in before.
        let removing = self.has(|progress| {
            let step = cx_operator::record::journal::Step::RemoveWorktree;
            *progress == Progress::Begun(step)
        });
        let made = !self.tree.is_empty() && self.has_worktree();
        if made && !removing {
            for (path, content) in &self.tree {
                assert_eq!(tree.get(path), Some(content), "{kill}: {path}");
            }
        }
        for (path, content) in &tree {
            let known = reference.tree.get(path) == Some(content);
            assert!(known, "{kill}: {path} is nobody's: {content:?}");
        }
        let followed = kill.heir.follows() && self.is_launched();
        if followed || removing || record.status == Status::Completed {
            assert_eq!(tree, reference.tree, "{kill}");
            let expected = &reference.outcome;
            assert_eq!(
                (record.changes, &record.files, record.commits.len()),
                (expected.changes, &expected.files, expected.commits.len()),
                "{kill}"
            );
        }
    }

    /// No prompt is submitted twice, and nobody is asked again who has answered.
    fn assert_asked_once(
        &self,
        rig: &Rig,
        kill: Kill,
        (reference, record): (&Reference, &Outcome),
    ) {
        let prompts = match kill.agent {
            Agent::Scripted => rig.log("prompt").len(),
            // Others have no log, but their hooks leave a file of each.
            _ => prompt_signals(record),
        };
        let other = usize::from(kill.heir == super::Heir::Start);
        let expected = usize::try_from(reference.outcome.turns).expect("a few") + other;
        assert!(prompts <= expected, "{kill}: {prompts} prompts");
        let known = usize::try_from(record.turns).expect("a few");
        // The server's answer is the proof by requests, the stream without a terminal: it comes before the hook runs.
        let early = matches!(
            kill.agent,
            Agent::Requests(_) | Agent::Exec(_) | Agent::Print(_)
        );
        let early = usize::from(early);
        assert!(
            known <= prompts + early,
            "{kill}: {known} turns of {prompts} prompts"
        );
        let replied = |progress: &Progress| matches!(progress, Progress::Replied { .. });
        let replies = self.entries.iter().filter(|entry| replied(&entry.progress));
        let open = reference.asked.saturating_sub(replies.count());
        let all = asked(rig, kill.class);
        if kill.class.reply.is_some() {
            assert!(all <= reference.asked, "{kill}: asked {all} times");
        }
        let again = all - self.asked;
        assert!(
            again <= open,
            "{kill}: asked {again} times more, {open} replies were missing"
        );
    }
}

fn prompt_signals(record: &Outcome) -> usize {
    let dir = record.run_dir.as_ref().expect("the run came to be");
    let names = fs::read_dir(dir.join("signals")).into_iter().flatten();
    names
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("prompt-"))
        .count()
}

/// Removes what the class keeps on purpose.
pub(super) async fn remove_kept(rig: &Rig) {
    let store = rig.operator.store();
    let Ok(run) = store.find("t") else { return };
    let Ok(Some(record)) = run.load_record() else {
        return;
    };
    if record.worktree.is_some() {
        let kept = Scope {
            kept: Some(run.clone()),
            ..scope(rig, false)
        };
        cleanup(store, &kept).await.expect("a list");
        let record = run.load_record().expect("readable").expect("written");
        rig.expect_record(record);
    }
    let branch = rig.git(&["branch", "--list", "cx-t"]);
    if keeps(&run, Keep::Branch) && !branch.is_empty() {
        rig.git(&["branch", "-q", "-D", "cx-t"]);
    }
}

fn keeps(run: &cx_operator::record::RunDir, what: Keep) -> bool {
    let order = run.load_order();
    order.ok().flatten().is_some_and(|order| order.keep == what)
}
