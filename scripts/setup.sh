#!/usr/bin/env bash
# Installs what is missing on Debian 12: says what before it does, asks nothing, uses sudo where it is not root, and is
# done at once when nothing is missing.
#
#     scripts/setup.sh demo    what `make demo` needs
#     scripts/setup.sh         also what `make test` needs
#     scripts/setup.sh e2e     also what `make e2e` needs
#     scripts/setup.sh javacard    what `make javacard` needs, and nothing else
set -euo pipefail

purpose=${1:-test}

say() { printf 'setup: %s\n' "$*" >&2; }

# package | a file that shows that it is there | what it is for
demo_packages='
gcc|/usr/bin/gcc|linking, and the C parts of SQLite and aws-lc
libc6-dev|/usr/include/stdio.h|linking
pkg-config|/usr/bin/pkg-config|finding the PC/SC library when building
libpcsclite-dev|/usr/include/PCSC/winscard.h|PC/SC client
pcscd|/usr/sbin/pcscd|PC/SC service; started privately, the system service is not needed
vsmartcard-vpcd|/usr/lib/pcsc/drivers/serial/libifdvpcd.so|virtual card reader
iproute2|/bin/ip|loopback interface of the private PC/SC service
util-linux|/usr/bin/unshare|namespaces of the private PC/SC service
mount|/bin/mount|run folder of the private PC/SC service
fonts-wqy-zenhei|/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc|the faces of the card
'
java_packages='
openjdk-17-jdk-headless|/usr/lib/jvm/java-17-openjdk-*/bin/javac|the card as a Java Card applet, and the runtime of its tests
'
test_packages='
postgresql|/usr/lib/postgresql/*/bin/initdb|store tests, in a temporary folder; the system service is not needed
python3|/usr/bin/python3|independent check of the test vectors
python3-cryptography|/usr/lib/python3/dist-packages/cryptography|independent check of the test vectors
python3-pyscard|/usr/lib/python3/dist-packages/smartcard|independent tapping reader
openssl|/usr/bin/openssl|comparison figures, and tokens of the staff in the handbook
curl|/usr/bin/curl|the commands of permit up and of the handbook
zbar-tools|/usr/bin/zbarimg|a foreign scanner for the code on the back of a card
systemd|/usr/bin/systemd-analyze|looks at the units of docs/systemd; nothing is started
libssl-dev|/usr/include/openssl/evp.h|comparison figures
libp11-kit-dev|/usr/include/p11-kit-1/p11-kit/pkcs11.h|comparison figures
softhsm2|/usr/lib/softhsm/libsofthsm2.so|comparison figures
libvips-tools|/usr/bin/vipsthumbnail|comparison figures
nodejs|/usr/bin/node|drives the browser
npm|/usr/bin/npm|the packages of Node, in the target folder
chromium|/usr/bin/chromium|the browser of a clerk
'
e2e_packages='
opensc|/usr/bin/opensc-tool|tools for other cards, which must change nothing on ours
python3-venv|/usr/lib/python3*/ensurepip/__init__.py|the packages of Python, in the target folder
'

missing() {
    while IFS='|' read -r package file purpose; do
        [ -n "$package" ] || continue
        compgen -G "$file" > /dev/null || printf '%s|%s\n' "$package" "$purpose"
    done
}

packages=$demo_packages
[ "$purpose" = demo ] || packages+=$test_packages$java_packages
[ "$purpose" != javacard ] || packages=$java_packages
[ "$purpose" != e2e ] || packages+=$e2e_packages

if [ "$purpose" != javacard ] && ! command -v cargo > /dev/null; then
    say "there is no cargo on the search path. Install a Rust toolchain (1.95 or newer), then run this again."
    exit 1
fi

rows=$(missing <<< "$packages")
if [ -n "$rows" ]; then
    if ! command -v apt-get > /dev/null; then
        say "this is no Debian; install the equivalents of these packages, then run this again:"
        printf '%s\n' "$rows" | sed 's/|/ - /; s/^/    /' >&2
        exit 1
    fi
    say "these Debian packages are missing and will be installed with apt-get:"
    printf '%s\n' "$rows" | sed 's/|/ - /; s/^/    /' >&2
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo)
        say "sudo may ask for your password."
    fi
    mapfile -t names < <(printf '%s\n' "$rows" | cut -d'|' -f1)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${names[@]}" >&2
fi

if [ "$purpose" != demo ] && [ "$purpose" != javacard ]; then
    for component in rustfmt clippy; do
        tool=cargo-${component/rustfmt/fmt}
        if ! command -v "$tool" > /dev/null; then
            if ! command -v rustup > /dev/null; then
                say "$tool is missing, and there is no rustup to add it. Install it with your Rust toolchain, then run this again."
                exit 1
            fi
            say "adding $component to the Rust toolchain."
            rustup component add "$component" >&2
        fi
    done
    if ! command -v cargo-deny > /dev/null; then
        say "cargo-deny (licences, sources and banned crates) is missing and will be built from source; this takes some minutes, once."
        # Unoptimised: it runs for two seconds and would be built for many more.
        cargo install --quiet --locked --debug --target-dir "${CARGO_TARGET_DIR:-target}/tools" --version 0.20.2 cargo-deny >&2
    fi
    # Pinned: another version is another test.
    node_packages="playwright-core@1.61.1 axe-core@4.14.1"
    node=${CARGO_TARGET_DIR:-target}/node
    if [ "$(cat "$node/installed" 2> /dev/null)" != "$node_packages" ]; then
        say "playwright-core and axe-core, which drive and judge the counter's pages, will be installed with npm in $node."
        rm -rf "$node"
        mkdir -p "$node"
        # shellcheck disable=SC2086
        npm install --silent --no-audit --no-fund --prefix "$node" $node_packages >&2
        printf '%s' "$node_packages" > "$node/installed"
    fi
fi
