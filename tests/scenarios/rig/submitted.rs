//! What was submitted, as the agent tells it.

use std::fs;

use cx_operator::record::Outcome;

use super::Rig;

impl Rig {
    /// The whole text of the prompt that began a turn (from 1), as the agent's own event has it.
    pub(crate) fn submitted_prompt(&self, outcome: &Outcome, turn: usize) -> String {
        let dir = outcome.run_dir.as_ref().expect("the run came to be");
        let mut names: Vec<_> = fs::read_dir(dir.join("signals"))
            .expect("the signals")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default();
                name.to_string_lossy().starts_with("prompt-")
            })
            .collect();
        // The name's order is the session's first: one session's events sort by time.
        names.sort();
        let bytes = fs::read(&names[turn - 1]).expect("the payload");
        let payload: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        let prompt = payload["prompt"].as_str().expect("a prompt");
        // Claude Code marks a long paste.
        let marks =
            "\n*<pasted_content id=\"[0-9a-f]+\">\n|\n</pasted_content id=\"[0-9a-f]+\">\n?";
        let marks = regex::Regex::new(marks).expect("a valid pattern");
        marks.replace_all(prompt, "").into_owned()
    }
}
