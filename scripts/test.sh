#!/usr/bin/env bash
# Builds every program, then runs every test; the last lines are cargo's own.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'test: %s\n' "$*" >&2; }

target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
log=$target/make-test.log

say "programs (tests start them as processes)"
cargo build --workspace --bins
say "test vectors, recomputed by a second implementation in another language"
# The system's own interpreter: `make setup` installs its packages, not those of another one on the search path.
/usr/bin/python3 card-applet-spec/spec/vectors/recompute.py --check
/usr/bin/python3 card-applet-spec/spec/vectors/worked_example.py --check
/usr/bin/python3 hardware-tests/independent/tap_reader.py --selftest
say "symbolic models"
scripts/models.sh --if-present
say "tests"
status=0
cargo test --workspace --no-fail-fast 2>&1 | tee "$log" || status=$?

awk '/^test result:/ { runs++; passed += $4; failed += $6; ignored += $8 }
     END { printf "test: %d passed, %d failed, %d ignored, in %d test programs\n", passed, failed, ignored, runs }' "$log"
grep -E '^test .* FAILED$' "$log" || true
grep -E '^test result:' "$log"
exit "$status"
