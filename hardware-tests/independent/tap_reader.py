#!/usr/bin/env python3
"""A tapping terminal (door F, specification chapters 06 and 08), independent of the Rust programs.

    tap_reader.py --bundle FILE --key FILE --role transit [--reader NAME] [--at YYYY-MM-DD]
    tap_reader.py --selftest

Prints one JSON object on standard output. Exit codes: 0 accepted, 1 refused, 2 usage or an unusable file, 3 no service, reader or
card (also when it is lost on the way: a TAP writes nothing, so nothing is left open).

Left out: COMMIT, updates, door S, and the memory of a real terminal between runs (challenges seen, highest bundle sequence, last
deny-list version).
PC/SC is reached with pyscard; PCSCLITE_CSOCK_NAME selects another daemon, as for every PC/SC program.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import pathlib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import permit_card as pc  # noqa: E402

SCHEMA = "yzt.independent-tap/1"
ROLE_NAMES = {"transit": 1, "small-payment": 3, "door": 5}
PROVINCE_TIME = datetime.timezone(datetime.timedelta(hours=8))
VECTORS = pathlib.Path(__file__).resolve().parents[2] / "card-applet-spec" / "spec" / "vectors"


class Stop(Exception):
    """The program cannot go on: exit code, closed error code, what happened, what to do."""

    def __init__(self, exit_code: int, code: str, message: str, action: str):
        super().__init__(message)
        self.exit_code, self.code, self.message, self.action = exit_code, code, message, action


def unusable(message: str, action: str) -> Stop:
    return Stop(2, "UNUSABLE_FILE", message, action)


REFUSALS = {
    "FOREIGN_CARD": ("This is not a permit card of this specification.", "Hold a permit card to the reader."),
    "NOT_ACTIVE": ("No key of this terminal opens the card, or its permit has not begun.", "The holder asks at the counter."),
    "NOT_GENUINE": ("The card's answer or record is not genuine.", "The holder asks at the counter."),
    "WRONG_ROLE": ("This terminal has no key for this role.", "Use a terminal of that role."),
    "EXPIRED": ("The permit's last day has passed.", "The holder renews the permit at the counter."),
    "DENIED": ("The card is on the deny list, or this zone is not in the permit.", "The holder asks at the counter."),
    "REPLAY": ("The card repeated an earlier answer.", "Remove this card from service."),
    "LIST_TOO_OLD": ("The deny list of this role is missing or too old.", "Fetch a new bundle."),
    "BUNDLE_EXPIRED": ("The bundle's last day has passed.", "Fetch a new bundle."),
}


# --- Files ------------------------------------------------------------------------------------------------------------


def read_key(path: pathlib.Path) -> dict:
    """The terminal's private sealing key and the terminal CA that was pinned at enrolment (chapter 08, "Terminal key")."""
    try:
        content = path.read_bytes()
    except OSError:
        raise unusable("The terminal key file cannot be read.", "Check the path given with --key.") from None
    body, check = content[:-8], content[-8:]
    name_at = 4 + 2 + 16 + 64 + 32 + 32
    whole = len(body) > name_at and len(body) == name_at + 1 + body[name_at]
    if not whole or body[:6] != b"YZTK\x01\x01" or pc.sha256(b"YZT-TERMINAL-KEY-1" + body)[:8] != check:
        raise unusable("The terminal key file is damaged or of another form.", "Restore it, or enrol the terminal again.")
    return {"root": body[22:86], "sealing": body[86:118]}


def load_bundle(box: bytes, key: dict) -> dict:
    try:
        return pc.open_bundle(None, key["root"], pc.open_box(b"YZTB", key["sealing"], box))
    except (pc.Refused, ValueError) as problem:
        raise unusable(f"The bundle is refused: {problem}.", "Fetch the bundle again; it opens only with this terminal's key.") from None


# --- PC/SC ------------------------------------------------------------------------------------------------------------


