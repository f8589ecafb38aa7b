//! Dialogs: what they show, and what each key does in them.
//!
//! Source: codex 0.169.0, each key pressed and looked at. An option that trusts something is never chosen by its digit: the
//! digit moves the focus and Enter chooses. Other digits choose at once.

use crate::terminal::Key;

/// How a digit acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digit {
    Chooses,
    Focuses,
}

#[derive(Clone, Debug)]
struct Choice {
    label: String,
    digit: Digit,
    letters: &'static [char],
}

/// A dialog that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    /// The name scripts and logs use.
    pub(crate) name: String,
    /// Lines above the options; the first is the title.
    pub(crate) body: Vec<String>,
    choices: Vec<Choice>,
    /// The line below the options.
    pub(crate) footer: &'static str,
    /// The option that Esc chooses.
    escape: Option<usize>,
    /// Whether Ctrl-C does what Esc does.
    control_c: bool,
    pub(crate) focus: usize,
}

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    Ignored,
    Moved,
    /// The option, counted from 1.
    Chose(usize),
}

impl Dialog {
    fn new(name: &str, body: &[&str], labels: &[&str]) -> Self {
        let choice = |label: &&str| Choice {
            label: (*label).to_owned(),
            digit: Digit::Chooses,
            letters: &[],
        };
        Self {
            name: name.to_owned(),
            body: body.iter().map(|line| (*line).to_owned()).collect(),
            choices: labels.iter().map(choice).collect(),
            footer: "enter confirm · esc skip",
            escape: None,
            control_c: false,
            focus: 0,
        }
    }

    /// `directory-trust`; `root` is the main repository's root where that is another directory.
    pub(crate) fn directory_trust(cwd: &str, root: Option<&str>) -> Self {
        let mut body = vec!["Folder access", cwd, ""];
        if let Some(root) = root {
            body.extend([
                "Note: You’re in a subdirectory of a Git project. Trusting will apply to the repository root:",
                root,
                "",
            ]);
        }
        body.push(
            "Trust this folder? Codex can read, edit, and run files here, subject to your permission settings. Folder settings can \
             run code automatically, even without a model request. Continue only if you trust these files. Your trust decision will \
             be saved.",
        );
        let mut dialog = Self::new(
            "directory-trust",
            &body,
            &["Trust and continue", "Back to Agent Command Center"],
        );
        dialog.choices[0].digit = Digit::Focuses;
        dialog.escape = Some(1);
        dialog.control_c = true;
        dialog.footer = "enter continue · esc back";
        dialog
    }

    /// `hook-review`, for so many hooks.
    pub(crate) fn hook_review(count: usize) -> Self {
        let counted = if count == 1 {
            "1 hook is new or changed.".to_owned()
        } else {
            format!("{count} hooks are new or changed.")
        };
        let body = [
            "Hooks need review",
            &counted,
            "Hooks can run outside the sandbox after you trust them.",
            "",
        ];
        let labels = [
            "Review hooks",
            "Trust all and continue",
            "Continue without trusting (hooks won't run)",
        ];
        let mut dialog = Self::new("hook-review", &body, &labels);
        dialog.choices[1].digit = Digit::Focuses;
        dialog.escape = Some(2);
        dialog
    }

    /// `model-offer`: Esc chooses what has the focus, like Enter.
    pub(crate) fn model_offer() -> Self {
        let body = [
            "Meet GPT-6 Sol",
            "",
            "Our latest Sol is more intelligent and more efficient so your usage limits go further. This model is a great daily driver \
             for complex tasks, especially coding.",
        ];
        let mut dialog = Self::new(
            "model-offer",
            &body,
            &["Try new model", "Use existing model"],
        );
        dialog.footer = "enter/esc confirm · ^c quit";
        dialog
    }

    /// `update`.
    pub(crate) fn update() -> Self {
        let body = [
            &format!("Update available · {} → 0.999.0", crate::cli::version()),
            "Release notes: https://github.com/openai/codex/releases/latest",
        ];
        let labels = [
            "Update now (runs `npm install -g @openai/codex`)",
            "Skip",
            "Skip until next version",
        ];
        let mut dialog = Self::new("update", &body, &labels);
        dialog.escape = Some(1);
        dialog.footer = "enter continue · esc skip";
        dialog
    }

    /// `sign-in`.
    pub(crate) fn sign_in() -> Self {
        let body = [
            "Welcome to Codex, OpenAI's command-line coding agent",
            "",
            "Choose how you want to use Codex.",
        ];
        let labels = [
            "Sign in with ChatGPT",
            "Sign in with Device Code",
            "Sign in another way",
        ];
        let mut dialog = Self::new("sign-in", &body, &labels);
        dialog.footer = "Press enter to continue";
        dialog
    }

    /// `unknown`: a dialog that no driver has seen.
    pub(crate) fn unknown(title: &str) -> Self {
        let mut dialog = Self::new(
            "unknown",
            &[title, "", "Choose how to go on."],
            &["Continue", "Quit"],
        );
        dialog.escape = Some(1);
        dialog
    }

    /// The approval of one command.
    pub(crate) fn approval(command: &str, reason: &str) -> Self {
        let reason = format!("Reason: {reason}");
        let body = [
            "Would you like to run the following command?",
            "",
            "Environment: local",
            "",
            &reason,
            "",
            &format!("$ {command}"),
            "",
        ];
        let always =
            format!("Yes, and don't ask again for commands that start with `{command}` (p)");
        let labels = [
            "Yes, proceed (y)",
            &always,
            "No, and tell Codex what to do differently (esc)",
        ];
        let mut dialog = Self::new("approval", &body, &labels);
        for (choice, letters) in dialog.choices.iter_mut().zip([&['y'], &['p'], &['n']]) {
            choice.letters = letters;
        }
        dialog.escape = Some(2);
        dialog.control_c = true;
        dialog.footer = "Press enter to confirm or esc to cancel";
        dialog
    }

    /// The options as they are numbered, in order.
    pub(crate) fn labels(&self) -> impl Iterator<Item = String> {
        self.choices
            .iter()
            .enumerate()
            .map(|(index, choice)| format!("{}. {}", index + 1, choice.label))
    }

    /// Applies a key. A paste is lost; the Enter after it is a key like any other.
    pub(crate) fn press(&mut self, key: &Key) -> Pressed {
        let count = self.choices.len();
        match key {
            Key::Enter => Pressed::Chose(self.focus + 1),
            Key::Down => self.move_to((self.focus + 1) % count),
            Key::Up => self.move_to((self.focus + count - 1) % count),
            Key::Esc => Pressed::Chose(self.escape.unwrap_or(self.focus) + 1),
            Key::Ctrl('c') if self.control_c => {
                Pressed::Chose(self.escape.unwrap_or(self.focus) + 1)
            }
            Key::Char(c) => self.press_character(*c),
            _ => Pressed::Ignored,
        }
    }

    fn press_character(&mut self, c: char) -> Pressed {
        if let Some(index) = self
            .choices
            .iter()
            .position(|choice| choice.letters.contains(&c))
        {
            return Pressed::Chose(index + 1);
        }
        let Some(index) = c
            .to_digit(10)
            .and_then(|digit| (digit as usize).checked_sub(1))
        else {
            return Pressed::Ignored;
        };
        match self.choices.get(index).map(|choice| choice.digit) {
            Some(Digit::Chooses) => Pressed::Chose(index + 1),
            Some(Digit::Focuses) => self.move_to(index),
            None => Pressed::Ignored,
        }
    }

    fn move_to(&mut self, focus: usize) -> Pressed {
        self.focus = focus;
        Pressed::Moved
    }
}
