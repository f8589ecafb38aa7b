//! The size of a pane while people look on.
//!
//! A pane has [`SIZE`](super::SIZE), for which its screen is read. While nothing is read and nothing is typed, its operator may
//! [fit](Pane::fit) it to the terminals that look on. Whatever else is done with a pane gives it its own size back first, and
//! waits until the program has drawn for it: nothing is read, and no key is pressed, in another size.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tmux_interface::{CapturePane, DisplayMessage, ListClients, ResizeWindow, TmuxCommand};

use super::{Error, Pane, SIZE};

/// The fewest columns and rows that a pane gets: below, a terminal shows a part of it.
const LEAST: (usize, usize) = (60, 15);
/// How long a program may take to draw for another size. A pane in which nothing is drawn has nothing to draw.
///
/// Source: tmux 3.3a tells a program of a second change within 250 ms at their end.
const DRAWING: Duration = Duration::from_secs(1);
/// Between two looks at that.
const PACE: Duration = Duration::from_millis(25);

/// A format: columns, rows, and `1` where the program has ended.
const WINDOW: &str = "#{window_width} #{window_height} #{pane_dead}";

impl Pane {
    /// Gives the pane the size of the terminals that look on, of several the least columns and the least rows, at most its own
    /// size; its own where nobody looks on. Returns whether anybody does.
    ///
    /// # Errors
    /// What tmux refuses; a pane that is gone, too.
    pub(crate) async fn fit(&self) -> Result<bool, Error> {
        let show = DisplayMessage::new()
            .print()
            .target_pane(self.id.as_str())
            .message(WINDOW);
        let list = ListClients::new()
            .target_session(self.session.as_str())
            // A client in control mode has no terminal.
            .format("#{?client_control_mode,,#{client_width} #{client_height}}");
        let tmux = self.server.tmux();
        let tmux = tmux.add_command(show.build()).add_command(list.build());
        let shown = self.server.run("list-clients", tmux).await?;
        let mut sizes = shown.lines().filter_map(size_of);
        let current = sizes.next();
        let Some(wanted) = fitting(sizes) else {
            self.put_back().await?;
            return Ok(false);
        };
        if wanted == SIZE {
            self.put_back().await?;
        } else if current != Some(wanted) {
            self.is_fitted.store(true, Ordering::Relaxed);
            let tmux = self.server.tmux().add_command(self.resize(wanted));
            self.server.run("resize-window", tmux).await?;
        }
        Ok(true)
    }

    /// Whether the pane may have another size than its own.
    pub(crate) fn is_fitted(&self) -> bool {
        self.is_fitted.load(Ordering::Relaxed)
    }

    /// What the pane shows in the size that it has at this moment, with escape sequences.
    ///
    /// # Errors
    /// What tmux refuses; a pane that is gone, too.
    pub(crate) async fn query_as_it_is(&self) -> Result<String, Error> {
        self.server.screens.query(&self.server, &self.id).await
    }

    /// Gives the pane its own size back, and waits until its program has drawn for it.
    ///
    /// # Errors
    /// What tmux refuses; a pane that is gone, too.
    pub(crate) async fn put_back(&self) -> Result<(), Error> {
        if !self.is_fitted() {
            return Ok(());
        }
        let show = DisplayMessage::new()
            .print()
            .target_pane(self.id.as_str())
            .message(WINDOW);
        // In one call: the program has had no time to draw.
        let tmux = self.server.tmux().add_command(show.build());
        let tmux = tmux.add_command(self.resize(SIZE));
        let tmux = tmux.add_command(self.capture());
        let shown = self.server.run("resize-window", tmux).await?;
        self.is_fitted.store(false, Ordering::Relaxed);
        let (size, before) = shown.split_once('\n').unwrap_or_default();
        if size_of(size) == Some(SIZE) || size.ends_with(" 1") {
            return Ok(());
        }
        self.await_drawing(before.to_owned()).await
    }

    /// Waits until the screen is another one than `before`, and at rest for a look.
    async fn await_drawing(&self, before: String) -> Result<(), Error> {
        let until = Instant::now() + DRAWING;
        let mut last = before.clone();
        while Instant::now() < until {
            tokio::time::sleep(PACE).await;
            let tmux = self.server.tmux().add_command(self.capture());
            let screen = self.server.run("capture-pane", tmux).await?;
            if screen != before && screen == last {
                break;
            }
            last = screen;
        }
        Ok(())
    }

    fn capture<'a>(&self) -> TmuxCommand<'a> {
        let capture = CapturePane::new().stdout();
        capture.target_pane(self.id.clone()).build()
    }

    fn resize<'a>(&self, (width, height): (usize, usize)) -> TmuxCommand<'a> {
        let resize = ResizeWindow::new().target_window(self.id.clone());
        resize.width(width).height(height).build()
    }
}

/// The columns and rows that a line begins with.
fn size_of(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The size that suits terminals of those sizes; `None` without any.
fn fitting(terminals: impl Iterator<Item = (usize, usize)>) -> Option<(usize, usize)> {
    let least = terminals.reduce(|one, other| (one.0.min(other.0), one.1.min(other.1)))?;
    Some((
        least.0.clamp(LEAST.0, SIZE.0),
        least.1.clamp(LEAST.1, SIZE.1),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pane_suits_everybody_and_stays_readable() {
        let of = |sizes: &[(usize, usize)]| fitting(sizes.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(80, 24)]), Some((80, 24)));
        assert_eq!(of(&[(100, 20), (80, 40)]), Some((80, 20)));
        assert_eq!(of(&[(300, 80)]), Some(SIZE));
        assert_eq!(of(&[(20, 5)]), Some(LEAST));
        assert_eq!(of(&[(20, 5), (300, 40)]), Some((60, 15)));
    }
}
