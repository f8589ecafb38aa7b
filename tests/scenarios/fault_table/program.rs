//! The agent's program ends, or stands still.

use rustix::process::Signal;

use super::*;

faults! {
    scripted exit_0: Fault {
        how: "the agent's program exits with 0 in a turn",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 3,
        says: &["with exit status 0", "pane.log"],
        provoke: |rig| Box::pin(exits(rig, 0)),
    };
    scripted exit_1: Fault {
        how: "… with 1",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 3,
        says: &["with exit status 1", "pane.log"],
        provoke: |rig| Box::pin(exits(rig, 1)),
    };
    real quit_by_a_person: Fault {
        how: "somebody types `/quit` in a turn",
        status: Status::Aborted,
        code: Some("interrupted"),
        within: 5,
        says: &["a person stopped the agent", "without --write"],
        provoke: |rig| Box::pin(quit(rig)),
    };
    every_and_claude killed: Fault {
        how: "SIGKILL to the agent's program in a turn",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 3,
        says: &["by signal 9"],
        provoke: |rig| Box::pin(signalled(rig, Signal::KILL)),
    };
    both_terminals_and_claude killed_at_the_start: Fault {
        how: "… before the prompt",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 3,
        says: &["by signal 9"],
        provoke: |rig| Box::pin(killed_at_the_start(rig)),
    };
    every_and_claude stopped: Fault {
        how: "SIGSTOP to it in a turn",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 11,
        says: &["longer than 3s"],
        provoke: |rig| Box::pin(signalled(rig, Signal::STOP)),
    };
}

async fn exits(rig: &Rig, status: u8) -> Ended {
    let go = rig.path("go");
    let script = format!(
        "expect-prompt *\nawait-file {}\nexit {status}",
        go.display()
    );
    let run = submit(rig, rig.scripted(&script)).await;
    fs::write(go, "").expect("the word");
    end(rig, run).await
}

async fn quit(rig: &Rig) -> Ended {
    let run = submit(rig, rig.task("[[sleep 60]]")).await;
    rig.wait_for_screen("esc to interrupt").await;
    rig.type_text("/quit").await;
    end(rig, run).await
}

async fn signalled(rig: &Rig, signal: Signal) -> Ended {
    let mut task = rig.task("[[sleep 60]]");
    task.limits.turn = Duration::from_secs(3);
    let run = submit(rig, task).await;
    rig.signal(rig.agent_pid(&run_id(rig)).await, signal);
    end(rig, run).await
}

async fn killed_at_the_start(rig: &Rig) -> Ended {
    fault_at_the_start(rig, async |_| {
        rig.signal(rig.agent_pid(&run_id(rig)).await, Signal::KILL);
    })
    .await
}
