//! A parent: starts several runs at once, answers their questions, decides their approvals, tells one of them more while it works,
//! waits, and brings the results home.
//!
//! ```text
//! cargo build --bins
//! cargo run --example parent -- REPOSITORY ANSWER NAME=BRIEF...
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use cx_operator::{
    Answer, ApplyRequest, Call, Context, OpenQuestion, Operator, Outcome, Policy, PolicyAction,
    Progress, Prompt, Recipe, Ruling, Run, Status, Task, TaskName, Wish,
};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    // Hooks and launcher of a run are this very program.
    cx_operator::helper_main();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [repository, answer, tasks @ ..] = arguments.as_slice() else {
        return Err("usage: parent REPOSITORY ANSWER NAME=BRIEF...".into());
    };
    let tasks = tasks.iter().map(|task| {
        let (name, brief) = task.split_once('=').ok_or("a task is NAME=BRIEF")?;
        let repository = std::path::absolute(repository)?;
        let brief = Prompt::parse(brief.as_bytes())?;
        Ok::<_, Box<dyn Error>>(Task::new(TaskName::parse(name)?, repository, brief))
    });
    let words = Words {
        answer: answer.clone(),
        more: None,
    };
    let (say, mut said) = unbounded_channel::<String>();
    let printing = tokio::spawn(async move {
        while let Some(line) = said.recv().await {
            let _unheard = writeln!(io::stdout(), "{line}");
        }
    });
    let operator = Operator::builder().build()?;
    let outcomes = lead(&operator, tasks.collect::<Result<_, _>>()?, words, say).await?;
    printing.await?;
    let worst = outcomes.iter().map(Outcome::exit_code).max();
    Ok(ExitCode::from(worst.unwrap_or_default()))
}

/// What the parent has to say.
pub(crate) struct Words {
    /// To each question.
    pub(crate) answer: String,
    /// To the task of that name, while it works.
    pub(crate) more: Option<(String, String)>,
}

/// Starts the tasks at once, sees them to their ends, and brings what is completed onto branches.
pub(crate) async fn lead(
    operator: &Operator,
    tasks: Vec<Task>,
    words: Words,
    say: UnboundedSender<String>,
) -> Result<Vec<Outcome>, cx_operator::Error> {
    let words = Arc::new(words);
    let mut runs = JoinSet::new();
    for mut task in tasks {
        task.policy = Some(Arc::new(NothingLeaves));
        // A question waits so long; the agent keeps its session, and the run's own deadlines are paused.
        let limit = Duration::from_secs(30 * 60);
        task.responders = vec![Arc::new(Recipe::Message { limit })];
        let name = task.name.to_string();
        let run = operator.start(task);
        runs.spawn(follow((name, run), Arc::clone(&words), say.clone()));
    }
    let mut outcomes = Vec::new();
    for outcome in runs.join_all().await {
        let outcome = outcome?;
        if outcome.status == Status::Completed && outcome.result_commit.is_some() {
            let mut request = ApplyRequest::default();
            request.branch = Some(format!("result-{}", outcome.task));
            let applied = operator.apply(&outcome.run_id, request).await?;
            let branch = applied.branch.unwrap_or_default();
            let _unheard = say.send(format!("{}: {} {branch}", outcome.task, applied.status));
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Follows one run to its end, and says what it is asked for.
async fn follow(
    (name, mut run): (String, Run),
    words: Arc<Words>,
    say: UnboundedSender<String>,
) -> Result<Outcome, cx_operator::Error> {
    let tell = |line: String| drop(say.send(format!("{name}: {line}")));
    while let Some(entry) = run.events().next().await {
        match entry.progress {
            Progress::Submitted { turn: 1, .. } => {
                if let Some((_, more)) = words.more.as_ref().filter(|(task, _)| *task == name) {
                    run.steer(more).await?;
                    tell("told more".to_owned());
                }
            }
            Progress::Decided {
                action: PolicyAction::Deny,
                command,
                rule,
                ..
            } => tell(format!("denied by `{rule}`: {command}")),
            Progress::Waiting { .. } => {
                if let Some(question) = run.question()? {
                    tell(format!("asks ({}): {}", question.kind, question.text));
                    let answer = decide(&question, &words.answer);
                    run.reply(&question.id, &answer).await?;
                    tell(format!("answered {}", question.id));
                }
            }
            _ => {}
        }
    }
    let outcome = run.outcome().await;
    tell(format!(
        "{}, {} files",
        outcome.status, outcome.files_changed
    ));
    Ok(outcome)
}

/// Rules of this program's own: nothing is pushed, and what needs leave is asked for.
struct NothingLeaves;

#[async_trait::async_trait]
impl Policy for NothingLeaves {
    fn name(&self) -> &str {
        "nothing-leaves"
    }

    async fn judge(&self, call: &Call, _context: &Context) -> Ruling {
        match &call.request.wish {
            Wish::Shell(script) if script.contains("git push") => {
                Ruling::deny("push", "Nothing is pushed here. Commit it, and say so.")
            }
            _ => Ruling::ask("rest"),
        }
    }
}

/// What a parent of your own decides: here commands that only look are permitted, and each question has the same answer.
fn decide(question: &OpenQuestion, answer: &str) -> Answer {
    if question.kind != "permission" {
        return Answer::Text(answer.to_owned());
    }
    let looks = ["ls", "cat", "git status", "git diff"];
    if looks.contains(&question.text.trim()) {
        Answer::Allow
    } else {
        Answer::Deny("Use the vendored copy.".to_owned())
    }
}
