#!/usr/bin/env python3
"""The worked examples of chapters 12 and 15, written from the vectors.

    python3 worked_example.py --check     0: the chapters show what the vectors say; 1: they do not
    python3 worked_example.py --write     writes the examples into the chapters

Nothing is computed here but cuts of known bytes: what stands in the chapter stands in a vector, so that a maker can copy
either. Needs Python 3.11 and nothing else.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
BEGIN, END = "<!-- worked example: begin -->\n", "<!-- worked example: end -->\n"


def vector(chapter: str, name: str) -> tuple[dict, dict]:
    found = json.loads((HERE / f"{chapter}.json").read_text("utf-8"))["vectors"]
    matching = [entry for entry in found if entry["name"] == name]
    if len(matching) != 1:
        raise SystemExit(f"worked example: vector `{name}` of {chapter} is not there; write the vectors first")
    return matching[0]["inputs"], matching[0]["outputs"]


def block(label: str, value: str, indent: str = "    ") -> str:
    """Hex in lines of 32 bytes behind a label of 10 characters."""
    pieces = [value[at : at + 64] for at in range(0, len(value), 64)] or [""]
    lines = [f"{indent}{label:<11}{pieces[0]}"]
    lines += [f"{indent}{'':<11}{piece}" for piece in pieces[1:]]
    return "\n".join(lines) + "\n"


def cut(value: str, *sizes: int) -> list[str]:
    parts, at = [], 0
    for size in sizes:
        parts.append(value[2 * at : 2 * (at + size)])
        at += size
    if len(value) != 2 * at:
        raise SystemExit(f"worked example: {len(value) // 2} bytes where {at} are cut")
    return parts


def tap() -> str:
    _, select = vector("02-data-groups", "select")
    inputs, outputs = vector("06-door-f", "tap: TRANSIT")
    search, cohorts = vector("06-door-f", "cohort search")
    _, opened = vector("03-records", "record: TRANSIT")
    record_inputs, _ = vector("03-records", "record: TRANSIT")
    rc, cipher, mac = cut(outputs["answer"], 16, 224, 16)
    pid, head, figures, record = cut(outputs["p"], 16, 4, 44, 160)
    return "".join([
        "### A bus: SELECT and TAP\n\n",
        block(">", select["command"]),
        block("<", select["card_info"] + "9000"),
        block(">", outputs["command"]),
        block("<", outputs["answer"] + "9000"),
        "\nCut:\n\n",
        block("rC", rc), block("C", cipher), block("T", mac),
        f"\nThe group master of (TRANSIT, 440300, {int(search['kv'], 16)}), all 256 cohorts tried on block 2 of C; one passes:\n\n",
        block("master", search["group_master"]), block("cohort", cohorts["cohorts"]), block("G", inputs["g"]),
        "\nC opened with IV = AES(G, rC); then M from pid, and T over it:\n\n",
        block("pid", pid), block("ver state", head), block("seq .. TAC", figures), block("record", record), block("M", inputs["m"]),
        "\nThe record under its record key; AAD is header and pid:\n\n",
        block("key", record_inputs["key"]), block("header", opened["header"]), block("content", opened["content"]),
        "\n",
    ])


def commit() -> str:
    inputs, outputs = vector("06-door-f", "commit")
    _, after = vector("06-door-f", "tap: SMALL_PAYMENT after that commit")
    result, tac, proof = cut(outputs["answer"], 1, 8, 16)
    amount = int(inputs["amount"], 16)
    balance = int(inputs["loaded"], 16) - int(inputs["spent"], 16)
    return "".join([
        "### A shop: COMMIT behind a TAP\n\n",
        f"The TAP before showed loaded {int(inputs['loaded'], 16)} and spent {int(inputs['spent'], 16)}: {balance} fen. The shop takes {amount} fen.\n\n",
        block("rT", inputs["rt"]), block("rC", inputs["rc"]), block("seq", inputs["seq"]), block("M", inputs["m"]),
        block("body", outputs["body"]), block("MAC", outputs["mac"]),
        block(">", outputs["command"]),
        block("<", outputs["answer"] + "9000"),
        block("result", result), block("TAC", tac), block("proof", proof),
        f"\nseq' is {outputs['seq_after']}, spent' {int(outputs['spent_after'], 16)}. The next TAP shows it, with the TAC, and the last transaction masked:\n\n",
        block("seq .. TAC", cut(after["p"], 16, 4, 44, 160)[2]),
        "\n",
    ])


def update() -> str:
    inputs, outputs = vector("09-updates", "update: SLOT of TRANSIT")
    return "".join([
        "### Delivering an update\n\nFrom the batch: ctr, E, umac. From the TAP just before: rT, rC, M. The terminal computes tmac only.\n\n",
        block("rT", inputs["rt"]), block("rC", inputs["rc"]), block("M", inputs["m"]),
        block("tmac", outputs["tmac"]),
        block(">", outputs["command"]),
        block("<", outputs["receipt"] + "9000"),
        "\n",
    ])


def door_s() -> str:
    inputs, outputs = vector("07-door-s", "door s: CLINIC")
    qc, ecert, mac = cut(outputs["answer"], 65, 160, 16)
    lines = [
        "### A clinic: door S\n\n",
        block(">", outputs["present"][0]), block("<", "9000"),
        block(">", outputs["present"][1]), block("<", "9000"),
        block(">", "0084000010"), block("<", inputs["rc"] + "9000"),
        "\nThe terminal's ephemeral key, its signature, AGREE:\n\n",
        block("Qt", outputs["qt"]), block("sig", outputs["sig"]),
        block(">", outputs["agree"]),
        block("<", outputs["answer"] + "9000"),
        block("Qc", qc), block("Ecert", ecert), block("MAC", mac),
        "\nKeys:\n\n",
    ]
    lines += [block(label, outputs[key]) for label, key in (
        ("H", "h"), ("TH1", "th1"), ("Z1", "z1"), ("K1", "k1"), ("TH2", "th2"), ("Z2", "z2"),
        ("ENC", "enc"), ("MAC key", "mac"), ("RMAC", "rmac"), ("CONF", "conf"))]
    lines += ["\nThe card certificate, opened with K1, and the first command inside:\n\n", block("cert", inputs["card_certificate"])]
    for plain, wrapped in zip(inputs["exchanges"], outputs["exchanges"], strict=True):
        lines += [block("header", plain["header"]), block("data", plain["data"]), block(">", wrapped["command"]),
                  block("<", wrapped["answer"]), block("answer", plain["answer"])]
    return "".join(lines)


def card_back() -> str:
    _, outputs = vector("15-card-back", "card back")
    text = bytes.fromhex(outputs["text"]).decode()
    return "".join([
        block("signer", "04" + outputs["public"]),
        block("signed", outputs["signed"]),
        block("signature", outputs["signature"]),
        block("text", text),
    ])


CHAPTERS = {
    "12-terminal-makers.md": lambda: tap() + commit() + update() + door_s(),
    "15-card-back.md": card_back,
}


def chapter(path: pathlib.Path) -> str:
    before, rest = path.read_text("utf-8").split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + "\n" + CHAPTERS[path.name]() + "\n" + END + after


def main() -> int:
    paths = [HERE.parent / name for name in CHAPTERS]
    match sys.argv[1:]:
        case ["--write"]:
            for path in paths:
                path.write_text(chapter(path), "utf-8")
            return 0
        case ["--check"]:
            stale = [path.name for path in paths if chapter(path) != path.read_text("utf-8")]
            for name in stale:
                print(f"worked example: {name} differs from the vectors; run with --write and read the difference", file=sys.stderr)
            return 1 if stale else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
