//! Keys for the agent's pane; a headless agent has none, and gets none.

use super::Driver;
use crate::record::journal::Progress;
use crate::tmux::{self, Key};
use crate::turn::COMPOSER;

impl Driver<'_> {
    /// Presses a key, for the composer or for a dialog of that name.
    pub(super) async fn press(&mut self, key: Key, on: &'static str) -> Result<(), tmux::Error> {
        let key_name = key.name().to_owned();
        self.parts.journal.write(Progress::KeyPressed {
            key: key_name,
            on: on.to_owned(),
        });
        let (executor, composer) = (self.parts.executor, self.parts.executor.composer());
        match (self.parts.pane, on) {
            (None, _) => Ok(()),
            (Some(pane), COMPOSER) => pane.press_in_composer(key, composer).await,
            (Some(pane), on) if executor.has_fields(on) => pane.press(key).await,
            (Some(pane), _) => pane.press_in_dialog(key, composer).await,
        }
    }
}
