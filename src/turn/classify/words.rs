//! The meaning of a sentence for the work and the reader, from its words.
//!
//! The phrases are those by which a writer turns to the reader, admits a failure, announces or reports: kinds of wording,
//! not topics. They are matched in the text of a [`Sentence`](super::text::Sentence), by ASCII words, in linear time; for
//! other languages there is [`abroad`](super::abroad).

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = [$($pattern:literal),* $(,)?];)*) => {
        $($(#[$doc])* pub(super) static $name: LazyLock<Regex> = LazyLock::new(|| compile(&[$($pattern),*]));)*
        #[cfg(test)]
        const ALL: &[&LazyLock<Regex>] = &[$(&$name),*];
    };
}

/// Parts of patterns: `{…}` in one means one of these, and a blank any white space.
const PARTS: [(&str, &str); 9] = [
    // What was made: the verbs by which work is reported.
    (
        "MADE",
        "(?:re-?)?(?:adapt|add|address|adjust|adopt|align|annotat|appl[iy]|attach|batch|bind|bound|bump|cach|carri|chang|clean\
        |clear|clos|collaps|combin|commit|complet|compress|configur|consolidat|convert|copi|correct|cover|creat|customi[sz]\
        |dat|debounc|decoupl|dedupl\\w+|defin|delet|deliver|deprecat|document|dropp?|eliminat|enabl|encrypt|enforc|enhanc\
        |establish|expand|expos|export|extend|extract|finish|fix|flatten|format|formatt|generat|group|guard|handl|harden|hook\
        |implement|import|improv|includ|index|inject|inlin|install|introduc|isolat|lazy-load|link|locali[sz]|lower|merg|migrat\
        |modif[iy]|mov|nam|narrow|normali[sz]|optimi[sz]|pars|patch|pinn|pipelin|polish|port|preload|prepend|publish|push|rais\
        |reduc|refactor|register|regist|relax|reload|remov|renam|reorder|repair|replac|resolv|restor|restructur|retir|reus\
        |revis|reword|rework|rotat|round|scop|seed|separat|seriali[sz]|shorten|simplifi|slimm|solv|sort|squash|standardi[sz]|stor\
        |stream|stripp|structur|subset|support|switch|swapp|tagg|templat|tick|tidi|tighten|throttl|translat|transpos|trimm|tun\
        |turn|typ|unif[iy]|unifi|updat|upgrad|us|vendor|widen|wir|wrapp)e?d|(?:re)?(?:built|written|wrote|made|done)|set|split\
        |taught|sped|shipped|swept|shrunk|brought|cut|put",
    ),
    // The text allowed before an opening phrase.
    (
        "LEAD",
        "^(?:(?:so|and|but|also|ok|okay|now|well|then|first|next|great|good|perfect|alright|right|sure|finally|just|\
        kindly|hi|hello|quick check|question|if so|if not|in short|for now|otherwise|either way|yes|yep|no|sorry|\
        all|both|everything)\\b[,:;!.]? ?)*",
    ),
    (
        "I",
        "(?:i|we)(?:'m|'ve|'d|'ll| am| are| was| were| have| had| would| will| do| did)?(?: (?:still|also|first|only|just|now|\
        simply|therefore|unfortunately|currently|really|then))*",
    ),
    (
        "NOT",
        "(?:couldn't|could not|can't|cannot|can not|unable to|not able to|weren't able to|wasn't able to|\
        not been able to|didn't manage to|did not manage to|failed to|no way to)",
    ),
    // What only the reader can give.
    (
        "LEAVE",
        "(?:approv(?:al|e)|permissions?|authori[sz](?:ation|e)|consent|go-ahead|go ahead|green light|sign-off|\
        (?:your|an) ok(?:ay)?|elevated privileges)",
    ),
    (
        "WORD",
        "(?:decisions?|inputs?|clarifications?|guidance|confirmation|answers?|advice|feedback|preferences?|choice|\
        opinion|thoughts|steer|call|reply|response|help)",
    ),
    (
        "ASK",
        "(?:let me know|tell me|please advise|please say|please specify|please clarify|please confirm)",
    ),
    (
        "WHICH",
        "(?:which|what|how|whether|where|when|who|whom|the|your|a bit|more)",
    ),
    (
        "GO_ON",
        "(?:proceed|continue|go on|go ahead|go further|start|begin|implement|finish|complete|apply|push|deploy|merge|\
        execute|run|publish|release|delete|drop|commit|tag|do it|make the change)",
    ),
];

words! {
    /// Asks for leave, as a question.
    MAY_I = [
        r"(?:may|can|could|might) (?:i|we)\b", r"am i (?:allowed|permitted|free)\b", r"{LEAVE}",
        r"(?:is|would|if) (?:it|that|this|that's|it's)(?: be)? ?(?:also )?(?:ok|okay|fine|all right|alright|allowed|permitted)\b",
        r"(?:do|would|will|can|could) you (?:allow|permit|approve|authori[sz]e)\b", r"\bok(?:ay)?(?: to| if| for me|\?)",
        r"^proceed\b", r"shall (?:i|we)\b.* (?:delete|drop|remove|overwrite|push|deploy|publish|run|execute)\b",
    ];
    /// Asks for leave without a question mark.
    LEAVE = [
        r"\bask(?:ing)? (?:for|you)\b.*{LEAVE}",
        r"{I} (?:need|want|like|love|require|request|requesting|ask|asking|await|awaiting|waiting)\b.*{LEAVE}",
        r"^(?:{LEAD})(?:requesting|awaiting|pending|needs?|requires?|with|without) .*{LEAVE}", r"{LEAVE} (?:is |are )?(?:needed|required|requested|pending)\b",
        r"\bneeds? your {LEAVE}", r"(?:please|kindly) (?:allow|approve|authori[sz]e|grant|permit)\b",
        r"{LEAD}(?:allow me|let me have|approve|authori[sz]e|grant)\b", r"give me .*{LEAVE}", r"(?:once|until|unless|if) you (?:approve|allow|permit|authori[sz]e|agree)\b",
        r"before i .*{LEAVE}", r"(?:if|as long as) (?:that's|that is|it's|this is) (?:ok|okay|fine|all right|alright) (?:with|for|by) you",
        r"requires? (?:elevated|root|admin\w*) (?:privileges|rights|access)",
    ];
    /// Asks for something else without a question mark.
    REQUEST = [
        r"{ASK}(?: me)? (?:{WHICH})\b", r"(?:let me know|tell me) if (?:i|we|it|it's|that|that's|this|you agree|you approve|you want me to {GO_ON})\b",
        r"{LEAD}please (?:answer|advise|choose|clarify|confirm|decide|pick|point|provide|reply|respond|select|send|share|specify|paste|supply|upload|set|give|install|add|tell|make sure|let me know)\b",
        r"{LEAD}(?:confirm|choose|pick|decide|provide|specify|clarify|reply|respond|advise|select|paste|supply|share|point me)\b",
        r"\b(?:send|give|show|tell|paste|get|hand) (?:me|us|it to me)\b",
        r"\b(?:i|we)(?:'d| would|'ll| will| do)?(?: still| also| first| only| just| therefore)* (?:need|require|appreciate)\b",
        r"\b(?:i|we)(?:'d| would) (?:like|love|want) (?:to (?:know|align|check|ask|clarify|confirm|agree|hear)|your|you|a|some|more|clarif\w+)\b",
        r"{LEAD}(?:need|needed|missing|wanted)(?: from you)?:? (?:the|a|an|your|to know|more|some|one|input|access|help)\b",
        r"{I} (?:missing|lacking|waiting|awaiting|standing by|unsure|not sure|uncertain|undecided|not certain|torn|wondering|wonder|ready (?:to|when|for)|request guidance|request)\b",
        r"{LEAD}(?:waiting|awaiting|standing by|holding|pausing|paused|on hold|pending) (?:for|on|until|here|off|your)\b",
        r"(?:wait|waiting|hold|holding) (?:for|on|until) (?:you|your)\b", r"(?:up to|from|depends? on|over to|need of|help from|questions? for|decision for) you\b",
        r"\b(?:is|are) yours\b", r"\b(?:your|a|one|some|any|no|more) (?:\w+ )?{WORD} (?:is |are |was |would be )?(?:still )?(?:needed|required|requested|missing|wanted|pending|helpful|welcome|appreciated)\b",
        r"^{WORD} (?:is |are )?(?:still )?(?:needed|required|requested|missing|pending)\b",
        r"\b(?:needs?|requires?|request(?:ing)?|seek(?:ing)?|await\w*|appreciate|asking for)(?: for)? (?:a |an |your |some |one |more |further |the )?{WORD}\b",
        r"{LEAD}(?:your|it's your|that's your) (?:{WORD}|turn|move)\b", r"\b(?:is|remains|still) your {WORD}\b",
        r"(?:once|when|whenever|as soon as|until|after) you(?:'ve|'re| have| are)? .*\b(?:i'll|i will|i can|i'd|i would|i won't|i shall)\b",
        r"\b(?:i'll|i will|i can|i'd|i would|i won't|i shall|ready to) .*\b(?:once|when|whenever|as soon as|until|after) (?:you|i hear|i have your|i know|it's decided)\b",
        r"\bbefore (?:i|we) (?:can |go|do|touch|delet|remov|build|continu|proceed|start|begin|writ|mak|chang|implement|commit|push|merg|run|apply|finish|mov|cut|ship|release|deploy|publish)",
        r"^(?:before|prior to) (?:proceeding|continuing|going|doing|starting|implementing|implementation|moving on)\b",
        r"(?:which|what|how|whether) you(?:'d| would)? (?:want|prefer|like|rather|need|meant|mean)\b", r"\bsay (?:which|the word\b.* (?:i'll|and i) {GO_ON})",
        r"(?:someone|somebody|anyone|anybody)(?: \w+){0,4} (?:should|has to|have to|needs? to|must|ought to)\b",
        r"(?:type|enter|reply|answer|respond|(?:^|please |just |and |you )say)(?: with| by)? (?:(?:yes|y|no|n|ok|go|stop|\d)\b|`)", r"^(?:(?:open|remaining|outstanding|my|some|unresolved|two|three|\d) )*(?:questions?|decisions?)(?: for you| needed| to make)?(?: before .*)?[:.]?$",
        r"\b(?:my|the|one|remaining) question (?:is|here|remains|to you)\b", r"\b(?:one|two|three|four|five|some|several|few) (?:\w+ )?(?:questions?)\b", r"\b(?:i've|i have) (?:a|one|some|two|three) (?:\w+ )?(?:question|doubt)s?\b",
        r"(?:i'm|i am|we're) (?:open|happy|fine|good) (?:to|with) either\b", r"\b(?:i|we) can(?:'t| ?not) (?:continue|proceed|go on|go further|move on) (?:without|until|before)\b",
    ];
    /// Opens like a question; the mark may be missing.
    OPENS_QUESTION = [
        r"{LEAD}(?:should|shall|may|can|could) (?:i|we)\b", r"{LEAD}(?:do|did|are|would|could|can|will|have) you\b", r"{LEAD}(?:want|like) me to\b",
        r"{LEAD}(?:should|do|does|did|is|are|can|could|would) (?:the|this|that|it|there|these|those)\b[^,]*$",
        r"{LEAD}(?:which|what|how|where|when|who|why) (?:one|option|of the two|should|do you|do i|would you|would i|shall)\b", r"^which$",
    ];
    /// A question that its writer answers in what follows.
    RHETORICAL = [
        r"^(?:and |so )?(?:why(?: not)?\?|why (?:did|was|does|this|it|not|only|now|were) |what (?:changed|happened|was|went|caused|broke|did|does|is new|next)\b|what's (?:new|changed|different|next)\b|how (?:does|did|was|it) |(?:the|my) (?:\w+ )?\w+\?|(?:root cause|result)\?)",
    ];
    FAQ = [r"^(?:why|what|what's|how|where|when|who)\b"];
    /// Puts a choice, so that no writer answers it.
    CHOICE = [r"\b(?:you|your|you'd|should|shall|would|may|prefer|want|could|or|do we|do i|can we|can i|may i)\b"];
    /// Offers more, so that no answer is as good as a "no".
    OFFER = [
        r"{LEAD}(?:let me know|tell me|say so|say the word|shout|ping me|reach out|holler|give me a shout)(?: any ?time)? (?:if|in case|should|and) (?:you(?:'d| would)?(?: also)? (?:like|want|need|prefer|rather|have|find|spot|notice|hit|run|see|also|wish)|anything|something|there|any|this isn't|that's not|i'll|i can|i'd|i will)",
        r"{LEAD}if (?:you(?:'d| would)?(?: also| ever)? (?:like|want|need|prefer|rather|wish|have|run|see|find)|needed|desired|useful|helpful|wanted|it helps|that helps|something|anything)",
        r"{LEAD}(?:i'm |i am |i'd be |i'll be )?(?:more than )?(?:happy|glad) to (?:help|also|add|adjust|extend|follow|do|write|tweak|iterate|make|change|walk|answer|convert)",
        r"{LEAD}feel free\b", r"{LEAD}i can (?:also|additionally|follow up|easily)\b", r"{LEAD}(?:ask|let me know if you|say so)\b",
        r"{LEAD}(?:want|would you like|do you want|should you want|would it help|need) .*\b(?:also|too|as well|in addition|next|while i'm at it|as a follow-up|in a follow-up)\b",
    ];
    /// What no offer is: the job waits for it.
    GOES_ON = [
        r"\bme to {GO_ON}\b", r"\bbefore i\b", r"\bi'll wait\b", r"\b(?:i'll|i will|i can|i'd|so i can|and i) {GO_ON}\b",
        r"\b(?:otherwise|instead|first|which|needed\?|required|must|delete|drop|overwrite|breaks?|since|because|rather)\b.*\?", r"\bor\b.*\?",
    ];
    /// Offers to do something, which may be the job or more.
    OFFERS_MORE = [r"{LEAD}(?:do you )?want (?:me|it)\b", r"{LEAD}(?:would|shall) (?:you like me|i also)\b", r"{LEAD}(?:should|shall|can) i (?:also|next)\b"];
    /// Announces the next step, or describes the present one.
    ANNOUNCES = [
        r"{LEAD}(?:let me|let's|i'll|i will|i shall|i'm (?:going|about) to|i am (?:going|about) to|going to|about to|time to)\b",
        r"{LEAD}(?:after|once) (?:that|this),? i(?:'ll| will)\b", r"\b(?:now|next|then),? (?:i'll|i will|i'm going to|let me|let's)\b",
        r"{LEAD}(?:i'm|i am|we're|we are)(?: now| still| currently| just| in the middle of)* [a-z-]+ing\b", r"^next(?: up)?[:,]", r"\bi'll (?:report|get) back\b",
        r"\b(?:is|are) (?:still |now )?(?:running|building|compiling|in progress|under way|underway)\b", r"^(?:still |currently |now )+[a-z-]+ing\b",
        r"^(?:ok|okay|now|good|great)(?:,? (?:now|next))?,? the [a-z]+(?: [a-z]+)?\.?$",
        r"\b(?:i'm|i am) (?:now |currently |still )+[a-z-]+ing\b", r"^moving on\b",
    ];
    DOING = [
        r"{LEAD}(?:got it, ?)?(?:reading|(?:re-?)?running|(?:re-?)?checking|looking|searching|working|inspecting|opening|applying|editing|updating|investigating|analy[sz]ing|exploring|building|compiling|testing|starting|scanning|reviewing|tracing|debugging|writing|adding|implementing|creating|fixing|digging|verifying|waiting for|installing|fetching|continuing|proceeding|gathering|examining|trying|refactoring|finishing|removing|replacing)\b",
    ];
    /// A verb behind what may be a gerund as the subject.
    FINITE = [r"\b(?:now [a-z]+s|complete|done|finished|needs?|requires?|pass(?:es|ed)?|gives?|shows?|works?|succeeds?|returns?|is|are|was|were|takes|took|confirms|confirmed|fails|prints|lists|reports|has|have|does|yields|produces|no longer)\b"];
    SUBORDINATE = [r"\b(?:how|what|where|why|which|whether|if|that|to see|before|until)\b"];
    NO_ANNOUNCEMENT = [
        r"{LEAD}let me (?:know|explain|summari[sz]e|be|recap|have)\b", r"{LEAD}(?:i'll|i will) (?:leave|be|stop|wait|need|gladly|happily|not|skip|hold|keep|add|never)\b",
        r"{LEAD}(?:i'm|i am) (?:assuming|waiting|missing|leaving|ending|stopping|pausing|keeping|using|wondering|requesting|asking|giving|blocked)\b",
        r"\b(?:once|when|if|unless|until|as soon as) (?:you|approved|confirmed)\b", r"\btomorrow\b",
    ];
    /// Admits that the job, or part of it, isn't done.
    STOPS = [
        r"\b(?:persists?|workaround|stays? (?:open|unresolved)|interrupted|instead of (?:doing|making|fixing|implementing|applying|running)|roll(?:ing|ed) back|ran out|for the time being|hung|hangs?|out of reach|fix in place)\b",
        r"\b(?:disabled|skipped|ignored|commented out)(?: \w+){0,3} tests?\b", r"\bfailed(?::| for\b|[.!]?$)|\bforbids?\b|\bdoes (?:anything|nothing)\b|\b(?:feasible|(?:one|with) exceptions?)\b|\baccess denied\b|\b(?:changed|did|touched) nothing\b|\bwon't (?:work|do|be|happen|fit)\b",
        r"\bto go[.!]?$|^shall\b|\bexcept (?:items?|the|for)\b", r"\b(?:kindly|mostly|sometimes|occasionally|at times|rarely|without (?:being|(?:a |any )?(?:compil|test|runn|verif|check)\w+)|draft|no access|skeleton|stubs?|(?:first|second|other) half|half of|undid|abandon\w*|truncated|not comfortable|disk is full|dies|nope|rate limit reached|bigger than|larger than expected|aborting)\b|\bcovers?\b.*\bonly\b",
        r"\b(?:is|are|has|have|needs?) (?:all )?to be \w+(?:ed|en|ne)\b", r"\bboth approaches\b|\b(?:everything|all)\b.*\b(?:except|apart|but|besides)\b",
        r"\b(?:timed out|no (?:point|luck|idea)|in vain|exceed(?:s|ed)|paused|undone|denies|refused (?:my|the|to)|chose not|rather not|except (?:for|the|items?)|all but|for another day|hand(?:ing|ed)? (?:it |this )?back|by hand|yourself)\b",
        r"\b(?:files?|rest|ones?|others?|parts?|\d+|two|three|four|it|them) (?:is|are|stays?|remains?) (?:untouched|unchanged)\b", r"\bas far as\b.*\bgot\b", r"\b(?:i|we)(?:'m|'ll|'ve)? (?:asking|ask|asked|chose) (?:first|not|to leave)\b",
        r"\b(?:reverting (?:everything|it|all|my|the change)|partly (?:fulfilled|done|finished|implemented|works)|only partly)\b", r"\bleft .*\b(?:to|for|with) you\b",
        r"\b{I}(?: \w+)? ?{NOT}\b", r"\b{NOT}\b", r"\b(?:can't|cannot|could not|couldn't) be\b", r"\b{I} (?:unable|not able|blocked|stuck|out of|afraid)\b",
        r"\b(?:i|we)(?:'ve| have| had to| must| will|'ll|'d)*(?: \w+)? ?(?:stop(?:ped)?|g[ai]ve up|refuse|decline|abort(?:ed)?|pause[d]?|quit|run out|ran out|hit (?:a|an|the)|got stuck|don't have|do not have|don't know|do not know|don't see|lack|began|rolled|(?:tried|attempted) (?:\w+ )?(?:\d+|two|three|four|several|everything|various|all|to|approaches))\b",
        r"\b(?:i|we) (?:haven't|have not|hadn't|didn't|did not|don't|do not|won't|will not)(?: yet| even| actually)? (?:been|finish\w*|complet\w*|implement\w*|fix\w*|start\w*|begin|begun|get|got\w*|manag\w*|made|make|apply|applied|wire[d]?|do|done|reach\w*|resolv\w*|writ\w+|wrote|solv\w*|work\w*|find|found|succeed\w*|execut\w*|connect\w*|deploy\w*|creat\w*|migrat\w*|convert\w*|remov\w*|delet\w*)\b",
        r"\b(?:not|no|n't) (?:enough|more|sufficient) (?:time|context|budget|memory|space|rights|permissions?|information)\b", r"^giving up\.?$|i'm giving up",
        r"{LEAD}(?:blocked|aborted[.,:]|stopped|stopping|failed|failing|stuck|gave up|unable|cannot|impossible|unfinished|incomplete|denied|unfortunately|not (?:done|finished|possible|implemented|started|complete|yet|migrated))\b",
        r"\b(?:not|isn't|aren't|wasn't|weren't|hasn't been|haven't been|never)(?: been| be| yet| fully| quite)* (?:implemented|finished|completed?|done|working|fixed|wired|supported yet|possible|started|connected|executed|applied|migrated|resolved|written|performed|met|functional|converted|verified and)\b",
        r"\b(?:incomplete|unfinished|half-?way|half(?:-| )done|work in progress|wip|no way to|out of (?:time|context|budget|tokens|turns|memory|disk)|unreachable|not reachable|reverted my|rolled (?:everything|it|them|this|that|all)|in conflict|enospc|eacces|unsupported here)\b",
        r"\b(?:partial(?:ly)?|half) (?:progress|done|complete[d]?|finished|implemented|working|works|of (?:the|it|them))\b", r"^(?:half|partial)\b",
        r"\b(?:remain|remains) (?:open|broken|red|unfinished|unresolved|to be|to do|failing|undone|outstanding|unimplemented|unclear)\b", r"\bremains?[.!]?$", r"\b(?:outstanding|left to do|left undone|left out|to be (?:done|written|implemented|finished|completed|migrated|fixed))\b",
        r"\b(?:is|are|still) (?:left|missing|lacking|open|red|broken)[.!]?$", r"\bstill (?:to be|to do|fails?|failing|needs?|missing|broken|red|open|crash\w*|occurs?|hangs?|unresolved|wrong|doesn't|don't)\b",
        r"\b(?:keeps?|continues? to|started|persistently) (?:fail\w*|crash\w*|hang\w*)\b", r"\bno (?:code |file )?changes? (?:was |were |have been |has been )?(?:made|applied|done)\b", r"\bnothing (?:was|has been|got) (?:changed|done|applied|written|migrated|removed)\b",
        r"\bdid(?:n't| not) (?:happen|work|finish|complete|succeed|go through|run|apply|pass)\b", r"\b(?:doesn't|does not|don't|do not) (?:exist|compile|build|boot|apply|work|pass|run|start)\b",
        r"\b(?:tests?|builds?|checks?|cases?|suite|ci|pipeline|job|lint|compilation|compile|specs?|installation|upgrade|\d+)(?: \w+){0,2} (?:fails?|failing|failed|is red|are red|is broken|crash(?:es|ed)|hangs?|persists?|regress\w*|timed? out|times out)\b",
        r"\b[1-9]\d{0,2} (?:failed|failures?|errors)\b", r"\b(?:error|crash|bug|problem|issue|failure|leak)s? (?:still|persists?|remains?|occurs?|is back)\b", r"\bwould need to\b", r"\bmust decline\b",
        r"\b(?:none of (?:them|these|those)|without success|to no avail|as far as i (?:got|came|could)|got as far as)\b", r"\b(?:terminated|exhausted|rejected|denied|refused|forbidden|forbids)\b(?: \w+){0,3} (?:because|due|by|here|so)\b|\b(?:rejected|denied|refused)[.!]?$",
        r"\b(?:remaining|not done|todo|left to do|what's left|what's missing|open items|known gaps|unresolved)(?: work| items| tasks| steps| failures)?(?:$|[:.]| is | are )",
        r"\bsegfaults?\b", r"\bto stop\b", r"\b(?:is|are) (?:as it was|as they were)\b", r"\b(?:pausing|stopping|ending|leaving it) here\b", r"\bi can't (?:help|assist)\b", r"\bhad to (?:stop|leave|skip)\b",
        r"\b(?:\d+|one|two|three|four|five|six|seven|eight|nine|ten|most|many|only|part) of (?:the |its |my )?(?:\d+|two|three|four|five|six|seven|eight|nine|ten|it|them)\b.*\b(?:left|remain|fail|work|done|fixed|migrated|converted|implemented|pass|still|are|is)?",
        r"\bnot (?:everything|all of|all the)\b", r"\bonly (?:works?|the happy|partly|partially|half|written|prepared)\b", r"\bso far\b",
    ];
    /// A check that couldn't be made, or a failure that is over, expected or another's.
    BENIGN = [
        r"\b(?:{NOT}|not|n't|not be|n't be)(?: \w+)? (?:run|re-?run|commit|committed|push|pushed|verify|verified|test|tested|exercise|exercised|find any|find (?:\w+ )?other|see any|check|validate|measure|confirm)\b",
        r"\b(?:pre-?existing|unrelated|no longer (?:[a-ce-z]|d[a-np-z])\w*|0 failed|expected failures?|half as|fails (?:early|fast)|(?:was|were) wrong|now requires?|(?:on|against|with|without) the (?:old|previous|original|unpatched|unfixed)|any ?more|previously|as expected|used to|would fail|before (?:my|this|the) change|on main|not caused by|as before)\b", r"\bnothing (?:else |more |left )?to do\b", r"\balso (?:fails?|occurs?) on\b", r"\b(?:failing|failed|fails) before\b",
        r"\bcan(?:'t|not) (?:be )?(?:go|happen|regress|rot|drift|break|race|overflow|recur|exceed|reach|leak|collide|be (?:\w+ (?:\w+ )?again|negative|null|empty|reached|mutated))\b",
    ];
    /// What is not so and need not be, and the reader without a part in what comes.
    HARMLESS = [
        r"\bwhat i (?:did|changed)\b",
        r"\b(?:i|we)(?:'ve| have)? (?:also |then |only )?(?:took|followed|opted|decided|ran|verified|confirmed|bisected|went (?:through|ahead)|traced|reproduced|picked|chose|kept|looked|reviewed|investigated|checked|tested|measured|tried (?:it|both|them|the)|compared|found (?:\d|no|none|two|three)|ended up with|noticed|had to (?:widen|change|adjust|update|move|rename|add|touch)|keep|set|used?|didn't (?:change|touch))",
        r"(?:\bnot|n't|\bnever)(?: \w+)? (?:reset|imported|change[ds]?|touch\w*|alter\w*|affect\w*|break\w*|broken|need\w*|requir\w*|modif\w*|add\w*|remove[ds]?|rename\w*|matter\w*|depend\w*|block\w*|leak\w*|allocat\w*|throw\w*|panic\w*|crash\w*|fail\w*|grow\w*|happen any\w*|used|referenced|necessary|relevant|affected|cost|mutate\w*|hold|expose\w*|swallow\w*|duplicate\w*|log|logged|include\w* in|know about)\b",
        r"\byou(?:'re| are)? (?:can|may|asked|raised|sent|filed|saw|wanted|listed|requested|suggested|described|mentioned|pointed|reported|named|noted|absolutely right|right|should see|should now|will see|will find|gave|specified|have|had|want to)\b|\b(?:as|like) you\b|\byou'll (?:find|see|get|notice)\b|\bif you\b",
        r"\byour (?:\w+ )?(?:suspicion|hunch|guess|changes|edits|uncommitted|files|checkout|blog|site|app|project|code|request|brief|description|instructions?|comments?|review|reviewers?|scripts?|tests?|work|branch|repo\w*|report|ticket|issue|suggestion|\w+ now)\b", r"\bplease (?:note|see|refer|find|be aware|keep in mind|remember)\b",
    ];
    /// Hints at something open: too little for a question, too much for a result, unless a verb of report leads.
    HINTS = [
        r"\b(?:lost|wrong|problems?|warned|beware|careful|caution|dummy|fake|red|throws|neither|nor|separate|continue|unsigned|exception|today|risks?|does nothing|consider|experimental|in principle|supposedly|in theory|hopefully|believe)\b|\bfollows?[.!]?$",
        // Something is not so, unless it is what needed no change.
        r"(?:\b(?:is|are|was|were|be|been|does|do|have|has|had|will|could)(?: not\b|n't\b| never\b)|\bnever\b|\bnone (?:of|pass\w*|work\w*|is|are)\b|\bnobody\b)(?: (?:been|be|yet|even|actually|really|yet been))?(?: (?:[a-x][a-z]*))?",
        r"\b(?:have|has|had|need|needs) to (?:wait|be|come|decide)\b|\b(?:is|are|comes?) next\b|\bnext on\b|\bwait(?:ing)? (?:for|until)\b",
        r"\b(?:stub|stubs|stubbed|placeholders?|skeleton|dummy|mocked out|hard-?coded for now|prototype)\b",
        r"\b(?:risky|beyond me|refuses?|interrupted|cut short|went wrong|time out|times out|lost (?:its|the)|reverting|undone|backed out|gave up|too (?:risky|big|large|much)|in vain|partly|halfway)\b",
        // The reader has a part in it.
        r"\b(?:you|your|yours|someone|somebody|anyone)\b", r"\b(?:please|i'd|i would|whichever|whatever|candidates?|guess|correct me|yes before|thumbs up|ping me|product call)\b",
        r"\bdepends? on (?:how|what|which|whether|who|where)\b",
        r"\b(?:i'll|i will|i'm going to|i am going to|i'm about to|let me|i shall)\b",
        r"\b(?:decisions?|decide[sd]?|undecided|clarif\w+|guidance|steer|weigh in|sign-off|go-ahead|your (?:word|approval|preference|ok|okay|thoughts|opinion|call))\b",
        r"\b(?:unclear|not sure|unsure|not certain|uncertain|ambiguous|unspecified|not specified|silent on|tbd|to be (?:decided|confirmed|clarified)|contradict\w*|conflicts?)\b",
        r"\b(?:open|remaining|last|unresolved|outstanding) (?:question|point|issue|item|thing|piece|step|decision)s?\b", r"\b(?:pending|awaiting|waiting for|on hold|unverified|untested|not tested)\b", r"\bready (?:when|whenever|for you|to (?:proceed|continue|go|start|implement|apply|deploy|push|merge))",
        r"\b(?:two|three|several|some|few|a couple of|\d) (?:\w+ )?(?:options?|ways|approaches|choices|possibilities|alternatives|readings|interpretations)\b", r"^(?:options?|alternatives|choices)\b", r"\boption (?:[a-d]|\d)\b",
        r"\b(?:i|we) can (?:go|make|do|continue|either|only|try|add|implement)\b", r"\b(?:i|we) (?:could|might|would|may|suggest|propose|recommend|assume|assumed|guess|think|believe|plan|lean|wonder|intend|made an assumption)\b", r"\bi'd (?:suggest|propose|recommend|go|rather|prefer)\b",
        r"\b(?:plan|proposal|proposed|suggestion|suggested|recommendation|best guess|approach)\b", r"\b(?:todo|to do|unfortunately|remaining|remainder|yet|for later|tomorrow|comes next|will follow|next step is|to follow|in progress)\b",
        r"\b(?:needs?|required?) (?:to be|a|an|the|more|your)\b", r"{LEAD}(?:need|require|which|who)\b", r"\b(?:except|apart from|aside from|other than|all but)\b", r"\bshould (?:i|we|be)\b", r"\bplease\b.*\b(?:and|so)\b",
        r"\b(?:blocked|blocker|blocking|stuck)\b", r"\bnot (?:in|available|installed|present|accessible|provided|part of)\b.*\b(?:repo\w*|here|sandbox|environment)\b", r"\b(?:disabled|skipped|ignored|commented out) (?:the )?(?:\w+ )*tests?\b",
        r"\b(?:if|unless) (?:it|that|this) (?:isn't|is not|is wrong|doesn't)\b", r"\b(?:is|are) (?:left|missing)\b", r"\bwould (?:break|need|have to|require|be)\b", r"\bhalf\b",
    ];
    /// The writer of the message.
    SELF = [r"\b(?:i|i'd|i'll|i'm|i've|me|we|we'd|we're|us)\b"];
    BUT = [r"\b(?:but|yet|though|although|however|except|besides|apart from)\b"];
    /// Leads with a verb of report.
    REPORTS = [r"{LEAD}(?:(?:i|we|it|that|they|which)(?:'ve| have| had|'s| has| is| was| were| are)? ?)?(?:(?:\w+ly|now|also|then|all|been|both) )*(?:{MADE})\b"];
    /// Reports that work was done, or how things are now.
    CLAIMS = [
        r"{LEAD}(?:(?:i|we)(?:'ve| have)? )?(?:(?:\w+ly|now|also|then|all|both|just) )*(?:{MADE})\b", r"\b(?:is|are|was|were|been|gets?|got|has|have)(?: (?:now|all|also|both|fully|again|just|\w+ly|been))* (?:{MADE})\b",
        r"{LEAD}(?:done|complete|completed|finished|all set|all good|implemented|ready|works|verified|green|clean|shipped|gone|applied|fixed)(?:[.!:,]|$| -| –| —| as| in| with| for)", r":? (?:done|works|fixed|complete|passing|green)[.!]?$", r"\b(?:{MADE})(?: to| in| by| from| with| for|[.!,]?$)", r"\b(?:i|we)(?:'ve)? (?:went with|gone with|put the|kept the (?:change|diff|patch))\b",
        r"{LEAD}(?:adds|fixes|handles|makes|removes|replaces|updates|moves|renames|turns out to be fixed)\b",
        r"\b(?:is|are|it's)(?: \w+)? (?:in place|complete|ready|green|clean|finished|gone|live|up to date|identical|the same|unchanged|idempotent|done)\b", r"\bnow [a-z]+s?\b", r"(?:\b[a-z]+s?|`) (?:it |them |both |all |again )?now\b", r"\bno longer\b|\bany ?more\b",
        r"\b(?:pass|passes|passed|passing|succeeds?|compiles?|builds|works|green|runs clean)\b", r"\b(?:went|fell|dropped|grew|goes|drops?) (?:from|to|by)\b", r"(?:→|->) ?`?\d", r"\b(?:here's|here is) what (?:i did|changed)\b", r"\b(?:and|then) (?:{MADE})\b", r"^(?:what (?:i )?(?:changed|did)\??|changes(?: made)?)[:.]?$",
    ];
    /// Describes the thing, not the writer or the reader.
    DESCRIBES = [
        r"^(?:the|a|an|both|all|each|every|it|they|this|that|`|new|old|existing|invalid|missing|unknown)\b.{0,80}? (?:is|are|accepts?|adds?|allows?|applies|apply|builds?|calls?|closes?|contains?|covers?|creates?|emits?|enforces?|exits?|expires?|explains?|falls?|follows?|handles?|has|have|holds?|ignores?|includes?|keeps?|lists?|lives?|loads?|logs?|matches|match|moves?|names?|changes|comes|survives?|opens?|parses?|passes|pass|picks?|points?|prints?|reads?|records?|refreshes|rejects?|removes?|renders?|reports?|resolves?|respects?|retries|returns?|runs?|sends?|sets?|shows?|skips?|sorts?|starts?|stays?|stores?|strips?|supports?|takes?|throws?|tracks?|treats?|uses?|validates?|waits?|warns?|works?|wraps?|writes?|go through|goes through)\b",
        r"^`.{0,80}? (?:accepts?|covers?|creates?|emits?|exits|handles|has|have|ignores|includes|keeps|lists|loads|opens|parses|prints|reads|rejects|removes|renders|reports|returns|runs|sends|shows|skips|sorts|supports|takes|throws|treats|uses|validates|writes)\b",
    ];
    /// Looks like a verb of report, and isn't one.
    NO_CLAIM = [
        r"(?:\bnot|n't|\bnever|\bnor)(?: \w+)? (?:{MADE})\b", r"\b(?:once|after|when|if|unless|until|before) i\b", r"\b(?:would|will|should|could|might|must|can|may|need to|needs to|has to|have to|to) be\b", r"\b(?:would|could|might|should)\b", r"\b(?:plan|proposal|outline|draft)\b",
        r"{LEAD}(?:(?:i|we)(?:'ve| have| had|'m| am)? )?(?:\w+ly |also |just )*(?:proposed|planned|recommended|suggested|needed|required|requested|expected|failed|blocked|stopped|disconnected|denied|refused|aborted|terminated|attempted|tried|started|noticed|paused|need|feed|proceed|exceed|found|identified|located|investigated|looked|reproduced|read|analy[sz]ed|explored|reviewed|inspected|examined|understood|supposed|based|indeed|speed|stuck|prepared|considered|wanted|searched|traced|gathered|studied|skipped|reverted|exceeded|limited|unfinished|continued|deferred|postponed|declined|interrupted|hoped|assumed|believed)\b",
    ];
}

fn compile(alternatives: &[&str]) -> Regex {
    let mut pattern = alternatives.join("|");
    for (name, part) in PARTS.iter().rev() {
        pattern = pattern.replace(&format!("{{{name}}}"), part);
    }
    // Words are ASCII; anything may be between them.
    let pattern = pattern
        .replace(".*", "(?u:.)*")
        .replace(".{0,80}?", "(?u:.){0,80}?")
        .replace("[^,]*", "(?u:[^,])*");
    RegexBuilder::new(&pattern)
        .unicode(false)
        .build()
        .expect("the pattern is constant and covered by a test")
}

/// The clauses of a sentence, as far as its words mark them.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    static BREAKS: LazyLock<Regex> = LazyLock::new(|| {
        let ends = [
            "; | (?:—|–|-) |: |,? (?:but|however|though|although|while|except|whereas|yet|and|since|because|which) ",
        ];
        compile(&ends)
    });
    BREAKS.split(text).filter(|clause| !clause.is_empty())
}

