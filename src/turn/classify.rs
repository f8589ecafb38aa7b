//! Tells from an agent's last message why its turn ended: with the result, a question, a request for leave, or midway.
//!
//! The message's last line decides if it is the status that [`PREAMBLE`] asks for, unless the text before it says
//! otherwise. Without it the wording decides, with what is known beside it: [`Evidence`]. Code, quotations and code spans
//! are never read as the agent's own words. The errors aren't equal: to take a question for a result loses it, to call a
//! result unclear costs one turn, in which the agent itself is asked ([`PROBE`]). So a result needs a claim, or work that
//! was seen, and nothing in the text that turns to the reader, admits a failure or announces more; and what can't be told
//! is [`Verdict::Unclear`].
//!
//! Pure, and linear in the length of the message. The rules are for English; in other languages a report is known that has
//! nothing else beside it.

mod abroad;
mod text;
mod trailer;
mod words;

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::agent::report::Phase;
use text::{Line, Sentence};
use trailer::{Trailer, TrailerStatus};

/// The text before a brief: the ground rules, and the status line that makes the end of
/// a turn certain.
///
/// A single paragraph under 400 bytes, without a line end.
pub const PREAMBLE: &str = "Work in the current directory only. Leaving changes uncommitted is fine. \
    Decide details yourself; ask only if you cannot go on without an answer. End your last message with \
    exactly one of these as its last line: `STATUS: DONE` (finished), `STATUS: QUESTION` (you need an \
    answer) or `STATUS: BLOCKED` (you cannot continue).";

/// Said to an agent whose last message can't be told: it is asked once, in whatever language it speaks.
pub const PROBE: &str = "How does the task stand? Change nothing and run nothing; reply with exactly one line, in this \
    form: `STATUS: DONE` (the task is finished), `STATUS: QUESTION <your question>` (you need an answer or leave), \
    `STATUS: BLOCKED <why>` (it is not finished and you cannot go on) or `STATUS: CONTINUE` (it is not finished and you \
    can go on without an answer).";

/// The kind of an agent's last message.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// The job is finished and nothing is asked, save for an offer of more without a question mark.
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
        self.into()
    }
}

/// A verdict and what decided it.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Classification {
    /// The kind of the message.
    pub verdict: Verdict,
    /// The rule that decided: a stable name in snake_case.
    pub rule: &'static str,
}

/// The evidence of a turn beside its last message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The agent called a tool in this turn.
    pub worked: bool,
    /// The phase that the agent's model gave the message.
    pub phase: Phase,
    /// A tool was called after the message: it is not the last word.
    pub overtaken: bool,
}

impl Evidence {
    /// Whether the message was said on the way.
    fn is_midway(self) -> bool {
        self.overtaken || self.phase == Phase::Commentary
    }
}

const fn rule(rule: &'static str, verdict: Verdict) -> Classification {
    Classification { verdict, rule }
}

macro_rules! rules {
    ($($name:ident = $rule:literal => $verdict:ident;)*) => {
        $(const $name: Classification = rule($rule, Verdict::$verdict);)*

        /// Every rule with the verdict it gives.
        #[cfg(feature = "unstable")]
        pub const RULES: &[Classification] = &[$($name),*];
    };
}

rules! {
    EMPTY_MESSAGE = "empty_message" => Unclear;
    TRAILER_DONE = "trailer_done" => Result;
    TRAILER_QUESTION = "trailer_question" => Question;
    TRAILER_BLOCKED = "trailer_blocked" => Question;
    TRAILER_CONTINUE = "trailer_continue" => Status;
    TRAILER_CONTRADICTED = "trailer_contradicted" => Unclear;
    PROBE_DONE = "probe_done" => Result;
    PROBE_QUESTION = "probe_question" => Question;
    PROBE_BLOCKED = "probe_blocked" => Question;
    PROBE_CONTINUE = "probe_continue" => Status;
    PROBE_UNANSWERED = "probe_unanswered" => Unclear;
    PERMISSION_REQUEST = "permission_request" => Permission;
    QUESTION = "question" => Question;
    INPUT_REQUEST = "input_request" => Question;
    BURIED_QUESTION = "buried_question" => Unclear;
    OFFER_OR_QUESTION = "offer_or_question" => Unclear;
    PROGRESS_REPORT = "progress_report" => Status;
    MIDWAY = "midway" => Unclear;
    UNFINISHED_WORK = "unfinished_work" => Unclear;
    CUT_OFF = "cut_off" => Unclear;
    LOOSE_END = "loose_end" => Unclear;
    OTHER_LANGUAGE = "other_language" => Unclear;
    FINISHED_WORK = "finished_work" => Result;
    WORK_SEEN = "work_seen" => Result;
    NO_CLAIM = "no_claim" => Unclear;
}

