"""A terminal: its files (chapter 08), what it remembers between runs, and the card on a PC/SC reader.

Refusals of a card are `permit_card.NotAccepted`; everything else that ends a program is `Stop`, with the exit code of the contracts:
1 refused, 2 usage or an unusable file, 3 no service, reader or card, 4 outcome unknown.

The folder of a terminal (option --state) holds
    memory.json    highest sequences, deny-list days, counts by day, receipts, settlement lines; never where or when a card was read
    purchase.json  the one purchase whose outcome is open (chapter 11), written before COMMIT is sent
    lists.yzt      the newest deny lists: itself a list file

Left out: a SAM; locks against two programs on one folder.
PC/SC is reached with pyscard; PCSCLITE_CSOCK_NAME selects another daemon, as for every PC/SC program.
"""

from __future__ import annotations

import datetime
import json
import os
import pathlib

import permit_card as pc

PROVINCE_TIME = datetime.timezone(datetime.timedelta(hours=8))
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
STAFF = "The holder asks at the counter."

REFUSALS = {
    "FOREIGN_CARD": ("This is not a permit card of this specification.", "Hold a permit card to the reader."),
    "NOT_ACTIVE": ("No key of this terminal opens the card, or its permit has not begun.", STAFF),
    "NOT_GENUINE": ("The card's answer, certificate or record is not genuine.", STAFF),
    "WRONG_ROLE": ("This terminal has no key for this role, or the card no record of it.", "Use a terminal of that role."),
    "EXPIRED": ("The permit's last day has passed.", "The holder renews the permit at the counter."),
    "DENIED": ("The card is on the deny list, this zone is not in the permit, or the card refuses this amount.", STAFF),
    "REPLAY": ("The card repeated an earlier answer.", "Remove this card from service."),
    "LIST_TOO_OLD": ("The deny list of this role is missing or too old.", "Fetch a new bundle or list file."),
    "BUNDLE_EXPIRED": ("The bundle's last day has passed.", "Fetch a new bundle."),
    "BALANCE_TOO_LOW": ("The card's balance is below this amount.", "The holder loads the card, or pays in another way."),
    "OUTCOME_UNKNOWN": ("Nobody knows yet whether the card was debited.", "Present the same card again (pay --again); hand out nothing before."),
}


class Stop(Exception):
    """The program cannot go on: exit code, closed error code, what happened, what to do."""

    def __init__(self, exit_code: int, code: str, message: str, action: str):
        super().__init__(message)
        self.exit_code, self.code, self.message, self.action = exit_code, code, message, action


class CardLost(Stop):
    """No answer: the card left, or the reader did."""

    def __init__(self):
        super().__init__(3, "CARD_LOST", "The card left the reader.", "Hold the card again until the terminal answers.")


def unusable(message: str, action: str) -> Stop:
    return Stop(2, "UNUSABLE_FILE", message, action)


def outcome_unknown(message: str) -> Stop:
    return Stop(4, "OUTCOME_UNKNOWN", message, REFUSALS["OUTCOME_UNKNOWN"][1])


# --- Files ------------------------------------------------------------------------------------------------------------


