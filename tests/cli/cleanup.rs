//! `cleanup`: what isn't a run's is listed and left alone, and an orphan goes by force only when its work is safe.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cx_operator::worktree::{Owner, Repository, Worktree, WorktreeSpec};
use serde_json::Value;

use testkit::built;
use testkit::world::{Ran, names};

use crate::place::Place;

const RUN: &str = "20260101-000000-t-0a1b";
const REF: &str = "refs/cx-operator/20260101-000000-t-0a1b";

impl Place {
    /// A worktree with uncommitted work, of a run that is on no record.
    fn orphan(&self, task: &str, state: &str) -> Worktree {
        let repository = Repository::discover(&self.repo()).expect("a repository");
        let spec = WorktreeSpec {
            path: self.worktrees().join(format!("cx-{task}")),
            branch: format!("cx-{task}"),
            base: repository.resolve_base("HEAD").expect("a commit"),
            owner: Owner {
                run_id: RUN.replace("-t-", &format!("-{task}-")),
                state_dir: self.dir().join(state),
            },
        };
        let worktree = Worktree::add(&repository, &spec).expect("added");
        fs::write(worktree.path().join("work"), "the only copy").expect("written");
        worktree
    }

    fn dir(&self) -> PathBuf {
        self.path("").canonicalize().expect("it exists")
    }

    fn cleanup(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(built::operator());
        command.args(["cleanup", "--json", "--repo"]);
        command.arg(self.repo());
        command.arg("--worktree-root").arg(self.worktrees());
        Ran::of(command.args(arguments), b"")
    }

    fn force(&self, path: &Path) -> Ran {
        let mut command = self.command(built::operator());
        command.args(["cleanup", "--repo"]).arg(self.repo());
        Ran::of(command.arg("--force-orphan").arg(path), b"")
    }

    fn assert_forced(&self, path: &Path) {
        let ran = self.force(path);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stdout.starts_with("removed: worktree ") && ran.stdout.contains(REF));
        assert_eq!(self.git(&["show", &format!("{REF}:work")]), "the only copy");
        assert!(!path.exists());
        assert_eq!(self.git(&["branch", "--list", "cx-*"]), "");
        assert_eq!(
            self.git(&["worktree", "list", "--porcelain"])
                .matches("worktree ")
                .count(),
            1
        );
    }

    /// Refused, with a word about it, and nothing is touched.
    fn assert_refused(&self, path: &Path, why: &str) {
        let state = |place: &Self| {
            let admin = names(&place.path("repo/.git/worktrees"));
            (place.git(&["for-each-ref"]), admin, names(path))
        };
        let before = state(self);
        let ran = self.force(path);
        assert_ne!(ran.code, 0, "{}", ran.stdout);
        assert!(
            ran.stderr.contains(why),
            "{}: {}",
            path.display(),
            ran.stderr
        );
        assert_eq!(state(self), before);
    }
}

/// What looks like ours and is it is not ours, or can't be proven to be ours: a branch, worktrees, directories. Returns the
/// worktree of another state directory.
fn plant_lookalikes(place: &Place) -> Worktree {
    let inside = |name: &str| place.worktrees().join(name);
    place.git(&["branch", "cx-mine"]);
    let theirs = inside("cx-theirs");
    place.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "topic",
        theirs.to_str().expect("UTF-8"),
    ]);
    fs::create_dir(inside("cx-dir")).expect("a directory");
    fs::create_dir(inside("cx-linked")).expect("a directory");
    fs::write(
        inside("cx-linked/.git"),
        "gitdir: /nonexistent/worktrees/x\n",
    )
    .expect("a link");
    fs::write(inside("cx-file"), "").expect("a file");
    place.orphan("lost", "state");
    place.git(&[
        "update-ref",
        "--create-reflog",
        "-m",
        "cx-operator: created for R",
        "refs/heads/cx-kept",
        "HEAD",
    ]);
    place.orphan("other", "another")
}

