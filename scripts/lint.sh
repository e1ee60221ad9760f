#!/usr/bin/env bash
# Everything a machine can say about the text of the programs: formatting, lints, licences, sources, and that each crate
# stands alone.
#
#     scripts/lint.sh          all of it
#     scripts/lint.sh text     what needs no compiler: `make test` has the rest from its build
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

scripts_parse() {
    for script in scripts/*.sh .ci/run; do bash -n "$script" || return 1; done
}

step "formatting" cargo fmt --all --check
step "shell scripts parse" scripts_parse
step "licences, sources, banned crates" cargo deny --log-level error check bans licenses sources
if [[ ${1:-} != text ]]; then
    step "clippy: all crates, programs and tests" linted cargo check --workspace --all-targets --quiet
    step "each crate alone" each_alone cargo check --quiet
fi
steps_table
