//! Playing a script.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::dialogs::{Dialog, Pressed};
use crate::end::End;
use crate::hooks::Payload;
use crate::screen::Bottom;
use crate::script::{Shown, Step};
use crate::session::Agent;
use crate::transcript::{Transcript, uuid_v7};
use crate::turn::Outcome;

/// How long a script waits for a prompt, a file, a key.
const LIMIT: Duration = Duration::from_secs(30);
/// How often the existence of a file is looked at.
const LOOK: Duration = Duration::from_millis(5);
/// How often an agent at work draws: its bytes are then as many as those of codex 0.130.0, 6 KB a second.
const DRAW: Duration = Duration::from_millis(200);
/// How long it may work.
const WORK: Duration = Duration::from_secs(600);

impl Agent {
    /// Runs the instructions; true if the directives decide from here on.
    pub(crate) fn play(&mut self, steps: Vec<Step>) -> Result<bool, End> {
        let mut open = None;
        for step in steps {
            match step {
                Step::Show(shown) => open = self.show_named(shown)?,
                Step::ExpectKeys(keys) => {
                    if self.expect_keys(&keys, open.as_mut())? {
                        open = None;
                        self.draw()?;
                    }
                }
                Step::ExpectPrompt(text) => {
                    self.finish_startup(open.take())?;
                    self.expect_prompt(text.as_deref())?;
                }
                Step::Default => {
                    self.finish_startup(open.take())?;
                    return Ok(true);
                }
                other => self.act(other)?,
            }
        }
        self.finish_startup(open)?;
        Ok(false)
    }

    /// Lets an open dialog be answered as the real one, then ends the startup.
    fn finish_startup(&mut self, open: Option<Dialog>) -> Result<(), End> {
        if let Some(dialog) = open {
            self.answer(dialog)?;
        }
        self.become_ready()
    }

    /// Runs an instruction that doesn't concern dialogs or prompts.
    fn act(&mut self, step: Step) -> Result<(), End> {
        match step {
            Step::AwaitFile(path) => self.await_file(&path),
            Step::StrandEnter(count) => {
                self.faults.strand_enters = count;
                Ok(())
            }
            Step::DropPaste => {
                self.faults.drop_paste = true;
                Ok(())
            }
            Step::Hook { event, overrides } => self.play_hook(event, overrides),
            Step::HookRaw { event, text } => {
                self.run_hooks_on(event, "", text.as_bytes()).map(drop)
            }
            Step::SessionNew => {
                self.transcript = Transcript::new(&self.config);
                self.session_source = Some("clear");
                Ok(())
            }
            Step::ForeignStop => self.foreign_stop(),
            Step::Transcript { kind, payload } => self.transcript.append(&kind, payload),
            Step::Say(text) => self.finish_turn(&text).map(drop),
            Step::Fail(status) => self.fail_turn(status),
            Step::Abort => self.abort_turn(),
            Step::AskPermission(command) => {
                self.running()?;
                match self.shell_tool(&command, true)? {
                    Outcome::Says(_) | Outcome::Steered(_) | Outcome::Over => Ok(()),
                }
            }
            Step::Write { path, text } => std::fs::write(&path, text).map_err(End::io(&path)),
            Step::Exec(command) => self.exec(command),
            Step::Hang => loop {
                self.next_input(None)?;
            },
            Step::Die(signal) => die(signal),
            Step::Exit(status) => Err(End::Exit(status)),
            Step::Sleep(time) => {
                std::thread::sleep(time);
                Ok(())
            }
            Step::WorkUntil(path) => self.work_until(&path),
            Step::Show(_) | Step::ExpectKeys(_) | Step::ExpectPrompt(_) | Step::Default => Ok(()),
        }
    }

    /// Draws what a script shows; returns the dialog, if it is one.
    fn show_named(&self, shown: Shown) -> Result<Option<Dialog>, End> {
        let dialog = match shown {
            Shown::DirectoryTrust => self.directory_trust(),
            Shown::HookReview => self.hook_review(),
            Shown::ModelOffer => Dialog::model_offer(),
            Shown::Update => Dialog::update(),
            Shown::SignIn => Dialog::sign_in(),
            Shown::Unknown(title) => Dialog::unknown(&title),
            Shown::File(path) => {
                let text = std::fs::read_to_string(&path).map_err(End::io(&path))?;
                self.log.write("screen", &json!({ "name": path }));
                self.screen.draw(&Bottom::Verbatim(&text))?;
                return Ok(None);
            }
        };
        self.show(&dialog)?;
        Ok(Some(dialog))
    }

