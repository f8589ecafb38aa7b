//! `prune`: what goes, what stays, and what is left when it is cut short.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use testkit::world::names;

use crate::place::Place;

const OLD: &str = "20200101-000000-old-0001";

fn run_id(n: usize) -> String {
    format!("20200101-0000{n:02}-t-{n:04x}")
}

impl Place {
    /// A run that ended long ago, with a result that its ref alone keeps.
    fn old_run(&self, run_id: &str) -> String {
        let result = self.git(&["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", run_id]);
        let result = result.trim();
        self.git(&["update-ref", &format!("refs/cx-operator/{run_id}"), result]);
        self.old_record(run_id, |record| record["result_commit"] = json!(result));
        result.to_owned()
    }

    fn old_record(&self, run_id: &str, change: impl FnOnce(&mut Value)) {
        let repository = self.repo().canonicalize().expect("it exists");
        self.record(run_id, "t", |record| {
            record["repository"] = json!(repository);
            change(record);
        });
        let ended = SystemTime::now() - Duration::from_secs(31 * 24 * 3600);
        let record = self.run_dir(run_id).join("run.json");
        let record = fs::File::options()
            .append(true)
            .open(record)
            .expect("opened");
        record.set_modified(ended).expect("old");
    }

    fn run_dir(&self, run_id: &str) -> PathBuf {
        self.path("state/runs").join(run_id)
    }

    fn results(&self) -> String {
        self.git(&[
            "for-each-ref",
            "--format=%(refname:lstrip=2)",
            "refs/cx-operator",
        ])
    }

