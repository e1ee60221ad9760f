#!/usr/bin/env bash
# Runs the fuzz targets for a given time and writes one line of figures for each run; ends with 1 when anything was found.
#
#   scripts/soak.sh [--seconds N] [--jobs N] [--build-only] [--merge] [TARGET ...]
#
#   --seconds  for each target (default 900: eleven targets are two hours and three quarters of fuzzing)
#   --jobs     targets at a time (default 2)
#   --merge    afterwards, minimises what was found into the committed files corpus/grown/TARGET.bin
#
# Needs the nightly toolchain and cargo-fuzz; says so when they are missing, installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'soak: %s\n' "$*" >&2; }
die() { say "$*"; exit 2; }

seconds=900 jobs=2 build_only='' merge='' targets=()
while (($#)); do
    case $1 in
        --seconds) seconds=$2; shift 2 ;;
        --jobs) jobs=$2; shift 2 ;;
        --build-only) build_only=yes; shift ;;
        --merge) merge=yes; shift ;;
        -*) die "unknown option $1; see the head of scripts/soak.sh" ;;
        *) targets+=("$1"); shift ;;
    esac
done

fuzz=card-applet-spec/fuzz
((${#targets[@]})) || targets=(tlv apdu objects certificates stranger insider reader shop updates files mandates)
for target in "${targets[@]}"; do
    [[ -f $fuzz/targets/fuzz_targets/$target.rs ]] || die "there is no target $target"
done
rustup run nightly rustc --version >/dev/null 2>&1 || die "no nightly toolchain: rustup toolchain install nightly"
command -v cargo-fuzz >/dev/null || die "no cargo-fuzz: cargo install --locked cargo-fuzz"

root=${CARGO_TARGET_DIR:-$PWD/target}
built=$root/soak
work=$root/soak-work
mkdir -p "$work"
figures=$work/figures.tsv
[[ -s $figures ]] || printf 'target\tdate\twall_s\tcpu_s\truns\truns_per_s\tedges\tfeatures\tcorpus\tcorpus_bytes\trss_mb\tfound\n' >"$figures"

# No address sanitizer: the crates under test forbid unsafe code, and without it three times as much is tried.
say "building"
# The versions of the whole repository: cargo takes what it needs from them and adds libfuzzer-sys.
cp Cargo.lock "$fuzz/targets/Cargo.lock"
cargo +nightly fuzz build --fuzz-dir "$fuzz/targets" --sanitizer none --target-dir "$built" >&2
programs=$built/$(rustc -vV | sed -n 's/^host: //p')/release
[[ -z $build_only ]] || exit 0

# A run goes on from what earlier ones kept.
for target in "${targets[@]}"; do
    if [[ -f $fuzz/corpus/grown/$target.bin && ! -d $work/corpus/$target ]]; then
        mkdir -p "$work/corpus/$target"
        cargo run --quiet --package card-fuzz --example grown -- unpack "$fuzz/corpus/grown/$target.bin" "$work/corpus/$target"
    fi
done

run_one() {
    local target=$1 log=$work/$1.log corpus=$work/corpus/$1 found=$work/found/$1 before after
    mkdir -p "$corpus" "$found"
    before=$(find "$found" -type f | wc -l)
    local TIMEFORMAT='cpu %U %S' status=0 start=$SECONDS
    { time nice -n 19 "$programs/$target" "$corpus" "$fuzz/corpus/$target" \
        -max_total_time="$seconds" -max_len=4096 -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/" >"$log" 2>&1; } 2>"$log.time" || status=$?
    after=$(find "$found" -type f | wc -l)
    local stat last
    stat() { sed -n "s/^stat::$1: *//p" "$log" | tail -1; }
    last=$(grep -E ' cov: [0-9]+ ft: ' "$log" | tail -1 || true)
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$target" "$(date -u +%Y-%m-%dT%H:%MZ)" "$((SECONDS - start))" \
        "$(awk '/^cpu /{print int($2 + $3)}' "$log.time")" "$(stat number_of_executed_units)" "$(stat average_exec_per_sec)" \
        "$(sed -E 's/.* cov: ([0-9]+).*/\1/' <<<"$last")" "$(sed -E 's/.* ft: ([0-9]+).*/\1/' <<<"$last")" \
        "$(find "$corpus" "$fuzz/corpus/$target" -type f | wc -l)" \
        "$(find "$corpus" "$fuzz/corpus/$target" -type f -printf '%s\n' | awk '{ s += $1 } END { print s + 0 }')" \
        "$(stat peak_rss_mb)" "$((after - before))" >>"$figures"
    if ((status)); then
        say "$target ended with $status: see $log and $found"
    fi
    return "$status"
}

failed=0
for target in "${targets[@]}"; do
    while (($(jobs -rp | wc -l) >= jobs)); do wait -n || failed=1; done
    say "$target for $seconds s"
    run_one "$target" &
done
while (($(jobs -rp | wc -l))); do wait -n || failed=1; done

if [[ -n $merge ]]; then
    mkdir -p "$fuzz/corpus/grown"
    for target in "${targets[@]}"; do
        say "minimising $target"
        small=$work/small/$target
        rm -rf "$small" && mkdir -p "$small"
        # Short inputs only: they say the same in less.
        "$programs/$target" -merge=1 -max_len=512 "$small" "$work/corpus/$target" >"$work/$target.merge.log" 2>&1
        find "$small" -type f -size +1 -delete
        cargo run --quiet --package card-fuzz --example grown -- pack "$small" "$fuzz/corpus/grown/$target.bin"
    done
fi

column -t -s $'\t' "$figures" >&2
exit "$failed"
