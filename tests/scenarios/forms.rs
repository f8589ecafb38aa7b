//! The agent's own question: a form of its program, asked and answered like any other question.

use std::fs;
use std::time::Duration;

use cx_operator::record::journal::Progress;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::Task;
use serde_json::{Value, json};

use crate::rig::{Rig, wait_for};

on_every_codex!(answered_by_label, answered_in_words, nobody_answers);
on_real_terminal!(answered_by_somebody_in_the_pane);
on_codex!(
    a_responder_is_told_the_options,
    words_that_are_no_prompt,
    forms_of_many_shapes,
    half_answered,
    refused_by_a_hook,
    the_clocks_stand_still,
    the_operator_is_killed_while_it_asks,
    the_operator_is_killed_when_it_has_answered,
    the_run_is_cancelled_while_it_asks
);

/// Lets the agent ask outside of plan mode, too.
fn allow_forms(rig: &Rig) {
    rig.configure("\n[features]\ndefault_mode_request_user_input = true\n");
}

fn questions() -> Value {
    json!([
        {"id": "indent", "header": "Indent", "question": "Tabs or spaces?", "options": [
            {"label": "Tabs (Recommended)", "description": "One to a step."},
            {"label": "Spaces", "description": "Four to a step, as every other file of this project has them, and as the \
                editors of most people who work on it are set up to write them by themselves, so that nobody must think of it."}]},
        {"id": "name", "header": "Name", "question": "How shall the module be named, where there is one of that name in the \
            directory beside it, which may not be renamed since others depend on it, and which does nearly the same but for one thing?",
         "options": [
            {"label": "parser", "description": "Short."},
            {"label": "reader", "description": "Old."},
            {"label": "lexer", "description": "New."}]}
    ])
}

/// A brief whose agent asks these, and works when it has the answers.
fn asking(questions: &Value) -> String {
    let steps = json!([
        {"note": "Before I begin:", "call": "request_user_input", "args": {"questions": questions}},
        {"shell": "echo done > new"},
        {"say": "Done. I wrote it as you said."}
    ]);
    format!("<<<steps {steps}>>>")
}

pub(crate) fn task(rig: &Rig, answers: &str) -> Task {
    allow_forms(rig);
    let mut task = rig.task(&asking(&questions()));
    if !answers.is_empty() {
        task.responders = rig.answers(answers);
    }
    task
}

const TABS: &str = "[[answer]]\npattern = \"tabs or spaces\"\nreply = \"spaces.\"\n";
const NAME: &str = "[[answer]]\npattern = \"be named\"\nreply = \"parser\"\n";

/// What the agent was told at the first form, by the question's id.
fn told(outcome: &Outcome) -> Value {
    all_told(outcome).swap_remove(0)
}

/// The same of each form.
fn all_told(outcome: &Outcome) -> Vec<Value> {
    let dir = outcome.run_dir.as_ref().expect("the run's directory");
    let transcript = fs::read_to_string(dir.join("transcript.jsonl")).expect("the transcript");
    let lines = transcript
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    let outputs = lines.filter(|line| line["payload"]["type"] == "function_call_output");
    let answers = outputs.filter_map(|line| {
        let output = line["payload"]["output"].as_str()?.to_owned();
        let output: Value = serde_json::from_str(&output).ok()?;
        output.get("answers").cloned()
    });
    answers.collect()
}

fn assert_completed(outcome: &Outcome) {
    assert_eq!(
        (outcome.status, outcome.turns, outcome.files.len()),
        (Status::Completed, 1, 1),
        "{outcome:?}"
    );
}

async fn answered_by_label(rig: &Rig) {
    let outcome = rig.delegate(task(rig, &format!("{TABS}{NAME}"))).await;
    assert_completed(&outcome);
    let answers = told(&outcome);
    assert_eq!(answers["indent"]["answers"], json!(["Spaces"]));
    assert_eq!(answers["name"]["answers"], json!(["parser"]));
    let replies: Vec<_> = outcome
        .replies
        .iter()
        .map(|reply| {
            (
                reply.turn,
                reply.by.as_str(),
                reply.question.as_str(),
                reply.reply.as_str(),
            )
        })
        .collect();
    assert_eq!(replies[0], (1, "answers", "Tabs or spaces?", "spaces."));
    assert_eq!((replies[1].1, replies[1].3), ("answers", "parser"));
}

