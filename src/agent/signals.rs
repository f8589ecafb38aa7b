//! The files by which the hooks tell the operator what the agent did.
//!
//! Owns their names, the check of the payload's `session_id`, the atomic write, and the decision on a permission, in the
//! other way. Refuses to guess: a payload that is not one well-formed JSON
//! object with a UUID as its top-level `session_id`, or that did not end in time, is kept verbatim under a `malformed` name.
//!
//! Per event, in the order in which they appear in the directory:
//!
//! ```text
//! session start   session-<uuid>-<seq>.json      .session-id (the UUID and a newline, or `malformed`)
//! prompt          prompt-<uuid>-<seq>.json
//! permission      permission-<uuid>-<seq>.json
//! stop            stop-<uuid>-<seq>.json         sentinel-<uuid>.json    .done-<uuid> (empty)
//! ```
//!
//! The files of a policy are in `verdict` and `ruling`.
//!
//! `malformed` replaces a missing `<uuid>`. `<seq>` is 20 digits of nanoseconds since 1970, a hyphen and
//! the pid of the hook: one per event, in the order of the events. The files with a `<seq>` are never replaced, so a turn's stop
//! survives the next turn's; the others are the newest of their kind. A reader sees a file whole or not at all.
//!
//! A hook that no directory was named to writes into the current one, a user's own: there it leaves out the files with a `<seq>`.

mod changes;
mod input;
mod payload;
mod permission;
mod ruling;
mod store;
mod verdict;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

pub use payload::{is_uuid, parse_session_id};
pub use permission::{
    Decision, MAX_MESSAGE_BYTES, MAX_WAIT, POLICY_NAME, Policy, decision_name, load_policy,
    pass_undecided, write_decision, write_policy,
};
pub(crate) use ruling::HOOK_GRACE;
pub use ruling::{open_calls, write_ruling};
pub use verdict::{Decided, Standing};

/// Name of the file with the UUID of the session that started last.
pub const SESSION_ID_NAME: &str = ".session-id";

/// Prefix of the name of a file that is being written; one that stays belongs to a hook that was killed.
pub const TEMPORARY_PREFIX: &str = ".tmp-";

/// Stands in names, and in [`SESSION_ID_NAME`], where the payload had no usable session id.
pub const MALFORMED: &str = "malformed";

/// An event of the agent that a hook reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The first prompt of a session was submitted, or the session was resumed, cleared or compacted.
    SessionStart,
    /// A prompt was submitted.
    Prompt,
    /// A turn ended normally.
    Stop,
    /// The agent asks for a permission.
    Permission,
}

impl Kind {
    /// Every kind, in the order in which a turn meets them.
    pub const ALL: [Kind; 4] = [
        Kind::SessionStart,
        Kind::Prompt,
        Kind::Permission,
        Kind::Stop,
    ];

    /// The name of the helper that reports this kind.
    pub fn name(self) -> &'static str {
        match self {
            Kind::SessionStart => "session-start",
            Kind::Prompt => "prompt",
            Kind::Stop => "stop",
            Kind::Permission => "permission",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Kind::SessionStart => "session-",
            Kind::Prompt => "prompt-",
            Kind::Stop => "stop-",
            Kind::Permission => "permission-",
        }
    }
}

/// A file that holds the payload of one event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SignalFile {
    /// The event.
    pub kind: Kind,
    /// The UUID of the agent's session as the payload spells it, or `None` for a malformed payload.
    pub session: Option<String>,
    /// 20 digits of nanoseconds since 1970, a hyphen, the pid of the hook; sorts as the events happened.
    pub seq: String,
}

impl SignalFile {
    fn now(kind: Kind, session: Option<String>) -> SignalFile {
        let seq = format!("{:020}-{}", nanos_since_epoch(), process::id());
        SignalFile { kind, session, seq }
    }

    /// The name of the file in the signal directory: `stop-<uuid>-<seq>.json`.
    pub fn name(&self) -> String {
        format!(
            "{}{}-{}.json",
            self.kind.prefix(),
            session_part(self.session.as_deref()),
            self.seq
        )
    }
}

