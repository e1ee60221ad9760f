# Sourced by scripts that do their work in steps: each is announced, and a table at the end says what each took, in seconds
# by the clock and in CPU seconds of everything that it started.
#
#   step NAME COMMAND...   runs a step; the script ends with the first that fails. Inside a function that is a step, `set -e`
#                          does not hold: join its commands with && or return
#   steps_table            prints the table; a script that another one runs leaves that to it

if [[ -z ${STEPS_FILE:-} ]]; then
    STEPS_FILE=$(mktemp)
    export STEPS_FILE
    STEPS_OURS=yes
    trap 'rm -f "$STEPS_FILE" "$STEPS_FILE".times' EXIT
fi

# CPU milliseconds of all ended children of this shell; `times` must not run in a child.
steps_cpu() {
    times >"$STEPS_FILE.times"
    STEPS_CPU=$(sed -n 2p "$STEPS_FILE.times" | tr 'ms' '  ' | awk '{ printf "%d", 1000 * (60 * $1 + $2 + 60 * $3 + $4) }')
}

step() {
    local name=$1 status=0 began=${EPOCHREALTIME/./} cpu
    shift
    printf '%s: %s\n' "$(basename "$0" .sh)" "$name" >&2
    steps_cpu
    cpu=$STEPS_CPU
    "$@" || status=$?
    steps_cpu
    printf '%s|%d|%d\n' "$name" $(((${EPOCHREALTIME/./} - began) / 1000)) $((STEPS_CPU - cpu)) >>"$STEPS_FILE"
    return "$status"
}

steps_table() {
    [[ -n ${STEPS_OURS:-} ]] || return 0
    awk -F'|' '
        { printf "  %-42s %7.1f %7.1f\n", $1, $2 / 1000, $3 / 1000; wall += $2; cpu += $3 }
        BEGIN { printf "  %-42s %7s %7s\n", "step", "s", "CPU s" }
        END { printf "  %-42s %7.1f %7.1f\n", "together", wall / 1000, cpu / 1000 }' "$STEPS_FILE" >&2
}

# Runs a command of cargo that compiles this workspace with clippy's lints, each an error: the driver of clippy is the compiler
# with more lints. So one pass lints and builds, where `cargo clippy` beside a build reads everything twice.
linted() {
    RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__ "$@"
}

# Package, and the features that it is built with: one a line. What counts a card's work is left out.
features() {
    cargo tree --offline --no-dedupe --prefix none --format '{p}|{f}' "$@" |
        sed -E 's/ \((\*|proc-macro|\/[^)]*)\)//g; s/\|(meter|taptime)$/|/; s/,meter//' | sort -u
}

# Cargo unites the features that the crates of one build ask for, so a build of everything hides a feature that one crate
# forgot. A crate that, built alone, has itself and every dependency of its own with the features that they have among the
# others, was seen with them; the rest is compiled again by itself, by the command that is given. The workspace's Cargo.toml
# states features for all, to keep the rest small. The two crates that can count a card's work do not by default, and are
# seen so.
each_alone() {
    local together package alone=(card-host virtual-card)
    together=$(mktemp)
    features --workspace --edges normal,build,dev >"$together" || return 1
    for package in $(cargo tree --offline --workspace --depth 0 --prefix none | awk 'NF { print $1 }' | sort -u); do
        [[ -z $(features --package "$package" --edges normal,build --depth 1 | comm -23 - "$together") ]] || alone+=("$package")
    done
    rm -f "$together"
    for package in "${alone[@]}"; do
        linted "$@" --package "$package" || return 1
    done
}
