//! The rows of the table.

use std::fs;

use super::Ends::Refused;
use super::{PLAIN, Row};

/// The mock's provider under another name, for `-c` or a profile to choose.
pub(super) const MOCK: &str = "model_provider = \"mock\"\n";
/// A hook of the user's that nobody has reviewed.
const HOOK: &str = r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"/bin/false"}]}],
"UserPromptSubmit":[{"hooks":[{"type":"command","command":"/bin/sleep 1"}]}]}}"#;

pub(super) const fn tables(name: &'static str, tables: &'static str) -> Row {
    Row {
        name,
        tables,
        ..PLAIN
    }
}

pub(super) const fn top(name: &'static str, top: &'static str) -> Row {
    Row { name, top, ..PLAIN }
}

const fn main(row: Row) -> Row {
    Row { main: true, ..row }
}

pub(super) const fn refused(row: Row, code: &'static str, says: &'static str) -> Row {
    Row {
        ends: Refused(code, says),
        ..row
    }
}

pub(super) const fn file(
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
) -> Row {
    Row {
        name,
        files,
        ..PLAIN
    }
}

pub(super) const fn variable(
    name: &'static str,
    environment: &'static [(&'static str, &'static str)],
) -> Row {
    Row {
        name,
        environment,
        ..PLAIN
    }
}

