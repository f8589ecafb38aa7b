//! The texts of the policies that come with the program.

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
