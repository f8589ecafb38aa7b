//! The parts that the tests, the benches and the examples of cx-operator share. Never published.
//!
//! | part | what it is for |
//! |---|---|
//! | [`World`](world::World) | a home, a state directory, a repository and a tmux socket, below one temporary directory |
//! | [`git`](git::git) | the git program with an identity and without the user's configuration |
//! | [`wait_for`](wait::wait_for) | presence, with a limit |
//! | [`MockModel`](mock_model::MockModel) | the model behind the real codex, on loopback |
//! | [`agents`] | the real codex programs, installed at fixed versions |
//! | [`McpClient`](mcp_client::McpClient) | a client of the MCP server that speaks plain JSON-RPC |
//! | [`inventory`] | what runs left that should be gone |
//! | [`processes`] | the processes that name a directory |
//! | [`built`] | the programs that cargo built beside the running test |
//! | [`alone`] | tests that load the machine, or measure their own process |
//! | [`schemas`] | the documents of the programs, held to their schemas |
//! | [`size`] | a sample of a table, or all of it |
//! | [`crowd`] | many runs at once |
//! | [`Terminal`](terminal::Terminal) | a terminal of a person's own, with a program in it |
//! | [`soak`] | many runs, disturbed at random |

pub mod agents;
pub mod alone;
pub mod built;
pub mod crowd;
pub mod git;
pub mod inventory;
pub mod mcp_client;
pub mod mock_model;
pub mod processes;
pub mod random;
pub mod schemas;
pub mod size;
pub mod soak;
pub mod terminal;
pub mod wait;
pub mod world;
