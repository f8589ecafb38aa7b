//! The calls that wait for the word of the operator's own policy.
//!
//! ```text
//! call-<seq>.json       a call, written by the hook that then waits
//! ruling-<seq>.json     the word on it, written by the operator
//! ```

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::changes::Changes;
use super::{is_seq, nanos_since_epoch, store};
use crate::agent::report::Call;
use crate::policy::Ruling;

const CALL: &str = "call-";
const RULING: &str = "ruling-";

/// So much longer than the operator's limit a hook waits: a busy operator may be late.
const GRACE: Duration = Duration::from_secs(10);

/// So much more time a hook must be given by its agent than its decision may take.
pub(crate) const HOOK_GRACE: Duration = Duration::from_secs(60);

/// Tells the operator of a call and waits for its word. `None` where none came, or can be waited for.
pub(super) fn ask(dir: &Path, call: &Call, limit: Duration) -> Option<Ruling> {
    let seq = format!("{:020}-{}", nanos_since_epoch(), std::process::id());
    let document = serde_json::to_vec(call).ok()?;
    let changes = Changes::of(dir);
    store::write_atomic(dir, &format!("{CALL}{seq}.json"), &document).ok()?;
    let (started, limit) = (Instant::now(), limit.saturating_add(GRACE));
    let path = dir.join(format!("{RULING}{seq}.json"));
    loop {
        // Read the clock first: a word that came in the last interval still counts.
        let late = started.elapsed() >= limit;
        if let Some(ruling) = store::load_file(&path) {
            return serde_json::from_slice(&ruling).ok();
        }
        if late {
            return None;
        }
        changes.wait(limit.saturating_sub(started.elapsed()));
    }
}

/// The calls of a signal directory that have no word yet, oldest first, each with the name that its word is to have.
pub fn open_calls(dir: &Path) -> Vec<(String, Call)> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names: HashSet<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let ruling = |name: &String| {
        let seq = name.strip_prefix(CALL)?.strip_suffix(".json")?;
        let ruling = format!("{RULING}{seq}.json");
        (is_seq(seq) && !names.contains(&ruling)).then(|| (name.clone(), ruling))
    };
    let mut open: Vec<(String, String)> = names.iter().filter_map(ruling).collect();
    open.sort_unstable();
    let load = |(name, ruling): (String, String)| {
        let call = serde_json::from_slice(&store::load_file(&dir.join(name))?).ok()?;
        Some((ruling, call))
    };
    open.into_iter().filter_map(load).collect()
}

/// Writes the word on a call under the name that [`open_calls`] told.
///
/// # Errors
/// Whatever the atomic write meets.
pub fn write_ruling(dir: &Path, name: &str, ruling: &Ruling) -> io::Result<()> {
    store::write_atomic(dir, name, &serde_json::to_vec(ruling)?)
}
