"""Door S as a terminal sees it: certificates, key agreement, records, data groups, status (chapters 02, 03, 07)."""

from __future__ import annotations

import permit_card as pc
from door_i import parse_status
from terminal import Stop, Terminal, select, unusable

GROUPS = {"identity": (1, "IDENTITY"), "portrait": (2, "PORTRAIT"), "permit": (3, "PERMIT")}
# What the card's status means before and inside the channel; none of them is under a MAC.
STATUS_REASONS = {"6985": "NOT_ACTIVE", "6984": "BUNDLE_EXPIRED", "6a88": "WRONG_ROLE"}


def done(answer: bytes) -> bytes:
    if answer[-2:] != b"\x90\0":
        raise pc.NotAccepted(STATUS_REASONS.get(answer[-2:].hex(), "NOT_GENUINE"))
    return answer[:-2]


class DoorS:
    """An open door S to a card whose certificate and key were proved."""

    def __init__(self, terminal: Terminal, card, random, rights: bytes):
        self.terminal, self.card = terminal, card
        intermediate, leaf = self._certificates(rights)
        select(card)
        for n, certificate in enumerate((intermediate, leaf)):
            done(card.transmit(bytes([0x80, 0x20, n, 0, len(certificate)]) + certificate))
        rc = done(card.transmit(bytes.fromhex("0084000010")))
        ephemeral = self._ephemeral(random)
        qt = pc.point65(pc.public_key(ephemeral))
        sig = pc.door_s_signature(terminal.key["authentication"], leaf, rights, rc, qt)
        answer = done(card.transmit(pc.agree_command(rights, qt, sig)))
        if len(rc) != 16 or len(answer) != 241:
            raise pc.NotAccepted("NOT_GENUINE")
        qc, ecert, confirmation = answer[:65], answer[65:225], answer[225:]
        try:
            keys = pc.DoorSKeys(intermediate, leaf, rc, rights, qt, sig, qc, pc.ecdh(ephemeral, pc.public64_of(qc)))
            certificate = pc.cbc_decrypt(keys.k1, pc.ZERO16, ecert)
            self.public = pc.check_card_certificate(certificate, terminal.bundle["card_ca"], pc.domain_of(rights), terminal.today)
            keys.finish(certificate, pc.ecdh(ephemeral, self.public))
        except pc.Refused:
            raise pc.NotAccepted("NOT_GENUINE") from None
        if not pc.same(keys.confirmation, confirmation):
            raise pc.NotAccepted("NOT_GENUINE")
        self.channel = keys.channel()

    def _certificates(self, rights: bytes) -> tuple[bytes, bytes]:
        """The bundle's certificates, looked at as a card would: what it would refuse is not sent."""
        bundle, today = self.terminal.bundle, self.terminal.today
        if today > bundle["last_day"]:
            raise pc.NotAccepted("BUNDLE_EXPIRED")
        if bundle["door_s"] is None:
            raise unusable("The bundle has no certificates for door S.", "Use the bundle of a clinic, social-insurance or counter terminal.")
        intermediate, leaf = bundle["door_s"][0x80], bundle["door_s"][0x81]
        try:
            chain = pc.check_chain(bundle["root_name"], bundle["root"], bytes(4), 0, intermediate, leaf)
            ends = min(pc.date4(pc.parse_terminal_certificate(item)["expiry"]) for item in (intermediate, leaf))
        except pc.Refused as problem:
            raise unusable(f"The bundle's certificates are refused: {problem}.", "Fetch the bundle again.") from None
        if chain["public"] != pc.public_key(self.terminal.key["authentication"]):
            raise unusable("The bundle's certificate is of another terminal.", "Fetch the bundle of this one.")
        if ends < today:
            raise pc.NotAccepted("BUNDLE_EXPIRED")
        if int.from_bytes(rights, "big") & ~int.from_bytes(chain["rights"], "big"):
            raise Stop(2, "NO_RIGHT", "This terminal's certificates do not give this right.", "Use a terminal that has it.")
        return intermediate, leaf

    @staticmethod
    def _ephemeral(random) -> bytes:
        while True:
            private = random(32)
            if 1 <= int.from_bytes(private, "big") < pc.N:
                return private

    def command(self, header: bytes, data: bytes) -> bytes:
        answer = self.card.transmit(self.channel.command(header, data))
        done(answer)
        try:
            return self.channel.open_answer(answer)
        except pc.Refused:
            raise pc.NotAccepted("NOT_GENUINE") from None

    def read(self, number: int) -> bytes:
        """A whole object."""
        content, total = b"", None
        while total is None or len(content) < total:
            answer = self.command(bytes([0x84, 0xB0, number, 0]), pc.be(len(content), 2) + b"\xed")
            size, part = int.from_bytes(answer[:2], "big"), answer[2:]
            if total not in (None, size) or not part or len(content) + len(part) > size:
                raise pc.NotAccepted("NOT_GENUINE")
            total, content = size, content + part
        return content


def entitlement(terminal: Terminal, card, random, role: int, verify: bool = False) -> dict:
    """The fields of a role's record, bound to the card that proved itself."""
    old = pc.check_bundle_use(terminal.bundle, role, terminal.today, terminal.grace)
    names = [pc.ROLES[role]] + (["VERIFY"] if verify or role in pc.DOOR_F_ROLES else [])
    door = DoorS(terminal, card, random, pc.rights4(*names))
    usable = [key for key in terminal.bundle["keys"] if key["role"] == role and (key["state"] == 1 or terminal.today <= key["until"])]
    for number in (0x10 + role, 0x20 + role):
        content = door.read(number)
        kv, pid, record = content[0], content[1:17], content[17:]
        if len(content) != 177:
            raise pc.NotAccepted("NOT_GENUINE")
        keys = [key for key in usable if key["kv"] == kv]
        if keys:
            break
        # The newest slot is of a version that this bundle does not know yet, or not any more: the other one is left.
    for key in keys:
        try:
            binding = pc.open_record(pc.record_key(key["record"], role, key["region"], kv, pid), terminal.bundle["entitlement_signer"], pid, record)["binding"]
        except pc.Refused:
            continue
        found = pc.judge_record(terminal.bundle, key, pid, record, terminal.today)
        if not pc.same(binding, pc.record_binding(door.public, pid, role)):
            raise pc.NotAccepted("NOT_GENUINE")
        return found | {"list_is_old": old}
    raise pc.NotAccepted("NOT_GENUINE")


def groups(terminal: Terminal, card, random, wanted: list[str]) -> dict:
    """The data groups that were asked for, under the document signer and bound to the card that proved itself."""
    door = DoorS(terminal, card, random, pc.rights4(*(GROUPS[name][1] for name in wanted)))
    encoded = [door.read(GROUPS[name][0]) if name in wanted else None for name in GROUPS]
    try:
        pc.check_signature_object(door.read(0x0F), terminal.bundle["document_signer"], door.public, encoded)
        parsers = zip(GROUPS, encoded, (pc.parse_dg1, pc.parse_dg2, pc.parse_dg3))
        found = {name: parse(group) for name, group, parse in parsers if group is not None}
        if "identity" in found and "portrait" in found and found["identity"]["photo"] != pc.sha256(found["portrait"]["image"]):
            raise pc.Refused("the portrait is not that of DG1")
    except pc.Refused:
        raise pc.NotAccepted("NOT_GENUINE") from None
    return found


def status(terminal: Terminal, card, random) -> dict:
    """The card's status for whoever has VERIFY: also of a card that is not active or blocked."""
    return parse_status(DoorS(terminal, card, random, pc.rights4("VERIFY")).read(0xF1))
