use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Signal, getpid, kill_process};

use crate::os::given;

/// `before:<n>`, `within:<n>`, which leaves half of the line, or `after:<n>`; n counts the lines that this process
/// writes, from 1. Instead of a number, a text that the line contains.
const VARIABLE: &str = "CX_OPERATOR_CRASH";

static LINES: AtomicUsize = AtomicUsize::new(0);

pub(super) struct Point {
    number: usize,
    line: String,
}

impl Point {
    pub(super) fn reach(line: &mut Vec<u8>) -> Self {
        let number = LINES.fetch_add(1, Ordering::Relaxed) + 1;
        let point = Self {
            number,
            line: String::from_utf8_lossy(line).into_owned(),
        };
        point.die_at("before");
        if point.is_at("within") {
            line.truncate(line.len() / 2);
        }
        point
    }

    pub(super) fn pass(&self) {
        self.die_at("within");
        self.die_at("after");
    }

    fn is_at(&self, when: &str) -> bool {
        let Some(at) = given::variable(VARIABLE) else {
            return false;
        };
        let at = at.to_string_lossy();
        let Some((time, place)) = at.split_once(':') else {
            return false;
        };
        let here = match place.parse::<usize>() {
            Ok(number) => number == self.number,
            Err(_) => self.line.contains(place),
        };
        time == when && here
    }

    fn die_at(&self, when: &str) {
        if self.is_at(when) {
            let _ends_us = kill_process(getpid(), Signal::KILL);
            loop {
                std::thread::park();
            }
        }
    }
}
