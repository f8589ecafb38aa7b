//! A turn: from the prompt to the message, the failure or the interruption that ends it.

use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::directives::{self, Action};
use crate::end::End;
use crate::session::Agent;
use crate::terminal::Key;
use crate::transcript::{Transcript, Turn};

/// How long codex retries a request that failed with 5xx, with one retry allowed.
const RECONNECTING: Duration = Duration::from_millis(600);

/// How often a turn looks for a file that the model awaits.
const LOOK: Duration = Duration::from_millis(10);

/// How a part of a turn went.
pub(crate) enum Outcome {
    /// The model's message.
    Says(String),
    /// The user said something more, which the model answers in the same turn.
    Steered(String),
    /// The turn has ended otherwise.
    Over,
}

/// How a wait within a turn went.
pub(crate) enum Waited {
    Done,
    Interrupted,
    Steered(String),
}

impl Agent {
    /// Runs a whole turn on a prompt.
    pub(crate) fn submit(&mut self, prompt: String) -> Result<(), End> {
        self.begin_turn(&prompt)?;
        let mut text = prompt;
        loop {
            match self.respond(&text)? {
                Outcome::Says(message) => match self.finish_turn(&message)? {
                    Some(more) => text = more,
                    None => return Ok(()),
                },
                Outcome::Steered(more) => text = more,
                Outcome::Over => return Ok(()),
            }
        }
    }

    /// Begins a turn: the transcript, the hooks of the session's start and of the prompt, the prompt.
    pub(crate) fn begin_turn(&mut self, prompt: &str) -> Result<(), End> {
        self.pasted = false;
        self.stop_hook_active = false;
        self.log.write("prompt", &json!({ "text": prompt }));
        self.screen.said_by_user(prompt);
        let turn = Turn::new();
        self.transcript.task_started(&turn)?;
        self.turn = Some(turn);
        self.draw()?;
        if let Some(source) = self.session_source.take() {
            self.run_hooks("SessionStart", source, vec![("source", json!(source))])?;
        }
        self.announce(prompt)
    }

    /// Hands a prompt to its hooks and to the model.
    fn announce(&mut self, prompt: &str) -> Result<(), End> {
        self.run_hooks("UserPromptSubmit", "", vec![("prompt", json!(prompt))])?;
        let (transcript, turn) = self.running()?;
        transcript.user_message(turn, prompt)
    }

    /// The running turn and its transcript.
    pub(crate) fn running(&mut self) -> Result<(&mut Transcript, &mut Turn), End> {
        match &mut self.turn {
            Some(turn) => Ok((&mut self.transcript, turn)),
            None => Err(End::Unexpected {
                expected: "a running turn".to_owned(),
                got: "none".to_owned(),
            }),
        }
    }

    /// Does what the model answers to a text.
    fn respond(&mut self, text: &str) -> Result<Outcome, End> {
        let answer = directives::answer(text);
        loop {
            let held = answer.after.as_ref().is_some_and(|path| !path.exists());
            let time = if held { LOOK } else { answer.delay };
            match self.wait(Instant::now() + time)? {
                Waited::Done if held => {}
                Waited::Done => break,
                Waited::Interrupted => return self.abort_turn().map(|()| Outcome::Over),
                Waited::Steered(more) => return Ok(Outcome::Steered(more)),
            }
        }
        match answer.action {
            Action::Say(message) => Ok(Outcome::Says(message)),
            Action::Fail(status) => self.fail_turn(status).map(|()| Outcome::Over),
            Action::Shell { command, escalated } => self.shell_tool(&command, escalated),
            Action::Patch(patch) => self.patch_tool(&patch),
        }
    }

    /// Waits within a turn; Esc and Ctrl-C interrupt, a submitted text steers.
    pub(crate) fn wait(&mut self, until: Instant) -> Result<Waited, End> {
        loop {
            let tick = until.min(Instant::now() + Duration::from_secs(1));
            let Some(input) = self.next_input(Some(tick))? else {
                if Instant::now() >= until {
                    return Ok(Waited::Done);
                }
                self.draw()?;
                continue;
            };
            if matches!(input.key, Key::Esc | Key::Ctrl('c')) {
                return Ok(Waited::Interrupted);
            }
            if let Some(more) = self.edit(&input)? {
                self.steer(&more)?;
                return Ok(Waited::Steered(more));
            }
            self.draw()?;
        }
    }

    /// Adds a prompt to the running turn.
    pub(crate) fn steer(&mut self, more: &str) -> Result<(), End> {
        self.log
            .write("prompt", &json!({ "text": more, "steers": true }));
        self.screen.said_by_user(more);
        self.announce(more)
    }

    /// Says the last message and asks the stop hooks; the text is what continues the turn, if one of them does.
    pub(crate) fn finish_turn(&mut self, message: &str) -> Result<Option<String>, End> {
        let (transcript, turn) = self.running()?;
        transcript.agent_message(turn, message)?;
        self.screen.said(message);
        let own = vec![
            ("stop_hook_active", json!(self.stop_hook_active)),
            ("last_assistant_message", json!(message)),
        ];
        let ran = self.run_hooks("Stop", "", own)?;
        if let Some(reason) = ran.iter().find_map(crate::hooks::Ran::block_reason) {
            self.stop_hook_active = true;
            self.screen.said("Blocked by hook");
            self.screen.detail(&reason);
            self.draw()?;
            let escaped = reason
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            return Ok(Some(format!("<hook_prompt>{escaped}</hook_prompt>")));
        }
        self.complete(Ok(message))?;
        Ok(None)
    }

    /// Ends the turn by the failure of a request; no hook hears of it.
    pub(crate) fn fail_turn(&mut self, status: u16) -> Result<(), End> {
        let (message, info) = directives::failure(status, &self.config.responses_url());
        if status >= 500 {
            match self.wait(Instant::now() + RECONNECTING)? {
                Waited::Interrupted => return self.abort_turn(),
                Waited::Done | Waited::Steered(_) => {}
            }
        }
        self.screen.marked('■', &message);
        self.complete(Err(json!({ "message": message, "codex_error_info": info })))
    }

    /// Writes the end of the turn and shows the composer again.
    fn complete(&mut self, end: Result<&str, serde_json::Value>) -> Result<(), End> {
        let worked = end.is_ok();
        let (transcript, turn) = self.running()?;
        transcript.task_complete(turn, end)?;
        let seconds = turn.seconds();
        if worked {
            let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            self.screen.worked(seconds, &now[11..16]);
        }
        self.turn = None;
        self.draw()
    }

    /// Ends the turn as Esc does.
    pub(crate) fn abort_turn(&mut self) -> Result<(), End> {
        let (transcript, turn) = self.running()?;
        transcript.interruption(turn)?;
        transcript.turn_aborted(turn)?;
        self.screen.running = None;
        self.screen.marked(
            '■',
            "Conversation interrupted - use /feedback if something went wrong",
        );
        let payload = crate::hooks::to_json(&self.payload("Interrupt", Vec::new()));
        self.turn = None;
        self.draw()?;
        self.run_hooks_on("Interrupt", "", payload.as_bytes())
            .map(drop)
    }
}
