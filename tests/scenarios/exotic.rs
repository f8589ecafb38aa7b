//! Texts that a terminal or a composer could take for something else, as a brief and as a reply: a table.

use std::fs;
use std::sync::Mutex;

use async_trait::async_trait;
use cx_operator::record::{Outcome, Status};
use cx_operator::task::question::{Answer, Question};
use cx_operator::task::respond::{Context, RespondError, Responder};

use crate::rig::{Agent, Rig, on};
use testkit::agents::{OLDER, PINNED};
use testkit::size::thorough;

/// A text and what arrives by keys; by requests it arrives as it is. `@DIR@` is a directory with the same picture as `pic.png`, `my pic.png` and `pic`.
struct Row {
    text: &'static str,
    arrives: &'static str,
    /// Whether older versions play it, too.
    main: bool,
}

impl Row {
    /// By requests a text is taken as it is.
    fn arrives(&self, rig: &Rig) -> &'static str {
        match self.arrives.strip_prefix("Message:\n") {
            Some(text) if rig.is_by_requests() => text,
            _ => self.arrives,
        }
    }
}

const fn row(text: &'static str, arrives: &'static str) -> Row {
    Row {
        text,
        arrives,
        main: false,
    }
}

const fn main(text: &'static str, arrives: &'static str) -> Row {
    Row {
        text,
        arrives,
        main: true,
    }
}

const ROWS: [Row; 27] = [
    main("one\r\ntwo\r\n\r\nthree\r\n", "one\ntwo\n\nthree"),
    row("one\rtwo", "one␍two"),
    main("a\tb\n\tc\t\n\t\td", "a\tb\n\tc\t\n\t\td"),
    main("👩‍👩‍👧‍👦 and 🏳️‍🌈 and 👋🏽 are here", "👩‍👩‍👧‍👦 and 🏳️‍🌈 and 👋🏽 are here"),
    main(
        "e\u{301}\u{302} n\u{303} Z\u{351}\u{36b}\u{343} end",
        "e\u{301}\u{302} n\u{303} Z\u{351}\u{36b}\u{343} end",
    ),
    row(
        "שלום עולם \u{202e}abc\u{202c} مرحبا end",
        "שלום עולם \u{202e}abc\u{202c} مرحبا end",
    ),
    row("全角　と ｈａｌｆ ﾊﾝｶｸ 。", "全角　と ｈａｌｆ ﾊﾝｶｸ 。"),
    main(
        "a\x01b\x1bc\x08d\x0be\x0cf\x7fg\u{9b}h",
        "a␁b␛c␈d␋e␌f␡g\u{fffd}h",
    ),
    row(
        "a          b\n          \n\n\n          c",
        "a          b\n          \n\n\n          c",
    ),
    row(
        "zero\u{200b}width\u{feff}and\u{00a0}hard",
        "zero\u{200b}width\u{feff}and\u{00a0}hard",
    ),
    main("!touch ran", "Message:\n!touch ran"),
    main("/exit", "/exit"),
    row("/model gpt-4", "/model gpt-4"),
    main("@README", "@README"),
    row("#", "#"),
    row("# remember this", "# remember this"),
    main("$skill", "$skill"),
    main("?", "?"),
    row("? for shortcuts", "? for shortcuts"),
    main("@DIR@/pic.png", "Message:\n@DIR@/pic.png"),
    row("@DIR@/my pic.png", "Message:\n@DIR@/my pic.png"),
    row("@DIR@/my\\ pic.png", "Message:\n@DIR@/my\\ pic.png"),
    main("'@DIR@/my pic.png'", "Message:\n'@DIR@/my pic.png'"),
    main("file://@DIR@/pic.png", "Message:\nfile://@DIR@/pic.png"),
    row(
        "file://@DIR@/my%20pic.png",
        "Message:\nfile://@DIR@/my%20pic.png",
    ),
    row("@DIR@/pic", "@DIR@/pic"),
    row("What is in @DIR@/pic.png?", "What is in @DIR@/pic.png?"),
];

/// A picture of one pixel.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";

/// More replies than that end a run.
const REPLIES: usize = 7;

fn draw_pictures(rig: &Rig) {
    for name in ["pic.png", "my pic.png", "pic"] {
        fs::write(rig.path(name), PICTURE).expect("a picture");
    }
}

/// The same with the rig's directory.
fn fill(rig: &Rig, text: &str) -> String {
    let dir = rig
        .path("pic")
        .parent()
        .expect("a directory")
        .display()
        .to_string();
    text.replace("@DIR@", &dir)
}

