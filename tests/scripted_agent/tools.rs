//! The tools that the model calls: commands, with the approval that some need, and patches.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::dialogs::Dialog;
use crate::directives;
use crate::end::End;
use crate::patch;
use crate::session::Agent;
use crate::terminal::Key;
use crate::turn::Outcome;

/// The tool's name in hook payloads.
const SHELL: &str = "Bash";
const ESCALATION_REASON: &str = "needs the network";
const NEVER: &str = "approval policy is Never; reject command — you cannot ask for escalated permissions if the approval policy is Never";
/// How often a running command is looked at between keys.
const TICK: Duration = Duration::from_millis(5);
/// Lines of output that the conversation shows.
const SHOWN_LINES: usize = 5;

/// Whether a command may run.
enum Permission {
    Granted,
    /// Refused with what the model is told; the turn goes on.
    Refused(String),
    /// The user cancelled it; the turn is over.
    Cancelled,
}

/// What a command did.
struct Ended {
    output: String,
    /// `None` after a signal.
    status: Option<i32>,
    elapsed: Duration,
    /// What the user said meanwhile: the model answers that instead of the output.
    steered: Option<String>,
}

impl Agent {
    /// Runs a command for the model.
    pub(crate) fn shell_tool(&mut self, command: &str, escalated: bool) -> Result<Outcome, End> {
        let mut arguments = json!({ "cmd": command });
        if escalated {
            arguments["sandbox_permissions"] = json!("require_escalated");
            arguments["justification"] = json!(ESCALATION_REASON);
        }
        let call_id = self.call(
            "function_call",
            ("exec_command", "arguments", arguments.to_string()),
        )?;
        let input = json!({ "command": command });
        self.run_hooks(
            "PreToolUse",
            SHELL,
            vec![
                ("tool_name", json!(SHELL)),
                ("tool_input", input.clone()),
                ("tool_use_id", json!(call_id)),
            ],
        )?;
        self.screen.running = Some(command.to_owned());
        self.draw()?;
        let permission = if escalated {
            self.permission(command)?
        } else {
            Permission::Granted
        };
        let refusal = match permission {
            Permission::Granted => None,
            Permission::Refused(refusal) => Some(refusal),
            Permission::Cancelled => return self.cancelled(command, &call_id),
        };
        let mut steered = None;
        let output = match refusal {
            Some(refusal) => refusal,
            None => {
                let Some(ended) = self.run_command(command)? else {
                    return self.interrupted(&call_id);
                };
                steered.clone_from(&ended.steered);
                let text = self.show_command(command, &call_id, &ended)?;
                self.run_hooks(
                    "PostToolUse",
                    SHELL,
                    vec![
                        ("tool_name", json!(SHELL)),
                        ("tool_input", input),
                        ("tool_response", json!(ended.output)),
                        ("tool_use_id", json!(call_id)),
                    ],
                )?;
                text
            }
        };
        self.screen.running = None;
        let outcome = self.returned("function_call_output", &call_id, &output)?;
        Ok(steered.map_or(outcome, Outcome::Steered))
    }

    /// Applies a patch for the model.
    pub(crate) fn patch_tool(&mut self, text: &str) -> Result<Outcome, End> {
        let call_id = self.call(
            "custom_tool_call",
            ("apply_patch", "input", text.to_owned()),
        )?;
        let input = json!({ "command": text });
        let own = vec![
            ("tool_name", json!("apply_patch")),
            ("tool_input", input),
            ("tool_use_id", json!(call_id)),
        ];
        self.run_hooks("PreToolUse", "apply_patch", own.clone())?;
        let (status, printed) = match patch::apply(text, &self.config.cwd) {
            Ok(printed) => (0, printed),
            Err(reason) => (1, format!("{reason}\n")),
        };
        self.screen.said(printed.trim());
        let output = format!("Exit code: {status}\nWall time: 0 seconds\nOutput:\n{printed}");
        let mut own = own;
        own.insert(2, ("tool_response", json!(output)));
        self.run_hooks("PostToolUse", "apply_patch", own)?;
        self.returned("custom_tool_call_output", &call_id, &output)
    }

