"""Door I as the issuer sees it: SCP03, numbered steps, resuming (chapter 05). For test keys: nothing here issues a card.

Left out: key storage, an order book, a ledger.
"""

from __future__ import annotations

import permit_card as pc
from terminal import CardLost, Stop, select

KINDS = {"personalise": 1, "rewrite": 2, "activate": 3, "block": 4, "unblock": 5, "terminate": 6}
STATES = {1: "BLANK", 2: "PERSONALISED", 3: "ACTIVE", 4: "BLOCKED", 5: "TERMINATED"}
CHUNK = 233


def parse_status(answer: bytes) -> dict:
    if len(answer) != 59 or answer[0] not in STATES:
        raise pc.NotAccepted("NOT_GENUINE")
    return {
        "state": STATES[answer[0]],
        "script": answer[1:17],
        "last": int.from_bytes(answer[17:19], "big"),
        "h": answer[19:51],
        "failures": answer[51],
        "floor": answer[52:56],
        "epoch": int.from_bytes(answer[56:58], "big"),
        "open": answer[58] == 1,
    }


# --- Steps: op and payload --------------------------------------------------------------------------------------------


def begin(kind: str, script: bytes) -> bytes:
    return b"\x01" + pc.be(KINDS[kind], 1) + script


def write(number: int, content: bytes) -> list[bytes]:
    head = b"\x02" + pc.be(number, 1) + pc.be(len(content), 2)
    return [head + pc.be(at, 2) + content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]


def generate(domain: int) -> bytes:
    return b"\x03" + pc.be(domain, 1)


def certificate(domain: int, encoded: bytes) -> bytes:
    return b"\x04" + pc.be(domain, 1) + encoded


def purse(kv: int, seq: int, cap: int, ktac: bytes) -> bytes:
    return b"\x06" + pc.be(kv, 1) + pc.be(seq, 4) + pc.be(cap, 4) + ktac


def keys(dek: bytes, six: bytes) -> bytes:
    return b"\x07" + pc.cbc_encrypt(dek, pc.ZERO16, six)


def trust(root_name: bytes, root: bytes, epoch: int, floor: bytes) -> bytes:
    return b"\x08" + root_name + root + pc.be(epoch, 2) + floor


def finalise(count: int, h: bytes, today: bytes) -> bytes:
    return b"\x0f" + pc.be(count, 2) + h + today


# --- The session ------------------------------------------------------------------------------------------------------


class DoorI:
    """An open door I. `static48`: ENC, MAC, DEK."""

    def __init__(self, card, static48: bytes, random):
        select(card)
        self.card, host = card, random(8)
        answer = card.transmit(b"\x80\x50\0\0\x08" + host + b"\0")
        if len(answer) != 31 or answer[-2:] != b"\x90\0" or answer[:13] != bytes(10) + b"\x01\x03\x60":
            raise pc.NotAccepted("FOREIGN_CARD")
        session = pc.Scp03(static48, host, answer[13:21])
        self.dek = session.dek
        if not pc.same(session.card_cryptogram, answer[21:29]):
            raise Stop(1, "WRONG_KEYS", "The card has other keys than these.", "Take the keys of this card; each wrong attempt at EXTERNAL AUTHENTICATE would be counted, so none was made.")
        command, self.channel = session.external_authenticate()
        if card.transmit(command) != b"\x90\0":
            raise Stop(1, "DOOR_LOCKED", "The card refuses its right keys: door I is locked, or the card is terminated.", "Open it by door S with ISSUER.")

    def command(self, header: bytes, data: bytes) -> bytes:
        answer = self.card.transmit(self.channel.command(header, data))
        if answer[-2:] == b"\x90\0":
            try:
                return self.channel.open_answer(answer)
            except pc.Refused:
                pass
        raise Stop(4, "OUTCOME_UNKNOWN", f"The card answered {answer[-2:].hex()}, which is under no MAC.", "Run the same script again: it goes on where the card stands.")

    def status(self) -> dict:
        return parse_status(self.command(bytes.fromhex("84F20000"), b""))

    def public(self, domain: int) -> bytes:
        return self.command(bytes([0x84, 0xF2, 1, domain]), b"")

    def step(self, n: int, content: bytes) -> bytes:
        return self.command(b"\x84\xda" + pc.be(n, 2), content)

    def script(self, kind: str, script: bytes, steps: list, today: bytes) -> dict:
        """Runs or resumes a whole script. A step is bytes, or makes them from the public keys that the card generated (by domain)."""
        try:
            return self._script(kind, script, steps, today)
        except CardLost:
            raise Stop(4, "OUTCOME_UNKNOWN", "The card left before it answered.", "Run the same script again: it goes on where the card stands.") from None

    def _script(self, kind: str, script: bytes, steps: list, today: bytes) -> dict:
        found = self.status()
        ours, publics, sent = found["script"] == script, {}, 0
        if ours and not found["open"]:
            return {"steps": found["last"], "sent": 0, "state": found["state"]}
        last = found["last"] if ours else 0
        h, written = [pc.script_start(script)], [begin(kind, script), *steps]
        for n, content in enumerate([*written, None], 1):
            if content is None:
                content = finalise(n - 1, h[-1], today)
            elif callable(content):
                content = content(publics)
            h.append(pc.script_next(h[-1], n, content))
            if n <= last:
                answer = self.public(content[1]) if content[0] == 3 else b""
            else:
                if ours and n == last + 1 and found["h"] != h[last]:
                    raise Stop(1, "OTHER_SCRIPT", "The card stands in a script of this id with other steps.", "Run the script that was begun, or one with a new id.")
                answer, sent = self.step(n, content), sent + 1
            if content[0] == 3:
                publics[content[1]] = answer
        return {"steps": len(h) - 1, "sent": sent, "state": self.status()["state"]}
