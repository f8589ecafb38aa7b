//! Sentences that tell how the work stands.
//!
//! Every function takes the text of a [`Sentence`](super::markdown::Sentence).

use std::sync::LazyLock;

use regex::Regex;

use super::phrase::{anywhere, compile, opening};

/// What a change is reported with ("Added …", "I've moved …").
const CHANGED: &str = "(?:added|adjusted|aligned|applied|bumped|built|centralized|changed|\
    cleaned|completed|configured|consolidated|converted|corrected|covered|created|deduplicated|\
    deleted|deprecated|disabled|documented|dropped|enabled|ensured|exported|exposed|extended|\
    extracted|finished|fixed|formatted|generated|guarded|handled|hardened|implemented|improved|\
    inlined|integrated|introduced|made|measured|merged|migrated|modernized|moved|normalized|\
    optimized|parallelized|ported|prepared|profiled|published|pulled|put|reduced|refactored|\
    registered|reimplemented|removed|renamed|reordered|reorganized|replaced|resolved|restored|\
    restructured|reused|reverted|reviewed|reworked|rewritten|rewrote|scoped|set up|shipped|\
    shortened|simplified|sorted|sped up|split|standardized|stabilized|streamlined|switched|\
    swapped|taught|tightened|translated|trimmed|turned|typed|unified|updated|upgraded|validated|\
    verified|wired|wrapped|written|wrote)";

/// Whether a sentence tells what the agent is doing or is about to do.
pub(super) fn progress(text: &str) -> bool {
    const DOING: &str = "(?:reading|running|re-?running|checking|looking|searching|working|\
        inspecting|opening|applying|editing|updating|investigating|analy[sz]ing|exploring|\
        building|compiling|testing|starting|scanning|reviewing|tracing|debugging|writing|adding|\
        implementing|creating|fixing|digging|verifying|waiting for|installing|fetching|moving|\
        continuing|proceeding|gathering|examining|trying|refactoring|finishing|removing|\
        replacing)";
    static INTENDS: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "let me",
            "let's",
            "i'm (?:going|about) to",
            "i am (?:going|about) to",
            "i'll",
            "i will",
            r"(?:i'm|i am|we're)(?: now| still| currently| just)* \w+ing",
            "(?:after|once) (?:that|this),? i(?:'ll| will)",
        ])
    });
    static DOES: LazyLock<Regex> =
        LazyLock::new(|| opening(&[&format!("(?:still |currently |now )*{DOING}")]));
    static ONGOING: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:is|are) still (?:running|building|compiling|in progress|going)",
            "i'll (?:report|get) back",
            &format!("i'm (?:now |currently |still )?{DOING}"),
            "(?:now|next),? (?:i'll|i will|i'm going to)",
        ])
    });
    static NOT_WORK: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "let me (?:know|explain|summari[sz]e|be|recap)",
            "(?:i'll|i will) (?:leave|be|stop|wait|need|gladly|happily|not|skip|hold)",
            "(?:i'm|i am) (?:assuming|waiting)",
        ])
    });
    static OUTCOME: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "pass(?:es|ed)?|gives?|shows?|works?|succeeds?|returns?|is|are|takes|confirms|fails",
        ])
    });
    static SUBORDINATE: LazyLock<Regex> =
        LazyLock::new(|| anywhere(&["how|what|where|why|which|whether|if|that"]));
    INTENDS.is_match(text) && !NOT_WORK.is_match(text)
        || DOES.is_match(text) && (!OUTCOME.is_match(text) || SUBORDINATE.is_match(text))
        || ONGOING.is_match(text)
}

/// Whether a sentence begins as reports do.
fn opens_with_result(text: &str) -> bool {
    const ADVERB: &str = "(?:now|also|successfully|just|then|only|fully)";
    static OPENS: LazyLock<Regex> = LazyLock::new(|| {
        opening(&[
            "(?:all |and )?done(?: and dusted)?(?:[.!,:;]| with| -| –| —|$)",
            "all set",
            CHANGED,
            &format!("(?:i|we)(?:'ve| have)?(?: {ADVERB})* {CHANGED}"),
            "(?:i'm|i am) (?:done|finished)",
            "(?:successfully|fully) \\w+ed",
            "(?:here's|here is|here are|below is|below are|this is) (?:the|your|a|\
                my) (?:\\w+ )?(?:results?|summary|implementation|version|function|script|diff|\
                patch|code|changes?|output|fix|report|breakdown|overview of (?:the|what)|list)",
            "no (?:code )?changes? (?:were |was |is |are )?(?:needed|required|necessary)",
            "(?:no|i found no) (?:issues?|problems?|bugs?|findings?)(?: were)?(?: found)?",
        ])
    });
    OPENS.is_match(text)
}

/// Whether a sentence says of the work, anywhere in it, that it is done.
fn states_result(text: &str) -> bool {
    static STATES: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:task|work|job|change|changes|implementation|migration|refactor|refactoring|\
                feature|fix|conversion|rename|upgrade|cleanup|port|everything|it|that) (?:is|\
                are|has been|have been)(?: all| now| fully)* (?:complete|completed|finished|\
                done|in place|ready|implemented)",
            &format!("(?:has|have) been(?: now| all| also)* {CHANGED}"),
            "(?:is|are)(?: now| all| also)* (?:added|converted|covered|documented|fixed|\
                implemented|migrated|removed|renamed|replaced|resolved|tested|updated)",
            "(?:is|are) now",
            "(?:is|are) gone",
            &format!("and (?:also )?{CHANGED} (?:the|a|an|all)"),
            "(?:is|are) (?:all |now )?in place",
            &format!("so i(?:'ve| have)? (?:{CHANGED}|kept|left|went with|chose|used)"),
            "now (?:accepts?|allows?|asks?|binds?|closes?|creates?|emits?|exits?|expires?|\
                ignores?|loads?|opens?|rejects?|respects?|retries|sends?|sorts?|starts?|stops?|\
                stores?|treats?|matches|renders?|resolves?|displays?|preserves?|produces?|\
                parses?|listens?|escapes?|refuses?|requires?|waits?|builds?|contains?|checks?|\
                covers?|fails?|handles?|has|have|includes?|keeps?|lives?|logs?|passes|passing|\
                prints?|raises?|reads?|reports?|returns?|runs?|shows?|skips?|supports?|takes?|\
                tests?|throws?|uses?|validates?|works?|writes?)",
            "i found no (?:other )?(?:issues?|problems?|bugs?|findings?)",
        ])
    });
    static SUMMARY: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            "^(?:summary|what changed\\??|changes made|what i (?:did|changed)|files changed|\
                changed files|verification|findings)[:.]?$",
        )
    });
    STATES.is_match(text) || SUMMARY.is_match(text)
}

