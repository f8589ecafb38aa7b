//! codex by requests: a thread of its own `app-server`, which a terminal can join.
//!
//! The server runs in the run's tmux session and listens on a socket in the run's directory. It gets the settings that a
//! start by keys gets too, but for those of the terminal; what may be a secret goes over the socket, in the thread's
//! own configuration. Source: codex 0.150.0 and 0.169.0, `tests/scenarios/requests.rs`.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::screen::as_sent;
use super::{refusal, setup};
use crate::agent::conversation::{
    Conversation, Lost, NoConversation, PastTurn, Session, Terms, Told,
};
use crate::agent::executor::{Options, Sandbox, Trouble, TrustPolicy};
use crate::agent::report::cut;
use crate::agent::signals::Decision;
use link::{Incoming, Link};
use told::{Open, Teller, parse};
use words::InForce;
pub(super) use words::script_in;

mod link;
#[cfg(test)]
mod tests;
mod told;
mod words;

/// The oldest version whose server does all that a run needs.
///
/// Source: 0.125.0 closes a connection to its Unix socket.
pub(super) const SINCE: (u32, u32) = (0, 145);

/// Notifications of no use: most of them come by the dozen, for every few letters that the model writes.
const UNWANTED: [&str; 9] = [
    "item/agentMessage/delta",
    "item/plan/delta",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/textDelta",
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "turn/diff/updated",
];

/// A turn that is just ending is `interrupted` for a moment, in the answer to `thread/resume`: it is asked so often again, with
/// this time between.
///
/// Source: codex 0.169.0, one kill in 500 of `tests/scenarios/kill/real.rs`.
const SETTLING: u8 = 4;
const SETTLING_PACE: Duration = Duration::from_millis(150);

/// So many notices about a server that says what it should not; the journal is not to be filled with them.
const NOTICES: u8 = 20;

/// A conversation with an `app-server`.
#[derive(Debug)]
pub(super) struct Requests {
    link: Link,
    session: Session,
    teller: Teller,
    /// What else each turn is started with.
    of_turns: Map<String, Value>,
    /// The turn that runs.
    turn: Option<String>,
    /// The request that submits a prompt.
    submitted: Option<u64>,
    /// The reasons of refusals that were sent into the turn that runs, as far as they have not come back.
    steered: Vec<String>,
    /// The request that tells a message within the turn.
    steering: Option<u64>,
    /// The answers that nobody waits for, and what they are answers to.
    errands: HashMap<u64, &'static str>,
    open: HashMap<String, Waiting>,
    told: VecDeque<Told>,
    noted: u8,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Waiting {
    id: Value,
    /// The thread and the turn that it is of: a sub-agent has its own.
    of: Option<(String, String)>,
    open: Open,
}

impl Requests {
    /// Begins or continues a thread.
    pub(super) async fn begin(terms: &Terms<'_>) -> Result<Self, NoConversation> {
        let unusable = |why: String| NoConversation::Unusable(why);
        let mut link = Link::open(terms.socket)
            .await
            .map_err(|error| unusable(format!("connect to its server: {error}")))?;
        let client =
            json!({"name": "cx-operator", "title": null, "version": env!("CARGO_PKG_VERSION")});
        let capabilities = json!({"experimentalApi": true, "optOutNotificationMethods": UNWANTED});
        let greeting = json!({"clientInfo": client, "capabilities": capabilities});
        link.ask("initialize", &greeting).await.map_err(unusable)?;
        link.notify("initialized");
        let params = thread_params(terms)?;
        let method = match terms.session {
            Some(_) => "thread/resume",
            None => "thread/start",
        };
        let mut in_force = ask_thread(&mut link, method, &params).await?;
        for _ in 0..SETTLING {
            if !in_force.is_interrupted() {
                break;
            }
            tokio::time::sleep(SETTLING_PACE).await;
            in_force = ask_thread(&mut link, method, &params).await?;
        }
        check(&in_force, terms)?;
        let mut teller = Teller::of(&in_force.thread.id);
        let turns = in_force.thread.turns.iter().map(|turn| {
            let (names, told) = teller.recount(turn);
            let id = turn.id.clone();
            PastTurn { id, names, told }
        });
        let session = Session {
            turns: turns.collect(),
            id: in_force.thread.id,
            transcript: in_force.thread.path,
            version: in_force.thread.cli_version,
        };
        let turn = session.turns.last().map(|turn| turn.id.clone());
        let mut conversation = Self {
            link,
            session,
            teller,
            of_turns: turn_params(terms),
            turn,
            submitted: None,
            steered: Vec::new(),
            steering: None,
            errands: HashMap::new(),
            open: HashMap::new(),
            told: VecDeque::new(),
            noted: 0,
        };
        if terms.session.is_none() {
            // A thread without a name costs a request to the model for one, and is a stranger in the user's list.
            let name = json!({"threadId": conversation.session.id, "name": terms.name});
            conversation.run_errand("thread/name/set", &name, "name the thread");
        }
        Ok(conversation)
    }

