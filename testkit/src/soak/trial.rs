//! One run: it is started, disturbed, taken over where its operator was killed, and looked at.

use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use super::Result;
use super::disturb::{Moment, disturb, wait};
use super::inventory::{end_processes, left_overs};
use super::plan::{Disturbance, Heir, Plan};
use super::scene::{Programs, Scene};
use super::verify::{self, How};

/// The longest that any program of a run may take; the deadlines of the run itself are shorter.
const LIMIT: Duration = Duration::from_secs(60);
/// The longest from what ends a run to the end of its operator: the proof of a prompt that never comes is waited for
/// 15 s, a composer that somebody else's text is in for 20 s, a polite end takes three, grace two.
const SETTLING: Duration = Duration::from_secs(25);

/// What became of a run.
pub(crate) struct Verdict {
    /// The line of the table.
    pub(crate) label: String,
    /// The status, with the code of its error.
    pub(crate) end: String,
    /// From the operator's start to the end of the last who had to do with the run.
    pub(crate) took: Duration,
    /// What should not be so.
    pub(crate) violations: Vec<String>,
}

/// Carries out a plan below `root`. If nothing is wrong its directory is removed.
///
/// # Errors
/// What keeps the soak itself from working.
pub(crate) fn carry_out(root: &Path, programs: &Programs, plan: &Plan) -> Result<Verdict> {
    let scene = Scene::new(root, programs, plan)?;
    let mut violations = Vec::new();
    let started = Instant::now();
    let mut operator = scene.delegation(plan)?.spawn()?;
    let moment = disturb(&scene, plan, (&mut operator, started))?;
    let disturbed = Instant::now();
    let status = finish("delegate", &mut operator, &mut violations)?;
    if moment.in_time && disturbed.elapsed() > SETTLING {
        violations.push(format!("it took {:.1?} to end", disturbed.elapsed()));
    }
    if plan.disturbance == Disturbance::OperatorKilled {
        take_over(&scene, plan, &mut violations)?;
    }
    let took = started.elapsed();
    let how = How { moment, status };
    let seen = verify::verify(&scene, plan, &how)?;
    violations.extend(seen.violations);
    violations.extend(left_overs(&scene, &seen.outcomes));
    end_processes(&scene);
    if violations.is_empty() {
        std::fs::remove_dir_all(scene.world.dir())?;
    }
    Ok(Verdict {
        label: label(plan, moment),
        end: seen.end,
        took,
        violations,
    })
}

fn label(plan: &Plan, moment: Moment) -> String {
    let label = plan.label();
    match moment.in_time || plan.disturbance == Disturbance::Nothing {
        true => label,
        false => format!("{label} (too late)"),
    }
}

/// Waits for the end of a program; one that takes too long is killed, which is told. Returns its exit status, `None`
/// after a signal.
fn finish(what: &str, program: &mut Child, violations: &mut Vec<String>) -> Result<Option<i32>> {
    if wait(program, Instant::now() + LIMIT)?.is_none() {
        violations.push(format!("{what} did not end within {LIMIT:?}"));
        program.kill()?;
    }
    Ok(program.wait()?.code())
}

/// Has the run taken over, by one after the other.
fn take_over(scene: &Scene, plan: &Plan, violations: &mut Vec<String>) -> Result<()> {
    for (turn, &(heir, killed_after)) in plan.heirs.iter().enumerate() {
        let name = format!("heir-{turn}");
        let mut command = match heir {
            Heir::Resume => scene.command(&name, &["resume", &scene.task, "--json"]),
            Heir::Recover => scene.command(&name, &["recover", "--json"]),
            Heir::RecoverEnd => scene.command(&name, &["recover", "--end", "--json"]),
            Heir::Cleanup => scene.command(&name, &["cleanup", "--json"]),
            Heir::NextRun => {
                // A name of its own: one that was killed may have left an agent that works under the last one.
                let task = format!("{}-next{turn}", scene.task);
                scene.delegation_of(&name, &task, "[[say Done. STATUS: DONE]]")
            }
        }?;
        let mut program = command.spawn()?;
        let Some(after) = killed_after else {
            let status = finish(&name, &mut program, violations)?;
            verify::verify_heir(scene, (heir, status), violations);
            continue;
        };
        wait(&mut program, Instant::now() + after)?;
        program.kill()?;
        program.wait()?;
    }
    Ok(())
}