/// What is no label is said beside it, however long it is.
async fn answered_in_words(rig: &Rig) {
    let long = "Four spaces, but tabs in makefiles. ".repeat(60);
    let answers = format!(
        "[[answer]]\npattern = \"tabs or spaces\"\nreply = \"{long}\"\n[[answer]]\npattern = \"be named\"\n\
         reply = \"2 words:\\n\\n1. tokens\\n› 2. stream 🎉 ünï\""
    );
    let outcome = rig.delegate(task(rig, &answers)).await;
    assert_completed(&outcome);
    let answers = told(&outcome);
    let noted = |note: &str| json!(["None of the above", format!("user_note: {note}")]);
    assert_eq!(answers["indent"]["answers"], noted(long.trim()));
    let words = "2 words:\n\n1. tokens\n› 2. stream 🎉 ünï";
    assert_eq!(answers["name"]["answers"], noted(words));
}

/// What a composer would obey stays text.
async fn words_that_are_no_prompt(rig: &Rig) {
    let many: String = (1..40).map(|row| format!("row {row}\\n")).collect();
    let answers = format!(
        "[[answer]]\npattern = \"tabs or spaces\"\nreply = \"!touch broken; /exit\"\n\
         [[answer]]\npattern = \"be named\"\nreply = \"{many}/tmp/a.png\"\n"
    );
    let outcome = rig.delegate(task(rig, &answers)).await;
    assert_completed(&outcome);
    let answers = told(&outcome);
    assert_eq!(
        answers["indent"]["answers"][1],
        "user_note: !touch broken; /exit"
    );
    let many = many.replace("\\n", "\n");
    assert_eq!(
        answers["name"]["answers"][1],
        format!("user_note: {many}/tmp/a.png")
    );
}

/// One form after the other, each drawn in another way.
async fn forms_of_many_shapes(rig: &Rig) {
    allow_forms(rig);
    let options = |labels: &[&str]| -> Value {
        let option = |label: &&str| json!({"label": label, "description": "What it means."});
        labels.iter().map(option).collect()
    };
    let long = "Rewrite the whole module with a table of transitions, keep the old names as aliases for one release, \
        and warn where they are used, with the file and the line of each use, as the compiler does it";
    let shapes = [
        (
            "Which **one**?\n\n1. first\n2. second\n\n› really?",
            options(&["a", "a b", "a b c"]),
            "a b",
        ),
        (
            "Wie heißt es — „größer“ oder 🎉?",
            options(&["größer 🎉", "kleiner"]),
            "größer 🎉",
        ),
        ("How far?", options(&[long, "Not at all"]), long),
        (
            "Press enter to confirm or esc to cancel",
            options(&["Yes, proceed (y)", "No (esc)"]),
            "No (esc)",
        ),
        (
            "Many?",
            options(&[
                "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12",
            ]),
            "11",
        ),
        ("Twice?", options(&["same", "same"]), "same"),
    ];
    let mut steps: Vec<Value> = shapes
        .iter()
        .map(|(text, options, _)| {
            let asked = json!({"id": "q", "header": "Q", "question": text, "options": options});
            json!({"call": "request_user_input", "args": {"questions": [asked]}})
        })
        .collect();
    steps.push(json!({"say": "Done. All is well."}));
    let mut task = rig.task(&format!("<<<steps {}>>>", json!(steps)));
    let entries = shapes.iter().map(|(text, _, answer)| {
        let pattern: String = text
            .chars()
            .filter(|c| c.is_alphanumeric())
            .take(3)
            .collect();
        format!(
            "[[answer]]\npattern = \"^{pattern}\"\nreply = {}\n",
            json!(answer)
        )
    });
    task.responders = rig.answers(&entries.collect::<String>());
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.replies.len()),
        (Status::Completed, shapes.len()),
        "{outcome:?}"
    );
    let told = all_told(&outcome);
    for ((text, _, answer), told) in shapes.iter().zip(&told).take(shapes.len() - 1) {
        assert_eq!(told["q"]["answers"], json!([answer]), "{text}");
    }
    // Nobody can tell two of one name apart.
    let last = json!(["None of the above", "user_note: same"]);
    assert_eq!(told[shapes.len() - 1]["q"]["answers"], last);
}

