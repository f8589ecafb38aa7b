//! Tables: columns that are as wide as what is in them, and go where there is no room.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::{BOLD, Look};

/// The room between two columns.
const GAP: &str = "  ";
/// How wide the first column is at most before others leave.
const EASED: usize = 16;
/// What a column that is cut keeps at least.
const LEAST: usize = 8;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    /// Whether numbers stand below each other.
    pub(crate) right: bool,
    /// Which columns go first where there is no room, from 1; those with 0 stay and are cut.
    pub(crate) leaves: u8,
}

/// What stands in a place of a table: pieces, each in its style, in one line and with nothing that a terminal obeys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell(pub(crate) Vec<(Style, String)>);

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self::styled(Style::new(), text)
    }

    pub(crate) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self(vec![(style, text.into())])
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    fn draw(&self, look: &Look, width: usize) -> String {
        let mut left = width;
        let mut drawn = String::new();
        for (style, text) in &self.0 {
            let text = look.cut(text, left);
            left -= text.width();
            drawn.push_str(&look.paint(*style, &text));
        }
        drawn
    }
}

/// Rows below their headings. A row has a cell for each column.
pub(crate) fn draw(columns: &[Column], rows: &[Vec<Cell>], look: &Look) -> String {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            let cells = rows.iter().map(|row| row[at].width());
            cells.chain([columns[at].heading.len()]).max().unwrap_or(0)
        })
        .collect();
    if let Some(width) = look.width {
        make_room(columns, &mut shown, &mut widths, width);
    }
    let headings = columns
        .iter()
        .map(|column| Cell::styled(BOLD, column.heading));
    let headings: Vec<Cell> = headings.collect();
    let mut text = String::new();
    for row in [&headings].into_iter().chain(rows) {
        let mut line = String::new();
        for at in &shown {
            if !line.is_empty() {
                line.push_str(GAP);
            }
            let drawn = row[*at].draw(look, widths[*at]);
            let space = " ".repeat(widths[*at].saturating_sub(row[*at].width()));
            match columns[*at].right {
                true => line.extend([space, drawn]),
                false => line.extend([drawn, space]),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Takes columns out until the rest fits beside an eased first one, which then gets what is left.
fn make_room(columns: &[Column], shown: &mut Vec<usize>, widths: &mut [usize], width: usize) {
    let Some((first, wanted)) = shown.first().map(|first| (*first, widths[*first])) else {
        return;
    };
    let taken = |shown: &[usize], widths: &[usize]| {
        let cells: usize = shown.iter().map(|at| widths[*at]).sum();
        cells + GAP.len() * shown.len().saturating_sub(1)
    };
    widths[first] = wanted.min(EASED);
    while taken(shown, widths) > width {
        let leaving = shown.iter().copied().filter(|at| columns[*at].leaves > 0);
        let Some(next) = leaving.min_by_key(|at| columns[*at].leaves) else {
            break;
        };
        shown.retain(|at| *at != next);
    }
    let left = width.saturating_sub(taken(shown, widths));
    widths[first] = wanted.min(widths[first] + left);
    for at in shown.clone() {
        let over = taken(shown, widths).saturating_sub(width);
        let least = widths[at].min(LEAST);
        widths[at] = widths[at].saturating_sub(over).max(least);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::look;
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal_and_columns_leave_in_their_order() {
        let column = |heading, leaves| Column {
            heading,
            right: false,
            leaves,
        };
        let columns = [column("NAME", 0), column("SIZE", 2), column("PLACE", 1)];
        let row = |name: &str| vec![Cell::plain(name), Cell::plain("12 kB"), Cell::plain("日本")];
        let rows = [row("a"), row("a-name-of-some-length")];
        for (width, headings) in [
            (Some(80), "NAME SIZE PLACE"),
            (None, "NAME SIZE PLACE"),
            (Some(29), "NAME SIZE"),
            (Some(22), "NAME"),
            (Some(9), "NAME"),
        ] {
            let text = draw(&columns, &rows, &look(width, false));
            let first = text.lines().next().expect("headings");
            assert_eq!(
                first.split_whitespace().collect::<Vec<_>>().join(" "),
                headings
            );
            let widest = text.lines().map(UnicodeWidthStr::width).max();
            assert!(widest <= Some(width.unwrap_or(80)), "{text}");
        }
        let cut = draw(&columns, &rows, &look(Some(9), false));
        assert!(cut.ends_with("a-name-o…\n"), "{cut}");
    }
}
