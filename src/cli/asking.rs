//! Asking the person at the terminal what the agent asks.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use rustix::termios::{QueueSelector, tcflush};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::operator::listing::find_worktree;
use crate::record::RunDir;
use crate::record::inbox::OpenQuestion;
use crate::record::journal::{Entry, Progress};
use crate::task::prompt::Prompt;
use crate::task::question::Answer;
use crate::worktree::Glance;

use super::look::{self, Look};
use super::records::draw_patch;
use super::report::files;
use super::status::describe_question;
use super::status_line::hide;
use super::{advice, safe, tell};

mod editor;

/// The person at the terminal, who is asked while the run waits for an answer.
#[derive(Default)]
pub(super) struct Person {
    /// What is typed, line by line; none where nothing was asked yet.
    typing: Option<Typing>,
    asked: Option<(RunDir, OpenQuestion)>,
}

/// Whether there is somebody at the terminal to be asked.
pub(super) fn is_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

impl Person {
    /// `None` where nobody is at the terminal.
    pub(super) fn at_terminal() -> Option<Self> {
        is_there().then(Self::default)
    }

    /// Whether something is asked at this moment.
    pub(super) fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// The next line that answers; never where nothing is asked.
    pub(super) async fn line(person: &mut Option<Self>) -> String {
        let asked = person.as_mut().filter(|person| person.asked.is_some());
        match asked.and_then(|person| person.typing.as_mut()) {
            Some(typing) => typing.line().await,
            None => std::future::pending().await,
        }
    }