class PcscCard:
    """One card in one reader. `name` None: the only reader that holds a card."""

    def __init__(self, name: str | None):
        try:
            from smartcard import scard
        except ImportError:
            raise Stop(3, "NO_SERVICE", "pyscard is not installed.", "Install the package python3-pyscard.") from None
        self.scard = scard
        result, self.context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        if result != 0:
            raise Stop(3, "NO_SERVICE", "The smart-card service does not answer.", "Start pcscd.")
        self.name = self._choose(name)
        protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        result, self.card, protocol = scard.SCardConnect(self.context, self.name, scard.SCARD_SHARE_SHARED, protocols)
        if result in (scard.SCARD_E_NO_SMARTCARD, scard.SCARD_W_REMOVED_CARD):
            raise Stop(3, "NO_CARD", "There is no card on the reader.", "Hold a card to the reader.")
        if result in (scard.SCARD_W_UNPOWERED_CARD, scard.SCARD_W_UNRESPONSIVE_CARD):
            raise Stop(3, "CARD_UNPOWERED", "The card cannot be powered.", "Place the card again.")
        if result != 0:
            raise Stop(3, "CARD_NOT_REACHED", scard.SCardGetErrorMessage(result), "Close other programs that use the reader, place the card again.")
        if scard.SCardBeginTransaction(self.card) != 0:
            raise Stop(3, "CARD_NOT_REACHED", "The card cannot be had alone.", "Close other programs that use the reader.")
        self.pci = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0

    def _choose(self, name: str | None) -> str:
        scard = self.scard
        result, names = scard.SCardListReaders(self.context, [])
        names = names if result == 0 else []
        if not names:
            raise Stop(3, "NO_READER", "There is no card reader.", "Connect a reader.")
        if name is not None:
            if name not in names:
                raise Stop(3, "UNKNOWN_READER", "There is no reader of this name.", "Name one of: " + "; ".join(names))
            return name
        states = [(reader, scard.SCARD_STATE_UNAWARE) for reader in names]
        result, states = scard.SCardGetStatusChange(self.context, 0, states)
        held = [reader for reader, event, _ in states if event & scard.SCARD_STATE_PRESENT] if result == 0 else []
        if not held:
            raise Stop(3, "NO_CARD", "No reader holds a card.", "Hold a card to a reader.")
        if len(held) > 1:
            raise Stop(2, "USAGE", "Several readers hold a card.", "Name one with --reader: " + "; ".join(held))
        return held[0]

    def transmit(self, command: bytes) -> bytes:
        result, answer = self.scard.SCardTransmit(self.card, self.pci, list(command))
        if result != 0 or len(answer) < 2:
            raise Stop(3, "CARD_LOST", "The card left the reader.", "Hold the card again until the terminal answers.")
        return bytes(answer)

    def close(self) -> None:
        self.scard.SCardEndTransaction(self.card, self.scard.SCARD_RESET_CARD)
        self.scard.SCardDisconnect(self.card, self.scard.SCARD_LEAVE_CARD)
        self.scard.SCardReleaseContext(self.context)


class Counted:
    """Counts what passes a card's transmit."""

    def __init__(self, card):
        self.card, self.apdus, self.sent, self.received = card, 0, 0, 0

    def transmit(self, command: bytes) -> bytes:
        self.apdus += 1
        self.sent += len(command)
        answer = self.card.transmit(command)
        self.received += len(answer)
        return answer


# --- The tap ----------------------------------------------------------------------------------------------------------


def tap(card, bundle: dict, role: int, today: bytes, random16) -> dict:
    """The record's fields of an accepted card; `NotAccepted` with the reason otherwise."""
    pc.check_bundle_use(bundle, role, today)
    answer = card.transmit(pc.SELECT)
    try:
        if answer[-2:] != b"\x90\0":
            raise pc.Refused("SELECT was refused")
        pc.check_card_info(answer[:-2])
    except pc.Refused:
        raise pc.NotAccepted("FOREIGN_CARD") from None
    challenges = set()
    for version in pc.versions_to_try(bundle, role, today):
        rt = random16()
        answer = card.transmit(pc.tap_command(role, version, rt))
        if len(answer) != 258 or answer[-2:] != b"\x90\0":
            raise pc.NotAccepted("NOT_GENUINE")
        if answer[:16] in challenges:
            raise pc.NotAccepted("REPLAY")
        challenges.add(answer[:16])
        holder = pc.find_holder(bundle, role, version, today, rt, answer[:256])
        if holder is not None:
            return pc.judge_holder(bundle, *holder, today)
    raise pc.NotAccepted("NOT_ACTIVE")


def seen(found: dict) -> dict:
    return {
        "role": pc.ROLES[found["role"]],
        "tier": pc.TIERS[found["tier"]],
        "class": found["class"],
        "services": found["services"].hex(),
        "zones": found["zones"].hex(),
        "valid_from": pc.day_of(found["from"]).isoformat(),
        "valid_to": pc.day_of(found["to"]).isoformat(),
        "rule_set": found["rule_set"].hex(),
    }