    fn prune(&self, arguments: &[&str]) -> Value {
        let ran = self.cli(&[&["prune", "--json"], arguments].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.document()
    }
}

fn ids(found: &Value) -> Vec<&str> {
    let found = found.as_array().expect("a list").iter();
    found
        .map(|run| run["run_id"].as_str().expect("an id"))
        .collect()
}

#[test]
fn old_runs_go_with_their_refs_and_young_ones_stay() {
    let place = Place::new();
    let result = place.old_run(OLD);
    place.git(&["update-ref", &format!("refs/cx-operator/{OLD}.1"), "HEAD"]);
    for inside in ["inside.1", "inside.2"] {
        place.git(&[
            "update-ref",
            &format!("refs/cx-operator/{OLD}.{inside}"),
            "HEAD",
        ]);
    }
    place.git(&["update-ref", &format!("refs/cx-operator/{OLD}0"), "HEAD"]);
    place.record("20200102-000000-t-0001", "t", |_| {});
    place.put("notes", "of-mine", b"");
    let before = place.git(&["for-each-ref"]);
    let told = place.prune(&["--dry-run"]);
    assert_eq!(place.git(&["for-each-ref"]), before);
    assert!(place.run_dir(OLD).exists());
    let done = place.prune(&[]);
    assert_eq!(done["pruned"], told["pruned"], "a dry run tells the truth");
    assert_eq!(
        (&done["bytes"], &told["dry_run"]),
        (&told["bytes"], &json!(true))
    );
    let run = &done["pruned"][0];
    assert_eq!(
        (&run["run_id"], &run["result_commit"]),
        (&json!(OLD), &json!(result))
    );
    assert_eq!(run["result"], "on_no_branch");
    assert!(run["bytes"].as_u64() >= Some(4096) && done["bytes"] == run["bytes"]);
    assert_eq!(ids(&done["pruned"]).len() + ids(&done["left"]).len(), 1);
    assert_eq!(
        names(&place.path("state/runs")),
        ["20200102-000000-t-0001", "notes"]
    );
    assert_eq!(
        place.results().trim(),
        format!("{OLD}0"),
        "that of another run stays"
    );
    assert!(!place.path("state/pruned").exists());
    assert_eq!(ids(&place.prune(&[])["pruned"]), [""; 0]);
}

#[test]
fn the_newest_and_other_repositories_stay_on_wish() {
    let place = Place::new();
    for n in 0..4 {
        place.old_run(&run_id(n));
    }
    place.old_record(&run_id(4), |record| record["repository"] = json!("/gone"));
    assert_eq!(
        ids(&place.prune(&["--keep=3"])["pruned"]),
        [run_id(0), run_id(1)]
    );
    assert_eq!(
        ids(&place.prune(&["--older-than=100000d"])["pruned"]),
        [""; 0]
    );
    let repo = place.repo();
    let repo = repo.to_str().expect("UTF-8");
    let one = place.prune(&["--repo", repo, "--keep=1"]);
    assert_eq!(ids(&one["pruned"]), [run_id(2)]);
    let ran = place.cli(&["prune", "--repo", "/nonexistent"]);
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    let rest = place.prune(&[]);
    assert_eq!(ids(&rest["pruned"]), [run_id(3), run_id(4)]);
    assert_eq!(rest["pruned"][1]["result"], "no_repository");
    assert_eq!(place.results(), "");
}

#[test]
fn what_lives_or_was_kept_or_is_not_understood_stays() {
    let place = Place::new();
    for n in 0..6 {
        place.old_run(&run_id(n));
    }
    let lock = fs::File::create(place.run_dir(&run_id(0)).join("lock")).expect("a lock");
    lock.lock().expect("held");
    place.put("../unfinished", &run_id(1), b"");
    place.old_record(&run_id(2), |record| {
        record["worktree"] = json!(place.worktrees())
    });
    place.old_record(&run_id(3), |record| record["schema_version"] = json!(2));
    place.put(&run_id(4), "run.json", b"{");
    fs::remove_file(place.run_dir(&run_id(5)).join("run.json")).expect("a record");
    let before = place.git(&["for-each-ref"]);
    let found = place.prune(&["--older-than=0s"]);
    assert_eq!(ids(&found["pruned"]), [""; 0]);
    let why = [
        "it is alive",
        "recover",
        "cleanup --kept",
        "newer",
        "its record",
        "its record",
    ];
    for (left, why) in found["left"].as_array().expect("a list").iter().zip(why) {
        assert!(
            left["reason"].as_str().expect("words").contains(why),
            "{left}"
        );
    }
    assert_eq!(ids(&found["left"]).len(), why.len());
    assert_eq!(place.git(&["for-each-ref"]), before);
    assert_eq!(names(&place.path("state/runs")).len(), 6);
    // The kept worktree was removed by hand.
    place.old_record(&run_id(2), |record| {
        record["worktree"] = json!("/nonexistent")
    });
    assert_eq!(ids(&place.prune(&[])["pruned"]), [run_id(2)]);
}

#[test]
fn a_result_that_a_branch_has_is_told_apart() {
    let place = Place::new();
    let merged = place.old_run(&run_id(0));
    place.git(&["branch", "topic", &merged]);
    place.old_run(&run_id(1));
    place.old_record(&run_id(2), |_| {});
    let ran = place.cli(&["prune", "--dry-run"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let ends = [
        "is on a branch)",
        "is on no branch)",
        "no result)",
        "to be freed",
    ];
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.ends_with(end), "{line}");
    }
    let ran = place.cli(&["prune"]);
    assert!(ran.stdout.contains("3 runs removed, "), "{}", ran.stdout);
    assert!(
        ran.stderr.contains("1 results were on no branch"),
        "{}",
        ran.stderr
    );
    assert_eq!(place.git(&["rev-parse", "topic"]), merged);
}

#[test]
fn a_pruning_that_was_cut_short_is_finished_by_the_next() {
    let place = Place::new();
    // After the ref went; and after the directory was moved.
    place.old_run(&run_id(0));
    place.git(&[
        "update-ref",
        "-d",
        &format!("refs/cx-operator/{}", run_id(0)),
    ]);
    place.old_run(&run_id(1));
    place.git(&[
        "update-ref",
        "-d",
        &format!("refs/cx-operator/{}", run_id(1)),
    ]);
    fs::create_dir(place.path("state/pruned")).expect("a directory");
    let moved = place.path("state/pruned").join(run_id(1));
    fs::rename(place.run_dir(&run_id(1)), &moved).expect("moved");
    let listed = place.cli(&["list", "--json"]).document();
    assert_eq!(ids(&listed["runs"]), [run_id(0)], "half of a run is none");
    assert_eq!(ids(&place.prune(&["--dry-run"])["pruned"]), [run_id(0)]);
    assert!(moved.exists());
    assert_eq!(ids(&place.prune(&[])["pruned"]), [run_id(0)]);
    assert!(!place.path("state/pruned").exists());
}

#[test]
fn prunings_at_once_share_the_work() {
    let place = Place::new();
    for n in 0..40 {
        place.old_run(&run_id(n));
    }
    place.git(&["pack-refs", "--all"]);
    let done: Vec<Value> = std::thread::scope(|scope| {
        let prune = || place.prune(&[]);
        let started: Vec<_> = (0..4).map(|_| scope.spawn(prune)).collect();
        started
            .into_iter()
            .map(|one| one.join().expect("it ends"))
            .collect()
    });
    let mut pruned: Vec<&str> = done.iter().flat_map(|one| ids(&one["pruned"])).collect();
    pruned.sort_unstable();
    pruned.dedup();
    assert_eq!(pruned.len(), 40);
    assert_eq!(
        done.iter()
            .map(|one| ids(&one["pruned"]).len())
            .sum::<usize>(),
        40,
        "each once"
    );
    assert_eq!(
        (
            names(&place.path("state/runs")).len(),
            place.results().len()
        ),
        (0, 0)
    );
}

#[test]
fn a_repository_that_cannot_be_read_keeps_its_records() {
    let place = Place::new();
    place.old_run(OLD);
    place.git(&["config", "core.repositoryformatversion", "9"]);
    let found = place.prune(&[]);
    assert_eq!(
        (ids(&found["pruned"]).len(), ids(&found["left"])),
        (0, vec![OLD])
    );
    assert!(place.run_dir(OLD).exists());
}
