"""Power cut in every write operation of the Java Card, through every door: what the doors show afterwards is what they showed
before or what they show when nothing is cut, and the same again comes to its end.

    python3 java_torn.py CLASSES          each operation is cut before it, behind its first byte, and behind its last
    python3 java_torn.py CLASSES NAME     only operations whose name holds NAME
"""

from __future__ import annotations

import datetime
import functools
import os
import struct
import sys

import door_f
import door_i
import door_s
import permit_card as pc
from java_card import JavaCard
from office import CLINIC, DOOR, SMALL_PAYMENT, TRANSIT
from rehearsal import Rehearsal
from selftest import Random
from terminal import CardLost, Stop, select

# The same certificates, bundles and cohort keys are made for every cut: points and derived keys are remembered.
pc._times = functools.lru_cache(1 << 16)(pc._times)
pc.group_key = functools.lru_cache(1 << 16)(pc.group_key)

TODAY = bytes.fromhex("20261121")
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc)
SERIAL = bytes.fromhex("00010000002a00000001")
TRANSPORT = bytes(range(48))
ALL = 1 << 20
OFFICE = pc.rights4("IDENTITY", "PORTRAIT", "PERMIT", "VERIFY", "ISSUER", "CLINIC", "SOCIAL_INSURANCE", "TRANSIT")


def differs(a: dict, b: dict) -> list[str]:
    """Names of what differs; values are keys and money of test cards, and long."""
    return [name for name in a.keys() | b.keys() if a.get(name) != b.get(name)]


class Bench:
    def __init__(self, classes: str):
        self.card = JavaCard(classes, SERIAL, TRANSPORT)
        self.life = Rehearsal(self.card, TRANSPORT, SERIAL, b"torn", TODAY, os.urandom)
        self.office = self.life.office
        self.cuts, self.rows = 0, []

    def operations(self) -> int:
        figures = dict(line.split() for line in self.card.order(b"N")[1].decode().splitlines())
        return int(figures["write.operations"])

    def cut(self, operation: int, arrive: int) -> None:
        self.card.order(b"T", struct.pack(">II", operation, arrive))

    def restore(self) -> None:
        self.card.order(b"R")
        self.card.reset()

    def terminal(self, *arguments, **options):
        return self.life.terminal(*arguments, **options)

    # --- What the doors show ------------------------------------------------------------------------------------------

    def keys(self) -> bytes | None:
        for keys in (self.office.issuance, TRANSPORT):
            try:
                door_i.DoorI(self.card, keys, os.urandom)
                return keys
            except Stop:
                continue
        return None

    def shown(self) -> dict:
        self.card.reset()
        found: dict = {}
        keys = self.keys()
        if keys:
            status = door_i.DoorI(self.card, keys, os.urandom).status()
            found |= {name: status[name] for name in ("state", "floor", "epoch")}
        for role in (TRANSIT, SMALL_PAYMENT, DOOR):
            for kv in (1, 2):
                terminal = self.terminal(f"t{role}{kv}", [role], kv=kv)
                select(self.card)
                tapped = door_f.DoorF(terminal, self.card, os.urandom).version(terminal.bundle["keys"])
                if tapped:
                    # Tag and signature hold; its bytes follow the card's own key, which is another one in each attempt.
                    pc.judge_record(terminal.bundle, tapped.key, tapped.pid, tapped.record, TODAY)
                found[f"tap {role} {kv}"] = tapped and (tapped.pid, tapped.seq, tapped.loaded, tapped.spent, tapped.before, tapped.record[:12])
        if found.get("state") == "ACTIVE":
            counter = self.terminal("counter", [TRANSIT, CLINIC], rights=OFFICE)
            # Signatures, digests and binding are checked on the way: a card of two halves is not genuine.
            groups = door_s.groups(counter, self.card, os.urandom, ["identity", "portrait", "permit"])
            found["groups"] = (groups["identity"]["name"], groups["portrait"]["image"], groups["permit"]["endorsed_until"])
            found["clinic"] = door_s.entitlement(counter, self.card, os.urandom, CLINIC)["rule_set"]
        return found

    # --- Cutting ------------------------------------------------------------------------------------------------------

    def everywhere(self, name: str, attempt) -> None:
        """`attempt()` gives a function that does the operation, and goes on with it when it is called again."""
        self.card.order(b"M")
        before = self.shown()
        self.restore()
        started = self.operations()
        attempt()()
        count = self.operations() - started
        after = self.shown()
        self.restore()
        kept = ended = 0
        for operation in range(1, count + 1):
            for arrive in (0, 1, ALL):
                do = attempt()
                self.cut(operation, arrive)
                try:
                    do()
                except (Stop, CardLost, pc.NotAccepted, pc.Refused):
                    pass
                self.cut(0, 0)
                self.cuts += 1
                seen = self.shown()
                where = f"{name}, operation {operation} of {count}, {arrive} bytes"
                if seen not in (before, after):
                    raise AssertionError(f"{where}: neither before nor after: {differs(seen, before)} from before, {differs(seen, after)} from after")
                kept, ended = kept + (seen == before), ended + (seen != before)
                self.card.reset()
                try:
                    do()
                except (Stop, pc.NotAccepted, pc.Refused):
                    # An end that cannot be reached twice: a blocked card takes no update, an ended one no script.
                    pass
                done = self.shown()
                if done != after:
                    raise AssertionError(f"{where}: the same again does not come to its end: {differs(done, after)} differ")
                self.restore()
        self.rows.append((name, count, kept, ended))
        print(f"{name}: {count} write operations, {3 * count} cuts, {kept} as before, {ended} as after", flush=True)
        attempt()()
        self.card.reset()

    def script(self, kind: str, keys: bytes, steps):
        name = self.office.made(f"torn {kind} {len(self.rows)}", 16)

        def attempt():
            # A new list each time: the card's own keys are another pair.
            def do():
                current = self.office.issuance if kind != "personalise" else (self.keys() or keys)
                if kind == "personalise" and current == self.office.issuance:
                    return
                door_i.DoorI(self.card, current, os.urandom).script(kind, name, list(steps()), TODAY)

            return do

        return attempt

    def update(self, role: int, ctr: int, plain: bytes, kv: int = 1):
        def attempt():
            return lambda: self.life.deliver(self.terminal(f"carrier {role}", [role], kv=kv), role, ctr, plain, kv)

        return attempt

    def purchase(self, amount: int):
        def attempt():
            random = Random(f"purchase {amount}")
            shop = self.terminal("shop", [SMALL_PAYMENT], tid=7)
            shop.now = NOW
            door = door_f.DoorF(shop, self.card, random)

            def do():
                if shop.memory.open_purchase:
                    door_f.pay_again(door)
                elif not shop.memory.kept["lines"]:
                    door_f.pay(door, amount)

            return do

        return attempt

    def wrong_try(self):
        def do():
            select(self.card)
            self.card.transmit(b"\x80\x50\0\0\x08" + bytes(8) + b"\0")
            self.card.transmit(b"\x84\x82\x33\0\x10" + bytes(16))

        return lambda: do

    def reset_counter(self):
        def do():
            counter = self.terminal("counter", [TRANSIT], rights=OFFICE)
            door = door_s.DoorS(counter, self.card, os.urandom, pc.rights4("ISSUER"))
            door.command(bytes.fromhex("842C0000"), b"")

        return lambda: do

    def rewritten(self):
        """DG1 as it is, a new PERSON key with everything that hangs on it, the next version of two roles, new keys, trust."""
        office = self.office
        steps = office.personalisation(office.issuance[32:])
        again = [step for step in steps if not (isinstance(step, bytes) and step[:1] == b"\x06")]
        return again[: -2 - 1 - 4] + [
            lambda publics: (office.publics.update(publics), office.slot(TRANSIT, 2, 2))[1],
            lambda publics: office.slot(CLINIC, 1, 2),
            lambda publics: office.slot(SMALL_PAYMENT, 2, 2, loaded=40000),
            door_i.purse(2, 1000, 5000, office.tac_key(2)),
        ] + again[-2:]


