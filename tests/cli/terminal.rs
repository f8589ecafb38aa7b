//! The operator's program in a person's terminal.

use testkit::built;
use testkit::terminal::Terminal;

use crate::place::Place;

/// A terminal of that size in which the operator's program runs with these arguments. Its exit status is shown when it has ended.
pub(crate) fn running(place: &Place, size: (u32, u32), arguments: &[&str]) -> Terminal {
    let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
    let program = built::operator().display().to_string();
    let line = format!(
        "trap : INT; '{program}' {}; echo \"ended with $?\"; exec sleep 600",
        quoted.join(" ")
    );
    let socket = place.path("person.sock");
    let words = ["sh", "-c", &line];
    Terminal::open(place.command("tmux"), (&socket, true), size, words)
}
