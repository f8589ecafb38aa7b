//! The whole operator, from a task to its record, on the scripted agent and on the real codex.
//!
//! A scenario is one function on a [`rig::Rig`]; a macro makes a test of it for each agent that it runs on. What the model
//! says is written in the prompt (see the mock model), so both agents are driven by the same words. After each scenario the
//! rig is clean, or the test fails: see [`rig::Rig::assert_clean`].

mod rig;

/// Makes a test of each scenario on the scripted agent, on the newest codex and, thoroughly, on the older versions.
macro_rules! on_every_version {
    ($($name:ident),+ $(,)?) => { $(mod $name {
        use crate::rig::{Agent, on, on_thoroughly};

        #[test]
        fn scripted() {
            on(Agent::Scripted, super::$name);
        }

        #[test]
        fn codex_0_169() {
            on(Agent::Codex(testkit::agents::PINNED), super::$name);
        }

        #[test]
        fn thorough_codex_0_150() {
            on_thoroughly(Agent::Codex(testkit::agents::OLDER[0]), super::$name);
        }

        #[test]
        fn thorough_codex_0_130() {
            on_thoroughly(Agent::Codex(testkit::agents::OLDER[1]), super::$name);
        }
    })+ };
}

/// Makes a test of each scenario on the newest codex and, thoroughly, on the older versions.
macro_rules! on_every_codex {
    ($($name:ident),+ $(,)?) => { $(mod $name {
        use crate::rig::{Agent, on, on_thoroughly};

        #[test]
        fn codex_0_169() {
            on(Agent::Codex(testkit::agents::PINNED), super::$name);
        }

        #[test]
        fn thorough_codex_0_150() {
            on_thoroughly(Agent::Codex(testkit::agents::OLDER[0]), super::$name);
        }

        #[test]
        fn thorough_codex_0_130() {
            on_thoroughly(Agent::Codex(testkit::agents::OLDER[1]), super::$name);
        }
    })+ };
}

/// Makes a test of each scenario on the newest codex.
macro_rules! on_codex {
    ($($name:ident),+ $(,)?) => { $(mod $name {
        #[test]
        fn codex_0_169() {
            crate::rig::on(crate::rig::Agent::Codex(testkit::agents::PINNED), super::$name);
        }
    })+ };
}

/// Makes a test of each scenario on the scripted agent and, thoroughly, on the newest codex.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => { $(mod $name {
        use crate::rig::{Agent, on, on_thoroughly};

        #[test]
        fn scripted() {
            on(Agent::Scripted, super::$name);
        }

        #[test]
        fn thorough_codex_0_169() {
            on_thoroughly(Agent::Codex(testkit::agents::PINNED), super::$name);
        }
    })+ };
}

/// Makes a test of each scenario that only a script can bring about.
macro_rules! on_scripted {
    ($($name:ident),+ $(,)?) => { $(mod $name {
        #[test]
        fn scripted() {
            crate::rig::on(crate::rig::Agent::Scripted, super::$name);
        }
    })+ };
}

mod between;
mod changes;
mod configurations;
mod deadlines;
mod dialogs;
mod directory;
mod endings;
mod exotic;
mod failures;
mod fault_table;
mod forms;
mod ground;
mod hostile;
mod keeping;
mod kill;
mod left_at_work;
mod many;
mod permissions;
mod probe;
mod processes;
mod prompts;
mod questions;
mod refusals;
mod scale;
mod second_process;
mod secrets;
mod shapes;
mod soak;
mod telling;
mod user_hooks;
