//! The signals that end a run.

use rustix::process::Signal;

/// The signals that end a run in good order, under the names that its record has for them (`error.signal`): all that would
/// else end this process at once, but for those of a fault in it.
pub const ENDING: [(&str, Signal); 12] = [
    ("SIGINT", Signal::INT),
    ("SIGTERM", Signal::TERM),
    ("SIGHUP", Signal::HUP),
    ("SIGQUIT", Signal::QUIT),
    ("SIGALRM", Signal::ALARM),
    ("SIGUSR1", Signal::USR1),
    ("SIGUSR2", Signal::USR2),
    ("SIGVTALRM", Signal::VTALARM),
    ("SIGPROF", Signal::PROF),
    ("SIGXCPU", Signal::XCPU),
    ("SIGIO", Signal::IO),
    ("SIGPWR", Signal::POWER),
];

/// The exit status of a program that this signal ended, as shells have it.
pub(crate) fn exit_after(signal: &str) -> Option<u8> {
    let (_, number) = ENDING.iter().find(|(name, _)| *name == signal)?;
    u8::try_from(128 + number.as_raw()).ok()
}
