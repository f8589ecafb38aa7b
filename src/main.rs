//! The `cx-operator` binary: parse, call the library, print, exit.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    cli::main()
}
