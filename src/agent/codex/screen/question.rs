//! The form by which the agent asks: which option an answer means, and the next key towards it.
//!
//! codex shows one question of a form after the other, each with the agent's options and `None of the above`, and a field
//! for notes to the option in focus. Enter answers the question; after the last one it sends all answers.
//!
//! Source: `request_user_input` of codex 0.130.0, 0.150.0 and 0.169.0, in plan mode or with
//! `features.default_mode_request_user_input`, `tests/scenarios/forms.rs`. A hook can refuse the call, not answer it.

use super::composer::is_shown_as;
use super::{Dialog, DialogKind};
use crate::agent::screen_state::{AnswerOption, Form, FormStep, Inquiry, plain_label};
use crate::tmux::Key;

/// The option that codex adds to those of the agent.
const OTHER: &str = "None of the above";
/// The placeholder of an empty field for notes.
const EMPTY_NOTES: &str = "Add notes";
/// A field for notes this high may be scrolled.
const NOTES_ROWS: usize = 5;

/// The question as it is drawn, for a form of which nothing else told: its options' labels have their descriptions behind
/// them.
pub(crate) fn drawn(dialog: &Dialog) -> Inquiry {
    let text = format!("{}\n{}", dialog.title.trim(), dialog.body);
    let options = dialog.options.iter().map(|option| AnswerOption {
        label: option.label.clone(),
        description: String::new(),
    });
    Inquiry {
        text: text.trim().to_owned(),
        options: options.collect(),
    }
}

/// What to do about a form whose answers are known: the number of the question that is up, and the next step. `None` where
/// the dialog is not that form.
pub(crate) fn fill(dialog: &Dialog, form: Form<'_>) -> Option<(usize, FormStep)> {
    let number = dialog
        .number
        .filter(|_| dialog.kind == DialogKind::Question)?;
    let inquiry = form.inquiries.get(number.checked_sub(1)?)?;
    let answer = form.answers.get(number - 1)?;
    is_drawn(dialog, inquiry).then(|| (number, step(dialog, inquiry, answer)))
}

fn step(dialog: &Dialog, inquiry: &Inquiry, answer: &str) -> FormStep {
    let (wanted, note) = match meant(inquiry, answer) {
        Some(option) => (option, None),
        None => (inquiry.options.len(), Some(answer)),
    };
    let Some(focus) = dialog.options.iter().position(|option| option.focused) else {
        return FormStep::Wait;
    };
    match (focus.cmp(&wanted), &dialog.notes, note) {
        // Somebody's notes are up, or ours to another option: keys would go into them.
        (_, Some(notes), note) if !is_noted(notes, note) => match note {
            Some(note) if is_empty(notes) && focus == wanted => FormStep::Note(note.to_owned()),
            _ => FormStep::Press(Key::Tab),
        },
        (std::cmp::Ordering::Less, ..) => FormStep::Press(Key::Down),
        (std::cmp::Ordering::Greater, ..) => FormStep::Press(Key::Up),
        (std::cmp::Ordering::Equal, None, Some(_)) => FormStep::Press(Key::Tab),
        (std::cmp::Ordering::Equal, ..) => FormStep::Press(Key::Enter),
    }
}

/// Whether the field for notes holds nothing but this.
fn is_noted(notes: &[String], note: Option<&str>) -> bool {
    note.is_some_and(|note| is_shown_as(&notes.concat(), note, notes.len() >= NOTES_ROWS))
}

fn is_empty(notes: &[String]) -> bool {
    matches!(notes, [] | [_]) && notes.iter().all(|row| row == EMPTY_NOTES || row.is_empty())
}

/// The option that an answer means, by its place: the one with this label, whatever case, quotes or mark of
/// recommendation. Numbers are not labels: a bare one may count something else.
fn meant(inquiry: &Inquiry, answer: &str) -> Option<usize> {
    let answer = plain_label(answer);
    let labels = inquiry.options.iter().map(|option| option.label.as_str());
    let mut same = labels
        .chain([OTHER])
        .enumerate()
        .filter(|(_, label)| plain_label(label) == answer);
    match (same.next(), same.next()) {
        (Some((at, _)), None) => Some(at),
        _ => None,
    }
}

/// The answer as codex's own terminal sends it: the label of the option that it means, or a note beside codex's own.
pub(crate) fn as_sent(inquiry: &Inquiry, answer: &str) -> Vec<String> {
    let labels = inquiry.options.iter().map(|option| option.label.as_str());
    match meant(inquiry, answer).and_then(|at| labels.chain([OTHER]).nth(at)) {
        Some(label) => vec![label.to_owned()],
        None => vec![OTHER.to_owned(), format!("user_note: {answer}")],
    }
}