/// Whether a sentence claims that work is finished or gives its result.
pub(super) fn finished(text: &str) -> bool {
    static NOT_THE_WORK: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:a|the|my|this) (?:\\w+ )?(?:plan|proposal|outline|draft)",
            "once i",
            "after i",
            "when i(?:'ve| have)",
            "if i",
            "partially",
            "half",
            "would be",
            "will be",
            "need to be",
            "needs to be",
            "to be",
        ])
    });
    let claims = opens_with_result(text) || states_result(text) || checks_passed(text);
    claims && !NOT_THE_WORK.is_match(text)
}

/// Whether a sentence says that tests, or another check, pass.
pub(super) fn checks_passed(text: &str) -> bool {
    static PASSED: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:all|the|\\d+|every) (?:\\w+ )*(?:tests?|checks?|specs?|\
                suites?)(?: \\w+)? (?:now |still |all )?(?:pass|passes|passed|passing|green)",
            "(?:tests?|test suite|suite|build|ci|lint|linter|clippy|everything) (?:now |still |\
                also |is |are |all )*(?:pass|passes|passed|passing|green|clean|succeeds|builds|\
                works)",
            r"[1-9]\d* passed",
        ])
    });
    PASSED.is_match(text)
}

/// Whether a sentence admits that the job, or part of it, isn't done. A check that couldn't be run
/// doesn't count.
pub(super) fn unfinished(text: &str) -> bool {
    static ADMITS: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:i|we) (?:couldn't|could not|can't|cannot|can not|was unable to|am unable to|\
                was not able to|wasn't able to|am not able to|haven't been able to|\
                have not been able to|did not manage to|didn't manage to|won't be able to)",
            "(?:i'm|i am) (?:unable to|not able to|blocked|stuck|sorry)",
            "(?:i|we) (?:haven't|have not|didn't|did not) (?:yet )?(?:finish|finished|complete|\
                completed|implement|implemented|fix|fixed|start|started|get to|gotten to|apply|\
                applied|wire|wired)",
            "(?:not|isn't|aren't) (?:yet )?(?:implemented|finished|complete|completed|done|\
                working|fixed|wired|supported yet|possible)",
            "(?:still|remain|remains|left) (?:fails?|failing|broken|missing|open|unfinished|\
                unresolved|to be done|to do|needs?|unimplemented|red)",
            "(?:ran|run|running) out of (?:time|context|tokens|budget)",
            "incomplete",
            "partially (?:done|complete|completed|implemented|finished|working|works)",
            "work in progress",
            "wip",
            "remaining work",
            "(?:i|we) (?:stopped|gave up|had to stop)",
            "(?:stop|stopping) here",
            r"[1-9]\d* failed",
            "(?:[1-9]\\d*|some|several|two|three|one|most|\
                many)(?: of)?(?: the)? (?:\\w+ )?(?:tests?|checks?|cases?) (?:\\w+ )?(?:fail|\
                fails|failed|failing)",
            "tests? (?:still )?(?:fail|fails|are failing|failed)",
            "build (?:still )?(?:fails|failed|is broken)",
            "would need to",
        ])
    });
    static BENIGN: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "(?:couldn't|could not|can't|cannot|unable to|not able to|\
                wasn't able to) (?:\\w+ )?(?:run|re-?run|commit|push|verify|test|exercise|\
                execute|find any|find (?:\\w+ )?other|reproduce it any ?more|check|validate|\
                measure|confirm)",
            "pre-?existing",
            "unrelated",
            "also (?:fails?|occurs?) on",
            "no longer",
            "0 failed",
            "expected failures?",
            "anymore",
            "(?:fails|failed|failing) before",
            "previously",
            "as expected",
            "(?:used to|would) fail",
        ])
    });
    static REMAINDER: LazyLock<Regex> = LazyLock::new(|| {
        compile(
            "^(?:remaining|still (?:open|missing|to do|todo)|not done|todo|left to do|\
                what's left|open items|known gaps)(?: work| items| tasks| steps)?[:.]?$",
        )
    });
    REMAINDER.is_match(text) || ADMITS.is_match(text) && !BENIGN.is_match(text)
}

/// Whether a sentence speaks of what could or should be, or of what is wrong: no summary of a
/// change.
pub(super) fn is_tentative(text: &str) -> bool {
    static TENTATIVE: LazyLock<Regex> = LazyLock::new(|| {
        anywhere(&[
            "would|could|might|should|propose|proposed|suggest|suggested|plan|recommend|i'll|\
                i will|maybe|perhaps|fails?|failed|failing|failure|errors?|broken|panics?|\
                crash(?:es|ed)?|can't|cannot|couldn't|unable|missing|bug|not sure|unclear|\
                unknown|need|needs",
        ])
    });
    TENTATIVE.is_match(text)
}
