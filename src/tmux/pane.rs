//! One pane: its screen, what is typed into it, its end.

use tmux_interface::{
    DisplayMessage, KillSession, LoadBuffer, PasteBuffer, SendKeys, SetOption, Tmux, TmuxCommand,
};

use super::client::absent_is_fine;
use super::{Error, Key, Server};

/// One pane, in which an agent runs.
#[derive(Clone, Debug)]
pub struct Pane {
    pub(super) server: Server,
    pub(super) session: String,
    pub(super) id: String,
    pub(super) pid: u32,
    /// Who may submit prompts: the value of [`HOLDER`] that its operator has set, empty for the first.
    pub(super) holder: String,
}

/// The pane's option that names the operator that may submit prompts; not set before the first takes over.
const HOLDER: &str = "@cx-operator-holder";
/// The pane's option with the number of the turn whose prompt was pasted last.
const PASTED: &str = "@cx-operator-pasted";

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
        let buffer = self.buffer();
        let tmux = self.with_buffer().add_command(self.paste(&buffer));
        self.submit_by(tmux.add_command(self.enter()), text).await
    }

    /// The same for the prompt of a turn, which tmux takes note of: it pastes nothing for an operator in whose place
    /// another one is, however late its command comes. So the note tells for sure whether a prompt was pasted.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn submit_turn(&self, turn: u32, text: &str) -> Result<(), Error> {
        let note = format!("set-option -p -t {} {PASTED} {turn}", self.id);
        let buffer = self.buffer();
        // Ids, numbers and our own words: nothing in it needs a quote.
        let paste = format!("paste-buffer -p -d -r -b {buffer} -t {}", self.id);
        let enter = format!("send-keys -t {} Enter", self.id);
        let mut guarded = TmuxCommand::new();
        guarded.name("if-shell").push_flag("-F");
        guarded.push_option("-t", self.id.as_str());
        guarded.push_param(format!("#{{==:#{{{HOLDER}}},{}}}", self.holder));
        guarded.push_param(format!("{note} ; {paste} ; {enter}"));
        self.submit_by(self.with_buffer().add_command(guarded), text)
            .await
    }

    /// Takes the place of every operator before: none of their prompts is pasted from now on. Returns the turn whose prompt
    /// was pasted last; `None` where tmux has no note of one.
    ///
    /// # Errors
    /// What tmux refuses.
    pub(crate) async fn take_over(&mut self) -> Result<Option<u32>, Error> {
        self.holder = uuid::Uuid::new_v4().simple().to_string();
        let hold = SetOption::new()
            .pane()
            .target_pane(self.id.as_str())
            .option(HOLDER)
            .value(self.holder.as_str())
            .build();
        let show = DisplayMessage::new()
            .print()
            .target_pane(self.id.as_str())
            .message(format!("#{{{PASTED}}}"))
            .build();
        let tmux = self.server.tmux().add_command(hold).add_command(show);
        let shown = self.server.run("set-option", tmux).await?;
        Ok(shown.trim().parse().ok())
    }

    fn buffer(&self) -> String {
        format!("cx{}", self.id)
    }

    fn with_buffer<'a>(&self) -> Tmux<'a> {
        let load = LoadBuffer::new().buffer_name(self.buffer()).path("-");
        self.server.tmux().add_command(load.build())
    }

    fn paste<'a>(&self, buffer: &str) -> TmuxCommand<'a> {
        PasteBuffer::new()
            .bracket_codes()
            .delete()
            // Without -r tmux turns every newline into a carriage return, which codex
            // normalises; the pasted bytes shall be the prompt's own.
            .no_replacement()
            .buffer_name(buffer.to_owned())
            .target_pane(self.id.clone())
            .build()
    }

    fn enter<'a>(&self) -> TmuxCommand<'a> {
        SendKeys::new()
            .target_pane(self.id.clone())
            .key("Enter")
            .build()
    }

    async fn submit_by(&self, tmux: Tmux<'_>, text: &str) -> Result<(), Error> {
        let run = self
            .server
            .run_with_input("paste-buffer", tmux, Some(text.as_bytes()));
        run.await.map(drop)
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
