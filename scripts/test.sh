#!/usr/bin/env bash
# Installs what is missing, lints, builds every program and test at once, runs every test; ends with what each step took and
# what the tests said.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
log=$target/make-test.log

# The system's own interpreter: `make setup` installs its packages, not those of another one on the search path.
vectors() {
    /usr/bin/python3 card-applet-spec/spec/vectors/recompute.py --check &&
        /usr/bin/python3 card-applet-spec/spec/vectors/worked_example.py --check &&
        /usr/bin/python3 hardware-tests/independent/tap_reader.py --selftest
}

tests() {
    linted cargo test --workspace --no-fail-fast 2>&1 | tee "$log"
}

step "what is missing" scripts/setup.sh
scripts/lint.sh text
step "each crate alone" each_alone cargo build --quiet
# Programs too: tests start them as processes.
step "clippy and build: programs and tests" linted cargo build --workspace --all-targets
step "test vectors, recomputed in another language" vectors
step "Java Card: classes and their subset" scripts/javacard.sh
step "symbolic models" scripts/models.sh --if-present
status=0
step "tests" tests || status=$?

steps_table
awk '/^test result:/ { runs++; passed += $4; failed += $6; ignored += $8 }
     END { printf "test: %d passed, %d failed, %d ignored, in %d test programs\n", passed, failed, ignored, runs }' "$log"
grep -E '^test .* FAILED$' "$log" || true
grep -E '^test result:' "$log"
exit "$status"
