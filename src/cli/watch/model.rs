//! What the screen shows, and what a key does to it: pure, without a terminal, a clock or a file.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::reporting::patch::Line;

/// A run, in words that are harmless on a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) run_id: String,
    pub(super) task: String,
    /// As `list` has it: `running`, `waiting`, `completed`, …
    pub(super) status: String,
    pub(super) phase: String,
    pub(super) executor: String,
    pub(super) repository: String,
    pub(super) turn: u32,
    /// When it began, in milliseconds since 1970.
    pub(super) began: Option<u64>,
    /// How long it took, once it has ended.
    pub(super) took: Option<u64>,
    pub(super) tokens: Option<u64>,
    /// Such as `0.125`, where prices are known.
    pub(super) cost: Option<String>,
    /// The last tool, or what was said last.
    pub(super) last: String,
    /// More of the last words, or why it ended.
    pub(super) words: String,
    pub(super) question: Option<Question>,
    /// Whether there is a patch.
    pub(super) has_diff: bool,
}

/// The question that a run waits with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) takes_text: bool,
    pub(super) takes_decision: bool,
}

impl Row {
    pub(super) fn is_live(&self) -> bool {
        matches!(self.status.as_str(), "running" | "waiting")
    }

    fn matches(&self, filter: &str) -> bool {
        let fields = [&self.task, &self.status, &self.executor, &self.repository];
        let filter = filter.to_lowercase();
        filter.split_whitespace().all(|word| {
            fields
                .iter()
                .any(|field| field.to_lowercase().contains(word))
        })
    }
}

/// The screen.
#[derive(Debug, Default)]
pub(super) struct Model {
    rows: Vec<Row>,
    /// The id of the chosen run.
    chosen: Option<String>,
    pub(super) filter: String,
    pub(super) mode: Mode,
    /// What came of the last action.
    pub(super) message: String,
    /// The first row that is shown, as the drawing left it.
    pub(super) top: usize,
}

/// What the keys go to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    #[default]
    List,
    Help,
    Filter,
    /// A line that is typed for a run's question, by the question's id.
    Typing {
        run: String,
        question: String,
        purpose: Purpose,
        text: String,
    },
    /// What was typed for is no longer open. The rest of it is no command.
    Late,
    /// Whether that run is to be ended.
    Abort(String),
    Diff(Diff),
}

/// What a typed line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Reply,
    Deny,
}

/// A diff that is read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Diff {
    pub(super) title: String,
    pub(super) lines: Vec<DiffLine>,
    pub(super) top: usize,
}

/// A line of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DiffLine {
    /// Of a file, or of what is left out.
    Heading(String),
    Line(Line),
}

/// What is to be done, by whoever has files and a terminal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Suspend,
    Attach(String),
    Reply(String, String, String),
    Allow(String, String),
    Deny(String, String, String),
    Abort(String),
    LoadDiff(String),
}

impl Model {
    /// The runs as they are now.
    pub(super) fn update(&mut self, rows: Vec<Row>) {
        let place = self.chosen_place();
        self.rows = rows;
        let is_there = |id: &String| self.rows.iter().any(|row| row.run_id == *id);
        if !self.chosen.as_ref().is_some_and(is_there) {
            let shown = self.shown();
            let next = shown.get(place.min(shown.len().saturating_sub(1)));
            self.chosen = next.map(|row| row.run_id.clone());
        }
        // A question that somebody else has answered takes no answer.
        if let Mode::Typing { run, question, .. } = &self.mode {
            let open = self.rows.iter().find(|row| row.run_id == *run);
            let open = open.and_then(|row| row.question.as_ref());
            if open.is_none_or(|open| open.id != *question) {
                self.mode = Mode::Late;
            }
        }
    }

    pub(super) fn all(&self) -> &[Row] {
        &self.rows
    }

    /// The runs that the filter lets through.
    pub(super) fn shown(&self) -> Vec<&Row> {
        let rows = self.rows.iter();
        rows.filter(|row| row.matches(&self.filter)).collect()
    }

    /// The place of the chosen run among those.
    pub(super) fn chosen_place(&self) -> usize {
        let chosen = |row: &&Row| Some(&row.run_id) == self.chosen.as_ref();
        self.shown().iter().position(chosen).unwrap_or(0)
    }

    pub(super) fn chosen(&self) -> Option<&Row> {
        self.shown().get(self.chosen_place()).copied()
    }

    fn choose(&mut self, place: usize) {
        let shown = self.shown();
        let row = shown.get(place.min(shown.len().saturating_sub(1)));
        self.chosen = row.map(|row| row.run_id.clone());
    }

