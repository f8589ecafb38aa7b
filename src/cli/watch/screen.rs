//! The person's terminal while the screen is on it.

use std::io::{self, Stdout, stdout};
use std::panic;
use std::sync::Once;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui_core::layout::Rect;
use ratatui_core::terminal::Terminal;
use ratatui_crossterm::CrosstermBackend;

use super::model::Model;
use super::view::{self, Look};

/// A screen of its own, as long as it is held.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                // What it says is to be read.
                leave();
                usual(info);
            }));
        });
        enable_raw_mode()?;
        let screen = Self {
            terminal: Terminal::new(CrosstermBackend::new(stdout()))?,
        };
        // What is pasted is text: as keys, a second line of it would be commands.
        execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)?;
        Ok(screen)
    }

    pub(super) fn draw(&mut self, model: &mut Model, look: Look) -> io::Result<()> {
        let draw = |frame: &mut ratatui_core::terminal::Frame| {
            let area = frame.area();
            view::draw(model, look, area, frame.buffer_mut());
        };
        self.terminal.draw(draw).map(drop)
    }

    /// Its place and size.
    pub(super) fn area(&self) -> Rect {
        let size = self.terminal.size().unwrap_or_default();
        Rect::new(0, 0, size.width, size.height)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    let _closed = execute!(stdout(), Show, DisableBracketedPaste, LeaveAlternateScreen);
    let _gone = disable_raw_mode();
}