    /// Takes exactly these keys; true if the last one closed the dialog.
    fn expect_keys(
        &mut self,
        keys: &[String],
        mut dialog: Option<&mut Dialog>,
    ) -> Result<bool, End> {
        let mut closed = dialog.is_none();
        for expected in keys {
            let Some(input) = self.next_input(Some(Instant::now() + LIMIT))? else {
                return Err(late(format!("the key {expected}")));
            };
            if input.key.to_string() != *expected {
                return Err(End::Unexpected {
                    expected: format!("the key {expected}"),
                    got: format!("{:?}", input.key),
                });
            }
            let Some(dialog) = dialog.as_deref_mut() else {
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
                    closed = true;
                }
            }
        }
        Ok(closed)
    }

    /// Takes a prompt, which must be pasted, and begins its turn.
    fn expect_prompt(&mut self, text: Option<&str>) -> Result<(), End> {
        let prompt = match self.argument.take() {
            Some(prompt) => prompt,
            None => self
                .next_prompt(Some(Instant::now() + LIMIT))?
                .ok_or_else(|| late("a prompt".to_owned()))?,
        };
        if !self.pasted {
            return Err(End::Unexpected {
                expected: "a bracketed paste".to_owned(),
                got: format!("typed {prompt:?}"),
            });
        }
        if let Some(text) = text.filter(|text| *text != prompt) {
            return Err(End::Unexpected {
                expected: format!("the prompt {text:?}"),
                got: format!("{prompt:?}"),
            });
        }
        self.begin_turn(&prompt)
    }

    fn await_file(&mut self, path: &std::path::Path) -> Result<(), End> {
        let limit = Instant::now() + LIMIT;
        while !path.exists() {
            if Instant::now() > limit {
                return Err(late(path.display().to_string()));
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Draws as an agent at work does, and answers no key.
    fn work_until(&mut self, path: &std::path::Path) -> Result<(), End> {
        let limit = Instant::now() + WORK;
        while !path.exists() {
            if Instant::now() > limit {
                return Err(late(path.display().to_string()));
            }
            self.draw()?;
            std::thread::sleep(DRAW);
        }
        Ok(())
    }

    /// Runs the hooks of an event with some fields replaced, added or, by `null`, emptied.
    fn play_hook(&mut self, event: &'static str, overrides: Map<String, Value>) -> Result<(), End> {
        let own: Payload = match event {
            "SessionStart" => vec![("source", json!("startup"))],
            "UserPromptSubmit" => vec![("prompt", json!(""))],
            "Stop" => vec![
                ("stop_hook_active", json!(false)),
                ("last_assistant_message", json!("Done.")),
            ],
            "PermissionRequest" => vec![
                ("tool_name", json!("Bash")),
                (
                    "tool_input",
                    json!({ "command": "true", "description": "" }),
                ),
            ],
            "SessionEnd" => vec![("reason", json!("other"))],
            _ => Vec::new(),
        };
        let mut payload: Map<String, Value> = self
            .payload(event, own)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        payload.extend(overrides);
        self.run_hooks_on(event, "", Value::Object(payload).to_string().as_bytes())
            .map(drop)
    }

    /// A stop of another session: a nested agent that inherited our hooks.
    fn foreign_stop(&mut self) -> Result<(), End> {
        let id = uuid_v7();
        let path = self
            .config
            .home
            .join("sessions")
            .join("elsewhere")
            .join(format!("rollout-{id}.jsonl"));
        let own =
            json!({ "session_id": id, "turn_id": uuid_v7(), "transcript_path": path, "cwd": "/" });
        let Value::Object(own) = own else {
            return Ok(());
        };
        self.play_hook("Stop", own)
    }

    /// Runs a command of the script, which must succeed.
    fn exec(&self, command: String) -> Result<(), End> {
        let output = Command::new("/bin/sh")
            .args(["-c", &command])
            .current_dir(&self.config.cwd)
            .output()
            .map_err(End::io("/bin/sh"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(End::Command {
            command,
            status: output.status.to_string(),
        })
    }
}

fn late(what: String) -> End {
    End::Late {
        what,
        seconds: LIMIT.as_secs(),
    }
}

/// Ends this process by a signal.
fn die(signal: i32) -> Result<(), End> {
    let known = rustix::process::Signal::from_named_raw(signal)
        .ok_or_else(|| End::Config(format!("no signal {signal}")))?;
    rustix::process::kill_process(rustix::process::getpid(), known)
        .map_err(|error| End::io("a signal")(error.into()))?;
    Err(End::Late {
        what: format!("signal {signal} to end the program"),
        seconds: 0,
    })
}