/// Whether a dialog shows this question with these options, and codex's own behind them.
fn is_drawn(dialog: &Dialog, inquiry: &Inquiry) -> bool {
    let squeeze = |text: &str| -> String { text.split_whitespace().collect() };
    let ascii = |text: &str| -> String { squeeze(text).chars().filter(char::is_ascii).collect() };
    let shown = ascii(&format!("{} {}", dialog.title, dialog.body));
    let labels = inquiry.options.iter().map(|option| option.label.as_str());
    // The description is in a second column, so that a long label is drawn beside it, in several rows.
    let is_label = |(drawn, label): (&super::Choice, &str)| {
        let (whole, label) = (ascii(&drawn.label), ascii(label));
        let first_row = ascii(drawn.label.split("  ").next().unwrap_or_default());
        whole.starts_with(&label) || (!first_row.is_empty() && label.starts_with(&first_row))
    };
    shown == ascii(&inquiry.text)
        && dialog.options.len() == inquiry.options.len() + 1
        && dialog
            .options
            .first()
            .is_some_and(|first| first.number == 1)
        && dialog
            .options
            .iter()
            .zip(labels.chain([OTHER]))
            .all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inquiry() -> Inquiry {
        let choice = |label: &str, description: &str| AnswerOption {
            label: label.to_owned(),
            description: description.to_owned(),
        };
        Inquiry {
            text: "Tabs or spaces?".to_owned(),
            options: vec![choice("Tabs (Recommended)", "one"), choice("Spaces", "two")],
        }
    }

    /// The form with the focus on that option, its field for notes open and holding this.
    fn screen(focus: usize, notes: Option<&str>) -> String {
        let mark = |at: usize| if at == focus { "› " } else { "  " };
        let keys = match notes {
            Some(text) => format!(
                "  › {}\n\n  tab or esc to clear notes | enter to submit answer",
                text.replace('\n', "\n    ")
            ),
            None => "\n  tab to add notes | enter to submit answer | esc to interrupt".to_owned(),
        };
        format!(
            "• Asking.\n\n\n  Question 1/1 (1 unanswered)\n  Tabs or spaces?\n\n  {}1. Tabs (Recommended)  one\n  {}2. Spaces              two\n  {}3. None of the above   Optionally, add details in notes (tab)\n{keys}\n",
            mark(0),
            mark(1),
            mark(2)
        )
    }

    fn next(screen: &str, answer: &str) -> Option<(usize, FormStep)> {
        let super::super::View::Dialog(dialog) = super::super::read(screen) else {
            panic!("no dialog:\n{screen}");
        };
        let (inquiries, answers) = ([inquiry()], [answer.to_owned()]);
        let form = Form {
            inquiries: &inquiries,
            answers: &answers,
        };
        fill(&dialog, form)
    }

    #[test]
    fn an_option_is_chosen_by_its_label() {
        for answer in ["Spaces", " spaces. ", "`spaces`", "\"SPACES\""] {
            assert_eq!(
                next(&screen(0, None), answer),
                Some((1, FormStep::Press(Key::Down)))
            );
            assert_eq!(
                next(&screen(1, None), answer),
                Some((1, FormStep::Press(Key::Enter)))
            );
            assert_eq!(
                next(&screen(2, None), answer),
                Some((1, FormStep::Press(Key::Up)))
            );
        }
        assert_eq!(
            next(&screen(0, None), "tabs"),
            Some((1, FormStep::Press(Key::Enter)))
        );
        let none = next(&screen(2, None), "None of the above.");
        assert_eq!(none, Some((1, FormStep::Press(Key::Enter))));
    }

    #[test]
    fn another_text_becomes_a_note_and_is_sent_when_it_stands_there() {
        let steps =
            |focus, notes, answer: &str| next(&screen(focus, notes), answer).map(|(_, step)| step);
        for answer in ["2", "two spaces", "Use tabs\n\n1. here"] {
            assert_eq!(steps(0, None, answer), Some(FormStep::Press(Key::Down)));
            assert_eq!(steps(2, None, answer), Some(FormStep::Press(Key::Tab)));
            assert_eq!(
                steps(2, Some("Add notes"), answer),
                Some(FormStep::Note(answer.to_owned()))
            );
            assert_eq!(
                steps(2, Some(answer), answer),
                Some(FormStep::Press(Key::Enter))
            );
            // Half of it, another text, or notes to another option are cleared first.
            assert_eq!(
                steps(2, Some("else"), answer),
                Some(FormStep::Press(Key::Tab))
            );
            assert_eq!(
                steps(1, Some("Add notes"), answer),
                Some(FormStep::Press(Key::Tab))
            );
        }
        assert_eq!(
            steps(1, Some("Add notes"), "Spaces"),
            Some(FormStep::Press(Key::Tab))
        );
        assert_eq!(
            steps(1, Some("mine"), "Spaces"),
            Some(FormStep::Press(Key::Tab))
        );
    }

    #[test]
    fn another_form_takes_no_key() {
        let screen = screen(0, None);
        assert_eq!(next(&screen.replace("Tabs or", "Dots or"), "Spaces"), None);
        assert_eq!(
            next(&screen.replace("2. Spaces", "2. Places"), "Spaces"),
            None
        );
        assert_eq!(next(&screen.replace("1/1", "2/2"), "Spaces"), None);
        assert_eq!(
            next(&screen.replace("None of the above", "All"), "Spaces"),
            None
        );
    }

    #[test]
    fn a_long_note_is_known_by_its_end() {
        let answer: String = (1..60).map(|row| format!("row {row}\n")).collect();
        let shown = "row 55\nrow 56\nrow 57\nrow 58\nrow 59";
        let step = next(&screen(2, Some(shown)), &answer);
        assert_eq!(step, Some((1, FormStep::Press(Key::Enter))));
        let long = "x".repeat(1500);
        let step = next(&screen(2, Some("[Pasted Content 1500 chars]")), &long);
        assert_eq!(step, Some((1, FormStep::Press(Key::Enter))));
    }
}
