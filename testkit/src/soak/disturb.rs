//! What happens to a run from outside, at its time.

use std::fs;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use cx_operator::record::journal::{self, Progress};
use cx_operator::record::{RunDir, Store};
use rustix::process::{Pid, Signal, kill_process};

use super::Result;
use super::plan::{Disturbance, Plan};
use super::scene::Scene;
use crate::processes::{self, Process};

/// Between two looks at what is awaited.
const PACE: Duration = Duration::from_millis(3);

/// What was so at the moment of the disturbance.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    /// The operator still ran, and what was to be disturbed was there.
    pub(crate) in_time: bool,
    /// The prompt was submitted, with proof.
    pub(crate) submitted: bool,
    /// The agent's hook had said that a turn ended.
    pub(crate) turn_ended: bool,
}

/// Disturbs the run of an operator that was started at `started`, when its time has come.
pub(crate) fn disturb(
    scene: &Scene,
    plan: &Plan,
    (operator, started): (&mut Child, Instant),
) -> Result<Moment> {
    if plan.disturbance == Disturbance::Nothing {
        return Ok(Moment::default());
    }
    wait(operator, started + plan.at)?;
    let mut moment = Moment::default();
    while operator.try_wait()?.is_none() {
        moment = look(scene);
        if strike(scene, plan, operator)? {
            moment.in_time = true;
            break;
        }
        thread::sleep(PACE);
    }
    Ok(moment)
}

/// Waits for the end of a program, or until then.
pub(crate) fn wait(program: &mut Child, until: Instant) -> Result<Option<ExitStatus>> {
    loop {
        let ended = program.try_wait()?;
        if ended.is_some() || Instant::now() >= until {
            return Ok(ended);
        }
        thread::sleep(PACE.min(until.saturating_duration_since(Instant::now())));
    }
}

/// The directory of the task's run, once there is one.
pub(crate) fn find_run(scene: &Scene, task: &str) -> Option<RunDir> {
    if !scene.world.state().join("unfinished").exists() {
        return None;
    }
    let runs = Store::open(&scene.world.state()).ok()?.load_runs().ok()?;
    runs.into_iter().find(|run| run.task() == Some(task))
}

fn look(scene: &Scene) -> Moment {
    let Some(run) = find_run(scene, &scene.task) else {
        return Moment::default();
    };
    let journal = journal::load(&run.path().join("events.jsonl")).unwrap_or_default();
    let mut signals = fs::read_dir(run.path().join("signals"))
        .into_iter()
        .flatten();
    Moment {
        in_time: false,
        submitted: journal
            .iter()
            .any(|entry| matches!(entry.progress, Progress::Submitted { .. })),
        turn_ended: signals.any(|file| {
            file.is_ok_and(|file| file.file_name().to_string_lossy().starts_with(".done-"))
        }),
    }
}

/// Does what disturbs; `false` where there is nothing yet to do it to.
fn strike(scene: &Scene, plan: &Plan, operator: &mut Child) -> Result<bool> {
    let session = format!("={}", scene.session());
    let pane = format!("{session}:");
    match plan.disturbance {
        Disturbance::Nothing => Ok(true),
        Disturbance::OperatorKilled => Ok(operator.kill().map(|()| true)?),
        Disturbance::Interrupted => signal(operator, Signal::INT),
        Disturbance::TerminatedTwice => {
            signal(operator, Signal::TERM)?;
            if wait(operator, Instant::now() + plan.again)?.is_none() {
                signal(operator, Signal::TERM)?;
            }
            Ok(true)
        }
        Disturbance::AgentKilled => Ok(kill(scene, |process| {
            scene.is_agent(process.program().as_deref()) && process.has("CX_OPERATOR_RUN=")
        })),
        Disturbance::SessionKilled => Ok(scene.tmux(&["kill-session", "-t", &session])),
        // A server without a session is one that is just being started or ended.
        Disturbance::ServerEnded => {
            Ok(scene.tmux(&["has-session", "-t", &session]) && scene.tmux(&["kill-server"]))
        }
        Disturbance::ServerKilled => Ok(scene.tmux(&["has-session", "-t", &session])
            && kill(scene, |process| process.command.starts_with("tmux "))),
        Disturbance::Escape => Ok(scene.tmux(&["send-keys", "-t", &pane, "Escape"])),
    }
}

fn signal(program: &Child, signal: Signal) -> Result<bool> {
    Ok(kill_process(Pid::from_child(program), signal).map(|()| true)?)
}

/// Kills the processes of the scene that fit; returns whether there was one.
fn kill(scene: &Scene, fits: impl Fn(&Process) -> bool) -> bool {
    let mut found = scene.world.processes();
    found.retain(fits);
    processes::kill(&found);
    !found.is_empty()
}
