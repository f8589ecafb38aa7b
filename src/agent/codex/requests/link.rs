//! The connection to an `app-server`: JSON-RPC in WebSocket text frames on a Unix socket.
//!
//! Source: codex 0.150.0 and 0.169.0. Neither writes the member `jsonrpc`; 0.150.0 closes a connection that offers to
//! compress.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::SplitStream;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::agent::report::cut;

/// Between two attempts to reach a server that starts; it takes 0.1 s.
const PACE: Duration = Duration::from_millis(3);
/// The longest that an answer is waited for.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// The largest message: a session that is continued comes with its whole history, in one.
const MESSAGE_LIMIT: usize = 64 << 20;
/// So many bytes of messages wait to be taken; then the server waits. The smallest counts as [`LEAST`].
const UNTAKEN: usize = MESSAGE_LIMIT;
const LEAST: usize = 256;
/// So many messages wait for a server to read them; then it is given up.
const UNREAD: usize = 1024;
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
    /// The connection can't go on, for this reason. It is gone next.
    Broken(String),
    /// The connection is gone.
    Closed,
}

/// Who waits for which answer; `None` once no answer can come.
type Waiting = Arc<Mutex<Option<HashMap<u64, Asker>>>>;
type Asker = oneshot::Sender<Result<Value, String>>;

/// A message, and its share of what may wait.
type Untaken = (Incoming, OwnedSemaphorePermit);

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    outgoing: mpsc::Sender<Message>,
    incoming: mpsc::UnboundedReceiver<Untaken>,
    reader: AbortHandle,
    waiting: Waiting,
    last_id: u64,
    is_closed: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
    }
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
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let handshake = client_async_with_config("ws://localhost/", stream, Some(limits)).await;
        let (stream, _response) = handshake.map_err(io::Error::other)?;
        Ok(Self::over(stream))
    }

    fn over(stream: WebSocketStream<UnixStream>) -> Self {
        let (mut sink, source) = stream.split();
        let (outgoing, mut to_send) = mpsc::channel::<Message>(UNREAD);
        let (received, incoming) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(Some(HashMap::new())));
        // A server that reads slowly delays nobody but itself.
        tokio::spawn(async move {
            while let Some(message) = to_send.recv().await {
                if sink.send(message).await.is_err() {
                    return;
                }
            }
            let _it_is_going_anyway = sink.close().await;
        });
        let reader = tokio::spawn(read(source, Arc::clone(&waiting), received));
        Self {
            outgoing,
            incoming,
            reader: reader.abort_handle(),
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
        let untaken = self.incoming.recv().await;
        let message = untaken.map_or(Incoming::Closed, |(message, _share)| message);
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
        match &mut *lock(&self.waiting) {
            Some(waiting) => drop(waiting.insert(self.last_id + 1, asker)),
            None => drop(asker),
        }
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
        let sent = self.outgoing.try_send(Message::text(message.to_string()));
        if matches!(sent, Err(mpsc::error::TrySendError::Full(_))) {
            tracing::warn!("the app-server reads nothing");
            self.is_closed = true;
        }
    }
}

/// Reads to the end of the connection. Answers that are waited for go to who waits.
async fn read(
    mut source: SplitStream<WebSocketStream<UnixStream>>,
    waiting: Waiting,
    received: mpsc::UnboundedSender<Untaken>,
) {
    let room = Arc::new(Semaphore::new(UNTAKEN));
    loop {
        let (message, size) = match source.next().await {
            Some(Ok(Message::Text(text))) => (understand(&text), text.len()),
            Some(Ok(Message::Binary(bytes))) => {
                let text = format!("{} bytes of no text", bytes.len());
                (Incoming::Malformed(text), LEAST)
            }
            Some(Ok(_)) => continue,
            Some(Err(error)) if !is_end(&error) => (Incoming::Broken(error.to_string()), LEAST),
            Some(Err(_)) | None => break,
        };
        if let Incoming::Notification { method, .. } = &message {
            // `benches/latency.rs` takes the time from here.
            tracing::trace!(target: "cx_operator::read", %method);
        }
        let message = match message {
            Incoming::Answer { id, result } => match taken(&waiting, id) {
                Some(asker) => {
                    let _asker_may_have_gone = asker.send(result);
                    continue;
                }
                None => Incoming::Answer { id, result },
            },
            message => message,
        };
        let share = u32::try_from(size.clamp(LEAST, UNTAKEN)).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&room).acquire_many_owned(share).await else {
            return;
        };
        if received.send((message, share)).is_err() {
            return;
        }
    }
    *lock(&waiting) = None;
}

/// Whether an error says no more than that the other side is gone.
fn is_end(error: &Error) -> bool {
    matches!(
        error,
        Error::Io(_)
            | Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

fn lock(waiting: &Waiting) -> MutexGuard<'_, Option<HashMap<u64, Asker>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn taken(waiting: &Waiting, id: u64) -> Option<Asker> {
    lock(waiting).as_mut()?.remove(&id)
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

pub(super) fn understand(text: &str) -> Incoming {
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
        (None, Some(id)) => match (
            id.as_u64(),
            message.remove("error").filter(|e| !e.is_null()),
        ) {
            (None, _) => malformed(),
            (Some(id), Some(error)) => Incoming::Answer {
                id,
                result: Err(match error["message"].as_str() {
                    Some(message) => cut(message),
                    None => cut(&error.to_string()),
                }),
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
