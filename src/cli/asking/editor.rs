//! An answer that is written in the person's editor, the one that git has.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use uuid::Uuid;

use crate::cli::safe;
use crate::record::RunDir;
use crate::worktree::caller::query_editor;

/// What stands above the question; nothing from there on is of the answer.
const SCISSORS: &str = "# ------------------------ >8 ------------------------";

/// Has the person write an answer, with the question before their eyes.
pub(super) fn write(run: &RunDir, question: &str) -> Result<String, String> {
    let editor = query_editor().ok_or("git names no editor: set EDITOR")?;
    let file = Draft::new(run.path(), &safe(question))
        .map_err(|error| format!("no file to edit: {error}"))?;
    let mut command = Command::new("sh");
    // As git does it: the command line may have arguments of its own.
    command.arg("-c").arg(format!("{editor} \"$@\""));
    let ended = command.arg(&editor).arg(file.path()).status();
    match ended {
        Ok(status) if status.success() => {}
        Ok(status) => return Err(format!("the editor `{editor}` ended with {status}")),
        Err(error) => return Err(format!("the editor can't be run: {error}")),
    }
    let text = fs::read_to_string(file.path());
    let text = text.map_err(|error| format!("what was written can't be read: {error}"))?;
    match answer_in(&text) {
        "" => Err("nothing was written: nothing is answered".to_owned()),
        answer => Ok(answer.to_owned()),
    }
}

fn answer_in(text: &str) -> &str {
    let end = text.find(SCISSORS).unwrap_or(text.len());
    text[..end].trim()
}

/// A file of ours for as long as the editor has it; one that a killed process left goes at the end of the run.
struct Draft(PathBuf);

impl Draft {
    fn new(dir: &Path, question: &str) -> std::io::Result<Self> {
        let draft = Self(dir.join(format!("answer.tmp-{}.md", Uuid::new_v4())));
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft.0)?;
        let hint = "# Write the answer above this line. An empty one answers nothing.";
        writeln!(file, "\n{SCISSORS}\n{hint}\n#")?;
        for line in question.lines() {
            writeln!(file, "# {line}")?;
        }
        Ok(draft)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _gone_already = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_what_stands_above_the_question() {
        let dir = tempfile::tempdir().expect("a directory");
        let draft = Draft::new(dir.path(), "  asks:\n    Tabs?").expect("a file");
        let empty = fs::read_to_string(draft.path()).expect("it is there");
        assert!(empty.ends_with("#   asks:\n#     Tabs?\n"), "{empty}");
        assert_eq!(answer_in(&empty), "");
        assert_eq!(
            answer_in(&format!("# Heading\n\nTabs.\n{empty}")),
            "# Heading\n\nTabs."
        );
        let path = draft.path().to_owned();
        drop(draft);
        assert!(!path.exists());
    }
}