#[test]
fn lookalikes_are_listed_with_the_reason_and_left_alone() {
    let place = Place::new();
    let other = plant_lookalikes(&place);
    fs::create_dir(place.state()).expect("a directory");
    let tmux = |arguments: &[&str]| {
        let mut tmux = place.command("tmux");
        tmux.args(["-f", "/dev/null", "-S"])
            .arg(place.path("state/tmux.sock"));
        tmux.args(arguments).status().expect("tmux runs").success()
    };
    assert!(tmux(&["new-session", "-d", "-s", "cx-own", "sleep 60"]));
    let before = (place.git(&["for-each-ref"]), names(&place.worktrees()));
    let ran = place.cleanup(&[]);
    let alive = tmux(&["has-session", "-t", "=cx-own"]);
    tmux(&["kill-server"]);
    assert!(alive, "{}", ran.stderr);
    assert_eq!(
        (place.git(&["for-each-ref"]), names(&place.worktrees())),
        before
    );
    let found = ran.document()["found"].as_array().expect("a list").clone();
    let of = |kind: &str, name: &str| {
        let is = |one: &&Value| {
            one["kind"] == kind && one["name"].as_str().is_some_and(|n| n.contains(name))
        };
        let one = found
            .iter()
            .find(is)
            .unwrap_or_else(|| panic!("no {kind} {name}: {found:#?}"));
        assert_eq!(one["action"], "left");
        one["reason"].as_str().expect("words").to_owned()
    };
    for (kind, name, why) in [
        ("branch", "cx-mine", "it is not ours"),
        ("branch", "cx-kept", "made for the run R"),
        ("worktree", "cx-theirs", "no marker of ours"),
        ("worktree", "cx-other", "which has no record of it any more"),
        ("worktree", "cx-lost", "--force-orphan"),
        ("directory", "cx-dir", "it is not ours"),
        (
            "directory",
            "cx-linked",
            "its repository /nonexistent is gone",
        ),
        ("session", "cx-own", "no run on record"),
    ] {
        assert!(
            of(kind, name).contains(why),
            "{kind} {name}: {}",
            of(kind, name)
        );
    }
    assert_eq!(found.len(), 8, "{found:#?}");
    assert!(other.path().join("work").exists());
}

#[test]
fn an_orphan_goes_by_force_and_its_work_stays() {
    let place = Place::new();
    // Of another state directory; of this one, without a record; and without registration.
    for (state, wipe) in [
        ("another", None),
        ("state", None),
        ("state", Some("worktrees")),
    ] {
        let orphan = place.orphan("t", state);
        if let Some(name) = wipe {
            fs::remove_dir_all(place.path("repo/.git").join(name)).expect("a directory");
        }
        let dry = place.cleanup(&[
            "--dry-run",
            "--force-orphan",
            orphan.path().to_str().expect("UTF-8"),
        ]);
        assert_eq!(
            dry.document()["found"][0]["action"],
            "would_remove",
            "{}",
            dry.stderr
        );
        assert!(orphan.path().join("work").exists());
        place.assert_forced(orphan.path());
        place.git(&["update-ref", "-d", REF]);
    }
}

#[test]
fn an_orphan_whose_directory_is_gone_goes_too() {
    let place = Place::new();
    let orphan = place.orphan("t", "another");
    fs::remove_dir_all(orphan.path()).expect("a directory");
    let ran = place.cleanup(&["--force-orphan", orphan.path().to_str().expect("UTF-8")]);
    assert_eq!(
        ran.document()["found"][0]["action"],
        "removed",
        "{}",
        ran.stderr
    );
    assert_eq!(place.git(&["branch", "--list", "cx-*"]), "");
    assert!(!place.path("repo/.git/worktrees").exists());
}

#[test]
fn what_no_mark_of_ours_speaks_of_is_refused() {
    let place = Place::new();
    let inside = |name: &str| place.worktrees().join(name);
    place.assert_refused(&place.repo(), "it is a repository");
    let theirs = inside("cx-t");
    place.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "cx-t",
        theirs.to_str().expect("UTF-8"),
    ]);
    fs::write(theirs.join("work"), "w").expect("written");
    place.assert_refused(&theirs, "no marker or reflog of ours");
    fs::remove_dir_all(place.path("repo/.git/worktrees")).expect("a directory");
    place.assert_refused(&theirs, "no marker or reflog of ours");
    fs::create_dir(inside("cx-dir")).expect("a directory");
    place.assert_refused(&inside("cx-dir"), "no marker or reflog of ours");
    fs::write(inside("cx-file"), "").expect("a file");
    place.assert_refused(&inside("cx-file"), "it is not a directory");
    symlink(&theirs, inside("cx-link")).expect("a link");
    place.assert_refused(&inside("cx-link"), "it is not a directory");
    place.assert_refused(&inside("cx-none"), "no marker or reflog of ours");
    assert_eq!(
        place.cleanup(&["--force-orphan", "x", "--kept", "y"]).code,
        2
    );
}

