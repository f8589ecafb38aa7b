//! The same where Claude Code has words of its own for it.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use testkit::mock_model::write_claude_home;

use super::*;

faults! {
    every_claude http_401: Fault {
        how: "each request is answered by 401",
        status: Status::AgentFailed,
        code: Some("http_401"),
        within: 12,
        says: &["401", "claude auth login"],
        provoke: |rig| Box::pin(answered(rig, "[[http 401]]")),
    };
    every_claude http_403: Fault {
        how: "… by 403",
        status: Status::AgentFailed,
        code: Some("http_403"),
        within: 12,
        says: &["403", "claude auth login"],
        provoke: |rig| Box::pin(answered(rig, "[[http 403]]")),
    };
    every_claude http_404: Fault {
        how: "… by 404",
        status: Status::AgentFailed,
        code: Some("http_404"),
        within: 12,
        says: &["model"],
        provoke: |rig| Box::pin(answered(rig, "[[http 404]]")),
    };
    every_claude http_429: Fault {
        how: "… by 429",
        status: Status::AgentFailed,
        code: Some("http_429"),
        within: 12,
        says: &["429", "wait for the limit"],
        provoke: |rig| Box::pin(answered(rig, "[[http 429]]")),
    };
    every_claude http_500: Fault {
        how: "… by 500",
        status: Status::AgentFailed,
        code: Some("http_500"),
        within: 15,
        says: &["500", "try again later"],
        provoke: |rig| Box::pin(answered(rig, "[[http 500]]")),
    };
    every_claude http_529: Fault {
        how: "… by 529",
        status: Status::AgentFailed,
        code: Some("http_529"),
        within: 15,
        says: &["try again later"],
        provoke: |rig| Box::pin(answered(rig, "[[http 529]]")),
    };
    every_claude connection_refused: Fault {
        how: "nobody listens at the API's port",
        status: Status::AgentFailed,
        code: Some("server_error"),
        within: 15,
        says: &["onnect"],
        provoke: |rig| Box::pin(refused(rig)),
    };
    every_claude connection_timeout: Fault {
        how: "the API's port takes no connection",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 12,
        says: &["longer than 2s"],
        provoke: |rig| Box::pin(unanswered(rig)),
    };
    every_claude missing_and_the_turn_fails: Fault {
        how: "the transcript is removed in a turn that fails: a hook tells of that",
        status: Status::AgentFailed,
        code: Some("http_401"),
        within: 12,
        says: &["401"],
        provoke: |rig| Box::pin(transcript::missing(rig, "[[http 401]]")),
    };
    every_claude truncated: Fault {
        how: "the transcript is cut to nothing in a turn that fails",
        status: Status::AgentFailed,
        code: Some("http_401"),
        within: 12,
        says: &["401"],
        provoke: |rig| Box::pin(transcript::truncated(rig)),
    };
    claude garbled_stream: Fault {
        how: "the stream is no stream of events: it is asked for an answer without one",
        status: Status::Completed,
        code: None,
        within: 15,
        says: &[],
        provoke: |rig| Box::pin(answered(rig, "[[garble]]")),
    };
    claude dropped_stream: Fault {
        how: "the stream is cut in the middle of the answer",
        status: Status::AgentFailed,
        code: Some("server_error"),
        within: 20,
        says: &[],
        provoke: |rig| Box::pin(answered(rig, "[[drop]]")),
    };
}

/// The model answers the first prompt as the brief says.
async fn answered(rig: &Rig, brief: &str) -> Ended {
    let run = submit(rig, rig.task(brief)).await;
    end(rig, run).await
}

/// A task whose agent looks for its model at that port.
fn at_port(rig: &Rig, port: u16) -> Task {
    let mut task = rig.task("x");
    let variables = write_claude_home(&rig.path("home"), port).expect("its settings");
    rig.note_the_callers_state();
    task.environment.extend(variables);
    task
}

async fn refused(rig: &Rig) -> Ended {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = free.local_addr().expect("its port").port();
    drop(free);
    let run = submit(rig, at_port(rig, port)).await;
    end(rig, run).await
}

/// A queue of no length takes one connection; whoever comes next hears nothing.
async fn unanswered(rig: &Rig) -> Ended {
    let full = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    rustix::net::listen(&full, 0).expect("a queue of no length");
    let address = full.local_addr().expect("its address");
    let _first = TcpStream::connect(address).expect("the queue's only place");
    let mut task = at_port(rig, address.port());
    task.limits.turn = Duration::from_secs(2);
    let run = submit(rig, task).await;
    end(rig, run).await
}
