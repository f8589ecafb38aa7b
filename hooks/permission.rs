//! `cx-permission-hook [DIR]`: writes the file of a permission into DIR and answers by the policy there, if it has one.

use std::io::{self, Write};

use cx_operator::helper::signals::{self, Kind, Target};

fn main() {
    let target = Target::from_args();
    // A permission without its record is not decided either. A hook that fails or prints more disturbs the agent.
    let Ok(asked) = signals::receive(&target, Kind::Permission) else {
        return;
    };
    if let Some(answer) = target.decide(&asked).codex_output() {
        let mut stdout = io::stdout();
        let _ = stdout
            .write_all(answer.as_bytes())
            .and_then(|()| stdout.flush());
    }
}
