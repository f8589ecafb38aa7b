//! The runs as the screen shows them, and the files whose changes say that it is to be drawn again.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::Error;
use crate::agent::report::Item;
use crate::operator::queue::Queued;
use crate::operator::status::RunStatus;
use crate::os::time::millis;
use crate::os::watch::{FileWatcher, Source, Wakeup, Watched};
use crate::record::{Outcome, RunDir, Store};
use crate::task::budget::Prices;

use super::super::look::words_of;
use super::super::{config, report, safe};
use super::model::{Question, Row};

/// So many runs are shown, the newest.
const RUNS: usize = 200;
/// The files of a run whose changes tell of it.
const FILES: [&str; 4] = ["events.jsonl", "lock", "question.json", "run.json"];
/// The longest text that is shown of a run.
const WORDS: usize = 2_000;

pub(super) struct Loader {
    pub(super) store: Store,
    /// Of the user's configuration, for runs without a limit of money.
    prices: BTreeMap<String, Prices>,
    /// The runs that nothing happens to any more.
    ended: HashMap<String, Row>,
    watch: Arc<FileWatcher>,
    pub(super) wakeup: Arc<Wakeup>,
    watched: HashMap<String, Vec<Watched>>,
    _directories: Vec<Watched>,
}

impl Loader {
    pub(super) fn new(store: Store) -> Result<Self, Error> {
        let (watch, wakeup) = (FileWatcher::new()?, Arc::new(Wakeup::default()));
        let root = store.root();
        let _made_later = std::fs::create_dir_all(root.join("queue"));
        let directories = ["runs", "queue"].map(|name| {
            let source = (Source::Signals, &wakeup);
            watch.watch(&root.join(name), None, source)
        });
        Ok(Self {
            prices: config::prices(),
            ended: HashMap::new(),
            watched: HashMap::new(),
            _directories: directories.into_iter().flatten().collect(),
            store,
            watch,
            wakeup,
        })
    }

    /// The runs: those that live, those that wait for a place, the others, each newest first.
    pub(super) fn load(&mut self) -> Result<Vec<Row>, Error> {
        let queued = self.store.load_queue()?;
        let mut rows: Vec<Row> = queued.iter().map(of_queued).collect();
        let mut runs = self.store.load_runs()?;
        let older = runs.len().saturating_sub(RUNS);
        for run in runs.drain(older..).rev() {
            rows.push(self.row(&run));
        }
        rows.sort_by_key(|row| match row.status.as_str() {
            "waiting" => 0,
            "running" => 1,
            "queued" => 2,
            _ => 3,
        });
        Ok(rows)
    }

    fn row(&mut self, run: &RunDir) -> Row {
        let name = run.name();
        if let Some(row) = self.ended.get(name) {
            return row.clone();
        }
        // Watched first, so that nothing happens between the reading and the watch.
        if !self.watched.contains_key(name) {
            let source = (Source::Signals, &self.wakeup);
            let files = FILES.map(|file| self.watch.watch(run.path(), Some(file), source));
            let files = files.into_iter().flatten().collect();
            self.watched.insert(name.to_owned(), files);
        }
        let is_alive = run.is_alive();
        let row = match RunStatus::load(run) {
            Ok(status) => self.of_status(run, &status),
            Err(error) => Row {
                run_id: shown(name),
                task: shown(run.task().unwrap_or(name)),
                status: "unreadable".to_owned(),
                last: shown(&error.message()),
                ..Row::default()
            },
        };
        if !is_alive && !row.is_live() && row.status != "orphaned" {
            self.ended.insert(name.to_owned(), row.clone());
            self.watched.remove(name);
        }
        row
    }

