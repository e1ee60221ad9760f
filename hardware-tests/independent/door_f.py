"""Door F as a terminal sees it: TAP, COMMIT with the retry rule, delivery of updates (chapters 06, 09, 11)."""

from __future__ import annotations

import permit_card as pc
from terminal import EPOCH, CardLost, Stop, Terminal, outcome_unknown, select, unusable

SMALL_PAYMENT = 3


class Tapped:
    """A genuine TAP: what it showed, and what a COMMIT or an UPDATE behind it needs."""

    def __init__(self, key: dict, plain: bytes, rt: bytes, rc: bytes):
        self.key, self.role, self.kv, self.rt, self.rc = key, key["role"], key["kv"], rt, rc
        self.pid, self.record = plain[:16], plain[64:224]
        self.seq, self.loaded, self.spent = (int.from_bytes(plain[i : i + 4], "big") for i in (20, 24, 28))
        self.txno, self.sb, self.tac = plain[32:40], plain[40:56], plain[56:64]
        self.m = pc.tap_key(key["tap"], self.role, key["region"], self.kv, self.pid)

    @property
    def before(self) -> bytes | None:
        """The debit before this TAP, as chapter 11 keeps it; None where there was none."""
        figures = b"".join(pc.be(value, 4) for value in (self.seq, self.loaded, self.spent))
        return figures + self.txno + self.sb + self.tac if any(self.txno) else None


def search(bundle: dict, keys: list[dict], rt: bytes, answer: bytes) -> Tapped | None:
    """Who made this answer to a TAP; None when no cohort of these keys opens it."""
    rc, cipher, mac = answer[:16], answer[16:240], answer[240:256]
    forged = False
    for key in keys:
        role, kv = key["role"], key["kv"]
        for cohort in range(256):
            if key["group"] is None:
                break
            group = pc.group_key(key["group"], role, key["region"], kv, cohort)
            if not pc.cohort_fits(group, cipher):
                continue
            found = Tapped(key, pc.tap_open(group, rc, cipher), rt, rc)
            if pc.same(pc.tap_mac(found.m, role, kv, rt, rc, cipher), mac):
                return found
            forged = True
    if forged:
        raise pc.NotAccepted("NOT_GENUINE")
    return None


class DoorF:
    """Taps of one card in the field. `random` gives as many bytes as it is asked for."""

    def __init__(self, terminal: Terminal, card, random):
        self.terminal, self.card, self.random, self.challenges = terminal, card, random, set()

    def version(self, keys: list[dict]) -> Tapped | None:
        """One TAP with these keys, all of one role and version."""
        rt = self.random(16)
        answer = self.card.transmit(pc.tap_command(keys[0]["role"], keys[0]["kv"], rt))
        if len(answer) != 258 or answer[-2:] != b"\x90\0":
            raise pc.NotAccepted("NOT_GENUINE")
        if answer[:16] in self.challenges:
            raise pc.NotAccepted("REPLAY")
        self.challenges.add(answer[:16])
        return search(self.terminal.bundle, keys, rt, answer[:256])

    def tap(self, role: int) -> Tapped:
        """A genuine TAP with whichever version the card has."""
        usable = [key for key in self.terminal.bundle["keys"] if key["role"] == role and (key["state"] == 1 or self.terminal.today <= key["until"])]
        usable.sort(key=lambda key: key["state"])
        for kv in dict.fromkeys(key["kv"] for key in usable):
            found = self.version([key for key in usable if key["kv"] == kv])
            if found:
                return found
        raise pc.NotAccepted("NOT_ACTIVE")

    def admit(self, role: int) -> tuple[Tapped, dict]:
        """Everything of "What a terminal does": the TAP and the fields of the record."""
        terminal = self.terminal
        old = pc.check_bundle_use(terminal.bundle, role, terminal.today, terminal.grace)
        select(self.card)
        tapped = self.tap(role)
        found = pc.judge_record(terminal.bundle, tapped.key, tapped.pid, tapped.record, terminal.today)
        return tapped, found | {"list_is_old": old}


# --- COMMIT -----------------------------------------------------------------------------------------------------------


def pay(door: DoorF, amount: int) -> dict:
    """A new purchase. The result when the card was debited; `Stop` with exit 4 while nobody knows."""
    terminal, memory = door.terminal, door.terminal.memory
    if memory.open_purchase:
        raise outcome_unknown("The purchase before is open.")
    if terminal.bundle["tid"] is None:
        raise unusable("The bundle has no registration number.", "Register the terminal for payments.")
    tapped, found = door.admit(SMALL_PAYMENT)
    if amount > tapped.loaded - tapped.spent:
        raise pc.NotAccepted("BALANCE_TOO_LOW")
    time = int((terminal.now - EPOCH).total_seconds())
    body = pc.commit_body(amount, terminal.bundle["tid"], door.random(8), time)
    purchase = {"kv": pc.be(tapped.kv, 1), "region": tapped.key["region"], "pid": tapped.pid, "body": body, "s0": pc.be(tapped.seq, 4), "before": tapped.before}
    return commit(door, purchase, tapped) | {"record": found}