/// Classifies an agent's last message by its words alone: any text in markdown, or none.
#[cfg(feature = "unstable")]
pub fn classify(message: &str) -> Classification {
    classify_with(message, Evidence::default())
}

/// Builds the patterns that most messages need, which takes some tens of milliseconds: the end of a first turn need not wait for
/// them. Blocks.
pub(crate) fn prepare() {
    let _read = classify_with("Done. I changed it.", Evidence::default());
}

/// Classifies an agent's last message, with what is known of its turn.
pub fn classify_with(message: &str, evidence: Evidence) -> Classification {
    let (mut lines, open_fence) = text::lines(message);
    let Some(last) = lines.iter().rposition(|line| !line.text.is_empty()) else {
        return EMPTY_MESSAGE;
    };
    lines.truncate(last + 1);
    let status = cut_status(&mut lines);
    let mut said = Said::read(&lines, open_fence);
    match status {
        Some(TrailerStatus::Question) => TRAILER_QUESTION,
        Some(TrailerStatus::Blocked) => TRAILER_BLOCKED,
        Some(TrailerStatus::Continue) => TRAILER_CONTINUE,
        Some(TrailerStatus::Done) => {
            said.claims = true;
            if said.contradicts_done() || evidence.overtaken {
                TRAILER_CONTRADICTED
            } else {
                TRAILER_DONE
            }
        }
        status => {
            said.other_status |= status.is_some();
            said.classify(evidence)
        }
    }
}

/// An agent's answer to [`PROBE`].
pub(crate) struct Answered {
    /// The state of the task that it names.
    pub(crate) read: Classification,
    /// The question, or the obstacle.
    pub(crate) words: Option<String>,
    /// Whether it is only the line that was asked for.
    pub(crate) bare: bool,
}

/// Reads the answer to [`PROBE`]: a status on a line of its own, in any place, and nothing beside it that speaks against
/// `DONE`.
pub(crate) fn classify_answer(answer: &str) -> Answered {
    static BARE: LazyLock<Regex> = LazyLock::new(|| {
        let form = r"(?i)^[*_`]*(?:done|question|blocked|continue)[*_`]*(?:\s*[.:!,–—-].*)?$";
        Regex::new(form).expect("the pattern is constant")
    });
    let answer = match answer.trim() {
        word if BARE.is_match(word) => format!("STATUS: {word}"),
        other => other.to_owned(),
    };
    let (mut lines, open_fence) = text::lines(&answer);
    // A fence around the line is only how it is set off.
    lines.retain(|line| !line.text.starts_with("```") && line.text.contains(char::is_alphanumeric));
    if let [line] = &mut lines[..] {
        line.shown = line.text.starts_with('>');
    }
    let given = |line: &Line<'_>| !line.shown && Trailer::find(line.text).is_some();
    if let Some(at) = lines.iter().position(given) {
        lines[at..].rotate_left(1);
    }
    let bare = lines.len() == 1;
    let status = if lines.is_empty() {
        None
    } else {
        cut_status(&mut lines)
    };
    let said = Said::read(&lines, open_fence);
    let objects = || said.contradicts_done() || said.any(words::hints) || said.any(abroad::hints);
    let read = match status {
        Some(TrailerStatus::Done) if !objects() => PROBE_DONE,
        Some(TrailerStatus::Question) => PROBE_QUESTION,
        Some(TrailerStatus::Blocked) => PROBE_BLOCKED,
        Some(TrailerStatus::Continue) => PROBE_CONTINUE,
        _ => PROBE_UNANSWERED,
    };
    let rest: Vec<_> = lines
        .iter()
        .map(|line| line.text)
        .filter(|text| !text.is_empty())
        .collect();
    let words = (status.is_some() && status != Some(TrailerStatus::Other) && !rest.is_empty())
        .then(|| rest.join(" "));
    Answered { read, words, bare }
}

/// Takes the status off the last line, if the agent put one there; what is said behind it stays. A fence that holds
/// nothing else is the agent's own way to set it off, unless a colon announces what it shows.
fn cut_status<'a>(lines: &mut Vec<Line<'a>>) -> Option<TrailerStatus> {
    let last = lines.len() - 1;
    let fenced = last >= 2
        && lines[last].shown
        && lines[last].text.starts_with(['`', '~'])
        && lines[last - 2].text.starts_with(['`', '~'])
        && !lines[..last - 2]
            .iter()
            .rev()
            .find(|line| !line.text.is_empty())
            .is_some_and(|line| line.text.ends_with(':'));
    let at = if fenced { last - 1 } else { last };
    if lines[at].shown && !fenced {
        return None;
    }
    let found = Trailer::find(lines[at].text)?;
    lines[at].text = found.before;
    if fenced {
        lines.truncate(at - 1);
    } else if !found.words.is_empty() {
        lines.push(Line::said(found.words));
    }
    Some(found.status)
}

