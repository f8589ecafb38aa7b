//! The tokens of a session's messages. Each message is told of several times, with the same count or a later one.

use std::collections::HashMap;

use serde_json::Value;

use crate::agent::report::Usage;

/// The tokens so far.
#[derive(Debug, Default)]
pub(super) struct Counted {
    messages: HashMap<String, Usage>,
    total: Usage,
}

impl Counted {
    /// Counts a message. Returns the new total, where it is another one.
    pub(super) fn add(&mut self, message: &Value) -> Option<Usage> {
        let id = message["id"].as_str()?;
        let usage = usage_in(&message["usage"]).filter(|_| message["model"] != "<synthetic>")?;
        let before = self.messages.insert(id.to_owned(), usage);
        if before == Some(usage) {
            return None;
        }
        self.total = self.total.plus(usage).minus(before.unwrap_or_default());
        Some(self.total)
    }

    /// Takes the program's own sum for that of all messages so far.
    pub(super) fn settle(&mut self, sum: Usage) {
        self.total = sum;
    }
}

fn usage_in(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64();
    let (new, output) = (count("input_tokens")?, count("output_tokens")?);
    let written = count("cache_creation_input_tokens").unwrap_or_default();
    let cached = count("cache_read_input_tokens").unwrap_or_default();
    let input = new + written + cached;
    Some(Usage {
        input_tokens: input,
        output_tokens: output,
        total_tokens: input + output,
        cached_input_tokens: Some(cached),
        cache_write_input_tokens: Some(written),
        reasoning_output_tokens: usage["output_tokens_details"]["thinking_tokens"].as_u64(),
    })
}
