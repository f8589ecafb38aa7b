//! The whole operator, from a task to its record, on the scripted agent and on the real codex.
//!
//! A scenario is one function on a [`rig::Rig`]; a macro makes a test of it for each agent that it runs on. What the model
//! says is written in the prompt (see the mock model), so both agents are driven by the same words. After each scenario the
//! rig is clean, or the test fails: see [`rig::Rig::assert_clean`].

mod rig;

/// Makes a test of a scenario for each agent: the test's name, how much it is played, and the agent.
macro_rules! tests_of {
    ($scenario:ident: $($test:ident $how:ident $agent:expr;)+) => { mod $scenario {
        use crate::rig::Agent::*;

        $(#[test]
        fn $test() {
            crate::rig::$how($agent, super::$scenario);
        })+
    } };
}

/// Makes a test of each scenario on the scripted agent, on the newest codex and Claude Code and, thoroughly, on older versions.
macro_rules! on_every_version {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        scripted on Scripted;
        codex_0_169 on Codex(testkit::agents::PINNED);
        requests_0_169 on Requests(testkit::agents::PINNED);
        thorough_codex_0_150 on_thoroughly Codex(testkit::agents::OLDER[0]);
        thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
        thorough_codex_0_130 on_thoroughly Codex(testkit::agents::OLDER[1]);
        claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
        thorough_claude_2_1_197 on_thoroughly Claude(testkit::agents::OLDER_CLAUDE);
    })+ };
}

/// Makes a test of each scenario on the newest codex and, thoroughly, on the older versions.
macro_rules! on_every_codex {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        codex_0_169 on Codex(testkit::agents::PINNED);
        requests_0_169 on Requests(testkit::agents::PINNED);
        thorough_codex_0_150 on_thoroughly Codex(testkit::agents::OLDER[0]);
        thorough_requests_0_150 on_thoroughly Requests(testkit::agents::OLDER[0]);
        thorough_codex_0_130 on_thoroughly Codex(testkit::agents::OLDER[1]);
    })+ };
}

/// Makes a test of each scenario on the newest codex.
macro_rules! on_codex {
    ($($name:ident),+ $(,)?) => {
        $(tests_of! { $name:
            codex_0_169 on Codex(testkit::agents::PINNED);
            requests_0_169 on Requests(testkit::agents::PINNED);
    })+
    };
}

/// Makes a test of each scenario on the scripted agent, on Claude Code and, thoroughly, on the newest codex by keys.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        scripted on Scripted;
        thorough_codex_0_169 on_thoroughly Codex(testkit::agents::PINNED);
        requests_0_169 on Requests(testkit::agents::PINNED);
        claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
    })+ };
}

/// As [`on_every_version`], [`on_every_codex`], [`on_codex`] and [`on_both`]: of scenarios about the terminal.
macro_rules! on_every_terminal {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        scripted on Scripted;
        codex_0_169 on Codex(testkit::agents::PINNED);
        thorough_codex_0_150 on_thoroughly Codex(testkit::agents::OLDER[0]);
        thorough_codex_0_130 on_thoroughly Codex(testkit::agents::OLDER[1]);
    })+ };
}
macro_rules! on_every_real_terminal {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        codex_0_169 on Codex(testkit::agents::PINNED);
        thorough_codex_0_150 on_thoroughly Codex(testkit::agents::OLDER[0]);
        thorough_codex_0_130 on_thoroughly Codex(testkit::agents::OLDER[1]);
    })+ };
}
macro_rules! on_real_terminal {
    ($($name:ident),+ $(,)?) => {
        $(tests_of! { $name: codex_0_169 on Codex(testkit::agents::PINNED); })+
    };
}
macro_rules! on_both_terminals {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        scripted on Scripted;
        thorough_codex_0_169 on_thoroughly Codex(testkit::agents::PINNED);
    })+ };
}

/// Makes a test of each scenario on the program of every executor.
macro_rules! on_every_executor {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        scripted on Plain;
        codex_0_169 on Codex(testkit::agents::PINNED);
        requests_0_169 on Requests(testkit::agents::PINNED);
        claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
        claude_2_1_197 on Claude(testkit::agents::OLDER_CLAUDE);
    })+ };
}

/// Makes a test of each scenario on the headless programs, and thoroughly on their older versions.
macro_rules! on_headless {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        exec_0_169 on Exec(testkit::agents::PINNED);
        thorough_exec_0_150 on_thoroughly Exec(testkit::agents::OLDER[0]);
        print_2_1_332 on Print(testkit::agents::PINNED_CLAUDE);
        thorough_print_2_1_197 on_thoroughly Print(testkit::agents::OLDER_CLAUDE);
    })+ };
}

/// Makes a test of each scenario on the headless Claude Code.
macro_rules! on_claude_print {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        print_2_1_332 on Print(testkit::agents::PINNED_CLAUDE);
    })+ };
}

/// Makes a test of each scenario on the newest Claude Code, or on the oldest one too.
macro_rules! on_claude {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
    })+ };
}
macro_rules! on_every_claude {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name:
        claude_2_1_332 on Claude(testkit::agents::PINNED_CLAUDE);
        claude_2_1_197 on Claude(testkit::agents::OLDER_CLAUDE);
    })+ };
}

/// Makes a test of each scenario that only a script can bring about.
macro_rules! on_scripted {
    ($($name:ident),+ $(,)?) => { $(tests_of! { $name: scripted on Scripted; })+ };
}

mod between;
mod budget;
mod changes;
mod claude;
mod configurations;
mod connections;
mod continuing;
mod deadlines;
mod detached;
mod dialogs;
mod directory;
mod endings;
mod executors;
mod exotic;
mod failures;
mod fault_table;
mod forms;
mod ground;
mod headless;
mod hostile;
mod keeping;
mod kill;
mod left_at_work;
mod many;
mod mcp;
mod notifications;
mod onlookers;
mod parents;
mod permissions;
mod policies;
mod probe;
mod processes;
mod prompts;
mod questions;
mod refusals;
mod requests;
mod scale;
mod second_process;
mod secrets;
mod shapes;
mod soak;
mod steering;
mod stories;
mod telling;
mod user_hooks;
