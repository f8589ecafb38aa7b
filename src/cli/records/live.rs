//! `show` of a run that goes on.

use crate::cli::advice;
use crate::cli::look::time::{parse, took};
use crate::cli::look::{self, BOLD, Look, words_of};
use crate::cli::report::{files, item_line};
use crate::cli::safe;
use crate::cli::status::describe_question;
use crate::operator::status::RunStatus;
use crate::worktree::Glance;

/// How far a run is, what it has changed so far, and what can be done now. `name`: what people call it by.
pub(super) fn draw(
    status: &RunStatus,
    (glance, name): (Option<Glance>, &str),
    look: &Look,
) -> String {
    let task = status.task.as_deref().unwrap_or(&status.run_id);
    let state = status.status.to_uppercase();
    let headline = look.paint(look::of_status(&status.status).bold(), &state);
    let mut text = format!("{headline}  {}", words_of(task));
    let since = |at: &Option<String>| at.as_deref().and_then(parse).map(|at| look.since(at));
    if let Some(time) = since(&status.started_at) {
        text += &format!(" ({}, turn {})", took(time), status.turn);
    }
    text += "\n\n";
    let mut line = |name: &str, words: &str| {
        text += &format!("{} {words}\n", look.paint(BOLD, &format!("{name}:")));
    };
    if let Some(time) = since(&status.since) {
        line("phase", &format!("{} for {}", status.phase, took(time)));
    }
    if let Some(item) = status.last_item.as_ref().and_then(item_line) {
        line("last", &words_of(&item));
    }
    if let Some(usage) = &status.usage {
        line("tokens", &usage.total_tokens.to_string());
    }
    if let Some(glance) = glance {
        let added = look.paint(look::ADDED, &format!("+{}", glance.insertions));
        let removed = look.paint(look::REMOVED, &format!("-{}", glance.deletions));
        line(
            "so far",
            &format!("{}, {added} {removed}", files(glance.files)),
        );
    }
    if let Some(question) = &status.question {
        text += &safe(&describe_question(question));
    }
    text += &format!("\n{}\n", look.paint(BOLD, "next:"));
    let mut next = |what: &str, command: &str| {
        let command = advice(&format!("cx-operator {command}"));
        text += &format!("  {what:<10} {command}\n");
    };
    if status.question.is_some() {
        next("answer it:", &format!("reply {name}"));
    }
    next("follow it:", &format!("log -f {name}"));
    next("see it:", &format!("diff {name}"));
    next("look in:", &format!("attach {task}"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::report::Item;
    use crate::cli::look::tests::look;
    use crate::record::inbox::OpenQuestion;
    use crate::task::question::{Question, QuestionKind};

    #[test]
    fn a_run_that_goes_on() {
        let mut status = RunStatus::blank("20261127-115000-fix-it-0001");
        status.task = Some("fix-it".to_owned());
        (status.status, status.phase) = ("waiting".to_owned(), "waiting");
        status.turn = 2;
        status.started_at = Some("2026-11-27T11:50:00.000Z".to_owned());
        status.since = Some("2026-11-27T11:58:20.000Z".to_owned());
        status.last_item = Some(Item::Command {
            command: "cargo test\u{1b}[2J".to_owned(),
            exit_code: Some(101),
            duration_ms: None,
            outcome: "failed".to_owned(),
        });
        let question = Question::new(QuestionKind::Question, "Tabs or\nspaces?");
        status.question = Some(OpenQuestion::new("2-1", &question, None));
        let glance = Glance {
            files: 2,
            insertions: 10,
            deletions: 3,
        };
        let drawn = draw(&status, (Some(glance), "fix-it"), &look(Some(80), false));
        insta::assert_snapshot!("live", drawn);
        let drawn = draw(&status, (Some(glance), "fix-it"), &look(Some(80), true));
        insta::assert_snapshot!("live-colours", drawn.replace('\u{1b}', "␛"));
    }
}