/// The name of the file with the payload of a session's last stop.
pub fn sentinel_name(session: Option<&str>) -> String {
    format!("sentinel-{}.json", session_part(session))
}

/// The name of the empty file that says that the sentinel of a session is written.
pub fn done_name(session: Option<&str>) -> String {
    format!(".done-{}", session_part(session))
}

fn session_part(session: Option<&str>) -> &str {
    session.unwrap_or(MALFORMED)
}

/// Parses the name of a file that holds one event's payload; `None` for every other file of the directory.
pub fn parse_name(name: &str) -> Option<SignalFile> {
    let (kind, rest) = Kind::ALL
        .into_iter()
        .find_map(|kind| Some((kind, name.strip_prefix(kind.prefix())?)))?;
    let rest = rest.strip_suffix(".json")?;
    let (session, seq) = match rest.strip_prefix(MALFORMED) {
        Some(seq) => (None, seq),
        None => {
            let (session, seq) = rest.split_at_checked(payload::UUID_LEN)?;
            (Some(session), seq)
        }
    };
    let seq = seq.strip_prefix('-')?;
    if !is_seq(seq) || session.is_some_and(|session| !is_uuid(session)) {
        return None;
    }
    Some(SignalFile {
        kind,
        session: session.map(str::to_owned),
        seq: seq.to_owned(),
    })
}

fn is_seq(seq: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    seq.split_once('-').is_some_and(|(nanos, pid)| {
        nanos.len() == 20 && (1..=10).contains(&pid.len()) && digits(nanos) && digits(pid)
    })
}

/// Lists the events in a signal directory, oldest first.
///
/// # Errors
/// Whatever reading the directory meets; a directory that does not exist is [`io::ErrorKind::NotFound`].
pub fn list(dir: &Path) -> io::Result<Vec<SignalFile>> {
    let mut signals = Vec::new();
    for entry in fs::read_dir(dir)? {
        signals.extend(entry?.file_name().to_str().and_then(parse_name));
    }
    signals.sort_by(|a, b| a.seq.cmp(&b.seq));
    Ok(signals)
}

/// Where a hook writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    dir: PathBuf,
    chosen: bool,
}

impl Target {
    /// That directory, which may begin with a hyphen; else the current one.
    pub fn new(dir: Option<&OsString>) -> Target {
        match dir {
            Some(dir) => Target {
                dir: dir.into(),
                chosen: true,
            },
            None => Target {
                dir: PathBuf::from("."),
                chosen: false,
            },
        }
    }

    /// The directory, if it was named.
    pub(crate) fn chosen(&self) -> Option<&Path> {
        self.chosen.then_some(self.dir.as_path())
    }

    /// Decides on a permission that was asked here, by the directory's [`Policy`]; blocks under [`Policy::Wait`] until there is a
    /// decision or the limit has passed.
    ///
    /// A malformed payload is never decided: it is unknown whose permission it would be.
    ///
    /// Always [`Decision::Pass`] in a directory that was not named: the current directory is a repository, and a repository
    /// must not grant itself a permission by carrying a policy file. A form has answers, which no policy knows: they are
    /// waited for, unless the policy is [`Policy::Ask`].
    pub fn decide(&self, asked: &SignalFile, is_form: bool) -> Decision {
        if !self.chosen {
            return Decision::Pass;
        }
        permission::decide(&self.dir, asked, is_form)
    }
}

/// Reads one payload from stdin and writes the files of its event; for a hook. Returns the payload too. One that is `settled` is
/// not written, and nobody else is to hear of it.
///
/// Reads at most 16 MiB, a longer payload is malformed. Where stdin has not ended after 5 s, writes what has arrived as malformed
/// and ends the process with status 0.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] for an empty directory name, else the first error of a write. Files already written stay, no
/// temporary file does.
pub fn receive_unless(
    target: &Target,
    kind: Kind,
    settled: impl FnOnce(&[u8]) -> bool,
) -> io::Result<Option<(SignalFile, Vec<u8>)>> {
    // An unset variable in a hook's command line is not a name; joined to a file's name it would mean the current directory.
    if target.dir.as_os_str().is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    let late = target.clone();
    let input = input::read_stdin(move |bytes| {
        let _nobody_to_tell = store::record(&late, &SignalFile::now(kind, None), bytes);
    });
    let whole = input.complete.then_some(input.bytes.as_slice());
    let session = whole.and_then(parse_session_id);
    if session.is_some() && settled(&input.bytes) {
        return Ok(None);
    }
    let signal = SignalFile::now(kind, session);
    store::record(target, &signal, &input.bytes)?;
    Ok(Some((signal, input.bytes)))
}

