//! Files of the agent's that a run keeps.

use std::fs::File;
use std::io;
use std::path::Path;

use super::{Error, RunDir, io_error};
use crate::os::files::replace;

impl RunDir {
    /// Copies a file of any size to a file of the run (mode 0600), in one step for its readers.
    ///
    /// # Errors
    /// [`Error::Io`]; then no file of that name exists, and nothing else is left.
    pub(crate) fn keep_copy(&self, from: &Path, name: &str) -> Result<(), Error> {
        let path = self.path.join(name);
        let mut from = File::open(from).map_err(io_error("read", from))?;
        // Within the kernel, where the file systems can: a transcript may be longer than our memory.
        replace(&path, |to| io::copy(&mut from, to).map(drop)).map_err(io_error("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use super::super::Store;
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
        let entries = fs::read_dir(run.path()).expect("readable");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut left = names.filter(|name| {
            let name = name.to_string_lossy();
            name.contains(".tmp") || name.contains("other")
        });
        assert_eq!(left.next(), None);
    }
}
