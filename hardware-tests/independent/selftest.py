"""What the programs of this folder must do, without a reader: every vector, a tap from the vectors with each thing changed that a
terminal must notice, and conversations with the card of `model_card.py` over a wire that loses and forges answers.

Each case is a function whose name says what holds; it raises when it does not.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import sys
import tempfile

import door_f
import door_i
import door_s
import permit_card as pc
from model_card import ModelCard
from office import CLINIC, DOOR, SMALL_PAYMENT, TRANSIT, Office
from rehearsal import EVERYTHING, Rehearsal
from terminal import CardLost, Memory, Stop, Terminal, key_file, load_bundle, read_key

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "card-applet-spec" / "spec" / "vectors"
TODAY = bytes.fromhex("20261121")
SERIAL = bytes.fromhex("00010000002a00000001")
CASES = []


def case(function):
    CASES.append(function)
    return function


def must(found, wanted, what: str = "") -> None:
    if found != wanted:
        raise AssertionError(f"{what or 'value'}: expected {wanted}, found {found}")


def refused(act, wanted: str) -> None:
    """`act` ends with this reason, error code or status."""
    try:
        act()
    except pc.NotAccepted as refusal:
        must(refusal.reason, wanted, "reason")
    except Stop as stop:
        must(stop.code, wanted, "error code")
    except pc.Refused as refusal:
        must(refusal.status or "refused", wanted, "status")
    else:
        raise AssertionError(f"expected {wanted}, and nothing was refused")


class Random:
    """Bytes that look random and are the same in every run."""

    def __init__(self, seed: str):
        self.seed, self.count = seed, 0

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return (pc.sha256(f"{self.seed} {self.count}".encode()) * (size // 32 + 1))[:size]


# --- Vectors ----------------------------------------------------------------------------------------------------------


@case
def every_vector_of_the_specification_is_reproduced():
    sys.path.insert(0, str(VECTORS))
    import recompute

    total, wrong = recompute.problems()
    if wrong or not total:
        raise AssertionError("; ".join(wrong) or "there are no vectors")


def vector(file: str, name: str) -> dict:
    content = json.loads((VECTORS / f"{file}.json").read_text("utf-8"))
    return next(found for found in content["vectors"] if found["name"] == name)


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


@case
def the_tap_of_the_vectors_is_accepted_and_every_change_of_it_is_noticed():
    tap_vector = vector("06-door-f", "tap: TRANSIT")
    box, bundle_vector = vector("08-terminals", "sealed box: the bus's bundle"), vector("08-terminals", "bundle: a bus")
    key = {"sealing": bytes.fromhex(box["inputs"]["receiver"]), "root": bytes.fromhex(bundle_vector["outputs"]["root_public"]), "name": "公交 42".encode()}
    refused(lambda: load_bundle(bytes.fromhex(box["outputs"]["box"]), key | {"name": b"another"}), "UNUSABLE_FILE")
    bundle = load_bundle(bytes.fromhex(box["outputs"]["box"]), key)
    today, pid = bytes.fromhex("20261125"), bytes.fromhex(tap_vector["inputs"]["pid"])

    def expect(name: str, reason: str | None, *, change=None, day: bytes = today, role: int = TRANSIT, **changed) -> None:
        card = VectorCard(vector("02-data-groups", "select")["outputs"], tap_vector)
        if change is not None:
            change(card)
        terminal = Terminal(key, bundle | changed, Memory(None), day)
        try:
            door_f.DoorF(terminal, card, lambda size: card.rt).admit(role)
            found = None
        except pc.NotAccepted as refusal:
            found = refusal.reason
        must(found, reason, name)

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
    expect("the vector's tap", None)
    for at, reason in ((0, "NOT_GENUINE"), (16, "NOT_ACTIVE"), (32, "NOT_ACTIVE"), (100, "NOT_GENUINE"), (240, "NOT_GENUINE")):
        expect(f"a flipped bit in byte {at}", reason, change=flip(at))
    expect("an answer to another challenge", "NOT_GENUINE", change=other_rt)
    expect("an application without card info", "FOREIGN_CARD", change=foreign)
    expect("the same answer to two TAPs", "REPLAY", change=repeating)
    expect("keys of other groups", "NOT_ACTIVE", keys=[item | {"group": pc.sha256(item["group"])} for item in bundle["keys"]])
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
    expect("a role without keys", "WRONG_ROLE", role=DOOR)


@case
def the_terminals_batch_of_the_vectors_opens():
    box = vector("09-updates", "sealed box: the update batch")
    root = vector("09-updates", "update batch: a bus")["outputs"]["root_public"]
    plain = pc.open_box(b"YZTU", bytes.fromhex(box["inputs"]["receiver"]), bytes.fromhex(box["outputs"]["box"]))
    must(len(pc.open_update_batch(bytes.fromhex(root), plain)["updates"]), 3)


# --- A card in use ----------------------------------------------------------------------------------------------------


class Scene:
    """An active card of the model, its office, and terminals."""

    def __init__(self, name: str, folder: str | None = None, seed: bytes = b"seed"):
        self.random = Random(name)
        self.transport = self.random(48)
        self.card = ModelCard(SERIAL, self.transport, self.random)
        self.life = Rehearsal(self.card, self.transport, SERIAL, seed, TODAY, self.random)
        self.office = self.life.office
        self.life.issue()
        self.folder = pathlib.Path(folder) if folder else None

    def terminal(self, name: str, roles: list[int], *, today: bytes = TODAY, grace: bool = False, memory: Memory | None = None, **options) -> Terminal:
        key, box = self.office.terminal(name, roles, **options)
        moment = datetime.datetime(2026, 11, 21, 4, tzinfo=datetime.timezone.utc)
        return Terminal(key, load_bundle(box, key), memory or Memory(self.folder), today, grace, moment)

    def shop(self, name: str = "shop", **options) -> Terminal:
        return self.terminal(name, [SMALL_PAYMENT], tid=7, **options)

    def door(self, terminal: Terminal, card=None) -> door_f.DoorF:
        return door_f.DoorF(terminal, card or self.card, self.random)

    @property
    def spent(self) -> int:
        return self.card.state["purse"]["spent"]


def with_folder(function):
    def run():
        with tempfile.TemporaryDirectory() as folder:
            function(folder)

    run.__name__ = function.__name__
    return case(run)


@case
def a_blank_lives_its_whole_life_through_every_door():
    random = Random("life")
    transport = random(48)
    must(len(Rehearsal(ModelCard(SERIAL, transport, random), transport, SERIAL, b"seed", TODAY, random).run()) > 30, True)


@case
def an_interrupted_personalisation_goes_on_where_the_card_stands():
    class Cut:
        """Loses the answer of one STEP, which the card did."""

        def __init__(self, card: ModelCard, at: int):
            self.card, self.at = card, at

        def transmit(self, command: bytes) -> bytes:
            answer = self.card.transmit(command)
            self.at -= command[:2] == b"\x84\xda"
            if self.at == 0 and command[:2] == b"\x84\xda":
                self.card.reset()
                raise CardLost
            return answer

    sent = []
    whole = len(Office(b"seed", SERIAL, TODAY).personalisation(bytes(16))) + 2
    for at in (1, 3, 5, 9, whole):
        random = Random(f"cut {at}")
        transport = random(48)
        card = ModelCard(SERIAL, transport, random)
        office = Office(b"seed", SERIAL, TODAY)
        steps = office.personalisation(transport[32:])

        def attempt(wire):
            return door_i.DoorI(wire, transport if card.state["life"] == 1 else office.issuance, random).script("personalise", b"S" * 16, steps, TODAY)

        refused(lambda: attempt(Cut(card, at)), "OUTCOME_UNKNOWN")
        found = attempt(card)
        must((found["state"], found["sent"]), ("PERSONALISED", found["steps"] - at))
        must(attempt(card)["sent"], 0, "a finished script is not run again")
        sent.append(found["steps"])
    must(len(set(sent)), 1)


@case
def wrong_keys_are_noticed_before_the_card_counts_an_attempt():
    scene = Scene("wrong keys")
    refused(lambda: door_i.DoorI(scene.card, scene.transport, scene.random), "WRONG_KEYS")
    must(scene.card.state["failures"], 0)


@case
def door_i_counts_wrong_tries_tells_them_and_is_as_strict_as_its_chapter():
    scene = Scene("strict")
    keys = scene.card.state["static"]

    def attempt(wrong: bool, le: bytes = b"", version: int = 0) -> bytes:
        card = scene.card
        card.reset()
        card.transmit(pc.SELECT)
        answer = card.transmit(bytes([0x80, 0x50, version, 0, 8]) + bytes(8) + b"\0")
        if answer[-2:] != b"\x90\0":
            return answer
        command, attempt.channel = pc.Scp03(keys, bytes(8), answer[13:21]).external_authenticate()
        return card.transmit((command[:-1] + bytes([command[-1] ^ wrong])) + le)

    def told() -> int:
        return door_i.parse_status(attempt.channel.open_answer(scene.card.transmit(attempt.channel.command(bytes.fromhex("84F20000"), b""))))["failures"]

    for _ in range(3):
        must(attempt(True).hex(), "6982")
    must(attempt(False, le=b"\0").hex(), "6700", "no try")
    must(attempt(False, version=1).hex(), "9000")
    must(told(), 3, "what came before this session")
    must(attempt(False).hex(), "9000")
    must(told(), 0)
    must(attempt(False, version=2).hex(), "6a86")
    for le in (b"", b"\x10"):
        attempt(False)
        must(scene.card.transmit(attempt.channel.command(bytes.fromhex("84F20000"), b"")[:-1] + le).hex(), "6700")
    for _ in range(18):
        must(attempt(True).hex(), "6982")
    must(scene.card.state["failures"], 16, "the count stays")
    must(attempt(False).hex(), "6982", "door I is locked")


# --- Payment ----------------------------------------------------------------------------------------------------------


@with_folder
def a_lost_answer_is_repaired_by_the_same_card_and_nobody_pays_twice(folder):
    scene = Scene("lost answers", folder)
    for faults, result in ((["lost before"], 0), (["lost after"], 1), (["lost after", "lost after"], 1), (["lost before", "lost after"], 1), (["6f00"], 1), (["00" * 25 + "9000"], 1), (["9000"], 1)):
        before = scene.spent
        scene.card.faults = list(faults)
        refused(lambda: door_f.pay(scene.door(scene.shop()), 200), "OUTCOME_UNKNOWN")
        for _ in faults[1:]:
            refused(lambda: door_f.pay_again(scene.door(scene.shop())), "OUTCOME_UNKNOWN")
        # A new process: everything that matters is in the folder.
        refused(lambda: door_f.pay(scene.door(scene.shop()), 300), "OUTCOME_UNKNOWN")
        paid = door_f.pay_again(scene.door(scene.shop()))
        must((paid["result"], paid["balance_after"], scene.spent - before), (result, 20000 - scene.spent, 200), str(faults))
        must(scene.shop().memory.open_purchase, None)
    lines = scene.shop().memory.kept["lines"]
    must(len({line["seq"] for line in lines}), 7)
    check_tacs(scene, lines)


def check_tacs(scene: Scene, lines: list[dict]) -> None:
    for line in lines:
        values = (bytes.fromhex(line[name]) for name in ("pid", "seq", "loaded", "spent", "body"))
        must(pc.commit_tac(scene.office.tac_key(line["kv"] if isinstance(line["kv"], int) else int(line["kv"], 16)), 3, 1, *values).hex(), line["tac"], "TAC")


@with_folder
def another_card_is_never_debited_for_an_open_purchase(folder):
    scene, other = Scene("mine", folder), Scene("yours", seed=b"another")
    other.card.state["slots"] = {key: dict(slot) for key, slot in scene.card.state["slots"].items()}
    slot = other.card.state["slots"][SMALL_PAYMENT, 1]
    slot["pid"] = other.random(16)
    slot["m"] = pc.tap_key(scene.office.master("tap", 3, 1), 3, bytes.fromhex("440300"), 1, slot["pid"])
    scene.card.faults = ["lost after"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 200), "OUTCOME_UNKNOWN")
    refused(lambda: door_f.pay_again(scene.door(scene.shop(), other.card)), "OUTCOME_UNKNOWN")
    must((other.spent, scene.shop().memory.open_purchase is not None), (0, True))
    must(door_f.pay_again(scene.door(scene.shop()))["result"], 1)


@with_folder
def a_refusal_that_the_wire_forges_does_not_end_a_purchase(folder):
    scene = Scene("forged 6985", folder)
    scene.card.faults = ["6985"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 200), "OUTCOME_UNKNOWN")
    must(door_f.pay_again(scene.door(scene.shop()))["result"], 1)


@with_folder
def an_amount_above_the_cap_is_refused_and_the_purchase_ends(folder):
    scene = Scene("cap", folder)
    refused(lambda: door_f.pay(scene.door(scene.shop()), 5001), "DENIED")
    must((scene.spent, scene.shop().memory.open_purchase), (0, None))
    refused(lambda: door_f.pay(scene.door(scene.shop()), 20001), "BALANCE_TOO_LOW")
    door_f.pay(scene.door(scene.shop()), 5000)


@with_folder
def another_debit_in_between_leaves_the_purchase_to_the_settlement(folder):
    scene = Scene("in between", folder)
    scene.card.faults = ["lost after"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 200), "OUTCOME_UNKNOWN")
    elsewhere = scene.shop("elsewhere", memory=Memory(None))
    door_f.pay(scene.door(elsewhere), 50)
    refused(lambda: door_f.pay_again(scene.door(scene.shop())), "OUTCOME_UNKNOWN")
    must(scene.spent, 250, "nothing more was debited")
    must(door_f.give_up(scene.shop()), {"amount": 200})
    kept = scene.shop().memory.kept
    must((len(kept["lines"]), len(kept["unknown"])), (0, 1))
    # The terminal that came next shows the debit of the one that gave up: `before` has its figures under a TAC.
    before = bytes.fromhex(elsewhere.memory.kept["lines"][0]["before"])
    body = bytes.fromhex(kept["unknown"][0]["body"])
    must(before[12:20], body[8:16], "txno")
    tac = pc.commit_tac(scene.office.tac_key(1), 3, 1, scene.office.pid(3, 1), before[:4], before[4:8], before[8:12], body)
    must(before[36:], tac, "the TAC of the debit before")


@with_folder
def a_card_that_is_denied_meanwhile_is_not_debited_but_a_debit_is_still_found_out(folder):
    scene = Scene("denied meanwhile", folder)
    denied = pc.list_file([scene.office.deny_list(SMALL_PAYMENT, 2, (scene.office.pid(SMALL_PAYMENT, 1),))])
    scene.card.faults = ["lost after"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 200), "OUTCOME_UNKNOWN")
    must(door_f.pay_again(scene.door(scene.shop()))["result"], 1)
    scene.card.faults = ["lost after"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 100), "OUTCOME_UNKNOWN")
    scene.shop().take_lists(denied)
    must(door_f.pay_again(scene.door(scene.shop()))["result"], 1, "the debit before the list")
    (scene.folder / "lists.yzt").unlink()
    scene.card.faults = ["lost before"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 300), "OUTCOME_UNKNOWN")
    scene.shop().take_lists(denied)
    refused(lambda: door_f.pay_again(scene.door(scene.shop())), "DENIED")
    must((scene.spent, scene.shop().memory.open_purchase), (300, None))


@with_folder
def money_loaded_between_two_attempts_is_in_the_line(folder):
    scene = Scene("load in between", folder)
    scene.card.faults = ["lost before"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 200), "OUTCOME_UNKNOWN")
    scene.card.state["purse"]["loaded"] = 26000
    door_f.pay_again(scene.door(scene.shop()))
    scene.card.faults = ["lost after"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 300), "OUTCOME_UNKNOWN")
    scene.card.state["purse"]["loaded"] = 31000
    door_f.pay_again(scene.door(scene.shop()))
    lines = scene.shop().memory.kept["lines"]
    must([line["loaded"] for line in lines], [pc.be(26000, 4).hex(), pc.be(26000, 4).hex()])
    check_tacs(scene, lines)


@with_folder
def a_settlement_file_holds_every_line_once_and_numbers_have_no_gap(folder):
    scene = Scene("settlement", folder)
    shop = scene.shop()
    refused(shop.settlement, "NOTHING_TO_SETTLE")
    door_f.pay(scene.door(shop), 200)
    door_f.pay(scene.door(shop), 300)
    first = scene.shop().settlement()
    must(scene.shop().settlement(), first, "a file that was perhaps not written is the same again")
    shop = scene.shop()
    shop.settlement_is_written()
    refused(scene.shop().settlement, "NOTHING_TO_SETTLE")
    door_f.pay(scene.door(scene.shop()), 400)
    second = scene.shop().settlement()
    public = pc.public_key(shop.key["authentication"])
    opened = [pc.open_settlement_file(public, bytes.fromhex(found["content"])) for found in (first, second)]
    must([(found["number"], len(found["lines"]), found["tid"], found["name"]) for found in opened], [(1, 2, b"\0\0\0\x07", b"shop"), (2, 1, b"\0\0\0\x07", b"shop")])
    must([line["before"] is None for found in opened for line in found["lines"]], [True, False, False])
    content = bytes.fromhex(first["content"])
    refused(lambda: pc.open_settlement_file(public, content[:30] + bytes([content[30] ^ 1]) + content[31:]), "refused")
    refused(lambda: pc.open_settlement_file(scene.office.public["card ca"], content), "refused")
    line = opened[0]["lines"][0]
    for wrong in (line | {"kv": b"\0"}, line | {"body": line["body"][:4] + bytes(4) + line["body"][8:]}):
        made = pc.settlement_file(shop.key["authentication"], b"shop", b"\0\0\0\x07", 1, [wrong], [])
        refused(lambda made=made: pc.open_settlement_file(public, made), "refused")


@with_folder
def power_lost_between_the_line_and_the_end_of_its_purchase_makes_no_second_line(folder):
    scene = Scene("power", folder)
    scene.card.faults = ["lost after"]
    refused(lambda: door_f.pay(scene.door(scene.shop()), 200), "OUTCOME_UNKNOWN")
    journal = (scene.folder / "purchase.json").read_bytes()
    door_f.pay_again(scene.door(scene.shop()))
    (scene.folder / "purchase.json").write_bytes(journal)
    must((scene.shop().memory.open_purchase, len(scene.shop().memory.kept["lines"])), (None, 1))


# --- Updates ----------------------------------------------------------------------------------------------------------


def batch_of(scene: Scene, terminal: Terminal, items: list[dict], sequence: int = 1) -> dict:
    return door_f.open_batch(terminal, scene.office.batch(terminal.key, items, sequence))


@with_folder
def a_lost_receipt_comes_again_with_the_same_update(folder):
    scene = Scene("lost receipt", folder)
    item = scene.office.sealed_update(1, scene.office.endorsement(scene.office.day(500)), TRANSIT)
    bus = scene.terminal("bus", [TRANSIT])
    batch = batch_of(scene, bus, [item])
    for fault in ("lost after", "6f00", "9000"):
        scene.card.faults = [fault]
        refused(lambda: door_f.deliver(scene.door(bus), batch, TRANSIT), "OUTCOME_UNKNOWN")
    must(door_f.deliver(scene.door(bus), batch, TRANSIT)["delivered"], 1)
    must(door_f.deliver(scene.door(scene.terminal("bus", [TRANSIT])), batch, TRANSIT)["waiting"], 0)
    content, count = door_f.receipts_file(scene.terminal("bus", [TRANSIT]))
    must((count, pc.open_receipts(content)), (1, [(item["id"], item["receipt"])]))
    must(door_f.receipts_arrived(scene.terminal("bus", [TRANSIT]), content), 1)
    must(door_f.receipts_file(scene.terminal("bus", [TRANSIT]))[1], 0)
    must(door_f.deliver(scene.door(scene.terminal("bus", [TRANSIT])), batch, TRANSIT)["waiting"], 0, "and it is not delivered again")


@with_folder
def updates_that_a_card_refuses_are_dropped_or_tried_on_another_day(folder):
    scene = Scene("refused updates", folder)
    office, floor = scene.office, lambda later: pc.update_small(0x11, scene.office.day(later))
    bus = scene.terminal("bus", [TRANSIT])
    first, second, older = office.sealed_update(5, floor(1), TRANSIT), office.sealed_update(6, floor(2), TRANSIT), office.sealed_update(4, floor(3), TRANSIT)
    must(door_f.deliver(scene.door(bus), batch_of(scene, bus, [first, second]), TRANSIT)["delivered"], 2)
    batch = batch_of(scene, bus, [older], 2)
    must(door_f.deliver(scene.door(bus), batch, TRANSIT)["dropped"], 1)
    must(door_f.deliver(scene.door(bus), batch, TRANSIT)["waiting"], 0)
    forged = office.sealed_update(7, floor(4), TRANSIT)
    forged["e"] = bytes(224)
    batch = batch_of(scene, bus, [forged], 3)
    must(door_f.deliver(scene.door(bus), batch, TRANSIT)["kept"], 1)
    must(door_f.deliver(scene.door(bus), batch, TRANSIT)["waiting"], 0, "not again today")
    must(door_f.deliver(scene.door(scene.terminal("bus", [TRANSIT], today=office.day(1))), batch, TRANSIT)["kept"], 1, "but tomorrow")
    must(scene.card.state["floor"], office.day(2))


@with_folder
def an_update_that_takes_the_tapped_slot_away_ends_the_delivery(folder):
    scene = Scene("erase", folder)
    bus = scene.terminal("bus", [TRANSIT])
    items = [scene.office.sealed_update(1, pc.update_small(0x13, bytes([TRANSIT, 1])), TRANSIT), scene.office.sealed_update(2, pc.update_small(0x12), TRANSIT)]
    report = door_f.deliver(scene.door(bus), batch_of(scene, bus, items), TRANSIT)
    must((report["delivered"], report["kept"], scene.card.state["life"]), (1, 1, 3))


@with_folder
def batches_of_others_and_old_ones_are_refused(folder):
    scene = Scene("batches", folder)
    bus = scene.terminal("bus", [TRANSIT])
    item = scene.office.sealed_update(1, pc.update_small(0x12), TRANSIT)
    batch_of(scene, bus, [item], 7)
    refused(lambda: batch_of(scene, bus, [item], 6), "UNUSABLE_FILE")
    batch_of(scene, bus, [item], 7)
    foreign = scene.office.batch(bus.key | {"name": b"another"}, [item], 8)
    refused(lambda: door_f.open_batch(bus, foreign), "UNUSABLE_FILE")
    box = scene.office.batch(bus.key, [item], 9)
    refused(lambda: door_f.open_batch(bus, box[:-1] + bytes([box[-1] ^ 1])), "UNUSABLE_FILE")
    forged = scene.office.box(b"YZTU", bus.key, pc.update_batch(scene.office.private["card ca"], bytes(16), b"bus", TODAY, TODAY, bytes(4), []))
    refused(lambda: door_f.open_batch(bus, forged), "UNUSABLE_FILE")
    refused(lambda: door_f.open_batch(scene.terminal("bus", [TRANSIT], today=scene.office.day(8)), box), "UNUSABLE_FILE")


# --- Door S -----------------------------------------------------------------------------------------------------------


@case
def a_record_on_the_genuine_card_of_another_is_not_genuine():
    scene, other = Scene("owner"), Scene("stranger")
    clinic = scene.terminal("clinic", [CLINIC], rights=pc.rights4("CLINIC"))
    must(door_s.entitlement(clinic, other.card, scene.random, CLINIC)["role"], CLINIC)
    other.card.state["slots"] = scene.card.state["slots"]
    refused(lambda: door_s.entitlement(clinic, other.card, scene.random, CLINIC), "NOT_GENUINE")
    must(door_s.entitlement(clinic, scene.card, scene.random, CLINIC)["role"], CLINIC)


@case
def data_groups_of_another_card_or_with_a_changed_bit_are_not_genuine():
    scene, other = Scene("groups"), Scene("other groups")
    counter = scene.terminal("counter", [], rights=EVERYTHING)
    objects, wanted = scene.card.state["objects"], ["identity", "portrait", "permit"]
    for number in (1, 2, 3, 0x0F):
        good = objects[number]
        objects[number] = good[:-1] + bytes([good[-1] ^ 1])
        refused(lambda: door_s.groups(counter, scene.card, scene.random, wanted), "NOT_GENUINE")
        objects[number] = good
    scene.card.state["objects"] = other.card.state["objects"]
    refused(lambda: door_s.groups(counter, scene.card, scene.random, wanted), "NOT_GENUINE")
    scene.card.state["objects"] = objects
    must(sorted(door_s.groups(counter, scene.card, scene.random, ["permit"])), ["permit"])


@case
def a_terminal_without_the_right_asks_for_nothing_and_a_changed_answer_is_noticed():
    scene = Scene("rights")
    clinic = scene.terminal("clinic", [CLINIC], rights=pc.rights4("CLINIC"))
    refused(lambda: door_s.groups(clinic, scene.card, scene.random, ["identity"]), "NO_RIGHT")
    refused(lambda: door_s.status(scene.terminal("bus", [TRANSIT]), scene.card, scene.random), "UNUSABLE_FILE")
    refused(lambda: door_s.entitlement(scene.terminal("clinic", [CLINIC], rights=pc.rights4("CLINIC"), today=scene.office.day(8), lists=[scene.office.deny_list(CLINIC)]), scene.card, scene.random, CLINIC), "LIST_TOO_OLD")

    class Flipping:
        def __init__(self, at: int, ins: bytes):
            self.at, self.ins = at, ins

        def transmit(self, command: bytes) -> bytes:
            answer = scene.card.transmit(command)
            if command[:2] != self.ins:
                return answer
            return answer[: self.at] + bytes([answer[self.at] ^ 1]) + answer[self.at + 1 :]

    for at, ins in ((70, b"\x80\x22"), (100, b"\x80\x22"), (230, b"\x80\x22"), (3, b"\x84\xb0"), (-3, b"\x84\xb0")):
        refused(lambda at=at, ins=ins: door_s.entitlement(clinic, Flipping(at, ins), scene.random, CLINIC), "NOT_GENUINE")


# --- Lists, counters, files -------------------------------------------------------------------------------------------


@with_folder
def a_newer_list_is_taken_and_an_old_one_does_not_come_back(folder):
    scene = Scene("lists", folder)
    office, mine = scene.office, scene.office.pid(TRANSIT, 1)
    bus = scene.terminal("bus", [TRANSIT])
    scene.door(bus).admit(TRANSIT)
    foreign = Office(b"foreign", SERIAL, TODAY).deny_list(TRANSIT, 9, (mine,))
    newer, other_role = office.deny_list(TRANSIT, 2, (mine,)), office.deny_list(DOOR, 5)
    must(bus.take_lists(pc.list_file([foreign, other_role, newer])), {"lists": 3, "taken": 1})
    refused(lambda: scene.door(scene.terminal("bus", [TRANSIT])).admit(TRANSIT), "DENIED")
    must(scene.terminal("bus", [TRANSIT]).take_lists(pc.list_file([office.deny_list(TRANSIT, 1)]))["taken"], 0)
    refused(lambda: scene.door(scene.terminal("bus", [TRANSIT])).admit(TRANSIT), "DENIED")
    refused(lambda: bus.take_lists(pc.list_file([newer]) + b"\0"), "UNUSABLE_FILE")


@case
def the_grace_of_an_old_list_is_for_transit_and_clinic_and_only_when_asked_for():
    scene = Scene("grace")
    office = scene.office

    def bus(later: int, grace: bool, role: int = TRANSIT, days: int | None = 3) -> Terminal:
        return scene.terminal(f"terminal {role}", [role], today=office.day(later), grace=grace, lists=[office.deny_list(role, grace=days)], tid=7)

    must(scene.door(bus(7, False)).admit(TRANSIT)[1]["list_is_old"], False)
    must(scene.door(bus(10, True)).admit(TRANSIT)[1]["list_is_old"], True)
    for later, grace, role, days in ((8, False, TRANSIT, 3), (11, True, TRANSIT, 3), (8, True, TRANSIT, None), (8, True, DOOR, 3), (8, True, SMALL_PAYMENT, 3)):
        refused(lambda later=later, grace=grace, role=role, days=days: scene.door(bus(later, grace, role, days)).admit(role), "LIST_TOO_OLD")


@with_folder
def counters_are_whole_days_and_numbers(folder):
    scene = Scene("counters", folder)
    memory = scene.terminal("bus", [TRANSIT]).memory
    later = scene.office.day(1)
    for day, reason, times in ((TODAY, "accepted", 3), (TODAY, "DENIED", 1), (TODAY, "accepted in grace", 2), (later, "accepted", 1)):
        for _ in range(times):
            memory.count(day, TRANSIT, reason)
    bus = scene.terminal("bus", [TRANSIT])
    refused(bus.counters, "NOTHING_COUNTED")
    public = pc.public_key(bus.key["authentication"])
    after = scene.terminal("bus", [TRANSIT], today=scene.office.day(2))
    first, waiting = after.counters()
    must(waiting, 1)
    must(pc.open_counters_file(public, first), {"name": b"bus", "day": TODAY, "counts": {(1, 0): 3, (1, 3): 1, (1, 10): 2}})
    second, waiting = after.counters()
    must(waiting, 0)
    must(pc.open_counters_file(public, second), {"name": b"bus", "day": later, "counts": {(1, 0): 1}})
    after.memory.save()
    refused(scene.terminal("bus", [TRANSIT], today=scene.office.day(2)).counters, "NOTHING_COUNTED")


@with_folder
def an_older_bundle_and_a_clock_that_went_back_are_refused(folder):
    scene = Scene("files", folder)
    scene.terminal("bus", [TRANSIT], sequence=4).check_files()
    refused(scene.terminal("bus", [TRANSIT], sequence=3).check_files, "UNUSABLE_FILE")
    scene.terminal("bus", [TRANSIT], sequence=5, today=scene.office.day(1)).check_files()
    refused(scene.terminal("bus", [TRANSIT], sequence=5).check_files, "WRONG_CLOCK")
    key, path = scene.office.terminal("bus", [TRANSIT])[0], pathlib.Path(folder) / "bus.key"
    content = key_file(bytes(16), key["root"], key["sealing"], key["authentication"], key["name"])
    path.write_bytes(content)
    must(read_key(path), key)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    refused(lambda: read_key(path), "UNUSABLE_FILE")


@case
def no_file_of_a_terminal_names_a_person_or_a_place():
    """A purchase names a pid and a time because the settlement must; nothing else of the folder does."""
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene("no log", folder)
        bus = scene.terminal("bus", [TRANSIT])
        bus.check_files()
        scene.door(bus).admit(TRANSIT)
        bus.memory.count(TODAY, TRANSIT, "accepted")
        item = scene.office.sealed_update(1, scene.office.endorsement(scene.office.day(500)), TRANSIT)
        must(door_f.deliver(scene.door(bus), batch_of(scene, bus, [item]), TRANSIT)["delivered"], 1)
        for path in pathlib.Path(folder).iterdir():
            if scene.office.pid(TRANSIT, 1)[:4].hex() in path.read_text("utf-8"):
                raise AssertionError(f"{path.name} holds a pid")


# --- Run --------------------------------------------------------------------------------------------------------------


def run() -> tuple[int, list[str]]:
    """How many cases there are, and a line for each that failed."""
    wrong = []
    for function in CASES:
        try:
            function()
        except Exception as problem:  # every case is reported, whatever it died of
            wrong.append(f"{function.__name__}: {type(problem).__name__}: {problem}")
    return len(CASES), wrong
