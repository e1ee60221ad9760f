#!/usr/bin/env bash
# The card as a Java Card applet (card-applet-spec/javacard): compiles it with its runtime and its tests, in one call.
#
#     scripts/javacard.sh build    compile where a source is newer; prints the folder of the classes
#     scripts/javacard.sh          compile, check the class files against the Java Card subset, run the tests
#     scripts/javacard.sh soak     also the life of a card by the independent reader, and power cut in every write of it
set -euo pipefail
cd "$(dirname "$0")/.."

sources=card-applet-spec/javacard
classes=$(realpath -m "${CARGO_TARGET_DIR:-target}")/javacard/classes
# The runtime reads and weaves bytecode with the library that Java 17 has inside.
asm=java.base/jdk.internal.org.objectweb.asm
exports=(--add-exports "$asm=ALL-UNNAMED" --add-exports "$asm.tree=ALL-UNNAMED" --add-exports "$asm.tree.analysis=ALL-UNNAMED")

# Java 17 before any other one of the machine: the library is inside it.
for home in /usr/lib/jvm/java-17-openjdk-*; do
    [ -x "$home/bin/javac" ] && PATH=$home/bin:$PATH
done

if ! command -v javac > /dev/null; then
    printf 'javacard: there is no Java compiler; `make setup` installs openjdk-17-jdk-headless.\n' >&2
    exit 1
fi

build() {
    if [ -e "$classes/built" ] && [ -z "$(find "$sources" -name '*.java' -newer "$classes/built" -print -quit)" ]; then
        return
    fi
    mkdir -p "$(dirname "$classes")"
    local fresh
    fresh=$(mktemp -d "$classes.XXXXXX")
    find "$sources" -name '*.java' -print0 | xargs -0 javac -g -Xlint:all,-exports -Werror "${exports[@]}" -d "$fresh"
    touch "$fresh/built"
    rm -rf "$classes"
    mv -T "$fresh" "$classes"
}

build
if [ "${1:-}" = build ]; then
    printf '%s\n' "$classes"
    exit
fi
# The applet alone as the class files that converters take, against nothing but the platform.
find "$sources/applet" -name '*.java' -print0 |
    xargs -0 javac --release 7 -g -Xlint:-options -cp "$classes" -d "$(dirname "$classes")/to-convert"
java "${exports[@]}" -cp "$classes" yzt.tests.Main
if [ "${1:-}" = soak ]; then
    # The system's own interpreter: `make setup` installs its packages.
    cd hardware-tests/independent
    /usr/bin/python3 java_card.py "$classes"
    /usr/bin/python3 java_torn.py "$classes"
fi
