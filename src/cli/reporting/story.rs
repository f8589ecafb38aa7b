//! What happened in a run, on one line of time: from its events.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::agent::report::Usage;
use crate::operator::events::{Asked, Happening, RunEvent};
use crate::os::time::millis;

/// What happened in a run. Times are milliseconds after its first event.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// From the first event to the last.
    pub(super) length: u64,
    pub(super) turns: Vec<Turn>,
    /// From a question to its answer, or to the end.
    pub(super) waits: Vec<Span>,
    /// In their order.
    pub(super) beats: Vec<Beat>,
    /// The tokens of the session so far, at their times.
    pub(super) tokens: Vec<(u64, Usage)>,
    /// When a question was asked that is still open.
    asked: Option<u64>,
}

/// A part of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u64,
    pub(super) to: u64,
}

/// A turn.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) number: u32,
    pub(super) span: Span,
    /// How it ended, in a word; `None` where nothing tells.
    pub(super) end: Option<String>,
}

/// Something that happened.
#[derive(Debug)]
pub(super) struct Beat {
    pub(super) at: u64,
    pub(super) kind: Kind,
    /// In a line.
    pub(super) what: String,
    /// The words that belong to it; empty for none.
    pub(super) words: String,
    /// How long it took, up to `at`.
    pub(super) took: Option<u64>,
    /// It did not go well.
    pub(super) bad: bool,
}

/// The kinds of what happens, by who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A turn begins or ends.
    Turn,
    /// The agent used a tool.
    Tool,
    /// The agent said something.
    Said,
    /// Something is asked.
    Asked,
    /// Somebody answered.
    Answered,
    /// The run itself.
    Run,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Tool => "tool",
            Self::Said => "said",
            Self::Asked => "asked",
            Self::Answered => "answered",
            Self::Run => "run",
        }
    }
}

impl Story {
    pub(super) fn of(events: &[RunEvent]) -> Self {
        let mut story = Self::default();
        let moments = events.iter().map(|event| moment(&event.at));
        let began = moments.clone().flatten().next().unwrap_or(UNIX_EPOCH);
        let mut now = 0;
        for (event, at) in events.iter().zip(moments) {
            // A clock that was put back, or a line that has none: at the time of the one before.
            let after = at.and_then(|at| at.duration_since(began).ok());
            now = after.map_or(now, |after| millis(after).max(now));
            story.length = now;
            story.take(now, &event.event);
        }
        story.close_wait(now);
        for turn in story.turns.iter_mut().filter(|turn| turn.end.is_none()) {
            turn.span.to = now;
        }
        story
    }

    fn beat(&mut self, at: u64, kind: Kind, what: String) -> &mut Beat {
        self.beats.push(Beat {
            at,
            kind,
            what,
            words: String::new(),
            took: None,
            bad: false,
        });
        self.beats.last_mut().expect("it was just added")
    }

    fn close_wait(&mut self, to: u64) {
        if let Some(from) = self.asked.take() {
            self.waits.push(Span { from, to });
        }
    }

    fn take(&mut self, at: u64, event: &Happening) {
        match event {
            Happening::Launched { drive } => {
                let what = format!("the agent started, driven by {}", drive.as_str());
                self.beat(at, Kind::Run, what);
            }
            Happening::TakenOver { .. } => {
                self.beat(at, Kind::Run, "another operator took over".to_owned());
            }
            Happening::Dialog { name, key } => {
                self.beat(at, Kind::Run, format!("pressed {key} ({name})"));
            }
            Happening::Notice { text } => {
                self.beat(at, Kind::Run, format!("note: {text}"));
            }
            Happening::Submitted { turn, .. } => self.begin(at, *turn),
            Happening::TurnEnded {
                turn,
                verdict,
                message,
            } => {
                self.end(at, *turn, verdict);
                let beat = self.beat(at, Kind::Turn, format!("turn {turn} ended: {verdict}"));
                beat.words = message.clone().unwrap_or_default();
            }
            Happening::TurnFailed { turn, message } => {
                self.end(at, *turn, "failed");
                let beat = self.beat(at, Kind::Turn, format!("turn {turn} failed"));
                (beat.words, beat.bad) = (message.clone(), true);
            }
            Happening::Message { text, .. } => {
                let beat = self.beat(at, Kind::Said, "the agent said".to_owned());
                beat.words.clone_from(text);
            }
            Happening::Tokens { usage, .. } => self.tokens.push((at, *usage)),
            Happening::Tool { .. } => self.tool(at, event),
            other => self.exchange(at, other),
        }
    }