OPERATIONS = [
    ("personalise", lambda b: b.script("personalise", TRANSPORT, lambda: b.office.personalisation(TRANSPORT[32:]))),
    ("activate", lambda b: b.script("activate", b.office.issuance, list)),
    ("COMMIT", lambda b: b.purchase(300)),
    ("COMMIT again", lambda b: b.purchase(301)),
    ("a wrong try at door I", Bench.wrong_try),
    ("RESET COUNTER", Bench.reset_counter),
    ("UPDATE DG3", lambda b: b.update(TRANSIT, 1, b.office.endorsement(b.office.day(700)))),
    ("UPDATE LOAD", lambda b: b.update(SMALL_PAYMENT, 2, pc.update_small(0x14, pc.be(30000, 4)))),
    ("UPDATE SLOT of DOOR", lambda b: b.update(TRANSIT, 3, b.office.slot(DOOR, 2, 2))),
    ("UPDATE ERASE", lambda b: b.update(TRANSIT, 4, pc.update_small(0x13, bytes([DOOR, 1])))),
    ("UPDATE FLOOR", lambda b: b.update(TRANSIT, 5, pc.update_small(0x11, b.office.day(1)))),
    ("rewrite", lambda b: b.script("rewrite", b.office.issuance, b.rewritten)),
    ("block", lambda b: b.script("block", b.office.issuance, list)),
    ("unblock", lambda b: b.script("unblock", b.office.issuance, list)),
    ("UPDATE BLOCK", lambda b: b.update(TRANSIT, 6, pc.update_small(0x12), kv=2)),
    ("terminate", lambda b: b.script("terminate", b.office.issuance, list)),
]


def main(classes: str, only: str = "") -> None:
    bench = Bench(classes)
    for name, make in OPERATIONS:
        attempt = make(bench)
        if only in name:
            bench.everywhere(name, attempt)
        else:
            attempt()()
            bench.card.reset()
    print(f"{bench.cuts} cuts")


if __name__ == "__main__":
    main(*sys.argv[1:])