    fn run_errand(&mut self, method: &str, params: &Value, purpose: &'static str) {
        let id = self.link.send(method, params);
        self.errands.insert(id, purpose);
    }

    fn take(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Notification { method, params } => {
                for told in self.teller.notification(&method, params) {
                    self.take_told(told);
                }
            }
            Incoming::Request { id, method, params } => {
                let text = |name: &str| params[name].as_str().map(str::to_owned);
                let of = text("threadId").zip(text("turnId"));
                match self.teller.request(&id, &method, params) {
                    Some((told, open)) => {
                        let waiting = Waiting { id, of, open };
                        self.open.insert(waiting.id.to_string(), waiting);
                        self.told.push_back(told);
                    }
                    None => {
                        self.link.refuse(&id, &method);
                        self.note(format!("codex asked for {method}, which is not served"));
                    }
                }
            }
            Incoming::Answer { id, result } if self.submitted == Some(id) => {
                self.submitted = None;
                self.told.push_back(match result {
                    Ok(answer) => match answer["turn"]["id"].as_str() {
                        Some(turn_id) => {
                            let turn_id = turn_id.to_owned();
                            self.turn = Some(turn_id.clone());
                            Told::Submitted { turn_id }
                        }
                        None => Told::Refused {
                            message: "the answer to turn/start names no turn".to_owned(),
                        },
                    },
                    Err(message) => Told::Refused { message },
                });
            }
            Incoming::Answer { id, result } if self.steering == Some(id) => {
                self.steering = None;
                let refused = result.err().map(|message| Told::NotSteered { message });
                self.told.extend(refused);
            }
            Incoming::Answer { id, result } => {
                if let (Some(purpose), Err(message)) = (self.errands.remove(&id), result) {
                    self.note(format!("codex did not {purpose}: {message}"));
                }
            }
            Incoming::Malformed(text) => {
                self.note(format!(
                    "codex's server sent no message of its protocol: {text}"
                ));
            }
            Incoming::Broken(why) => {
                self.note(format!("the connection to codex's server broke: {why}"));
            }
            Incoming::Closed => self.told.push_back(Told::Closed),
        }
    }

    fn note(&mut self, text: String) {
        if self.noted < NOTICES {
            self.noted += 1;
            self.told.push_back(Told::Notice(cut(&text)));
        }
    }

    fn take_told(&mut self, told: Told) {
        match &told {
            Told::Prompt {
                name: None, text, ..
            } => {
                if let Some(at) = self.steered.iter().position(|steered| steered == text) {
                    self.steered.remove(at);
                    return;
                }
            }
            Told::Line(crate::agent::report::Line::TurnStarted { turn_id }) => {
                self.turn = Some(turn_id.clone());
                self.steered.clear();
            }
            // It was answered by us.
            Told::Resolved { request } if self.open.remove(request).is_none() => return,
            _ => {}
        }
        self.told.push_back(told);
    }

    fn params_of_turn(&self, name: &str, text: &str) -> Value {
        let mut params = self.of_turns.clone();
        params.insert("threadId".to_owned(), json!(self.session.id));
        params.insert("clientUserMessageId".to_owned(), json!(name));
        params.insert("input".to_owned(), json!([{"type": "text", "text": text}]));
        Value::Object(params)
    }
}

