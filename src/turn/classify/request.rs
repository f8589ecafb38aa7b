//! Sentences that ask the reader for something, or only seem to.
//!
//! Every function takes the text of a [`Sentence`](super::markdown::Sentence).

use std::sync::LazyLock;

use regex::Regex;

use super::phrase::{LEAD, anywhere, compile, opening};

/// What an agent needs leave for.
const ACTION: &str = "(?:run|execute|edit|modify|delete|remove|install|write|create|overwrite|\
    access|push|commit|apply|make|proceed|change|force|drop|download|fetch|rename|move|restart|\
    kill|stop|start|upgrade|update|add|go ahead|reset|deploy|connect|read|open|touch|bypass|\
    disable)";

/// Whether a question asks for leave to do something.
pub(super) fn asks_permission(text: &str) -> bool {
    static ASKS: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            &format!(
                "(?:may|can|could|might) i (?:please |now |also |just |\
                    safely )*(?:go ahead and )?{ACTION}"
            ),
            "(?:is it|is that|would it be|are you|is this) (?:ok|okay|alright|all right|fine|\
                acceptable|comfortable)(?: with you)? (?:if i|for me to|with me)",
            &format!("(?:ok|okay|fine|alright) (?:to|for me to|if i) {ACTION}"),
            "am i (?:allowed|permitted)",
            "(?:do|can|could|may) i (?:have|get) (?:your )?(?:permission|approval|go-ahead|\
                consent|authorization)",
            "(?:do|can|could|will|would) you (?:please )?(?:approve|authorize|allow|permit|grant)",
        ])
    });
    ASKS.is_match(text)
}

/// Whether a sentence without a question mark asks for leave to do something.
pub(super) fn requests_permission(text: &str) -> bool {
    const LEAVE: &str = "(?:permission|approval|authorization|consent|go-ahead)";
    static OPENS: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "(?:allow|permit|authorize) me to",
            "(?:approve|authorize|grant)(?: me)? (?:the|this|these|that|access|permission)",
            &format!("may i (?:please )?{ACTION}"),
            &format!(
                "(?:requesting|awaiting|waiting for|asking for) (?:your )?(?:explicit )?{LEAVE}"
            ),
        ])
    });
    static NEEDS: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            &format!(
                "(?:i|i'd|i'm|we|i am|i'll) (?:would |will |also )?(?:need|require|like|want|\
                    request|requesting|awaiting|waiting for|asking for|ask for)(?: to (?:ask|\
                    request)(?: for| you for)?)? (?:your )?(?:explicit )?{LEAVE} (?:to|for|\
                    before|first)"
            ),
            &format!("(?:needs?|requires?|without|pending) your (?:explicit )?{LEAVE}"),
            &format!("with your {LEAVE},? i"),
        ])
    });
    static PLEASE: LazyLock<Regex> =
        LazyLock::new(|| anywhere(&["(?:please|kindly) (?:allow|approve|authorize|grant|permit)"]));
    OPENS.is_match(text) || NEEDS.is_match(text) || PLEASE.is_match(text)
}

/// Whether a question speaks to the reader, or puts a choice.
pub(super) fn addresses_reader(text: &str) -> bool {
    static ADDRESSES: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "i|i'm|we|you|you'd|you're|you've|your|yours|my|me|us|should|shall|prefer|preferred|\
                which|want|or",
        ])
    });
    ADDRESSES.is_match(text)
}

/// Whether a question is one the writer goes on to answer ("What changed?", "The catch?"). A
/// heading may be any question about the work; in a text only the set phrases count.
pub(super) fn introduces_answer(text: &str, heading: bool) -> bool {
    static HEADINGS: LazyLock<Regex> =
        LazyLock::new(|| opening(&["why", "what", "what's", "how", "where", "when", "who"]));
    static SET_PHRASES: LazyLock<Regex> = LazyLock::new(|| {
        compile(&format!(
            "^{LEAD}(?:why(?: not)?\\?|why (?:did|was|does|this|it|not|only|now|were) |\
                what (?:changed|happened|was|went|caused|broke|did|does|is new)\\b|\
                what's (?:new|changed|different)\\b|how (?:does|did|was) |(?:and )?(?:the|\
                my) (?:\\w+ )?\\w+\\?|(?:root cause|result)\\?)"
        ))
    });
    static PUTS_CHOICE: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&["you|your|should|shall|would|may|prefer|want|could|or|do we|do i need|can we"])
    });
    let faq = heading && HEADINGS.is_match(text);
    (faq || SET_PHRASES.is_match(text)) && !PUTS_CHOICE.is_match(text)
}

