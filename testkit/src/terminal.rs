//! A terminal of a person's own, in which a program runs: a tmux server with one session.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::processes::has_ended;
use crate::wait::{LIMIT, wait_for, wait_or};

/// Closed when it is dropped, with whatever runs in it.
pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Opens one of so many columns and rows with a program and its arguments in it. `tmux`: how tmux is called, whose
    /// environment is the program's; the socket must be a new one. What the program left stays on the screen when it has ended
    /// if it `remains`; else the terminal is closed then.
    ///
    /// # Panics
    /// tmux can not be run.
    pub fn open(
        mut tmux: Command,
        (socket, remains): (&Path, bool),
        (columns, rows): (u32, u32),
        words: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Self {
        tmux.args(["-u", "-f", "/dev/null", "-S"]).arg(socket);
        tmux.args(["new-session", "-d", "-x", &columns.to_string()]);
        tmux.args(["-y", &rows.to_string(), "--"]).args(words);
        tmux.args([";", "set-option", "-g", "status", "off"]);
        let remains = if remains { "on" } else { "off" };
        tmux.args([";", "set-option", "-g", "remain-on-exit", remains]);
        assert!(tmux.status().expect("tmux runs").success());
        Self {
            socket: socket.to_owned(),
        }
    }

    /// What tmux says to a command; nothing where the terminal is closed.
    ///
    /// # Panics
    /// tmux can not be run.
    #[must_use]
    pub fn ask(&self, arguments: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        let output = tmux.arg("-S").arg(&self.socket).args(arguments).output();
        String::from_utf8_lossy(&output.expect("tmux runs").stdout).into_owned()
    }

    fn tell(&self, arguments: &[&str]) {
        let _says_nothing = self.ask(arguments);
    }

    /// Waits until the screen has that text, and returns the screen.
    ///
    /// # Panics
    /// It has not within [`LIMIT`].
    pub fn wait_for(&self, text: &str) -> String {
        let screen = || self.ask(&["capture-pane", "-p"]);
        let found = wait_or(LIMIT, || {
            let screen = screen();
            screen.contains(text).then_some(screen)
        });
        found.unwrap_or_else(|| panic!("waited in vain for {text:?} on:\n{}", screen()))
    }

    /// Presses keys by their names in tmux, or `-l` and a text.
    pub fn press(&self, keys: &[&str]) {
        self.tell(&[&["send-keys"], keys].concat());
    }

    /// Types a line.
    pub fn type_line(&self, line: &str) {
        self.press(&["-l", line]);
        self.press(&["Enter"]);
    }

    /// Pastes a text as a terminal does.
    pub fn paste(&self, text: &str) {
        self.tell(&["set-buffer", text]);
        self.tell(&["paste-buffer", "-p"]);
    }

    /// Gives it so many columns and rows.
    pub fn resize(&self, (columns, rows): (u32, u32)) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tell(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// The process that runs in it.
    ///
    /// # Panics
    /// It is closed.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let pid = self.ask(&["display-message", "-p", "#{pane_pid}"]);
        pid.trim().parse().expect("a pid")
    }

    /// The first child of that process, which may be a shell's program.
    ///
    /// # Panics
    /// There is none within [`LIMIT`].
    #[must_use]
    pub fn child(&self) -> u32 {
        let shell = self.pid();
        wait_for("a program in the terminal", || {
            let path = format!("/proc/{shell}/task/{shell}/children");
            let children = fs::read_to_string(path).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    /// Whether it is as programs leave it: its first screen, the cursor shown, lines broken at the edge, no mouse asked for.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        let modes = "#{alternate_on} #{cursor_flag} #{wrap_flag} #{mouse_any_flag}";
        self.ask(&["display-message", "-p", modes]).trim() == "0 1 1 0"
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let server = self.ask(&["display-message", "-p", "#{pid}"]);
        self.tell(&["kill-server"]);
        if let Ok(server) = server.trim().parse() {
            // A second panic would end the test program.
            let _told_by_the_test = wait_or(LIMIT, || has_ended(server).then_some(()));
        }
    }
}
