//! `mcp install` and `uninstall`: by the client's own commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use testkit::built;

use super::text;
use crate::place::Place;

/// A client that writes down how it was called, and refuses what a file says.
fn client(place: &Place) -> String {
    let program = place.path("client");
    let log = place.path("calls").display().to_string();
    let refuse = place.path("refuse").display().to_string();
    let script =
        format!("#!/bin/sh\necho \"$@\" >> {log}\n! grep -qx \"$2\" {refuse} 2> /dev/null\n");
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a mode");
    program.display().to_string()
}

#[test]
fn a_client_is_configured_by_its_own_commands() {
    let place = Place::new();
    let client = client(&place);
    let root = place.repo().display().to_string();
    // None is there that could be removed.
    fs::write(place.path("refuse"), "remove\n").expect("written");
    for name in ["codex", "claude"] {
        let line = [
            "mcp",
            "install",
            name,
            "--program",
            &client,
            "--root",
            &root,
            "--allow-option=check",
        ];
        let ran = place.cli(&line);
        assert_eq!(ran.code, 0, "{ran:?}");
        let calls = fs::read_to_string(place.path("calls")).expect("calls");
        let server = built::operator().display().to_string();
        assert_eq!(
            calls,
            format!(
                "mcp remove cx-operator\nmcp add cx-operator -- {server} mcp --root={root} --allow-option=check\n"
            )
        );
        fs::remove_file(place.path("calls")).expect("removed");
    }
    let failed = place.cli(&["mcp", "uninstall", "codex", "--program", &client]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(
        failed.stderr.contains("codex ended with exit status: 1"),
        "{failed:?}"
    );
    fs::remove_file(place.path("refuse")).expect("removed");
    let ran = place.cli(&["mcp", "uninstall", "claude", "--program", &client]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let missing = place.cli(&["mcp", "install", "codex", "--program", "/no/such/client"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.stderr.contains("/no/such/client"), "{missing:?}");
}

#[test]
fn the_configuration_is_printed() {
    let place = Place::new();
    let printed = place
        .cli(&["mcp", "install", "print", "--root", "sub"])
        .document();
    let server = &printed["mcpServers"]["cx-operator"];
    assert_eq!(
        text(&server["command"]),
        built::operator().display().to_string()
    );
    let root = place.repo().join("sub").display().to_string();
    assert_eq!(server["args"], json!(["mcp", format!("--root={root}")]));
    assert_eq!(place.cli(&["mcp", "uninstall", "print"]).code, 2);
    assert_eq!(place.cli(&["mcp", "--root=.", "install", "print"]).code, 2);
}