    /// Asks, or asks no longer, as the run goes on. `run`: its directory, once it has one.
    pub(super) fn take_note(&mut self, entry: &Entry, run: Option<&RunDir>) {
        match &entry.progress {
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
        hide();
        tell(&safe(describe_question(&question).trim_end()));
        let glance = place_of(&run).and_then(|(path, base)| Glance::at(&path, &base));
        if let Some(glance) = glance.filter(|glance| glance.files > 0) {
            let (count, look) = (files(glance.files), Look::of_stderr());
            let added = look.paint(look::ADDED, &format!("+{}", glance.insertions));
            let removed = look.paint(look::REMOVED, &format!("-{}", glance.deletions));
            tell(&format!("  so far: {count}, {added} {removed}"));
        }
        tell(&usage_of(&question));
        self.asked = Some((run, question));
        // What was typed before the question is no answer to it.
        let _no_terminal = tcflush(io::stdin(), QueueSelector::IFlush);
        self.typing.get_or_insert_with(Typing::new).begin_anew();
    }

    /// Does what was typed: sends an answer, or lets the person look and write first.
    pub(super) fn answer(&mut self, line: &str) {
        let Some((run, question)) = &self.asked else {
            return;
        };
        let mut parsed = parse(question, line);
        if parsed == Parsed::Edit {
            parsed = match editor::write(run, &describe_question(question)) {
                Ok(text) => parse_text(question, &text),
                Err(why) => {
                    tell(&format!("note: {}", safe(&why)));
                    Parsed::Nothing
                }
            };
        }
        let sent = match parsed {
            Parsed::Nothing | Parsed::Edit => return tell(&usage_of(question)),
            Parsed::Diff => {
                show_diff(run);
                return tell(&usage_of(question));
            }
            Parsed::Later => {
                let reply = advice(&format!("cx-operator reply {}", task_of(run)));
                tell(&format!("  it waits: `{reply}` answers it from anywhere"));
                self.asked = None;
                return;
            }
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

fn task_of(run: &RunDir) -> &str {
    run.task().unwrap_or(run.name())
}

/// The run's worktree, and the commit that it started from.
fn place_of(run: &RunDir) -> Option<(std::path::PathBuf, String)> {
    find_worktree(run).ok().flatten()
}

fn show_diff(run: &RunDir) {
    let patch = place_of(run).and_then(|(path, base)| Glance::patch(&path, &base));
    match patch.filter(|patch| !patch.is_empty()) {
        Some(patch) => {
            // stdout may be a pipe that is to get the result alone.
            for line in draw_patch(&patch, &Look::of_stderr()).lines() {
                tell(line);
            }
        }
        None => tell("  nothing has changed so far"),
    }
}

/// Lines that are typed. None is read while none is wanted: an editor has the terminal to itself.
struct Typing {
    wanted: Sender<()>,
    lines: UnboundedReceiver<String>,
    /// Whether one is being read.
    is_read: bool,
}

impl Typing {
    /// The thread that reads ends with the process.
    fn new() -> Self {
        let (wanted, wishes) = channel();
        let (sender, lines) = unbounded_channel();
        let read = move || {
            for () in wishes {
                let mut line = String::new();
                match io::stdin().read_line(&mut line) {
                    Ok(length) if length > 0 && sender.send(line).is_ok() => {}
                    _ => return,
                }
            }
        };
        if let Err(error) = thread::Builder::new().spawn(read) {
            tracing::warn!(%error, "the terminal can't be read");
        }
        Self {
            wanted,
            lines,
            is_read: false,
        }
    }

    fn begin_anew(&mut self) {
        while self.lines.try_recv().is_ok() {
            self.is_read = false;
        }
    }

    async fn line(&mut self) -> String {
        if !self.is_read {
            self.is_read = self.wanted.send(()).is_ok();
        }
        match self.lines.recv().await {
            Some(line) => {
                self.is_read = false;
                line
            }
            // The terminal is closed: others may answer.
            None => std::future::pending().await,
        }
    }
}

fn takes(question: &OpenQuestion, kind: &str) -> bool {
    question.accepts.iter().any(|accepted| accepted == kind)
}

/// What can be typed, a line for each.
fn usage_of(question: &OpenQuestion) -> String {
    let (text, decides) = (takes(question, "text"), takes(question, "allow"));
    let mut lines = Vec::new();
    if text {
        lines.push("type an answer in a line, or one of");
        lines.push("  /edit         write the answer in your editor");
    } else {
        lines.push("type one of");
    }
    if decides {
        lines.push("  /allow        allow it this time");
        lines.push("  /deny [WHY]   refuse it, and say why");
    }
    lines.push("  /diff         see what has changed so far");
    lines.push("  /later        let it wait for `cx-operator reply`");
    lines.push("  /leave        end the run with its question");
    let lines: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
    lines.join("\n")
}

/// What a line means.
#[derive(Debug, PartialEq)]
enum Parsed {
    Nothing,
    Edit,
    Diff,
    Later,
    Leave,
    Answer(Answer),
}

fn parse(question: &OpenQuestion, line: &str) -> Parsed {
    let line = line.trim();
    let decides = takes(question, "allow");
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match word {
        "/leave" if rest.is_empty() => return Parsed::Leave,
        "/later" if rest.is_empty() => return Parsed::Later,
        "/diff" if rest.is_empty() => return Parsed::Diff,
        "/edit" if rest.is_empty() && takes(question, "text") => return Parsed::Edit,
        "/allow" if decides && rest.is_empty() => return Parsed::Answer(Answer::Allow),
        "/deny" if decides => return Parsed::Answer(Answer::Deny(rest.trim().to_owned())),
        _ => {}
    }
    parse_text(question, line)
}

/// A text that is an answer, whatever it begins with.
fn parse_text(question: &OpenQuestion, text: &str) -> Parsed {
    if !takes(question, "text") {
        return Parsed::Nothing;
    }
    match Prompt::parse(text.trim().as_bytes()) {
        Ok(text) => Parsed::Answer(Answer::Text(text.as_str().to_owned())),
        Err(_) => Parsed::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::question::{Question, QuestionKind};

    #[test]
    fn the_question_as_a_person_sees_it() {
        let of = |kind, text: &str| {
            let question = Question {
                reason: Some("needs the network".to_owned()),
                ..Question::new(kind, text)
            };
            let open = OpenQuestion::new("1-1", &question, None);
            format!("{}{}\n", describe_question(&open), usage_of(&open))
        };
        let screens = [
            of(QuestionKind::Question, "Tabs or spaces?\nBoth occur."),
            of(QuestionKind::Permission, "npm install && npm test"),
            of(QuestionKind::Request, "May I rename it?"),
        ];
        // Words of others, and lines that are short: the same in each width, without colours and characters beyond ASCII.
        let screens = screens.join("\n");
        assert!(screens.is_ascii() && screens.lines().all(|line| line.len() < 70));
        insta::assert_snapshot!("questions", screens);
    }

    #[test]
    fn a_line_is_an_answer_only_where_the_question_takes_it() {
        let of = |kind| OpenQuestion::new("1-1", &Question::new(kind, "?"), None);
        let text = |text: &str| Parsed::Answer(Answer::Text(text.to_owned()));
        let question = of(QuestionKind::Question);
        assert_eq!(parse(&question, " Tabs. "), text("Tabs."));
        assert_eq!(parse(&question, ""), Parsed::Nothing);
        assert_eq!(parse(&question, "/allow"), text("/allow"));
        assert_eq!(parse(&question, "/leave"), Parsed::Leave);
        assert_eq!(parse(&question, "/later "), Parsed::Later);
        assert_eq!(parse(&question, "/diff"), Parsed::Diff);
        assert_eq!(parse(&question, "/diff of what?"), text("/diff of what?"));
        assert_eq!(parse(&question, "/edit"), Parsed::Edit);
        let permission = of(QuestionKind::Permission);
        assert_eq!(parse(&permission, "yes"), Parsed::Nothing);
        assert_eq!(parse(&permission, "/edit"), Parsed::Nothing);
        let allowed = Parsed::Answer(Answer::Allow);
        assert_eq!(parse(&permission, "/allow"), allowed);
        let denied = Parsed::Answer(Answer::Deny("use the copy".to_owned()));
        assert_eq!(parse(&permission, "/deny use the copy"), denied);
        let request = of(QuestionKind::Request);
        assert_eq!(parse(&request, "/allow"), allowed);
        assert_eq!(parse(&request, "only there"), text("only there"));
    }
}
