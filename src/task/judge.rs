//! Policies: who decides what an agent may do, before it does it.
//!
//! A [`Policy`] is asked for each call of a tool, and for each approval that the agent asks for. The shipped one, [`NamedPolicy`], has
//! rules, by which the hooks of a run judge themselves; one of a caller's own decides in the operator's process, while
//! the hook waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::agent::report::Call;
use crate::policy::{Ground, NamedPolicy, Ruling};
use crate::task::respond::Context;

/// Somebody who decides what an agent may do.
///
/// ```
/// use async_trait::async_trait;
/// use cx_operator::{Call, Context, NamedPolicy, Policy, Ruling, Wish};
///
/// struct NothingLeaves(NamedPolicy);
///
/// #[async_trait]
/// impl Policy for NothingLeaves {
///     fn name(&self) -> &str {
///         "nothing-leaves"
///     }
///
///     async fn judge(&self, call: &Call, context: &Context) -> Ruling {
///         match &call.request.wish {
///             Wish::Shell(script) if script.contains("git push") => {
///                 Ruling::deny("push", "Nothing is pushed here. Commit it, and say so.")
///             }
///             _ => self.0.judge(call, context).await,
///         }
///     }
/// }
/// # let _ = NothingLeaves(NamedPolicy::load("edit-and-test").expect("a preset"));
/// ```
#[async_trait]
pub trait Policy: Send + Sync {
    /// Under what name the record carries its decisions.
    fn name(&self) -> &str;

    /// The rules that are all of it. Where it has them, the hooks judge by them, also while no operator lives, and
    /// [`Policy::judge`] is not called. Default: none.
    fn rules(&self) -> Option<&NamedPolicy> {
        None
    }

    /// How long one decision may take, at most a week. The agent waits meanwhile, in the time of its turn. What is not decided by
    /// then is denied. Default: 30 seconds.
    fn limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// Decides on one call. Several may be judged at the same time. One that panics denies.
    async fn judge(&self, call: &Call, context: &Context) -> Ruling;
}

#[async_trait]
impl Policy for NamedPolicy {
    fn name(&self) -> &str {
        NamedPolicy::name(self)
    }

    fn rules(&self) -> Option<&NamedPolicy> {
        Some(self)
    }

    /// Judges by the rules; for a policy of a caller's own that leaves the rest to them.
    async fn judge(&self, call: &Call, context: &Context) -> Ruling {
        let ground = Ground::new(&context.worktree, context.home.as_deref());
        match self.parse() {
            Some(rules) => rules.judge(&call.request, &ground).into(),
            None => Ruling::deny("default", "The rules of this run can't be read."),
        }
    }
}

impl fmt::Debug for dyn Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A policy of a program that is gone.
struct Gone {
    name: String,
}

#[async_trait]
impl Policy for Gone {
    fn name(&self) -> &str {
        &self.name
    }

    fn limit(&self) -> Duration {
        Duration::ZERO
    }

    async fn judge(&self, _call: &Call, _context: &Context) -> Ruling {
        Ruling::deny(
            "default",
            "The program that decides what may be done in this run is gone. Say so, and end your turn.",
        )
    }
}

/// Whether that policy can decide nothing, such as that of an earlier run, which was code of its program.
pub(crate) fn is_gone(policy: &Arc<dyn Policy>) -> bool {
    policy.rules().is_none() && policy.limit().is_zero()
}

/// A policy in a document: its rules, else its name.
pub(super) mod document {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Gone, NamedPolicy, Policy};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Document {
        Rules(NamedPolicy),
        Own { name: String },
    }

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(in crate::task) fn serialize<S: Serializer>(
        policy: &Option<Arc<dyn Policy>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let document = policy.as_ref().map(|policy| match policy.rules() {
            Some(rules) => Document::Rules(rules.clone()),
            None => Document::Own {
                name: policy.name().to_owned(),
            },
        });
        document.serialize(serializer)
    }

    pub(in crate::task) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<dyn Policy>>, D::Error> {
        let document = Option::<Document>::deserialize(deserializer)?;
        Ok(document.map(|document| match document {
            Document::Rules(rules) => Arc::new(rules) as Arc<dyn Policy>,
            Document::Own { name } => Arc::new(Gone { name }),
        }))
    }
}
