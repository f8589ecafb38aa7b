//! Tells from an agent's last message why its turn ended: with the result, a question, a request
//! for leave, or midway.
//!
//! The message's last line decides if it is the status that [`PREAMBLE`] asks for, unless the text
//! before it says otherwise. Without it the wording decides. Code blocks, block quotes, code spans
//! and quotations are never read as the agent's own words. The errors aren't equal: to take a
//! question for a result loses it, to call a result unclear costs a glance; so a result needs a
//! claim that the work is finished and nothing that asks for an answer, and what can't be told is
//! [`Verdict::Unclear`].
//!
//! Pure, and linear in the length of the message. The rules know English; of other languages only
//! the status line and the question mark.

mod markdown;
mod mask;
mod phrase;
mod report;
mod request;
mod trailer;

use serde::{Deserialize, Serialize};

use markdown::{Line, LineKind, Lines, Sentence};
use trailer::{Status, Trailer};

/// The text that stands before a brief: the ground rules, and the status line that makes the end of
/// a turn certain.
///
/// A single paragraph under 400 bytes, without a line end.
pub const PREAMBLE: &str = "Work in the current directory only. Leaving changes uncommitted is fine. \
    Decide details yourself; ask only if you cannot go on without an answer. End your last message with \
    exactly one of these as its last line: `STATUS: DONE` (finished), `STATUS: QUESTION` (you need an \
    answer) or `STATUS: BLOCKED` (you cannot continue).";

/// What an agent's last message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The job is finished and nothing is asked, save an offer of more.
    Result,
    /// The agent needs an answer or input.
    Question,
    /// The agent asks for leave to do something.
    Permission,
    /// The agent tells what it is doing and would go on.
    Status,
    /// None of these for certain.
    Unclear,
}

impl Verdict {
    /// The name in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Question => "question",
            Self::Permission => "permission",
            Self::Status => "status",
            Self::Unclear => "unclear",
        }
    }
}

/// A verdict and what decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Classification {
    /// What the message is.
    pub verdict: Verdict,
    /// The rule that decided: a stable name in snake_case, one of [`RULES`].
    pub rule: &'static str,
}

const fn rule(rule: &'static str, verdict: Verdict) -> Classification {
    Classification { verdict, rule }
}

const EMPTY_MESSAGE: Classification = rule("empty_message", Verdict::Unclear);
const TRAILER_DONE: Classification = rule("trailer_done", Verdict::Result);
const TRAILER_QUESTION: Classification = rule("trailer_question", Verdict::Question);
const TRAILER_BLOCKED: Classification = rule("trailer_blocked", Verdict::Question);
const TRAILER_CONTRADICTED: Classification = rule("trailer_contradicted", Verdict::Unclear);
const PERMISSION_REQUEST: Classification = rule("permission_request", Verdict::Permission);
const DIRECT_QUESTION: Classification = rule("direct_question", Verdict::Question);
const INPUT_REQUEST: Classification = rule("input_request", Verdict::Question);
const CLOSING_QUESTION: Classification = rule("closing_question", Verdict::Question);
const BURIED_QUESTION: Classification = rule("buried_question", Verdict::Unclear);
const PROGRESS_REPORT: Classification = rule("progress_report", Verdict::Status);
const CUT_OFF: Classification = rule("cut_off", Verdict::Unclear);
const UNFINISHED_WORK: Classification = rule("unfinished_work", Verdict::Unclear);
const UNCLOSED_FENCE: Classification = rule("unclosed_fence", Verdict::Unclear);
const STRAY_TRAILER: Classification = rule("stray_trailer", Verdict::Unclear);
const LOOSE_END: Classification = rule("loose_end", Verdict::Unclear);
const FINISHED_WITH_OFFER: Classification = rule("finished_with_offer", Verdict::Result);
const FINISHED_WORK: Classification = rule("finished_work", Verdict::Result);
const CODE_WITH_SUMMARY: Classification = rule("code_with_summary", Verdict::Result);
const NO_EVIDENCE: Classification = rule("no_evidence", Verdict::Unclear);