    fn of_status(&self, run: &RunDir, status: &RunStatus) -> Row {
        let order = run.load_order().ok().flatten();
        let prices = order.as_ref().and_then(|order| {
            let of_budget = order.budget.cost.as_ref().map(|(_, prices)| *prices);
            of_budget.or_else(|| self.prices.get(order.agent.model.as_ref()?).copied())
        });
        let cost = prices.zip(status.usage.as_ref());
        let repository = status
            .repository
            .clone()
            .or_else(|| order.map(|order| order.repository));
        let mut row = Row {
            run_id: shown(&status.run_id),
            task: shown(status.task.as_deref().unwrap_or(&status.run_id)),
            status: shown(&status.status),
            phase: status.phase.to_owned(),
            executor: shown(status.executor.as_deref().unwrap_or("")),
            repository: repository.map(|path| of_path(&path)).unwrap_or_default(),
            turn: status.turn,
            began: status.started_at.as_deref().and_then(moment),
            tokens: status.usage.as_ref().map(|usage| usage.total_tokens),
            cost: cost.map(|(prices, usage)| prices.cost(usage).to_string()),
            last: status.last_item.as_ref().map(of_item).unwrap_or_default(),
            words: words(status.last_message.as_deref().unwrap_or("")),
            question: None,
            took: None,
            has_diff: false,
        };
        row.question = status.question.as_ref().map(|question| Question {
            id: question.id.clone(),
            text: words(&question.text),
            takes_text: question.accepts.iter().any(|kind| kind == "text"),
            takes_decision: question.accepts.iter().any(|kind| kind == "allow"),
        });
        if status.phase == "ended"
            && let Ok(Some(outcome)) = run.load_record()
        {
            note_end(&mut row, &outcome);
        }
        row
    }
}

fn note_end(row: &mut Row, outcome: &Outcome) {
    row.took = Some(outcome.duration_ms);
    row.turn = outcome.turns;
    row.has_diff = outcome.patch.is_some();
    let cost = outcome.budget.as_ref().and_then(|budget| budget.cost_usd);
    row.cost = cost.map(|cost| cost.to_string()).or(row.cost.take());
    let changed = match outcome.files_changed {
        0 => "nothing changed".to_owned(),
        count => {
            let (added, removed) = (outcome.insertions, outcome.deletions);
            format!("{}, +{added} -{removed}", report::files(count))
        }
    };
    let why = outcome.error.as_ref().map(|error| shown(&error.message));
    row.last = match &why {
        Some(why) => why.clone(),
        None => changed,
    };
    let pending = outcome.pending.as_ref().map(|pending| &pending.text);
    let said = pending.or(outcome.last_message.as_ref());
    let said = said.map(|text| words(text)).unwrap_or_default();
    row.words = [why.unwrap_or_default(), said].join("\n");
    row.words = row.words.trim().to_owned();
}

fn of_queued(run: &Queued) -> Row {
    Row {
        run_id: shown(&run.run_id),
        task: shown(&run.task),
        status: "queued".to_owned(),
        executor: shown(run.executor.as_deref().unwrap_or("")),
        repository: run.repository.as_deref().map(of_path).unwrap_or_default(),
        last: match run.position {
            0 => "its turn has come".to_owned(),
            position => format!("position {position}"),
        },
        ..Row::default()
    }
}

fn of_item(item: &Item) -> String {
    match item {
        Item::Message { text } => shown(text.lines().next().unwrap_or("")),
        item => shown(&report::item_line(item).unwrap_or_default()),
    }
}

fn of_path(path: &Path) -> String {
    shown(&path.display().to_string())
}

/// Milliseconds since 1970.
fn moment(at: &str) -> Option<u64> {
    let at = humantime::parse_rfc3339(at).ok()?;
    at.duration_since(UNIX_EPOCH).ok().map(millis)
}

/// A text in one line that a terminal only draws.
fn shown(text: &str) -> String {
    words_of(cut(text))
}

/// The same of a text with several lines.
fn words(text: &str) -> String {
    safe(cut(text)).replace('\t', "    ")
}

fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(WORDS);
    end.map_or(text, |(end, _)| &text[..end])
}
