//! The parents that `docs/parents.md` shows at work: by commands, word for word, and by the library.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use cx_operator::record::journal::{self, Progress};
use cx_operator::task::policy::Permissions;
use cx_operator::{Drive, Sandbox, Status};
use serde_json::{Value, json};
use testkit::{built, schemas};
use tokio::sync::mpsc::unbounded_channel;

use crate::detached::remember;
use crate::rig::{Rig, wait_for};

#[path = "../../examples/parent.rs"]
#[expect(dead_code, reason = "the example's own `main`")]
mod parent;

tests_of! { by_commands: scripted on Scripted; }
tests_of! { by_the_library:
    codex_0_169 on Codex(testkit::agents::PINNED);
    requests_0_169 on Requests(testkit::agents::PINNED);
}

const ANSWER: &str = "Spaces.\n[[shell echo spaces > style; echo 'STATUS: DONE']]";
const MORE: &str = "[[shell echo kept > old; echo 'STATUS: DONE']]";
const FETCH: &str = "[[shell curl -O https://example.com/x]] [[escalate]]";

/// The block of a section of the page.
fn story(section: &str) -> String {
    let page = fs::read_to_string(built::checkout().join("docs/parents.md")).expect("the page");
    let (_, rest) = page
        .split_once(&format!("\n## {section}\n"))
        .expect("the section");
    let (_, rest) = rest.split_once("```text\n").expect("its block");
    rest.split_once("```").expect("its end").0.to_owned()
}

/// The commands of a block: each with the exit status that is told behind it, and what it prints.
fn commands(story: &str) -> Vec<(String, i32, String)> {
    let mut commands = Vec::new();
    for command in story.split("$ cx-operator ").skip(1) {
        let (line, printed) = command.split_once('\n').unwrap_or((command, ""));
        let (line, code) = line.split_once(" # exit ").unwrap_or((line, "0"));
        let printed: String = printed.lines().map(str::trim).collect();
        let code = code.trim().parse().expect("a status");
        commands.push((line.trim().to_owned(), code, printed));
    }
    commands
}

