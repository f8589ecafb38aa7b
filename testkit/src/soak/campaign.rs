//! All the runs of a soak, some at once.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::Result;
use super::inventory::{control_groups, open_files};
use super::plan::Plan;
use super::report::Report;
use super::scene::Programs;
use super::trial::carry_out;

/// What a soak is asked for.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What takes part: the runs take turns.
    pub programs: Vec<Programs>,
    /// Whether the agent is a real one.
    pub is_real: bool,
    /// What everything is drawn from.
    pub seed: u64,
    /// The first run's number.
    pub first: usize,
    /// How many runs there are.
    pub runs: usize,
    /// How many at once.
    pub parallel: usize,
}

impl Campaign {
    /// Carries all runs out below `root`, and tells `progress` how many are over and how many violations there are.
    pub fn run(&self, root: &Path, progress: impl Fn(usize, usize) + Sync) -> Report {
        let open_before = open_files();
        let next = AtomicUsize::new(0);
        let shared = Mutex::new(Report::default());
        let work = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= self.runs {
                    return;
                }
                let number = self.first + index;
                let plan = Plan::draw(self.seed, number, self.is_real);
                let programs = &self.programs[number % self.programs.len()];
                let mut verdict = carry_out(root, programs, &plan);
                if self.programs.len() > 1
                    && let Ok(verdict) = &mut verdict
                {
                    verdict.label = format!("{}: {}", programs.label(), verdict.label);
                }
                let mut report = shared.lock().unwrap_or_else(PoisonError::into_inner);
                take(&mut report, &plan, verdict);
                progress(index + 1, report.violations.len());
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.parallel {
                scope.spawn(work);
            }
        });
        let mut report = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        let groups = control_groups(&format!("soak-{}-", std::process::id()));
        report.violations.extend(groups);
        let open = open_files();
        if open > open_before {
            let what = format!("{open} files are open, {open_before} were before");
            report.violations.push(what);
        }
        report
    }
}

fn take(report: &mut Report, plan: &Plan, verdict: Result<super::trial::Verdict>) {
    match verdict {
        Ok(verdict) => report.add(plan.number, verdict),
        Err(error) => report
            .violations
            .push(format!("run {}: {error}", plan.number)),
    }
}
