//! The configuration file: what it says holds where the command line says nothing, and a broken one stops nothing but new runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use testkit::world::Ran;

use crate::place::Place;

/// A place whose configuration file says that.
fn configured(text: &str) -> (Place, PathBuf) {
    let mut place = Place::new();
    let home = place.path("xdg");
    place.set("XDG_CONFIG_HOME", &home.display().to_string());
    let file = home.join("cx-operator/config.toml");
    fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    for directory in [&home, &home.join("cx-operator")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("set");
    }
    fs::write(&file, text).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
    (place, file)
}

/// What is in force of a key, and where it comes from.
fn shown(place: &Place, arguments: &[&str], key: &str) -> (Value, String) {
    let words = [&["config", "show", "--json"], arguments].concat();
    let document = place.cli(&words).document();
    let settings = document["settings"].as_array().expect("settings");
    let setting = settings.iter().find(|setting| setting["key"] == key);
    let setting = setting.unwrap_or_else(|| panic!("{key}: {document:#}"));
    let from = setting["from"].as_str().expect("an origin").to_owned();
    (setting["value"].clone(), from)
}

const FILE: &str = r#"
[defaults]
model = "gpt-x"
sandbox = "read-only"
turn_timeout = "20m"
max_tokens = 1000
policy = "mine.toml"

[profiles.review]
executor = "claude"
model = "opus"
turn_timeout = "5m"
max_cost = 2.5

[profiles.plain]

[prices."gpt-x"]
input = 1.25
cached_input = 0.125
output = 10
"#;

