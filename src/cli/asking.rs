//! Asking the person at the terminal what the agent asks.

use std::io::{self, BufRead, IsTerminal};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use rustix::termios::{QueueSelector, tcflush};

use crate::record::RunDir;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{Entry, Progress, Step};
use crate::task::prompt::Prompt;
use crate::task::question::Answer;
use crate::worktree::Glance;

use super::status::describe_question;
use super::{safe, tell};

/// The person at the terminal, who is asked while the run waits for an answer.
pub(super) struct Person {
    /// What is typed, line by line; none where nothing was asked yet.
    lines: Option<UnboundedReceiver<String>>,
    asked: Option<(RunDir, OpenQuestion)>,
    base: Option<String>,
    worktree: Option<std::path::PathBuf>,
}

/// Whether there is somebody at the terminal to be asked.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

impl Person {
    /// `None` where nobody is at the terminal.
    pub(super) fn at_terminal() -> Option<Self> {
        is_there().then_some(Self {
            lines: None,
            asked: None,
            base: None,
            worktree: None,
        })
    }

    /// The next line that answers; never where nothing is asked.
    pub(super) async fn line(person: &mut Option<Self>) -> String {
        let asked = person.as_mut().filter(|person| person.asked.is_some());
        let lines = asked.and_then(|person| person.lines.as_mut());
        match lines {
            Some(lines) => match lines.recv().await {
                Some(line) => line,
                // The terminal is closed: others may answer.
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    /// Asks, or asks no longer, as the run goes on. `run`: its directory, once it has one.
    pub(super) fn take_note(&mut self, entry: &Entry, run: Option<&RunDir>) {
        match &entry.progress {
            Progress::Started { base_commit, .. } => self.base = Some(base_commit.clone()),
            Progress::Done(Step::Worktree { path, .. }) => self.worktree = Some(path.clone()),
            Progress::Waiting { .. } => {
                let Some(run) = run else { return };
                if let Ok(Some(question)) = run.load_question() {
                    self.ask(run.clone(), question);
                }
            }
            Progress::Replied { .. } | Progress::Submitted { .. } | Progress::Ended { .. } => {
                self.asked = None;
            }
            _ => {}
        }
    }

    fn ask(&mut self, run: RunDir, question: OpenQuestion) {
        tell(&safe(describe_question(&question).trim_end()));
        let glance = self.worktree.as_deref().zip(self.base.as_deref());
        if let Some(glance) = glance.and_then(|(path, base)| Glance::at(path, base)) {
            tell(&format!(
                "  so far: {} files, +{} -{}",
                glance.files, glance.insertions, glance.deletions
            ));
        }
        tell(&format!("  {}", usage_of(&question)));
        self.asked = Some((run, question));
        // What was typed before the question is no answer to it.
        let _no_terminal = tcflush(io::stdin(), QueueSelector::IFlush);
        match &mut self.lines {
            Some(lines) => while lines.try_recv().is_ok() {},
            None => self.lines = Some(read_lines()),
        }
    }

    /// Sends what was typed, if it is an answer.
    pub(super) fn answer(&mut self, line: &str) {
        let Some((run, question)) = &self.asked else {
            return;
        };
        let sent = match parse(question, line) {
            Parsed::Nothing => return tell(&format!("  {}", usage_of(question))),
            Parsed::Leave => run.leave_question(&question.id),
            Parsed::Answer(answer) => run.send_answer(&question.id, &answer),
        };
        if let Err(error) = sent {
            tell(&format!(
                "note: {}",
                safe(&crate::Error::from(error).message())
            ));
        }
        self.asked = None;
    }
}

/// The lines that are typed from now on. The thread ends with the process.
fn read_lines() -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    let read = move || {
        for line in io::stdin().lock().lines() {
            match line {
                Ok(line) => {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    };
    let started = thread::Builder::new().spawn(read);
    if let Err(error) = started {
        tracing::warn!(%error, "the terminal can't be read");
    }
    receiver
}

fn takes(question: &OpenQuestion, kind: &str) -> bool {
    question.accepts.iter().any(|accepted| accepted == kind)
}

fn usage_of(question: &OpenQuestion) -> &'static str {
    match (takes(question, "allow"), takes(question, "text")) {
        (true, true) => "type an answer, `/allow`, `/deny [why]`, or `/leave` to end the run",
        (true, false) => "type `/allow`, `/deny [why]`, or `/leave` to end the run",
        _ => "type an answer, or `/leave` to end the run",
    }
}

/// What a line means.
#[derive(Debug, PartialEq)]
enum Parsed {
    Nothing,
    Leave,
    Answer(Answer),
}

fn parse(question: &OpenQuestion, line: &str) -> Parsed {
    let line = line.trim();
    let decides = takes(question, "allow");
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word {
        "/leave" if rest.is_empty() => return Parsed::Leave,
        "/allow" if decides && rest.is_empty() => return Parsed::Answer(Answer::Allow),
        "/deny" if decides => return Parsed::Answer(Answer::Deny(rest.trim().to_owned())),
        _ => {}
    }
    if !takes(question, "text") {
        return Parsed::Nothing;
    }
    match Prompt::parse(line.as_bytes()) {
        Ok(text) => Parsed::Answer(Answer::Text(text.as_str().to_owned())),
        Err(_) => Parsed::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::question::{Question, QuestionKind};

    #[test]
    fn a_line_is_an_answer_only_where_the_question_takes_it() {
        let of = |kind| OpenQuestion::new("1-1", &Question::new(kind, "?"), None);
        let text = |text: &str| Parsed::Answer(Answer::Text(text.to_owned()));
        let question = of(QuestionKind::Question);
        assert_eq!(parse(&question, " Tabs. "), text("Tabs."));
        assert_eq!(parse(&question, ""), Parsed::Nothing);
        assert_eq!(parse(&question, "/allow"), text("/allow"));
        assert_eq!(parse(&question, "/leave"), Parsed::Leave);
        let permission = of(QuestionKind::Permission);
        assert_eq!(parse(&permission, "yes"), Parsed::Nothing);
        let allowed = Parsed::Answer(Answer::Allow);
        assert_eq!(parse(&permission, "/allow"), allowed);
        let denied = Parsed::Answer(Answer::Deny("use the copy".to_owned()));
        assert_eq!(parse(&permission, "/deny use the copy"), denied);
        let request = of(QuestionKind::Request);
        assert_eq!(parse(&request, "/allow"), allowed);
        assert_eq!(parse(&request, "only there"), text("only there"));
    }
}