/// What arrived in a turn, and what the model was given, is that text and no picture.
fn assert_arrived(rig: &Rig, outcome: &Outcome, turn: usize, text: &str) {
    assert_eq!(rig.submitted_prompt(outcome, turn), text, "turn {turn}");
    let requests = rig.model.requests();
    let asked = requests.iter().find(|request| request.text == text);
    let asked = asked.unwrap_or_else(|| panic!("the model was asked something else than {text:?}"));
    assert!(!asked.body.to_string().contains("input_image"), "{text:?}");
}

async fn as_brief(rig: &Rig, row: &Row) {
    draw_pictures(rig);
    let mut task = rig.task(&fill(rig, row.text));
    task.preamble = false;
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns),
        (Status::Completed, 1),
        "{:?}: {outcome:?}",
        row.text
    );
    assert_arrived(rig, &outcome, 1, &fill(rig, row.arrives(rig)));
    assert!(!rig.worktree().join("ran").exists());
}

/// Gives one answer after the other.
struct Replies(Mutex<Vec<String>>);

#[async_trait]
impl Responder for Replies {
    fn name(&self) -> &str {
        "test"
    }

    async fn respond(&self, _: &Question, _: &Context) -> Result<Option<Answer>, RespondError> {
        Ok(self
            .0
            .lock()
            .expect("nobody panicked")
            .pop()
            .map(Answer::Text))
    }
}

/// As the replies to as many questions of one agent.
async fn as_replies(rig: &Rig, rows: &[&Row]) {
    let pairs = rows.iter().map(|row| (row.text, row.arrives(rig)));
    let pairs = pairs.map(|(text, arrives)| (text.to_owned(), arrives.to_owned()));
    reply_with(rig, &pairs.collect::<Vec<_>>()).await;
}

async fn reply_with(rig: &Rig, texts: &[(String, String)]) {
    draw_pictures(rig);
    let mut steps = vec![serde_json::json!({"say": "Should I use tabs or spaces?"}); texts.len()];
    steps.push(serde_json::json!({"say": "Done. All of it."}));
    let mut task = rig.task(&format!("<<<steps {}>>>", serde_json::Value::from(steps)));
    let replies = texts
        .iter()
        .rev()
        .map(|(text, _)| fill(rig, text))
        .collect();
    task.responders = vec![std::sync::Arc::new(Replies(Mutex::new(replies)))];
    let outcome = rig.delegate(task).await;
    assert_eq!(
        (outcome.status, outcome.turns as usize),
        (Status::Completed, texts.len() + 1),
        "{outcome:?}"
    );
    for (at, (_, arrives)) in texts.iter().enumerate() {
        assert_arrived(rig, &outcome, at + 2, &fill(rig, arrives));
    }
}

fn briefs(agent: Agent, rows: impl Iterator<Item = &'static Row>) {
    for row in rows {
        on(agent, async |rig| as_brief(rig, row).await);
    }
}

fn replies(agent: Agent, rows: impl Iterator<Item = &'static Row>) {
    for rows in rows.collect::<Vec<_>>().chunks(REPLIES) {
        on(agent, async |rig| as_replies(rig, rows).await);
    }
}

fn main_rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| row.main)
}

#[test]
fn thorough_briefs_by_requests() {
    briefs(
        Agent::Requests(PINNED),
        ROWS.iter().filter(|row| row.main || thorough()),
    );
}

#[test]
fn thorough_replies_by_requests() {
    replies(
        Agent::Requests(PINNED),
        ROWS.iter().filter(|row| row.main || thorough()),
    );
}

#[test]
fn thorough_briefs_of_0_169() {
    briefs(
        Agent::Codex(PINNED),
        ROWS.iter().filter(|row| row.main || thorough()),
    );
}

#[test]
fn thorough_replies_of_0_169() {
    replies(
        Agent::Codex(PINNED),
        ROWS.iter().filter(|row| row.main || thorough()),
    );
}

#[test]
fn thorough_rows_of_older_versions() {
    for version in OLDER.into_iter().filter(|_| thorough()) {
        briefs(Agent::Codex(version), main_rows());
        replies(Agent::Codex(version), main_rows());
    }
}

/// codex takes seconds for such a line.
#[test]
fn a_line_of_200_kilobytes() {
    on(Agent::Codex(PINNED), async |rig| {
        let line = format!("{} the end", "0123456789".repeat(20_000));
        let mut task = rig.task(&line);
        task.preamble = false;
        let outcome = rig.delegate(task).await;
        assert_eq!(
            (outcome.status, outcome.turns),
            (Status::Completed, 1),
            "{:?}",
            outcome.error
        );
        assert_arrived(rig, &outcome, 1, &line);
    });
    on(Agent::Codex(PINNED), async |rig| {
        let line = format!("{} the end", "abcdefghij".repeat(20_000));
        reply_with(rig, &[(line.clone(), line)]).await;
    });
}
