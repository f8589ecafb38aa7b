//! What `doctor --executor claude` says, and that it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use testkit::agents::{PINNED_CLAUDE, real_claude};
use testkit::world::{Ran, World};

/// A program that says its version, and keeps what else it was asked.
const PROGRAM: &str = r#"#!/bin/sh
case "$1" in
--version) echo '2.1.332 (Claude Code)' ;;
*)
    echo "$* $(ls -A "$CLAUDE_CONFIG_DIR")" >> "$HOME/../asked"
    touch "$CLAUDE_CONFIG_DIR/written"
    cat "$HOME/../status"
    grep -q true "$HOME/../status"
    ;;
esac
"#;

fn world() -> World {
    let mut world = World::new(&[("README", "one\n")]);
    world.write("bin/claude", PROGRAM);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(world.path("bin/claude"), mode).expect("ours");
    world.write("status", r#"{"loggedIn": false, "authMethod": "none"}"#);
    let temporary = world.path("tmp").display().to_string();
    fs::create_dir(&temporary).expect("a directory");
    world.set("TMPDIR", &temporary);
    world
}

/// Every file below a directory, with its content.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("readable");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
            found.insert(path, Vec::new());
        } else {
            let content = fs::read(&path).expect("readable");
            found.insert(path, content);
        }
    }
    found
}

/// The level of the check of that name, what it found, and the fix.
fn look(world: &World, program: &Path, name: &str) -> (String, String, String) {
    let before = ["home", "tmp", "repo"].map(|name| files(&world.path(name)));
    let mut command = world.operator(&["doctor", "--executor", "claude", "--json", "--program"]);
    let ran = Ran::of(command.arg(program), b"");
    let after = ["home", "tmp", "repo"].map(|name| files(&world.path(name)));
    assert_eq!(before, after, "it changes nothing");
    let document = ran.document();
    let checks = document["checks"].as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name}: {document:#}"));
    let ready = check["level"] != "fail";
    assert_eq!(
        (ran.code == 0, &document["ready"] == true),
        (ready, ready),
        "{document:#}"
    );
    let text = |field: &str| check[field].as_str().unwrap_or_default().to_owned();
    (text("level"), text("found"), text("fix"))
}

fn sign_in(world: &World) -> (String, String) {
    let (level, found, _) = look(world, &world.path("bin/claude"), "claude sign-in");
    (level, found)
}

const SIGNED_IN: &str = "signed in, or a provider that needs no sign-in";
const BILLED: &str = "an API key: billed by use, with no spending cap";

fn ok(found: &str) -> (String, String) {
    ("ok".to_owned(), found.to_owned())
}

fn fails(found: &str) -> (String, String) {
    ("fail".to_owned(), found.to_owned())
}

#[test]
fn a_machine_without_it() {
    let world = world();
    let (level, found, fix) = look(&world, Path::new("/nonexistent/claude"), "claude");
    assert_eq!(level, "fail");
    assert_eq!(
        found,
        "claude is missing: /nonexistent/claude is not a program"
    );
    assert!(
        fix.contains("npm install -g @anthropic-ai/claude-code"),
        "{fix}"
    );
}

#[test]
fn what_is_there_is_not_asked_for() {
    let mut world = world();
    let tokens = r#"{"claudeAiOauth":{"accessToken":"a","refreshToken":"b"}}"#;
    world.write("home/.claude/.credentials.json", tokens);
    assert_eq!(sign_in(&world), ok(SIGNED_IN));
    world.set("ANTHROPIC_API_KEY", "no-secret-but-long-enough");
    assert_eq!(sign_in(&world), ok(BILLED));
    assert!(!world.path("asked").exists());
}