/// The words of a command line, which may be in double quotes.
fn split(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

/// Whether a document is the one that the page shows, where `…` stands for anything.
fn shows(shown: &str, document: &str) -> bool {
    let mut left = document;
    shown.split('…').enumerate().all(|(at, part)| {
        let found = left.find(part);
        let fits = found.is_some_and(|found| at > 0 || found == 0);
        left = &left[found.unwrap_or_default() + if fits { part.len() } else { 0 }..];
        fits
    })
}

async fn by_commands(rig: &Rig) {
    rig.git(&["config", "user.name", "Ada"]);
    rig.git(&["config", "user.email", "ada@example.com"]);
    let gate = rig.path("gate");
    let working = format!("[[await {}]] [[status]]", gate.display());
    let place = rig.path("words");
    fs::create_dir(&place).expect("made");
    for (file, text) in [
        ("indent.md", "[[question]]"),
        ("fetch.md", FETCH),
        ("rename.md", &working),
        ("answer.md", ANSWER),
        ("more.md", MORE),
    ] {
        fs::write(place.join(file), text).expect("written");
    }
    let commands = commands(&story("A parent at work"));
    assert!(commands.len() > 8, "{commands:?}");
    for (line, wanted, shown) in commands {
        let mut words = split(&line);
        for word in &mut words {
            if place.join(&*word).is_file() {
                *word = place.join(&*word).display().to_string();
            }
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = rig.binary(&words);
        if words[0] == "delegate" {
            let program = built::scripted_agent();
            command.args(["--drive", "keys", "--program"]).arg(program);
            command.arg("--worktree-root").arg(rig.worktrees());
        }
        let output = command.output().await.expect("it runs");
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        schemas::check(&words, &printed);
        let document: Value = serde_json::from_str(&printed).expect("a document");
        let document = document.to_string();
        assert_eq!(output.status.code(), Some(wanted), "{line}: {document}");
        assert!(shows(&shown, &document), "{line}:\n{shown}\n{document}");
        if words[0] == "send" {
            fs::write(&gate, "").expect("the agent goes on");
        }
    }
    let fetched = remember(rig, "fetch");
    assert_eq!(fetched.replies[0].reply, "deny Use the vendored copy.");
    remember(rig, "indent");
    remember(rig, "rename");
    assert_eq!(rig.git(&["show", "renamed:old"]), "kept");
    rig.git(&["branch", "-q", "-D", "renamed"]);
    rig.note_the_callers_state();
}

/// Lets the agent of the run `rename` go on once it has the word that steers it, or is about to get it.
async fn open_when_steered(rig: &Rig, gate: PathBuf) {
    let by_keys = rig.agent.drive() == Drive::Keys;
    wait_for("it is steered", || {
        let run = rig.operator.store().find("rename").ok()?;
        let entries = journal::load(&run.path().join("events.jsonl")).ok()?;
        let mut progress = entries.iter().map(|entry| &entry.progress);
        progress.find(|progress| matches!(progress, Progress::Steering { .. }))?;
        let pressed = |progress: &Progress| matches!(progress, Progress::KeyPressed { .. });
        (!by_keys || progress.any(pressed)).then_some(())
    })
    .await;
    fs::write(gate, "").expect("the agent goes on");
}

async fn by_the_library(rig: &Rig) {
    rig.git(&["config", "user.name", "Ada"]);
    rig.git(&["config", "user.email", "ada@example.com"]);
    let gate = rig.path("gate");
    let wait = format!(
        "[[shell while [ ! -e {} ]; do sleep 1; done; echo 'STATUS: DONE']]",
        gate.display()
    );
    let done = json!({"say": "The vendored copy is used.\n\nSTATUS: DONE"});
    let fetch = json!({"shell": "curl -O https://example.com/x", "escalate": "needs the network"});
    rig.model.script("fetch", &json!([fetch, done]));
    let push = json!({"shell": "git push"});
    rig.model.script("publish", &json!([push, done]));
    let tasks = [
        ("indent", "[[question]]"),
        ("fetch", "[[play fetch]]"),
        ("rename", &wait),
        ("publish", "[[play publish]]"),
    ];
    let tasks = tasks.map(|(name, brief)| {
        let mut task = rig.task_named(name, brief);
        task.permissions = Permissions::Ask;
        task.probe = false;
        if name == "rename" {
            task.agent.sandbox = Sandbox::DangerFullAccess;
        }
        task
    });
    let words = parent::Words {
        answer: ANSWER.to_owned(),
        more: Some(("rename".to_owned(), MORE.to_owned())),
    };
    let (say, mut said) = unbounded_channel();
    let (outcomes, ()) = tokio::join!(
        parent::lead(&rig.operator, tasks.into(), words, say),
        open_when_steered(rig, gate)
    );
    for outcome in outcomes.expect("they ran") {
        assert_eq!(outcome.status, Status::Completed, "{outcome:?}");
        rig.keep_in_mind(&outcome);
    }
    let mut lines = Vec::new();
    while let Some(line) = said.recv().await {
        lines.push(line);
    }
    let shown = story("The same by the library");
    assert_eq!(
        by_task(lines.iter().map(String::as_str)),
        by_task(shown.lines())
    );
    assert_eq!(rig.git(&["show", "result-rename:old"]), "kept");
    rig.git(&["branch", "-q", "-D", "result-rename", "result-indent"]);
    rig.note_the_callers_state();
}

/// What was said of each task, in its order: the runs go on beside each other.
fn by_task<'a>(lines: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut tasks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in lines {
        let (task, words) = line.split_once(": ").expect("a task and words");
        tasks.entry(task).or_default().push(words);
    }
    tasks
}
