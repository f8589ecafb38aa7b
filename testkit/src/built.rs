//! The programs that cargo builds beside a test, a bench or an example.

use std::path::PathBuf;

/// The directory of the programs: `target/<profile>`.
///
/// # Panics
/// The running program is not where cargo builds tests, benches and examples.
#[must_use]
pub fn directory() -> PathBuf {
    let own = std::env::current_exe().expect("a program knows its path");
    let place = own.parent().expect("a program is in a directory");
    assert!(
        place.ends_with("deps") || place.ends_with("examples"),
        "{} was not built by cargo as a test",
        own.display()
    );
    place.parent().expect("below target").to_owned()
}

/// The program of that name.
///
/// # Panics
/// It was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let program = directory().join(name);
    assert!(program.is_file(), "{} is not built", program.display());
    program
}

/// The operator's own program.
#[must_use]
pub fn operator() -> PathBuf {
    program("cx-operator")
}

/// The scripted agent.
#[must_use]
pub fn scripted_agent() -> PathBuf {
    program("scripted-agent")
}

/// The root of the checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("below the checkout").to_owned()
}