/// Whether a sentence asks for leave.
pub(super) fn asks_leave(text: &str, as_question: bool) -> bool {
    as_question && MAY_I.is_match(text) || !as_question && LEAVE.is_match(text) && !reports(text)
}

/// Whether a sentence without a question mark asks for something else, or waits for it.
pub(super) fn requests(text: &str) -> bool {
    let asks = |clause| REQUEST.is_match(clause) || OPENS_QUESTION.is_match(clause);
    OFFER.is_match(text) && GOES_ON.is_match(text)
        || REQUEST.is_match(text)
        || clauses(text).any(asks)
}

/// Whether its writer answers the question in the next sentence. A heading may be any question about the work; in a text
/// only the set phrases count.
pub(super) fn is_rhetorical(text: &str, heading: bool) -> bool {
    (heading && FAQ.is_match(text) || RHETORICAL.is_match(text)) && !CHOICE.is_match(text)
}

/// Whether a sentence offers more, so that silence is as good as a "no".
pub(super) fn offers(text: &str) -> bool {
    OFFER.is_match(text) && !GOES_ON.is_match(text)
}

/// Whether a sentence tells what the agent is doing or is about to do.
pub(super) fn announces(text: &str) -> bool {
    let doing = DOING.is_match(text) && (!FINITE.is_match(text) || SUBORDINATE.is_match(text));
    let announces = |clause: &str| ANNOUNCES.is_match(clause) && !NO_ANNOUNCEMENT.is_match(text);
    !offers(text)
        && (doing && !NO_ANNOUNCEMENT.is_match(text)
            || announces(text)
            || clauses(text).any(announces))
}

