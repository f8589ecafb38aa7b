//! `cx-operator policy`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use schemars::JsonSchema;
use serde::Serialize;

use super::{print_json, print_text, usage};
use crate::Error;
use crate::os::given;
use crate::os::shell::shell_quote;
use crate::policy::{self, Action, Ground, Judged, PRESETS, Request, Verdict, Wish};

/// Show, explain and test the policies that decide what an agent may do.
#[derive(Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    action: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    Show(Show),
    Check(Check),
    Test(Test),
}

/// Print a preset, or the names of all presets.
#[derive(Args)]
struct Show {
    /// `read-only`, `edit-and-test` or `local-only`.
    preset: Option<String>,
}

/// Tell what a policy says to a command, and why.
///
/// Exit status: 0 allow; 1 deny; 3 ask; 2 the policy or the usage is wrong.
#[derive(Args)]
struct Check {
    /// A preset, or a file.
    policy: String,
    /// The worktree in which the agent would run it [default: the current directory].
    #[arg(long, value_name = "DIR")]
    worktree: Option<PathBuf>,
    /// What the words are: a shell's `command`, files to `edit` or to `read`, an address for `web`, or the name of another tool.
    #[arg(long, value_name = "KIND", default_value = "command")]
    tool: String,
    /// Print the verdict as JSON.
    #[arg(long)]
    json: bool,
    /// The command, after `--` or not: one word is a shell's script, several are a program and its arguments.
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<String>,
}

/// Check the examples that stand beside a policy's rules.
#[derive(Args)]
struct Test {
    /// A file, or a preset.
    policy: String,
    /// Print `{"schema_version", "policy", "hash", "rules", "examples"}`.
    #[arg(long)]
    json: bool,
}

/// The document of `policy check --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Checked {
    /// 1.
    schema_version: u32,
    /// The preset, or the file as it was named.
    policy: String,
    /// `sha256:` and the hash of its document.
    hash: String,
    #[serde(flatten)]
    verdict: Verdict,
}

/// The document of `policy test --json`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Tested {
    /// 1.
    schema_version: u32,
    /// The preset, or the file as it was named.
    policy: String,
    /// `sha256:` and the hash of its document.
    hash: String,
    /// The number of its rules.
    rules: usize,
    /// The number of examples, all of which are as they say.
    examples: usize,
}

impl Policy {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        match self.action {
            Subcommands::Show(show) => show.run(),
            Subcommands::Check(check) => check.run(),
            Subcommands::Test(test) => test.run(),
        }
    }
}

impl Show {
    fn run(&self) -> Result<ExitCode, Error> {
        let mut text = String::new();
        match &self.preset {
            Some(name) => {
                let preset = PRESETS.iter().find(|(known, _)| known == name);
                let names: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
                let (_, preset) = preset.ok_or_else(|| {
                    usage(format!(
                        "no preset is called {name} (there are: {})",
                        names.join(", ")
                    ))
                })?;
                text.push_str(preset);
            }
            None => {
                for (name, preset) in PRESETS {
                    let about: Vec<&str> = preset
                        .lines()
                        .map_while(|line| line.strip_prefix("# "))
                        .collect();
                    let _always = writeln!(text, "{name:<14} {}", about.join(" "));
                }
            }
        }
        print_text(&text)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Check {
    fn run(&self) -> Result<ExitCode, Error> {
        let policy = policy::Policy::load(&self.policy)?;
        let ground = self.ground()?;
        let verdict = policy.judge(&self.request(&ground), &ground);
        if self.json {
            print_json(&Checked {
                schema_version: 1,
                policy: self.policy.clone(),
                hash: policy.hash(),
                verdict: verdict.clone(),
            })?;
        } else {
            print_text(&explained(&verdict))?;
        }
        Ok(ExitCode::from(match verdict.action {
            Action::Allow => 0,
            Action::Deny => 1,
            Action::Ask => 3,
        }))
    }

    fn request(&self, ground: &Ground) -> Request {
        let words = self.command.clone();
        let wish = match self.tool.as_str() {
            "command" | "shell" => Wish::Shell(match words.as_slice() {
                [script] => script.clone(),
                words => {
                    let quoted: Vec<_> = words.iter().map(|word| shell_quote(word)).collect();
                    quoted.join(" ")
                }
            }),
            "edit" => Wish::Edit(words),
            "read" => Wish::Read(words),
            "web" => Wish::Web(words.join(" ")),
            _ => Wish::Other,
        };
        Request {
            tool: self.tool.clone(),
            wish,
            directory: Some(ground.worktree().to_owned()),
        }
    }

    fn ground(&self) -> Result<Ground, Error> {
        let worktree = self.worktree.as_deref().unwrap_or(Path::new("."));
        let worktree = std::path::absolute(worktree).map_err(|_| usage("--worktree is empty"))?;
        let home = given::variable("HOME").map(PathBuf::from);
        Ok(Ground::new(&worktree, home.as_deref()))
    }
}

impl Test {
    fn run(&self) -> Result<ExitCode, Error> {
        let policy = policy::Policy::load(&self.policy)?;
        let examples = policy
            .check_examples()
            .map_err(|mistake| policy::LoadError::Invalid {
                path: self.policy.clone().into(),
                mistake,
            })?;
        let rules = policy.rules().len();
        if self.json {
            print_json(&Tested {
                schema_version: 1,
                policy: self.policy.clone(),
                hash: policy.hash(),
                rules,
                examples,
            })?;
        } else {
            print_text(&format!(
                "{rules} rules, {examples} examples: as they say\n"
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The verdict, and a line for each thing that would be done.
fn explained(verdict: &Verdict) -> String {
    let mut text = format!("{} (rule: {})\n", verdict.action.as_str(), verdict.rule);
    if let Some(message) = &verdict.message {
        let _always = writeln!(text, "told to the agent: {message}");
    }
    for judged in &verdict.acts {
        let _always = writeln!(text, "  {}", line_of(judged));
    }
    super::safe(&text)
}

fn line_of(judged: &Judged) -> String {
    let mut effects: Vec<&str> = judged
        .effects
        .iter()
        .map(|effect| effect.as_str())
        .collect();
    effects.dedup();
    let doubt = judged
        .doubt
        .as_ref()
        .map(|doubt| format!("; {doubt}"))
        .unwrap_or_default();
    let act = judged.act.replace('\n', "\\n");
    format!(
        "{:<5} {act}  [{}; rule: {}{doubt}]",
        judged.action.as_str(),
        effects.join(", "),
        judged.rule
    )
}
