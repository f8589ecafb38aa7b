//! A person's terminal that joins a session.

use std::path::Path;
use std::process::Command;

use tmux_interface::TmuxCommand;

use super::Server;
use super::launch::escape_format;
use crate::os::search_path::search_path;
use crate::os::shell::shell_quote;

/// How long a person is shown the hint, in milliseconds.
const SHOWN: &str = "4000";

impl Server {
    /// The command that joins the session of that name, for a process with a terminal to become. Once it has, `onlookers` is
    /// touched, and the person is shown `hint` for some seconds.
    #[must_use]
    pub fn attach_command(
        &self,
        name: &str,
        write: bool,
        (onlookers, hint): (Option<&Path>, &str),
    ) -> Command {
        let mut attach = TmuxCommand::new();
        attach.name("attach-session");
        if !write {
            // Not by `-r`, with which tmux leaves the terminal's size out of account.
            attach.push_option("-f", "read-only");
        }
        attach.push_option("-t", format!("={name}"));
        let mut tmux = self.tmux().add_command(attach);
        if let Some(file) = onlookers {
            let file = escape_format(&shell_quote(&file.to_string_lossy()));
            let mut note = TmuxCommand::new();
            note.name("run-shell").push_flag("-b");
            note.push_param(format!("umask 077; : >{file}"));
            tmux = tmux.add_command(note);
        }
        let mut say = TmuxCommand::new();
        say.name("display-message").push_option("-d", SHOWN);
        say.push_param(escape_format(hint));
        let mut command = tmux.add_command(say).into_command();
        command.env_remove("TMUX").env_remove("TMUX_PANE");
        command.env("PATH", search_path());
        command
    }
}
