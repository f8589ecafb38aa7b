//! What is drawn for one run: what its agent does, what disturbs it and when, and which ends are true ones then.

use std::time::Duration;

use crate::random::Random;

/// What the agent does without a disturbance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// It makes a file.
    File,
    /// It makes a file and commits it, which takes `danger-full-access`.
    Commit,
    /// It makes a file, and one without the right to read it.
    Unreadable,
    /// It changes nothing.
    Nothing,
    /// It asks, and gets no answer.
    Question,
    /// It asks, the answers file answers, and it makes a file.
    Answered,
    /// It asks for an approval, with that `--permissions`.
    Approval(&'static str),
    /// It makes a file and asks; the model fails at the answer.
    FailsLater(Failure),
    /// The model fails at the brief.
    Fails(Failure),
}

/// How a model fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Http(u16),
    /// The stream ends in the middle of an answer.
    Drop,
}

/// What happens to a run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disturbance {
    Nothing,
    OperatorKilled,
    Interrupted,
    TerminatedTwice,
    AgentKilled,
    SessionKilled,
    /// `tmux kill-server`.
    ServerEnded,
    /// SIGKILL.
    ServerKilled,
    Escape,
}

/// Who takes over the run of an operator that was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heir {
    Resume,
    Recover,
    RecoverEnd,
    Cleanup,
    /// Another `delegate`, which looks for such runs at its start.
    NextRun,
}

/// One run of a soak.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) number: usize,
    /// What only the agent writes.
    pub(crate) token: String,
    pub(crate) story: Story,
    pub(crate) disturbance: Disturbance,
    /// How long the model takes for each answer.
    pub(crate) pause: Duration,
    /// When it is disturbed, from the operator's start.
    pub(crate) at: Duration,
    /// Between two signals.
    pub(crate) again: Duration,
    /// Who takes over, in turn; each but the last is killed after that time.
    pub(crate) heirs: Vec<(Heir, Option<Duration>)>,
    /// Whether the worktree is made where it is made by default.
    pub(crate) default_place: bool,
}

/// A status and the code of its error, "" without one and "*" for any.
pub(crate) type End = (&'static str, &'static str);

const COMPLETED: End = ("completed", "");
const DIED: End = ("agent_died", "agent_died");

impl Plan {
    /// Draws a run. The scripted agent knows no torn streams.
    pub(crate) fn draw(seed: u64, number: usize, real: bool) -> Self {
        let mut random = Random::of_run(seed, number);
        let token = format!("token-{:016x}", random.next());
        let disturbance = random.choose(&[
            Disturbance::Nothing,
            Disturbance::Nothing,
            Disturbance::Nothing,
            Disturbance::OperatorKilled,
            Disturbance::OperatorKilled,
            Disturbance::OperatorKilled,
            Disturbance::Interrupted,
            Disturbance::TerminatedTwice,
            Disturbance::AgentKilled,
            Disturbance::SessionKilled,
            Disturbance::ServerEnded,
            Disturbance::ServerKilled,
            Disturbance::Escape,
        ]);
        let story = match disturbance {
            Disturbance::Nothing => any_story(&mut random, real),
            _ => random.choose(&[Story::File, Story::File, Story::Commit, Story::Answered]),
        };
        let pause = random.time(0..900);
        // As long as such a run usually takes; the scripted agent needs the model once.
        let pauses = u64::try_from(pause.as_millis()).expect("below a second");
        let usual = if real {
            1000 + 2 * pauses
        } else {
            200 + pauses
        };
        Self {
            number,
            token,
            story,
            disturbance,
            pause,
            at: random.time(0..usual),
            again: random.time(1..400),
            heirs: heirs(&mut random),
            default_place: random.once_in(4),
        }
    }

    /// The line of the table that the run counts for.
    pub(crate) fn label(&self) -> String {
        let heir = self.heirs.first().map(|(heir, _)| *heir);
        match self.disturbance {
            Disturbance::Nothing => self.story.label(),
            Disturbance::OperatorKilled => {
                let heir = heir.map_or("", Heir::label);
                format!("operator killed, then {heir}")
            }
            Disturbance::Interrupted => "operator gets SIGINT".to_owned(),
            Disturbance::TerminatedTwice => "operator gets SIGTERM twice".to_owned(),
            Disturbance::AgentKilled => "agent killed".to_owned(),
            Disturbance::SessionKilled => "tmux session killed".to_owned(),
            Disturbance::ServerEnded => "tmux kill-server".to_owned(),
            Disturbance::ServerKilled => "tmux server gets SIGKILL".to_owned(),
            Disturbance::Escape => "Esc typed".to_owned(),
        }
    }

    /// Whether no take-over ends an agent that still works.
    pub(crate) fn is_followed_on(&self) -> bool {
        let ends = |heir: &Heir| matches!(heir, Heir::RecoverEnd | Heir::Cleanup);
        !self.heirs.iter().any(|(heir, _)| ends(heir))
    }

