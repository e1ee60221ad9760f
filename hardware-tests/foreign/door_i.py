#!/usr/bin/env python3
"""Door I opened by SCP03 of other people: `yubikit` (package yubikey-manager), which knows nothing of this card.

    door_i.py READER < keys        keys: ENC MAC DEK of the blank on the reader, 96 hex digits

Prints what it saw as one JSON object. The wire between yubikit and PC/SC is here, with the one thing that yubikit's short
commands have no place for: Le 00 behind a body, which chapter 05 demands.
"""

from __future__ import annotations

import json
import sys

from smartcard.System import readers
from yubikit.core import TRANSPORT
from yubikit.core.smartcard import ApduError, SmartCardConnection, SmartCardProtocol
from yubikit.core.smartcard.scp import INS_EXTERNAL_AUTHENTICATE, KeyRef, Scp03KeyParams, ScpKid, StaticKeys

AID = bytes.fromhex("F0595A54525001")
SCRIPT = bytes(range(16))
STEP, REPORT = 0xDA, 0xF2


class Wire(SmartCardConnection):
    """A card in a PC/SC reader."""

    transport = TRANSPORT.NFC
    le = True
    """Whether Le 00 is added."""

    def __init__(self, name: str):
        self.connection = next(reader for reader in readers() if str(reader) == name).createConnection()
        self.connection.connect()

    def send_and_receive(self, apdu: bytes) -> tuple[bytes, int]:
        if self.le and apdu[1] != INS_EXTERNAL_AUTHENTICATE and len(apdu) == 5 + apdu[4]:
            apdu += b"\0"
        data, sw1, sw2 = self.connection.transmit(list(apdu))
        return bytes(data), sw1 << 8 | sw2

    def close(self) -> None:
        self.connection.disconnect()


def status_of(action) -> str:
    try:
        action()
    except ApduError as refusal:
        return f"{refusal.sw:04x}"
    return "9000"


def opened(wire: Wire, keys: StaticKeys, version: int) -> SmartCardProtocol:
    protocol = SmartCardProtocol(wire)
    protocol.select(AID)
    protocol.init_scp(Scp03KeyParams(KeyRef(ScpKid.SCP03, version), keys))
    return protocol


def without_data(protocol: SmartCardProtocol, p1: int, p2: int) -> bytes:
    """A command with an empty body, which yubikit would encrypt padding for; its counter counts that command too."""
    processor = protocol._processor
    processor.state._enc_counter += 1
    answer, status = processor.send_apdu(0x84, REPORT, p1, p2, b"", 0, encrypt=False)
    if status != 0x9000:
        raise ApduError(answer, status)
    return answer


def main() -> None:
    wire, raw = Wire(sys.argv[1]), bytes.fromhex(sys.stdin.read())
    keys = StaticKeys(raw[:16], raw[16:32], raw[32:48])
    wrong = StaticKeys(raw[:16], raw[16:31] + bytes([raw[31] ^ 1]), raw[32:48])
    seen = {}

    wire.le, bare = False, SmartCardProtocol(wire)
    bare.select(AID)
    seen["initialize update without le"] = status_of(lambda: bare.send_apdu(0x80, 0x50, 0, 0, bytes(8)))
    wire.le = True
    try:
        opened(wire, wrong, 0)
        seen["wrong keys"] = "opened"
    except ValueError as refusal:
        seen["wrong keys"] = str(refusal)
    seen["key version 2"] = status_of(lambda: opened(wire, keys, 2))

    protocol = opened(wire, keys, 1)
    seen["begin"] = protocol.send_apdu(0x84, STEP, 0, 1, b"\x01\x01" + SCRIPT).hex()
    seen["generate"] = protocol.send_apdu(0x84, STEP, 0, 2, b"\x03\x01").hex()
    seen["public key"] = without_data(protocol, 1, 1).hex()
    seen["status"] = without_data(protocol, 0, 0).hex()
    seen["padding for nothing"] = status_of(lambda: protocol.send_apdu(0x84, REPORT, 0, 0))

    protocol = opened(wire, keys, 0)
    seen["status of version 0"] = without_data(protocol, 0, 0).hex()
    wire.close()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
