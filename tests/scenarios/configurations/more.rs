//! Further rows of the table: what surrounds the agent, and settings that seldom are set.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::symlink;
use std::path::Path;

use super::Ends::Died;
use super::Row;
use super::rows::{MOCK, argument, file, refused, tables, top, variable};

/// A `config.toml` in which one text stands for another.
fn replace(config: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(config).expect("text");
    assert!(text.contains(from), "{from} in {text}");
    fs::write(config, text.replace(from, to)).expect("written");
}

/// So many lines of a file of that name beside `config.toml`.
fn fill(config: &Path, name: &str, line: &str, lines: usize) {
    let file = File::create(config.with_file_name(name)).expect("made");
    let mut file = BufWriter::new(file);
    for _ in 0..lines {
        writeln!(file, "{line}").expect("written");
    }
    file.flush().expect("written");
}

const fn died(row: Row, says: &'static str) -> Row {
    Row {
        ends: Died(says),
        ..row
    }
}

const LOUD_PROFILE: &str = "echo welcome\nexport PS1='$ '\nset -o noclobber\n";

pub(super) const ROWS: &[Row] = &[
    // The directories around it.
    Row {
        change: |config| {
            let home = config.parent().expect("a directory");
            symlink(home, home.with_file_name("my cödex")).expect("a link");
        },
        ..variable("a linked CODEX_HOME", &[("CODEX_HOME", "@DIR@/my cödex/")])
    },
    Row {
        change: |config| {
            let text = format!(
                "{{\"session_id\":\"{}\",\"ts\":1,\"text\":\"{}\"}}",
                "019a0000-0000-7000-8000-000000000000",
                "word ".repeat(40)
            );
            fill(config, "history.jsonl", &text, 100_000);
        },
        ..top("a huge history", "")
    },
    variable("no home", &[("HOME", "")]),
    variable("no such home", &[("HOME", "/nonexistent/home")]),
    variable("a home that is a file", &[("HOME", "/dev/null")]),
    variable(
        "no such directories",
        &[
            ("XDG_CONFIG_HOME", "/nonexistent/config"),
            ("XDG_CACHE_HOME", "/dev/null"),
        ],
    ),
    Row {
        environment: &[("SHELL", "/bin/bash"), ("BASH_ENV", "@DIR@/home/.bashrc")],
        ..file(
            "a shell that talks",
            &[
                ("home/.bash_profile", LOUD_PROFILE),
                ("home/.bashrc", LOUD_PROFILE),
                ("home/.profile", LOUD_PROFILE),
            ],
        )
    },
    // The terminal and the languages.
    variable("a dumb terminal", &[("TERM", "dumb")]),
    variable("no such terminal", &[("TERM", "fancy-9000")]),
    variable("a narrow terminal", &[("COLUMNS", "20"), ("LINES", "5")]),
    variable(
        "a locale that isn't UTF-8",
        &[
            ("LANG", "de_DE.ISO-8859-1"),
            ("LC_ALL", "POSIX"),
            ("LC_CTYPE", "POSIX"),
        ],
    ),
    variable(
        "an editor's terminal",
        &[
            ("TERM_PROGRAM", "vscode"),
            ("VSCODE_IPC_HOOK_CLI", "/tmp/none"),
            ("WT_SESSION", "1"),
        ],
    ),
    // The network.
    variable(
        "a proxy",
        &[
            ("HTTP_PROXY", "http://127.0.0.1:9"),
            ("https_proxy", "http://127.0.0.1:9"),
            ("NO_PROXY", "127.0.0.1,localhost"),
        ],
    ),
    variable(
        "another place for OpenAI",
        &[
            ("OPENAI_BASE_URL", "http://127.0.0.1:9"),
            ("OPENAI_ORGANIZATION", "org"),
        ],
    ),
    // What the environment says to codex, to git and to its own log.
    variable(
        "a log that nobody can read",
        &[("RUST_LOG", "]=["), ("RUST_BACKTRACE", "full")],
    ),
    variable(
        "codex inside codex",
        &[
            ("CODEX_SANDBOX", "seatbelt"),
            ("CODEX_SANDBOX_NETWORK_DISABLED", "1"),
            ("CODEX_CI", "1"),
            ("CODEX_THREAD_ID", "019a0000-0000-7000-8000-000000000000"),
        ],
    ),
    variable(
        "a repository by variables",
        &[
            ("GIT_DIR", "/nonexistent/.git"),
            ("GIT_INDEX_FILE", "/nonexistent/index"),
        ],
    ),
    // Tools, servers, notifications.
    top("a notify that hangs", "notify = [\"/bin/sleep\", \"1000\"]"),
    tables(
        "a server that hangs",
        "[mcp_servers.a]\ncommand = \"/bin/sleep\"\nargs = [\"1000\"]\nstartup_timeout_sec = 600",
    ),
    died(
        tables(
            "a server that is required",
            "[mcp_servers.a]\ncommand = \"/nonexistent/x\"\nrequired = true",
        ),
        "required",
    ),
    tables(
        "a server elsewhere",
        "[mcp_servers.a]\nurl = \"http://127.0.0.1:9/mcp\"\nstartup_timeout_sec = 2",
    ),
    tables(
        "a server that is turned off",
        "[mcp_servers.a]\ncommand = \"/nonexistent/x\"\nenabled = false\nrequired = true",
    ),
    top("a search of the web", "web_search = \"live\""),
    // Who may do what.
    top(
        "granular approvals",
        "approval_policy = { granular = { sandbox_approval = true, rules = false, mcp_elicitations = true } }",
    ),
    tables(
        "no variables for commands",
        "[shell_environment_policy]\ninherit = \"none\"\nset = { PATH = \"/usr/bin:/bin\" }",
    ),
    tables(
        "a wider sandbox",
        "[sandbox_workspace_write]\nnetwork_access = true\nwritable_roots = [\"/var/tmp\"]\nexclude_slash_tmp = true",
    ),
    tables(
        "a folder that isn't trusted",
        "[projects.\"@DIR@/repo\"]\ntrust_level = \"untrusted\"",
    ),
    file(
        "managed settings",
        &[(
            "codex/managed_config.toml",
            "[features]\nhooks = false\n[tui]\nstatus_line = []\n",
        )],
    ),
    file(
        "requirements in the wrong place",
        &[(
            "codex/requirements.toml",
            "allowed_sandbox_modes = [\"read-only\"]\n",
        )],
    ),
    // Looks.
    top(
        "links",
        "file_opener = \"vscode-insiders\"\nshow_raw_agent_reasoning = true",
    ),
    tables(
        "the alternate screen always",
        "[tui]\nalternate_screen = \"always\"",
    ),
    tables(
        "sounds",
        "[tui]\nnotifications = [\"agent-turn-complete\", \"approval-requested\"]\nnotification_method = \"bel\"\nnotification_condition = \"always\"",
    ),
    tables(
        "every key another",
        "[tui.keymap.global]\nopen_transcript = \"f12\"\n[tui.keymap.approval]\napprove = \"ctrl-y\"",
    ),
    // Instructions and models.
    Row {
        change: |config| {
            fill(
                config,
                "AGENTS.md",
                "Always be brief, and never be long.",
                20_000,
            );
        },
        ..top("huge instructions", "project_doc_max_bytes = 2000000")
    },
    top(
        "no instructions",
        "project_doc_max_bytes = 0\nproject_root_markers = []",
    ),
    top(
        "a model that nobody knows",
        "review_model = \"x\"\nmodel_context_window = 900000\nmodel_auto_compact_token_limit = 800000",
    ),
    Row {
        change: |config| replace(config, "model = \"gpt-5.5\"", "model = \"my-own-model\""),
        ..top("a model of one's own", "")
    },
    Row {
        change: |config| replace(config, "wire_api = \"responses\"", "wire_api = \"chat\""),
        ..refused(
            top("a protocol of old", ""),
            "agent_configuration",
            "wire_api",
        )
    },
    refused(
        top("no such effort", "model_reasoning_effort = 7"),
        "agent_configuration",
        "model_reasoning_effort",
    ),
    Row {
        mock: false,
        ..top(
            "a provider in a comment",
            "# model_provider = \"nope\"\nmodel_provider = \"mock\"",
        )
    },
    Row {
        mock: false,
        profile: Some("deep"),
        files: &[("codex/deep.config.toml", MOCK)],
        ..tables(
            "a profile beside a server",
            "[mcp_servers.a]\ncommand = \"/bin/false\"",
        )
    },
    // Hooks of others.
    file(
        "hooks of the repository",
        &[(
            "repo/.codex/hooks.json",
            r#"{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"/bin/false"}]}]}}"#,
        )],
    ),
    file(
        "hooks in the repository's settings",
        &[(
            "repo/.codex/config.toml",
            "[[hooks.UserPromptSubmit]]\nhooks = [{ type = \"command\", command = \"/bin/false\" }]\n",
        )],
    ),
    file(
        "rules of the user's",
        &[(
            "codex/rules/default.rules",
            "prefix_rule(pattern=[\"touch\"], decision=\"allow\")\n",
        )],
    ),
    // Arguments of the caller's.
    argument("no alternate screen, by argument", &["--no-alt-screen"]),
    argument(
        "another sandbox, by argument",
        &["-c", "sandbox_mode=\"danger-full-access\""],
    ),
    refused(
        argument("goals, by argument", &["--enable", "goals"]),
        "agent_restricted",
        "features.goals",
    ),
    Row {
        profile: Some("goals"),
        ..file(
            "goals, by a profile",
            &[(
                "codex/goals.config.toml",
                "[features]\ngoals = true\n[history]\npersistence = \"save-all\"\n",
            )],
        )
    },
    died(
        argument(
            "no server on this machine",
            &["--oss", "--local-provider", "ollama"],
        ),
        "No running Ollama server",
    ),
    Row {
        of_terminal: true,
        ..died(
            tables(
                "two meanings of a key",
                "[tui.keymap.pager]\nclose = \"enter\"",
            ),
            "tui.keymap.pager",
        )
    },
    // Wrappers.
    file(
        "a wrapper that starts anew",
        &[(
            "wrapper",
            "#!/bin/sh\ntest -z \"$AGAIN\" && AGAIN=1 exec \"$0\" \"$@\"\nprintf '\\033[1mcodex\\033[0m by us\\n' >&2\ncd /tmp && exec env LC_ALL=C @CODEX@ \"$@\"\n",
        )],
    ),
    file(
        "a wrapper that tells of another version",
        &[(
            "wrapper",
            "#!/bin/sh\ntest \"$1\" = --version && echo 'codex-cli 0.168.0' && exit\nexec @CODEX@ \"$@\"\n",
        )],
    ),
    file(
        "a wrapper with settings of its own",
        &[(
            "wrapper",
            "#!/bin/sh\nexec @CODEX@ -c tui.status_line='[]' -c features.hooks=false \"$@\"\n",
        )],
    ),
];
