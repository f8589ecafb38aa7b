//! The agent's API fails.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use super::*;
use testkit::mock_model::write_codex_home;

faults! {
    every http_401: Fault {
        how: "each request is answered by 401",
        status: Status::AgentFailed,
        code: Some("http_401"),
        within: 5,
        says: &["401 Unauthorized", "codex login"],
        provoke: |rig| Box::pin(answered(rig, "[[http 401]]")),
    };
    both http_403: Fault {
        how: "… by 403",
        status: Status::AgentFailed,
        code: Some("http_403"),
        within: 5,
        says: &["403 Forbidden", "codex login"],
        provoke: |rig| Box::pin(answered(rig, "[[http 403]]")),
    };
    both http_404: Fault {
        how: "… by 404",
        status: Status::AgentFailed,
        code: Some("http_404"),
        within: 5,
        says: &["404 Not Found"],
        provoke: |rig| Box::pin(answered(rig, "[[http 404]]")),
    };
    every http_429: Fault {
        how: "… by 429",
        status: Status::AgentFailed,
        code: Some("http_429"),
        within: 5,
        says: &["429 Too Many Requests", "wait for the limit"],
        provoke: |rig| Box::pin(answered(rig, "[[http 429]]")),
    };
    every http_500: Fault {
        how: "… by 500",
        status: Status::AgentFailed,
        code: Some("http_500"),
        within: 10,
        says: &["high demand", "try again later"],
        provoke: |rig| Box::pin(answered(rig, "[[http 500]]")),
    };
    real http_529: Fault {
        how: "… by 529",
        status: Status::AgentFailed,
        code: Some("http_529"),
        within: 10,
        says: &["529", "try again later"],
        provoke: |rig| Box::pin(answered(rig, "[[http 529]]")),
    };
    real usage_limit: Fault {
        how: "… by 429 with `usage_limit_reached`",
        status: Status::AgentFailed,
        code: Some("usage_limit"),
        within: 5,
        says: &["usage limit", "wait for the limit"],
        provoke: |rig| Box::pin(answered(rig, "[[usage-limit]]")),
    };
    real dropped_stream: Fault {
        how: "the stream is cut in the middle of the answer",
        status: Status::AgentFailed,
        code: Some("response_stream_disconnected"),
        within: 10,
        says: &["stream disconnected", "try again"],
        provoke: |rig| Box::pin(answered(rig, "[[drop]]")),
    };
    real malformed_stream: Fault {
        how: "the stream is no stream of events",
        status: Status::AgentFailed,
        code: Some("response_stream_disconnected"),
        within: 10,
        says: &["stream disconnected", "try again"],
        provoke: |rig| Box::pin(answered(rig, "[[garble]]")),
    };
    every_and_claude stalled_stream: Fault {
        how: "the stream says nothing more",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 12,
        says: &["longer than 2s", "--turn-timeout"],
        provoke: |rig| Box::pin(stalled(rig)),
    };
    real stalled_stream_given_up: Fault {
        how: "… and codex gives it up first",
        status: Status::AgentFailed,
        code: Some("response_stream_disconnected"),
        within: 10,
        says: &["idle timeout"],
        provoke: |rig| Box::pin(given_up(rig)),
    };
    oldest connection_refused: Fault {
        how: "nobody listens at the API's port",
        status: Status::AgentFailed,
        code: Some("response_stream_disconnected"),
        within: 10,
        says: &["error sending request", "try again"],
        provoke: |rig| Box::pin(refused(rig)),
    };
    // codex 0.169.0 has no limit of its own there: "Reconnecting... waiting for network".
    newest connection_refused_for_good: Fault {
        how: "… and codex waits for the network",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 12,
        says: &["longer than 2s", "Reconnecting... waiting for network"],
        provoke: |rig| Box::pin(refused(rig)),
    };
    real connection_timeout: Fault {
        how: "the API's port takes no connection",
        status: Status::TimedOut,
        code: Some("turn_timeout"),
        within: 12,
        says: &["longer than 2s"],
        provoke: |rig| Box::pin(unanswered(rig)),
    };
}

/// The model answers the first prompt as the brief says.
async fn answered(rig: &Rig, brief: &str) -> Ended {
    let run = submit(rig, rig.task(brief)).await;
    end(rig, run).await
}

async fn stalled(rig: &Rig) -> Ended {
    let mut task = rig.task("[[sleep 60]]");
    task.limits.turn = Duration::from_secs(2);
    let run = submit(rig, task).await;
    end(rig, run).await
}

async fn given_up(rig: &Rig) -> Ended {
    rig.configure("stream_idle_timeout_ms = 500\n");
    answered(rig, "[[sleep 60]]").await
}

async fn refused(rig: &Rig) -> Ended {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = free.local_addr().expect("its port").port();
    drop(free);
    write_codex_home(&rig.path("codex"), port).expect("a codex home");
    rig.note_the_callers_state();
    let mut task = rig.task("x");
    if rig.agent == NEWEST {
        task.limits.turn = Duration::from_secs(2);
    }
    let run = submit(rig, task).await;
    end(rig, run).await
}

/// A queue of no length takes one connection; whoever comes next hears nothing.
async fn unanswered(rig: &Rig) -> Ended {
    let full = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    rustix::net::listen(&full, 0).expect("a queue of no length");
    let address = full.local_addr().expect("its address");
    let _first = TcpStream::connect(address).expect("the queue's only place");
    write_codex_home(&rig.path("codex"), address.port()).expect("a codex home");
    rig.note_the_callers_state();
    let mut task = rig.task("x");
    task.limits.turn = Duration::from_secs(2);
    let run = submit(rig, task).await;
    end(rig, run).await
}