async fn nobody_answers(rig: &Rig) {
    allow_forms(rig);
    let output = rig.delegation(&asking(&questions()), &[]).output().await;
    let (outcome, exit) = rig.document(&output.expect("cx-operator runs"));
    assert_eq!(
        (outcome.status, exit, outcome.replies.len()),
        (Status::NeedsInput, 3, 0),
        "{outcome:?}"
    );
    let pending = outcome.pending.expect("the question");
    assert_eq!(
        (pending.kind.as_str(), pending.text.as_str()),
        ("question", "Tabs or spaces?")
    );
    let labels: Vec<_> = pending
        .options
        .iter()
        .map(|option| option.label.as_str())
        .collect();
    assert_eq!(labels, ["Tabs (Recommended)", "Spaces"]);
    assert_eq!(pending.options[0].description, "One to a step.");
}

/// Nothing reaches the agent before the last answer is there, so that nothing was replied.
async fn half_answered(rig: &Rig) {
    let outcome = rig.delegate(task(rig, TABS)).await;
    assert_eq!(
        (outcome.status, outcome.replies.len()),
        (Status::NeedsInput, 0),
        "{outcome:?}"
    );
    let pending = outcome.pending.expect("the question");
    assert!(pending.text.starts_with("How shall the module be named"));
    assert_eq!(pending.options.len(), 3);
}

async fn a_responder_is_told_the_options(rig: &Rig) {
    allow_forms(rig);
    let asked = rig.path("asked");
    let responder = format!(
        "tee -a '{0}' | grep -q Tabs && echo '{{\"reply\":\"Tabs\"}}' || echo '{{\"reply\":\"LEXER\"}}'; echo >> '{0}'",
        asked.display()
    );
    let output = rig
        .delegation(&asking(&questions()), &["--responder", &responder])
        .output()
        .await;
    let (outcome, _) = rig.document(&output.expect("cx-operator runs"));
    assert_completed(&outcome);
    let answers = told(&outcome);
    assert_eq!(answers["indent"]["answers"], json!(["Tabs (Recommended)"]));
    assert_eq!(answers["name"]["answers"], json!(["lexer"]));
    let asked = fs::read_to_string(asked).expect("what was asked");
    let asked: Value = serde_json::from_str(asked.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&asked["kind"], &asked["approval"]),
        (&json!("question"), &json!(false))
    );
    assert_eq!(asked["options"][1]["label"], "Spaces");
}

/// Somebody who looks on is faster than the responder, whose word then goes nowhere.
async fn answered_by_somebody_in_the_pane(rig: &Rig) {
    allow_forms(rig);
    let responder = "sleep 120; echo '{\"reply\":\"Tabs\"}'";
    let child = rig
        .spawn_delegation(&asking(&questions()), &["--responder", responder])
        .await;
    rig.wait_for_screen("Question 1/2").await;
    rig.tmux(&["send-keys", "-t", "cx-t", "Down"]);
    rig.wait_for_screen("› 2. Spaces").await;
    rig.tmux(&["send-keys", "-t", "cx-t", "Enter"]);
    rig.wait_for_screen("Question 2/2").await;
    rig.tmux(&["send-keys", "-t", "cx-t", "Enter"]);
    let output = child.wait_with_output().await.expect("it ends");
    let (outcome, _) = rig.document(&output);
    assert_completed(&outcome);
    assert_eq!(told(&outcome)["indent"]["answers"], json!(["Spaces"]));
    assert!(outcome.replies.is_empty(), "{outcome:?}");
    assert!(outcome.duration_ms < 100_000);
}

/// A hook of the user's that lets the agent ask nothing: nobody is asked.
async fn refused_by_a_hook(rig: &Rig) {
    allow_forms(rig);
    let hook = rig.path("user-hook");
    fs::write(&hook, "echo 'decide yourself' >&2; exit 2\n").expect("the hook");
    let command = format!("sh {}", hook.display());
    let key = format!(
        "{}:pre_tool_use:0:0",
        rig.path("codex/config.toml").display()
    );
    let hash = cx_operator::agent::codex::trust::trusted_hash("pre_tool_use", &command, 600);
    rig.configure(&format!(
        "\n[[hooks.PreToolUse]]\nhooks = [{{ type = \"command\", command = {command:?} }}]\n\
         [hooks.state.{key:?}]\ntrusted_hash = {hash:?}\n"
    ));
    let steps = json!([
        {"call": "request_user_input", "args": {"questions": questions()}},
        {"say": "Done. I took tabs."}
    ]);
    let outcome = rig
        .delegate(rig.task(&format!("<<<steps {steps}>>>")))
        .await;
    assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
}

