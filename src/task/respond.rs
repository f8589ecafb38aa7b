//! The responders, who answer in the user's place.
//!
//! A [`Responder`] is asked when a turn ends with a question and when the agent wants an approval. It
//! answers, or it doesn't, and then the run ends with the question. Nothing is ever made up here.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::os::chain::{chain, failed};

pub use answers::Answers;
pub use command::Command;

use crate::task::Error;
use crate::task::policy::Limits;
pub use crate::task::question::{Answer, Question, QuestionKind};

mod answers;
mod command;

/// Why a responder gave no usable answer. The run then ends with the question, and with this as a notice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RespondError {
    /// It could not be run.
    #[error("{}", failed(format_args!("run the responder")))]
    Io(#[source] io::Error),
    /// It took too long.
    #[error("the responder gave no answer within {0:?}")]
    TimedOut(Duration),
    /// It said that it failed.
    #[error("the responder failed: {0}")]
    Failed(String),
    /// It can't be made any more, in a run that was taken over.
    #[error("make the responder")]
    Remake(#[source] Error),
    /// Its answer is invalid.
    #[error("the responder's answer is invalid: {0}")]
    Answer(String),
}

/// The run that a responder or a policy is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Context {
    /// The run's id.
    pub run_id: String,
    /// The task's name.
    pub task: String,
    /// The worktree, as it is at this moment.
    pub worktree: PathBuf,
    /// The home directory of the agent's user.
    pub home: Option<PathBuf>,
    /// The question's id within the run, for an answer from another process. Empty for a policy.
    pub question: String,
}

impl Context {
    /// The context of a question.
    #[must_use]
    pub fn new(run_id: impl Into<String>, task: impl Into<String>, worktree: PathBuf) -> Self {
        Self {
            run_id: run_id.into(),
            task: task.into(),
            worktree,
            home: None,
            question: String::new(),
        }
    }
}

/// Somebody who may answer.
#[async_trait]
pub trait Responder: Send + Sync {
    /// Under what name the record carries its replies.
    fn name(&self) -> &str;

    /// How to make this responder again, for an operator that takes the run over; `None` if it can't be.
    fn recipe(&self) -> Option<Recipe> {
        None
    }

    /// Answers, or says by `None` that this is not its to answer.
    ///
    /// # Errors
    /// [`RespondError`]; the question is then surfaced as if there were no answer.
    async fn respond(
        &self,
        question: &Question,
        context: &Context,
    ) -> Result<Option<Answer>, RespondError>;
}

/// How a responder can be made again in another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recipe {
    /// Fixed answers from a TOML file, as `--answers` takes it.
    Answers {
        /// The file, absolute.
        path: PathBuf,
    },
    /// A shell command that gets the question as JSON on stdin, as `--responder` does.
    Command {
        /// The shell command.
        shell_command: String,
        /// The working directory.
        directory: Option<PathBuf>,
        /// How long its answer may take.
        #[serde(rename = "limit_ms", with = "crate::os::time::milliseconds")]
        limit: Duration,
    },
    /// Another process that sends an answer to the run ([`Operator::reply`](crate::Operator::reply)).
    Message {
        /// How long its answer may take.
        #[serde(rename = "limit_ms", with = "crate::os::time::milliseconds")]
        limit: Duration,
    },
}

impl Recipe {
    /// Makes the responder.
    ///
    /// # Errors
    /// [`Error`], if the file has changed.
    pub fn make(&self) -> Result<Arc<dyn Responder>, Error> {
        Ok(match self {
            Self::Message { .. } => Arc::new(self.clone()),
            Self::Answers { path } => Arc::new(Answers::load(path)?),
            Self::Command {
                shell_command,
                directory,
                limit,
            } => {
                let command = Command::new(shell_command.clone(), *limit);
                Arc::new(match directory {
                    Some(directory) => command.within(directory.clone()),
                    None => command,
                })
            }
        })
    }
}

