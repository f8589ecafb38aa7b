//! One pane: its screen, what is typed into it, its end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tmux_interface::{
    CapturePane, DisplayMessage, KillSession, LoadBuffer, SetOption, TmuxCommand,
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
    /// Whether it may have another size than its own.
    pub(super) is_fitted: Arc<AtomicBool>,
}

/// The pane's option that names the operator that may submit prompts; not set before the first takes over.
const HOLDER: &str = "@cx-operator-holder";
/// The pane's option with the number of the turn whose prompt was pasted last.
const PASTED: &str = "@cx-operator-pasted";
/// A format that is true while the pane's program runs.
///
/// Source: tmux 3.3a, whose server crashes when something is pasted into a pane that is dead.
const LIVES: &str = "#{?pane_dead,0,1}";

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
        let styled = self.query_styled_screen().await?;
        Ok(strip_ansi_escapes::strip_str(styled))
    }

    /// The same with the escape sequences of colours and attributes.
    ///
    /// # Errors
    /// What tmux refuses; a pane that is gone, too.
    pub async fn query_styled_screen(&self) -> Result<String, Error> {
        self.put_back().await?;
        self.query_as_it_is().await
    }

    /// What a program that has ended left behind. Where it drew on the alternate screen, tmux has moved its last words into
    /// the history.
    ///
    /// # Errors
    /// What tmux refuses; a pane that is gone, too.
    pub async fn query_last_words(&self) -> Result<String, Error> {
        self.put_back().await?;
        let capture = CapturePane::new()
            .stdout()
            .join()
            .start_line("-50")
            .target_pane(self.id.as_str());
        let tmux = self.server.tmux().add_command(capture.build());
        self.server.run("capture-pane", tmux).await
    }

    /// Pastes `text` bracketed and submits it with `key`, in one tmux call: for a word that may be lost if a dialog comes up in the meantime,
    /// see [`Pane::press_in_composer`] for what the two do in one.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn submit(&self, text: &str, key: Key) -> Result<(), Error> {
        let submit = format!("{} ; {}", self.paste_buffer(), self.send(key));
        self.load_and_run(&submit, LIVES, text).await
    }

    /// Pastes `text` bracketed, and presses nothing; nor is anything pasted for an operator in whose place another one is.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn paste(&self, text: &str) -> Result<(), Error> {
        self.load_and_run(&self.paste_buffer(), &self.is_ours(), text)
            .await
    }

    /// The same only while the composer shows: a dialog would take the text for keys.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn paste_in_composer(&self, text: &str, composer: Composer) -> Result<(), Error> {
        let condition = format!("#{{&&:{},{}}}", composer.shows(), self.is_ours());
        self.load_and_run(&self.paste_buffer(), &condition, text)
            .await
    }

    /// Pastes the prompt of a turn, bracketed, and presses nothing. tmux takes note of the turn: it pastes nothing for an
    /// operator in whose place another one is, however late its command comes. So the note tells for sure whether a
    /// prompt was pasted.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn paste_turn(&self, turn: u32, text: &str) -> Result<(), Error> {
        let note = format!("set-option -p -t {} {PASTED} {turn}", self.id);
        let paste = format!("{note} ; {}", self.paste_buffer());
        self.load_and_run(&paste, &self.is_ours(), text).await
    }

    /// Presses a key meant for the composer. A dialog would take an Enter for its choice: it is pressed only while the
    /// composer shows. The key that submits changes nothing in a dialog but in a form whose field for notes is open: there it
    /// answers.
    ///
    /// Source: codex 0.130.0, 0.150.0 and 0.169.0, with a paste and then Shift-F12 in the dialogs of trust, hooks, approvals,
    /// rate limits and `/model`, where neither has an effect, and in `request_user_input`, where a paste opens the field
    /// for notes, the cursor shows in it, and Shift-F12 then answers (not in 0.130.0).
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn press_in_composer(&self, key: Key, composer: Composer) -> Result<(), Error> {
        let condition = match key {
            Key::Submit => self.is_ours(),
            _ => format!("#{{&&:{},{}}}", composer.shows(), self.is_ours()),
        };
        self.press_if(&condition, key).await
    }

    /// Presses a key meant for a dialog without any field to write in, only while the composer does not show: a person may
    /// have closed it, and an Enter would submit what they have written in the composer.
    ///
    /// Source: codex 0.130.0, 0.150.0 and 0.169.0 show no cursor in the dialogs of trust, hooks, update, model offer, rate
    /// limits, approvals of commands and of edits.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn press_in_dialog(&self, key: Key, composer: Composer) -> Result<(), Error> {
        let hidden = format!("#{{?{},0,1}}", composer.shows());
        let condition = format!("#{{&&:{hidden},{}}}", self.is_ours());
        self.press_if(&condition, key).await
    }

    async fn press_if(&self, condition: &str, key: Key) -> Result<(), Error> {
        self.put_back().await?;
        let guarded = self.guarded(condition, &self.send(key));
        let tmux = self.server.tmux().add_command(guarded);
        self.server.run("send-keys", tmux).await.map(drop)
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

    /// The command that pastes our buffer. Ids, numbers and our own words: nothing in it needs a quote.
    fn paste_buffer(&self) -> String {
        // Without -r tmux turns every newline into a carriage return, which codex normalises; the pasted bytes shall be
        // the prompt's own.
        format!("paste-buffer -p -d -r -b {} -t {}", self.buffer(), self.id)
    }

    fn send(&self, key: Key) -> String {
        format!("send-keys -t {} {}", self.id, key.name())
    }

    /// A format that is true while the pane's program runs and no operator has taken our place.
    fn is_ours(&self) -> String {
        format!("#{{&&:{LIVES},#{{==:#{{{HOLDER}}},{}}}}}", self.holder)
    }

    fn guarded<'a>(&self, condition: &str, then: &str) -> TmuxCommand<'a> {
        let mut guarded = TmuxCommand::new();
        guarded.name("if-shell").push_flag("-F");
        guarded.push_option("-t", self.id.clone());
        guarded.push_param(condition.to_owned());
        guarded.push_param(then.to_owned());
        guarded
    }

    async fn load_and_run(&self, then: &str, condition: &str, text: &str) -> Result<(), Error> {
        self.put_back().await?;
        let load = LoadBuffer::new().buffer_name(self.buffer()).path("-");
        let mut guarded = self.guarded(condition, then);
        guarded.push_param(format!("delete-buffer -b {}", self.buffer()));
        let tmux = self
            .server
            .tmux()
            .add_command(load.build())
            .add_command(guarded);
        let run = self
            .server
            .run_with_input("paste-buffer", tmux, Some(text.as_bytes()));
        run.await.map(drop)
    }

    /// Presses one key, whatever takes it; none if another operator has taken over.
    ///
    /// # Errors
    /// What tmux refuses.
    pub async fn press(&self, key: Key) -> Result<(), Error> {
        self.press_if(&self.is_ours(), key).await
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

/// What tells a program's composer from its dialogs, in the very moment in which a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composer {
    /// The terminal's cursor shows in the composer, and in no dialog.
    Cursor,
    /// This text is on the screen with the composer, and with no dialog. It has no comma, brace or `#`.
    Text(&'static str),
}

impl Composer {
    /// tmux's condition that it shows.
    fn shows(self) -> String {
        match self {
            Self::Cursor => "#{cursor_flag}".to_owned(),
            // The number of the row, or 0.
            Self::Text(text) => format!("#{{C:{text}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::*;

    fn tmux(server: &Server, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.args(["-f", "/dev/null", "-S"]).arg(server.socket());
        let output = command.args(arguments).output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A pane whose program has ended, in a server with another session.
    fn dead_pane(server: &Server) -> Pane {
        let other = ["new-session", "-d", "-s", "other", "exec sleep 60"];
        tmux(server, &other);
        tmux(server, &["set-option", "-g", "remain-on-exit", "on"]);
        let format = "#{session_id} #{pane_id} #{pane_pid}";
        let made = tmux(server, &["new-session", "-d", "-P", "-F", format, "true"]);
        let mut words = made.split(' ').map(str::to_owned);
        let mut word = || words.next().expect("three words");
        let pane = Pane {
            server: server.clone(),
            session: word(),
            id: word(),
            pid: word().parse().expect("a pid"),
            holder: String::new(),
            is_fitted: Arc::default(),
        };
        let limit = Instant::now() + Duration::from_secs(20);
        let dead = ["display-message", "-p", "-t", &pane.id, "#{pane_dead}"];
        while tmux(server, &dead) != "1" {
            assert!(Instant::now() < limit, "the program does not end");
        }
        pane
    }

    #[tokio::test]
    async fn nothing_that_is_typed_into_a_dead_pane_harms_the_server() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let server = Server::at(dir.path().join("tmux.sock"));
        let pane = dead_pane(&server);
        let answers = [
            pane.paste_turn(1, "a prompt").await,
            pane.paste("notes").await,
            pane.paste_in_composer("more", Composer::Cursor).await,
            pane.submit("/exit ", Key::Submit).await,
            pane.press_in_composer(Key::Submit, Composer::Cursor).await,
            pane.press_in_composer(Key::Enter, Composer::Text("> "))
                .await,
            pane.press_in_dialog(Key::Down, Composer::Cursor).await,
            pane.press(Key::Down).await,
        ];
        let lives = tmux(
            &server,
            &["list-panes", "-t", "=other:", "-F", "#{pane_dead}"],
        );
        tmux(&server, &["kill-server"]);
        assert_eq!(lives, "0", "the server died: {answers:?}");
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
}
