# Shorter names for what CONTRIBUTING.md tells. https://just.systems

# Lists the recipes.
default:
    @just --list

# Everything that must hold before a change goes in, or only these stages.
gate *STAGES:
    .ci/run {{ STAGES }}

# What is quick: format, lints, unit tests, docs.
check:
    .ci/run fmt clippy
    cargo test --quiet --lib
    cargo test --quiet --test docs

# All tests, or those whose names contain NAME.
test *NAME:
    cargo test {{ NAME }}

# One scenario, on the agents that it is for.
scenario NAME:
    CX_REQUIRE_REAL_AGENTS=1 cargo test --test scenarios -- {{ NAME }}

# The large tables, of which `test` plays a sample.
tables:
    .ci/run tables

# One delegation, step by step.
demo *ARGS:
    cargo run --example demo -- {{ ARGS }}

# RUNS tasks that are disturbed at random.
soak RUNS="1000":
    cargo run --release --example soak -- {{ RUNS }}

# A million cases for each reader of untrusted input.
fuzz CASES="1000000":
    .ci/fuzz {{ CASES }}

# All benchmarks, or one.
bench *NAME:
    cargo bench {{ if NAME == "" { "" } else { "--bench " + NAME } }}

# The public items of the library, into api.txt.
api:
    .ci/api --write

# Misspelt words (https://github.com/crate-ci/typos).
typos:
    typos
