#!/usr/bin/env bash
# Everything a machine can say about the text of the programs: formatting, lints, licences, sources, and that each crate
# stands alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

scripts_parse() {
    for script in scripts/*.sh .ci/run; do bash -n "$script" || return 1; done
}

# Package, and the features that it is built with: one a line. What counts a card's work is left out.
features() {
    cargo tree --offline --no-dedupe --prefix none --format '{p}|{f}' "$@" |
        sed -E 's/ \((\*|proc-macro|\/[^)]*)\)//g; s/\|(meter|taptime)$/|/; s/,meter//' | sort -u
}

# Cargo unites the features that the crates of one build ask for, so a check of everything hides a feature that one crate
# forgot. A crate that, built alone, has itself and every dependency of its own with the features that they have among the
# others, was checked with them; the rest is checked again by itself. The workspace's Cargo.toml states features for all, to
# keep the rest small. The two crates that can count a card's work do not by default, and are checked so.
each_alone() {
    local together package alone=(card-host virtual-card)
    together=$(mktemp)
    features --workspace --edges normal,build,dev >"$together" || return 1
    for package in $(cargo tree --offline --workspace --depth 0 --prefix none | awk 'NF { print $1 }' | sort -u); do
        [[ -z $(features --package "$package" --edges normal,build --depth 1 | comm -23 - "$together") ]] || alone+=("$package")
    done
    rm -f "$together"
    for package in "${alone[@]}"; do
        cargo clippy --quiet --package "$package" -- -D warnings || return 1
    done
}

step "formatting" cargo fmt --all --check
step "shell scripts parse" scripts_parse
step "clippy: all crates, programs and tests" cargo clippy --workspace --all-targets --quiet -- -D warnings
step "each crate alone" each_alone
step "licences, sources, banned crates" cargo deny --log-level error check bans licenses sources
steps_table
