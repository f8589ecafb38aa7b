//! The real codex programs are there, at the versions that the tests name.

use std::process::Command;
use testkit::agents;

#[test]
fn each_version_runs_as_script_and_as_native_program() {
    let home = tempfile::tempdir().expect("a temporary directory");
    for version in [agents::PINNED, agents::OLDER[0], agents::OLDER[1]] {
        let (Some(script), Some(native)) =
            (agents::real_codex(version), agents::native_codex(version))
        else {
            continue;
        };
        for program in [script, native] {
            let output = Command::new(program)
                .arg("--version")
                .env("CODEX_HOME", home.path())
                .output()
                .expect("codex starts");
            let shown = String::from_utf8_lossy(&output.stdout);
            assert_eq!(shown.trim(), format!("codex-cli {version}"));
        }
    }
}
