//! What this process was given by its caller: variables, working directory, program, directory for temporary files.
//!
//! The library reads them here and nowhere else (`tests/docs/rooms.rs`). The variables are copied at the first look, so
//! that all of a run goes by the same ones.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;

static VARIABLES: LazyLock<Vec<(OsString, OsString)>> = LazyLock::new(|| env::vars_os().collect());

/// The caller's variables.
pub(crate) fn variables() -> &'static [(OsString, OsString)] {
    &VARIABLES
}

/// The value of a variable, which may be empty.
pub(crate) fn variable(name: &str) -> Option<&'static OsStr> {
    let mut same = VARIABLES.iter().filter(|(other, _)| other == name);
    same.next().map(|(_, value)| value.as_os_str())
}

/// The working directory at this moment, absolute.
pub(crate) fn working_directory() -> io::Result<PathBuf> {
    env::current_dir()
}

/// The program that this process runs, absolute.
pub(crate) fn program() -> io::Result<PathBuf> {
    env::current_exe()
}

/// The directory for temporary files: `TMPDIR`, else `/tmp`.
pub(crate) fn temporary_directory() -> PathBuf {
    env::temp_dir()
}