/// A clause without its conditions: what happens under one has not happened.
fn unconditional(clause: &str) -> Cow<'_, str> {
    static CONDITION: LazyLock<Regex> =
        LazyLock::new(|| compile(&[r"\b(?:when|whenever|if|unless|where)\b[^,]*"]));
    CONDITION.replace_all(clause, "")
}

/// Whether a sentence admits that the job, or a part of it, isn't done.
pub(super) fn stops(text: &str) -> bool {
    clauses(text).any(|clause| STOPS.is_match(&unconditional(clause)) && !BENIGN.is_match(clause))
}

/// Whether a sentence hints at something open. What was done may be about decisions, so a verb of report excuses it.
pub(super) fn hints(text: &str) -> bool {
    let hints = |clause: &str| {
        let open = HINTS.is_match(&unconditional(clause)) && !reports(clause);
        open && !BENIGN.is_match(clause) && !HARMLESS.is_match(clause)
    };
    let odd = |clause: &str| {
        let known = reports(clause)
            || claims(clause)
            || BENIGN.is_match(clause)
            || HARMLESS.is_match(clause);
        !known && (SELF.is_match(clause) || BUT.is_match(text) && !describes(clause))
    };
    !offers(text)
        && !super::abroad::is_foreign(text)
        && clauses(text).any(|clause| hints(clause) || odd(clause))
}

/// Whether a clause leads with a verb of report.
pub(super) fn reports(clause: &str) -> bool {
    REPORTS.is_match(clause) && !NO_CLAIM.is_match(clause)
}

/// Whether a sentence says that work is done, or how things are now.
pub(super) fn claims(text: &str) -> bool {
    let claims = |clause: &str| CLAIMS.is_match(clause);
    clauses(text).any(|clause| claims(clause) && !NO_CLAIM.is_match(clause))
}

/// Whether a sentence describes the thing that was worked on.
pub(super) fn describes(text: &str) -> bool {
    clauses(text).any(|clause| DESCRIBES.is_match(clause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for words in ALL {
            assert!(!words.is_match("\u{1}"));
        }
    }
}
