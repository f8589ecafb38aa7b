//! Its user's hooks, in `settings.json` beside all other settings. Nobody has to trust them.
//!
//! Source: 2.1.332, `tests/agent/global_hooks/claude.rs`.

use std::path::PathBuf;

use super::executor::Claude;
use super::{home, launch, managed};
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

    /// Source: 2.1.197 and 2.1.332.
    fn is_forgiving(&self) -> bool {
        true
    }

    fn events(&self) -> &'static [(&'static str, Kind)] {
        &launch::EVENTS
    }

    fn judge(&self, judged: Judged<'_>, found: &mut Verification) -> Result<(), Error> {
        let by_user = judged.content[SWITCH] == true;
        let by_user = by_user.then(|| format!("{SWITCH} is set"));
        for why in managed::find_against_hooks().into_iter().chain(by_user) {
            found
                .complaints
                .push(format!("{why}, so that no hook runs"));
            for hook in &mut found.hooks {
                hook.works = false;
            }
        }
        Ok(())
    }
}
