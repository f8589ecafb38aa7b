//! Why a run ended.

use std::time::Duration;

use crate::agent::ExecutorId;
use crate::agent::executor::Trouble;
use crate::os::signal::exit_after;
use crate::os::time::words;
use crate::record::{Failure, Pending, Status};
use crate::task::question::{Question, QuestionKind};

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// In one word.
    pub status: Status,
    /// The error.
    pub error: Option<Failure>,
    /// The question that is still open.
    pub pending: Option<Pending>,
}

impl End {
    pub(super) fn failed(
        status: Status,
        code: &str,
        message: impl Into<String>,
        hint: &str,
    ) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        Self {
            status,
            error: Some(Failure {
                code: code.to_owned(),
                message: message.into(),
                hint,
                signal: None,
            }),
            pending: None,
        }
    }

    /// The end that the user or the parent asked for.
    pub(crate) fn cancelled(by: &str) -> Self {
        Self::by(by, "")
    }

    fn by(by: &str, hint: &str) -> Self {
        let message = format!("ended by {by}");
        let mut end = Self::failed(Status::Aborted, "cancelled", message, hint);
        if let Some(error) = &mut end.error {
            error.signal = exit_after(by).map(|_status| by.to_owned());
        }
        end
    }

    /// The end of a run whose budget is used up.
    pub(super) fn over_budget(why: &str) -> Self {
        let message = format!("the budget is used up: {why}");
        let hint = "its work is kept; give more with --max-tokens, or a smaller task";
        Self::failed(Status::OverBudget, "over_budget", message, hint)
    }

    /// The end of a run of which only the death of its operator is known.
    pub(crate) fn operator_died() -> Self {
        Self::failed(
            Status::Aborted,
            "operator_died",
            "the operator of this run died; its work was collected later",
            "`cx-operator log` says how far it came",
        )
    }

    /// The same, before the run's turn had come.
    pub(crate) fn cancelled_in_queue(by: &str) -> Self {
        Self::by(by, "it waited for other runs: nothing was created")
    }

    /// The end of a run whose turn did not come.
    pub(crate) fn queue_timeout(limit: Duration) -> Self {
        let message = format!("no place became free within {}", words(limit));
        let hint = "wait longer with --queue-timeout, or allow more runs with --max-parallel";
        Self::failed(Status::TimedOut, "queue_timeout", message, hint)
    }

    pub(super) fn pending(status: Status, question: &Question) -> Self {
        Self {
            status,
            error: None,
            pending: Some(question.to_pending()),
        }
    }
}

impl Question {
    pub(super) fn to_pending(&self) -> Pending {
        Pending {
            kind: self.kind.as_str().to_owned(),
            text: self.text.clone(),
            reason: self.reason.clone(),
            options: self.options.clone(),
        }
    }
}

pub(crate) fn unanswered(question: &Question) -> End {
    let status = match question.kind {
        QuestionKind::Question | QuestionKind::Unclear => Status::NeedsInput,
        QuestionKind::Request | QuestionKind::Permission => Status::NeedsPermission,
    };
    End::pending(status, question)
}

pub(super) fn blocked(name: &str, why: &str, screen: &str, executor: ExecutorId) -> End {
    let hint = executor.remedy(Trouble::Dialog);
    let message = format!("a dialog ({name}) is in the way: {why}");
    let end = End::failed(Status::BlockedDialog, "blocked_dialog", message, hint);
    with_dialog(end, screen)
}

fn with_dialog(mut end: End, screen: &str) -> End {
    end.pending = Some(Pending {
        kind: "dialog".to_owned(),
        text: screen.trim_end().to_owned(),
        reason: None,
        options: Vec::new(),
    });
    end
}

/// The caller adds the screen.
pub(super) fn composer_in_use() -> End {
    let message = "the agent's composer contains a text that is not ours, which is neither sent nor pasted over";
    let hint = "run the task again, and leave the composer empty; `cx-operator attach` without --write is read-only";
    End::failed(Status::BlockedDialog, "composer_in_use", message, hint)
}

pub(super) fn sign_in(screen: &str, executor: ExecutorId) -> End {
    let message = format!("{} asks to be signed in", executor.name());
    let hint = executor.remedy(Trouble::SignedOut);
    let end = End::failed(Status::Failed, "not_signed_in", message, hint);
    with_dialog(end, screen)
}