/// Reads a payload from stdin, and writes nothing. `None` for one that is not whole.
pub fn read_payload() -> Option<Vec<u8>> {
    let input = input::read_stdin(|_| ());
    let is_ours = input.complete && parse_session_id(&input.bytes).is_some();
    is_ours.then_some(input.bytes)
}

fn nanos_since_epoch() -> u128 {
    // A clock before 1970 costs the order of the events, not the events.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "019a5b2c-1f00-7abc-8def-0123456789ab";
    const SEQ: &str = "01795227435384000123-4711";

    fn kinds() -> impl Strategy<Value = Kind> {
        prop::sample::select(Kind::ALL.to_vec())
    }

    #[test]
    fn names_are_as_documented() {
        let stop = |session: Option<&str>| SignalFile {
            kind: Kind::Stop,
            session: session.map(str::to_owned),
            seq: SEQ.to_owned(),
        };
        assert_eq!(stop(Some(UUID)).name(), format!("stop-{UUID}-{SEQ}.json"));
        assert_eq!(stop(None).name(), format!("stop-malformed-{SEQ}.json"));
        assert_eq!(sentinel_name(Some(UUID)), format!("sentinel-{UUID}.json"));
        assert_eq!(sentinel_name(None), "sentinel-malformed.json");
        assert_eq!(done_name(Some(UUID)), format!(".done-{UUID}"));
        assert_eq!(done_name(None), ".done-malformed");
    }

    #[test]
    fn other_files_of_the_directory_are_not_events() {
        for name in [
            ".session-id",
            ".tmp-12-34",
            ".done-malformed",
            "sentinel-malformed.json",
            &format!("sentinel-{UUID}.json"),
            &format!("decision-{UUID}-{SEQ}"),
            &format!("stop-{UUID}.json"),
            &format!("stop-{UUID}-{SEQ}"),
            &format!("stop-{UUID}-{SEQ}x.json"),
            &format!("stop-{UUID}-1-1.json"),
            &format!("stop-{UUID}_{SEQ}.json"),
            &format!("stop-{}-{SEQ}.json", UUID.replace('7', "x")),
            &format!("stop-malformed{SEQ}.json"),
            "permission-policy",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }

    #[test]
    fn later_events_sort_after_earlier_ones() {
        let earlier = SignalFile::now(Kind::Prompt, None);
        // The clock may have the same reading twice; the order is by time, so wait for another one.
        let later = std::iter::repeat_with(|| SignalFile::now(Kind::Stop, None))
            .find(|signal| signal.seq != earlier.seq)
            .expect("the clock moves");
        assert!(earlier.seq < later.seq);
    }

    proptest! {
        #[test]
        fn a_name_parses_back(
            kind in kinds(),
            session in prop::option::of("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
            nanos in any::<u64>(),
            pid in any::<u32>(),
        ) {
            let signal = SignalFile { kind, session, seq: format!("{nanos:020}-{pid}") };
            prop_assert_eq!(parse_name(&signal.name()), Some(signal));
        }

        #[test]
        fn a_parsed_name_is_the_name(
            kind in "stop|prompt",
            session in "malformed|[0-9a-f-]{34,38}|\\PC{0,40}",
            seq in "[0-9]{19,21}-[0-9]{0,12}",
            suffix in "(\\.json)?",
        ) {
            let name = format!("{kind}-{session}-{seq}{suffix}");
            if let Some(signal) = parse_name(&name) {
                prop_assert_eq!(signal.name(), name);
            }
        }
    }
}
