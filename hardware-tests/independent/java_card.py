"""The Java Card of `card-applet-spec/javacard` in a process of its own, for the programs of this folder; its life through every
door when this file is run with the folder of the compiled classes (`scripts/javacard.sh build` prints it).
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys

from rehearsal import Rehearsal
from terminal import CardLost

EXPORT = "java.base/jdk.internal.org.objectweb.asm=ALL-UNNAMED"


class JavaCard:
    def __init__(self, classes: str, serial: bytes, transport48: bytes):
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
        if kind != b"C":
            raise CardLost
        return answer

    def reset(self) -> None:
        self.order(b"P")

    def close(self) -> None:
        self.reset()


def main(classes: str) -> None:
    transport, serial = os.urandom(48), bytes.fromhex("00010000002a00000001")
    card = JavaCard(classes, serial, transport)
    for step in Rehearsal(card, transport, serial, b"seed", bytes.fromhex("20261121"), os.urandom).run():
        print(step)
    card.process.stdin.close()
    card.process.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
