//! `cx-launcher CWD ENVIRONMENT STATUS CGROUP PROGRAM [ARG]...`: the root of all that runs in a pane.

use std::process::ExitCode;

fn main() -> ExitCode {
    cx_operator::helper::launcher::run(std::env::args_os().skip(1))
}
