//! The state that all runs of an operator share.

use std::path::PathBuf;
use std::sync::Arc;

use crate::os::watch::FileWatcher;
use crate::record::Store;
use crate::tmux::Server;
use tokio::sync::OnceCell;

/// The state that all runs of an operator share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) watch: Arc<FileWatcher>,
    pub(crate) tmux: Server,
    /// Whether what dead operators left was recovered, once in an operator's life.
    pub(crate) swept: OnceCell<Vec<String>>,
    /// Whether runs get a cgroup of their own, where that is permitted.
    pub(crate) cgroups: bool,
    /// The directory of the program that serves as hooks and launcher, where the caller names one.
    pub(crate) helpers: Option<PathBuf>,
}
