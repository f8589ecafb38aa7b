//! Waiting for the files that come into a signal directory.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

/// Between two looks for a decision where the kernel tells of changes; it may lose one.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// The same where it doesn't: a user may have no more watches.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The files that come into a directory. A hook that waits for a person costs nothing meanwhile.
pub(super) struct Changes(Option<OwnedFd>);

impl Changes {
    pub(super) fn of(dir: &Path) -> Self {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = || {
            let watch = inotify::init(flags)?;
            let comes = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
            inotify::add_watch(&watch, dir, comes)?;
            Ok::<_, rustix::io::Errno>(watch)
        };
        Self(watch().ok())
    }

    /// Waits for a change, no longer than that.
    pub(super) fn wait(&self, limit: Duration) {
        let Some(watch) = &self.0 else {
            return thread::sleep(limit.min(POLL_INTERVAL));
        };
        let limit = Timespec::try_from(limit.min(LOOK_INTERVAL)).ok();
        let _at_intervals = poll(&mut [PollFd::new(watch, PollFlags::IN)], limit.as_ref());
        let mut events = [0; 4096];
        while rustix::io::read(watch, &mut events).is_ok_and(|read| read > 0) {}
    }
}