/// Whether a sentence without a question mark asks a question or for input all the same.
pub(super) fn requests_input(text: &str) -> bool {
    static NO_NEED: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "no (?:open |further |more |remaining )?questions",
            "let me know if (?:you have|there are) any",
            "let me know if any",
        ])
    });
    static UNDECIDED: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:i'm|i am) (?:not sure|unsure|not certain|uncertain) (?:whether|which|what|how|\
                if|where)",
        ])
    });
    if NO_NEED.is_match(text) || offers(text) {
        return false;
    }
    asks_unmarked(text)
        || states_need(text)
        || waits(text)
        || UNDECIDED.is_match(text) && !text.contains(", so i")
}

/// Whether a sentence opens like a question or a request to the reader.
fn asks_unmarked(text: &str) -> bool {
    static OPENS: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "should i",
            "(?:shall|should|do|can|may) we",
            "(?:do|am) i",
            "(?:did|are) you",
            "is (?:it|this|that) (?:ok|okay|fine|right|correct)",
            "confirm (?:and|that|whether|if|to|this)",
            "(?:pick|choose) (?:one|between)",
            "which$",
            "shall i",
            "do you",
            "would you",
            "could you",
            "can you",
            "may i",
            "want me to",
            "will you",
            "which (?:one|option|of|approach|way)",
            "(?:reply|respond) (?:with|yes|y|ok|go|`)",
            "type (?:yes|y|ok|`)",
            "(?:tell me|let me know) (?:which|what|how|whether|where|when|who|the|your|before)",
            "before i (?:proceed|continue|go on|go ahead|go further|start|begin|make|touch|\
                change|implement|do|write|can)",
            "(?:one|two|three|four|five|some|a few|a couple of|my|open|remaining) (?:open |\
                quick |small |remaining )?questions?\\b",
            "your (?:call|choice|decision)",
        ])
    });
    OPENS.is_match(text)
}

/// Whether a sentence says that something of the reader's is needed.
fn states_need(text: &str) -> bool {
    static NEEDS: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:i|we) (?:still |first |would |will |do )?(?:need|require) (?:to know|your|\
                you to|more (?:information|info|details|context|input)|clarification|guidance|\
                confirmation|input|a decision|one decision|an answer|the following|\
                some (?:information|clarification|guidance|input))",
            "(?:i'd|i would) (?:like|need|want) (?:to know|your|you to|clarification|confirmation)",
            "(?:wait|waiting|awaiting|hold|holding|standing by|pausing|pause|\
                paused)(?: here| off)?(?: for| on| until)? (?:you|your)",
            "let me know (?:which|what|how|whether|where|when|who|your)",
            "let me know if (?:i should|i can|i may|we should|that's (?:ok|okay|fine|right)|\
                you agree|you approve|you want me to (?:proceed|continue|go ahead))",
            "tell me (?:which|what|how|whether|where|when|who)",
            "please (?:confirm|clarify|advise|specify|choose|pick|decide|answer|reply|respond|\
                tell me|provide|share|send|paste|point me)",
            "(?:my|open|a|one|quick) question(?:s)?(?: for you)? (?:is|are|remains|remain)",
            "questions? for you",
            "(?:decision|choice|call) is (?:yours|up to you)",
            "your (?:call|choice|decision)",
            "say the word",
            "(?:reply|respond|answer|type) (?:with )?(?:yes|ok|go|`)",
            "kindly confirm",
            "needs? (?:to be )?(?:clarified|confirmed|decided)",
            "(?:decisions?|input|answers?|clarifications?|confirmation) (?:is |are )?(?:needed|\
                required|missing)",
            "(?:need|needed|required|want) from you",
            "you(?:'ll| will)? (?:need|have) to (?:decide|choose|confirm|tell|clarify|pick)",
            "up to you (?:whether|which|to decide)",
            "(?:whether|if|what|which) you(?:'d| would) (?:want|prefer|like|rather)",
            "i wonder (?:whether|if|which|what)",
            "needs? your (?:input|decision|guidance|confirmation|answer|help|clarification|advice)",
            "(?:i have|i've got|there is|there are|i've|here are) (?:a|one|two|three|some|\
                several|a few|a couple of|my) (?:quick |open |small )*questions?",
            "your (?:input|guidance|decision|confirmation|feedback|answer) (?:is|\
                would be) (?:needed|required|helpful)",
            "how (?:you'd|you would) like (?:me )?to (?:proceed|continue)",
        ])
    });
    NEEDS.is_match(text)
}