def failure(code: str, message: str, action: str) -> dict:
    return {"schema": SCHEMA, "ok": False, "error": {"code": code, "message": message, "action": action}}


def decide(card, bundle: dict, role: int, today: bytes, random16) -> tuple[int, dict]:
    """Exit code and result object of one tap."""
    counted, started = Counted(card), time.monotonic()
    try:
        result = {"schema": SCHEMA, "ok": True, "decision": "accepted", "reason": None, "saw": seen(tap(counted, bundle, role, today, random16))}
    except pc.NotAccepted as refusal:
        result = failure(refusal.reason, *REFUSALS[refusal.reason]) | {"decision": "refused", "reason": refusal.reason, "saw": {}}
    result |= {"apdus": counted.apdus, "bytes_sent": counted.sent, "bytes_received": counted.received, "ms": round((time.monotonic() - started) * 1000, 1)}
    return (0 if result["ok"] else 1), result


# --- Self-test --------------------------------------------------------------------------------------------------------


class VectorCard:
    """Answers SELECT and TAP as the vectors say; every other version, and every other card's TAP, as a decoy would."""

    def __init__(self, select: dict, tap_vector: dict):
        self.select, self.tap_command = (bytes.fromhex(select[name]) for name in ("card_info", "command"))
        self.command, self.answer = (bytes.fromhex(tap_vector["outputs"][name]) for name in ("command", "answer"))
        self.rt = bytes.fromhex(tap_vector["inputs"]["rt"])
        self.always = False

    def transmit(self, command: bytes) -> bytes:
        if command == self.tap_command:
            return self.select + b"\x90\0"
        return (self.answer if self.always or command == self.command else pc.sha256(command) * 8) + b"\x90\0"


def vector(file: str, name: str) -> dict:
    content = json.loads((VECTORS / f"{file}.json").read_text("utf-8"))
    return next(found for found in content["vectors"] if found["name"] == name)


def selftest() -> tuple[int, dict]:
    """One accepted tap from the vectors, and one of each refusal that a changed bit, day or bundle must cause."""
    tap_vector = vector("06-door-f", "tap: TRANSIT")
    box, bundle_vector = vector("08-terminals", "sealed box: the bus's bundle"), vector("08-terminals", "bundle: a bus")
    key = {
        "sealing": bytes.fromhex(box["inputs"]["receiver"]),
        "root_name": bytes.fromhex(bundle_vector["inputs"]["root_name"]),
        "root": bytes.fromhex(bundle_vector["outputs"]["root_public"]),
    }
    bundle = load_bundle(bytes.fromhex(box["outputs"]["box"]), key)
    today, pid = bytes.fromhex("20261125"), bytes.fromhex(tap_vector["inputs"]["pid"])
    wrong = [f"published value: {name}" for name in pc.known_answers()]

    def expect(name: str, reason: str | None, *, change=None, day: bytes = today, role: int = 1, **changed) -> None:
        card = VectorCard(vector("02-data-groups", "select")["outputs"], tap_vector)
        if change is not None:
            change(card)
        _, result = decide(card, bundle | changed, role, day, lambda: card.rt)
        if result["reason"] != reason:
            wrong.append(f"{name}: expected {reason or 'accepted'}, found {result['reason'] or 'accepted'}")

    def flip(at: int):
        def change(card: VectorCard) -> None:
            card.answer = card.answer[:at] + bytes([card.answer[at] ^ 1]) + card.answer[at + 1 :]

        return change

    def other_rt(card: VectorCard) -> None:
        card.rt = bytes(16)
        card.command = pc.tap_command(1, card.command[3], card.rt)

    def repeating(card: VectorCard) -> None:
        card.answer = pc.sha256(b"one answer to every TAP") * 8
        card.always = True

    def foreign(card: VectorCard) -> None:
        card.select = b""

    listed = bundle["deny_lists"][1]
    without = [item | {"group": pc.sha256(item["group"])} for item in bundle["keys"]]
    expect("the vector's tap", None)
    for at, reason in ((0, "NOT_GENUINE"), (16, "NOT_ACTIVE"), (32, "NOT_ACTIVE"), (100, "NOT_GENUINE"), (240, "NOT_GENUINE")):
        expect(f"a flipped bit in byte {at}", reason, change=flip(at))
    expect("an answer to another challenge", "NOT_GENUINE", change=other_rt)
    expect("an application without card info", "FOREIGN_CARD", change=foreign)
    expect("the same answer to two TAPs", "REPLAY", change=repeating)
    expect("keys of other groups", "NOT_ACTIVE", keys=without)
    expect("another entitlement signer", "NOT_GENUINE", entitlement_signer=bundle["card_ca"])
    expect("a record key of another region", "NOT_GENUINE", keys=[item | {"record": pc.sha256(item["record"])} for item in bundle["keys"]])
    yesterday = bytes.fromhex("20261120")
    expect("a day before the first", "NOT_ACTIVE", day=yesterday, deny_lists={1: listed | {"issued": yesterday}})
    expect("a list of tomorrow", "LIST_TOO_OLD", day=yesterday)
    long_use = {"last_day": bytes.fromhex("20301231"), "deny_lists": {1: listed | {"days": 0xFFFF}}}
    expect("the last day", None, day=bytes.fromhex("20271120"), **long_use)
    expect("the day behind the last", "EXPIRED", day=bytes.fromhex("20271121"), **long_use)
    expect("another zone", "DENIED", zones=bytes.fromhex("0000000000000008"))
    expect("a listed pid", "DENIED", deny_lists={1: listed | {"entries": [pid[:8]]}})
    expect("a list of its largest age", None, day=bytes.fromhex("20261128"))
    expect("a list a day older", "LIST_TOO_OLD", day=bytes.fromhex("20261129"))
    expect("no list", "LIST_TOO_OLD", deny_lists={})
    expect("a bundle behind its last day", "BUNDLE_EXPIRED", day=bytes.fromhex("20261229"))
    expect("a role without keys", "WRONG_ROLE", role=5)
    if wrong:
        return 1, failure("SELFTEST", "; ".join(wrong), "Compare permit_card.py with the specification.")
    return 0, {"schema": SCHEMA, "ok": True, "decision": "accepted", "reason": None, "saw": seen(tap(VectorCard(vector("02-data-groups", "select")["outputs"], tap_vector), bundle, 1, today, lambda: bytes.fromhex(tap_vector["inputs"]["rt"])))}


