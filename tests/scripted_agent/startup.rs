//! The startup: the composer is drawn first, dialogs may still replace it, then the status row names the model.

use std::time::Duration;

use serde_json::json;
use toml::Value;

use crate::config::main_root;
use crate::dialogs::Dialog;
use crate::end::End;
use crate::screen::Bottom;
use crate::session::Agent;
use crate::terminal::Key;

/// How long the composer shows `loading`.
const LOADING: Duration = Duration::from_millis(100);

const COMMAND_CENTER: &str = "\n  Agent command center  Group: Project  g\n\n   All 0   Needs you 0   Working 0   Ready 0   Inactive 0";

impl Agent {
    /// Ends the startup, once: asks what codex asks with this configuration. What is typed while it loads stays in the composer,
    /// what is submitted waits for the end.
    pub(crate) fn become_ready(&mut self) -> Result<(), End> {
        if self.ready {
            return Ok(());
        }
        let loaded = self.start + LOADING;
        if let Some(prompt) = self.next_prompt(Some(loaded))? {
            self.argument.get_or_insert(prompt);
            while self.next_prompt(Some(loaded))?.is_some() {}
        }
        if !self.config.signed_in() {
            self.answer(Dialog::sign_in())?;
        }
        if !self.config.is_trusted() {
            self.answer(self.directory_trust())?;
        }
        if self.hooks.iter().any(|hook| !hook.trusted) {
            self.answer(self.hook_review())?;
        }
        self.ready = true;
        self.screen.loaded(self.config.cwd.display().to_string());
        self.log.write("screen", &json!({ "name": "composer" }));
        self.draw()
    }

    /// The trust dialog for this directory.
    pub(crate) fn directory_trust(&self) -> Dialog {
        let root = main_root(&self.config.cwd);
        let root = (root != self.config.cwd).then(|| root.display().to_string());
        Dialog::directory_trust(&self.config.cwd.to_string_lossy(), root.as_deref())
    }

    /// The review of the hooks that are not trusted; at least one, so that a script can show it any time.
    pub(crate) fn hook_review(&self) -> Dialog {
        Dialog::hook_review(
            self.hooks
                .iter()
                .filter(|hook| !hook.trusted)
                .count()
                .max(1),
        )
    }

    /// Shows a dialog and does what the chosen option does.
    pub(crate) fn answer(&mut self, mut dialog: Dialog) -> Result<(), End> {
        let option = self.ask(&mut dialog)?;
        match (dialog.name.as_str(), option) {
            ("directory-trust", 1) => {
                let root = main_root(&self.config.cwd);
                let path = ["projects", &root.to_string_lossy(), "trust_level"];
                self.config.remember(&path, Value::from("trusted"))
            }
            ("directory-trust", _) => self.command_center(),
            ("hook-review", 1) => self.browse_hooks(),
            ("hook-review", 2) => self.trust_all(),
            ("model-offer", option) => self.answer_offer(option == 1),
            ("update", 1) | ("sign-in", _) => Err(End::Forbidden(format!(
                "option {option} of {}",
                dialog.name
            ))),
            ("unknown", 2) => Err(self.quit()?),
            _ => self.draw(),
        }
    }

    /// The list of hooks: `t` trusts them all, Esc leaves it.
    fn browse_hooks(&mut self) -> Result<(), End> {
        let list = "\n  Hooks\n  Lifecycle hooks from config and enabled plugins.\n\n  t trust all · enter review · esc close";
        self.screen.draw(&Bottom::Verbatim(list))?;
        loop {
            match self.next_input(None)?.map(|input| input.key) {
                Some(Key::Char('t')) => return self.trust_all(),
                Some(Key::Esc) => return self.draw(),
                _ => {}
            }
        }
    }

    /// Trusts every hook for good, in the user's file.
    fn trust_all(&mut self) -> Result<(), End> {
        for hook in &mut self.hooks {
            let path = ["hooks", "state", &hook.key, "trusted_hash"];
            self.config
                .remember(&path, Value::from(hook.hash.as_str()))?;
            hook.trusted = true;
        }
        self.draw()
    }

    /// Remembers that the model was offered; taking it changes the user's model.
    fn answer_offer(&mut self, take: bool) -> Result<(), End> {
        let old = self.config.model.clone();
        self.config.remember(
            &["notice", "model_migrations", &old],
            Value::from("gpt-6-sol"),
        )?;
        if take {
            self.config.remember(&["model"], Value::from("gpt-6-sol"))?;
            "gpt-6-sol".clone_into(&mut self.config.model);
            self.screen.said("Model changed to gpt-6-sol medium");
        }
        self.draw()
    }

    /// Where the refusal of trust leads: a list of sessions that only Ctrl-C leaves.
    fn command_center(&mut self) -> Result<(), End> {
        self.screen.draw(&Bottom::Verbatim(COMMAND_CENTER))?;
        loop {
            if self
                .next_input(None)?
                .is_some_and(|input| input.key == Key::Ctrl('c'))
            {
                return Err(End::Exit(0));
            }
        }
    }
}