    /// Records a call of the model: `(name, field of the argument, argument)`. Returns its id.
    fn call(&mut self, kind: &str, call: (&str, &str, String)) -> Result<String, End> {
        let (name, field, argument) = call;
        let (transcript, turn) = self.running()?;
        turn.calls += 1;
        let short = &turn.id[24..];
        let call_id = format!("call_{short}{}", turn.calls);
        let id = format!(
            "{}_{short}{}",
            if field == "input" { "ctc" } else { "fc" },
            turn.calls
        );
        let mut payload =
            json!({ "type": kind, "id": id, "name": name, "call_id": call_id, field: argument });
        if field == "input" {
            payload["status"] = json!("completed");
        }
        transcript.function_call(turn, payload)?;
        Ok(call_id)
    }

    /// Records what a tool returned and what the model says to it.
    fn returned(&mut self, kind: &str, call_id: &str, output: &str) -> Result<Outcome, End> {
        let (transcript, turn) = self.running()?;
        transcript.call_output(turn, kind, (call_id, output))?;
        self.draw()?;
        Ok(Outcome::Says(directives::after_tool(output)))
    }

    /// Asks whether a command may run outside the sandbox: the policy, the hooks, then the user.
    fn permission(&mut self, command: &str) -> Result<Permission, End> {
        if self.config.approval == "never" {
            return Ok(Permission::Refused(NEVER.to_owned()));
        }
        if self.config.sandbox == "danger-full-access"
            || self.allowed.iter().any(|allowed| allowed == command)
        {
            return Ok(Permission::Granted);
        }
        let input = json!({ "command": command, "description": ESCALATION_REASON });
        let ran = self.run_hooks(
            "PermissionRequest",
            SHELL,
            vec![("tool_name", json!(SHELL)), ("tool_input", input)],
        )?;
        let decisions: Vec<_> = ran
            .iter()
            .filter_map(crate::hooks::Ran::permission)
            .collect();
        if let Some(message) = decisions
            .iter()
            .find_map(|decision| decision.as_ref().err())
        {
            self.screen.said("Blocked by hook");
            self.screen.detail(message);
            let rejection = format!("Rejected({message:?})");
            return Ok(Permission::Refused(format!(
                "exec_command failed: CreateProcess {{ message: {rejection:?} }}"
            )));
        }
        if !decisions.is_empty() {
            return Ok(Permission::Granted);
        }
        match self.ask(&mut Dialog::approval(command, ESCALATION_REASON))? {
            1 => self.screen.marked(
                '✔',
                &format!("You approved codex to run {command} this time"),
            ),
            2 => self.always_allow(command)?,
            _ => return Ok(Permission::Cancelled),
        }
        self.draw()?;
        Ok(Permission::Granted)
    }

    /// Remembers an approval for good: a rule in the user's `CODEX_HOME`.
    fn always_allow(&mut self, command: &str) -> Result<(), End> {
        let words: Vec<&str> = command.split_whitespace().collect();
        let rules = self.config.home.join("rules");
        let file = rules.join("default.rules");
        std::fs::create_dir_all(&rules).map_err(End::io(&rules))?;
        let rule = format!(
            "prefix_rule(pattern={}, decision=\"allow\")\n",
            json!(words)
        );
        let known = std::fs::read_to_string(&file).unwrap_or_default();
        std::fs::write(&file, known + &rule).map_err(End::io(&file))?;
        self.allowed.push(command.to_owned());
        self.screen.marked(
            '✔',
            &format!("You approved codex to always run commands that start with {command}"),
        );
        Ok(())
    }

    /// Ends the turn after "No" to an approval.
    fn cancelled(&mut self, command: &str, call_id: &str) -> Result<Outcome, End> {
        self.screen
            .marked('✗', &format!("You canceled the request to run {command}"));
        self.screen.said(&format!("Exited (status 1) {command}"));
        self.screen.detail("(no output)");
        self.interrupted(call_id)
    }

