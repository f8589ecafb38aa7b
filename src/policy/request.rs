//! What an agent wants to do, in words that all agents share.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One wish of an agent: the call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The agent's own name of the tool, such as `Bash` or `mcp__github__create_issue`.
    pub tool: String,
    /// What the tool is asked to do.
    pub wish: Wish,
    /// Where it would be done, absolute; `None` where nobody can tell.
    pub directory: Option<PathBuf>,
}

/// What a tool is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Wish {
    /// Run a shell's script.
    Shell(String),
    /// Change these files; of none it is not known which.
    Edit(Vec<String>),
    /// Read these files; of none it is not known which.
    Read(Vec<String>),
    /// Reach the network, for this address or these words.
    Web(String),
    /// Something that touches nothing but the conversation, such as a list of what is to be done.
    Talk,
    /// Something else.
    Other,
}

impl Wish {
    /// The name that rules have for tools of the kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Shell(_) => "shell",
            Self::Edit(_) => "edit",
            Self::Read(_) => "read",
            Self::Web(_) => "web",
            Self::Talk => "talk",
            Self::Other => "other",
        }
    }
}
