//! The replies of an operator that is gone: the one that takes its run over reads the same events again, and asks nothing twice.

use super::Machine;
use crate::record::Reply;
use crate::task::question::{Answer, Question, QuestionKind};

/// Replies of the turn that is read again, which nothing has asked for yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded(Vec<Reply>);

impl Recorded {
    /// What was replied in a turn, but for approvals of these commands: their hooks have the decision.
    pub(crate) fn of_turn(turn: u32, replies: &[Reply], decided: Vec<String>) -> Self {
        let mut replies: Vec<Reply> = replies.to_vec();
        replies.retain(|reply| reply.turn == turn);
        let mut recorded = Self(replies);
        for command in decided {
            recorded.remove(|reply| reply.question == command);
        }
        recorded
    }

    /// What was said to this question, and by whom.
    pub(crate) fn answer(&self, question: &Question) -> Option<(String, Answer)> {
        let same = |reply: &&Reply| reply.turn == question.turn && reply.question == question.text;
        let reply = self.0.iter().find(same)?;
        Some((reply.by.clone(), answer(question.kind, &reply.reply)))
    }

    /// The same, without a listener.
    pub(crate) fn answer_once(&mut self, question: &Question) -> Option<Answer> {
        let (_, answer) = self.answer(question)?;
        self.remove(|reply| reply.question == question.text);
        Some(answer)
    }

    /// Whether this very reply is on record; asked once more, it is not.
    pub(crate) fn take(&mut self, reply: &Reply) -> bool {
        self.remove(|known| known == reply)
    }

    fn remove(&mut self, fits: impl Fn(&Reply) -> bool) -> bool {
        let at = self.0.iter().position(fits);
        at.map(|at| self.0.remove(at)).is_some()
    }
}

/// The answer that a record has in words.
fn answer(kind: QuestionKind, words: &str) -> Answer {
    let decides = matches!(kind, QuestionKind::Permission | QuestionKind::Request);
    match words.strip_prefix("deny") {
        _ if !decides => Answer::Text(words.to_owned()),
        _ if words == "allow" => Answer::Allow,
        Some(why) if why.is_empty() || why.starts_with(' ') => {
            Answer::Deny(why.trim_start().to_owned())
        }
        _ => Answer::Text(words.to_owned()),
    }
}

/// The replies without the last one where that is a text of which no prompt came: it was about to be pasted.
pub(crate) fn reached(mut replies: Vec<Reply>, machine: &Machine) -> Vec<Reply> {
    let said = machine.last_message().unwrap_or_default();
    // Of a form that is still open nothing was sent.
    let inquiries = machine.form().map_or(&[][..], |form| form.inquiries);
    let of_form = |reply: &Reply| inquiries.iter().any(|asked| asked.text == reply.question);
    let of_the_end =
        |reply: &Reply| reply.by == "operator" || reply.question == said || of_form(reply);
    replies.retain(|reply| reply.turn < machine.turns() || !of_the_end(reply));
    replies
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;
    use crate::agent::ExecutorId;
    use crate::agent::conversation::Drive;
    use crate::task::policy::{Limits, Permissions};
    use crate::turn::{Plan, ResumePoint};

    fn reply(turn: u32, question: &str, said: &str) -> Reply {
        Reply {
            turn,
            by: "command".to_owned(),
            question: question.to_owned(),
            reply: said.to_owned(),
        }
    }

    fn question(kind: QuestionKind, text: &str) -> Question {
        Question {
            kind,
            text: text.to_owned(),
            reason: None,
            options: Vec::new(),
            turn: 2,
        }
    }

    #[test]
    fn each_reply_answers_once() {
        let replies = [
            reply(1, "a", "x"),
            reply(2, "a", "y"),
            reply(2, "b", "allow"),
        ];
        let mut recorded = Recorded::of_turn(2, &replies, Vec::new());
        let asked = question(QuestionKind::Question, "a");
        let known = recorded.answer(&asked);
        assert_eq!(
            known,
            Some(("command".to_owned(), Answer::Text("y".to_owned())))
        );
        assert!(!recorded.take(&replies[0]) && recorded.take(&replies[1]));
        assert_eq!(recorded.answer(&asked), None);
        assert!(!recorded.take(&replies[1]));
    }

    /// The agent may ask for the same command twice in a turn: the second time is another one.
    #[test]
    fn a_decision_that_its_hook_has_answers_no_other_approval() {
        let replies = [reply(2, "ls", "allow"), reply(2, "ls", "deny No.")];
        let asked = question(QuestionKind::Permission, "ls");
        let recorded = Recorded::of_turn(2, &replies, vec!["ls".to_owned()]);
        let known = recorded.answer(&asked).map(|(_, answer)| answer);
        assert_eq!(known, Some(Answer::Deny("No.".to_owned())));
        let all = vec!["ls".to_owned(), "ls".to_owned()];
        assert_eq!(Recorded::of_turn(2, &replies, all).answer(&asked), None);
    }

    #[test]
    fn a_reply_counts_once_its_prompt_is_proven() {
        let plan = Plan {
            prompt: "p".to_owned(),
            limits: Limits::default(),
            permissions: Permissions::Ask,
            responder: true,
            probe: false,
            directory: PathBuf::new(),
            executor: ExecutorId::default(),
            drive: Drive::Keys,
            answer: None,
        };
        let at = |turns: u32| {
            let resume_point = ResumePoint {
                turns,
                last_message: Some("Tabs?".to_owned()),
                ..ResumePoint::default()
            };
            Machine::resume(plan.clone(), resume_point, Instant::now())
        };
        let replies = [reply(1, "ls", "allow"), reply(1, "Tabs?", "No.")];
        assert_eq!(reached(replies.to_vec(), &at(1)), replies[..1]);
        assert_eq!(reached(replies.to_vec(), &at(2)), replies);
    }

    #[test]
    fn words_are_decisions_only_where_one_was_asked_for() {
        let permission = |words| answer(QuestionKind::Permission, words);
        assert_eq!(permission("allow"), Answer::Allow);
        assert_eq!(permission("deny"), Answer::Deny(String::new()));
        assert_eq!(
            permission("denying it"),
            Answer::Text("denying it".to_owned())
        );
        let text = answer(QuestionKind::Question, "allow");
        assert_eq!(text, Answer::Text("allow".to_owned()));
    }
}
