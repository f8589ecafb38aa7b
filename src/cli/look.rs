//! How things look to people: colours, widths, moments, as the terminal at hand and the person's wish have it.
//!
//! What is drawn is a pure function of the data and of a [`Look`], so that a test can hold each screen at each width.

use std::io;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::SystemTime;

use anstream::stream::RawStream;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use chrono::FixedOffset;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::{one_line, safe};

pub(super) mod table;
pub(super) mod time;

/// What `--color` says.
static WISH: OnceLock<ColorChoice> = OnceLock::new();

/// Takes note of `--color`, which goes before the environment.
pub(super) fn note_wish(color: clap::ColorChoice) {
    let choice = match color {
        clap::ColorChoice::Auto => ColorChoice::Auto,
        clap::ColorChoice::Always => ColorChoice::Always,
        clap::ColorChoice::Never => ColorChoice::Never,
    };
    let _told_before = WISH.set(choice);
    choice.write_global();
}

/// Whether `--color always` was said.
pub(super) fn is_always_wished() -> bool {
    WISH.get() == Some(&ColorChoice::Always)
}

/// What a stream shows, and the moment at which it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// The columns of the terminal; `None` where it is none, and nothing is cut.
    pub(super) width: Option<usize>,
    /// Whether it shows colours.
    pub(super) colour: bool,
    /// Whether the locale has more than ASCII.
    pub(super) unicode: bool,
    /// The offset of the local time; `None`: as the system says for each moment.
    pub(super) zone: Option<FixedOffset>,
    /// Now.
    pub(super) now: SystemTime,
}

impl Look {
    pub(super) fn of_stdout() -> Self {
        Self::of(&io::stdout())
    }

    pub(super) fn of_stderr() -> Self {
        Self::of(&io::stderr())
    }

    fn of(stream: &(impl RawStream + AsFd)) -> Self {
        let colour = match WISH.get() {
            Some(ColorChoice::Always) => true,
            Some(ColorChoice::Never) => false,
            // As the field has it: NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM=dumb.
            _ => AutoStream::choice(stream) != ColorChoice::Never,
        };
        Self {
            width: stream.is_terminal().then(|| columns(stream)),
            colour,
            unicode: has_unicode(|name| std::env::var(name).ok()),
            zone: None,
            now: SystemTime::now(),
        }
    }

    /// A text in a style, where there are colours.
    pub(super) fn paint(&self, style: Style, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }

    /// A text that takes at most so many columns, with a sign where its end is cut off.
    pub(super) fn cut(&self, text: &str, width: usize) -> String {
        if text.width() <= width {
            return text.to_owned();
        }
        let sign = if self.unicode { "…" } else { "~" };
        let (mut kept, mut left) = (String::new(), width.saturating_sub(1));
        for c in text.chars() {
            let columns = c.width().unwrap_or(0);
            if columns > left {
                break;
            }
            left -= columns;
            kept.push(c);
        }
        if width > 0 {
            kept.push_str(sign);
        }
        kept
    }
}

/// The columns of a terminal: its own, else `COLUMNS`, else 80.
fn columns(terminal: &impl AsFd) -> usize {
    let own = rustix::termios::tcgetwinsize(terminal).map_or(0, |size| usize::from(size.ws_col));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    Some(own)
        .filter(|columns| *columns > 0)
        .or_else(told)
        .unwrap_or(80)
}

/// Whether the locale's characters are those of Unicode, as `setlocale` looks for it.
fn has_unicode(variable: impl Fn(&str) -> Option<String>) -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"];
    let mut set = set.into_iter().filter_map(variable);
    let locale = set.find(|locale| !locale.is_empty()).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// A text of others in one line, with nothing that a terminal obeys and no keys.
pub(super) fn words_of(text: &str) -> String {
    one_line(&safe(text)).replace('\t', " ")
}

const fn of(color: AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(color)))
}

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const ADDED: Style = of(AnsiColor::Green);
pub(super) const REMOVED: Style = of(AnsiColor::Red);
pub(super) const GOOD: Style = of(AnsiColor::Green);
pub(super) const BAD: Style = of(AnsiColor::Red);
pub(super) const ASKS: Style = of(AnsiColor::Yellow);
pub(super) const MOVES: Style = of(AnsiColor::Cyan);

/// The style of a run's status, as `list` and the record name it.
pub(super) fn of_status(status: &str) -> Style {
    match status {
        "completed" => GOOD,
        "queued" => DIM,
        "running" => MOVES,
        "waiting" | "needs_input" | "needs_permission" | "blocked_dialog" => ASKS,
        "aborted" => of(AnsiColor::Magenta),
        _ => BAD,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::record::Status;

    /// A terminal of so many columns, two hours east of Greenwich, at 2026-11-27T12:00:00Z.
    pub(crate) fn look(width: Option<usize>, colour: bool) -> Look {
        Look {
            width,
            colour,
            unicode: true,
            zone: FixedOffset::east_opt(2 * 3600),
            now: humantime::parse_rfc3339("2026-11-27T12:00:00Z").expect("a moment"),
        }
    }

    #[test]
    fn a_text_is_cut_by_columns_and_not_by_characters() {
        let look = look(Some(80), false);
        for (text, width, cut) in [
            ("refactor", 8, "refactor"),
            ("refactor", 5, "refa…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("e\u{301}e\u{301}", 2, "e\u{301}e\u{301}"),
            ("ab", 1, "…"),
            ("ab", 0, ""),
        ] {
            assert_eq!(look.cut(text, width), cut, "{text} in {width}");
        }
        let ascii = Look {
            unicode: false,
            ..look
        };
        assert_eq!(ascii.cut("refactor", 5), "refa~");
    }

    #[test]
    fn a_locale_says_whether_it_has_unicode() {
        for (set, expected) in [
            (&[][..], false),
            (&[("LANG", "de_DE.UTF-8")], true),
            (&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")], true),
            (&[("LANG", "de_DE.ISO-8859-1")], false),
        ] {
            let variable = |name: &str| {
                let found = set.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(has_unicode(variable), expected, "{set:?}");
        }
    }

    #[test]
    fn what_went_wrong_is_red_whatever_it_was() {
        assert_eq!(of_status(Status::Completed.as_str()), GOOD);
        assert_eq!(of_status(Status::NeedsInput.as_str()), ASKS);
        assert_eq!(of_status(Status::TimedOut.as_str()), BAD);
        assert_eq!(of_status("orphaned"), BAD);
    }

    #[test]
    fn words_of_others_are_one_line_that_no_terminal_obeys() {
        assert_eq!(words_of("a\n\u{1b}[2Jb\tc"), "a\u{240a}\u{fffd}[2Jb c");
    }
}
