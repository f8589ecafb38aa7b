//! Its user's hooks, in `settings.json` beside all other settings. Nobody has to trust them.
//!
//! Source: 2.1.332, `tests/agent/global_hooks/claude.rs`.

use std::path::PathBuf;

use super::executor::Claude;
use super::{home, launch};
use crate::agent::executor::Executor;
use crate::agent::global_hooks::{Error, GlobalHooks, Judged, Verification};
use crate::agent::signals::Kind;

/// The setting that switches all hooks off.
const SWITCH: &str = "disableAllHooks";

impl GlobalHooks for Claude {
    fn agent(&self) -> &'static str {
        self.name()
    }

    fn home(&self, variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        home::directory(variable)
    }

    fn file(&self) -> &'static str {
        home::USER_SETTINGS
    }

    fn events(&self) -> &'static [(&'static str, Kind)] {
        &launch::EVENTS
    }

    fn judge(&self, judged: Judged<'_>, found: &mut Verification) -> Result<(), Error> {
        if judged.content[SWITCH] == true {
            let complaint = format!("{SWITCH} is set, so that no hook runs");
            found.complaints.push(complaint);
            for hook in &mut found.hooks {
                hook.works = false;
            }
        }
        Ok(())
    }
}
