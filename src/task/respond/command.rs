//! A responder that is a program of the caller's.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::agent::screen_state::AnswerOption;
use crate::os::given;
use crate::os::process::RUN_VARIABLE;

use super::answers::Verdict;
use super::{Context, Recipe, RespondError, Responder};
use crate::task::question::{Answer, Question, QuestionKind};

/// The most that a responder's command may print.
const OUTPUT_LIMIT: usize = 1 << 20;

/// A shell command that is given each question as JSON and prints its answer as JSON.
///
/// On stdin: `{"schema_version":1,"run_id","task","turn","kind":"question|unclear|permission","text",
/// "reason":null|"…","options":[{"label","description"},…],"approval":bool,"worktree"}`; `options` is there where the agent
/// asks by a form: a reply that is one of the labels chooses it, and any other text is an answer, too. On stdout: `{"reply":"…"}` for a question,
/// `{"decision":"allow"}` or `{"decision":"deny","message":"…"}` for an approval; `{}` or nothing leaves it
/// unanswered. A non-zero exit status is a failure.
#[derive(Clone, Debug)]
pub struct Command {
    shell_command: String,
    directory: Option<PathBuf>,
    limit: Duration,
}

#[derive(Serialize)]
struct Asked<'a> {
    schema_version: u32,
    run_id: &'a str,
    task: &'a str,
    turn: u32,
    kind: &'a str,
    text: &'a str,
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    options: &'a [AnswerOption],
    approval: bool,
    worktree: &'a Path,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    reply: Option<String>,
    decision: Option<Verdict>,
    #[serde(default)]
    message: String,
}

impl Command {
    /// A responder that runs `sh -c <shell_command>` and waits `limit` for its answer.
    #[must_use]
    pub fn new(shell_command: String, limit: Duration) -> Self {
        Self {
            shell_command,
            directory: given::working_directory().ok(),
            limit,
        }
    }

    /// Runs it in that directory, in place of the one that this process is in now.
    #[must_use]
    pub fn within(mut self, directory: PathBuf) -> Self {
        self.directory = Some(directory);
        self
    }

    async fn run(&self, run_id: &str, input: &[u8]) -> Result<Vec<u8>, RespondError> {
        let mut shell = tokio::process::Command::new("/bin/sh");
        if let Some(directory) = &self.directory {
            shell.current_dir(directory);
        }
        let mut child = shell
            .args(["-c", &self.shell_command])
            // We kill it when we can; if we are killed ourselves, the recovery of the run finds it by this.
            .env(RUN_VARIABLE, run_id)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(RespondError::Io)?;
        let stdin = child.stdin.take();
        // Written while its output is read: either pipe may fill. A command that doesn't read may still answer.
        let tell = async {
            if let Some(mut stdin) = stdin {
                let _closed_early = stdin.write_all(input).await;
            }
        };
        let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
        let (mut output, mut complaint) = (Vec::new(), Vec::new());
        let listen = read(&mut stdout, &mut output);
        let overhear = read(&mut stderr, &mut complaint);
        // What it leaves in the background may hold its pipes: its answer is complete when it has ended.
        let ended = tokio::select! {
            status = child.wait() => status,
            ((), (), ()) = async { tokio::join!(tell, listen, overhear) } => child.wait().await,
        };
        let status = ended.map_err(RespondError::Io)?;
        drain(stdout.as_ref(), &mut output);
        drain(stderr.as_ref(), &mut complaint);
        if status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&complaint);
        Err(RespondError::Failed(format!(
            "{status}: {}",
            said.trim().lines().next_back().unwrap_or("")
        )))
    }
}

/// Reads to the end or to the limit; a closed pipe then tells the writer.
async fn read(pipe: &mut Option<impl AsyncRead + Unpin>, to: &mut Vec<u8>) {
    let mut chunk = [0; 8192];
    while let Some(from) = pipe {
        match from.read(&mut chunk).await {
            Ok(count @ 1..) => to.extend_from_slice(&chunk[..count]),
            // A failed read is as good as the end.
            _ => return,
        }
        if to.len() > OUTPUT_LIMIT {
            *pipe = None;
        }
    }
}

/// Takes what is left in the pipe of a program that has ended, and waits for nothing: tokio's pipes don't block.
fn drain(from: Option<&impl AsFd>, to: &mut Vec<u8>) {
    let Some(from) = from else { return };
    let mut chunk = [0; 8192];
    while to.len() <= OUTPUT_LIMIT {
        match rustix::io::read(from, &mut chunk) {
            Ok(count @ 1..) => to.extend_from_slice(&chunk[..count]),
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

#[async_trait]
impl Responder for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn recipe(&self) -> Option<Recipe> {
        Some(Recipe::Command {
            shell_command: self.shell_command.clone(),
            directory: self.directory.clone(),
            limit: self.limit,
        })
    }

    async fn respond(
        &self,
        question: &Question,
        context: &Context,
    ) -> Result<Option<Answer>, RespondError> {
        let asked = Asked {
            schema_version: 1,
            run_id: &context.run_id,
            task: &context.task,
            turn: question.turn,
            kind: question.kind.as_str(),
            text: &question.text,
            reason: question.reason.as_deref(),
            options: &question.options,
            approval: question.kind == QuestionKind::Permission,
            worktree: &context.worktree,
        };
        let input = serde_json::to_vec(&asked).expect("the question has string keys only");
        let output = tokio::time::timeout(self.limit, self.run(&context.run_id, &input))
            .await
            .map_err(|_elapsed| RespondError::TimedOut(self.limit))??;
        parse_answer(&output)
    }
}

fn parse_answer(output: &[u8]) -> Result<Option<Answer>, RespondError> {
    if output.len() > OUTPUT_LIMIT {
        return Err(RespondError::Answer(format!(
            "it is longer than {OUTPUT_LIMIT} bytes"
        )));
    }
    if output.trim_ascii().is_empty() {
        return Ok(None);
    }
    let answered: Answered =
        serde_json::from_slice(output).map_err(|error| RespondError::Answer(error.to_string()))?;
    match (answered.reply, answered.decision) {
        (Some(_), Some(_)) => Err(RespondError::Answer(
            "both `reply` and `decision`".to_owned(),
        )),
        (Some(reply), None) if reply.trim().is_empty() => {
            Err(RespondError::Answer("the reply is empty".to_owned()))
        }
        (Some(reply), None) => Ok(Some(Answer::Text(reply))),
        (None, Some(Verdict::Allow)) => Ok(Some(Answer::Allow)),
        (None, Some(Verdict::Deny)) => Ok(Some(Answer::Deny(answered.message))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commands_answer_is_read_strictly() {
        let text = |text: &str| parse_answer(text.as_bytes());
        assert!(matches!(text(" \n"), Ok(None)));
        assert!(matches!(text("{}"), Ok(None)));
        assert!(matches!(
            text(r#"{"reply":"go"}"#),
            Ok(Some(Answer::Text(_)))
        ));
        assert!(matches!(
            text(r#"{"decision":"deny"}"#),
            Ok(Some(Answer::Deny(_)))
        ));
        for bad in [
            "yes",
            r#"{"reply":"a","decision":"allow"}"#,
            r#"{"answer":"a"}"#,
            r#"{"reply":""}"#,
        ] {
            assert!(text(bad).is_err(), "{bad}");
        }
    }
}