#[test]
fn the_program_is_asked_in_a_directory_of_its_own() {
    let world = world();
    assert_eq!(sign_in(&world), fails("claude is not signed in"));
    world.write("status", r#"{"loggedIn": true, "authMethod": "api_key"}"#);
    world.write("home/.claude.json", r#"{"primaryApiKey": "no-secret"}"#);
    assert_eq!(sign_in(&world), ok(BILLED));
    let asked = fs::read_to_string(world.path("asked")).expect("it was asked");
    let expected = "auth status .claude.json\nsettings.json\n";
    assert_eq!(asked, expected.repeat(2));
}

#[test]
fn a_key_that_a_person_refused_is_none() {
    let mut world = world();
    world.write("status", r#"{"loggedIn": true, "authMethod": "api_key"}"#);
    let state =
        r#"{"customApiKeyResponses": {"approved": [], "rejected": ["secret-but-long-enough"]}}"#;
    world.write("home/.claude.json", state.replace("secret-but", "cret-but"));
    world.set("ANTHROPIC_API_KEY", "no-secret-but-long-enough");
    let message = "claude is not signed in: ANTHROPIC_API_KEY is a key that it was told not to use";
    assert_eq!(sign_in(&world), fails(message));
}

/// As the real program says, but for what it takes for a login though no service would.
#[test]
fn tokens_are_a_login_where_a_service_may_take_them() {
    let world = world();
    let signed_out = "claude is not signed in";
    let expired = "claude's login has expired, and no token is there to refresh it with";
    let future = r#""expiresAt":4102444800000"#;
    for (tokens, expected) in [
        (format!(r#""accessToken":"a",{future}"#), ok(SIGNED_IN)),
        (r#""accessToken":"a""#.to_owned(), ok(SIGNED_IN)),
        (
            r#""accessToken":"a","refreshToken":"b","expiresAt":1"#.to_owned(),
            ok(SIGNED_IN),
        ),
        (
            r#""accessToken":"a","refreshToken":"","expiresAt":1"#.to_owned(),
            fails(expired),
        ),
        (
            r#""accessToken":"a","refreshToken":null,"expiresAt":1"#.to_owned(),
            fails(expired),
        ),
        (
            r#""accessToken":"","refreshToken":"b""#.to_owned(),
            fails(signed_out),
        ),
        (
            format!(r#""accessToken":"a","scopes":["user:profile"],{future}"#),
            fails(signed_out),
        ),
        (
            format!(r#""accessToken":"a","scopes":["user:inference"],{future}"#),
            ok(SIGNED_IN),
        ),
    ] {
        let stored = format!("{{\"claudeAiOauth\":{{{tokens}}}}}");
        world.write("home/.claude/.credentials.json", &stored);
        assert_eq!(sign_in(&world), expected, "{stored}");
    }
}

#[test]
fn providers_are_billed_where_they_are_on() {
    for name in ["BEDROCK", "VERTEX", "FOUNDRY"] {
        for (value, expected) in [
            ("1", ok(BILLED)),
            ("true", ok(BILLED)),
            ("0", fails("claude is not signed in")),
            ("false", fails("claude is not signed in")),
        ] {
            let mut world = world();
            world.set(&format!("CLAUDE_CODE_USE_{name}"), value);
            assert_eq!(sign_in(&world), expected, "{name}={value}");
        }
    }
    // By the user's settings, so that the program has to be asked.
    for method in ["third_party", "api_key_helper"] {
        let world = world();
        let status = format!(r#"{{"loggedIn": true, "authMethod": "{method}"}}"#);
        world.write("status", status);
        assert_eq!(sign_in(&world), ok(BILLED), "{method}");
    }
}

#[test]
fn a_sandbox_that_has_to_be_there_is_looked_for() {
    let mut world = world();
    world.set("ANTHROPIC_API_KEY", "no-secret-but-long-enough");
    let settings = r#"{"sandbox": {"enabled": true, "failIfUnavailable": true}}"#;
    world.write("home/.claude/settings.json", settings);
    let path = world.path("bin").display().to_string();
    let shell = std::env::var("PATH").expect("a PATH");
    let has = |name: &str| std::env::split_paths(&shell).any(|dir| dir.join(name).exists());
    if !has("bwrap") {
        let message = "your settings require claude's sandbox (sandbox.failIfUnavailable), which needs `bwrap` on PATH";
        assert_eq!(sign_in(&world), fails(message));
    }
    for name in ["bwrap", "socat"] {
        world.write(&format!("bin/{name}"), "#!/bin/sh\n");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(world.path("bin").join(name), mode).expect("ours");
    }
    world.set("PATH", &format!("{path}:{shell}"));
    assert_eq!(sign_in(&world), ok(BILLED));
}

#[test]
fn broken_settings_are_named() {
    for (name, text) in [
        (".claude/settings.json", "{\"hooks\": }"),
        (".claude/settings.json", "[]"),
        (".claude.json", "{"),
    ] {
        let world = world();
        world.write(&format!("home/{name}"), text);
        let (level, found) = sign_in(&world);
        let path = world.path("home").join(name);
        let begin = format!("claude can't use {}: ", path.display());
        assert!(level == "fail" && found.starts_with(&begin), "{found}");
    }
}

/// By the run, which is told the sandbox.
#[test]
fn root_without_a_sandbox_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let mut world = world();
    world.set("ANTHROPIC_API_KEY", "no-secret-but-long-enough");
    let mut command = world.operator(&["delegate", "--executor", "claude", "--task", "t"]);
    command.args([
        "--prompt",
        "Do it.",
        "--sandbox",
        "danger-full-access",
        "--json",
    ]);
    let ran = Ran::of(command.arg("--program").arg(world.path("bin/claude")), b"");
    assert_eq!(ran.code, 7, "{}", ran.stdout);
    let message = &ran.document()["error"]["message"];
    let expected =
        "claude refuses --sandbox danger-full-access for root (set IS_SANDBOX=1 in a container)";
    assert_eq!(message, expected);
}

#[test]
fn the_real_one_answers_alike() {
    let Some(claude) = real_claude(PINNED_CLAUDE) else {
        return;
    };
    let mut world = world();
    let sign_in = |world: &World| {
        let (level, found, _) = look(world, &claude, "claude sign-in");
        (level, found)
    };
    assert_eq!(sign_in(&world), fails("claude is not signed in"));
    world.write(
        "home/.claude.json",
        r#"{"primaryApiKey": "no-secret-but-long-enough"}"#,
    );
    assert_eq!(sign_in(&world), ok(BILLED));
    world.write("home/.claude.json", "{}");
    world.write(
        "home/.claude/settings.json",
        r#"{"env": {"ANTHROPIC_API_KEY": "no-secret-but-long-enough"}}"#,
    );
    assert_eq!(sign_in(&world), ok(BILLED));
    world.write("home/.claude/settings.json", "{}");
    world.set("CLAUDE_CODE_USE_BEDROCK", "0");
    assert_eq!(sign_in(&world), fails("claude is not signed in"));
    let provider = r#"{"env": {"CLAUDE_CODE_USE_VERTEX": "1"}}"#;
    world.write("home/.claude/settings.json", provider);
    assert_eq!(sign_in(&world), ok(BILLED));
    world.write("home/.claude/settings.json", "{}");
    let tokens = r#"{"claudeAiOauth":{"accessToken":"a","scopes":["user:profile"]}}"#;
    world.write("home/.claude/.credentials.json", tokens);
    assert_eq!(sign_in(&world), fails("claude is not signed in"));
    // What the program leaves of tokens that the service refused.
    let tokens = r#"{"claudeAiOauth":{"accessToken":"","refreshToken":""}}"#;
    world.write("home/.claude/.credentials.json", tokens);
    assert_eq!(sign_in(&world), fails("claude is not signed in"));
    world.set("ANTHROPIC_API_KEY", "no-secret-but-long-enough");
    assert_eq!(sign_in(&world), ok(BILLED));
    let (level, found, _) = look(&world, &claude, "claude");
    assert_eq!(
        (&*level, found.starts_with(PINNED_CLAUDE)),
        ("ok", true),
        "{found}"
    );
}
