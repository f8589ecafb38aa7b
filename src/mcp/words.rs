//! The tools that say something to a run, or bring its result home: `reply`, `send`, `abort`, `apply`.

use std::sync::Arc;

use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, InputRequest, InputRequests,
    InputRequiredResult,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Risk;
use super::asking::{self, Asking};
use super::call::{Answer, Call, WithNext};
use super::tooling::{Effect, Tooling};
use crate::error::Error;
use crate::operator::apply::{Applied, ApplyRequest, apply};
use crate::operator::replying::{self, Aborted, Replied, Sent};
use crate::os::blocking::blocking;
use crate::record::RunDir;
use crate::record::inbox::OpenQuestion;
use crate::task::prompt::Prompt;
use crate::task::question;
use crate::worktree::apply::Form;

/// The arguments of `reply`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reply {
    /// The run: its id, or its task's name.
    run: String,
    /// The id of the question that is answered, as `status` and `wait` tell it [default: the one that is open].
    to: Option<String>,
    /// The answer to a question: the agent's next prompt, or a form's answer.
    text: Option<String>,
    /// The answer to a request for an approval; `leave` ends the run with its question.
    decision: Option<Decision>,
    /// With `deny`: what the agent is told to do instead.
    message: Option<String>,
    /// Have the client ask its user, in place of an answer of yours. Only where the client can.
    ask_user: Option<bool>,
}

/// The answer to a request for an approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Decision {
    /// It may.
    Allow,
    /// It may not, and goes on without.
    Deny,
    /// No answer: the run ends with the question.
    Leave,
}

impl Tooling for Reply {
    type Output = WithNext<Replied>;
    const NAME: &str = "reply";
    const TITLE: &str = "Answer a run's question";
    const EFFECT: Effect = Effect::Adds;
    const DESCRIPTION: &str = "\
Answers the question that a run waits with; its agent goes on in the same session. A question takes `text`; a request for an approval \
takes `decision` allow or deny, a denial with a `message` that says what to do instead. Answer from the brief and from what your user \
said. What they did not say is theirs: ask them, or give `ask_user`. Allow a command only if the task needs it and it can do no harm.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let run = call.find(&self.run).await?;
        let answer = match (&self.text, self.decision, self.ask_user) {
            (None, None, Some(true)) => match self.ask_user(&run, call).await? {
                Ok(answer) => Some(answer),
                Err(asked) => return Ok(asked),
            },
            (Some(text), None, None | Some(false)) => Some(question::Answer::Text(prompt(text)?)),
            (None, Some(decision), None | Some(false)) => match decision {
                Decision::Allow => Some(question::Answer::Allow),
                Decision::Deny => Some(question::Answer::Deny(
                    self.message.clone().unwrap_or_default(),
                )),
                Decision::Leave => None,
            },
            _ => {
                let which = "reply takes one of text, decision and ask_user";
                return Err(Error::Usage(which.to_owned()));
            }
        };
        let replied = replying::reply(&run, self.to.as_deref(), answer.as_ref()).await?;
        let next = if replied.taken {
            "the agent goes on: call `wait`"
        } else {
            "nobody has read it yet: `status` tells whether the run is driven"
        };
        Answer::with_next(replied, next.to_owned())
    }
}

impl Reply {
    /// The user's answer, or what the client is to ask them before it calls again.
    async fn ask_user(
        &self,
        run: &RunDir,
        call: &Call,
    ) -> Result<Result<question::Answer, Answer>, Error> {
        let open = replying::find_question(run, self.to.as_deref())?;
        if let Some(responses) = &call.responses {
            let response = responses.get(&open.id).ok_or_else(|| declined(&open))?;
            let response = serde_json::from_value(response.clone())
                .map_err(|error| Error::Usage(format!("the user's answer: {error}")))?;
            let answer = asking::answer_of(&response);
            return Ok(Ok(answer.ok_or_else(|| declined(&open))?));
        }
        let params = asking::form(run.name(), &open);
        match asking::asking(&call.context) {
            Asking::Never => Err(Error::Usage(
                "this client can't ask its user: ask them yourself, and reply with their answer"
                    .to_owned(),
            )),
            Asking::ByResult => {
                let request = InputRequest::Elicitation(ElicitRequest::new(params));
                let requests = InputRequests::from([(open.id.clone(), request)]);
                Ok(Err(Answer::Ask(InputRequiredResult::new(
                    Some(requests),
                    Some(open.id),
                ))))
            }
            Asking::ByRequest => {
                let answer = asking::answer_of(&ask(call, params).await?);
                Ok(Ok(answer.ok_or_else(|| declined(&open))?))
            }
        }
    }
}

