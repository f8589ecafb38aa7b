//! A proxy between the operator and the real server, which cuts the connection at a message.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cx_operator::record::Store;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

use crate::rig::{Rig, wait_for};

/// Where the connection is cut, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client's request does not arrive.
    Before(&'static str),
    /// It arrives; nothing comes back.
    Behind(&'static str),
    /// Its answer does not arrive.
    Answer(&'static str),
    /// The client's next answer to a request of the server does not arrive.
    Reply,
    /// What the server says of that kind does not arrive.
    Untold(&'static str),
    /// It arrives, and nothing else.
    After(&'static str),
}

#[derive(Debug, Default)]
struct State {
    cuts: Vec<Cut>,
    connections: usize,
    /// The requests of this connection that wait for an answer, and those that have one.
    asked: Vec<(Value, String)>,
    answered: Vec<String>,
    thread: Value,
    babbles: bool,
    is_silent: bool,
}

/// What becomes of a message.
enum Fate {
    Pass,
    /// It arrives, and the connection ends.
    Last,
    Lost,
}

#[derive(Debug)]
pub(super) struct Proxy {
    dir: TempDir,
    state: Arc<Mutex<State>>,
    now: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// A proxy for the next run of the rig's.
    pub(super) fn start(rig: &Rig) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let codex = rig.agent.program().expect("the rig has it");
        let real = dir.path().join("real");
        let script = format!(
            "#!/bin/sh\nfor word; do\n shift\n case $word in unix://*) word='unix://{}';; esac\n set -- \"$@\" \"$word\"\ndone\nexec '{}' \"$@\"\n",
            real.display(),
            codex.display()
        );
        let program = dir.path().join("codex");
        fs::write(&program, script).expect("a script");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
        let (state, now) = (Arc::default(), Arc::default());
        let known = newest(rig.operator.store());
        let store = rig.operator.store().clone();
        let serving = serve(store, known, real, (Arc::clone(&state), Arc::clone(&now)));
        let task = tokio::spawn(serving);
        Self {
            dir,
            state,
            now,
            task,
        }
    }

    pub(super) fn program(&self) -> PathBuf {
        self.dir.path().join("codex")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// Cuts the connection now.
    pub(super) fn cut(&self) {
        self.now.notify_one();
    }

    pub(super) fn cut_at(&self, cut: Cut) {
        self.state().cuts.push(cut);
    }

    /// From now on the server says more than anybody can read.
    pub(super) fn babble(&self) {
        self.state().babbles = true;
        self.now.notify_one();
    }

    /// Connections are taken and never answered.
    pub(super) fn say_nothing(&self) {
        self.state().is_silent = true;
    }

    /// How many connections there were.
    pub(super) fn connections(&self) -> usize {
        self.state().connections
    }

    /// Waits until the newest connection has that answer.
    pub(super) async fn wait_for_answer(&self, method: &str) {
        let is_there = || {
            self.state()
                .answered
                .iter()
                .any(|answered| answered == method)
        };
        wait_for(method, || is_there().then_some(())).await;
    }
}

fn newest(store: &Store) -> Option<PathBuf> {
    let runs = store.load_runs().unwrap_or_default();
    runs.last().map(|run| run.path().to_owned())
}

type Shared = (Arc<Mutex<State>>, Arc<Notify>);

async fn serve(store: Store, known: Option<PathBuf>, real: PathBuf, shared: Shared) {
    let run = loop {
        match newest(&store) {
            run if run == known => tokio::time::sleep(Duration::from_millis(2)).await,
            Some(run) => break run,
            None => {}
        }
    };
    let listener = UnixListener::bind(run.join("agent.sock")).expect("a socket");
    let (state, now) = shared;
    let mut silent = Vec::new();
    loop {
        let (client, _) = listener.accept().await.expect("a client");
        let is_silent = {
            let mut state = state.lock().expect("not poisoned");
            state.connections += 1;
            (state.asked, state.answered) = Default::default();
            state.is_silent
        };
        if is_silent {
            silent.push(client);
            continue;
        }
        let Ok(client) = accept_async(client).await else {
            continue;
        };
        carry(client, connect(&real).await, &state, &now).await;
    }
}

async fn connect(real: &Path) -> WebSocketStream<UnixStream> {
    loop {
        if let Ok(stream) = UnixStream::connect(real).await {
            let (stream, _) = client_async("ws://localhost/", stream)
                .await
                .expect("a handshake");
            return stream;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

type Stream = WebSocketStream<UnixStream>;

/// Carries messages until one of the two ends or the connection is cut.
async fn carry(mut client: Stream, mut server: Stream, state: &Mutex<State>, now: &Notify) {
    loop {
        let (message, from_client) = tokio::select! {
            message = client.next() => (message, true),
            message = server.next() => (message, false),
            () = now.notified() => {
                babble(&mut client, state).await;
                return;
            }
        };
        let Some(Ok(message)) = message else { return };
        let fate = match &message {
            Message::Text(text) => {
                let told: Value = serde_json::from_str(text).expect("JSON");
                state.lock().expect("not poisoned").fate(&told, from_client)
            }
            _ => Fate::Pass,
        };
        if matches!(fate, Fate::Lost) {
            return;
        }
        let to = if from_client {
            &mut server
        } else {
            &mut client
        };
        if to.send(message).await.is_err() || matches!(fate, Fate::Last) {
            return;
        }
    }
}

/// Tells of steps of the thread without end, if that is wanted.
async fn babble(client: &mut Stream, state: &Mutex<State>) {
    let (babbles, thread) = {
        let state = state.lock().expect("not poisoned");
        (state.babbles, state.thread.clone())
    };
    for count in (0_u64..).take_while(|_| babbles) {
        let item = json!({"type": "agentMessage", "id": count.to_string(), "text": "And so on."});
        let params = json!({"threadId": thread, "turnId": "x", "item": item});
        let word = json!({"method": "item/completed", "params": params}).to_string();
        if client.send(Message::text(word)).await.is_err() {
            return;
        }
    }
}

impl State {
    fn fate(&mut self, message: &Value, from_client: bool) -> Fate {
        let method = message["method"].as_str();
        let answered = self.note(message, from_client);
        if let Some(id) = message.pointer("/result/thread/id") {
            self.thread = id.clone();
        }
        let is_method = |wanted: &str| method == Some(wanted);
        let fits = |cut: &Cut| match cut {
            Cut::Before(wanted) | Cut::Behind(wanted) => from_client && is_method(wanted),
            Cut::Answer(wanted) => answered.as_deref() == Some(wanted),
            Cut::Reply => from_client && method.is_none(),
            Cut::Untold(wanted) | Cut::After(wanted) => !from_client && is_method(wanted),
        };
        let Some(at) = self.cuts.iter().position(fits) else {
            return Fate::Pass;
        };
        match self.cuts.remove(at) {
            Cut::Behind(_) | Cut::After(_) => Fate::Last,
            Cut::Before(_) | Cut::Answer(_) | Cut::Reply | Cut::Untold(_) => Fate::Lost,
        }
    }

    /// The method that a message of the server's answers.
    fn note(&mut self, message: &Value, from_client: bool) -> Option<String> {
        let method = message["method"].as_str();
        match (from_client, method) {
            (true, Some(method)) => self.asked.push((message["id"].clone(), method.to_owned())),
            (false, None) => {
                let asked = self.asked.iter().find(|(id, _)| *id == message["id"]);
                let answered = asked.map(|(_, method)| method.clone())?;
                self.answered.push(answered.clone());
                return Some(answered);
            }
            _ => {}
        }
        None
    }
}