# --- Program ----------------------------------------------------------------------------------------------------------


class Arguments(argparse.ArgumentParser):
    def error(self, message: str):
        raise Stop(2, "USAGE", message, "See tap_reader.py --help.")


def run() -> tuple[int, dict]:
    arguments = Arguments(description="Tap a permit card with a terminal bundle.")
    arguments.add_argument("--bundle", type=pathlib.Path, help="sealed terminal bundle")
    arguments.add_argument("--key", type=pathlib.Path, help="terminal key file (chapter 08)")
    arguments.add_argument("--role", choices=sorted(ROLE_NAMES), default="transit")
    arguments.add_argument("--reader", help="PC/SC reader name; default: the only one with a card")
    arguments.add_argument("--at", help="day to judge by, YYYY-MM-DD; default: today in UTC+8")
    arguments.add_argument("--selftest", action="store_true", help="run the vectors through this reader, without a card")
    given = arguments.parse_args()
    if given.selftest:
        return selftest()
    if given.bundle is None or given.key is None:
        raise Stop(2, "USAGE", "--bundle and --key are needed.", "See tap_reader.py --help.")
    try:
        day = datetime.date.fromisoformat(given.at) if given.at else datetime.datetime.now(PROVINCE_TIME).date()
    except ValueError:
        raise Stop(2, "USAGE", "--at is not a day.", "Write it as YYYY-MM-DD.") from None
    key = read_key(given.key)
    try:
        box = given.bundle.read_bytes()
    except OSError:
        raise unusable("The bundle file cannot be read.", "Check the path given with --bundle.") from None
    bundle = load_bundle(box, key)
    card = PcscCard(given.reader)
    try:
        code, result = decide(card, bundle, ROLE_NAMES[given.role], pc.date4(day), lambda: os.urandom(16))
    finally:
        card.close()
    return code, result | {"reader": card.name}


def main() -> int:
    try:
        code, result = run()
    except Stop as stop:
        code, result = stop.exit_code, failure(stop.code, stop.message, stop.action)
    print(json.dumps(result, ensure_ascii=False))
    return code


if __name__ == "__main__":
    raise SystemExit(main())
