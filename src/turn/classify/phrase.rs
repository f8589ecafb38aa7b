//! Matchers for English phrases in the text of a [`Sentence`](super::markdown::Sentence).
//!
//! That text is lower case, with straight apostrophes and a backtick for each quotation and code
//! span. Matching is by ASCII words, in linear time; text in another language matches nothing.

use regex::{Regex, RegexBuilder};

/// Words that may stand before an opening phrase.
pub(super) const LEAD: &str = "(?:(?:so|and|but|also|ok|okay|now|well|then|first|next|great|\
    good|perfect|alright|right|sure|finally|please|kindly|hi|hello|quick check|question|q|\
    to continue|to proceed|to go on|before that|if so|if not|in short|meanwhile|\
    in the meantime)\\b[,:;!.]? ?(?:(?:-|–|—) ?)?)*";

/// Matches one of the alternatives anywhere in a sentence, at word boundaries.
pub(super) fn anywhere(alternatives: &[&str]) -> Regex {
    compile(&format!(
        r"\b(?:{})(?:\b|[ `.,:;!]|$)",
        alternatives.join("|")
    ))
}

/// Matches one of the alternatives where a sentence opens.
pub(super) fn opening(alternatives: &[&str]) -> Regex {
    compile(&format!(
        r"^{LEAD}(?:{})(?:\b|[ `.,:;!]|$)",
        alternatives.join("|")
    ))
}

/// Compiles a pattern of our own.
pub(super) fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern)
        .unicode(false)
        .build()
        .expect("the pattern is constant and covered by a test")
}
