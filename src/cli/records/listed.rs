//! The table of `list`.

use std::path::Path;
use std::time::Duration;

use anstyle::Style;

use crate::cli::look::table::{self, Cell, Column};
use crate::cli::look::time::{age, of_run, took};
use crate::cli::look::{self, ADDED, DIM, Look, REMOVED, words_of};
use crate::operator::listing::Summary;

use super::size;

/// The date and the time with which an id begins, which names the run where no other began in that second.
const BEGINNING: usize = 15;

const fn column(heading: &'static str, right: bool, leaves: u8) -> Column {
    Column {
        heading,
        right,
        leaves,
    }
}

const COLUMNS: [Column; 10] = [
    column("TASK", false, 0),
    column("STATUS", false, 0),
    column("AGE", true, 8),
    column("TOOK", true, 6),
    column("FILES", true, 3),
    column("+/-", false, 7),
    column("REPOSITORY", false, 5),
    column("AGENT", false, 2),
    column("SIZE", true, 1),
    column("RUN", false, 4),
];

/// The runs as a table, with colours and as wide as the terminal.
pub(super) fn draw(runs: &[Summary], look: &Look) -> String {
    let row = |run: &Summary| row(run, runs, look);
    table::draw(&COLUMNS, &runs.iter().map(row).collect::<Vec<_>>(), look)
}

fn row(run: &Summary, runs: &[Summary], look: &Look) -> Vec<Cell> {
    let text = |text: Option<String>| Cell::plain(text.unwrap_or_default());
    let begun = of_run(&run.run_id);
    let so_far = begun.filter(|_| ["running", "waiting"].contains(&run.status.as_str()));
    let duration = run.duration_ms.map(Duration::from_millis);
    let duration = duration.or_else(|| so_far.map(|begun| look.since(begun)));
    let repository = run.repository.as_deref().map(Path::new);
    let repository = repository.map(|path| path.file_name().unwrap_or(path.as_os_str()));
    vec![
        Cell::plain(words_of(run.task.as_deref().unwrap_or(&run.run_id))),
        status(run),
        Cell::styled(
            DIM,
            begun.map_or_else(String::new, |at| age(look.since(at))),
        ),
        text(duration.map(took)),
        text(run.files_changed.map(|files| files.to_string())),
        lines(run.lines),
        text(repository.map(|name| words_of(&name.to_string_lossy()))),
        text(run.executor.as_deref().map(words_of)),
        Cell::styled(DIM, size(run.disk_bytes)),
        Cell::styled(DIM, words_of(name(run, runs, look))),
    ]
}

fn status(run: &Summary) -> Cell {
    let mut words = run.status.replace('_', " ");
    if let Some(position) = run.position {
        words += &format!(" ({position})");
    }
    Cell::styled(look::of_status(&run.status), words)
}

fn lines(lines: Option<(usize, usize)>) -> Cell {
    let Some((added, removed)) = lines.filter(|lines| *lines != (0, 0)) else {
        return Cell::default();
    };
    Cell(vec![
        (ADDED, format!("+{added}")),
        (Style::new(), " ".to_owned()),
        (REMOVED, format!("-{removed}")),
    ])
}

/// The id, or at a terminal the beginning of it that is enough to name the run among those of the list.
fn name<'a>(run: &'a Summary, runs: &[Summary], look: &Look) -> &'a str {
    let id = run.run_id.as_str();
    match id.get(..BEGINNING).filter(|_| look.width.is_some()) {
        Some(short)
            if runs
                .iter()
                .filter(|run| run.run_id.starts_with(short))
                .count()
                == 1 =>
        {
            short
        }
        _ => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::look::tests::look;

    fn run(id: &str, status: &str) -> Summary {
        Summary {
            task: Some(id[16..id.len() - 5].to_owned()),
            repository: Some("/home/one/calendar".to_owned()),
            executor: Some("codex".to_owned()),
            disk_bytes: 40_960,
            ..Summary::blank(id, status)
        }
    }

    fn runs() -> Vec<Summary> {
        vec![
            Summary {
                position: Some(2),
                repository: None,
                disk_bytes: 0,
                ..run("20261127-115959-later-0006", "queued")
            },
            run("20261127-115800-fix-leap-years-0005", "running"),
            run("20261127-114000-which-database-0004", "waiting"),
            Summary {
                files_changed: Some(12),
                lines: Some((1205, 318)),
                duration_ms: Some(754_000),
                ..run(
                    "20261127-080000-split-the-authentication-module-0003",
                    "completed",
                )
            },
            Summary {
                files_changed: Some(0),
                lines: Some((0, 0)),
                duration_ms: Some(2_100),
                ..run("20261126-080000-fix-leap-years-0002", "needs_permission")
            },
            run("20261126-080000-t-0001", "orphaned"),
        ]
    }

    #[test]
    fn the_list_at_each_width() {
        for width in [40, 80, 200] {
            let drawn = draw(&runs(), &look(Some(width), false));
            insta::assert_snapshot!(format!("list-{width}"), drawn);
            let drawn = draw(&runs(), &look(Some(width), true)).replace('\u{1b}', "␛");
            insta::assert_snapshot!(format!("list-{width}-colours"), drawn);
        }
        insta::assert_snapshot!("list-pipe", draw(&runs(), &look(None, false)));
        // As with LC_ALL=C.
        let ascii = Look {
            unicode: false,
            ..look(Some(40), false)
        };
        let drawn = draw(&runs(), &ascii);
        assert!(drawn.is_ascii(), "{drawn}");
        insta::assert_snapshot!("list-40-ascii", drawn);
    }
}
