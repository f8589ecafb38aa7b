//! `cx-stop-hook [DIR]`: writes the files of a turn's end into DIR.

use cx_operator::helper::signals::{self, Kind, Target};

fn main() {
    // A hook that fails or prints disturbs the agent; the operator notices a missing file by itself.
    let _ = signals::receive(&Target::from_args(), Kind::Stop);
}
