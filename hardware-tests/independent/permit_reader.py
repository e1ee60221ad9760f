#!/usr/bin/env python3
"""A terminal and an issuer's bench for permit cards, independent of the Rust programs: every door, over PC/SC.

    permit_reader.py tap              --role transit|door|small-payment         door F
    permit_reader.py pay              --amount FEN | --again | --give-up        TAP and COMMIT, retry rule of chapter 11
    permit_reader.py settle           --out FILE                                settlement file
    permit_reader.py deliver          --batch FILE --role ROLE                  sealed updates of chapter 09
    permit_reader.py receipts         --out FILE | --arrived FILE               receipts file
    permit_reader.py record           --role clinic|social-insurance|...        door S: a record and its binding
    permit_reader.py identity         [--groups identity,portrait,permit] [--portrait FILE]
    permit_reader.py verify                                                     door S: the card's status
    permit_reader.py lists            --file FILE                               list file
    permit_reader.py counters         --out FILE                                counters file
    permit_reader.py bench-status     --keys FILE                               door I: GET STATUS
    permit_reader.py bench-script     --keys FILE --kind KIND --script HEX32    door I: activate, block, unblock, terminate
    permit_reader.py bench-rehearse   --keys FILE --serial HEX20                a blank's whole life with test keys
    permit_reader.py selftest

Terminals need --bundle FILE --key FILE, and --state FOLDER where something has to be remembered. The keys of a bench are a file with
ENC, MAC and DEK in hex: test keys only.

Prints one JSON object on standard output. Exit codes: 0 accepted or done, 1 refused, 2 usage or an unusable file, 3 no service,
reader or card, 4 outcome unknown.
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

import door_f  # noqa: E402
import door_i  # noqa: E402
import door_s  # noqa: E402
import permit_card as pc  # noqa: E402
from rehearsal import Rehearsal  # noqa: E402
from terminal import PROVINCE_TIME, REFUSALS, Counted, Memory, PcscCard, Stop, Terminal, load_bundle, read_file, read_key, write_file  # noqa: E402

ROLE_NAMES = {name.lower().replace("_", "-"): role for role, name in pc.ROLES.items()}
DOOR_F_NAMES = sorted(name for name, role in ROLE_NAMES.items() if role in pc.DOOR_F_ROLES)


# --- Results ----------------------------------------------------------------------------------------------------------


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


def seen_groups(found: dict) -> dict:
    """Data groups as text; the portrait itself goes into a file."""
    result = {}
    if "identity" in found:
        items = {name: value for name, value in found["identity"].items() if name != "photo"}
        days = {name: pc.day_of(items[name]).isoformat() for name in ("birth_date", "issue_date")}
        result["identity"] = {name: value[0] if name in ("sex", "nation") else days.get(name) or value.decode("utf-8") for name, value in items.items()}
    if "portrait" in found:
        result["portrait"] = {"format": {1: "JPEG", 2: "JPEG 2000"}[found["portrait"]["format"]], "bytes": len(found["portrait"]["image"])}
    if "permit" in found:
        permit = found["permit"]
        result["permit"] = {
            "permit_id": permit["permit_id"].hex(),
            "tier": pc.TIERS[permit["tier"]],
            "issued": pc.day_of(permit["issued"]).isoformat(),
            "endorsed_until": pc.day_of(permit["endorsed_until"]).isoformat(),
            "rule_set": permit["rule_set"].decode("ascii"),
            "state_counter": permit["counter"],
        }
    return result


def failure(schema: str, code: str, message: str, action: str) -> dict:
    return {"schema": schema, "ok": False, "error": {"code": code, "message": message, "action": action}}


def decide(what: str, card, act, terminal: Terminal | None = None, role: int | None = None) -> tuple[int, dict]:
    """Exit code and result object of `act(card)`, which gives the members of the result. Counts the outcome for a role."""
    schema, counted, started = f"yzt.independent-{what}/1", Counted(card), time.monotonic()
    code, reason = 0, None
    try:
        result = {"schema": schema, "ok": True, "decision": "accepted", "reason": None} | act(counted)
        if result.get("list_is_old"):
            reason = "accepted in grace"
    except pc.NotAccepted as refusal:
        code, reason = 1, refusal.reason
        result = failure(schema, reason, *REFUSALS[reason]) | {"decision": "refused", "reason": reason, "saw": {}}
    except Stop as stop:
        if stop.exit_code != 4:
            raise
        code, reason = 4, "OUTCOME_UNKNOWN"
        result = failure(schema, stop.code, stop.message, stop.action) | {"decision": "unknown", "reason": reason, "saw": {}}
    if terminal and role:
        terminal.memory.count(terminal.today, role, reason or "accepted")
    return code, result | {"apdus": counted.apdus, "bytes_sent": counted.sent, "bytes_received": counted.received, "ms": round((time.monotonic() - started) * 1000, 1)}


def done(what: str, **members) -> tuple[int, dict]:
    return 0, {"schema": f"yzt.independent-{what}/1", "ok": True} | members


# --- Commands ---------------------------------------------------------------------------------------------------------


def the_day(given) -> tuple[bytes, datetime.datetime]:
    """The day in UTC+8, and the moment: that of the clock on the day of --at."""
    now = datetime.datetime.now(PROVINCE_TIME)
    try:
        day = datetime.date.fromisoformat(given.at) if given.at else now.date()
    except ValueError:
        raise Stop(2, "USAGE", "--at is not a day.", "Write it as YYYY-MM-DD.") from None
    return pc.date4(day), now.replace(year=day.year, month=day.month, day=day.day)


def the_terminal(given) -> Terminal:
    key = read_key(given.key)
    bundle = load_bundle(read_file(given.bundle, "bundle file"), key)
    today, now = the_day(given)
    terminal = Terminal(key, bundle, Memory(given.state), today, given.grace, now)
    terminal.check_files()
    return terminal


def with_card(given, what: str, act, terminal: Terminal | None = None, role: int | None = None) -> tuple[int, dict]:
    card = PcscCard(given.reader)
    try:
        code, result = decide(what, card, act, terminal, role)
    finally:
        card.close()
    return code, result | {"reader": card.name}


def tap(given) -> tuple[int, dict]:
    terminal, role = the_terminal(given), ROLE_NAMES[given.role]

    def act(card) -> dict:
        _, found = door_f.DoorF(terminal, card, os.urandom).admit(role)
        return {"saw": seen(found), "list_is_old": found["list_is_old"]}

    return with_card(given, "tap", act, terminal, role)


def pay(given) -> tuple[int, dict]:
    terminal = the_terminal(given)
    if given.state is None:
        raise Stop(2, "USAGE", "A payment needs --state: what is open must survive a loss of power.", "Give the terminal's folder.")
    if given.give_up:
        return done("pay", given_up=door_f.give_up(terminal))

    def act(card) -> dict:
        door = door_f.DoorF(terminal, card, os.urandom)
        paid = door_f.pay_again(door) if given.again else door_f.pay(door, given.amount)
        return {"saw": {name: paid[name] for name in ("amount", "balance_before", "balance_after")}, "repeated": paid["result"] == 1}

    return with_card(given, "pay", act, terminal, door_f.SMALL_PAYMENT)


def settle(given) -> tuple[int, dict]:
    terminal = the_terminal(given)
    found = terminal.settlement()
    write_file(given.out, bytes.fromhex(found.pop("content")))
    terminal.settlement_is_written()
    return done("settle", **found)


def deliver(given) -> tuple[int, dict]:
    terminal = the_terminal(given)
    batch = door_f.open_batch(terminal, read_file(given.batch, "update batch"))
    return with_card(given, "deliver", lambda card: {"updates": door_f.deliver(door_f.DoorF(terminal, card, os.urandom), batch, ROLE_NAMES[given.role])})


def receipts(given) -> tuple[int, dict]:
    terminal = the_terminal(given)
    if given.arrived:
        return done("receipts", dropped=door_f.receipts_arrived(terminal, read_file(given.arrived, "receipts file")))
    content, count = door_f.receipts_file(terminal)
    write_file(given.out, content)
    return done("receipts", receipts=count)


def record(given) -> tuple[int, dict]:
    terminal, role = the_terminal(given), ROLE_NAMES[given.role]

    def act(card) -> dict:
        found = door_s.entitlement(terminal, card, os.urandom, role)
        return {"saw": seen(found), "list_is_old": found["list_is_old"]}

    return with_card(given, "record", act, terminal, role)


def identity(given) -> tuple[int, dict]:
    terminal, wanted = the_terminal(given), given.groups.split(",")
    if not set(wanted) <= set(door_s.GROUPS) or given.portrait and "portrait" not in wanted:
        raise Stop(2, "USAGE", "--groups names other groups than there are, or no portrait.", "Name some of " + ",".join(door_s.GROUPS) + ".")

    def act(card) -> dict:
        found = door_s.groups(terminal, card, os.urandom, wanted)
        if given.portrait:
            write_file(given.portrait, found["portrait"]["image"])
        return {"saw": seen_groups(found)}

    return with_card(given, "identity", act)


def shown_status(found: dict) -> dict:
    return {"state": found["state"], "floor": found["floor"].hex(), "epoch": found["epoch"], "failures": found["failures"], "script_open": found["open"]}


def verify(given) -> tuple[int, dict]:
    terminal = the_terminal(given)
    return with_card(given, "verify", lambda card: {"saw": shown_status(door_s.status(terminal, card, os.urandom))})


def lists(given) -> tuple[int, dict]:
    return done("lists", **the_terminal(given).take_lists(read_file(given.file, "list file")))


def counters(given) -> tuple[int, dict]:
    terminal = the_terminal(given)
    content, waiting = terminal.counters()
    write_file(given.out, content)
    terminal.memory.save()
    return done("counters", days_waiting=waiting)


# --- Bench: test keys -------------------------------------------------------------------------------------------------


def hex_of(text: str, size: int, what: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) != size:
        raise Stop(2, "USAGE", f"{what} is not {size} bytes in hex.", "See permit_reader.py --help.")
    return found


def static_keys(given) -> bytes:
    return hex_of(read_file(given.keys, "key file").decode("ascii", "replace").strip(), 48, "The key file")


def bench_status(given) -> tuple[int, dict]:
    keys = static_keys(given)
    return with_card(given, "bench-status", lambda card: {"saw": shown_status(door_i.DoorI(card, keys, os.urandom).status())})


def bench_script(given) -> tuple[int, dict]:
    keys, script = static_keys(given), hex_of(given.script, 16, "--script")
    today, _ = the_day(given)
    return with_card(given, "bench-script", lambda card: {"saw": door_i.DoorI(card, keys, os.urandom).script(given.kind, script, [], today)})


def bench_rehearse(given) -> tuple[int, dict]:
    keys, serial = static_keys(given), hex_of(given.serial, 10, "--serial")
    today, _ = the_day(given)
    seed = os.urandom(16)

    def act(card) -> dict:
        rehearsal = Rehearsal(card, keys, serial, seed, today, os.urandom)
        return {"steps": rehearsal.run()}

    return with_card(given, "bench-rehearse", act)


def selftest(given) -> tuple[int, dict]:
    import selftest as tests

    cases, wrong = tests.run()
    if wrong:
        return 1, failure("yzt.independent-selftest/1", "SELFTEST", "; ".join(wrong), "Compare the programs of this folder with the specification.")
    return done("selftest", cases=cases)


# --- Program ----------------------------------------------------------------------------------------------------------


class Arguments(argparse.ArgumentParser):
    def error(self, message: str):
        raise Stop(2, "USAGE", message, "See permit_reader.py --help.")


def arguments() -> Arguments:
    path = pathlib.Path
    common = Arguments(add_help=False)
    common.add_argument("--at", help="day to judge by, YYYY-MM-DD; default: today in UTC+8")
    reader = Arguments(add_help=False)
    reader.add_argument("--reader", help="PC/SC reader name; default: the only one with a card")
    files = Arguments(add_help=False)
    files.add_argument("--bundle", type=path, required=True, help="sealed terminal bundle")
    files.add_argument("--key", type=path, required=True, help="terminal key file (chapter 08)")
    files.add_argument("--state", type=path, help="folder in which the terminal remembers")
    files.add_argument("--grace", action="store_true", help="the operator accepts an old deny list as long as its signer allows")
    bench = Arguments(add_help=False)
    bench.add_argument("--keys", type=path, required=True, help="file with ENC, MAC, DEK in hex; test keys only")

    program = Arguments(description="Permit cards over PC/SC, from the specification alone.")
    commands = program.add_subparsers(dest="command", required=True)

    def command(name: str, function, *parents) -> argparse.ArgumentParser:
        found = commands.add_parser(name, parents=list(parents))
        found.set_defaults(function=function)
        return found

    command("tap", tap, common, files, reader).add_argument("--role", choices=DOOR_F_NAMES, default="transit")
    one = command("pay", pay, common, files, reader).add_mutually_exclusive_group(required=True)
    one.add_argument("--amount", type=int, help="in fen")
    one.add_argument("--again", action="store_true", help="the same card is presented again")
    one.add_argument("--give-up", action="store_true", help="the open purchase goes into the settlement as unknown")
    command("settle", settle, common, files).add_argument("--out", type=path, required=True)
    found = command("deliver", deliver, common, files, reader)
    found.add_argument("--batch", type=path, required=True)
    found.add_argument("--role", choices=DOOR_F_NAMES, default="transit")
    one = command("receipts", receipts, common, files).add_mutually_exclusive_group(required=True)
    one.add_argument("--out", type=path)
    one.add_argument("--arrived", type=path, help="a file that the office has: its receipts are kept no longer")
    command("record", record, common, files, reader).add_argument("--role", choices=sorted(ROLE_NAMES), default="clinic")
    found = command("identity", identity, common, files, reader)
    found.add_argument("--groups", default="identity,portrait,permit")
    found.add_argument("--portrait", type=path, help="file for the picture")
    command("verify", verify, common, files, reader)
    command("lists", lists, common, files).add_argument("--file", type=path, required=True)
    command("counters", counters, common, files).add_argument("--out", type=path, required=True)
    command("bench-status", bench_status, common, bench, reader)
    found = command("bench-script", bench_script, common, bench, reader)
    found.add_argument("--kind", choices=["activate", "block", "unblock", "terminate"], required=True)
    found.add_argument("--script", required=True, help="script id: the same for every attempt at one script")
    found = command("bench-rehearse", bench_rehearse, common, bench, reader)
    found.add_argument("--serial", required=True)
    command("selftest", selftest)
    return program


def main(words: list[str]) -> int:
    command = words[0] if words and not words[0].startswith("-") else "reader"
    try:
        given = arguments().parse_args(words)
        if given.command == "pay" and given.amount is not None and not 0 < given.amount < 1 << 32:
            raise Stop(2, "USAGE", "--amount is not a number of fen.", "Give a whole number above zero.")
        code, result = given.function(given)
    except Stop as stop:
        code, result = stop.exit_code, failure(f"yzt.independent-{command}/1", stop.code, stop.message, stop.action)
    print(json.dumps(result, ensure_ascii=False))
    return code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