/// A responder that is made at its first question: its operator died, and another continues. For [`Recipe::Message`] a run has
/// its own.
#[async_trait]
impl Responder for Recipe {
    fn name(&self) -> &str {
        match self {
            Self::Answers { .. } => "answers",
            Self::Command { .. } => "command",
            Self::Message { .. } => "message",
        }
    }

    fn recipe(&self) -> Option<Recipe> {
        Some(self.clone())
    }

    async fn respond(
        &self,
        question: &Question,
        context: &Context,
    ) -> Result<Option<Answer>, RespondError> {
        match self {
            Self::Message { .. } => Err(RespondError::Failed(
                "it has no run whose messages it could read".to_owned(),
            )),
            made => {
                let made = made.make().map_err(RespondError::Remake)?;
                made.respond(question, context).await
            }
        }
    }
}

/// Responders in a document: their recipes.
pub(super) mod recipes {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Recipe, Responder};

    pub(in crate::task) fn serialize<S: Serializer>(
        responders: &[Arc<dyn Responder>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let recipes = responders.iter().filter_map(|responder| responder.recipe());
        recipes.collect::<Vec<_>>().serialize(serializer)
    }

    pub(in crate::task) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Arc<dyn Responder>>, D::Error> {
        let recipes = Vec::<Recipe>::deserialize(deserializer)?;
        let as_responder = |recipe| Arc::new(recipe) as Arc<dyn Responder>;
        Ok(recipes.into_iter().map(as_responder).collect())
    }
}

impl fmt::Debug for dyn Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Several responders, asked in order until one answers.
#[derive(Clone, Default)]
pub(crate) struct Chain(pub(crate) Vec<Arc<dyn Responder>>);

/// A reply and its author; or why there is no reply.
pub(crate) struct Response {
    pub(crate) by: String,
    pub(crate) answer: Option<Answer>,
    pub(crate) problems: Vec<String>,
}

impl Response {
    /// The reply to a question without an answer in time.
    pub(crate) fn late(limit: Duration) -> Self {
        let error = RespondError::TimedOut(limit);
        Self {
            by: String::new(),
            answer: None,
            problems: vec![chain(&error)],
        }
    }
}

impl Chain {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The limits of a run with these responders: an answer may take as long as they all may.
    pub(crate) fn limits(&self, limits: Limits) -> Limits {
        let own = self.0.iter().map(|responder| match responder.recipe() {
            Some(Recipe::Command { limit, .. } | Recipe::Message { limit }) => limit,
            _ => Duration::ZERO,
        });
        let all = own.fold(Duration::ZERO, Duration::saturating_add);
        Limits {
            answer: limits.answer.max(all),
            ..limits
        }
    }

    /// How long an answer from another process may take; `None` where none is waited for.
    pub(crate) fn message_limit(&self) -> Option<Duration> {
        self.0
            .iter()
            .find_map(|responder| match responder.recipe() {
                Some(Recipe::Message { limit }) => Some(limit),
                _ => None,
            })
    }

    /// Asks one after another. `begin` is told whose turn it is.
    pub(crate) async fn ask(
        &self,
        question: &Question,
        context: &Context,
        begin: impl Fn(&dyn Responder) + Send,
    ) -> Response {
        let mut problems = Vec::new();
        for responder in &self.0 {
            begin(&**responder);
            match responder.respond(question, context).await {
                Ok(Some(answer)) if !question.kind.takes(&answer) => {
                    problems.push(mistaken(responder.name(), question, &answer));
                }
                Ok(Some(answer)) => {
                    return Response {
                        by: responder.name().to_owned(),
                        answer: Some(answer),
                        problems,
                    };
                }
                Ok(None) => {}
                Err(error) => problems.push(chain(&error)),
            }
        }
        Response {
            by: String::new(),
            answer: None,
            problems,
        }
    }
}

/// The notice about an answer of the wrong kind.
fn mistaken(by: &str, question: &Question, answer: &Answer) -> String {
    let (asked, wanted) = match question.kind {
        QuestionKind::Permission => ("an approval", "`allow` or `deny`"),
        _ => ("a question", "a text"),
    };
    let said = answer.words();
    format!("the answer `{said}` of `{by}` was not passed on: {asked} takes {wanted}")
}
