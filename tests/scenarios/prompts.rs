//! Prompts arrive as they were given, whatever stands in them.

use std::fmt::Write;
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use cx_operator::record::Status;
use cx_operator::task::question::{Answer, Question};
use cx_operator::task::respond::{Context, RespondError, Responder};

use crate::rig::{Agent, Rig};

on_every_version!(many_lines, leading_slash, leading_bang);
on_both!(
    hundred_kilobytes,
    terminal_controls,
    leading_hash,
    leading_at,
    trailing_file,
    trailing_skill,
);

/// Lines that a composer could take for something else than text.
const AWKWARD: &str = "Änderungen: naïve 日本語 🦀 e\u{301} \u{200d}\n\n\ttabbed\tline\ntrailing spaces   \n\
    ```rust\nfn main() { println!(\"`$HOME` \\\\ \\\" '\"); }\n```\n/exit\n!ls\n# not a memory\n@README\n- item\n-- --flag\n\
    $(touch evil) `touch evil` ; && || #{pane_id} %3\n  indented\n\\n\nlast line";

/// Delegates a brief, sees that it arrived as it is, and that the model was given it too.
async fn assert_arrives(rig: &Rig, brief: &str, preamble: bool) {
    let mut task = rig.task(brief);
    task.preamble = preamble;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{:?}",
        outcome.error
    );
    let submitted = rig.submitted_prompt(&outcome, 1);
    let whole = if rig.is_claude() {
        // Its composer changes blanks, and would obey a leading slash.
        let executor = rig.agent.executor();
        let dir = outcome.run_dir.as_ref().expect("a record");
        let sent = fs::read_to_string(dir.join("prompt-1.md")).expect("the prompt");
        executor.is_prompt(&submitted, &sent) && sent.ends_with(&*executor.prompt(brief))
    } else if preamble {
        submitted.ends_with(&format!("\n\n{brief}"))
    } else {
        submitted == brief
    };
    assert!(whole, "another prompt was submitted:\n{submitted}");
    if matches!(rig.agent, Agent::Codex(_)) {
        let asked = rig
            .model
            .requests()
            .into_iter()
            .any(|request| request.text == submitted);
        assert!(asked, "the model was asked something else");
    }
}

async fn many_lines(rig: &Rig) {
    assert_arrives(rig, AWKWARD, true).await;
}

async fn hundred_kilobytes(rig: &Rig) {
    let mut brief = String::new();
    for line in 0..2_000 {
        let part = AWKWARD.lines().nth(line % AWKWARD.lines().count());
        let _written_to_a_string = writeln!(brief, "{line:04} {:-<44}", part.unwrap_or_default());
    }
    brief.push_str("the end");
    assert!(brief.len() > 100_000, "{}", brief.len());
    assert_arrives(rig, &brief, true).await;
}

/// What a terminal would obey is made visible, and the record says so.
async fn terminal_controls(rig: &Rig) {
    let task = rig.task("a\x1b[201~\r/exit\rb\x1b[31m\x07\x03\x7f done");
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{:?}",
        outcome.error
    );
    let submitted = rig.submitted_prompt(&outcome, 1);
    assert!(
        submitted.ends_with("\n\na␛[201~␍/exit␍b␛[31m␇␃␡ done"),
        "{submitted}"
    );
    let notice = "7 control characters of the prompt were replaced by their pictures";
    assert!(
        outcome.notices.iter().any(|text| text == notice),
        "{:?}",
        outcome.notices
    );
}

async fn leading_slash(rig: &Rig) {
    assert_arrives(rig, "/src holds the code. Look at it.", false).await;
}

/// codex would run what follows a leading `!` in the user's shell: neither a brief nor a reply does.
async fn leading_bang(rig: &Rig) {
    let ran = rig.path("ran");
    let bang = format!("!touch '{}'", ran.display());
    let mut task = rig.task(&format!("{bang} # [[question]]"));
    task.preamble = false;
    task.responders = vec![Arc::new(Reply(bang.clone()))];
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 2),
        "{:?}",
        outcome.error
    );
    let before = match rig.is_by_requests() {
        true => "",
        false => "Message:\n",
    };
    assert_eq!(
        rig.submitted_prompt(&outcome, 1),
        format!("{before}{bang} # [[question]]")
    );
    assert_eq!(rig.submitted_prompt(&outcome, 2), format!("{before}{bang}"));
    assert!(!ran.exists(), "the command was run");
}

/// Answers everything by one text.
struct Reply(String);

#[async_trait]
impl Responder for Reply {
    fn name(&self) -> &str {
        "test"
    }

    async fn respond(&self, _: &Question, _: &Context) -> Result<Option<Answer>, RespondError> {
        Ok(Some(Answer::Text(self.0.clone())))
    }
}

/// What stands last could open a list of files or skills, which would take the Enter.
async fn trailing_file(rig: &Rig) {
    assert_arrives(rig, "Look at $skill and at @READ", true).await;
}

async fn trailing_skill(rig: &Rig) {
    assert_arrives(rig, "Look at @README with $s", true).await;
}

async fn leading_hash(rig: &Rig) {
    assert_arrives(rig, "# Heading\n\nand a text", false).await;
}

async fn leading_at(rig: &Rig) {
    assert_arrives(rig, "@README is the file to read", false).await;
}
