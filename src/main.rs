//! The `cx-operator` binary: parse, call the library, print, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    cx_operator::cli::main()
}
