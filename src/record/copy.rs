//! Files of the agent's that a run keeps.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{Error, RunDir, io_error};
use crate::os::files::private_file;

impl RunDir {
    /// Copies a file of any size to a file of the run (mode 0600), in one step for its readers.
    ///
    /// # Errors
    /// [`Error::Io`]; then no file of that name exists, and nothing else is left.
    pub(crate) fn keep_copy(&self, from: &Path, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        let temp = self.path.join(format!("{name}.tmp"));
        let mut from = File::open(from).map_err(io_error("read", from))?;
        // Within the kernel, where the file systems can: a transcript may be longer than our memory.
        let copied = private_file()
            .create(true)
            .truncate(true)
            .open(&temp)
            .and_then(|mut to| io::copy(&mut from, &mut to))
            .and_then(|_bytes| fs::rename(&temp, &path));
        if copied.is_err() {
            let _absent_or_unwritable = fs::remove_file(&temp);
        }
        copied.map_err(io_error("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::super::Store;
    use super::*;
    use crate::task::name::{RunId, TaskName};

    #[test]
    fn a_copy_is_whole_private_and_alone() {
        let temp = tempfile::tempdir().expect("a directory");
        let store = Store::open(&temp.path().join("state")).expect("a store");
        let name = TaskName::parse("t").expect("a name");
        let (run, _lock) = store
            .create(&RunId::new(&name, SystemTime::now()))
            .expect("a run");
        let from = temp.path().join("from");
        let text = "x".repeat(300_000);
        fs::write(&from, &text).expect("a file");
        run.keep_copy(&from, "kept").expect("a copy");
        let kept = run.path().join("kept");
        assert_eq!(fs::read_to_string(&kept).expect("the copy"), text);
        let mode = fs::metadata(&kept).expect("the copy").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let absent = run.keep_copy(&temp.path().join("absent"), "other");
        assert!(absent.is_err());
        // A directory has the name: the copy is removed again.
        fs::create_dir(run.path().join("taken")).expect("a directory");
        assert!(run.keep_copy(&from, "taken").is_err());
        for name in ["other", "other.tmp", "taken.tmp", "kept.tmp"] {
            assert!(!run.path().join(name).exists(), "{name}");
        }
    }
}