/// Every rule with the verdict it gives.
pub const RULES: [Classification; 20] = [
    EMPTY_MESSAGE,
    TRAILER_QUESTION,
    TRAILER_BLOCKED,
    TRAILER_CONTRADICTED,
    TRAILER_DONE,
    PERMISSION_REQUEST,
    DIRECT_QUESTION,
    INPUT_REQUEST,
    CLOSING_QUESTION,
    BURIED_QUESTION,
    PROGRESS_REPORT,
    CUT_OFF,
    UNFINISHED_WORK,
    UNCLOSED_FENCE,
    STRAY_TRAILER,
    LOOSE_END,
    FINISHED_WITH_OFFER,
    FINISHED_WORK,
    CODE_WITH_SUMMARY,
    NO_EVIDENCE,
];

/// Classifies an agent's last message, any text in markdown or none.
pub fn classify(message: &str) -> Classification {
    let Lines {
        mut lines,
        unclosed_fence,
    } = Lines::read(message);
    let Some(last) = lines.iter().rposition(|line| !line.text.is_empty()) else {
        return EMPTY_MESSAGE;
    };
    lines.truncate(last + 1);
    let trailer = cut_trailer(&mut lines[last]);
    let mut message = Message::read(&lines, unclosed_fence);
    match trailer {
        Some(Status::Question) => TRAILER_QUESTION,
        Some(Status::Blocked) => TRAILER_BLOCKED,
        Some(Status::Done) => {
            message.finished = true;
            if message.contradicts_done() {
                TRAILER_CONTRADICTED
            } else {
                TRAILER_DONE
            }
        }
        Some(Status::Other) => {
            message.stray_trailer = true;
            message.classify()
        }
        None => message.classify(),
    }
}

/// Takes the status off the last line, if the agent put one there.
fn cut_trailer(line: &mut Line<'_>) -> Option<Status> {
    let trailer = Some(&*line)
        .filter(|line| line.kind == LineKind::Prose)
        .and_then(|line| Trailer::find(line.text))?;
    line.text = line.text[..trailer.start].trim_end();
    Some(trailer.status)
}

/// A message without its trailer.
struct Message {
    sentences: Vec<Sentence>,
    /// Something claims that the work is finished.
    finished: bool,
    has_code: bool,
    unclosed_fence: bool,
    /// A status line stands elsewhere than at the end, or quoted at the end, or says what we don't
    /// know.
    stray_trailer: bool,
    /// The last line announces more than there is.
    cut_off: bool,
}