#[async_trait]
impl Conversation for Requests {
    fn session(&self) -> &Session {
        &self.session
    }

    async fn next(&mut self) -> Told {
        loop {
            if let Some(told) = self.told.pop_front() {
                return told;
            }
            let incoming = self.link.next().await;
            self.take(incoming);
        }
    }

    fn submit(&mut self, name: &str, prompt: &str) {
        let params = self.params_of_turn(name, prompt);
        self.submitted = Some(self.link.send("turn/start", &params));
    }

    fn steer(&mut self, name: &str, text: &str) {
        let params = json!({
            "threadId": self.session.id,
            "expectedTurnId": self.turn,
            "clientUserMessageId": name,
            "input": [{"type": "text", "text": text}],
        });
        self.steering = Some(self.link.send("turn/steer", &params));
    }

    fn decide(&mut self, request: &str, decision: &Decision) {
        let Some(Waiting { id, of, open }) = self.open.remove(request) else {
            return;
        };
        let allows = *decision == Decision::Allow;
        if let (Decision::Deny { message }, Some((thread, turn))) = (decision, of)
            && !message.is_empty()
        {
            // A refusal has no words of its own: they are said to the turn, before it goes on.
            let steer = json!({
                "threadId": thread,
                "expectedTurnId": turn,
                "input": [{"type": "text", "text": message}],
            });
            if thread == self.session.id {
                self.steered.push(message.clone());
            }
            self.run_errand("turn/steer", &steer, "pass the reason of a refusal on");
        }
        let word = if allows { "accept" } else { "decline" };
        let answer = match open {
            Open::Decision => json!({"decision": word}),
            Open::Elicitation if allows => json!({"action": word, "content": {}}),
            Open::Elicitation => json!({"action": word}),
            Open::Permissions(asked) if allows => json!({"permissions": asked, "scope": "turn"}),
            Open::Permissions(_) => json!({"permissions": {}}),
            Open::Form(_) => return,
        };
        self.link.answer(&id, &answer);
    }

    fn answer(&mut self, call: &str, answers: &[String]) {
        let Some(Waiting {
            id,
            open: Open::Form(questions),
            ..
        }) = self.open.remove(call)
        else {
            return;
        };
        let pairs = questions.into_iter().zip(answers);
        let answers: Map<String, Value> = pairs
            .map(|((id, inquiry), answer)| (id, json!({"answers": as_sent(&inquiry, answer)})))
            .collect();
        self.link.answer(&id, &json!({"answers": answers}));
    }

    async fn interrupt(&mut self) -> Result<(), Lost> {
        let thread = self.session.id.clone();
        if let Some(turn) = self.turn.clone() {
            let params = json!({"threadId": thread, "turnId": turn});
            // Of a turn that has ended in the meantime it says so.
            let _over = self.link.ask("turn/interrupt", &params).await;
        }
        let clean = json!({"threadId": thread});
        let cleaned = self.link.ask("thread/backgroundTerminals/clean", &clean);
        cleaned.await.map(drop).map_err(Lost)
    }
}

/// What codex says where a server of tools with `required = true` does not come up.
///
/// Source: codex 0.150.0 and 0.169.0, `thread/start`; `tests/scenarios/requests.rs`.
const REQUIRED: &str = "required MCP servers failed to initialize";

/// Begins or continues a thread, and says what is in force.
async fn ask_thread(
    link: &mut Link,
    method: &str,
    params: &Value,
) -> Result<InForce, NoConversation> {
    let answer = link.ask(method, params).await;
    let in_force = answer.map(parse).map_err(|message| {
        // By keys it fails in the same way.
        match message.find(REQUIRED) {
            Some(at) => {
                let why = format!("codex can't begin a session: {}", &message[at..]);
                refusal(Trouble::Configuration, why).into()
            }
            None => NoConversation::Unusable(message),
        }
    })?;
    in_force.ok_or_else(|| NoConversation::Unusable(format!("the answer to {method} is invalid")))
}