#[test]
fn what_lives_or_is_on_record_is_refused() {
    let place = Place::new();
    let orphan = place.orphan("t", "another");
    let run = place.path("another/runs").join(RUN);
    fs::create_dir_all(&run).expect("a directory");
    let lock = fs::File::create(run.join("lock")).expect("a lock");
    lock.lock().expect("held");
    place.assert_refused(orphan.path(), "is alive");
    drop(lock);
    // Tests at the same time look for processes, too: the marked one is of a run of its own.
    let marked = place.orphan("marked", "another");
    for (orphan, mark) in [
        (&orphan, None),
        (&marked, Some(RUN.replace("-t-", "-marked-"))),
    ] {
        let mut sleep = Command::new("sleep");
        match mark {
            Some(run) => sleep.env("CX_OPERATOR_RUN", run),
            None => sleep.current_dir(orphan.path()),
        };
        let mut sleep = sleep
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        place.assert_refused(orphan.path(), &format!("the process {} ", sleep.id()));
        sleep.kill().expect("ours");
        sleep.wait().expect("ours");
    }
    let ran = place.force(marked.path());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    place.assert_forced(orphan.path());

    let orphan = place.orphan("t", "state");
    place.record(RUN, "t", |_| {});
    place.assert_refused(orphan.path(), "cx-operator cleanup --kept");
    place.put("../unfinished", RUN, b"");
    place.assert_refused(orphan.path(), "cx-operator recover");
}

#[test]
fn work_that_cannot_be_kept_is_not_removed() {
    let place = Place::new();
    let orphan = place.orphan("t", "another");
    let taken: Vec<PathBuf> = (0..256)
        .map(|n| place.path("repo/.git/objects").join(format!("{n:02x}")))
        .filter(|path| !path.exists())
        .collect();
    // As good as a full disk: no new object finds a directory.
    taken
        .iter()
        .for_each(|path| fs::write(path, "").expect("a file"));
    place.assert_refused(orphan.path(), "store work of the worktree");
    assert_eq!(
        fs::read_to_string(orphan.path().join("work")).expect("there"),
        "the only copy"
    );
    taken
        .iter()
        .for_each(|path| fs::remove_file(path).expect("a file"));
    place.assert_forced(orphan.path());
}

/// The repository is gone or was moved: nothing is advised that can't be done, and nothing is lost.
#[test]
fn an_orphan_whose_repository_is_gone_stays_and_its_advice_is_true() {
    let place = Place::new();
    let orphan = place.orphan("t", "another");
    let moved = place.path("moved");
    fs::rename(place.repo(), &moved).expect("moved");
    let cleanup = |arguments: &[&Path]| {
        let mut command = place.command(built::operator());
        command.current_dir(place.dir()).args(["cleanup", "--json"]);
        Ran::of(command.args(arguments), b"")
    };
    let (path, root) = (orphan.path(), place.worktrees());
    let ran = cleanup(&[Path::new("--worktree-root"), &root]);
    let found = &ran.document()["found"][0];
    assert_eq!(
        found["name"],
        path.to_str().expect("UTF-8"),
        "{}",
        ran.stdout
    );
    let reason = found["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("is gone") && reason.contains("--repo"),
        "{reason}"
    );
    assert!(!reason.contains("--force-orphan"), "{reason}");
    let ran = cleanup(&[Path::new("--force-orphan"), path]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("is gone"), "{}", ran.stderr);
    assert!(path.join("work").exists());
    // As the advice says.
    let ran = cleanup(&[
        Path::new("--force-orphan"),
        path,
        Path::new("--repo"),
        &moved,
    ]);
    assert_eq!(
        ran.document()["found"][0]["action"],
        "removed",
        "{}",
        ran.stderr
    );
    assert!(!path.exists());
}