    fn begin(&mut self, at: u64, number: u32) {
        self.close_wait(at);
        self.turns.push(Turn {
            number,
            span: Span { from: at, to: at },
            end: None,
        });
        self.beat(at, Kind::Turn, format!("turn {number} began"));
    }

    fn end(&mut self, at: u64, number: u32, how: &str) {
        let turns = self.turns.iter_mut().rev();
        if let Some(turn) = turns.into_iter().find(|turn| turn.number == number) {
            (turn.span.to, turn.end) = (at, Some(how.to_owned()));
        }
    }

    fn tool(&mut self, at: u64, event: &Happening) {
        let Happening::Tool {
            name,
            command,
            files,
            exit_code,
            duration_ms,
            outcome,
            ..
        } = event
        else {
            return;
        };
        let how = match exit_code {
            Some(code) => format!("exit {code}"),
            None => outcome.clone(),
        };
        let mut words = String::new();
        let what = match (command, files.as_slice()) {
            (Some(command), _) => {
                let mut lines = command.lines();
                let first = lines.next().unwrap_or("").to_owned();
                if lines.next().is_some() {
                    words.clone_from(command);
                }
                format!("ran {first} ({how})")
            }
            (None, []) => format!("called {name} ({how})"),
            (None, [file]) => format!("changed {file} ({how})"),
            (None, files) => {
                words = files.join("\n");
                format!("changed {} files ({how})", files.len())
            }
        };
        let beat = self.beat(at, Kind::Tool, what);
        (beat.words, beat.took) = (words, *duration_ms);
        beat.bad = exit_code.map_or_else(
            || matches!(outcome.as_str(), "failed" | "declined"),
            |code| code != 0,
        );
    }

    /// Questions, answers, messages, decisions, the end.
    fn exchange(&mut self, at: u64, event: &Happening) {
        match event {
            Happening::Question(asked) => self.ask(at, "the agent asks", asked),
            Happening::Permission(asked) => self.ask(at, "the agent asks for an approval", asked),
            Happening::Reply { by, reply, .. } => {
                self.close_wait(at);
                let beat = self.beat(at, Kind::Answered, format!("{by} replied"));
                beat.words.clone_from(reply);
            }
            Happening::Sent { text, .. } => {
                let beat = self.beat(at, Kind::Answered, "a message to the agent".to_owned());
                beat.words.clone_from(text);
            }
            Happening::Decided {
                command,
                action,
                rule,
                ..
            } => {
                let said = action.as_str();
                let what = format!("the policy says {said} (rule: {rule})");
                let bad = said == "deny";
                let beat = self.beat(at, Kind::Answered, what);
                (beat.words, beat.bad) = (command.clone(), bad);
            }
            Happening::Collecting { .. } => {
                self.close_wait(at);
                self.beat(at, Kind::Run, "the work is collected".to_owned());
            }
            Happening::Finished { status, .. } => {
                self.beat(at, Kind::Run, format!("the end: {}", status.as_str()));
            }
            _ => {}
        }
    }

    fn ask(&mut self, at: u64, what: &str, asked: &Asked) {
        self.asked = self.asked.or(Some(at));
        // A turn that ends with a question: its words are told once.
        if let Some(last) = self.beats.last_mut()
            && last.words == asked.text
        {
            last.words.clear();
        }
        let beat = self.beat(at, Kind::Asked, what.to_owned());
        beat.words.clone_from(&asked.text);
        for option in &asked.options {
            beat.words.push_str(&format!("\n* {}", option.label));
        }
        if let Some(reason) = &asked.reason {
            beat.words.push_str(&format!("\nreason: {reason}"));
        }
    }
}

fn moment(at: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(at).ok()
}

/// A place on the line of time: `0.4 s`, `3:07`, `1:02:09`.
pub(super) fn clock(ms: u64) -> String {
    let seconds = Duration::from_millis(ms).as_secs();
    match seconds {
        0..10 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!(
            "{}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        ),
    }
}
