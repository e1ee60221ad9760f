#!/usr/bin/env bash
# Software of other people against the card and the API, which is no part of `make test`: installs what is missing, runs it
# within bounds, ends with 1 when anything is wrong. What it found, and when: docs/e2e.md.
#
#   YZT_E2E_EXAMPLES   requests that schemathesis makes up for each operation and role (default 25)
#   YZT_E2E_SEED       where its random source begins (default 1)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

examples=${YZT_E2E_EXAMPLES:-25}
seed=${YZT_E2E_SEED:-1}
document=$PWD/issuer/openapi.json
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
place=$target/e2e
# Pinned: another version is another test.
yubikit=yubikey-manager==5.9.2
schemathesis=schemathesis==4.32.5
mkdir -p "$place"

python_packages() {
    [[ -f $place/installed && $(<"$place/installed") = "$yubikit $schemathesis" ]] && return 0
    rm -rf "$place/python" "$place/venv" "$place/installed"
    /usr/bin/python3 -m venv "$place/venv" &&
        "$place/venv/bin/pip" install --quiet --no-deps --target "$place/python" "$yubikit" &&
        "$place/venv/bin/pip" install --quiet "$schemathesis" &&
        printf '%s' "$yubikit $schemathesis" >"$place/installed"
}

# A clerk's browser at the pages of the town, by keyboard alone; its pictures stay in the target folder.
browser() {
    local counter photo=$PWD/photo-store/samples/astronaut.png walk=$PWD/issuer/web/browser/walk.mjs
    counter=$(sed -n 's/.*"counter":"\([^"]*\)".*/\1/p' "$folder/up.json") &&
        (cd "$target/node" && node "$walk" --counter "$counter" --photo "$photo" --pictures "$place/screens")
}

foreign_card() {
    YZT_FOREIGN=$place/python cargo test --package hardware-tests --test it -- foreign:: --ignored --nocapture
}

# A town with a vault, a photo store, staff of every role and one permit in use; the program `issuer` serves the API beside it.
town() {
    folder=$(mktemp -d)
    trap 'kill "${served:-}" "${town:-}" 2>/dev/null || true; wait; rm -rf "$folder" "$STEPS_FILE" "$STEPS_FILE".times' EXIT
    "$target/debug/permit" up --dir "$folder/town" --no-pcsc --json >"$folder/up.json" 2>"$folder/up.log" &
    town=$!
    until_said "$folder/up.json" '"ok":true' || return 1
    # The first of its commands lead to a card in its holder's hand.
    /usr/bin/python3 -c 'import json, sys; print("\0".join(json.load(sys.stdin)["commands"]), end="\0")' <"$folder/up.json" |
        while IFS= read -r -d '' block; do bash -c "$block" >>"$folder/walk.log" 2>&1 || return 1; done || {
        cat "$folder/walk.log" >&2
        return 1
    }
    sed 's/^listen.*/listen = "127.0.0.1:0"/' "$folder/town/issuer/issuer.toml" >"$folder/town/issuer/e2e.toml"
    RUST_LOG=info "$target/debug/issuer" serve --dir "$folder/town/issuer" --config "$folder/town/issuer/e2e.toml" 2>"$folder/serve.log" &
    served=$!
    until_said "$folder/serve.log" 'http://' || return 1
    url=$(sed -n 's/.*\(http:[^ ]*\).*/\1/p' "$folder/serve.log" | head -1)
    others && settings
}

# Another applicant: an application that was withdrawn, with its photo, and one that is open.
others() {
    local applicant=@issuer/permit/samples/applicant-refused.json photo=@photo-store/samples/astronaut.png
    withdrawn=$(asked /v1/applications filed application/json "$applicant" application_id) &&
        seen=$(asked "/v1/applications/$withdrawn/photos" seen image/png "$photo" photo_id) &&
        asked "/v1/applications/$withdrawn/withdrawal" withdrawn application/json '' application_id >/dev/null &&
        opened=$(asked /v1/applications filed-again application/json "$applicant" application_id)
}

