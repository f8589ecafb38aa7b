use super::*;
use crate::cli::reporting::patch::Line;
use crate::cli::watch::model::{Action, Question};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// 2026-11-27, 15:30:00.
const NOW: u64 = 1_795_793_400_000;

fn rows() -> Vec<Row> {
    let row = |task: &str, status: &str| Row {
        run_id: format!("20261127-150000-{task}-0001"),
        task: task.to_owned(),
        status: status.to_owned(),
        executor: "codex".to_owned(),
        repository: "/home/ada/calendar".to_owned(),
        turn: 1,
        began: Some(NOW - 83_400),
        ..Row::default()
    };
    let ended = |task: &str, status: &str, last: &str| Row {
        took: Some(150_400),
        last: last.to_owned(),
        tokens: Some(42_400),
        ..row(task, status)
    };
    vec![
        Row {
            question: Some(Question {
                id: "1-1".to_owned(),
                text: "Shall year 0 count as a leap year,\nas in ISO 8601?".to_owned(),
                takes_text: true,
                takes_decision: false,
            }),
            phase: "waiting".to_owned(),
            ..row("leap-years", "waiting")
        },
        Row {
            question: Some(Question {
                id: "1-2".to_owned(),
                text: "cargo publish".to_owned(),
                takes_text: false,
                takes_decision: true,
            }),
            phase: "waiting".to_owned(),
            ..row("release", "waiting")
        },
        Row {
            phase: "working".to_owned(),
            turn: 3,
            tokens: Some(1_234_567),
            cost: Some("1.25".to_owned()),
            last: "ran cargo test --workspace (exit 101)".to_owned(),
            words: "I look at the failing test.".to_owned(),
            ..row("日本語の作業", "running")
        },
        Row {
            turn: 0,
            began: None,
            last: "position 1".to_owned(),
            ..row("later", "queued")
        },
        ended("docs", "completed", "2 files, +13 -1"),
        ended(
            "big-refactoring-of-everything",
            "agent_failed",
            "the turn failed: 500",
        ),
        ended("lost", "orphaned", ""),
    ]
}

fn model() -> Model {
    let mut model = Model::default();
    model.update(rows());
    model
}

fn press(model: &mut Model, keys: &str) -> Option<Action> {
    let mut last = None;
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        last = model.press(KeyEvent::new(code, KeyModifiers::NONE), 5);
    }
    last
}

fn drawn(model: &mut Model, (width, height): (u16, u16), has_colours: bool) -> Buffer {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    let look = Look {
        now: NOW,
        has_colours,
        has_unicode: true,
    };
    draw(model, look, area, &mut buffer);
    buffer
}