    /// The ends that tell the truth about the run. What comes late may find it completed.
    pub(crate) fn true_ends(&self) -> Vec<End> {
        match self.disturbance {
            Disturbance::Nothing => vec![self.story.end()],
            // An end at once asks no responder, not even one that could have answered.
            Disturbance::OperatorKilled if !self.is_followed_on() => {
                vec![COMPLETED, ("aborted", "operator_died"), ("needs_input", "")]
            }
            Disturbance::OperatorKilled => vec![COMPLETED, ("aborted", "operator_died")],
            Disturbance::Interrupted | Disturbance::TerminatedTwice => {
                vec![COMPLETED, ("aborted", "cancelled")]
            }
            Disturbance::AgentKilled => vec![COMPLETED, DIED],
            Disturbance::SessionKilled | Disturbance::ServerEnded | Disturbance::ServerKilled => {
                vec![COMPLETED, DIED, ("failed", "tmux")]
            }
            // Before the prompt is in the composer, the key spoils what the terminal answers to codex's questions, or
            // the mark that a paste begins with: a part of that is then taken for typed text. In the composer it clears.
            Disturbance::Escape => vec![
                COMPLETED,
                ("aborted", "interrupted"),
                ("failed", "prompt_altered"),
                ("timed_out", "not_submitted"),
                ("blocked_dialog", "composer_in_use"),
            ],
        }
    }
}

fn any_story(random: &mut Random, real: bool) -> Story {
    let http = random.choose(&[401, 429, 500]);
    let failure = match real && random.once_in(4) {
        true => Failure::Drop,
        false => Failure::Http(http),
    };
    random.choose(&[
        Story::File,
        Story::Commit,
        Story::Unreadable,
        Story::Nothing,
        Story::Question,
        Story::Answered,
        Story::Approval("ask"),
        Story::Approval("deny"),
        Story::Approval("allow"),
        Story::FailsLater(failure),
        Story::FailsLater(failure),
        Story::Fails(failure),
    ])
}

/// One, or two of which the first is killed in its turn; and who looks after those that leave something.
fn heirs(random: &mut Random) -> Vec<(Heir, Option<Duration>)> {
    const ALL: [Heir; 5] = [
        Heir::Resume,
        Heir::Recover,
        Heir::RecoverEnd,
        Heir::Cleanup,
        Heir::NextRun,
    ];
    let mut heirs = Vec::new();
    if random.once_in(3) {
        heirs.push((random.choose(&ALL), Some(random.time(1..600))));
    }
    heirs.push((random.choose(&ALL), None));
    // It leaves agents alone that still work, and may have been killed itself.
    if heirs.iter().any(|(heir, _)| *heir == Heir::NextRun) {
        heirs.push((Heir::Recover, None));
    }
    heirs
}

impl Story {
    fn label(self) -> String {
        match self {
            Story::File => "undisturbed: a file".to_owned(),
            Story::Commit => "undisturbed: a commit".to_owned(),
            Story::Unreadable => "an unreadable file".to_owned(),
            Story::Nothing => "undisturbed: no change".to_owned(),
            Story::Question => "a question, unanswered".to_owned(),
            Story::Answered => "a question, answered".to_owned(),
            Story::Approval(policy) => format!("an approval, --permissions {policy}"),
            Story::FailsLater(failure) => format!("model: {} in turn 2", failure.label()),
            Story::Fails(failure) => format!("model: {} in turn 1", failure.label()),
        }
    }

    fn end(self) -> End {
        match self {
            Story::Question => ("needs_input", ""),
            Story::Approval("ask") => ("needs_permission", ""),
            Story::FailsLater(failure) | Story::Fails(failure) => failure.end(),
            _ => COMPLETED,
        }
    }
}

impl Failure {
    fn label(self) -> String {
        match self {
            Failure::Http(status) => format!("HTTP {status}"),
            Failure::Drop => "stream dropped".to_owned(),
        }
    }

    /// The directive that brings it about.
    pub(crate) fn directive(self) -> String {
        match self {
            Failure::Http(status) => format!("[[http {status}]]"),
            Failure::Drop => "[[drop]]".to_owned(),
        }
    }

    fn end(self) -> End {
        let code = match self {
            Failure::Http(401) => "http_401",
            Failure::Http(429) => "http_429",
            Failure::Http(_) => "http_500",
            Failure::Drop => "*",
        };
        ("agent_failed", code)
    }
}

impl Heir {
    fn label(self) -> &'static str {
        match self {
            Heir::Resume => "resume",
            Heir::Recover => "recover",
            Heir::RecoverEnd => "recover --end",
            Heir::Cleanup => "cleanup",
            Heir::NextRun => "the next delegate",
        }
    }
}
