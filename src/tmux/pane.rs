//! One pane: its screen, what is typed into it, its end.

use tmux_interface::{DisplayMessage, KillSession, LoadBuffer, PasteBuffer, SendKeys};

use super::client::absent_is_fine;
use super::{Error, Key, Server};

/// One pane, in which an agent runs.
#[derive(Clone, Debug)]
pub struct Pane {
    pub(super) server: Server,
    pub(super) session: String,
    pub(super) id: String,
    pub(super) pid: u32,
}

impl Pane {
    /// The session's id, such as `$1`.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.session
    }

    /// The pane's id, such as `%3`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The pid of the launcher, the root of what the pane started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What the pane shows: 50 lines of plain text.
    ///
    /// # Errors
    /// What tmux refuses; a pane that is gone, too.
    pub async fn query_screen(&self) -> Result<String, Error> {
        self.server.screens.query(&self.server, &self.id).await
    }

    /// Whether the pane is there and its program runs.
    ///
    /// # Errors
    /// What tmux refuses, other than the pane's absence.
    pub async fn query_alive(&self) -> Result<bool, Error> {
        let show = DisplayMessage::new()
            .print()
            .target_pane(self.id.as_str())
            .message("#{pane_dead}")
            .build();
        match self
            .server
            .run("display-message", self.server.tmux().add_command(show))
            .await
        {
            Ok(output) => Ok(output.trim() == "0"),
            Err(Error::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Pastes `text` bracketed and presses Enter, in one tmux call, from a buffer that is then deleted.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn submit(&self, text: &str) -> Result<(), Error> {
        let buffer = format!("cx{}", self.id);
        let tmux = self
            .server
            .tmux()
            .add_command(
                LoadBuffer::new()
                    .buffer_name(buffer.as_str())
                    .path("-")
                    .build(),
            )
            .add_command(
                PasteBuffer::new()
                    .bracket_codes()
                    .delete()
                    // Without -r tmux turns every newline into a carriage return, which codex
                    // normalises; the pasted bytes shall be the prompt's own.
                    .no_replacement()
                    .buffer_name(buffer.as_str())
                    .target_pane(self.id.as_str())
                    .build(),
            )
            .add_command(
                SendKeys::new()
                    .target_pane(self.id.as_str())
                    .key("Enter")
                    .build(),
            );
        self.server
            .run_with_input("paste-buffer", tmux, Some(text.as_bytes()))
            .await
            .map(drop)
    }

    /// Presses one key.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn press(&self, key: Key) -> Result<(), Error> {
        let send = SendKeys::new()
            .target_pane(self.id.as_str())
            .key(key.name())
            .build();
        self.server
            .run("send-keys", self.server.tmux().add_command(send))
            .await
            .map(drop)
    }

    /// Ends the session with all that runs in it; its absence is fine.
    ///
    /// # Errors
    /// What tmux refuses otherwise.
    pub async fn kill(&self) -> Result<(), Error> {
        let kill = KillSession::new()
            .target_session(self.session.as_str())
            .build();
        absent_is_fine(
            self.server
                .run("kill-session", self.server.tmux().add_command(kill))
                .await,
        )
    }
}