/// The lines of a screen.
fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut hidden = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if hidden > 0 {
                hidden -= 1;
                continue;
            }
            line.push_str(symbol);
            hidden = Span::raw(symbol).width().saturating_sub(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn the_list_at_three_widths_and_at_ten_lines() {
    for size in [(40, 24), (80, 24), (200, 24), (80, 10), (40, 10)] {
        let (width, height) = size;
        let buffer = drawn(&mut model(), size, false);
        insta::assert_snapshot!(format!("list-{width}x{height}"), text(&buffer));
    }
}

#[test]
fn colours_are_there_or_not_and_the_words_are_the_same() {
    let plain = drawn(&mut model(), (80, 24), false);
    let coloured = drawn(&mut model(), (80, 24), true);
    assert_eq!(text(&plain), text(&coloured));
    let has_colour = |buffer: &Buffer| {
        let cells = buffer.content.iter();
        let mut colours = cells.map(|cell| (cell.fg, cell.bg));
        colours.any(|colours| colours != (Color::Reset, Color::Reset))
    };
    assert!(!has_colour(&plain) && has_colour(&coloured));
    let dump = format!("{coloured:?}");
    let (_, styles) = dump.split_once("styles: [").expect("styles");
    insta::assert_snapshot!("list-80x24-styles", styles);
}

#[test]
fn a_locale_without_unicode_gets_ascii() {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
    let look = Look {
        now: NOW,
        has_colours: true,
        has_unicode: false,
    };
    draw(&mut model(), look, buffer.area, &mut buffer);
    let screen = text(&buffer);
    assert!(screen.is_ascii() && screen.contains("leap y~"), "{screen}");
}

#[test]
fn each_mode_shows_what_it_is() {
    let line = |kind, number, text: &str| {
        let text = text.to_owned();
        DiffLine::Line(Line { kind, number, text })
    };
    let diff = Diff {
        title: "docs: 1 file, +1 -1".to_owned(),
        lines: vec![
            DiffLine::Heading("src/date.rs".to_owned()),
            line(LineKind::Hunk, None, "@@ -1,2 +1,2 @@"),
            line(LineKind::Same, Some(1), "fn leap() {"),
            line(LineKind::Removed, Some(2), "    false"),
            line(LineKind::Added, Some(2), "    true"),
        ],
        top: 0,
    };
    for (name, keys) in [
        ("help", "?"),
        ("filter", "fdocs co"),
        ("nothing", "fnothing of that"),
        ("reply", "rUse ISO 8601"),
        ("deny", "jnUse the copy"),
        ("abort", "jjx"),
        ("refused", "y"),
        ("diff", ""),
    ] {
        let mut model = model();
        press(&mut model, keys);
        if name == "diff" {
            model.mode = Mode::Diff(Diff {
                title: diff.title.clone(),
                lines: Vec::new(),
                top: 0,
            });
            if let Mode::Diff(shown) = &mut model.mode {
                for line in &diff.lines {
                    shown.lines.push(match line {
                        DiffLine::Heading(text) => DiffLine::Heading(text.clone()),
                        DiffLine::Line(line) => DiffLine::Line(Line {
                            kind: line.kind,
                            number: line.number,
                            text: line.text.clone(),
                        }),
                    });
                }
            }
        }
        let buffer = drawn(&mut model, (80, 12), false);
        insta::assert_snapshot!(format!("mode-{name}"), text(&buffer));
    }
}

#[test]
fn a_screen_of_any_size_is_drawn() {
    for width in [0, 1, 2, 3, 9, 20, 59, 60, 61, 110, 500] {
        for height in [0, 1, 2, 3, 7, 8, 9, 16, 60] {
            for keys in ["", "?", "f日本", "rx", "jn", "jjx", "G"] {
                let mut model = model();
                press(&mut model, keys);
                drawn(&mut model, (width, height), true);
            }
            drawn(&mut Model::default(), (width, height), true);
        }
    }
}

#[test]
fn the_chosen_run_is_always_shown() {
    let mut model = Model::default();
    let mut many = Vec::new();
    for n in 0..100 {
        many.push(Row {
            run_id: format!("{n}"),
            task: format!("task-{n}"),
            status: "completed".to_owned(),
            ..Row::default()
        });
    }
    model.update(many);
    for keys in ["", "G", "k", "g", "jjjjjjjjjjjj", "k", "  ", "b"] {
        press(&mut model, keys);
        let task = model.chosen().expect("a run").task.clone();
        let screen = text(&drawn(&mut model, (80, 10), false));
        let line = format!("> done      {task}");
        assert!(
            screen.lines().any(|shown| shown == line),
            "{keys}: {line}: {screen}"
        );
    }
}

#[test]
fn keys_answer_only_what_is_asked() {
    let run = |task: &str| format!("20261127-150000-{task}-0001");
    let reply = Action::Reply(run("leap-years"), "1-1".into(), "Yes.".into());
    assert_eq!(press(&mut model(), "rYes.\n"), Some(reply));
    for nothing in [
        "r\n",
        "r \n",
        "rYes.\u{1b}",
        "y",
        "n",
        "jr",
        "jjy",
        "jjr",
        "jjjjx",
        "jjjja",
    ] {
        assert_eq!(press(&mut model(), nothing), None, "{nothing:?}");
    }
    let allow = Action::Allow(run("release"), "1-2".into());
    assert_eq!(press(&mut model(), "jy"), Some(allow));
    let deny = Action::Deny(run("release"), "1-2".into(), "no".into());
    assert_eq!(press(&mut model(), "jnno\n"), Some(deny));
    let abort = Action::Abort(run("leap-years"));
    assert_eq!(press(&mut model(), "xy"), Some(abort));
    assert_eq!(press(&mut model(), "xn"), None);
    assert_eq!(press(&mut model(), "x\n"), None);
    assert_eq!(press(&mut model(), "q"), Some(Action::Quit));
    // What is typed for an answer is no key.
    assert_eq!(press(&mut model(), "rq"), None);
}

#[test]
fn an_answer_is_never_sent_to_another_question() {
    let mut model = model();
    press(&mut model, "rYes");
    let mut rows = rows();
    rows[0].question.as_mut().expect("a question").id = "2-1".to_owned();
    model.update(rows);
    assert_eq!(model.mode, Mode::Late);
    // What is still typed does nothing.
    assert_eq!(press(&mut model, "xyq"), None);
    assert_eq!(press(&mut model, "\n"), None);
    assert_eq!(model.mode, Mode::List);
}

#[test]
fn the_choice_stays_on_its_run_when_others_come_and_go() {
    let mut model = model();
    press(&mut model, "jj");
    let chosen = model.chosen().expect("a run").run_id.clone();
    let mut more = rows();
    more.insert(
        0,
        Row {
            run_id: "new".into(),
            ..Row::default()
        },
    );
    model.update(more);
    assert_eq!(model.chosen().expect("a run").run_id, chosen);
    let fewer = rows()
        .into_iter()
        .filter(|row| row.run_id != chosen)
        .collect();
    model.update(fewer);
    assert!(model.chosen().is_some());
    model.update(Vec::new());
    assert!(model.chosen().is_none());
}
