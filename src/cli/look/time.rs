//! Durations, ages and moments for people. Moments are local, and say their offset from UTC; documents have UTC.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, FixedOffset, Local, NaiveDateTime};

use super::Look;

/// How long something took: `0.4s`, `12s`, `4m 03s`, `2h 05m`, `3d 04h`.
pub(crate) fn took(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// How long ago something was, in one unit: `12s`, `4m`, `2h`, `3d`.
pub(crate) fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// The moment that a record names in RFC 3339.
pub(crate) fn parse(at: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(at).ok()
}

/// The moment with which a run's id begins.
pub(crate) fn of_run(id: &str) -> Option<SystemTime> {
    let digits = id.get(..15)?;
    let moment = NaiveDateTime::parse_from_str(digits, "%Y%m%d-%H%M%S").ok()?;
    Some(SystemTime::from(moment.and_utc()))
}

impl Look {
    /// How long ago that was; nothing of it lies ahead.
    pub(crate) fn since(&self, at: SystemTime) -> Duration {
        self.now.duration_since(at).unwrap_or_default()
    }

    fn local(&self, at: SystemTime) -> DateTime<FixedOffset> {
        match &self.zone {
            Some(zone) => DateTime::<chrono::Utc>::from(at).with_timezone(zone),
            None => DateTime::<Local>::from(at).fixed_offset(),
        }
    }

    /// `14:03:07`, local.
    pub(crate) fn clock(&self, at: SystemTime) -> String {
        self.local(at).format("%H:%M:%S").to_string()
    }

    /// `2026-11-27 +02:00`: the day, and the offset of its times.
    pub(crate) fn day(&self, at: SystemTime) -> String {
        self.local(at).format("%Y-%m-%d %:z").to_string()
    }

    /// `2026-11-27 14:03:07 +02:00`.
    pub(crate) fn moment(&self, at: SystemTime) -> String {
        self.local(at).format("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::look;
    use super::*;

    #[test]
    fn durations_and_ages_have_the_digits_that_matter() {
        for (millis, long, short) in [
            (0, "0.0s", "0s"),
            (9_990, "9.9s", "9s"),
            (59_999, "59s", "59s"),
            (243_000, "4m 03s", "4m"),
            (7_500_000, "2h 05m", "2h"),
            (172_800_000, "2d 00h", "2d"),
            (40_000_000_000, "462d 23h", "462d"),
        ] {
            let time = Duration::from_millis(millis);
            assert_eq!((took(time).as_str(), age(time).as_str()), (long, short));
        }
    }

    #[test]
    fn moments_are_local_and_say_their_zone() {
        let look = look(None, false);
        let at = parse("2026-11-27T22:03:07.123Z").expect("a moment");
        assert_eq!(look.moment(at), "2026-11-28 00:03:07 +02:00");
        assert_eq!(
            (look.clock(at), look.day(at)),
            ("00:03:07".into(), "2026-11-28 +02:00".into())
        );
        assert_eq!(look.since(at), Duration::ZERO);
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn a_runs_id_tells_when_it_began() {
        assert_eq!(
            of_run("20261127-220307-t-0001"),
            parse("2026-11-27T22:03:07Z")
        );
        for id in ["", "20261327-220307-t", "é20261127-22030", "fix-it"] {
            assert_eq!(of_run(id), None, "{id}");
        }
    }
}
