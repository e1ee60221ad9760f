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
