//! The table of outcomes, and everything that should not be so.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::trial::Verdict;

/// What a soak found.
#[derive(Default)]
pub struct Report {
    runs: usize,
    /// (disturbance, status and code) → how long each such run took.
    rows: BTreeMap<(String, String), Vec<Duration>>,
    /// Everything that should not be so, one line each.
    pub violations: Vec<String>,
}

impl Report {
    /// Takes in what became of a run.
    pub(crate) fn add(&mut self, number: usize, verdict: Verdict) {
        self.runs += 1;
        let Verdict {
            label,
            end,
            took,
            violations,
        } = verdict;
        let told = violations
            .iter()
            .map(|what| format!("run {number} ({label}): {what}"));
        self.violations.extend(told);
        self.rows.entry((label, end)).or_default().push(took);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| disturbance | status (code) | runs | median s | max s |"
        )?;
        writeln!(f, "|---|---|---|---|---|")?;
        for ((label, end), times) in &self.rows {
            let mut times = times.clone();
            times.sort();
            let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
            let (median, most) = (median.as_secs_f64(), most.as_secs_f64());
            let count = times.len();
            writeln!(f, "| {label} | {end} | {count} | {median:.2} | {most:.2} |")?;
        }
        writeln!(
            f,
            "\n{} runs, {} violations",
            self.runs,
            self.violations.len()
        )?;
        for violation in &self.violations {
            writeln!(f, "VIOLATED {violation}")?;
        }
        Ok(())
    }
}
