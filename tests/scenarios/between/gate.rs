//! Stops a run between two of its steps: every tmux command of the operator passes a gate, which a scenario closes.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::rig::{Rig, wait_for};

/// A tmux that waits at the gate. `@GATE@` is the directory of its notes, `@TMUX@` the real program.
const TMUX: &str = r#"#!/bin/sh
case "$*" in
  *paste-buffer*) step=paste ;;
  *S-F12*) step=send ;;
  *" Enter"*) step=confirm ;;
  *capturep*) step=look ;;
  *) step=other ;;
esac
if [ -e "@GATE@/hold-$step" ]; then
  echo $$ >"@GATE@/at-$step.new"
  mv "@GATE@/at-$step.new" "@GATE@/at-$step"
  while [ -e "@GATE@/hold-$step" ]; do sleep 0.02; done
fi
if [ $step = look ] && [ -e "@GATE@/earlier" ]; then
  shown=$("@TMUX@" "$@") || exit
  case "$shown" in
    *"$(cat "@GATE@/later")"*) exec cat "@GATE@/earlier" ;;
  esac
  printf '%s\n' "$shown"
  exit
fi
exec "@TMUX@" "$@"
"#;

/// A step of the operator's that a gate can be closed before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// A prompt, or the word that ends the agent politely, is pasted.
    Paste,
    /// The key that submits a prompt is pressed.
    Send,
    /// Enter is pressed.
    Confirm,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Paste => "paste",
            Self::Send => "send",
            Self::Confirm => "confirm",
        }
    }
}

/// The gate of a rig.
pub(crate) struct Gate {
    dir: PathBuf,
}

impl Gate {
    /// An open gate.
    pub(crate) fn new(rig: &Rig) -> Self {
        let dir = rig.path("gate");
        fs::create_dir(&dir).expect("a directory");
        let path = std::env::var_os("PATH").expect("a PATH");
        let tmux = std::env::split_paths(&path).map(|entry| entry.join("tmux"));
        let tmux = tmux.into_iter().find(|file| file.exists()).expect("tmux");
        let script = TMUX
            .replace("@GATE@", &dir.display().to_string())
            .replace("@TMUX@", &tmux.display().to_string());
        let wrapper = dir.join("tmux");
        fs::write(&wrapper, script).expect("a script");
        fs::set_permissions(wrapper, fs::Permissions::from_mode(0o755)).expect("a mode");
        Self { dir }
    }

    /// The PATH of an operator that is to pass it.
    pub(crate) fn search_path(&self) -> OsString {
        let path = std::env::var_os("PATH").expect("a PATH");
        let entries = std::iter::once(self.dir.clone()).chain(std::env::split_paths(&path));
        std::env::join_paths(entries).expect("none has a colon")
    }

    /// Closes it before the next such step. The operator gives a command up after some seconds.
    pub(crate) fn close(&self, step: Step) {
        fs::write(self.note("hold", step), "").expect("a note");
    }

    /// Waits until the operator stands before it; the pid of its tmux client.
    pub(crate) async fn reached(&self, step: Step) -> u32 {
        wait_for(step.name(), || {
            let pid = fs::read_to_string(self.note("at", step)).ok()?;
            pid.trim().parse().ok()
        })
        .await
    }

    /// Opens it.
    pub(crate) fn open(&self, step: Step) {
        fs::remove_file(self.note("hold", step)).expect("it was closed");
        fs::remove_file(self.note("at", step)).expect("it was reached");
    }

    /// Shows the operator this screen in place of each with that text, as if its looks came before.
    pub(crate) fn show_earlier(&self, screen: &str, text: &str) {
        fs::write(self.dir.join("later"), text).expect("a note");
        fs::write(self.dir.join("earlier"), screen).expect("a note");
    }

    /// Shows what is there.
    pub(crate) fn show_all(&self) {
        fs::remove_file(self.dir.join("earlier")).expect("it is shown");
    }

    fn note(&self, what: &str, step: Step) -> PathBuf {
        self.dir.join(format!("{what}-{}", step.name()))
    }
}
