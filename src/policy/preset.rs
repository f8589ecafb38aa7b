//! The policies that come with the program.

use super::file::Policy;

/// Name and document of each.
pub const PRESETS: [(&str, &str); 3] = [
    ("read-only", include_str!("presets/read-only.toml")),
    ("edit-and-test", include_str!("presets/edit-and-test.toml")),
    ("local-only", include_str!("presets/local-only.toml")),
];

/// The document of a preset.
#[must_use]
pub fn text_of(name: &str) -> Option<&'static str> {
    let preset = PRESETS.iter().find(|(known, _)| *known == name);
    preset.map(|(_, text)| *text)
}

impl Policy {
    /// A preset.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        let text = text_of(name)?;
        Some(Self::parse_unchecked(text).expect("a test reads every preset"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_right() {
        for (name, text) in PRESETS {
            let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            for rule in policy.rules() {
                let examples = rule.matching.len() + rule.not_matching.len();
                assert!(examples > 0, "{name}: {} has no example", rule.name);
            }
        }
    }
}
