//! The record of a run for the test that drives it: one JSON object per line in `CX_SCRIPT_LOG`.
//!
//! Every line has `ms` (since the start) and `event`: `key {key}`, `paste {text}`, `prompt {text}`, `hook {name, command, status,
//! stdout}`, `choice {dialog, option}`, `screen {name}`, `failure {message}`, `exit {status}`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

/// Writes log lines, or nothing where no log was asked for.
#[derive(Clone)]
pub(crate) struct Log {
    file: Option<Arc<File>>,
    start: Instant,
}

impl Log {
    /// Opens the file that `CX_SCRIPT_LOG` names; a file that cannot be opened is a log that is missing, which tests notice.
    pub(crate) fn from_env() -> Self {
        let file = std::env::var_os("CX_SCRIPT_LOG")
            .and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok());
        Self {
            file: file.map(Arc::new),
            start: Instant::now(),
        }
    }

    /// Appends one event; `fields` is an object.
    pub(crate) fn write(&self, event: &str, fields: &Value) {
        let Some(file) = &self.file else { return };
        let mut line = json!({ "ms": self.start.elapsed().as_millis(), "event": event });
        if let (Some(line), Some(fields)) = (line.as_object_mut(), fields.as_object()) {
            line.extend(fields.clone());
        }
        // One write per line, so that a reader never sees half of one; the log must not change what is logged, so errors are dropped.
        let _ = file.as_ref().write_all(format!("{line}\n").as_bytes());
    }
}