def read_file(path: pathlib.Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise unusable(f"The {what} cannot be read.", "Check its path.") from None


def write_file(path: pathlib.Path, content: bytes) -> None:
    """Whole or not at all, also over a loss of power; readable by its owner alone."""
    beside = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
    except OSError:
        raise unusable(f"{path.name} cannot be written.", "Make its folder, and room on the disk.") from None


def read_key(path: pathlib.Path) -> dict:
    """The terminal's private keys and the terminal CA that was pinned at enrolment (chapter 08, "Terminal key")."""
    content = read_file(path, "terminal key file")
    body, check = content[:-8], content[-8:]
    name_at = 4 + 2 + 16 + 64 + 32 + 32
    whole = len(body) > name_at and len(body) == name_at + 1 + body[name_at]
    if not whole or body[:6] != b"YZTK\x01\x01" or pc.sha256(b"YZT-TERMINAL-KEY-1" + body)[:8] != check:
        raise unusable("The terminal key file is damaged or of another form.", "Restore it, or enrol the terminal again.")
    return {"root": body[22:86], "sealing": body[86:118], "authentication": body[118:150], "name": body[name_at + 1 :]}


def key_file(vault: bytes, root: bytes, sealing: bytes, authentication: bytes, name: bytes) -> bytes:
    body = b"YZTK\x01\x01" + vault + root + sealing + authentication + pc.be(len(name), 1) + name
    return body + pc.sha256(b"YZT-TERMINAL-KEY-1" + body)[:8]


def load_bundle(box: bytes, key: dict) -> dict:
    try:
        bundle = pc.open_bundle(None, key["root"], pc.open_box(b"YZTB", key["sealing"], box))
    except (pc.Refused, ValueError) as problem:
        raise unusable(f"The bundle is refused: {problem}.", "Fetch the bundle again; it opens only with this terminal's key.") from None
    if bundle["name"].encode() != key["name"]:
        raise unusable("The bundle names another terminal.", "Fetch the bundle of this one.")
    return bundle


# --- What a terminal remembers ----------------------------------------------------------------------------------------

FRESH = {"bundle_sequence": 0, "batch_sequence": 0, "latest_day": "00000000", "counts": {}, "receipts": {}, "dropped": [], "aside": {"day": "", "updates": []}, "file_number": 0, "file": None, "lines": [], "unknown": []}


def packed(value):
    """Bytes as hex, inside lists and objects."""
    if isinstance(value, bytes):
        return value.hex()
    return {name: packed(item) for name, item in value.items()} if isinstance(value, dict) else value


def unpacked(item: dict) -> dict:
    return {name: bytes.fromhex(value) if isinstance(value, str) else value for name, value in item.items()}


class Memory:
    """The folder of a terminal. `folder` None: nothing outlives the run."""

    def __init__(self, folder: pathlib.Path | None):
        self.folder, self.kept = folder, json.loads(json.dumps(FRESH))
        self.open_purchase, self.lists = None, []
        if folder is None:
            return
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (folder / "memory.json").exists():
                self.kept |= json.loads((folder / "memory.json").read_text("utf-8"))
            if (folder / "purchase.json").exists():
                self.open_purchase = unpacked(json.loads((folder / "purchase.json").read_text("utf-8")))
            if (folder / "lists.yzt").exists():
                self.lists = pc.list_file_values((folder / "lists.yzt").read_bytes())
        except (OSError, ValueError, pc.Refused):
            raise unusable("The terminal's folder is damaged.", "Restore it from a copy; do not start anew, a purchase may be open.") from None
        # Power was lost between the line and the end of its purchase: the line counts.
        if self.open_purchase and any(item["body"] == self.open_purchase["body"].hex() for item in self.kept["lines"] + self.kept["unknown"]):
            self.end_purchase()

    def save(self) -> None:
        if self.folder:
            write_file(self.folder / "memory.json", (json.dumps(self.kept, indent=1) + "\n").encode())

    def save_lists(self, lists: dict) -> None:
        self.lists = [lists[role]["value"] for role in sorted(lists)]
        if self.folder:
            write_file(self.folder / "lists.yzt", pc.list_file(self.lists))

    def keep_purchase(self, purchase: dict) -> None:
        self.open_purchase = dict(purchase)
        if self.folder:
            write_file(self.folder / "purchase.json", (json.dumps(packed(purchase), indent=1) + "\n").encode())

    def end_purchase(self, where: str | None = None, line: dict | None = None) -> None:
        """Closes the open purchase; its line, if it leaves one, is safe first."""
        if where:
            self.kept[where].append(packed(line))
            self.save()
        self.open_purchase = None
        if self.folder:
            (self.folder / "purchase.json").unlink(missing_ok=True)

    def count(self, day: bytes, role: int, reason: str) -> None:
        of_day = self.kept["counts"].setdefault(day.hex(), {})
        name = f"{role}:{pc.REASONS.index(reason)}"
        of_day[name] = of_day.get(name, 0) + 1
        self.save()


class Terminal:
    """Keys, bundle and memory of one terminal, on one day."""

    def __init__(self, key: dict, bundle: dict, memory: Memory, today: bytes, grace: bool = False, now: datetime.datetime | None = None):
        self.key, self.bundle, self.memory, self.today, self.grace = key, bundle, memory, today, grace
        self.now = now or datetime.datetime.now(datetime.timezone.utc)
        self.bundle["deny_lists"], _ = pc.newest_lists(bundle, memory.lists)

    def check_files(self) -> None:
        """Sequence and clock: what a restored file or a stopped clock would undo."""
        kept = self.memory.kept
        if self.bundle["sequence"] < kept["bundle_sequence"]:
            raise unusable("The bundle is older than one that this terminal had.", "Fetch the newest bundle.")
        signed = max([self.bundle["issued"], *(held["issued"] for held in self.bundle["deny_lists"].values())])
        if self.today < signed or self.today.hex() < kept["latest_day"]:
            raise Stop(2, "WRONG_CLOCK", "The clock is behind the bundle or a list, or behind a day that this terminal has seen.", "Set the clock.")
        kept["bundle_sequence"], kept["latest_day"] = self.bundle["sequence"], self.today.hex()
        self.memory.save()

    def take_lists(self, content: bytes) -> dict:
        try:
            values = pc.list_file_values(content)
        except pc.Refused as problem:
            raise unusable(f"The list file is refused: {problem}.", "Fetch it again.") from None
        self.bundle["deny_lists"], taken = pc.newest_lists(self.bundle, values)
        self.memory.save_lists(self.bundle["deny_lists"])
        return {"lists": len(values), "taken": taken}

    def counters(self) -> tuple[bytes, int]:
        """The counters file of the oldest whole day, which is counted no more, and how many whole days wait behind it."""
        counts = self.memory.kept["counts"]
        days = sorted(day for day in counts if day < self.today.hex())
        if not days:
            raise Stop(1, "NOTHING_COUNTED", "No whole day has been counted since the last file.", "Ask again tomorrow.")
        total = {tuple(map(int, name.split(":"))): count for name, count in counts.pop(days[0]).items()}
        return pc.counters_file(self.key["authentication"], self.bundle["name"].encode(), bytes.fromhex(days[0]), total), len(days) - 1

    def settlement(self) -> dict:
        """The next settlement file, or the last one again when it was made and perhaps not written."""
        kept = self.memory.kept
        if self.bundle["tid"] is None:
            raise unusable("The bundle has no registration number.", "Register the terminal for payments.")
        if kept["file"] is None:
            if not kept["lines"] and not kept["unknown"]:
                raise Stop(1, "NOTHING_TO_SETTLE", "There is no line since the last file.", "Sell something first.")
            lines, unknown = ([unpacked(item) for item in kept[name]] for name in ("lines", "unknown"))
            number = kept["file_number"] + 1
            content = pc.settlement_file(self.key["authentication"], self.bundle["name"].encode(), self.bundle["tid"], number, lines, unknown)
            kept["file"] = {"number": number, "lines": len(lines), "unknown": len(unknown), "content": content.hex()}
            kept["file_number"], kept["lines"], kept["unknown"] = number, [], []
            self.memory.save()
        return dict(kept["file"])

    def settlement_is_written(self) -> None:
        self.memory.kept["file"] = None
        self.memory.save()


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
        self.protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        result, self.card, protocol = scard.SCardConnect(self.context, self.name, scard.SCARD_SHARE_SHARED, self.protocols)
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
            raise CardLost
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


def select(card) -> bool:
    """True when the card takes sealed updates; `NotAccepted` when it is none of ours."""
    answer = card.transmit(pc.SELECT)
    try:
        if answer[-2:] != b"\x90\0":
            raise pc.Refused("SELECT was refused")
        return pc.check_card_info(answer[:-2])
    except pc.Refused:
        raise pc.NotAccepted("FOREIGN_CARD") from None
