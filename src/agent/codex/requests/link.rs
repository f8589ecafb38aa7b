//! The connection to an `app-server`: JSON-RPC in WebSocket text frames on a Unix socket.
//!
//! Source: codex 0.150.0 and 0.169.0. Neither writes the member `jsonrpc`; 0.150.0 closes a connection that offers to
//! compress.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Between two attempts to reach a server that starts; it takes 0.1 s.
const PACE: Duration = Duration::from_millis(3);
/// The longest that an answer is waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// "Method not found" of JSON-RPC.
const NO_METHOD: i64 = -32601;

/// A message of the server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Incoming {
    /// Something happened.
    Notification { method: String, params: Value },
    /// The server wants an answer.
    Request {
        id: Value,
        method: String,
        params: Value,
    },
    /// The answer to a request that nobody waits for.
    Answer {
        id: u64,
        result: Result<Value, String>,
    },
    /// It is no message of the protocol.
    Malformed(String),
    /// The connection is gone.
    Closed,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>>;

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    outgoing: mpsc::UnboundedSender<Message>,
    incoming: mpsc::UnboundedReceiver<Incoming>,
    waiting: Waiting,
    last_id: u64,
    is_closed: bool,
}

impl Link {
    /// Connects to the server at `socket`, and waits for one that is not up yet.
    ///
    /// # Errors
    /// A server that does not speak the protocol.
    pub(super) async fn open(socket: &Path) -> io::Result<Self> {
        let stream = loop {
            match connect(socket).await {
                Ok(stream) => break stream,
                Err(error) if is_not_up(&error) => tokio::time::sleep(PACE).await,
                Err(error) => return Err(error),
            }
        };
        let handshake = client_async("ws://localhost/", stream).await;
        let (stream, _response) = handshake.map_err(io::Error::other)?;
        Ok(Self::over(stream))
    }

    fn over(stream: WebSocketStream<UnixStream>) -> Self {
        let (mut sink, mut source) = stream.split();
        let (outgoing, mut to_send) = mpsc::unbounded_channel::<Message>();
        let (received, incoming) = mpsc::unbounded_channel();
        let waiting = Waiting::default();
        // A server that reads slowly delays nobody but itself.
        tokio::spawn(async move {
            while let Some(message) = to_send.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            let _it_is_going_anyway = sink.close().await;
        });
        let answered = Arc::clone(&waiting);
        tokio::spawn(async move {
            while let Some(Ok(message)) = source.next().await {
                let Message::Text(text) = message else {
                    continue;
                };
                let message = match understand(&text) {
                    Incoming::Answer { id, result } => match lock(&answered).remove(&id) {
                        Some(asker) => {
                            let _asker_may_have_gone = asker.send(result);
                            continue;
                        }
                        None => Incoming::Answer { id, result },
                    },
                    message => message,
                };
                if received.send(message).is_err() {
                    return;
                }
            }
            lock(&answered).clear();
            let _nobody_listens = received.send(Incoming::Closed);
        });
        Self {
            outgoing,
            incoming,
            waiting,
            last_id: 0,
            is_closed: false,
        }
    }

    /// The next message. Cancel-safe. Once it is closed, it stays so.
    pub(super) async fn next(&mut self) -> Incoming {
        if self.is_closed {
            return Incoming::Closed;
        }
        let message = self.incoming.recv().await.unwrap_or(Incoming::Closed);
        self.is_closed = message == Incoming::Closed;
        message
    }

    /// Sends a request whose answer comes as [`Incoming::Answer`] with the returned id.
    pub(super) fn send(&mut self, method: &str, params: &Value) -> u64 {
        self.last_id += 1;
        let id = self.last_id;
        self.write(&json!({"id": id, "method": method, "params": params}));
        id
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// The server's refusal; that no answer came.
    pub(super) async fn ask(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        let (asker, answer) = oneshot::channel();
        lock(&self.waiting).insert(self.last_id + 1, asker);
        self.send(method, params);
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_gone)) => Err(format!("the connection was closed before {method}")),
            Err(_elapsed) => Err(format!(
                "no answer to {method} within {} s",
                ANSWER_LIMIT.as_secs()
            )),
        }
    }

    pub(super) fn notify(&mut self, method: &str) {
        self.write(&json!({"method": method}));
    }

    /// Answers a request of the server.
    pub(super) fn answer(&mut self, id: &Value, result: &Value) {
        self.write(&json!({"id": id, "result": result}));
    }

    /// Refuses a request of a kind that is not served.
    pub(super) fn refuse(&mut self, id: &Value, method: &str) {
        let message = format!("cx-operator does not serve {method}");
        self.write(&json!({"id": id, "error": {"code": NO_METHOD, "message": message}}));
    }

    fn write(&mut self, message: &Value) {
        // Where the connection is gone, `next` tells so.
        let _gone = self.outgoing.send(Message::text(message.to_string()));
    }
}

fn lock(
    waiting: &Waiting,
) -> std::sync::MutexGuard<'_, HashMap<u64, oneshot::Sender<Result<Value, String>>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects through the directory's descriptor: a socket's own address holds 107 bytes, and a state directory may be longer.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let dir = File::open(dir)?;
    let near = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string());
    UnixStream::connect(near.join(name)).await
}

fn is_not_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn understand(text: &str) -> Incoming {
    let malformed = || Incoming::Malformed(text.chars().take(200).collect());
    let Ok(Value::Object(mut message)) = serde_json::from_str(text) else {
        return malformed();
    };
    let method = match message.remove("method") {
        Some(Value::String(method)) => Some(method),
        _ => None,
    };
    let params = message.remove("params").unwrap_or_default();
    match (method, message.remove("id")) {
        (Some(method), None) => Incoming::Notification { method, params },
        (Some(method), Some(id)) => Incoming::Request { id, method, params },
        (None, Some(id)) => match (id.as_u64(), message.remove("error")) {
            (None, _) => malformed(),
            (Some(id), Some(error)) => Incoming::Answer {
                id,
                result: Err(error["message"]
                    .as_str()
                    .map_or_else(|| error.to_string(), str::to_owned)),
            },
            (Some(id), None) => Incoming::Answer {
                id,
                result: Ok(message.remove("result").unwrap_or_default()),
            },
        },
        (None, None) => malformed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let told = understand(r#"{"method":"turn/started","params":{"a":1},"emittedAtMs":5}"#);
        let params = json!({"a": 1});
        let method = "turn/started".to_owned();
        assert_eq!(told, Incoming::Notification { method, params });
        let asked = understand(r#"{"method":"x","id":"r-1","params":null}"#);
        assert!(matches!(asked, Incoming::Request { id, .. } if id == "r-1"));
        let refused = understand(r#"{"id":3,"error":{"code":-1,"message":"no"}}"#);
        let result = Err("no".to_owned());
        assert_eq!(refused, Incoming::Answer { id: 3, result });
    }

    #[test]
    fn other_texts_are_malformed() {
        for text in [
            "",
            "[]",
            "null",
            "{}",
            r#"{"id":{}}"#,
            "{\"id\":1,",
            "\u{0}",
        ] {
            assert!(matches!(understand(text), Incoming::Malformed(_)), "{text}");
        }
    }
}
