//! Runs: their names, their directories and their records.
//!
//! Owns the state directory's layout and the formats of `run.json`. A record is written once, at the
//! end of a run, by temp file and rename; while a run lives its `lock` is held and `events.jsonl` is
//! all there is.

pub use dir::RunDir;
pub(crate) use dir::TRANSCRIPT;
pub use error::Error;
use error::io_error;
pub(crate) use key::{Claim, Key};
pub use lock::Lock;
pub(crate) use mark::Found as FoundMark;
use mark::Mark;
pub use outcome::{
    BudgetRecord, Continued, Failure, Outcome, Pending, PolicyDecision, PolicyRecord, Reply, Status,
};
pub use store::Store;

pub mod code;
mod copy;
mod dir;
mod error;
pub mod inbox;
pub mod journal;
mod key;
mod lock;
mod mark;
mod outcome;
pub mod redact;
pub mod shown;
mod store;

/// The directory of the state directory that names the unfinished runs: one empty file each. So an operator that looks for
/// what dead operators left reads no finished run's journal, however many there are.
const UNFINISHED: &str = "unfinished";

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::task::name::{RunId, TaskName};

    #[test]
    fn the_newest_run_of_a_task_is_found_whatever_its_digits() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let task = TaskName::parse("t").expect("valid");
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        for _ in 0..12 {
            let id = RunId::new(&task, second);
            let (dir, _lock) = store.create(&id).expect("created");
            assert_eq!(store.find("t").expect("found").path(), dir.path());
            // Clocks of file systems are coarse.
            std::thread::sleep(Duration::from_millis(12));
        }
    }

    #[test]
    fn a_closed_run_has_no_half_written_files() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let id = RunId::new(&TaskName::parse("t").expect("valid"), SystemTime::now());
        let (dir, _lock) = store.create(&id).expect("created");
        for name in [
            "run.tmp-1",
            "signals/.tmp-1-2",
            "task.md",
            "signals/.done-1",
        ] {
            fs::write(dir.path().join(name), "x").expect("a file");
        }
        dir.close();
        let is_there = |name: &&str| dir.path().join(name).exists();
        let names = [
            "run.tmp-1",
            "signals/.tmp-1-2",
            "task.md",
            "signals/.done-1",
        ];
        let left: Vec<_> = names.into_iter().filter(is_there).collect();
        assert_eq!(left, ["task.md", "signals/.done-1"]);
        assert!(dir.is_closed());
    }

    #[test]
    fn a_lock_says_who_lives() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let id = RunId::new(&TaskName::parse("t").expect("valid"), SystemTime::now());
        let (dir, lock) = store.create(&id).expect("created");
        assert!(dir.is_alive());
        assert!(store.create(&id).is_err(), "an id is used once");
        drop(lock);
        assert!(!dir.is_alive());
        assert_eq!(store.find("t").expect("found").path(), dir.path());
    }

    #[test]
    fn a_run_that_was_cut_off_before_its_journal_began_is_blank() {
        let temp = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(temp.path()).expect("opens");
        let id = RunId::new(&TaskName::parse("t").expect("valid"), SystemTime::now());
        let (dir, _lock) = store.create(&id).expect("created");
        assert!(dir.is_blank());
        // The name under which a file is written before it is renamed.
        let mut half_written = String::new();
        let order = dir.path().join("order.json");
        crate::os::files::replace(&order, |_| {
            let written = fs::read_dir(dir.path())?.flatten();
            let names = written.map(|entry| entry.file_name().to_string_lossy().into_owned());
            half_written.extend(names.filter(|name| name.contains(".tmp-")));
            Ok(())
        })
        .expect("written");
        assert!(!half_written.is_empty());
        for early in [half_written.as_str(), "order.json", "events.jsonl"] {
            fs::write(dir.path().join(early), "").expect("written");
            assert!(dir.is_blank(), "{early}");
        }
        fs::write(dir.path().join("task.md"), "").expect("written");
        assert!(!dir.is_blank());
    }
}
