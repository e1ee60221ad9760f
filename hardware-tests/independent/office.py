"""An office of test keys: what a vault would give to a card and to terminals. For rehearsals and tests; it issues nothing.

Everything follows from a seed, so that two runs with one seed write the same card.
"""

from __future__ import annotations

import datetime
import hashlib

import door_i
import permit_card as pc
from permit_card import be

REGION = bytes.fromhex("440300")
ROOT_NAME, MIDDLE_NAME, LEAF_NAME = (pc.certificate_name(b"CNTEST0001", 1, number) for number in (0, 1, 2))
RULE_SET = b"cn-test-2026"
TRANSIT, SOCIAL_INSURANCE, SMALL_PAYMENT, CLINIC, DOOR = range(1, 6)
DOMAINS = {CLINIC: 2, SOCIAL_INSURANCE: 3}


class Office:
    def __init__(self, seed: bytes, serial: bytes, today: bytes):
        self.seed, self.serial, self.today = seed, serial, today
        self.last = self.day(365)
        self.private = {name: self.made("private " + name) for name in ("card ca", "entitlement signer", "document signer", "terminal ca", "deny signer", "intermediate")}
        self.public = {name: pc.public_key(private) for name, private in self.private.items()}
        self.issuance = pc.issuance_keys(self.made("issuance"), serial)
        self.update = pc.update_keys(self.made("issuance"), serial)
        self.publics: dict[int, bytes] = {}

    def made(self, name: str, size: int = 32) -> bytes:
        return hashlib.shake_128(b"test office " + self.seed + name.encode()).digest(size)

    def day(self, later: int) -> bytes:
        return pc.date4(pc.day_of(self.today) + datetime.timedelta(days=later))

    # --- Keys and records ---------------------------------------------------------------------------------------------

    def master(self, what: str, role: int, kv: int) -> bytes:
        return self.made(f"{what} master {role} {kv}")

    def pid(self, role: int, kv: int) -> bytes:
        return self.made(f"pid {role} {kv}", 16)

    def record(self, role: int, kv: int, counter: int, zones: int = 1) -> bytes:
        pid, public = self.pid(role, kv), self.publics[DOMAINS.get(role, 1)]
        key = pc.record_key(self.master("record", role, kv), role, REGION, kv, pid)
        content = pc.record_content(2, 1, be(3, 8), be(zones, 8), self.today, self.last, pc.sha256(RULE_SET)[:8], pc.record_binding(public, pid, role))
        nonce = self.made(f"nonce {role} {kv} {counter}", 12)
        return pc.seal_record(key, self.private["entitlement signer"], pc.record_header(role, kv, counter, self.last), pid, nonce, content)

    def slot(self, role: int, kv: int, counter: int, loaded: int = 0, flags: int = 0) -> bytes:
        """Op and payload of the step SLOT."""
        pid = self.pid(role, kv)
        if role in pc.DOOR_F_ROLES:
            group = pc.group_key(self.master("group", role, kv), role, REGION, kv, self.made("cohort", 1)[0])
            m = pc.tap_key(self.master("tap", role, kv), role, REGION, kv, pid)
        else:
            group, m = self.made(f"no group {role}", 16), self.made(f"no tap {role}", 16)
        return pc.slot_bytes(role, kv, flags, group, m, pid, self.record(role, kv, counter), be(loaded, 4))

    def tac_key(self, kv: int) -> bytes:
        return pc.tac_key(self.made("tac"), SMALL_PAYMENT, kv, self.pid(SMALL_PAYMENT, kv))

    # --- The card's script --------------------------------------------------------------------------------------------

    def groups(self, endorsed: bytes | None = None, counter: int = 1) -> list[bytes]:
        image = self.made("image", 700)
        items = {"name": "测试一号".encode(), "sex": b"\x02", "nation": b"\x01", "birth_date": bytes.fromhex("19900307"), "citizen_number": b"440305199003070029", "photo": pc.sha256(image), "hukou_address": "湖南省示例路1号".encode(), "residence_address": "广东省示例街2号".encode(), "issuing_organ": "测试分局".encode(), "issue_date": self.today}
        permit = pc.dg3(self.made("permit", 16), 2, self.today, endorsed or self.last, RULE_SET, counter, self.made(f"salt 3 {counter}", 16))
        return [pc.dg1(items, self.made("salt 1", 16)), pc.dg2(1, image, self.made("salt 2", 16)), permit]

    def certificate(self, domain: int) -> bytes:
        return pc.card_certificate(self.private["card ca"], domain, 1, self.today, self.day(3650), self.made(f"certificate {domain}", 16), self.publics[domain])

    def personalisation(self, transport_dek: bytes) -> list:
        """The steps behind BEGIN; those that need the card's own keys are made when they are known."""

        def known(make):
            def step(publics: dict[int, bytes]) -> bytes:
                self.publics |= publics
                return make()

            return step

        groups = self.groups()
        steps: list = [door_i.generate(domain) for domain in (1, 2, 3)]
        steps += [known(lambda domain=domain: door_i.certificate(domain, self.certificate(domain))) for domain in (1, 2, 3)]
        for number, group in enumerate(groups, 1):
            steps += door_i.write(number, group)
        # The signature object needs the PERSON key, so it is cut when it is made: its length is always the same.
        length = len(pc.signature_object(self.private["document signer"], 1, bytes(64), groups))
        for at in range(len(door_i.write(0x0F, bytes(length)))):
            steps.append(known(lambda at=at: door_i.write(0x0F, pc.signature_object(self.private["document signer"], 1, self.publics[1], groups))[at]))
        for role in (TRANSIT, SOCIAL_INSURANCE, CLINIC, DOOR):
            steps.append(known(lambda role=role: self.slot(role, 1, 1)))
        steps.append(known(lambda: self.slot(SMALL_PAYMENT, 1, 1, loaded=20000)))
        steps.append(door_i.purse(1, 1000, 5000, self.tac_key(1)))
        steps.append(door_i.keys(transport_dek, self.issuance + self.update))
        steps.append(door_i.trust(ROOT_NAME, self.public["terminal ca"], 1, self.today))
        return steps

    # --- Terminals ----------------------------------------------------------------------------------------------------

    def terminal(self, name: str, roles: list[int], rights: bytes | None = None, tid: int | None = None, lists: list[bytes] | None = None, kv: int = 1, sequence: int = 1) -> tuple[dict, bytes]:
        """The keys of a terminal as its key file holds them, and its sealed bundle."""
        key = {"root": self.public["terminal ca"], "sealing": self.made("sealing " + name), "authentication": self.made("authentication " + name), "name": name.encode()}
        role_keys = []
        for role in roles:
            masters = [self.master(what, role, kv) if what == "record" or role in pc.DOOR_F_ROLES else None for what in ("group", "tap", "record")]
            role_keys.append(pc.role_key(role, REGION, kv, 1, None, *masters))
        anchors = [self.public["card ca"], self.public["entitlement signer"], self.public["document signer"], ROOT_NAME + self.public["terminal ca"], self.public["deny signer"]]
        if lists is None:
            lists = [self.deny_list(role) for role in roles]
        plain = pc.bundle(self.private["terminal ca"], self.made("bundle " + name, 16), name.encode(), self.today, self.day(30), be(sequence, 4), role_keys, anchors, self.certificates(key, rights) if rights else [], lists, be(1, 8), None if tid is None else be(tid, 4))
        return key, self.box(b"YZTB", key, plain)

    def certificates(self, key: dict, rights: bytes) -> list[bytes]:
        first, week, year = (pc.date6_of(self.day(later)) for later in (0, 7, 365))
        middle = pc.terminal_certificate(self.private["terminal ca"], ROOT_NAME, MIDDLE_NAME, self.public["intermediate"], rights, first, year)
        return [middle, pc.terminal_certificate(self.private["intermediate"], MIDDLE_NAME, LEAF_NAME, pc.public_key(key["authentication"]), rights, first, week)]

    def box(self, magic: bytes, key: dict, plain: bytes) -> bytes:
        name = pc.sha256(plain).hex()
        return pc.seal_box(magic, self.made("box " + name), pc.public_key(key["sealing"]), self.made("box nonce " + name, 12), plain)

    def deny_list(self, role: int, version: int = 1, pids: tuple[bytes, ...] = (), grace: int | None = None) -> bytes:
        return pc.deny_list(self.private["deny signer"], role, version, self.today, 7, sorted(pid[:8] for pid in pids), grace)

    def sealed_update(self, ctr: int, plain: bytes, role: int, kv: int = 1) -> dict:
        """An item of a batch, and the receipt that the card will give."""
        u_enc, u_mac, u_rcpt = (self.update[at : at + 16] for at in (0, 16, 32))
        e = pc.update_cipher(u_enc, be(ctr, 4), plain)
        umac = pc.update_mac(u_mac, be(ctr, 4), e)
        return {"id": self.made(f"update {ctr} {role}", 16), "role": be(role, 1), "pid": self.pid(role, kv), "ctr": be(ctr, 4), "e": e, "umac": umac, "receipt": pc.update_receipt(u_rcpt, be(ctr, 4), umac)}

    def batch(self, key: dict, updates: list[dict], sequence: int = 1) -> bytes:
        carried = [{name: value for name, value in item.items() if name != "receipt"} for item in updates]
        plain = pc.update_batch(self.private["terminal ca"], self.made(f"batch {sequence}", 16), key["name"], self.today, self.day(7), be(sequence, 4), carried)
        return self.box(b"YZTU", key, plain)

    def endorsement(self, until: bytes) -> bytes:
        """P224 of the operation DG3."""
        groups = self.groups(until, counter=2)
        encoded = pc.signature_object(self.private["document signer"], 1, self.publics[1], groups)
        return pc.update_dg3(1, groups[2], pc.tlv_list(pc.tlv_only(encoded, 0x77))[-1][1])
