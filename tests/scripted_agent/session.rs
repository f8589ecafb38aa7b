//! The agent: its session, its screen and what it does with input between turns.

use std::convert::Infallible;
use std::time::Instant;

use serde_json::{Value, json};

use crate::cli::Args;
use crate::composer::{Composer, Edit};
use crate::config::Config;
use crate::dialogs::{Dialog, Pressed};
use crate::end::End;
use crate::hooks::{self, Hook, Payload, Ran};
use crate::log::Log;
use crate::screen::{Bottom, Screen};
use crate::script::{self, Step};
use crate::terminal::{Input, Key, Terminal, write_all};
use crate::transcript::{Transcript, Turn};

/// Faults that a script arms.
#[derive(Default)]
pub(crate) struct Faults {
    /// So many Enters that would submit are ignored; the text stays.
    pub(crate) strand_enters: u32,
    /// The next paste is swallowed.
    pub(crate) drop_paste: bool,
}

/// The running program.
pub(crate) struct Agent {
    pub(crate) start: Instant,
    pub(crate) config: Config,
    pub(crate) hooks: Vec<Hook>,
    pub(crate) script: Option<Vec<Step>>,
    pub(crate) terminal: Terminal,
    pub(crate) screen: Screen,
    pub(crate) composer: Composer,
    pub(crate) transcript: Transcript,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    /// The turn that runs.
    pub(crate) turn: Option<Turn>,
    /// Whether a stop hook has continued the turn.
    pub(crate) stop_hook_active: bool,
    /// Why the session starts with its first prompt; `None` once it has.
    pub(crate) session_source: Option<&'static str>,
    /// Commands that never need asking again.
    pub(crate) allowed: Vec<String>,
    /// Whether the composer holds a bracketed paste.
    pub(crate) pasted: bool,
    /// Whether the startup is over and the status row names the model.
    pub(crate) ready: bool,
    /// The prompt of the command line.
    pub(crate) argument: Option<String>,
    /// Printed when the terminal has been given back.
    farewell: String,
}

impl Agent {
    /// Loads everything, refuses what is wrong with it, and only then takes the terminal over.
    pub(crate) fn open(args: &Args, log: Log) -> Result<Self, End> {
        let config = Config::load(args)?;
        let hooks = hooks::configured(&config)?;
        let script = script::load()?;
        let transcript = Transcript::new(&config);
        let terminal = Terminal::open()?;
        Ok(Self {
            start: Instant::now(),
            screen: Screen::new(terminal.rows, terminal.columns),
            config,
            hooks,
            script,
            terminal,
            composer: Composer::default(),
            transcript,
            log,
            faults: Faults::default(),
            turn: None,
            stop_hook_active: false,
            session_source: Some("startup"),
            allowed: Vec::new(),
            pasted: false,
            ready: false,
            argument: args.prompt.clone(),
            farewell: String::new(),
        })
    }

    /// Runs to the end and says which it is.
    pub(crate) fn run(&mut self) -> End {
        let Err(end) = self.interact();
        end
    }

    fn interact(&mut self) -> Result<Infallible, End> {
        self.draw()?;
        let follows_directives = match self.script.take() {
            Some(steps) => self.play(steps)?,
            None => true,
        };
        self.become_ready()?;
        if let Some(prompt) = self.argument.take() {
            self.submit(prompt.trim().to_owned())?;
        }
        loop {
            let prompt = self.next_prompt(None)?.unwrap_or_default();
            if !follows_directives {
                return Err(End::Unexpected {
                    expected: "no prompt after the script's end".to_owned(),
                    got: prompt,
                });
            }
            self.submit(prompt)?;
        }
    }

    /// Gives the terminal back and says goodbye.
    pub(crate) fn close(&self) {
        self.terminal.close();
        let _ = write_all(self.farewell.as_bytes());
    }

    /// The polite end: the session's last hook, then the words about resuming.
    pub(crate) fn quit(&mut self) -> Result<End, End> {
        self.transcript.start()?;
        self.run_hooks("SessionEnd", "", vec![("reason", json!("other"))])?;
        let usage = self
            .transcript
            .usage_line()
            .map(|line| line + "\n")
            .unwrap_or_default();
        let id = &self.transcript.session_id;
        self.farewell = format!("{usage}To continue this session, run:\n  codex resume {id}\n");
        Ok(End::Exit(0))
    }

    /// Waits for input until the deadline, records it, and lets the script's faults have it.
    pub(crate) fn next_input(&mut self, deadline: Option<Instant>) -> Result<Option<Input>, End> {
        while let Some(input) = self.terminal.next(deadline)? {
            match &input.key {
                Key::Paste(text) => {
                    let dropped = std::mem::take(&mut self.faults.drop_paste);
                    self.log
                        .write("paste", &json!({ "text": text, "dropped": dropped }));
                    if dropped {
                        continue;
                    }
                }
                key => self.log.write("key", &json!({ "key": key.to_string() })),
            }
            return Ok(Some(input));
        }
        Ok(None)
    }

