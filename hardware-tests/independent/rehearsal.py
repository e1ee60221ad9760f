"""The life of one blank with test keys, through every door: personalise, activate, read, pay, update, block, unblock, terminate.

The same on the card of `model_card.py` and on one in a PC/SC reader. It needs the blank's transport keys and leaves a terminated card.
"""

from __future__ import annotations

import door_f
import door_i
import door_s
import permit_card as pc
from office import CLINIC, DOOR, SMALL_PAYMENT, SOCIAL_INSURANCE, TRANSIT, Office
from terminal import Memory, Stop, Terminal, load_bundle

EVERYTHING = pc.rights4("IDENTITY", "PORTRAIT", "PERMIT", "VERIFY", "CLINIC", "SOCIAL_INSURANCE", "TRANSIT")


class Rehearsal:
    def __init__(self, card, transport48: bytes, serial: bytes, seed: bytes, today: bytes, random):
        self.card, self.transport, self.random, self.today, self.seed = card, transport48, random, today, seed
        self.office = Office(seed, serial, today)
        self.steps: list[str] = []

    def expect(self, name: str, found, wanted) -> None:
        if found != wanted:
            raise Stop(1, "REHEARSAL", f"{name}: expected {wanted}, found {found}.", "One of the two sides misreads the specification.")
        self.steps.append(name)

    def terminal(self, name: str, roles: list[int], **options) -> Terminal:
        key, box = self.office.terminal(name, roles, **options)
        return Terminal(key, load_bundle(box, key), Memory(None), self.today)

    def door(self, terminal: Terminal) -> door_f.DoorF:
        return door_f.DoorF(terminal, self.card, self.random)

    def reason(self, terminal: Terminal, role: int) -> str:
        try:
            self.door(terminal).admit(role)
        except pc.NotAccepted as refusal:
            return refusal.reason
        return "accepted"

    def script(self, kind: str, keys: bytes, steps=()) -> str:
        session = door_i.DoorI(self.card, keys, self.random)
        script = self.office.made(f"script {kind} {len(self.steps)}", 16)
        return session.script(kind, script, list(steps), self.today)["state"]

    def deliver(self, terminal: Terminal, role: int, ctr: int, plain: bytes, kv: int = 1) -> bool:
        """Is an update of one batch delivered, with the receipt that the office expects?"""
        item = self.office.sealed_update(ctr, plain, role, kv)
        batch = door_f.open_batch(terminal, self.office.batch(terminal.key, [item], sequence=ctr))
        report = door_f.deliver(self.door(terminal), batch, role)
        return report["delivered"] == 1 and terminal.memory.kept["receipts"].get(item["id"].hex()) == item["receipt"].hex()

    def issue(self) -> None:
        office = self.office
        self.expect("a blank: door I with transport keys, GET STATUS", door_i.DoorI(self.card, self.transport, self.random).status()["state"], "BLANK")
        self.expect("personalise", self.script("personalise", self.transport, office.personalisation(self.transport[32:])), "PERSONALISED")
        self.expect("not active yet", self.reason(self.terminal("bus", [TRANSIT]), TRANSIT), "NOT_ACTIVE")
        self.expect("activate", self.script("activate", office.issuance), "ACTIVE")

    def run(self) -> list[str]:
        self.issue()
        office, card, random = self.office, self.card, self.random
        bus, gate, shop = self.terminal("bus", [TRANSIT]), self.terminal("gate", [DOOR]), self.terminal("shop", [SMALL_PAYMENT], tid=7)
        counter = self.terminal("counter", [TRANSIT, CLINIC, SOCIAL_INSURANCE], rights=EVERYTHING)
        self.expect("door F: bus", self.reason(bus, TRANSIT), "accepted")
        self.expect("door F: door", self.reason(gate, DOOR), "accepted")
        for name, before in (("first", 20000), ("second", 19700)):
            sold = door_f.pay(self.door(shop), 300)
            self.expect(f"COMMIT: {name}", (sold["result"], sold["balance_before"], sold["balance_after"]), (0, before, before - 300))
        first, second = (dict(line) for line in shop.memory.kept["lines"])
        tacs = [pc.commit_tac(office.tac_key(1), 3, 1, *(bytes.fromhex(line[name]) for name in ("pid", "seq", "loaded", "spent", "body"))).hex() for line in (first, second)]
        self.expect("COMMIT: both TACs are right", [first["tac"], second["tac"]], tacs)
        before = bytes.fromhex(second["before"])
        shown_body = bytes.fromhex(first["body"])
        sb = pc.commit_sb(office.tac_key(1), 3, 1, bytes.fromhex(first["pid"]), before[:4], bytes.fromhex(first["spent"]), shown_body)
        self.expect("COMMIT: the second TAP shows the first debit", before, bytes.fromhex(first["seq"] + first["loaded"] + first["spent"]) + shown_body[8:16] + sb + bytes.fromhex(first["tac"]))
        for role in (CLINIC, SOCIAL_INSURANCE, TRANSIT):
            self.expect(f"door S: record of {pc.ROLES[role]}", door_s.entitlement(counter, card, random, role)["rule_set"], pc.sha256(b"cn-test-2026")[:8])
        found = door_s.groups(counter, card, random, ["identity", "portrait", "permit"])
        self.expect("door S: identity, portrait, permit", (found["identity"]["name"].decode(), len(found["portrait"]["image"]), found["permit"]["endorsed_until"]), ("测试一号", 700, office.last))
        self.expect("door S: status", door_s.status(counter, card, random)["state"], "ACTIVE")
        later = office.day(700)
        self.expect("update: DG3", self.deliver(bus, TRANSIT, 1, office.endorsement(later)), True)
        self.expect("update: the new DG3 is read", door_s.groups(counter, card, random, ["permit"])["permit"]["endorsed_until"], later)
        self.expect("update: LOAD", self.deliver(shop, SMALL_PAYMENT, 2, pc.update_small(0x14, pc.be(30000, 4))), True)
        self.expect("update: the load is there", door_f.pay(self.door(shop), 100)["balance_before"], 29400)
        slot = office.slot(DOOR, 2, 2)
        self.expect("update: SLOT of the next version", self.deliver(bus, TRANSIT, 3, slot), True)
        self.expect("update: the next version answers", self.reason(self.terminal("gate 2", [DOOR], kv=2), DOOR), "accepted")
        self.expect("update: ERASE", self.deliver(bus, TRANSIT, 4, pc.update_small(0x13, bytes([DOOR, 1]))), True)
        self.expect("update: the old version does not answer", self.reason(gate, DOOR), "NOT_ACTIVE")
        self.expect("update: FLOOR", self.deliver(bus, TRANSIT, 5, pc.update_small(0x11, office.day(1))), True)
        self.expect("update: the floor moved", door_s.status(counter, card, random)["floor"], office.day(1))
        self.expect("update: BLOCK", self.deliver(bus, TRANSIT, 6, pc.update_small(0x12)), True)
        self.expect("a blocked card does not answer", self.reason(bus, TRANSIT), "NOT_ACTIVE")
        self.expect("door S: status of a blocked card", door_s.status(counter, card, random)["state"], "BLOCKED")
        self.expect("unblock", self.script("unblock", office.issuance), "ACTIVE")
        self.expect("block", self.script("block", office.issuance), "BLOCKED")
        self.expect("unblock again", self.script("unblock", office.issuance), "ACTIVE")
        self.expect("the card answers again", self.reason(bus, TRANSIT), "accepted")
        renewed = [office.slot(SMALL_PAYMENT, 2, 2, loaded=30000), door_i.purse(2, 5, 5000, office.tac_key(2))]
        self.expect("rewrite: SMALL_PAYMENT of the next version", self.script("rewrite", office.issuance, renewed), "ACTIVE")
        new_shop = self.terminal("shop", [SMALL_PAYMENT], tid=7, kv=2, sequence=2)
        self.expect("rewrite: one purse", door_f.pay(self.door(new_shop), 100)["balance_before"], 29300)
        self.expect("terminate", self.script("terminate", office.issuance), "TERMINATED")
        self.expect("an ended card does not answer", self.reason(bus, TRANSIT), "NOT_ACTIVE")
        return self.steps