/// The parameters of `thread/start` or `thread/resume`.
fn thread_params(terms: &Terms<'_>) -> Result<Value, NoConversation> {
    let options = terms.options;
    let mut params = json!({
        "cwd": terms.directory,
        "approvalPolicy": options.ask.as_str(),
        "sandbox": sandbox_of_thread(options).as_str(),
        "runtimeWorkspaceRoots": roots(terms),
    });
    if let Some(model) = &options.model {
        params["model"] = json!(model);
    }
    if let Some(session) = terms.session {
        params["threadId"] = json!(session);
    }
    if !terms.environment.is_empty() || terms.session.is_none() {
        let profile = setup::profile_of(options, terms.environment);
        let profile = profile.map_err(crate::agent::executor::Refusal::from)?;
        if let Some(profile) = profile {
            params["config"] = profile;
        }
    }
    Ok(params)
}

/// Where the agent may write: the directory that it works in, and the whole worktree.
fn roots<'a>(terms: &Terms<'a>) -> Vec<&'a Path> {
    if terms.directory == terms.worktree {
        vec![terms.worktree]
    } else {
        vec![terms.directory, terms.worktree]
    }
}

/// A thread that may write has codex trust its directory for good, where nobody has said so before.
fn sandbox_of_thread(options: &Options) -> Sandbox {
    match (options.trust, options.sandbox) {
        (TrustPolicy::Ask, Sandbox::WorkspaceWrite) => Sandbox::ReadOnly,
        (_, sandbox) => sandbox,
    }
}

/// The rest of it: each turn says what it may write to.
fn turn_params(terms: &Terms<'_>) -> Map<String, Value> {
    let mut params = Map::new();
    if sandbox_of_thread(terms.options) != terms.options.sandbox {
        let policy = json!({"type": "workspaceWrite", "writableRoots": roots(terms)});
        params.insert("sandboxPolicy".to_owned(), policy);
    }
    params
}

/// What is in force must be what was asked for.
fn check(in_force: &InForce, terms: &Terms<'_>) -> Result<(), NoConversation> {
    let options = terms.options;
    let sandbox = match in_force.sandbox["type"].as_str() {
        Some("readOnly") => Sandbox::ReadOnly.as_str(),
        Some("workspaceWrite") => Sandbox::WorkspaceWrite.as_str(),
        Some("dangerFullAccess") => Sandbox::DangerFullAccess.as_str(),
        Some(other) => other,
        None => "unknown",
    };
    let ask = match &in_force.approval_policy {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    };
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let pairs = [
        ("sandbox", sandbox, sandbox_of_thread(options).as_str()),
        ("approval policy", ask.as_str(), options.ask.as_str()),
    ];
    for (what, found, wanted) in pairs {
        if found != wanted {
            let message =
                format!("codex would work with the {what} {found}, and the task wants {wanted}");
            return Err(refusal(Trouble::Restricted, message).into());
        }
    }
    if canonical(&in_force.cwd) != canonical(terms.directory) {
        let (found, wanted) = (in_force.cwd.display(), terms.directory.display());
        let message = format!("codex would work in {found} and not in {wanted}");
        return Err(refusal(Trouble::WrongDirectory, message).into());
    }
    Ok(())
}

/// Removes the socket of a server that was killed.
///
/// Source: codex 0.169.0 makes it a link to `/tmp/codex-daemon-UID/HASH`, beside which is `HASH.lock`; it removes the three
/// where it ends by itself.
pub(super) fn remove_socket(socket: &Path) {
    let target = fs::read_link(socket).ok();
    let _not_there = fs::remove_file(socket);
    let Some(target) = target else {
        return;
    };
    let is_hash =
        |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text =
        |name: Option<&std::ffi::OsStr>| name.and_then(|name| name.to_str().map(str::to_owned));
    let of_server = text(target.parent().and_then(Path::file_name))
        .is_some_and(|dir| dir.starts_with("codex-daemon-"))
        && text(target.file_name()).is_some_and(|name| is_hash(&name));
    let is_socket = fs::symlink_metadata(&target).is_ok_and(|meta| meta.file_type().is_socket());
    if of_server && is_socket {
        let _gone = fs::remove_file(&target);
        let _gone = fs::remove_file(target.with_extension("lock"));
    }
}