def pay_again(door: DoorF) -> dict:
    """The retry rule of chapter 11 on a fresh TAP: the same pid and the same body, or nothing.

    At s0 the holder is judged again, and a refusal ends the purchase: the TAP showed that nothing was debited. Behind the debit only
    T counts, so that the outcome is found out on any day.
    """
    purchase = door.terminal.memory.open_purchase
    if not purchase:
        raise Stop(1, "NO_OPEN_PURCHASE", "No purchase is open.", "Start one with pay --amount.")
    try:
        select(door.card)
        tapped, shown = tap_of(door, purchase)
    except CardLost:
        raise outcome_unknown("The card left; the purchase before is open.") from None
    except pc.NotAccepted:
        tapped, shown = None, "someone else"
    if shown == "someone else":
        raise outcome_unknown("This is another card; the purchase before is open.")
    if shown == "something else":
        raise outcome_unknown("Another debit came after this purchase: only the settlement can tell. Give it up (pay --give-up).")
    if shown == "not debited":
        terminal = door.terminal
        try:
            pc.check_bundle_use(terminal.bundle, SMALL_PAYMENT, terminal.today)
            pc.judge_record(terminal.bundle, tapped.key, tapped.pid, tapped.record, terminal.today)
        except pc.NotAccepted:
            terminal.memory.end_purchase()
            raise
    return commit(door, purchase, tapped)


def tap_of(door: DoorF, purchase: dict) -> tuple[Tapped | None, str]:
    """A TAP under the key of the purchase, and which row of the table it is."""
    keys = [key for key in door.terminal.bundle["keys"] if (key["role"], key["kv"], key["region"]) == (SMALL_PAYMENT, purchase["kv"][0], purchase["region"])]
    if not keys:
        raise outcome_unknown("The key version of the open purchase is no longer in the bundle.")
    tapped = door.version(keys)
    if tapped is None or tapped.pid != purchase["pid"]:
        return tapped, "someone else"
    s0, ours = int.from_bytes(purchase["s0"], "big"), purchase["body"][8:16]
    if tapped.seq == s0:
        return tapped, "not debited"
    return tapped, "debited" if tapped.seq == s0 + 1 and tapped.txno == ours else "something else"


def commit(door: DoorF, purchase: dict, tapped: Tapped) -> dict:
    """Sends COMMIT behind `tapped`; ends the purchase when the outcome is known."""
    memory, body = door.terminal.memory, purchase["body"]
    amount = int.from_bytes(body[:4], "big")
    if pc.be(tapped.seq, 4) == purchase["s0"]:
        # The debit, if this attempt makes it, is over the figures of this TAP: money may have been loaded since the last.
        purchase = purchase | {"loaded": pc.be(tapped.loaded, 4), "spent": pc.be(tapped.spent + amount, 4)}
        memory.keep_purchase(purchase)
    seq = pc.be(int.from_bytes(purchase["s0"], "big") + 1, 4)
    head = bytes([SMALL_PAYMENT, tapped.kv])
    mac = pc.commit_mac(tapped.m, *head, tapped.rt, tapped.rc, pc.be(tapped.seq, 4), body)
    try:
        answer = door.card.transmit(b"\x80\x12" + head + b"\x2c" + body + mac + b"\x19")
    except CardLost:
        raise outcome_unknown("The card left before it answered.") from None
    result, tac, proof = answer[:1], answer[1:9], answer[9:25]
    expected = pc.commit_proof(tapped.m, *head, tapped.rt, tapped.rc, result[0], seq, purchase["spent"], body, tac)
    if len(answer) == 27 and answer[25:] == b"\x90\0" and result[0] in (0, 1) and pc.same(proof, expected):
        line = {name: purchase[name] for name in ("kv", "pid", "body", "loaded", "spent", "before")} | {"seq": seq, "tac": tac}
        memory.end_purchase("lines", line)
        spent = int.from_bytes(purchase["spent"], "big")
        return {"result": result[0], "amount": amount, "balance_before": tapped.loaded - spent + amount, "balance_after": tapped.loaded - spent}
    if answer[-2:] == b"\x69\x85" and len(answer) == 2:
        # Anybody on the wire can say this. Only a fresh TAP shows that nothing was debited.
        try:
            _, shown = tap_of(door, purchase)
        except (CardLost, pc.NotAccepted):
            shown = ""
        if shown == "not debited":
            memory.end_purchase()
            raise pc.NotAccepted("DENIED")
    raise outcome_unknown("The card gave no proof of the debit.")


def give_up(terminal: Terminal) -> dict:
    """The clerk gives up: the line is kept as unknown."""
    purchase = terminal.memory.open_purchase
    if not purchase:
        raise Stop(1, "NO_OPEN_PURCHASE", "No purchase is open.", "Start one with pay --amount.")
    terminal.memory.end_purchase("unknown", {name: purchase[name] for name in ("kv", "pid", "body", "s0")})
    return {"amount": int.from_bytes(purchase["body"][:4], "big")}