pub(super) const fn argument(name: &'static str, arguments: &'static [&'static str]) -> Row {
    Row {
        name,
        arguments,
        ..PLAIN
    }
}

pub(super) const ROWS: &[Row] = &[
    main(tables(
        "a status row without the model",
        "[tui]\nstatus_line = [\"current-dir\"]",
    )),
    main(tables(
        "another key to submit",
        "[tui.keymap.composer]\nsubmit = \"ctrl-enter\"\n[tui.keymap.editor]\ninsert_newline = [\"enter\", \"ctrl-j\"]",
    )),
    main(tables("hooks are off", "[features]\nhooks = false")),
    main(Row {
        mock: false,
        arguments: &["-c", "model_provider=\"mock\""],
        ..top("an argument's provider", "")
    }),
    main(refused(
        Row {
            mock: false,
            ..top("not signed in", "")
        },
        "not_signed_in",
        "not signed in",
    )),
    main(refused(
        tables("broken TOML", "x = ["),
        "agent_configuration",
        "config.toml:",
    )),
    main(file(
        "a wrapper that speaks and changes the directory",
        &[(
            "wrapper",
            "#!/bin/sh\necho 'using codex'\ncd /\nexec @CODEX@ \"$@\"\n",
        )],
    )),
    main(file(
        "the repository's settings",
        &[(
            "repo/.codex/config.toml",
            "[tui]\nstatus_line = []\n[tui.keymap.composer]\nsubmit = \"ctrl-s\"\n[features]\nhooks = false\n[history]\npersistence = \"save-all\"\n",
        )],
    )),
    main(tables(
        "Enter queues",
        "[tui.keymap.composer]\nqueue = \"enter\"\nsubmit = \"ctrl-enter\"",
    )),
    main(refused(
        variable("the provider's key is missing", &[("OPENAI_API_KEY", "")]),
        "provider_key_missing",
        "OPENAI_API_KEY",
    )),
    main(Row {
        of_terminal: true,
        ..refused(
            argument("an argument turns hooks off", &["--disable", "hooks"]),
            "agent_restricted",
            "features.hooks",
        )
    }),
    main(tables("no status row", "[tui]\nstatus_line = []")),
    tables(
        "Enter opens an editor",
        "[tui.keymap.global]\nopen_external_editor = [\"ctrl-g\", \"enter\"]\n[tui.keymap.composer]\nsubmit = \"ctrl-enter\"",
    ),
    tables(
        "another key to accept",
        "[tui.keymap.list]\naccept = \"ctrl-y\"\ncancel = \"enter\"",
    ),
    tables("vim", "[tui]\nvim_mode_default = true"),
    tables("no alternate screen", "[tui]\nalternate_screen = \"never\""),
    tables(
        "raw output",
        "[tui]\nraw_output_mode = true\nfullscreen_transcript = true\ncollapse_turn_details = true",
    ),
    tables(
        "no animations",
        "[tui]\nanimations = false\nshow_tooltips = false\nnotifications = true",
    ),
    tables("no paste burst", "[tui]\ndisable_paste_burst = true"),
    tables(
        "a theme and a pet",
        "[tui]\ntheme = \"dracula\"\npet = \"codex\"\nterminal_title = [\"project\"]",
    ),
    tables(
        "features off",
        "[features]\ngoals = false\nmulti_agent = false\nplugins = false\napps = false\nshell_snapshot = false",
    ),
    tables(
        "features on",
        "[features]\nsimplified_selection_hints = true\ntui_workspace = true\ntui_extensions_statusline = true",
    ),
    top(
        "never ask",
        "approval_policy = \"never\"\nsandbox_mode = \"danger-full-access\"",
    ),
    top("ask on failure", "approval_policy = \"on-failure\""),
    refused(
        top(
            "ask for what isn't trusted",
            "approval_policy = \"untrusted\"",
        ),
        "agent_configuration",
        "approval_policy",
    ),
    refused(
        top("an unknown sandbox", "sandbox_mode = \"foo\""),
        "agent_configuration",
        "sandbox_mode",
    ),
    refused(
        top("notify is a string", "notify = \"x\""),
        "agent_configuration",
        "notify",
    ),
    top("a slow notify", "notify = [\"/bin/sleep\", \"1\"]"),
    top("no such notify", "notify = [\"/nonexistent/x\"]"),
    refused(
        tables("a server without transport", "[mcp_servers.a]\nfoo = 1"),
        "agent_configuration",
        "mcp_servers.a",
    ),
    tables(
        "no such server",
        "[mcp_servers.a]\ncommand = \"/nonexistent/x\"",
    ),
    tables(
        "a slow server",
        "[mcp_servers.a]\ncommand = \"/bin/sleep\"\nargs = [\"60\"]\nstartup_timeout_sec = 3",
    ),
    tables(
        "a server that talks nonsense",
        "[mcp_servers.a]\ncommand = \"/bin/sh\"\nargs = [\"-c\", \"echo hello; exit 1\"]",
    ),
    refused(
        top(
            "no such instructions",
            "model_instructions_file = \"/nonexistent/i.md\"",
        ),
        "agent_configuration",
        "/nonexistent/i.md",
    ),
    Row {
        files: &[("i.md", "Be good.")],
        ..top(
            "instructions",
            "model_instructions_file = \"@DIR@/i.md\"\ndeveloper_instructions = \"Be kind.\"",
        )
    },
    file(
        "AGENTS.md",
        &[
            ("codex/AGENTS.md", "Always be brief."),
            ("repo/AGENTS.override.md", "Be long."),
        ],
    ),
    top(
        "reasoning and personality",
        "personality = \"pragmatic\"\nmodel_reasoning_effort = \"high\"\nmodel_verbosity = \"low\"\nhide_agent_reasoning = true",
    ),
    Row {
        tables: "[zork]\nx = 1",
        ..top("unknown keys", "foo_bar = 1")
    },
    refused(
        Row {
            arguments: &["--strict-config"],
            ..top("unknown keys, strictly", "foo_bar = 1")
        },
        "agent_configuration",
        "foo_bar",
    ),
    argument("strictly", &["--strict-config"]),
    top(
        "deprecated keys",
        "experimental_instructions_file = \"/nonexistent\"\ninstructions = \"x\"\ndisable_response_storage = true",
    ),
    Row {
        change: |config| {
            let text = fs::read_to_string(config).expect("text");
            fs::write(config, format!("\u{feff}{}", text.replace('\n', "\r\n"))).expect("written");
        },
        ..top("CRLF and BOM", "")
    },
    Row {
        change: |config| {
            let real = config.with_file_name("real.toml");
            fs::rename(config, &real).expect("moved");
            std::os::unix::fs::symlink(real, config).expect("a link");
        },
        ..top("a linked file", "")
    },
    refused(
        Row {
            change: |config| {
                fs::remove_file(config).expect("removed");
                fs::create_dir(config).expect("made");
            },
            ..top("a directory", "")
        },
        "agent_configuration",
        "config.toml",
    ),
    Row {
        mock: false,
        profile: Some("alt"),
        ..file("a profile's provider", &[("codex/alt.config.toml", MOCK)])
    },
    Row {
        profile: Some("alt"),
        ..file(
            "a profile's screen",
            &[(
                "codex/alt.config.toml",
                "[tui]\nstatus_line = []\n[features]\nhooks = false\n",
            )],
        )
    },
    refused(
        Row {
            profile: Some("nope"),
            ..top("no such profile", "")
        },
        "agent_configuration",
        "nope.config.toml",
    ),
    refused(
        Row {
            mock: false,
            ..top("no such provider", "model_provider = \"nope\"")
        },
        "agent_configuration",
        "nope",
    ),
    Row {
        mock: false,
        change: |config| {
            let text = fs::read_to_string(config).expect("text");
            fs::write(
                config,
                text.replace(
                    "env_key = \"OPENAI_API_KEY\"",
                    "experimental_bearer_token = \"t\"\nhttp_headers = { X = \"y\" }",
                ),
            )
            .expect("written");
        },
        ..top("a bearer token", MOCK)
    },
    Row {
        change: |config| {
            let text = fs::read_to_string(config).expect("text");
            fs::write(
                config,
                text.replace("env_key = \"OPENAI_API_KEY\"", "")
                    + "[model_providers.mock.auth]\ncommand = \"/bin/echo\"\nargs = [\"t\"]\n",
            )
            .expect("written");
        },
        ..top("a command's token", "")
    },
    refused(
        Row {
            mock: false,
            ..file("a broken auth.json", &[("codex/auth.json", "{bad")])
        },
        "agent_credentials",
        "auth.json",
    ),
    refused(
        Row {
            mock: false,
            ..file("an empty auth.json", &[("codex/auth.json", "{}")])
        },
        "agent_credentials",
        "no credential",
    ),
    refused(
        Row {
            mock: false,
            top: "forced_login_method = \"chatgpt\"",
            ..file(
                "the wrong kind of sign-in",
                &[("codex/auth.json", "{\"OPENAI_API_KEY\":\"k\"}")],
            )
        },
        "agent_credentials",
        "forced_login_method",
    ),
    refused(
        Row {
            mock: false,
            ..top(
                "an empty keyring",
                "cli_auth_credentials_store = \"keyring\"",
            )
        },
        "not_signed_in",
        "not signed in",
    ),
    refused(
        variable("no such CODEX_HOME", &[("CODEX_HOME", "@DIR@/nope")]),
        "agent_home",
        "/nope",
    ),
    refused(
        file(
            "a repository's broken settings",
            &[("repo/.codex/config.toml", "x = [")],
        ),
        "agent_configuration",
        ".codex/config.toml",
    ),
    file("hooks that nobody reviewed", &[("codex/hooks.json", HOOK)]),
    Row {
        arguments: &["--dangerously-bypass-hook-trust"],
        ..file("slow and failing hooks", &[("codex/hooks.json", HOOK)])
    },
    tables(
        "hooks in TOML",
        "[[hooks.SessionStart]]\n[[hooks.SessionStart.hooks]]\ntype = \"command\"\ncommand = \"/bin/true\"",
    ),
    file("broken hooks", &[("codex/hooks.json", "{bad")]),
    variable(
        "no colours",
        &[("NO_COLOR", "1"), ("COLORTERM", "truecolor")],
    ),
    variable("the C locale", &[("LANG", "C"), ("LC_ALL", "C")]),
    variable(
        "a Japanese locale",
        &[("LANG", "ja_JP.UTF-8"), ("LC_ALL", "")],
    ),
    variable(
        "no such shell",
        &[("SHELL", "/nonexistent/fish"), ("EDITOR", "code -w")],
    ),
    variable(
        "a tmux of somebody's",
        &[("TMUX", "/tmp/x,1,0"), ("TMUX_PANE", "%9")],
    ),
    variable(
        "codex's own variables",
        &[
            ("RUST_LOG", "trace"),
            ("CODEX_SQLITE_HOME", "@DIR@/sqlite"),
            ("CODEX_MANAGED_BY_NPM", "1"),
        ],
    ),
    refused(
        file(
            "a shim without a version",
            &[(
                "wrapper",
                "#!/bin/sh\necho 'No version is set' >&2\nexit 126\n",
            )],
        ),
        "agent_unusable",
        "No version is set",
    ),
    file(
        "a wrapper that waits",
        &[(
            "wrapper",
            "#!/bin/sh\necho 'warning: old' >&2\n@CODEX@ \"$@\"\n",
        )],
    ),
];
