//! tmux: its pane, its session, its server and its socket.

use rustix::process::Signal;

use super::*;

faults! {
    both_and_claude pane_killed: Fault {
        how: "`kill-pane` in a turn",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 5,
        says: &[],
        provoke: |rig| Box::pin(told(rig, "kill-pane")),
    };
    every_and_claude session_killed: Fault {
        how: "`kill-session` in a turn",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 5,
        says: &[],
        provoke: |rig| Box::pin(told(rig, "kill-session")),
    };
    every_and_claude server_ended: Fault {
        how: "`kill-server` in a turn",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 5,
        says: &[],
        provoke: |rig| Box::pin(told(rig, "kill-server")),
    };
    every_and_claude server_killed: Fault {
        how: "SIGKILL to the tmux server in a turn",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 5,
        says: &[],
        provoke: |rig| Box::pin(server_killed(rig)),
    };
    both_terminals_and_claude server_killed_at_the_start: Fault {
        how: "… before the prompt",
        status: Status::AgentDied,
        code: Some("agent_died"),
        within: 5,
        says: &[],
        provoke: |rig| Box::pin(server_killed_at_the_start(rig)),
    };
    both_and_claude socket_removed: Fault {
        how: "the tmux server's socket is removed in a turn",
        status: Status::Completed,
        code: None,
        within: 10,
        says: &["Done."],
        provoke: |rig| Box::pin(socket_removed(rig, "")),
    };
    both_and_claude socket_removed_and_the_turn_fails: Fault {
        how: "… and the turn passes its deadline",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 13,
        says: &["longer than 6s"],
        provoke: |rig| Box::pin(socket_removed(rig, "[[sleep 60]]")),
    };
    both_and_claude socket_removed_at_the_start: Fault {
        how: "… before the prompt",
        status: Status::Completed,
        code: None,
        within: 10,
        says: &["Done."],
        provoke: |rig| Box::pin(socket_removed_at_the_start(rig)),
    };
    both_and_claude hung_at_the_start: Fault {
        how: "SIGSTOP to the tmux server before the prompt",
        status: Status::Completed,
        code: None,
        within: 15,
        says: &["Done."],
        provoke: |rig| Box::pin(hung_at_the_start(rig)),
    };
    both_and_claude hung: Fault {
        how: "SIGSTOP to the tmux server in a turn",
        status: Status::Completed,
        code: None,
        within: 20,
        says: &["Done."],
        provoke: |rig| Box::pin(hung(rig, "")),
    };
    both_and_claude hung_and_the_turn_fails: Fault {
        how: "… and the turn passes its deadline",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 20,
        says: &["longer than 6s"],
        provoke: |rig| Box::pin(hung(rig, "[[sleep 60]]")),
    };
}

async fn in_a_turn(rig: &Rig, brief: &str) -> Run {
    let mut task = rig.task(brief);
    task.limits.turn = Duration::from_secs(3);
    submit(rig, task).await
}

async fn told(rig: &Rig, command: &str) -> Ended {
    let run = in_a_turn(rig, "[[sleep 60]]").await;
    match command {
        "kill-server" => rig.tmux(&[command]),
        _ => rig.tmux(&[command, "-t", &rig.pane()]),
    };
    end(rig, run).await
}

fn server_pid(rig: &Rig) -> u32 {
    let printed = rig.tmux(&["display-message", "-p", "-t", &rig.pane(), "#{pid}"]);
    printed.trim().parse().expect("a pid")
}

async fn server_killed(rig: &Rig) -> Ended {
    let run = in_a_turn(rig, "[[sleep 60]]").await;
    rig.signal(server_pid(rig), Signal::KILL);
    end(rig, run).await
}

async fn socket_removed(rig: &Rig, then: &str) -> Ended {
    let socket = rig.socket();
    fault_in_a_turn(rig, then, async |_| {
        fs::remove_file(socket).expect("the socket");
    })
    .await
}

async fn hung(rig: &Rig, then: &str) -> Ended {
    fault_in_a_turn(rig, then, async |_| {
        rig.signal(server_pid(rig), Signal::STOP);
    })
    .await
}

async fn server_killed_at_the_start(rig: &Rig) -> Ended {
    fault_at_the_start(rig, async |_| {
        rig.signal(server_pid(rig), Signal::KILL);
    })
    .await
}

async fn socket_removed_at_the_start(rig: &Rig) -> Ended {
    fault_at_the_start(rig, async |_| {
        fs::remove_file(rig.socket()).expect("the socket");
    })
    .await
}

async fn hung_at_the_start(rig: &Rig) -> Ended {
    fault_at_the_start(rig, async |_| {
        rig.signal(server_pid(rig), Signal::STOP);
    })
    .await
}
