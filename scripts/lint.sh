#!/usr/bin/env bash
# Everything a machine can say about the text of the programs: formatting, lints, licences, sources, and that each crate
# stands alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

scripts_parse() {
    for script in scripts/*.sh .ci/run; do bash -n "$script" || return 1; done
}

# A check of the whole workspace unites the features that its crates ask for, and so hides a feature that one forgot.
each_alone() {
    for package in $(cargo tree --workspace --depth 0 --prefix none --quiet | awk 'NF { print $1 }' | sort -u); do
        cargo check --quiet --package "$package" || return 1
    done
}

step "formatting" cargo fmt --all --check
step "shell scripts parse" scripts_parse
step "clippy: all crates, programs and tests" cargo clippy --workspace --all-targets --quiet -- -D warnings
step "each crate alone" each_alone
step "licences, sources, banned crates" cargo deny --log-level error check bans licenses sources
steps_table
