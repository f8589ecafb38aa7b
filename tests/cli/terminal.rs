//! A terminal in which a person has started a program, by a tmux server of its own.

use std::process::Command;

use testkit::built;
use testkit::wait::{LIMIT, wait_for, wait_or};

use crate::place::Place;

pub(crate) struct Terminal<'a> {
    place: &'a Place,
}

impl<'a> Terminal<'a> {
    /// A terminal of that size in which the operator's program runs with these arguments. Its exit status is shown when it has
    /// ended, and whether the terminal is as it was.
    pub(crate) fn of(place: &'a Place, (columns, rows): (u16, u16), arguments: &[&str]) -> Self {
        let terminal = Self { place };
        let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        let program = built::operator().display().to_string();
        let line = format!(
            "trap : INT; '{program}' {}; echo \"ended with $?\"; exec sleep 600",
            quoted.join(" ")
        );
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut command = terminal.tmux();
        command.args([
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            "sh",
            "-c",
            &line,
        ]);
        command.args([";", "set-option", "-g", "status", "off"]);
        assert!(command.status().expect("tmux runs").success());
        terminal
    }

    fn tmux(&self) -> Command {
        let mut command = self.place.command("timeout");
        command.args(["20", "tmux", "-u", "-f", "/dev/null", "-S"]);
        command.arg(self.place.path("person.sock"));
        command
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.tmux().args(arguments).output().expect("tmux runs");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    pub(crate) fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// Waits until the screen has that text, and returns the screen.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let found = wait_or(LIMIT, || {
            let screen = self.screen();
            screen.contains(text).then_some(screen)
        });
        found.unwrap_or_else(|| panic!("waited in vain for {text:?} on:\n{}", self.screen()))
    }

    pub(crate) fn press(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }

    /// Pastes a text as a terminal does.
    pub(crate) fn paste(&self, text: &str) {
        self.ask(&["set-buffer", text]);
        self.ask(&["paste-buffer", "-p"]);
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.ask(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// The process of the program that runs in it: the shell's child.
    pub(crate) fn program(&self) -> i32 {
        let shell = self.ask(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        wait_for("a program in the terminal", || {
            let path = format!("/proc/{shell}/task/{shell}/children");
            let children = std::fs::read_to_string(path).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    /// Whether it is as programs leave it: its first screen, the cursor shown, lines broken at the edge, no mouse asked for.
    pub(crate) fn is_restored(&self) -> bool {
        let modes = "#{alternate_on} #{cursor_flag} #{wrap_flag} #{mouse_any_flag}";
        self.ask(&["display-message", "-p", modes]).trim() == "0 1 1 0"
    }
}
