//! The screen: what was said so far, and below it the composer or a dialog.

use crate::dialogs::Dialog;
use crate::end::End;
use crate::terminal::write_all;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";
/// Synchronised output: a reader of the pane sees whole frames only.
const BEGIN: &str = "\x1b[?2026h\x1b[?25l\x1b[H";
const COMMIT: &str = "\x1b[?2026l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// What is below the conversation.
pub(crate) enum Bottom<'a> {
    /// The composer with its text; `working` is shown above it during a turn.
    Composer {
        text: &'a str,
        status: Option<&'a str>,
        working: Option<&'a str>,
    },
    /// A dialog below the conversation.
    Inline(&'a Dialog),
    /// A dialog that has the screen for itself.
    Whole(&'a Dialog),
    /// Any screen, as it is.
    Verbatim(&'a str),
}

/// The conversation and the size of the screen.
pub(crate) struct Screen {
    rows: usize,
    columns: usize,
    directory: Option<String>,
    conversation: Vec<String>,
    /// Lines of a command that runs; gone when it has run.
    pub(crate) running: Option<String>,
}

impl Screen {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            directory: None,
            conversation: Vec::new(),
            running: None,
        }
    }

    /// Replaces `loading` in the header by the directory.
    pub(crate) fn loaded(&mut self, directory: String) {
        self.directory = Some(directory);
    }

    /// Adds a prompt to the conversation.
    pub(crate) fn said_by_user(&mut self, text: &str) {
        self.conversation.push(String::new());
        self.conversation.push(String::new());
        self.add(&format!("{BOLD}{DIM}›{RESET} "), text);
        self.conversation.push(String::new());
    }

    /// Adds a paragraph: `•` and the text.
    pub(crate) fn said(&mut self, text: &str) {
        self.conversation.push(String::new());
        self.add(&format!("{DIM}•{RESET} "), text);
    }

    /// Adds a paragraph that begins with its own mark: `■`, `✔`, `✗`.
    pub(crate) fn marked(&mut self, mark: char, text: &str) {
        self.conversation.push(String::new());
        self.add(&format!("{mark} "), text);
    }

    /// Adds what belongs to the paragraph above.
    pub(crate) fn detail(&mut self, text: &str) {
        for (index, line) in text.lines().enumerate() {
            let lead = if index == 0 { "  └ " } else { "    " };
            self.conversation.push(format!("{DIM}{lead}{line}{RESET}"));
        }
    }

    /// Adds the last line of a turn.
    pub(crate) fn worked(&mut self, seconds: u64, clock: &str) {
        let time = if seconds == 0 {
            "<1s".to_owned()
        } else {
            format!("{seconds}s")
        };
        self.conversation.push(String::new());
        self.conversation
            .push(format!("{DIM}  Worked for {time} • {clock}{RESET}"));
    }

    /// Adds wrapped text; following lines are indented under the first.
    fn add(&mut self, lead: &str, text: &str) {
        for (index, line) in wrap(text, self.columns.saturating_sub(2))
            .into_iter()
            .enumerate()
        {
            self.conversation
                .push(format!("{}{line}", if index == 0 { lead } else { "  " }));
        }
    }

    /// Draws everything.
    pub(crate) fn draw(&self, bottom: &Bottom<'_>) -> Result<(), End> {
        let (mut lines, below) = match bottom {
            Bottom::Whole(dialog) => (Vec::new(), self.dialog(dialog)),
            Bottom::Verbatim(text) => (text.lines().map(str::to_owned).collect(), Vec::new()),
            Bottom::Inline(dialog) => (self.above(), self.dialog(dialog)),
            Bottom::Composer {
                text,
                status,
                working,
            } => (self.above(), self.composer(text, *status, *working)),
        };
        let whole = matches!(bottom, Bottom::Whole(_));
        let room = self.rows.saturating_sub(below.len());
        if lines.len() > room {
            lines.drain(..lines.len() - room);
        } else if !whole {
            lines.resize(room, String::new());
        }
        lines.extend(below);
        lines.resize(self.rows, String::new());
        let mut frame = String::from(BEGIN);
        frame += &lines
            .iter()
            .map(|line| format!("{line}{RESET}\x1b[K"))
            .collect::<Vec<_>>()
            .join("\r\n");
        frame += COMMIT;
        if matches!(bottom, Bottom::Composer { .. }) {
            frame += SHOW_CURSOR;
        }
        write_all(frame.as_bytes())
    }

    /// Header and conversation.
    fn above(&self) -> Vec<String> {
        let version = crate::cli::version();
        let directory = self.directory.as_deref().unwrap_or("loading");
        let mut lines = vec![
            String::new(),
            format!("  >_ {BOLD}OpenAI Codex{RESET}{DIM} (v{version})"),
            format!("     {DIM}{directory}"),
        ];
        lines.extend(self.conversation.iter().cloned());
        if let Some(command) = &self.running {
            lines.push(String::new());
            lines.push(format!("• {BOLD}Running{RESET} {command}"));
        }
        lines
    }

    /// The composer, the line of a running turn above it, the status rows below.
    fn composer(&self, text: &str, status: Option<&str>, working: Option<&str>) -> Vec<String> {
        let mut lines = vec![String::new()];
        if let Some(working) = working {
            lines.extend([format!("• {DIM}{working}{RESET}"), String::new()]);
        }
        lines.push(String::new());
        if text.is_empty() {
            lines.push(format!("{BOLD}›{RESET} {DIM}Ask Codex to do anything"));
        }
        let typed = if text.is_empty() {
            Vec::new()
        } else {
            wrap(text, self.columns.saturating_sub(2))
        };
        let shown = typed.len().saturating_sub(self.rows / 3);
        for (index, line) in typed.iter().enumerate().skip(shown) {
            lines.push(format!(
                "{}{line}",
                if index == shown {
                    "\x1b[1m›\x1b[0m "
                } else {
                    "  "
                }
            ));
        }
        lines.push(String::new());
        match status {
            Some(status) if text.is_empty() => lines.extend([
                format!("  {status}"),
                "  ← for agents · ? for shortcuts".to_owned(),
            ]),
            Some(status) => lines.extend([format!("  {status}"), String::new()]),
            None => lines.push("  ? for shortcuts".to_owned()),
        }
        lines
    }

    fn dialog(&self, dialog: &Dialog) -> Vec<String> {
        let signing_in = dialog.name == "sign-in";
        let mut lines = vec![String::new()];
        for (index, paragraph) in dialog.body.iter().enumerate() {
            let style = if index == 0 { BOLD } else { "" };
            lines.extend(
                wrap(paragraph, self.columns.saturating_sub(2))
                    .iter()
                    .map(|line| format!("  {style}{line}{RESET}")),
            );
        }
        lines.push(String::new());
        for (index, label) in dialog.labels().enumerate() {
            let focused = if signing_in { "> " } else { "\x1b[1;7m› " };
            lines.push(format!(
                "{}{label}",
                if index == dialog.focus { focused } else { "  " }
            ));
            if signing_in {
                lines.push(String::new());
            }
        }
        if !signing_in {
            lines.push(String::new());
        }
        lines.push(format!("  {DIM}{}", dialog.footer));
        lines
    }
}

/// Breaks text into lines of at most so many characters, between words where it can; tabs are four columns wide.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.replace('\t', "    ").split('\n') {
        let mut rest: Vec<char> = paragraph
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        while rest.len() > columns {
            let at = rest[..=columns]
                .iter()
                .rposition(|c| *c == ' ')
                .filter(|at| *at > 0);
            let tail = rest.split_off(at.unwrap_or(columns));
            lines.push(rest.into_iter().collect());
            rest = tail.into_iter().skip(usize::from(at.is_some())).collect();
        }
        lines.push(rest.into_iter().collect());
    }
    lines
}
