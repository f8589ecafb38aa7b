//! Its user's hooks, in `$CODEX_HOME/hooks.json`.
//!
//! Codex runs an entry only after the user has trusted it (`Hooks need review` at its next start).
//!
//! Source: codex 0.130.0, 0.150.0, 0.169.0, which refuse the same files, see `tests/agent/global_hooks.rs`.

use std::path::{Path, PathBuf};

use super::app_server::{self, ListedHook};
use super::executor::Codex;
use super::program::{codex_home, find};
use super::trust::event_names;
use crate::agent::executor::{Executor, Refusal};
use crate::agent::global_hooks::{Error, GlobalHooks, Judged, Review, Verification};
use crate::agent::signals::Kind;
use crate::os::search_path::search_path;

/// The events, in the order in which a turn meets them.
const EVENTS: [(&str, Kind); 4] = {
    let [start, prompt, permission, stop] = Kind::ALL;
    [event(start), event(prompt), event(permission), event(stop)]
};

const fn event(kind: Kind) -> (&'static str, Kind) {
    (event_names(kind).configured, kind)
}

impl GlobalHooks for Codex {
    fn agent(&self) -> &'static str {
        self.name()
    }

    fn home(&self, variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
        codex_home(variable)
    }

    fn file(&self) -> &'static str {
        "hooks.json"
    }

    fn events(&self) -> &'static [(&'static str, Kind)] {
        &EVENTS
    }

    fn is_reviewed(&self) -> bool {
        true
    }

    fn find(&self, named: Option<&Path>) -> Result<Option<PathBuf>, Refusal> {
        let found = find(named, Some(&search_path()))?;
        Ok(Some(found))
    }

    fn judge(&self, judged: Judged<'_>, found: &mut Verification) -> Result<(), Error> {
        let program = judged.program.unwrap_or(Path::new(self.name()));
        // No project has a configuration there, so the answer is about the user's alone.
        let list = app_server::query_hooks(program, judged.home, Path::new("/"));
        let list = list.map_err(|error| Error::Query {
            agent: self.name(),
            source: error.into(),
        })?;
        // Codex names the file as it found it, a link or not.
        let file = found.file.canonicalize().ok();
        for hook in &mut found.hooks {
            let listed = list.hooks.iter().find(|listed| {
                listed.event_name == event_names(hook.kind).listed
                    && listed.command.is_some()
                    && listed.command == hook.command
                    && listed.source_path.canonicalize().ok() == file
            });
            hook.review = listed.map(|listed| Review {
                trust: format!("{:?}", listed.trust_status).to_lowercase(),
                hash: listed.current_hash.clone(),
            });
            hook.works &= listed.is_some_and(ListedHook::is_active);
        }
        let error =
            |error: &app_server::ListError| format!("{}: {}", error.path.display(), error.message);
        found.complaints.extend(list.warnings);
        found.complaints.extend(list.errors.iter().map(error));
        Ok(())
    }
}