# --- Updates ----------------------------------------------------------------------------------------------------------


def open_batch(terminal: Terminal, box: bytes) -> dict:
    try:
        batch = pc.open_update_batch(terminal.key["root"], pc.open_box(b"YZTU", terminal.key["sealing"], box))
    except pc.Refused as problem:
        raise unusable(f"The update batch is refused: {problem}.", "Fetch it again; it opens only with this terminal's key.") from None
    kept = terminal.memory.kept
    if batch["name"] != terminal.bundle["name"].encode():
        raise unusable("The update batch is of another terminal.", "Fetch the batch of this one.")
    if terminal.today > batch["last_day"]:
        raise unusable("The update batch's last day has passed.", "Fetch a new one.")
    sequence = int.from_bytes(batch["sequence"], "big")
    if sequence < kept["batch_sequence"]:
        raise unusable("The update batch is older than one that this terminal had.", "Fetch the newest one.")
    kept["batch_sequence"] = sequence
    terminal.memory.save()
    return batch


def deliver(door: DoorF, batch: dict, role: int) -> dict:
    """Taps, and delivers what waits for this card, in the order of the batch, each behind a TAP of its own."""
    terminal, kept = door.terminal, door.terminal.memory.kept
    pc.check_bundle_use(terminal.bundle, role, terminal.today, terminal.grace)
    takes_updates = select(door.card)
    tapped = door.tap(role)
    report = {"waiting": 0, "delivered": 0, "dropped": 0, "kept": 0}
    if kept["aside"]["day"] != terminal.today.hex():
        kept["aside"] = {"day": terminal.today.hex(), "updates": []}
    settled = {*kept["receipts"], *kept["dropped"], *kept["aside"]["updates"]}
    waiting = [item for item in batch["updates"] if item["role"][0] == role and item["pid"] == tapped.pid and item["id"].hex() not in settled]
    report["waiting"] = len(waiting)
    for done, item in enumerate(waiting):
        # The first TAP is fresh; a later one may find that the update before took this slot away.
        fresh = tapped if done == 0 else door.version([tapped.key])
        if not takes_updates or fresh is None or fresh.pid != tapped.pid:
            report["kept"] += len(waiting) - done
            break
        status = update(door, fresh, item, terminal)
        if status == "9000":
            report["delivered"] += 1
        elif status == "6985":
            kept["dropped"].append(item["id"].hex())
            report["dropped"] += 1
        else:
            # This card is not asked again today. Only the ids are kept: which card and when is nobody's business.
            kept["aside"]["updates"] += [later["id"].hex() for later in waiting[done:]]
            report["kept"] += len(waiting) - done
        terminal.memory.save()
        if status not in ("9000", "6985"):
            break
    return report


def update(door: DoorF, tapped: Tapped, item: dict, terminal: Terminal) -> str:
    """One UPDATE behind a TAP: its status. 9000 only with the receipt in safety."""
    tmac = pc.update_tap_mac(tapped.m, tapped.role, tapped.kv, tapped.rt, tapped.rc, item["ctr"], item["e"], item["umac"])
    data = item["ctr"] + item["e"] + item["umac"] + tmac
    try:
        answer = door.card.transmit(bytes([0x80, 0x14, tapped.role, tapped.kv, len(data)]) + data + b"\x10")
    except CardLost:
        raise Stop(4, "OUTCOME_UNKNOWN", "The card left before it answered the update.", "Tap the card again: the same update gives the same receipt.") from None
    status = answer[-2:].hex()
    if status == "9000" and len(answer) == 18:
        terminal.memory.kept["receipts"][item["id"].hex()] = answer[:16].hex()
        terminal.memory.save()
        return "9000"
    if status in ("6985", "6982", "6d00"):
        return status
    raise Stop(4, "OUTCOME_UNKNOWN", "The card's answer to the update says nothing.", "Tap the card again: the same update gives the same receipt.")


def receipts_file(terminal: Terminal) -> tuple[bytes, int]:
    kept = sorted(terminal.memory.kept["receipts"].items())
    return pc.receipts([(bytes.fromhex(update), bytes.fromhex(receipt)) for update, receipt in kept]), len(kept)


def receipts_arrived(terminal: Terminal, content: bytes) -> int:
    """The office has this receipts file: they are kept no longer, and none of these updates is delivered again."""
    try:
        items = pc.open_receipts(content)
    except pc.Refused as problem:
        raise unusable(f"The receipts file is refused: {problem}.", "Give the file that the office has.") from None
    kept = terminal.memory.kept
    gone = [update.hex() for update, receipt in items if kept["receipts"].get(update.hex()) == receipt.hex()]
    for update_id in gone:
        del kept["receipts"][update_id]
    kept["dropped"] += gone
    terminal.memory.save()
    return len(gone)
