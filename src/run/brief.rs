//! The first prompt of a run, and what people are told about it.

use crate::agent::conversation::Drive;
use crate::task::{Task, prompt};
use crate::turn::classify::PREAMBLE;

/// The texts of which the first prompt is made.
pub(super) struct Brief {
    text: String,
    has_preamble: bool,
    has_summary: bool,
}

impl Brief {
    /// `resumed`: whether the agent goes on with a session, and knows of what was done.
    ///
    /// Source: codex 0.169.0, "Message exceeds the maximum length of 1048576 characters".
    pub(super) fn of(task: &Task, resumed: bool) -> Self {
        let mut text = task.prompt.as_str().to_owned();
        let fits = |text: &str, before: &str| text.len() + before.len() + 2 <= prompt::LIMIT;
        let earlier = task.earlier.as_ref().filter(|_| !resumed);
        let earlier = earlier.filter(|earlier| fits(&text, &earlier.summary));
        if let Some(earlier) = earlier {
            text = format!("{}\n\n{text}", earlier.summary);
        }
        // It is left out where the answer must have a form of its own.
        let has_preamble = wants_preamble(task) && fits(&text, PREAMBLE);
        if has_preamble {
            text = format!("{PREAMBLE}\n\n{text}");
        }
        Self {
            text,
            has_preamble,
            has_summary: earlier.is_some() || task.earlier.is_none() || resumed,
        }
    }

    /// The first prompt. By requests it is taken literally.
    pub(super) fn prompt(&self, task: &Task, drive: Drive) -> String {
        match drive {
            Drive::Requests => self.text.clone(),
            Drive::Keys | Drive::Headless | Drive::Auto => {
                task.agent.executor.prompt(&self.text).into_owned()
            }
        }
    }

    /// What people should know about it.
    pub(super) fn notices(&self, task: &Task, drive: Drive) -> Vec<String> {
        let mut notices = Vec::new();
        let executor = task.agent.executor;
        let (agent, brief) = (executor.name(), task.prompt.as_str());
        if wants_preamble(task) && !self.has_preamble {
            notices.push(format!(
                "the brief was sent without the preamble: together they are longer than {agent} accepts"
            ));
        }
        if !self.has_summary {
            notices.push(format!(
                "the brief was sent without a summary of the earlier run: together they are longer than {agent} accepts"
            ));
        }
        let is_typed = drive != Drive::Requests;
        if is_typed && !task.preamble && executor.prompt(brief) != brief {
            notices.push(format!(
                "{agent} would read the brief as a command of its own or an attachment: a line `Message:` was put before it"
            ));
        }
        let count = task.prompt.neutralised();
        if count > 0 {
            notices.push(format!(
                "{count} control characters of the prompt were replaced by their pictures"
            ));
        }
        notices
    }
}

fn wants_preamble(task: &Task) -> bool {
    task.preamble && task.agent.output_schema.is_none()
}