# PATH, KEY, TYPE, BODY: what the intake clerk posts; gives the id NAME of the answer.
asked() {
    local path=$1 key=$2 kind=$3 body=$4 name=$5 token answer
    token=$(<"$folder/town/issuer/clerk.lin.token")
    answer=$(curl --silent --show-error --fail-with-body --header "Authorization: Bearer $token" --header "Content-Type: $kind" \
        --header "Idempotency-Key: of-e2e-$key" --data-binary "$body" "$url$path") || {
        printf 'e2e: %s: %s\n' "$path" "$answer" >&2
        return 1
    }
    sed -n "s/.*\"$name\":\"\([0-9a-f-]*\)\".*/\1/p" <<<"$answer"
}

# Every second id is one that is there.
settings() {
    . "$folder/town/answers"
    cat >"$folder/schemathesis.toml" <<END
[dictionaries.ids]
values = ["$APPLICATION_ID", "$PERMIT_ID", "$ORDER_ID", "$withdrawn", "$opened"]
[dictionaries.photos]
values = ["$PHOTO_ID", "$seen"]
[dictionaries.photographed]
values = ["$APPLICATION_ID", "$withdrawn"]
[parameters]
"path.id" = { dictionary = "ids", probability = 0.5 }
"path.photo" = { dictionary = "photos", probability = 0.5 }
[[operations]]
include-path-regex = "/photos/"
parameters = { "path.id" = { dictionary = "photographed", probability = 0.9 }, "path.photo" = { dictionary = "photos", probability = 0.9 } }
# A form is checked for more than a schema can say, and what a role may not do is refused whatever it sends.
[checks]
positive_data_acceptance.enabled = false
[warnings]
enabled = false
END
}

until_said() {
    for _ in $(seq 600); do
        grep -q "$2" "$1" && return 0
        sleep 0.1
    done
    printf 'e2e: nothing was said in %s\n' "$1" >&2
    return 1
}

# The requests of one member of staff, by the document of the API alone; then what the office answered, by its own log.
requests_of() {
    local account=$1 token before answers
    # Every role reads a permit. A token that opened nothing would make every request right.
    token=$(<"$folder/town/issuer/$account.token")
    curl --silent --show-error --fail --output /dev/null --header "Authorization: Bearer $token" "$url/v1/permits/$PERMIT_ID" || return 1
    before=$(wc -l <"$folder/serve.log")
    # In the town's folder: it keeps what it learnt in a folder beside it, and every run is to be the first.
    (cd "$folder" && exec "$place/venv/bin/schemathesis" --config-file schemathesis.toml run "$document" --url "$url" \
        --header "Authorization: Bearer $token" \
        --max-examples "$examples" --seed "$seed" --workers 2 --no-color >"$place/$account.txt" 2>&1) || {
        cat "$place/$account.txt" >&2
        return 1
    }
    answers=$(tail -n +$((before + 1)) "$folder/serve.log" | sed -n 's/.*"route":"\([^"]*\)","status":\([0-9]*\).*/\2 \1/p')
    awk '{ count[$1]++ } END { for (status in count) printf " %d of %s", count[status], status }' <<<"$answers" >"$place/$account.answers"
    printf 'e2e: answers:%s\n' "$(<"$place/$account.answers")" >&2
}

step "what is missing" scripts/setup.sh e2e
step "packages of Python" python_packages
step "build" cargo build --quiet --bins --package permit --package keyvault --package photo-store --package issuer --package virtual-card
status=0
step "yubikit and OpenSC on the card" foreign_card || status=1
step "a town and its API" town
step "a card issued in a browser" browser || status=1
for file in "$folder"/town/issuer/*.token; do
    account=$(basename "$file" .token)
    step "schemathesis as $account" requests_of "$account" || status=1
done
step "the API is still there" curl --silent --show-error --fail --output /dev/null "$url/healthz" || status=1
steps_table
exit "$status"
