#!/usr/bin/env bash
# Everything a machine can say about the text of the programs: formatting, lints, licences, sources, and that each crate
# stands alone.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'lint: %s\n' "$*" >&2; }

say "formatting"
cargo fmt --all --check
say "shell scripts parse"
for script in scripts/*.sh .ci/run; do bash -n "$script"; done
say "clippy, all crates with all their programs and tests"
cargo clippy --workspace --all-targets --quiet -- -D warnings
# A check of the whole workspace unites the features that its crates ask for, and so hides a feature that one forgot.
say "each crate alone"
for package in $(cargo tree --workspace --depth 0 --prefix none --quiet | awk 'NF { print $1 }' | sort -u); do
    cargo check --quiet --package "$package"
done
say "licences, sources, banned crates"
cargo deny --log-level error check bans licenses sources
