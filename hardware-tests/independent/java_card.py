"""The Java Card of `card-applet-spec/javacard` in a process of its own, for the programs of this folder; its life through every
door when this file is run with the folder of the compiled classes (`scripts/javacard.sh build` prints it).
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys

from rehearsal import Rehearsal
from terminal import CardLost, select

EXPORT = "java.base/jdk.internal.org.objectweb.asm=ALL-UNNAMED"


class JavaCard:
    def __init__(self, classes: str, serial: bytes, transport48: bytes):
        # It ends with its input, which ends with this process.
        self.process = subprocess.Popen(["java", "--add-exports", EXPORT, "-cp", classes, "yzt.runtime.Server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.order(b"K", serial + transport48)
        self.reset()

    def order(self, kind: bytes, data: bytes = b"") -> tuple[bytes, bytes]:
        self.process.stdin.write(kind + struct.pack(">H", len(data)) + data)
        self.process.stdin.flush()
        kind, length = struct.unpack(">cH", self.process.stdout.read(3))
        return kind, self.process.stdout.read(length)

    def transmit(self, command: bytes) -> bytes:
        kind, answer = self.order(b"C", command)
        if kind not in (b"C", b"W"):
            raise CardLost
        return answer

    def reset(self) -> None:
        self.order(b"P")

    def close(self) -> None:
        self.reset()


# What a stranger can send, each behind a SELECT; the last command is the one whose work is counted.
TAP = b"\x80\x10\x01\x01\x10" + bytes(16) + b"\0"
SHOP = b"\x80\x10\x03\x09\x10" + bytes(16) + b"\0"
OPEN = b"\x80\x50\0\0\x08" + bytes(8) + b"\0"
STRANGERS = {
    "TAP": [TAP],
    "TAP of a version that no card has": [SHOP],
    "TAP of a role that there is not": [b"\x80\x10\x09\x09\x10" + bytes(16) + b"\0"],
    "COMMIT behind a decoy": [SHOP, b"\x80\x12\x03\x09\x2c" + bytes(44) + b"\x19"],
    "UPDATE behind a TAP": [TAP, b"\x80\x14\x01\x01\xfc" + bytes(252) + b"\x10"],
    "INITIALIZE UPDATE": [OPEN],
    "a wrong EXTERNAL AUTHENTICATE": [OPEN, b"\x84\x82\x33\0\x10" + bytes(16)],
}


def figures(card: JavaCard) -> dict[str, int]:
    lines = (line.split() for line in card.order(b"N")[1].decode().splitlines())
    return {name: int(value) for name, value in lines if not name.startswith("memory")}


def work_for_strangers(card: JavaCard) -> dict:
    found = {}
    for name, commands in STRANGERS.items():
        select(card)
        for command in commands:
            before = figures(card)
            answer = card.transmit(command)
            after = figures(card)
        done = {what: count - before.get(what, 0) for what, count in after.items() if count != before.get(what, 0)}
        found[name] = (len(answer), answer[-2:].hex(), done)
    return found


def strangers_see_the_same(classes: str, transport: bytes, serial: bytes, today: bytes) -> None:
    """Answers, statuses, operations and writes are the same in every state of the card, and for a live slot as for the decoy."""
    card = JavaCard(classes, serial, transport)
    life = Rehearsal(card, transport, serial, b"strangers", today, os.urandom)
    office = life.office
    seen = {"BLANK": work_for_strangers(card)}
    life.script("personalise", transport, office.personalisation(transport[32:]))
    seen["PERSONALISED"] = work_for_strangers(card)
    for kind, state in (("activate", "ACTIVE"), ("block", "BLOCKED"), ("terminate", "TERMINATED")):
        life.steps.append(kind)
        life.script(kind, office.issuance)
        seen[state] = work_for_strangers(card)
    for state, found in seen.items():
        for name, work in found.items():
            if work != seen["BLANK"][name]:
                raise AssertionError(f"{name}: {work} when {state}, {seen['BLANK'][name]} when BLANK")
    print(f"a stranger sees the same work in {len(seen)} states:")
    for name, (length, status, work) in seen["BLANK"].items():
        print(f"    {name}: {length} bytes, {status}, {work}")


def main(classes: str) -> None:
    transport, serial, today = os.urandom(48), bytes.fromhex("00010000002a00000001"), bytes.fromhex("20261121")
    strangers_see_the_same(classes, transport, serial, today)
    card = JavaCard(classes, serial, transport)
    for step in Rehearsal(card, transport, serial, b"seed", today, os.urandom).run():
        print(step)


if __name__ == "__main__":
    main(*sys.argv[1:])
