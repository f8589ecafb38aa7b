//! Further windows of a session.

use std::path::Path;

use tmux_interface::{KillWindow, ListPanes, NewWindow, SelectWindow};

use super::launch::{escape_separator, launcher_argv};
use super::{Error, Server, SessionSpec};

/// The specification of a further window of a session, of which nothing is logged.
#[derive(Clone, Debug)]
pub(crate) struct WindowSpec<'a> {
    /// tmux's id of the session.
    pub(crate) session: &'a str,
    /// The window's name.
    pub(crate) name: &'a str,
    /// As of [`SessionSpec`].
    pub(crate) run_id: &'a str,
    pub(crate) launcher: &'a [String],
    pub(crate) cwd: &'a Path,
    pub(crate) environment: &'a Path,
    pub(crate) exit_status: &'a Path,
    pub(crate) argv: &'a [String],
}

impl Server {
    /// Opens a further window in a session, and selects it.
    ///
    /// # Errors
    /// What tmux refuses; a session that is gone, too.
    pub(crate) async fn new_window(&self, spec: &WindowSpec<'_>) -> Result<(), Error> {
        let of_session = SessionSpec {
            name: spec.session,
            run_id: spec.run_id,
            launcher: spec.launcher,
            cwd: spec.cwd,
            environment: spec.environment,
            exit_status: spec.exit_status,
            cgroup: None,
            log: Path::new("/dev/null"),
            argv: spec.argv,
        };
        let mut window = NewWindow::new()
            .target_window(format!("{}:", spec.session))
            .window_name(spec.name)
            .start_directory("/")
            .build();
        let argv = launcher_argv(&of_session);
        for arg in &argv {
            window.push_param(escape_separator(arg));
        }
        self.run("new-window", self.tmux().add_command(window))
            .await
            .map(drop)
    }

    /// What a session's window of that name shows, without a name its first one; `None` where it has no such window.
    ///
    /// # Errors
    /// What tmux refuses; a session that is gone, too.
    pub(crate) async fn query_screen_of(
        &self,
        session: &str,
        window: Option<&str>,
    ) -> Result<Option<String>, Error> {
        let list = ListPanes::new()
            .session()
            .target(format!("={session}"))
            .format("#{pane_id} #{window_name}")
            .build();
        let panes = self
            .run("list-panes", self.tmux().add_command(list))
            .await?;
        let mut panes = panes.lines().filter_map(|line| line.split_once(' '));
        let shown = panes.find(|(_, name)| window.is_none_or(|window| window == *name));
        let Some((pane, _)) = shown else {
            return Ok(None);
        };
        let styled = self.screens.query(self, pane).await?;
        Ok(Some(strip_ansi_escapes::strip_str(styled)))
    }

    /// Selects the window of that name, if the session has it and its program runs; closes it otherwise. Returns whether it
    /// is there.
    ///
    /// # Errors
    /// What tmux refuses; a session that is gone, too.
    pub(crate) async fn show_window(&self, session: &str, name: &str) -> Result<bool, Error> {
        let list = ListPanes::new()
            .session()
            .target(session)
            .format("#{window_id} #{window_name} #{pane_dead}")
            .build();
        let panes = self
            .run("list-panes", self.tmux().add_command(list))
            .await?;
        for line in panes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [window, of_name, dead] = words[..] else {
                continue;
            };
            if of_name != name {
                continue;
            }
            if dead == "0" {
                let select = SelectWindow::new().target_window(window).build();
                self.run("select-window", self.tmux().add_command(select))
                    .await?;
                return Ok(true);
            }
            let kill = KillWindow::new().target_window(window).build();
            self.run("kill-window", self.tmux().add_command(kill))
                .await?;
        }
        Ok(false)
    }
}