    /// Waits until something is submitted in the composer; `None` when the deadline passes.
    pub(crate) fn next_prompt(&mut self, deadline: Option<Instant>) -> Result<Option<String>, End> {
        while let Some(input) = self.next_input(deadline)? {
            if let Some(prompt) = self.edit(&input)? {
                return Ok(Some(prompt));
            }
            self.draw()?;
        }
        Ok(None)
    }

    /// Applies input to the composer; returns what it submits. `/exit` and Ctrl-C in an empty composer end the program.
    pub(crate) fn edit(&mut self, input: &Input) -> Result<Option<String>, End> {
        self.pasted |= matches!(input.key, Key::Paste(_));
        if input.key == Key::Ctrl('c') {
            if self.composer.shown().is_empty() {
                return Err(self.quit()?);
            }
            self.composer.take();
        }
        if self.composer.apply(input) != Edit::Submit {
            return Ok(None);
        }
        if self.faults.strand_enters > 0 {
            self.faults.strand_enters -= 1;
            return Ok(None);
        }
        let text = self.composer.take();
        if text == "/exit" || text == "/quit" {
            return Err(self.quit()?);
        }
        Ok(Some(text))
    }

    /// Draws the conversation and the composer.
    pub(crate) fn draw(&self) -> Result<(), End> {
        let status = format!(
            "{} · {}",
            self.config.model_label(),
            self.config.cwd.display()
        );
        let working = self
            .turn
            .as_ref()
            .map(|turn| format!("Working ({}s • esc to interrupt)", turn.seconds()));
        self.screen.draw(&Bottom::Composer {
            text: self.composer.shown(),
            status: self.ready.then_some(status.as_str()),
            working: working.as_deref().filter(|_| self.screen.running.is_none()),
        })
    }

    /// Shows a dialog until an option is chosen; returns that, counted from 1. What is pasted meanwhile is lost.
    pub(crate) fn ask(&mut self, dialog: &mut Dialog) -> Result<usize, End> {
        self.show(dialog)?;
        loop {
            let Some(input) = self.next_input(None)? else {
                continue;
            };
            match dialog.press(&input.key) {
                Pressed::Ignored => {}
                Pressed::Moved => self.show(dialog)?,
                Pressed::Chose(option) => {
                    self.log.write(
                        "choice",
                        &json!({ "dialog": dialog.name, "option": option }),
                    );
                    return Ok(option);
                }
            }
        }
    }

    /// Draws a dialog: an approval below the conversation, the others instead of it.
    pub(crate) fn show(&self, dialog: &Dialog) -> Result<(), End> {
        self.log.write("screen", &json!({ "name": dialog.name }));
        if dialog.name == "approval" {
            return self.screen.draw(&Bottom::Inline(dialog));
        }
        self.screen.draw(&Bottom::Whole(dialog))
    }

    /// The payload of an event, with the fields that are its own.
    pub(crate) fn payload(&self, event: &str, own: Payload) -> Payload {
        let mut payload: Payload = vec![("session_id", json!(self.transcript.session_id))];
        if let Some(turn) = self.turn.as_ref().filter(|_| !event.starts_with("Session")) {
            payload.push(("turn_id", json!(turn.id)));
        }
        payload.push(("transcript_path", json!(self.transcript.path)));
        payload.push(("cwd", json!(self.config.cwd)));
        payload.push(("hook_event_name", json!(event)));
        if event != "SessionEnd" {
            payload.push(("model", json!(self.config.model)));
            payload.push(("permission_mode", json!(self.config.permission_mode())));
        }
        payload.extend(own);
        payload
    }

    /// Runs the trusted hooks of an event.
    pub(crate) fn run_hooks(
        &mut self,
        event: &str,
        subject: &str,
        own: Payload,
    ) -> Result<Vec<Ran>, End> {
        let payload = hooks::to_json(&self.payload(event, own));
        self.run_hooks_on(event, subject, payload.as_bytes())
    }

    /// Runs the trusted hooks of an event on any bytes.
    pub(crate) fn run_hooks_on(
        &mut self,
        event: &str,
        subject: &str,
        payload: &[u8],
    ) -> Result<Vec<Ran>, End> {
        let mut all = Vec::new();
        for hook in self
            .hooks
            .iter()
            .filter(|hook| hook.trusted && hook.matches(event, subject))
        {
            let ran = hook.run(payload, &self.config.cwd)?;
            let fields = json!({ "name": event, "command": ran.command, "status": ran.status, "stdout": ran.stdout });
            self.log.write("hook", &fields);
            if ran.status != Some(0) {
                let code = ran.status.map_or(Value::Null, Value::from);
                self.screen.said("Hook failed");
                self.screen.detail(&format!("hook exited with code {code}"));
            }
            all.push(ran);
        }
        Ok(all)
    }
}