/// Whether a sentence makes what the agent does next depend on the reader. A program that waits for
/// its user doesn't.
fn waits(text: &str) -> bool {
    static CONDITION: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "once (?:approved|confirmed)",
            "(?:once|as soon as|until|when) you (?:confirm|decide|choose|reply|answer|\
                let me know|tell me|provide|approve|clarify|pick|respond|give|have decided|\
                are ready)",
        ])
    });
    static NEXT: LazyLock<Regex> =
        LazyLock::new(|| anywhere(&["i'll|i will|i can|i won't|i'd|i shall|let me know|tell me"]));
    CONDITION.is_match(text) && NEXT.is_match(text)
}

/// Whether a sentence offers more without needing an answer.
pub(super) fn offers(text: &str) -> bool {
    static OFFERS: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "(?:just )?(?:let me know|tell me|say so|shout|ping me|\
                reach out)(?: any time)? (?:if|in case|should) (?:you(?:'d| would)? (?:like|\
                want|need|prefer|rather|have|find|spot|notice|hit|run|see|also)|anything|\
                something|there|any|this isn't|that's not|that isn't)",
            "if (?:you(?:'d| would)?(?: also)? (?:like|want|need|prefer|rather|wish)|needed|\
                desired|useful|helpful|it helps|that helps)",
            "(?:i'm |i am |i'd be |i'll be )?(?:happy|glad) to",
            "feel free",
            "i can (?:also|additionally|follow up)",
            "just (?:say so|ask|let me know if you)",
        ])
    });
    static GO_AHEAD: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "me to (?:proceed|continue|go ahead|go on|start|begin)",
            "before i",
            "i'll wait",
        ])
    });
    OFFERS.is_match(text) && !GO_AHEAD.is_match(text)
}

/// Whether a question offers something on top of the finished job, so that no answer is as good as
/// a "no".
pub(super) fn offers_extra(text: &str) -> bool {
    static OFFERS: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "(?:do you )?want me to",
            "would you (?:also )?like me to",
            "would it (?:also )?help if i",
        ])
    });
    static EXTRA: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "also|as well|next|in addition|additionally|while i'm at it|as a follow-up|\
                in a follow-up|too",
        ])
    });
    static MATTERS: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "or|otherwise|instead|before|first|which|needed?|required?|must|delete|drop|\
                overwrite|remove|break|breaks|proceed|continue|since|because|rather",
        ])
    });
    OFFERS.is_match(text) && EXTRA.is_match(text) && !MATTERS.is_match(text)
}

/// Whether a sentence hints that something is left to the reader, short of asking for it.
pub(super) fn leaves_open(text: &str) -> bool {
    static HINTS: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "decisions?",
            "decided? (?:on|between|whether|which)",
            "undecided",
            "yours",
            "your (?:word|approval|preference|ok|okay|sign-off|thoughts|opinion)",
            "ready (?:when|whenever|for you|to (?:proceed|continue|go|start|implement|apply|\
                deploy))",
            "(?:unclear|not sure|unsure|not certain|ambiguous|unspecified|not specified|\
                to be (?:decided|confirmed)|tbd)",
            "clarif(?:y|ied|ication)",
            "(?:open|remaining) (?:question|point|issue)s?",
            "(?:then|and|so) i(?:'ll| will| can) (?:proceed|continue|go|push|deploy|apply|merge|\
                finish|implement)",
            "(?:waiting|awaiting|on hold)",
        ])
    });
    static LACKS: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "(?:i |we )?(?:still |also |only )?(?:need|require)",
            "which",
            "who",
        ])
    });
    HINTS.is_match(text) || LACKS.is_match(text)
}

/// Whether `answer` settles the question before it. The writer can't settle a question to the
/// reader, nor with a provisional answer.
pub(super) fn is_settled(question: &str, answer: &str) -> bool {
    static TO_READER: LazyLock<Regex> =
        LazyLock::new(|| anywhere(&["you", "your", "you'd", "prefer", "may i", "can i"]));
    static ANSWERS: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            "^(?:yes|no)(?:[.,:;!]|$| -| –| —)|^i(?:'ve| have)? (?:went with|gone with|chose|\
                chosen|decided|opted|settled on|picked) ",
        )
    });
    static PROVISIONAL: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "for now|until|unless|pending|yes or no|no idea|no strong|for the moment|\
                tentatively|but|not sure|not clear|placeholder|temporar(?:y|ily)|\
                provisional(?:ly)?|assuming|guess|tell me|let me know|you|can change|\
                easy to change",
        ])
    });
    !TO_READER.is_match(question) && ANSWERS.is_match(answer) && !PROVISIONAL.is_match(answer)
}
