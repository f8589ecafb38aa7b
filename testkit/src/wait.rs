//! Presence is awaited with a limit.

use std::thread;
use std::time::{Duration, Instant};

/// The longest that anything awaited may take; a passing test waits milliseconds.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks.
pub const PACE: Duration = Duration::from_millis(5);

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
