//! Presence is awaited with a limit.

use std::thread;
use std::time::{Duration, Instant};

/// The longest that anything awaited may take; a passing test waits milliseconds.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
pub const PACE: Duration = Duration::from_millis(5);

/// What a time that is ample on a quiet machine comes to on this one now, where other tests run and others may work: twice
/// that, or as much more as there are processes for each processor.
#[must_use]
pub fn on_this_machine(quiet: Duration) -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().and_then(|last| last.parse().ok());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let each = load.unwrap_or(0.0_f64) / f64::from(u32::try_from(processors).unwrap_or(1));
    quiet.mul_f64(1.0 + each.max(1.0))
}

/// Looks until there is an answer.
///
/// # Panics
/// There is none within [`LIMIT`].
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_or(LIMIT, look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// Looks until there is an answer, or the limit is reached.
pub fn wait_or<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= until {
            return None;
        }
        thread::sleep(PACE);
    }
}

/// Looks until there is an answer, and lets other tasks run between two looks.
///
/// # Panics
/// There is none within [`LIMIT`].
pub async fn wait_for_async<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        tokio::time::sleep(PACE).await;
    }
}