    /// Ends the turn in the middle of a call.
    fn interrupted(&mut self, call_id: &str) -> Result<Outcome, End> {
        let (transcript, turn) = self.running()?;
        let output = format!("Wall time: {}.0 seconds\naborted by user", turn.seconds());
        transcript.call_output(turn, "function_call_output", (call_id, &output))?;
        self.abort_turn()?;
        Ok(Outcome::Over)
    }

    /// Runs a command in a process group of its own; `None` when the user interrupts it.
    fn run_command(&mut self, command: &str) -> Result<Option<Ended>, End> {
        let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
        let (reader, writer) = std::io::pipe().map_err(End::io(&shell))?;
        let errors = writer.try_clone().map_err(End::io(&shell))?;
        let start = Instant::now();
        // The builder owns the pipe's ends: it must be gone before the reader can see the end of the output.
        let mut child = Command::new(&shell)
            .args(["-lc", command])
            .current_dir(&self.config.cwd)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(errors)
            .spawn()
            .map_err(End::io(&shell))?;
        let output = read_all(reader);
        let mut steered = None;
        while child.try_wait().map_err(End::io(&shell))?.is_none() {
            let Some(input) = self.next_input(Some(Instant::now() + TICK))? else {
                continue;
            };
            if matches!(input.key, Key::Esc | Key::Ctrl('c')) {
                let group = rustix::process::Pid::from_child(&child);
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
                child.wait().map_err(End::io(&shell))?;
                return Ok(None);
            }
            if let Some(more) = self.edit(&input)? {
                self.steer(&more)?;
                steered = Some(more);
            }
            self.draw()?;
        }
        let status = child.wait().map_err(End::io(&shell))?.code();
        let output = output
            .recv_timeout(Duration::from_secs(1))
            .unwrap_or_default();
        Ok(Some(Ended {
            output,
            status,
            elapsed: start.elapsed(),
            steered,
        }))
    }

    /// Shows and records a command that has run; returns what the model is told.
    fn show_command(&mut self, command: &str, call_id: &str, ended: &Ended) -> Result<String, End> {
        let status = ended.status.unwrap_or(-1);
        self.screen.said(&if status == 0 {
            format!("Ran {command}")
        } else {
            format!("Exited (status {status}) {command}")
        });
        let lines: Vec<&str> = ended.output.lines().take(SHOWN_LINES).collect();
        self.screen.detail(&if lines.is_empty() {
            "(no output)".to_owned()
        } else {
            lines.join("\n")
        });
        let item = command_item(self, command, (call_id, ended));
        let (transcript, turn) = self.running()?;
        transcript.item_completed(turn, item)?;
        Ok(format!(
            "Chunk ID: {}\nWall time: {:.4} seconds\nProcess exited with code {status}\nOriginal token count: {}\nOutput:\n{}",
            &uuid::Uuid::new_v4().simple().to_string()[..6],
            ended.elapsed.as_secs_f64(),
            ended.output.len().div_ceil(4),
            ended.output,
        ))
    }
}

/// The transcript's item of a command.
fn command_item(agent: &Agent, command: &str, run: (&str, &Ended)) -> Value {
    let (call_id, ended) = run;
    let shell = std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".to_owned());
    json!({
        "type": "CommandExecution", "id": call_id, "process_id": "1", "command": [shell, "-lc", command],
        "cwd": format!("file://{}", agent.config.cwd.display()), "parsed_cmd": [{ "type": "unknown", "cmd": command }],
        "source": "unified_exec_startup", "status": if ended.status == Some(0) { "completed" } else { "failed" },
        "aggregated_output": ended.output, "exit_code": ended.status,
        "duration": { "secs": ended.elapsed.as_secs(), "nanos": ended.elapsed.subsec_nanos() },
    })
}

/// Reads a pipe to its end in the background.
fn read_all(mut reader: std::io::PipeReader) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}