impl Message {
    fn read(lines: &[Line<'_>], unclosed_fence: bool) -> Self {
        let sentences = markdown::sentences(lines);
        let last = lines.last();
        let quoted = last
            .map(|last| last.kind)
            .filter(|kind| matches!(kind, LineKind::Code | LineKind::Quote));
        let at_end = lines
            .iter()
            .rev()
            .take_while(|line| Some(line.kind) == quoted);
        let said = lines.iter().filter(|line| line.kind == LineKind::Prose);
        let stray = said
            .chain(at_end)
            .filter_map(|line| Trailer::find(line.text.trim_start_matches(['>', ' '])));
        Self {
            finished: sentences.iter().any(|sentence| {
                report::finished(&sentence.text) && !report::progress(&sentence.text)
            }),
            has_code: lines.iter().any(|line| line.kind == LineKind::Code),
            stray_trailer: stray
                .into_iter()
                .any(|trailer| trailer.status != Status::Done),
            cut_off: last.is_some_and(|last| {
                last.kind == LineKind::Prose && last.text.ends_with([':', ','])
            }),
            sentences,
            unclosed_fence,
        }
    }

    /// Whether the text speaks against a trailer that says the work is done.
    fn contradicts_done(&self) -> bool {
        self.unclosed_fence
            || self.stray_trailer
            || self.open_question().is_some()
            || self.ends_in_progress()
            || self.admits_unfinished()
    }

    /// Decides by the wording alone.
    fn classify(&self) -> Classification {
        if let Some(rule) = self.open_question() {
            return rule;
        }
        let unfinished = self.admits_unfinished();
        let in_progress = || {
            self.sentences
                .iter()
                .any(|sentence| report::progress(&sentence.text))
        };
        if self.ends_in_progress() || !self.finished && !unfinished && in_progress() {
            PROGRESS_REPORT
        } else if self.cut_off {
            CUT_OFF
        } else if unfinished {
            UNFINISHED_WORK
        } else if self.unclosed_fence {
            UNCLOSED_FENCE
        } else if self.stray_trailer {
            STRAY_TRAILER
        } else if self.has_loose_end() {
            LOOSE_END
        } else if self.finished {
            if self.ends_in_offer() {
                FINISHED_WITH_OFFER
            } else {
                FINISHED_WORK
            }
        } else if self.summarizes_code() {
            CODE_WITH_SUMMARY
        } else {
            NO_EVIDENCE
        }
    }

    /// The rule of the last sentence that waits for an answer, if one does.
    fn open_question(&self) -> Option<Classification> {
        (0..self.sentences.len()).rev().find_map(|index| {
            let sentence = &self.sentences[index];
            if sentence.asks {
                self.question(index)
            } else {
                statement_request(&sentence.text)
            }
        })
    }

    /// The rule of a sentence with a question mark, unless it needs no answer.
    fn question(&self, index: usize) -> Option<Classification> {
        let sentence = &self.sentences[index];
        let next = self.sentences.get(index + 1);
        let introduces = request::introduces_answer(&sentence.text, sentence.heading)
            && next.is_some_and(|next| {
                sentence.heading || !next.asks && !report::checks_passed(&next.text)
            });
        let answered =
            next.is_some_and(|next| !next.asks && request::is_settled(&sentence.text, &next.text));
        if introduces || answered || self.finished && request::offers_extra(&sentence.text) {
            return None;
        }
        let closes = self
            .sentences
            .last()
            .is_some_and(|last| last.block == sentence.block);
        Some(if request::asks_permission(&sentence.text) {
            PERMISSION_REQUEST
        } else if request::addresses_reader(&sentence.text) {
            DIRECT_QUESTION
        } else if closes || !self.finished {
            CLOSING_QUESTION
        } else {
            BURIED_QUESTION
        })
    }

    fn ends_in_progress(&self) -> bool {
        self.sentences
            .last()
            .is_some_and(|last| report::progress(&last.text))
    }

    fn ends_in_offer(&self) -> bool {
        self.sentences
            .last()
            .is_some_and(|last| request::offers(&last.text) || request::offers_extra(&last.text))
    }

    fn admits_unfinished(&self) -> bool {
        self.sentences
            .iter()
            .any(|sentence| report::unfinished(&sentence.text))
    }

    /// Whether a sentence hints at something open. What was done may well be about decisions, so
    /// claims don't count.
    fn has_loose_end(&self) -> bool {
        self.sentences.iter().any(|sentence| {
            request::leaves_open(&sentence.text)
                && !report::finished(&sentence.text)
                && !request::offers(&sentence.text)
        })
    }

    /// Whether the message is code with plain statements about it, not just a caption.
    fn summarizes_code(&self) -> bool {
        let texts = || self.sentences.iter().map(|sentence| sentence.text.as_str());
        self.has_code
            && texts().any(|text| text.split(' ').count() >= 5)
            && !texts().any(report::is_tentative)
    }
}

/// The rule of a sentence that asks without a question mark, if it does.
fn statement_request(text: &str) -> Option<Classification> {
    if request::requests_permission(text) {
        Some(PERMISSION_REQUEST)
    } else {
        request::requests_input(text).then_some(INPUT_REQUEST)
    }
}
