//! What must hold after every scenario, whatever it did.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use testkit::git::git;
use testkit::inventory::left_overs;

use super::Rig;
use cx_operator::record::Outcome;
use cx_operator::record::journal::{self, Progress};

/// A configuration without what codex adds to it at any start: how often it has praised a model, and that it has looked
/// for a screen reader. `None` for a text that is no configuration.
///
/// Source: codex 0.130.0 and 0.169.0; the latter also when it is started by hand with no option of ours. Where the file
/// has a table `tui`, they stand in it.
fn without_counters(config: &str) -> Option<toml::Table> {
    let mut config: toml::Table = config.trim_start_matches('\u{feff}').parse().ok()?;
    if let Some(tui) = config.get_mut("tui").and_then(toml::Value::as_table_mut) {
        tui.remove("screen_reader_detection_done");
        tui.remove("model_availability_nux");
        if tui.is_empty() {
            config.remove("tui");
        }
    }
    Some(config)
}

/// What belongs to the user and must stay as it is: path → mode and content.
pub(super) struct Before {
    repository: BTreeMap<PathBuf, (u32, Vec<u8>)>,
    config: String,
}

impl Before {
    pub(super) fn of(dir: &Path) -> Self {
        Self {
            repository: repository(&dir.join("repo")),
            config: fs::read_to_string(dir.join("codex/config.toml")).unwrap_or_default(),
        }
    }
}

/// All of the checkout and its repository, but for objects and the refs of ours.
fn repository(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut files = BTreeMap::new();
    collect(root, &mut files);
    files.retain(|path, _| {
        let path = path.strip_prefix(root).expect("below the root");
        !path.starts_with(".git/objects") && !path.starts_with(".git/refs/cx-operator")
    });
    files
}

/// A directory's content is nothing: its entries speak for themselves.
fn collect(path: &Path, into: &mut BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    for entry in fs::read_dir(path).expect("a directory") {
        let path = entry.expect("an entry").path();
        let meta = fs::symlink_metadata(&path).expect("it is there");
        let mode = meta.permissions().mode();
        let content = if meta.is_dir() {
            collect(&path, into);
            Vec::new()
        } else if meta.is_symlink() {
            let target = fs::read_link(&path).expect("a link");
            target.as_os_str().as_bytes().to_vec()
        } else {
            fs::read(&path).unwrap_or_default()
        };
        into.insert(path, (mode, content));
    }
}

impl Rig {
    /// Nothing of a run is left but its record and its ref, and nothing of the user's has changed.
    pub(crate) fn assert_clean(&self) {
        self.assert_no_run_has_processes();
        let outcomes = self.outcomes().clone();
        assert_eq!(left_overs(self, &outcomes), [""; 0]);
        self.assert_user_untouched();
        git(&self.repo(), &["fsck", "--strict", "--no-dangling"]);
        for outcome in &outcomes {
            if let Some(dir) = &outcome.run_dir {
                assert_recorded(dir, outcome);
                let mark = self.path("state/unfinished").join(outcome.run_id.as_str());
                assert!(
                    outcome.worktree.is_some() || !mark.exists(),
                    "nothing is left, and the run is not closed: {outcome:?}"
                );
                assert_private(dir);
            }
        }
        let recorded = outcomes.iter().filter(|outcome| outcome.run_dir.is_some());
        let runs = self.operator.store().load_runs().expect("the runs");
        assert_eq!(
            runs.len(),
            recorded.count(),
            "each run is one the scenario knows of"
        );
    }

    /// What carries the mark of a run ends before the run does.
    fn assert_no_run_has_processes(&self) {
        for run in self.operator.store().load_runs().expect("the runs") {
            let mark = format!("CX_OPERATOR_RUN={}", run.name());
            let marked: Vec<_> = self
                .processes()
                .into_iter()
                .filter(|process| process.has(&mark))
                .collect();
            assert!(
                marked.is_empty(),
                "processes of the run are left: {marked:?}"
            );
        }
    }

    fn assert_user_untouched(&self) {
        let now = repository(&self.repo());
        let all = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        let before = &all.repository;
        let changed = |path: &&PathBuf| now.get(*path) != before.get(*path);
        let changed: Vec<_> = now.keys().chain(before.keys()).filter(changed).collect();
        assert!(
            changed.is_empty(),
            "the caller's repository has changed: {changed:?}"
        );
        let now = fs::read_to_string(self.path("codex/config.toml")).unwrap_or_default();
        let is_the_same = match without_counters(&all.config) {
            Some(before) => without_counters(&now) == Some(before),
            None => now == all.config,
        };
        assert!(is_the_same, "codex's configuration has changed:\n{now}");
    }
}

fn assert_recorded(dir: &Path, outcome: &Outcome) {
    let bytes = fs::read(dir.join("run.json")).expect("the record");
    let record: Outcome = serde_json::from_slice(&bytes).expect("a record");
    // The record is written a moment before the run returns.
    let timeless = |outcome: &Outcome| {
        let mut timeless = outcome.clone();
        timeless.duration_ms = 0;
        timeless
    };
    assert_eq!(
        timeless(&record),
        timeless(outcome),
        "the record is what was returned"
    );
    assert!(record.duration_ms <= outcome.duration_ms);
    let journal = journal::load(&dir.join("events.jsonl")).expect("the journal");
    let first = journal.first().map(|entry| &entry.progress);
    let last = journal.last().map(|entry| &entry.progress);
    assert!(matches!(first, Some(Progress::Started { .. })), "{first:?}");
    let end = Progress::Recorded {
        status: outcome.status,
    };
    assert_eq!(last, Some(&end));
    assert!(
        !dir.join("environment").exists(),
        "the caller's variables are left"
    );
}

/// Files of mode 0600 in directories of mode 0700.
fn assert_private(dir: &Path) {
    let mut files = BTreeMap::new();
    collect(dir, &mut files);
    files.insert(
        dir.to_owned(),
        (
            fs::metadata(dir).expect("it is there").permissions().mode(),
            Vec::new(),
        ),
    );
    let open: Vec<_> = files
        .iter()
        .filter(|(_, (mode, _))| mode & 0o077 != 0)
        .map(|(path, (mode, _))| format!("{} {mode:o}", path.display()))
        .collect();
    assert!(open.is_empty(), "others may read of a run: {open:?}");
}