/// The meaning of a message without its status.
struct Said {
    sentences: Vec<Sentence>,
    /// Something claims that the work is finished.
    claims: bool,
    open_fence: bool,
    /// A status line is not at the end, or is quoted at the end, or says something unknown.
    other_status: bool,
    /// The last line announces more than there is.
    cut_off: bool,
}

impl Said {
    fn read<'a>(lines: &[Line<'a>], open_fence: bool) -> Self {
        let sentences = text::sentences(lines);
        let last = lines.iter().rev().find(|line| !line.text.is_empty());
        let at_end = lines.iter().rev().take_while(|line| line.shown);
        let status = |line: &Line<'a>| Trailer::find(line.text.trim_start_matches(['>', ' ']));
        let stray: Vec<_> = lines
            .iter()
            .filter(|line| !line.shown)
            .chain(at_end)
            .filter_map(status)
            .collect();
        let cut_off = last.is_some_and(|last| !last.shown && last.text.ends_with([':', ',']));
        // An announcement of the missing rest is not a claim.
        let whole = &sentences[..sentences.len() - usize::from(cut_off && !sentences.is_empty())];
        let claims = |sentence: &Sentence| {
            !sentence.asks && !words::announces(&sentence.text) && words::claims(&sentence.text)
        };
        let claims = whole.iter().any(claims);
        Self {
            claims,
            open_fence,
            other_status: stray
                .iter()
                .any(|found| found.status != TrailerStatus::Done),
            cut_off: cut_off
                && !(claims
                    && sentences
                        .last()
                        .is_some_and(|last| last.text.split(' ').count() <= 2)),
            sentences,
        }
    }

    fn any(&self, is: impl Fn(&str) -> bool) -> bool {
        self.sentences.iter().any(|sentence| is(&sentence.text))
    }

    /// Whether the text speaks against a status that says the work is done.
    fn contradicts_done(&self) -> bool {
        self.open_question().is_some()
            || self.open_fence
            || self.other_status
            || self.ends_midway()
            || self.any(words::stops)
    }

    /// Decides without a status.
    fn classify(&self, evidence: Evidence) -> Classification {
        let texts = || self.sentences.iter().map(|sentence| sentence.text.as_str());
        let foreign = texts().any(abroad::is_foreign);
        if let Some(rule) = self.open_question() {
            return rule;
        }
        let stops = self.any(words::stops);
        if self.ends_midway() && evidence.phase != Phase::FinalAnswer {
            PROGRESS_REPORT
        } else if stops {
            UNFINISHED_WORK
        } else if self.ends_midway() || evidence.is_midway() {
            MIDWAY
        } else if self.cut_off || self.open_fence {
            CUT_OFF
        } else if self.other_status || self.any(words::hints) {
            LOOSE_END
        } else if foreign && self.any(abroad::hints) {
            OTHER_LANGUAGE
        } else if self.claims || foreign && self.any(abroad::claims) {
            FINISHED_WORK
        } else if foreign {
            OTHER_LANGUAGE
        } else if evidence.worked && self.any(words::describes) {
            WORK_SEEN
        } else {
            NO_CLAIM
        }
    }

    /// The rule of the last sentence that waits for an answer, if one does. Beside a claim of finished work only a question
    /// at the end is taken at its word.
    fn open_question(&self) -> Option<Classification> {
        let last = self.sentences.last()?.block;
        (0..self.sentences.len()).rev().find_map(|at| {
            let Sentence { text, asks, .. } = &self.sentences[at];
            if !self.waits(at) {
                None
            } else if self.claims && (words::OFFERS_MORE.is_match(text) || words::offers(text)) {
                Some(OFFER_OR_QUESTION)
            } else if self.claims && !(*asks && self.sentences[at].block == last) {
                Some(BURIED_QUESTION)
            } else if words::asks_leave(text, *asks) {
                Some(PERMISSION_REQUEST)
            } else {
                Some(if *asks { QUESTION } else { INPUT_REQUEST })
            }
        })
    }

    /// Whether a sentence waits for an answer.
    fn waits(&self, at: usize) -> bool {
        let Sentence {
            text,
            asks,
            heading,
            ..
        } = &self.sentences[at];
        if !asks {
            return !words::offers(text)
                && (words::asks_leave(text, false) || words::requests(text));
        }
        let answered = |next: &Sentence| *heading || !next.asks;
        let introduces = words::is_rhetorical(text, *heading)
            && self.sentences.get(at + 1).is_some_and(answered);
        !introduces
    }

    /// Whether the message ends with what the agent is doing or is about to do.
    fn ends_midway(&self) -> bool {
        self.sentences
            .last()
            .is_some_and(|last| words::announces(&last.text))
    }
}
