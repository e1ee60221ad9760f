"""A card in Python, written from the chapters: what the programs of this folder talk to where there is no reader.

It answers every command of chapter 01 in one process. `state` is the memory that survives a reset; a command that fails leaves it
as it was. `faults` are things that a wire does: see `transmit`.

Left out: torn writes, constant time, and what a platform does below the applet.
"""

from __future__ import annotations

import copy

import permit_card as pc
from door_i import KINDS
from permit_card import Refused, be
from terminal import CardLost

BLANK, PERSONALISED, ACTIVE, BLOCKED, TERMINATED = range(1, 6)
NUMBER = int.from_bytes


def need(condition: object, status: str) -> None:
    if not condition:
        raise Refused("the card says " + status, status)


class ModelCard:
    def __init__(self, serial: bytes, transport48: bytes, random):
        self.random, self.serial = random, serial
        self.state = {
            "life": BLANK, "before_block": None, "static": transport48, "update": bytes(48), "objects": {}, "pairs": {}, "certificates": {},
            "slots": {}, "purse": None, "trust": None, "epoch": 0, "floor": bytes(4), "script": (bytes(16), 0, bytes(32)), "open": False,
            "staged": None, "failures": 0, "ctr": bytes(4), "umac": bytes(16),
        }  # fmt: skip
        self.decoy = {"g": random(16), "m": random(16), "pid": random(16), "record": random(160)}
        self.session, self.what = "reset", {}
        self.faults: list[str] = []

    # --- The wire -----------------------------------------------------------------------------------------------------

    def transmit(self, command: bytes) -> bytes:
        """`faults`, one for each COMMIT or UPDATE: "lost before", "lost after" (the card did it), or an answer in hex."""
        fault = self.faults.pop(0) if self.faults and command[:2] in (b"\x80\x12", b"\x80\x14") else None
        if fault == "lost before":
            self.reset()
            raise CardLost
        answer = self.answer(command)
        if fault == "lost after":
            self.reset()
            raise CardLost
        return bytes.fromhex(fault) if fault else answer

    def reset(self) -> None:
        self.session, self.what = "reset", {}

    def close(self) -> None:
        self.reset()

    def answer(self, command: bytes) -> bytes:
        kept = copy.deepcopy({name: value for name, value in self.state.items() if name != "failures"})
        try:
            return self.command(command) if self.session not in ("door i", "door s") else self.inside(command)
        except Refused as refusal:
            self.state |= kept
            self.session, self.what = "reset" if self.session == "reset" else "selected", {}
            return bytes.fromhex(refusal.status or "6a80")

    def inside(self, command: bytes) -> bytes:
        if command[:1] != b"\x84":
            return self.command(command)
        enc, mac, rmac = self.what["keys"]
        mirror: pc.Channel = self.what["channel"]
        need(len(command) >= 14 and len(command) == 6 + command[4] and command[-1] == 0, "6700")
        mirror.counter += 1
        body, data = command[:-9], command[5:-9]
        chaining = pc.cmac(mac, mirror.chaining + body)
        need(pc.same(chaining[:8], command[-9:-1]), "6982")
        mirror.chaining = chaining
        if data:
            data = pc.unpadded(pc.cbc_decrypt(enc, pc.aes_encrypt_block(enc, be(mirror.counter, 16)), data))
            need(data, "6982")
        return mirror.answer(self.in_door_i(command, data) if self.session == "door i" else self.in_door_s(command, data), b"\x90\0")

    def command(self, command: bytes) -> bytes:
        if command == pc.SELECT:
            self.session, self.what = "selected", {}
            return pc.card_info() + b"\x90\0"
        need(len(command) >= 4, "6700")
        need(self.session != "reset", "6985")
        name, head, data = command[:2], command[:4], command[5 : 5 + command[4]] if len(command) > 5 else b""
        free = self.session in ("selected", "tapped")
        if head == b"\x80\xca\0\x45":
            need(free, "6985")
            self.session = "selected"
            need(self.state["life"] == BLANK, "6a88")
            return self.serial + b"\x90\0"
        if name == b"\x80\x50":
            need(free, "6985")
            need(head[2:] in (b"\0\0", b"\1\0"), "6a86")
            need(len(command) == 14 and command[4] == 8 and command[-1] == 0, "6700")
            challenge = self.random(8)
            scp = pc.Scp03(self.state["static"], data, challenge)
            self.session, self.what = "opening", {"scp": scp}
            return bytes(10) + b"\x01\x03\x60" + challenge + scp.card_cryptogram + b"\x90\0"
        if name == b"\x84\x82":
            need(self.session == "opening", "6985")
            need(len(command) == 21 and command[4] == 16, "6700")
            return self.external_authenticate(command)
        if name == b"\x80\x10":
            need(free, "6985")
            need(len(data) == 16 and len(command) == 22 and command[-1] == 0, "6700")
            return self.tap(head[2], head[3], data)
        if name in (b"\x80\x12", b"\x80\x14"):
            need(self.session == "tapped", "6985")
            taken, self.session = self.what, "selected"
            answer = self.commit(taken, head[2:], data) if name[1] == 0x12 else self.deliver(taken, head[2:], data)
            self.what = {}
            return answer
        if name == b"\x80\x20":
            return self.present(head[2], data)
        if command == bytes.fromhex("0084000010"):
            need(self.session == "presenting", "6985")
            self.what["rc"] = self.random(16)
            return self.what["rc"] + b"\x90\0"
        if name == b"\x80\x22":
            need(self.session == "presenting" and "lower" in self.what, "6985")
            return self.agree(data)
        known = name in (b"\x84\xda", b"\x84\xf2", b"\x84\xb0", b"\x84\x2c")
        raise Refused("no such command here", "6985" if known or not free else "6d00" if command[0] in (0, 0x80, 0x84) else "6e00")

    # --- Door F -------------------------------------------------------------------------------------------------------

    def live(self, role: int, kv: int) -> dict | None:
        slot = self.state["slots"].get((role, kv))
        return slot if self.state["life"] == ACTIVE and role in pc.DOOR_F_ROLES else None

    def tap(self, role: int, kv: int, rt: bytes) -> bytes:
        slot = self.live(role, kv)
        shown, purse, rc = slot or self.decoy, self.state["purse"], self.random(16)
        fields = [purse[name] for name in ("seq", "loaded", "spent")] if purse and slot and role == 3 else [0, 0, 0]
        last = [purse[name] for name in ("txno", "sb", "tac")] if purse and slot and role == 3 else [bytes(8), bytes(16), bytes(8)]
        plain = pc.tap_plain(shown["pid"], *(be(value, 4) for value in fields), *last, shown["record"])
        cipher = pc.tap_cipher(shown["g"], rc, plain)
        self.session, self.what = "tapped", {"role": role, "kv": kv, "rt": rt, "rc": rc, "slot": slot}
        return rc + cipher + pc.tap_mac(shown["m"], role, kv, rt, rc, cipher) + b"\x90\0"

    def commit(self, taken: dict, target: bytes, data: bytes) -> bytes:
        need(len(data) == 44, "6700")
        role, kv, slot, purse = taken["role"], taken["kv"], taken["slot"], self.state["purse"]
        need(target == bytes([role, kv]), "6985")
        need(slot is not None, "6982")
        need(role == 3 and purse, "6985")
        body, m, challenges = data[:28], slot["m"], (taken["rt"], taken["rc"])
        need(pc.same(pc.commit_mac(m, role, kv, *challenges, be(purse["seq"], 4), body), data[28:]), "6982")
        amount, txno, where = NUMBER(body[:4], "big"), body[8:16], (role, kv, slot["pid"])

        def tac() -> bytes:
            return pc.commit_tac(slot["ktac"], *where, be(purse["seq"], 4), be(purse["loaded_then"], 4), be(purse["spent"], 4), body)

        if any(purse["txno"]) and txno == purse["txno"]:
            need(tac() == purse["tac"], "6985")
            result = 1
        else:
            need(amount <= slot["cap"] and amount <= purse["loaded"] - purse["spent"], "6985")
            purse |= {"seq": purse["seq"] + 1, "spent": purse["spent"] + amount, "txno": txno, "loaded_then": purse["loaded"]}
            purse |= {"tac": tac(), "sb": pc.commit_sb(slot["ktac"], *where, be(purse["seq"], 4), be(purse["spent"], 4), body)}
            result = 0
        return be(result, 1) + purse["tac"] + pc.commit_proof(m, role, kv, *challenges, result, be(purse["seq"], 4), be(purse["spent"], 4), body, purse["tac"]) + b"\x90\0"

    def deliver(self, taken: dict, target: bytes, data: bytes) -> bytes:
        need(len(data) == 252, "6700")
        role, kv, state = taken["role"], taken["kv"], self.state
        need(target == bytes([role, kv]), "6985")
        ctr, e, umac, tmac = data[:4], data[4:228], data[228:244], data[244:]
        m = (taken["slot"] or self.decoy)["m"]
        need(taken["slot"] and pc.same(pc.update_tap_mac(m, role, kv, taken["rt"], taken["rc"], ctr, e, umac), tmac), "6982")
        u_enc, u_mac, u_rcpt = (state["update"][at : at + 16] for at in (0, 16, 32))
        need(pc.same(pc.update_mac(u_mac, ctr, e), umac), "6982")
        if (ctr, umac) != (state["ctr"], state["umac"]):
            need(ctr > state["ctr"] and not state["open"], "6985")
            self.change(pc.parse_update(pc.cbc_decrypt(u_enc, pc.aes_encrypt_block(u_enc, b"\x08" + ctr + bytes(11)), e)), u_rcpt)
            state["ctr"], state["umac"] = ctr, umac
        return pc.update_receipt(u_rcpt, ctr, umac) + b"\x90\0"

    def change(self, update: dict, u_rcpt: bytes) -> None:
        state, op = self.state, update["op"]
        if op == "SLOT":
            role, kv = update["role"][0], update["kv"][0]
            slot = {name: update[name] for name in ("g", "m", "pid", "record")}
            if role == 3:
                slot |= {"cap": NUMBER(update["cap"], "big"), "ktac": pc.update_tac_key(u_rcpt, role, kv, update["pid"])}
                self.load(NUMBER(update["loaded"], "big"), NUMBER(self.random(4), "big") >> 1)
            self.set_slot(role, kv, update["flags"][0], slot)
        elif op == "DG3":
            need(3 in state["objects"] and 0x0F in state["objects"], "6985")
            state["objects"][0x0F] = pc.apply_dg3(state["objects"][0x0F], update["number"][0], update["dg3"], update["signature"])
            state["objects"][3] = update["dg3"]
        elif op == "FLOOR":
            need(self.near(update["floor"]), "6985")
            state["floor"] = max(state["floor"], update["floor"])
        elif op == "BLOCK":
            state["before_block"], state["life"] = state["life"], BLOCKED
        elif op == "ERASE":
            state["slots"].pop((update["role"][0], update["kv"][0]), None)
        else:
            need(state["purse"], "6985")
            self.load(NUMBER(update["loaded"], "big"), 0)

    def load(self, loaded: int, seq: int) -> None:
        purse = self.state["purse"]
        if purse is None:
            self.state["purse"] = {"seq": seq, "loaded": loaded, "spent": 0, "txno": bytes(8), "tac": bytes(8), "sb": bytes(16), "loaded_then": 0}
        else:
            purse["loaded"] = max(purse["loaded"], loaded)

    def set_slot(self, role: int, kv: int, flags: int, slot: dict) -> None:
        slots = self.state["slots"]
        if flags & 1:
            for other in [key for key in slots if key[0] == role and key[1] not in (kv, kv - 1)]:
                del slots[other]
        slots[role, kv] = slot
        need(sum(key[0] == role for key in slots) <= 2, "6985")

    def near(self, day: bytes) -> bool:
        """At most 400 days ahead of a floor that is set."""
        floor = self.state["floor"]
        return not any(floor) or not any(day) or (pc.day_of(day) - pc.day_of(floor)).days <= 400

    # --- Door I -------------------------------------------------------------------------------------------------------

    def external_authenticate(self, command: bytes) -> bytes:
        state, scp = self.state, self.what["scp"]
        locked = state["failures"] >= 16 and state["life"] != BLANK
        before = state["failures"]
        state["failures"] = min(before + 1, 16)
        expected, channel = scp.external_authenticate()
        need(state["life"] != TERMINATED and not locked and pc.same(command, expected), "6982")
        state["failures"] = 0
        self.session, self.what = "door i", {"scp": scp, "keys": (scp.enc, scp.mac, scp.rmac), "channel": channel, "failures": before}
        return b"\x90\0"

    def status(self, failures: int) -> bytes:
        state = self.state
        script, last, h = state["script"]
        return be(state["life"], 1) + script + be(last, 2) + h + be(failures, 1) + state["floor"] + be(state["epoch"], 2) + be(state["open"], 1)

    def in_door_i(self, command: bytes, data: bytes) -> bytes:
        if command[1] == 0xF2:
            if command[2] == 0:
                return self.status(self.what["failures"])
            pairs = (self.state["staged"] or {"pairs": {}})["pairs"]
            need(command[3] in pairs, "6a88")
            return pairs[command[3]][1]
        need(command[1] == 0xDA and data, "6985")
        state, n = self.state, NUMBER(command[2:4], "big")
        script, last, h = state["script"]
        if data[0] == 1:
            need(n == 1 and len(data) == 18, "6985")
            if state["open"] and data[2:] == script:
                need(last == 1 and pc.script_next(pc.script_start(script), 1, data) == h, "6985")
                return b""
            need(data[2:] != script, "6985")
            allowed = {1: (BLANK,), 2: (PERSONALISED, ACTIVE), 3: (PERSONALISED,), 4: (PERSONALISED, ACTIVE), 5: (BLOCKED,), 6: (PERSONALISED, ACTIVE, BLOCKED)}
            need(state["life"] in allowed.get(data[1], ()), "6985")
            state["staged"] = {"kind": data[1], "objects": {}, "pairs": {}, "certificates": {}, "slots": {}, "purse": None, "keys": None, "trust": None, "answers": {}}
            script, last, h = data[2:], 0, pc.script_start(data[2:])
            answer, state["open"] = b"", True
        elif n == last and last and pc.script_next(state["staged"]["before"] if state["staged"] else state["before"], n, data) == h:
            return state["staged"]["answers"][n] if state["staged"] else state["last_answer"]
        else:
            need(state["open"] and n == last + 1, "6985")
            answer = self.step(data[0], data[1:], n, h)
        if state["staged"]:
            state["staged"]["before"] = h
            state["staged"]["answers"][n] = answer
        else:
            state["before"], state["last_answer"] = h, answer
        state["script"] = (script, n, pc.script_next(h, n, data))
        return answer

    def step(self, op: int, payload: bytes, n: int, h: bytes) -> bytes:
        state, staged = self.state, self.state["staged"]
        need(op == 0x0F or staged["kind"] in (1, 2), "6985")
        if op == 2:
            number, total, offset = payload[0], NUMBER(payload[1:3], "big"), NUMBER(payload[3:5], "big")
            size, content = staged["objects"].get(number, (total, b""))
            need(number in (1, 2, 3, 0x0F) and total == size and offset == len(content) and 1 <= len(payload) - 5 <= 233, "6a80")
            staged["objects"][number] = (total, content + payload[5:])
            need(offset + len(payload) - 5 <= total, "6a80")
        elif op == 3:
            need(payload[0] in (1, 2, 3), "6a80")
            need(payload[0] not in staged["pairs"], "6985")
            private = self.random(32)
            staged["pairs"][payload[0]] = (private, pc.public_key(private))
            return staged["pairs"][payload[0]][1]
        elif op == 4:
            need(payload[0] in staged["pairs"] and payload[0] not in staged["certificates"], "6985")
            need(len(payload) == 161 and payload[29:93] == staged["pairs"][payload[0]][1], "6a80")
            staged["certificates"][payload[0]] = payload[1:]
        elif op == 5:
            need(len(payload) == 223 and payload[0] in pc.ROLES and payload[1] and payload[2] < 2 and payload[-8:] == bytes(8), "6a80")
            need((payload[0], payload[1]) not in staged["slots"], "6a80")
            slot = {"g": payload[3:19], "m": payload[19:35], "pid": payload[35:51], "record": payload[51:211]}
            staged["slots"][payload[0], payload[1]] = (payload[2], slot, NUMBER(payload[211:215], "big"))
        elif op == 6:
            need((3, payload[0]) in staged["slots"] and "ktac" not in staged["slots"][3, payload[0]][1], "6985")
            need(len(payload) == 25 and payload[1] < 0x80, "6a80")
            staged["slots"][3, payload[0]][1].update(cap=NUMBER(payload[5:9], "big"), ktac=payload[9:])
            staged["purse"] = NUMBER(payload[1:5], "big")
        elif op == 7:
            need(staged["keys"] is None, "6985")
            need(len(payload) == 96, "6a80")
            staged["keys"] = pc.cbc_decrypt(self.what["scp"].dek, pc.ZERO16, payload)
            return b"".join(pc.key_check_value(staged["keys"][at : at + 16]) for at in range(0, 96, 16))
        elif op == 8:
            need(staged["trust"] is None, "6985")
            need(len(payload) == 86, "6a80")
            staged["trust"] = (payload[:16], payload[16:80], NUMBER(payload[80:82], "big"), payload[82:])
        elif op == 0x0F:
            need(len(payload) == 38 and NUMBER(payload[:2], "big") == n - 1 and payload[2:34] == h, "6985")
            return self.finalise(staged, payload[34:])
        else:
            raise Refused("unknown step", "6a80")
        return b""

    def finalise(self, staged: dict, today: bytes) -> bytes:
        state, kind = self.state, staged["kind"]
        complete = all(number in staged["objects"] for number in (1, 2, 3, 0x0F)) and len(staged["certificates"]) == 3 and staged["keys"] and staged["trust"]
        need(kind != KINDS["personalise"] or complete, "6985")
        need(all(total == len(content) for total, content in staged["objects"].values()), "6985")
        need(set(staged["pairs"]) == set(staged["certificates"]), "6985")
        need(all(role != 3 or "ktac" in slot for (role, _), (_, slot, _) in staged["slots"].items()), "6985")
        ahead = not self.near(today)
        need(not ahead or kind > 2 or staged["trust"], "6985")
        for domain in staged["pairs"]:
            bound = {4} if domain == 2 else {2} if domain == 3 else {1, 3, 5}
            state["slots"] = {key: slot for key, slot in state["slots"].items() if key[0] not in bound}
        state["objects"] |= {number: content for number, (_, content) in staged["objects"].items()}
        state["pairs"] |= staged["pairs"]
        state["certificates"] |= staged["certificates"]
        for (role, kv), (flags, slot, loaded) in staged["slots"].items():
            self.set_slot(role, kv, flags, slot)
            if role == 3:
                self.load(loaded, staged["purse"])
        if staged["keys"]:
            state["static"], state["update"] = staged["keys"][:48], staged["keys"][48:]
        if staged["trust"]:
            root_name, root, state["epoch"], state["floor"] = staged["trust"]
            state["trust"] = (root_name, root)
        if staged["trust"] or not ahead:
            state["floor"] = max(state["floor"], today)
        if kind == KINDS["block"]:
            state["before_block"] = state["life"]
        if kind == KINDS["terminate"]:
            state |= {"static": self.random(48), "update": bytes(48), "objects": {}, "pairs": {}, "certificates": {}, "slots": {}, "purse": None, "trust": None}
        state["life"] = {1: PERSONALISED, 2: state["life"], 3: ACTIVE, 4: BLOCKED, 5: state["before_block"], 6: TERMINATED}[kind]
        state["open"], state["staged"] = False, None
        return be(state["life"], 1)

    # --- Door S -------------------------------------------------------------------------------------------------------

    def present(self, n: int, encoded: bytes) -> bytes:
        free = self.session in ("selected", "tapped")
        need(free if n == 0 else self.session == "presenting" and n == 1 and "leaf" not in self.what, "6985")
        need(self.state["life"] not in (BLANK, TERMINATED), "6985")
        found = pc.parse_terminal_certificate(encoded)
        if n == 0:
            self.session, self.what = "presenting", {"upper": found, "intermediate": encoded}
            pc._check_issued(found, *self.state["trust"])
        else:
            pc._check_issued(found, self.what["upper"]["chr"], self.what["upper"]["public"])
            need((found["expiry"] - found["effective"]).days <= 7 and found["rights"] & self.what["upper"]["rights"], "6a80")
            self.what |= {"lower": found, "leaf": encoded}
        return b"\x90\0"

    def agree(self, data: bytes) -> bytes:
        need(len(data) == 134, "6700")
        suite, rights, qt, sig, state = data[:1], data[1:5], data[5:70], data[70:], self.state
        need(suite == b"\x01", "6a80")
        need("rc" in self.what, "6985")
        rc, leaf, intermediate = self.what.pop("rc"), self.what["leaf"], self.what["intermediate"]
        mask = NUMBER(rights, "big")
        need(mask and not mask & ~(self.what["upper"]["rights"] & self.what["lower"]["rights"]), "6982")
        domain = pc.domain_of(rights)
        need(pc.verify(self.what["lower"]["public"], pc.door_s_signed(leaf, rights, rc, qt), sig), "6982")
        moved = pc.check_chain(*state["trust"], state["floor"], state["epoch"], intermediate, leaf)
        verify = mask & 1 << pc.RIGHT_BITS["VERIFY"]
        need(state["life"] == ACTIVE or verify and state["life"] in (PERSONALISED, BLOCKED), "6985")
        ephemeral, static = self.random(32), state["pairs"][domain][0]
        z1, z2 = (pc.ecdh(private, pc.public64_of(qt)) for private in (ephemeral, static))
        qc = pc.point65(pc.public_key(ephemeral))
        keys = pc.DoorSKeys(intermediate, leaf, rc, rights, qt, sig, qc, z1)
        keys.finish(state["certificates"][domain], z2)
        state["floor"], state["epoch"] = moved["floor"], NUMBER(moved["epoch"], "big")
        self.session, self.what = "door s", {"rights": mask, "keys": (keys.enc, keys.mac, keys.rmac), "channel": keys.channel()}
        return qc + keys.ecert + keys.confirmation + b"\x90\0"

    def in_door_s(self, command: bytes, data: bytes) -> bytes:
        def may(*names: str) -> bool:
            return bool(self.what["rights"] & NUMBER(pc.rights4(*names), "big"))

        state, number = self.state, command[2]
        if command[:2] == b"\x84\x2c":
            need(may("ISSUER"), "6982")
            state["failures"] = 0
            return b""
        need(command[:2] == b"\x84\xb0", "6985")
        need(len(data) == 3, "6700")
        role = number & 0x0F
        if number in (1, 2, 3):
            allowed, found = may(("IDENTITY", "PORTRAIT", "PERMIT")[number - 1]), state["objects"].get(number)
        elif number == 0x0F:
            allowed, found = may("IDENTITY", "PORTRAIT", "PERMIT", "VERIFY"), state["objects"].get(number)
        elif number >> 4 in (1, 2) and role in pc.ROLES:
            allowed = may(pc.ROLES[role]) and (role not in pc.DOOR_F_ROLES or may("VERIFY"))
            versions = sorted((kv for have, kv in state["slots"] if have == role), reverse=True)[(number >> 4) - 1 :]
            slot = state["slots"][role, versions[0]] if versions else None
            found = be(versions[0], 1) + slot["pid"] + slot["record"] if slot else None
        elif number in (0xF0, 0xF1):
            allowed = may("ISSUER") or number == 0xF1 and may("VERIFY")
            found = self.serial if number == 0xF0 else self.status(state["failures"])
        else:
            allowed, found = True, None
        need(allowed, "6982")
        need(found is not None, "6a88")
        offset, length = NUMBER(data[:2], "big"), data[2]
        need(1 <= length <= 237, "6a80")
        need(offset < len(found), "6a86")
        return be(len(found), 2) + found[offset : offset + length]
