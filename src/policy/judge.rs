//! The verdict on a request.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::act::{Act, Effect, EffectKind};
use super::ground::{Ground, Place};
use super::request::{Request, Wish};
use super::rule::{Action, Rule};
use super::{Policy, shell};

/// The name of the rule that holds where no other does.
pub const DEFAULT_RULE: &str = "default";

/// The verdict on a request, and how it came about.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The strictest of all that follow.
    pub action: Action,
    /// The rule that says it, or `default`.
    pub rule: String,
    /// The word for the agent, of a `deny`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Each thing that would be done, in the order of the command. None where a program's own code decided.
    pub acts: Vec<Judged>,
}

/// The word of a policy on a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Ruling {
    /// What is to happen.
    pub action: Action,
    /// The rule that says it, for the record.
    pub rule: String,
    /// The word for the agent, of a `deny`.
    pub message: Option<String>,
}

impl Ruling {
    /// Go on, by that rule.
    #[must_use]
    pub fn allow(rule: impl Into<String>) -> Self {
        Self::new(Action::Allow, rule)
    }

    /// Not before somebody says so: who answers without a policy.
    #[must_use]
    pub fn ask(rule: impl Into<String>) -> Self {
        Self::new(Action::Ask, rule)
    }

    /// No, by that rule; the message tells the agent what to do instead.
    #[must_use]
    pub fn deny(rule: impl Into<String>, message: impl Into<String>) -> Self {
        let message = Some(message.into());
        Self {
            message,
            ..Self::new(Action::Deny, rule)
        }
    }

    fn new(action: Action, rule: impl Into<String>) -> Self {
        Self {
            action,
            rule: rule.into(),
            message: None,
        }
    }
}

impl From<Verdict> for Ruling {
    fn from(verdict: Verdict) -> Self {
        Self {
            action: verdict.action,
            rule: verdict.rule,
            message: verdict.message,
        }
    }
}

impl From<Ruling> for Verdict {
    fn from(ruling: Ruling) -> Self {
        Self {
            action: ruling.action,
            rule: ruling.rule,
            message: ruling.message,
            acts: Vec::new(),
        }
    }
}

/// The verdict on one thing of a request.
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// What would be done, as people read it.
    pub act: String,
    /// Its effects.
    pub effects: Vec<EffectKind>,
    /// What is to happen.
    pub action: Action,
    /// The rule that says so, or `default`.
    pub rule: String,
    /// Why it can't be allowed without somebody's word, where no rule says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
    #[serde(skip)]
    message: Option<String>,
}

impl Policy {
    /// Judges a request. The same request on the same ground always gets the same verdict.
    #[must_use]
    pub fn judge(&self, request: &Request, ground: &Ground) -> Verdict {
        let acts = acts(request, ground);
        let judged: Vec<Judged> = acts.iter().map(|act| self.judge_act(act, ground)).collect();
        let strictest = judged.iter().map(|judged| judged.action).max();
        let strictest = strictest.unwrap_or(Action::Ask);
        let first = judged.iter().find(|judged| judged.action == strictest);
        Verdict {
            action: strictest,
            rule: first.map_or(DEFAULT_RULE, |first| &first.rule).to_owned(),
            message: first.and_then(|first| first.message.clone()),
            acts: judged,
        }
    }

    /// Each effect gets the strictest word of all rules about it; an act the strictest of its effects.
    fn judge_act(&self, act: &Act, ground: &Ground) -> Judged {
        let mut strictest: Option<(Action, Option<&Rule>)> = None;
        for effect in &act.effects {
            let said = self.judge_effect(act, effect, ground);
            if strictest.is_none_or(|(action, _)| said.0 > action) {
                strictest = Some(said);
            }
        }
        let (mut action, mut rule) = strictest.unwrap_or((Action::Ask, None));
        if !act.doubts.is_empty() && action == Action::Allow {
            (action, rule) = (Action::Ask, None);
        }
        let message = rule.filter(|_| action == Action::Deny).map(|rule| {
            let own = rule.message.clone();
            own.unwrap_or_else(|| format!("The policy's rule \"{}\" forbids this.", rule.name))
        });
        Judged {
            act: act.text.clone(),
            effects: act.effects.iter().map(|effect| effect.kind).collect(),
            action,
            rule: rule.map_or(DEFAULT_RULE, |rule| &rule.name).to_owned(),
            doubt: (rule.is_none() && action == Action::Ask)
                .then(|| act.doubts.first().cloned())
                .flatten(),
            message: message.or_else(|| {
                let by_default = rule.is_none() && action == Action::Deny;
                by_default.then(|| "The policy allows only what its rules name.".to_owned())
            }),
        }
    }

    fn judge_effect(&self, act: &Act, effect: &Effect, ground: &Ground) -> (Action, Option<&Rule>) {
        let about = |rule: &&Rule| rule.is_about(act, effect, ground);
        let mut strictest: Option<&Rule> = None;
        for rule in self.rules().iter().filter(about) {
            if strictest.is_none_or(|known| rule.action > known.action) {
                strictest = Some(rule);
            }
        }
        strictest.map_or((self.default_action(), None), |rule| {
            (rule.action, Some(rule))
        })
    }

    /// Whether a rule is about any part of a request.
    pub(super) fn is_about(rule: &Rule, request: &Request, ground: &Ground) -> bool {
        acts(request, ground).iter().any(|act| {
            let mut effects = act.effects.iter();
            effects.any(|effect| rule.is_about(act, effect, ground))
        })
    }
}

/// What a request would do.
fn acts(request: &Request, ground: &Ground) -> Vec<Act> {
    let directory = request.directory.as_deref();
    let mut acts = match &request.wish {
        Wish::Shell(script) => shell::acts(script, directory, ground),
        Wish::Edit(files) => vec![of_files(files, EffectKind::Write, directory, ground)],
        Wish::Read(files) => vec![of_files(files, EffectKind::Read, directory, ground)],
        Wish::Web(address) => vec![of(address, EffectKind::Network)],
        Wish::Talk => vec![of("", EffectKind::Nothing)],
        Wish::Other => vec![of("", EffectKind::Unknown)],
    };
    for act in &mut acts {
        act.tools = [request.wish.kind().to_owned(), request.tool.clone()];
        if !matches!(request.wish, Wish::Shell(_)) {
            act.text = format!("{} {}", request.tool, act.text).trim().to_owned();
        }
    }
    acts
}

fn of(text: &str, kind: EffectKind) -> Act {
    let mut act = Act::new(text);
    act.add(kind);
    act
}

fn of_files(files: &[String], kind: EffectKind, directory: Option<&Path>, ground: &Ground) -> Act {
    let mut act = Act::new(files.join(" "));
    for file in files {
        let directory = directory.or(file.starts_with('/').then_some(Path::new("/")));
        let place = match directory {
            Some(directory) => ground.place(directory, file),
            None => Place::Unsure,
        };
        if place == Place::Unsure {
            act.doubt("it can't be told where that file is");
        }
        act.effects.push(Effect::at(kind, place));
    }
    if files.is_empty() {
        act.add(kind);
        act.doubt("it does not say which file");
    }
    act
}
