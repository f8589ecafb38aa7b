//! The operating system: processes, files and their changes, time.
//!
//! The lowest room: it imports no other room.

pub(crate) mod blocking;
pub(crate) mod bounded;
pub(crate) mod chain;
pub(crate) mod files;
pub(crate) mod given;
pub mod launcher;
pub(crate) mod process;
pub(crate) mod search_path;
pub(crate) mod shell;
pub mod signal;
pub(crate) mod time;
pub(crate) mod watch;