/// Whoever is asked may take longer than the turn and the run may.
async fn the_clocks_stand_still(rig: &Rig) {
    allow_forms(rig);
    let responder = "sleep 4; echo '{\"reply\":\"Tabs\"}'";
    let limits = ["--turn-timeout", "6s", "--timeout", "7s"];
    let arguments = [&["--responder", responder][..], &limits].concat();
    let output = rig.delegation(&asking(&questions()), &arguments).output();
    let (outcome, _) = rig.document(&output.await.expect("cx-operator runs"));
    assert_completed(&outcome);
    assert!(outcome.duration_ms > 8_000);
}

fn asked(progress: &Progress) -> bool {
    matches!(progress, Progress::Submitted { .. })
}

/// Whoever takes the run over asks again, for nothing was answered.
async fn the_operator_is_killed_while_it_asks(rig: &Rig) {
    allow_forms(rig);
    let flag = rig.path("flag");
    let responder = format!(
        "if test -e '{0}'; then echo '{{\"reply\":\"Tabs\"}}'; else touch '{0}'; sleep 60; fi",
        flag.display()
    );
    let mut child = rig
        .spawn_delegation(&asking(&questions()), &["--responder", &responder])
        .await;
    rig.wait_for_event("the prompt", asked).await;
    wait_for("the responder", || flag.exists().then_some(())).await;
    child.start_kill().expect("killed");
    child.wait().await.expect("it ends");
    let output = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, _) = rig.document(&output.expect("it runs"));
    assert_completed(&outcome);
    assert_eq!(
        told(&outcome)["indent"]["answers"],
        json!(["Tabs (Recommended)"])
    );
}

/// The first answer is on record: nobody is asked that again.
async fn the_operator_is_killed_when_it_has_answered(rig: &Rig) {
    allow_forms(rig);
    let log = rig.path("asked");
    let responder = format!(
        "grep -q Tabs - && {{ echo 1 >> '{0}'; echo '{{\"reply\":\"spaces\"}}'; exit; }}; echo 2 >> '{0}'; \
         test $(grep -c 2 '{0}') -gt 1 && echo '{{\"reply\":\"lexer\"}}' || sleep 60",
        log.display()
    );
    let mut child = rig
        .spawn_delegation(&asking(&questions()), &["--responder", &responder])
        .await;
    rig.wait_for_event("the first reply", |progress| {
        matches!(progress, Progress::Replied { .. })
    })
    .await;
    wait_for("the second question", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.contains('2').then_some(())
    })
    .await;
    child.start_kill().expect("killed");
    child.wait().await.expect("it ends");
    let output = rig.binary(&["resume", "t", "--json"]).output().await;
    let (outcome, _) = rig.document(&output.expect("it runs"));
    assert_completed(&outcome);
    let answers = told(&outcome);
    assert_eq!(answers["indent"]["answers"], json!(["Spaces"]));
    assert_eq!(answers["name"]["answers"], json!(["lexer"]));
    assert_eq!(fs::read_to_string(&log).expect("the log"), "1\n2\n2\n");
    assert_eq!(outcome.replies.len(), 2, "{outcome:?}");
}

async fn the_run_is_cancelled_while_it_asks(rig: &Rig) {
    allow_forms(rig);
    let child = rig
        .spawn_delegation(&asking(&questions()), &["--responder", "sleep 60"])
        .await;
    rig.wait_for_question("Tabs or spaces?").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    rig.signal(child.id().expect("it runs"), rustix::process::Signal::TERM);
    let output = child.wait_with_output().await.expect("it ends");
    let (outcome, exit) = rig.document(&output);
    assert_eq!(
        (outcome.status, exit),
        (Status::Aborted, 143),
        "{outcome:?}"
    );
    assert_eq!(
        outcome.pending.map(|pending| pending.options.len()),
        Some(2)
    );
}
