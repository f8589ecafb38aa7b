//! A server of the test's own, in codex's place.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cx_operator::agent::codex::Codex;
use cx_operator::agent::conversation::{Conversation, NoConversation, Terms};
use cx_operator::agent::executor::{Executor, Options};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// The longest that anything here may take; what is waited for takes a hundredth.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

pub(super) type Stream = WebSocketStream<UnixStream>;

/// What the server does with a message of the client's.
pub(super) enum Act {
    Say(Vec<Message>),
    /// Closes the connection.
    Close,
    /// Reads no more, and says so many requests.
    Deafly(usize),
}

pub(super) struct Server {
    dir: TempDir,
    /// What the client said.
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    /// A server for one client; `act` is asked about each message.
    pub(super) fn start(mut act: impl FnMut(&Value, &Path) -> Act + Send + 'static) -> Self {
        Self::accepting(
            async move |mut stream: Stream, dir: PathBuf, heard: Heard| {
                while let Some(Ok(message)) = stream.next().await {
                    let Message::Text(said) = message else {
                        continue;
                    };
                    let message: Value =
                        serde_json::from_str(&said).expect("the client speaks JSON");
                    heard.lock().expect("not poisoned").push(message.clone());
                    match act(&message, &dir) {
                        Act::Say(messages) => {
                            for message in messages {
                                if stream.send(message).await.is_err() {
                                    return;
                                }
                            }
                        }
                        Act::Close => return,
                        Act::Deafly(count) => {
                            let asked = |id| text(json!({"id": id, "method": "x", "params": {}}));
                            for id in 0..count {
                                if stream.send(asked(id)).await.is_err() {
                                    return;
                                }
                            }
                            std::future::pending::<()>().await;
                        }
                    }
                }
            },
        )
    }

    pub(super) fn accepting<F>(
        serve: impl FnOnce(Stream, PathBuf, Heard) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let dir = tempfile::tempdir().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("s")).expect("a socket");
        let heard = Heard::default();
        let (place, said) = (dir.path().to_owned(), Arc::clone(&heard));
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let stream = tokio_tungstenite::accept_async(stream).await;
            serve(stream.expect("a handshake"), place, said).await;
        });
        Self { dir, heard }
    }

    /// The client's conversation with it.
    pub(super) async fn converse(&self) -> Result<Box<dyn Conversation>, NoConversation> {
        converse(self.dir.path()).await
    }

    pub(super) fn heard(&self) -> Vec<Value> {
        self.heard.lock().expect("not poisoned").clone()
    }
}

pub(super) type Heard = Arc<Mutex<Vec<Value>>>;

pub(super) async fn converse(dir: &Path) -> Result<Box<dyn Conversation>, NoConversation> {
    let options = Options::default();
    let terms = Terms {
        socket: &dir.join("s"),
        options: &options,
        worktree: dir,
        directory: dir,
        environment: &[],
        name: "a task",
        session: None,
    };
    let begun = tokio::time::timeout(LIMIT, Codex.converse(&terms)).await;
    begun.expect("it ends in time")
}

pub(super) fn text(message: Value) -> Message {
    Message::text(message.to_string())
}

pub(super) fn tell(method: &str, params: Value) -> Message {
    text(json!({"method": method, "params": params}))
}

/// What the real server answers.
pub(super) fn answer_of(request: &Value, dir: &Path) -> Option<Value> {
    Some(match request["method"].as_str()? {
        "thread/start" => json!({
            "thread": {"id": "T", "path": null, "cliVersion": "0.169.0", "turns": []},
            "cwd": dir,
            "approvalPolicy": request["params"]["approvalPolicy"],
            "sandbox": {"type": "workspaceWrite"},
        }),
        "turn/start" => json!({"turn": {"id": "U", "status": "inProgress", "items": []}}),
        _ => json!({}),
    })
}

pub(super) fn answered(request: &Value, dir: &Path) -> Vec<Message> {
    let answer = answer_of(request, dir).filter(|_| request["id"].is_u64());
    let answer = answer.map(|answer| text(json!({"id": request["id"], "result": answer})));
    answer.into_iter().collect()
}