#[test]
fn each_value_has_its_origin() {
    let (place, file) = configured(FILE);
    let values = |arguments: &[&str], key| shown(&place, arguments, key);
    let is = |value: &str, from: &str| (json!(value), from.to_owned());
    assert_eq!(values(&[], "model"), is("gpt-x", "defaults"));
    assert_eq!(values(&[], "turn_timeout"), is("20m", "defaults"));
    assert_eq!(values(&[], "timeout"), is("60m", "built_in"));
    assert_eq!(values(&[], "keep"), (Value::Null, "built_in".to_owned()));
    let review = ["--profile", "review"];
    assert_eq!(values(&review, "executor"), is("claude", "profile"));
    assert_eq!(values(&review, "model"), is("opus", "profile"));
    assert_eq!(values(&review, "turn_timeout"), is("5m", "profile"));
    assert_eq!(values(&review, "max_tokens"), is("1000", "defaults"));
    assert_eq!(values(&review, "max_cost"), is("2.5", "profile"));
    let flagged = ["--profile", "review", "--", "--model", "haiku"];
    assert_eq!(values(&flagged, "model"), is("haiku", "flag"));
    // A model belongs to its executor.
    let other = ["--", "--executor", "claude"];
    assert_eq!(
        values(&other, "model"),
        (Value::Null, "built_in".to_owned())
    );
    assert_eq!(values(&other, "sandbox"), is("read-only", "defaults"));
    // A path is one of the file's own directory, wherever the call comes from.
    let policy = file.with_file_name("mine.toml").display().to_string();
    assert_eq!(values(&[], "policy"), is(&policy, "defaults"));
    let (mut place, _) = configured(FILE);
    place.set("CX_OPERATOR_DRIVE", "keys");
    assert_eq!(shown(&place, &[], "drive"), is("keys", "env"));
    let ran = place.cli(&["config", "show"]);
    assert!(ran.stdout.contains("config.toml:3:9"), "{}", ran.stdout);
    let path = place.cli(&["config", "path"]);
    assert!(
        path.stdout.ends_with("xdg/cx-operator/config.toml\n"),
        "{}",
        path.stdout
    );
    let checked = place.cli(&["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert!(
        checked
            .stdout
            .contains("5 defaults, 2 profiles, prices of 1 models"),
        "{}",
        checked.stdout
    );
}

#[test]
fn a_mistake_has_its_file_line_column_and_key() {
    for (text, place_of_it, said) in [
        ("[defaults]\nmodle = \"x\"", ":2:1: ", "unknown key `modle`"),
        ("colour = 1", ":1:1: ", "unknown key `colour`"),
        (
            "[defaults]\nmodel = 3",
            ":2:9: ",
            "`model` must be a text, not of the type integer",
        ),
        (
            "[defaults]\nmax_turns = \"8\"",
            ":2:13: ",
            "`max_turns` must be a whole number",
        ),
        (
            "[defaults]\nmax_turns = 9",
            ":2:13: ",
            "`max_turns`: 9 is not in 1..=8",
        ),
        (
            "[profiles.a]\nsandbox = \"none\"",
            ":2:11: ",
            "`sandbox`: it must be one of: read-only",
        ),
        (
            "[defaults]\n\n  timeout = \"soon\"",
            ":3:13: ",
            "`timeout`: ",
        ),
        (
            "[defaults]\non_finished = \"say\"",
            ":2:15: ",
            "`on_finished` must be an array",
        ),
        (
            "[defaults]\non_finished = []",
            ":2:15: ",
            "`on_finished` must be an array",
        ),
        (
            "[defaults]\nmax_cost = -1",
            ":2:12: ",
            "`max_cost`: it must be an amount",
        ),
        ("defaults = 1", ":1:12: ", "`defaults` must be a table"),
        (
            "[prices.m]\ninput = 1",
            ":1:1: ",
            "`prices.m` has no `output`",
        ),
        (
            "[prices.m]\ninput = \"1\"\noutput = 1",
            ":2:9: ",
            "`input` must be a number",
        ),
        ("[prices.m]\ninputs = 1", ":2:1: ", "unknown key `inputs`"),
        ("[defaults\n", ":1:10: ", ""),
        ("[defaults]\r\nmodel = 3\r\n", ":2:9: ", "`model`"),
        ("\u{feff}[defaults]\nmodel = 3", ":2:9: ", "`model`"),
    ] {
        let (place, file) = configured(text);
        let check = place.cli(&["config", "check"]);
        let delegate = ["delegate", "--task", "t", "--prompt", "x", "--json"];
        for ran in [check, place.cli(&delegate)] {
            assert_eq!(ran.code, 2, "{text}: {}", ran.stderr);
            let wanted = format!("{}{place_of_it}", file.display());
            assert!(ran.stderr.contains(&wanted), "{text}: {}", ran.stderr);
            assert!(ran.stderr.contains(said), "{text}: {}", ran.stderr);
        }
        assert_eq!(
            place.cli(&delegate).document()["error"]["code"],
            "config_file"
        );
        place.assert_untouched("refs/heads/main");
    }
}

#[test]
fn what_says_nothing_is_no_mistake() {
    for text in [
        "",
        "\u{feff}",
        "\r\n# nothing\r\n",
        "[defaults]\n[profiles]\n",
    ] {
        let (place, _) = configured(text);
        let checked = place.cli(&["config", "check"]);
        assert_eq!(checked.code, 0, "{text:?}: {}", checked.stderr);
        assert_eq!(shown(&place, &[], "model").1, "built_in");
    }
    let (place, file) = configured("");
    fs::remove_file(&file).expect("removed");
    let checked = place.cli(&["config", "check"]);
    assert_eq!((checked.code, checked.stdout.as_str()), (0, ""));
    assert!(checked.stderr.contains("there is no"), "{}", checked.stderr);
    let document = place.cli(&["config", "show", "--json"]).document();
    assert_eq!(document["file"], Value::Null);
}

fn assert_unusable(place: &Place, said: &str) {
    let ran = place.cli(&["config", "check"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let mode = |path: &PathBuf, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set")
    };
    let (place, file) = configured(FILE);
    mode(&file, 0o666);
    assert_unusable(&place, "other users may write to");
    mode(&file, 0o600);
    assert_eq!(place.cli(&["config", "check"]).code, 0);
    mode(&place.path("xdg/cx-operator"), 0o777);
    assert_unusable(&place, "other users may write to");
    mode(&place.path("xdg/cx-operator"), 0o755);
    // Behind a link, too.
    let elsewhere = place.path("elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    mode(&elsewhere, 0o777);
    fs::rename(&file, elsewhere.join("c.toml")).expect("moved");
    std::os::unix::fs::symlink(elsewhere.join("c.toml"), &file).expect("linked");
    assert_unusable(&place, "other users may write to");
    fs::remove_dir_all(&elsewhere).expect("removed");
    assert_unusable(&place, "No such file");
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("made");
    assert_unusable(&place, "is a directory");
    fs::remove_dir(&file).expect("removed");
    fs::write(&file, b"[defaults]\nmodel = \"\xff\"").expect("written");
    mode(&file, 0o600);
    assert_unusable(&place, "not UTF-8");
}

/// Neither a file of the repository nor a relative directory has a say.
#[test]
fn no_file_of_a_repository_has_a_say() {
    let mut place = Place::new();
    for name in [
        "cx-operator/config.toml",
        ".config/cx-operator/config.toml",
        "config.toml",
    ] {
        let path = place.repo().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, "broken").expect("written");
    }
    place.set("XDG_CONFIG_HOME", ".config");
    let mut command = place.operator(&["config", "check"]);
    let ran = Ran::of(command.current_dir(place.repo()), b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("there is no"), "{}", ran.stderr);
}

#[test]
fn a_broken_file_stops_nothing_but_new_runs() {
    let (place, _) = configured("broken");
    for words in [
        &["recover", "--json"][..],
        &["cleanup", "--json"],
        &["list", "--json"],
        &["prune", "--json"],
        &["config", "path"],
        &["capabilities", "--json"],
    ] {
        let ran = place.cli(words);
        assert_eq!(ran.code, 0, "{words:?}: {}", ran.stderr);
    }
    let ran = place.cli(&["resume", "none", "--json"]);
    assert_eq!(ran.document()["error"]["code"], "run_not_found");
    let ran = place.cli(&["doctor", "--json"]);
    let checks = ran.document()["checks"].clone();
    let checks = checks.as_array().expect("checks");
    let check = checks.iter().find(|check| check["name"] == "configuration");
    assert_eq!(check.expect("a check")["level"], "fail", "{checks:?}");
}

#[test]
fn a_limit_of_money_needs_a_model_and_its_prices() {
    let (place, _) = configured(FILE);
    let words = [
        "delegate",
        "--task",
        "t",
        "--prompt",
        "x",
        "--max-cost",
        "1",
        "--json",
        "--repo",
        "/nonexistent",
        "--policy",
        "read-only",
    ];
    let code = |more: &[&str]| {
        let document = place.cli(&[&words[..], more].concat()).document();
        (
            document["error"]["code"].clone(),
            document["error"]["message"]
                .as_str()
                .expect("a message")
                .to_owned(),
        )
    };
    // With both it is something else that is wrong here.
    assert_ne!(code(&[]).0, "usage");
    let (refused, message) = code(&["--model", "other"]);
    assert_eq!(refused, "usage");
    assert!(message.contains("[prices.\"other\"]"), "{message}");
    let (refused, message) = code(&["--executor", "claude"]);
    assert_eq!(refused, "usage");
    assert!(message.contains("--model"), "{message}");
    let (refused, message) = code(&["--profile", "nobody"]);
    assert_eq!(refused, "usage");
    assert!(
        message.contains("there are: plain, review") && message.contains("--agent-profile"),
        "{message}"
    );
    for amount in ["0", "-1", "1.1234567", "x"] {
        let ran = place.cli(&["delegate", "--task", "t", &format!("--max-cost={amount}")]);
        assert_eq!(ran.code, 2, "{amount}");
    }
}
