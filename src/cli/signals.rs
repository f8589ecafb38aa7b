//! The signals that end a run.

use std::fs;
use std::io;
use std::task::Poll;

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::os::signal::ENDING;

/// The signals that end a run, each under its name.
pub(super) struct Signals(Vec<(&'static str, Signal)>);

impl Signals {
    /// Signals that were ignored at our start stay ignored: `nohup` and `trap ''` mean it.
    pub(super) fn catch() -> io::Result<Self> {
        let ignored = ignored_signals();
        let heard = ENDING
            .iter()
            .filter(|(_, number)| !ignored.contains(number));
        let caught = heard.map(|(name, number)| {
            let kind = SignalKind::from_raw(number.as_raw());
            signal(kind).map(|signal| (*name, signal))
        });
        caught.collect::<io::Result<_>>().map(Self)
    }

    /// The next one's name; never, where all are ignored.
    pub(super) async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|context| {
            let come = self
                .0
                .iter_mut()
                .find_map(|(name, signal)| signal.poll_recv(context).is_ready().then_some(*name));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The signals of [`ENDING`] that this process inherited as ignored.
fn ignored_signals() -> Vec<Number> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    let is_ignored = |number: &Number| mask >> (number.as_raw() - 1) & 1 == 1;
    let numbers = ENDING.iter().map(|(_, number)| *number);
    numbers.filter(is_ignored).collect()
}