    /// What a key means; the model is changed as far as that needs nobody else. `page`: the rows that are shown at once.
    pub(super) fn press(&mut self, key: KeyEvent, page: usize) -> Option<Action> {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Some(Action::Quit),
            KeyCode::Char('z') if is_control => return Some(Action::Suspend),
            _ => {}
        }
        match &mut self.mode {
            Mode::List => {
                self.message.clear();
                self.press_in_list(key.code, page)
            }
            Mode::Help => {
                self.mode = Mode::List;
                None
            }
            Mode::Filter => {
                match key.code {
                    KeyCode::Enter => self.mode = Mode::List,
                    KeyCode::Esc => {
                        self.filter.clear();
                        self.mode = Mode::List;
                    }
                    code => edit(&mut self.filter, code),
                }
                self.choose(self.chosen_place());
                None
            }
            Mode::Typing { .. } => self.press_while_typing(key.code),
            Mode::Late => {
                if matches!(key.code, KeyCode::Enter | KeyCode::Esc) {
                    self.mode = Mode::List;
                }
                None
            }
            Mode::Abort(run) => {
                let run = run.clone();
                self.mode = Mode::List;
                (key.code == KeyCode::Char('y')).then_some(Action::Abort(run))
            }
            Mode::Diff(diff) => {
                let last = diff.lines.len().saturating_sub(1);
                match key.code {
                    KeyCode::Char('q' | 'd') | KeyCode::Esc => self.mode = Mode::List,
                    code => diff.top = moved(diff.top, last, page, code).unwrap_or(diff.top),
                }
                None
            }
        }
    }

    /// Takes what is pasted where something is typed; elsewhere it is nothing. A text of several lines is one line.
    pub(super) fn paste(&mut self, pasted: &str) {
        let to = match &mut self.mode {
            Mode::Typing { text, .. } => text,
            Mode::Filter => &mut self.filter,
            _ => return,
        };
        let lines = pasted.split(['\r', '\n']).filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.collect();
        let shown = |c: &char| !c.is_control();
        to.extend(lines.join(" ").trim().chars().filter(shown));
        self.choose(self.chosen_place());
    }

    fn press_in_list(&mut self, code: KeyCode, page: usize) -> Option<Action> {
        let last = self.shown().len().saturating_sub(1);
        if let Some(place) = moved(self.chosen_place(), last, page, code) {
            self.choose(place);
            return None;
        }
        match code {
            KeyCode::Char('q') => return Some(Action::Quit),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Char('f' | '/') => self.mode = Mode::Filter,
            KeyCode::Esc => self.filter.clear(),
            _ => {}
        }
        let row = self.chosen()?.clone();
        let run = row.run_id.clone();
        match code {
            KeyCode::Enter | KeyCode::Char('a') => {
                if row.is_live() {
                    return Some(Action::Attach(run));
                }
                self.refuse("it does not run: there is no terminal to join");
            }
            KeyCode::Char('d') => return Some(Action::LoadDiff(run)),
            KeyCode::Char('x') if row.is_live() => self.mode = Mode::Abort(run),
            KeyCode::Char('x') => self.refuse("it does not run"),
            KeyCode::Char('r' | 'y' | 'n') => return self.answer(&row, code),
            _ => {}
        }
        None
    }

    fn answer(&mut self, row: &Row, code: KeyCode) -> Option<Action> {
        let run = row.run_id.clone();
        let Some(question) = &row.question else {
            self.refuse("it waits for no answer");
            return None;
        };
        let id = question.id.clone();
        let purpose = match code {
            KeyCode::Char('r') if question.takes_text => Purpose::Reply,
            KeyCode::Char('y') if question.takes_decision => return Some(Action::Allow(run, id)),
            KeyCode::Char('n') if question.takes_decision => Purpose::Deny,
            KeyCode::Char('r') => {
                self.refuse("it asks for an approval: y allows, n denies");
                return None;
            }
            _ => {
                self.refuse("it asks a question: r replies");
                return None;
            }
        };
        self.mode = Mode::Typing {
            run,
            question: id,
            purpose,
            text: String::new(),
        };
        None
    }

    fn press_while_typing(&mut self, code: KeyCode) -> Option<Action> {
        let Mode::Typing {
            run,
            question,
            purpose,
            text,
        } = &mut self.mode
        else {
            return None;
        };
        let action = match (code, *purpose) {
            (KeyCode::Esc, _) => None,
            (KeyCode::Enter, Purpose::Deny) => {
                Some(Action::Deny(run.clone(), question.clone(), text.clone()))
            }
            (KeyCode::Enter, Purpose::Reply) if !text.trim().is_empty() => {
                Some(Action::Reply(run.clone(), question.clone(), text.clone()))
            }
            (KeyCode::Enter, Purpose::Reply) => return None,
            (code, _) => {
                edit(text, code);
                return None;
            }
        };
        self.mode = Mode::List;
        action
    }

    fn refuse(&mut self, why: &str) {
        why.clone_into(&mut self.message);
    }
}

/// Where a key moves to from a place; `None` where it moves nothing.
fn moved(place: usize, last: usize, page: usize, code: KeyCode) -> Option<usize> {
    let page = page.max(1);
    Some(match code {
        KeyCode::Down | KeyCode::Char('j') => (place + 1).min(last),
        KeyCode::Up | KeyCode::Char('k') => place.saturating_sub(1),
        KeyCode::PageDown | KeyCode::Char(' ') => (place + page).min(last),
        KeyCode::PageUp | KeyCode::Char('b') => place.saturating_sub(page),
        KeyCode::Home | KeyCode::Char('g') => 0,
        KeyCode::End | KeyCode::Char('G') => last,
        _ => return None,
    })
}

fn edit(text: &mut String, code: KeyCode) {
    match code {
        KeyCode::Char(c) if !c.is_control() => text.push(c),
        KeyCode::Backspace => {
            text.pop();
        }
        _ => {}
    }
}
