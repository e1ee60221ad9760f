#!/usr/bin/env bash
# Counts what the card computes, models it on measured cards, and writes the tables and drawings of docs/taptime.md again.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --package virtual-card --features taptime
program=${CARGO_TARGET_DIR:-target}/debug/virtual-card
tables=$(mktemp)
page=$(mktemp)
trap 'rm -f "$tables" "$page"' EXIT
"$program" taptime --svg docs/images/taptime.svg --svg-rates docs/images/taptime-rates.svg >"$tables"
# The tables stand between two marks; what is around them is written by people.
awk -v tables="$tables" '
    /^<!-- tables: end -->$/ { inside = 0 }
    !inside { print }
    /^<!-- tables: begin/ {
        inside = 1
        print "```text"
        while ((getline line < tables) > 0) print line
        print "```"
    }' docs/taptime.md >"$page"
cat "$page" >docs/taptime.md
printf 'taptime: docs/taptime.md, docs/images/taptime.svg, docs/images/taptime-rates.svg\n' >&2
