use super::*;

fn asked(config: Value, requirements: Value) -> Result<Asked, app_server::Error> {
    Ok(Asked {
        answers: vec![
            Some(Ok(json!({"config": config}))),
            Some(Ok(json!({"requirements": requirements}))),
        ],
        complaints: String::new(),
    })
}

fn understood(config: Value) -> Setup {
    let setup = understand(asked(config, Value::Null), &Options::default(), Drive::Keys);
    setup.expect("valid").expect("an answer")
}

#[test]
fn the_provider_is_the_effective_one() {
    let own = json!({"env_key": "P_KEY", "requires_openai_auth": false});
    for (config, provider) in [
        (json!({}), Provider::OpenAi),
        (json!({"model_provider": "openai"}), Provider::OpenAi),
        (
            json!({"model_provider": "p", "model_providers": {"p": own}}),
            Provider::Other {
                name: "p".into(),
                key: Some("P_KEY".into()),
            },
        ),
        (
            json!({"model_provider": "ollama", "model_providers": {}}),
            Provider::Other {
                name: "ollama".into(),
                key: None,
            },
        ),
        (
            json!({"model_provider": "p", "model_providers": {"p": {"requires_openai_auth": true}}}),
            Provider::OpenAi,
        ),
    ] {
        assert_eq!(understood(config.clone()).provider, provider, "{config}");
    }
}

#[test]
fn keys_that_a_run_presses_are_taken_back() {
    let keymap = json!({
        "composer": {"submit": ["enter", "shift-f12"], "queue": "enter", "toggle_shortcuts": null},
        "global": {"copy": "ctrl-o", "open_external_editor": ["ctrl-g", "enter"]},
        "list": {"accept": "enter", "cancel": "up"},
        "pager": {"close": "enter"},
    });
    assert_eq!(
        understood(json!({"tui": {"keymap": keymap}})).unbound,
        [
            "tui.keymap.global.open_external_editor=[]",
            "tui.keymap.composer.queue=[]",
            "tui.keymap.list.cancel=[]",
        ]
    );
}

#[test]
fn what_a_run_passes_is_what_it_needs() {
    let passed = RELIED_ON.map(str::to_owned).join("\n");
    let config: toml::Table = passed.parse().expect("valid TOML");
    let config = serde_json::to_value(config).expect("JSON");
    required::check(&config, &Options::default(), true).expect("it is enough");
}

#[test]
fn what_is_stronger_than_a_run_is_told() {
    for (config, requirements, says) in [
        (
            json!({"features": {"hooks": false}}),
            json!(null),
            "features.hooks",
        ),
        (
            json!({"tui": {"status_line": []}}),
            json!(null),
            "tui.status_line",
        ),
        (
            json!({"tui": {"keymap": {"composer": {"submit": "ctrl-s"}}}}),
            json!(null),
            "submit",
        ),
        (
            json!({}),
            json!({"allowManagedHooksOnly": true}),
            "allow_managed_hooks_only",
        ),
        (
            json!({}),
            json!({"featureRequirements": {"hooks": false}}),
            "features.hooks",
        ),
        (
            json!({}),
            json!({"allowedSandboxModes": ["read-only"]}),
            "choose an allowed one with --sandbox",
        ),
        (
            json!({}),
            json!({"allowedApprovalPolicies": ["never"]}),
            "lacks on-request",
        ),
    ] {
        let error = understand(
            asked(config, requirements),
            &Options::default(),
            Drive::Keys,
        );
        let error = error.expect_err("it can't be relied on").to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_refused_configuration_is_told_in_codexs_words() {
    let refused = |message: &str| Asked {
        answers: vec![Some(Err(message.to_owned())), None],
        complaints: String::new(),
    };
    let said = "failed to read configuration layers: /h/config.toml:3:6: unclosed array";
    let error =
        understand(Ok(refused(said)), &Options::default(), Drive::Keys).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "codex refuses its configuration: /h/config.toml:3:6: unclosed array"
    );
    let ended = Asked {
        answers: vec![None, None],
        complaints:
            "WARNING: x\nError: unknown variant `foo`\nin `sandbox_mode`\n\nStack backtrace:\n"
                .into(),
    };
    let error = understand(Ok(ended), &Options::default(), Drive::Keys).expect_err("refused");
    assert!(
        error
            .to_string()
            .ends_with("unknown variant `foo` in `sandbox_mode`")
    );
    let quoted = "invalid configuration: TOML parse error at line 1, column 6\n  |\n1 | token = \"t\n  | ^\nunclosed";
    let error =
        understand(Ok(refused(quoted)), &Options::default(), Drive::Keys).expect_err("refused");
    assert!(
        error
            .to_string()
            .ends_with("TOML parse error at line 1, column 6 unclosed")
    );
    // A codex that has no such server, or another answer.
    let unknown = refused("Method not found");
    assert_eq!(
        understand(Ok(unknown), &Options::default(), Drive::Keys).expect("fine"),
        None
    );
}

#[test]
fn arguments_that_configure_are_passed_on() {
    let arguments = [
        "--search",
        "-c",
        "a=1",
        "--config=b=2",
        "--disable",
        "x",
        "-p",
        "q",
        "--",
        "-c",
        "z=1",
    ];
    let (settings, profile) = configuring(&arguments.map(str::to_owned));
    assert_eq!(settings, ["-c", "a=1", "--config", "b=2", "--disable", "x"]);
    assert_eq!(profile.as_deref(), Some("q"));
}