async fn ask(call: &Call, params: ElicitRequestParams) -> Result<ElicitResult, Error> {
    let failed = |why: String| crate::error::io("ask the user")(std::io::Error::other(why));
    tokio::select! {
        asked = call.context.peer.create_elicitation(params) => {
            asked.map_err(|error| failed(error.to_string()))
        }
        () = call.given_up() => Err(failed("the client cancelled the call".to_owned())),
    }
}

fn declined(open: &OpenQuestion) -> Error {
    Error::Usage(format!(
        "the user gave no answer: the question {} is still open",
        open.id
    ))
}

/// A text for the agent, which passes the same terminal as a brief.
fn prompt(text: &str) -> Result<String, Error> {
    Ok(Prompt::parse(text.as_bytes())?.as_str().to_owned())
}

/// The arguments of `send`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    /// The run: its id, or its task's name.
    run: String,
    /// The message.
    text: String,
    /// Tell it within the turn that runs, and not when that ends.
    now: Option<bool>,
}

impl Tooling for Send {
    type Output = Sent;
    const NAME: &str = "send";
    const TITLE: &str = "Tell a working agent more";
    const EFFECT: Effect = Effect::Adds;
    const DESCRIPTION: &str = "\
Tells a working agent something more: it is its next prompt when the turn ends, and costs a turn; with `now` it \
steers the turn that runs. For a correction or a fact that the \
brief lacked. A run that asks a question takes a `reply` instead.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        let (run, text) = (call.find(&self.run).await?, prompt(&self.text)?);
        Answer::document(&replying::send(&run, (&text, self.now.unwrap_or(false))).await?)
    }
}

/// The arguments of `abort`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Abort {
    /// The runs: ids, or names of tasks.
    runs: Vec<String>,
    /// Why: it is in the record.
    reason: Option<String>,
}

impl Tooling for Abort {
    type Output = Aborted;
    const NAME: &str = "abort";
    const TITLE: &str = "End runs";
    const EFFECT: Effect = Effect::Changes;
    const DESCRIPTION: &str = "\
Ends runs in good order: what their agents did is kept (`diff`), and everything made for them is removed. It returns at once; `wait` \
waits for the end.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        if self.runs.is_empty() {
            return Err(Error::Usage("abort names no run".to_owned()));
        }
        let desk = Arc::clone(&call.desk);
        let aborted = blocking(move || {
            let store = desk.operator.store();
            let find = |name: &String| desk.reach.find_begun(store, name);
            let runs: Vec<RunDir> = self.runs.iter().map(find).collect::<Result<_, _>>()?;
            replying::abort(&runs, self.reason.as_deref().unwrap_or(""))
        });
        Answer::document(&aborted.await?)
    }
}

/// The arguments of `apply`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Apply {
    /// The run: its id, or its task's name.
    run: String,
    /// The branch [default: the one that is checked out]. It is made where it does not exist, at the commit that the run began with.
    branch: Option<String>,
    /// `squash` (default): one commit with everything; `commits`: each of the agent's, and one with what it did not commit; `patch`: no
    /// commit, the changes are left in index and files.
    form: Option<Form>,
    /// The message of the commit.
    message: Option<String>,
    /// A checkout of the run's repository [default: the first root of this server, else the one that the run had].
    repo: Option<String>,
    /// A shell command that must succeed in a checkout of the new state before the branch moves.
    check: Option<String>,
}

impl Tooling for Apply {
    type Output = Applied;
    const NAME: &str = "apply";
    const TITLE: &str = "Bring a result onto a branch";
    const EFFECT: Effect = Effect::Changes;
    const DESCRIPTION: &str = "\
Brings the result of a run that has ended onto a local branch, completely or not at all: after a conflict, or with local changes in the \
same files, everything is as it was. Read the whole `diff` first. It never pushes; don't push either. Run the tests afterwards.";

    async fn call(self, call: &Call) -> Result<Answer, Error> {
        if self.check.is_some() && !call.desk.allowed.contains(&Risk::Check) {
            return Err(super::refuse(Risk::Check, "check"));
        }
        let run = call.find(&self.run).await?;
        let (desk, there, path) = (Arc::clone(&call.desk), run.clone(), self.repo);
        let checkout = blocking(move || desk.reach.checkout(&there, path.as_deref())).await?;
        let request = ApplyRequest {
            branch: self.branch,
            form: self.form.unwrap_or_default(),
            check: self.check,
            message: self.message,
            checkout: Some(checkout),
        };
        Answer::document(&apply(&run, request).await?)
    }
}
