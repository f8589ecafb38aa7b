//! The `cx-operator` binary: parse, call the library, print, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    cx_operator::helper_main();
    cx_operator::cli::main()
}
