#!/usr/bin/env python3
"""Runs the symbolic models and compares every verdict with the one committed beside the model.

A model is NAME.vp; NAME.expect holds, query by query, what verifpal must find: `holds`, or `attack` with its kind. An attack
that is expected and not found is a failure, as is one that is found and not expected: both mean that the page docs/models.md
says something that is not so. Models in broken/ are sound ones with one protection taken out; each must show an attack where
the sound one holds, and every run judges them by the sound one's expectations too and demands that this fails. So each run
shows that the check can fail.

Left out on purpose: verifpal itself is installed by scripts/models.sh. Standard library only.

Exit status: 0 all as expected, 1 something differs, 2 wrong use, 3 no verifpal, or another version of it.
"""

import argparse
import concurrent.futures
import difflib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "models.md"
# Verdicts are those of one version: another engine may find more, or word its conclusions in another way.
VERSION = "1.6.7"
# Seconds. A watchdog against a model that explodes, not a measurement: the slowest takes about a minute at rest.
LIMIT = 1800
# Each of these is modelled three times; the others ask one question that only one variant has.
THREE_VARIANTS = [
    "TAP: authentic and confidential",
    "TAP: two sightings",
    "COMMIT: card and terminal",
    "COMMIT: the TAC",
    "Door S: opening",
    "Door S: reading",
    "UPDATE: delivery",
    "UPDATE: finding a person",
    "Door I: session",
    "Terminal bundle",
]
# In the order of the page.
FOLDERS = ["door-f", "commit", "door-s", "update", "door-i", "bundle", "broken"]
VARIANTS = ["honest", "extracted", "stolen"]
KINDS = {
    "confidentiality": {"attack"},
    "unlinkability": {"attack"},
    "authentication": {"attack forged", "attack replayed", "attack substituted"},
}
# A broken model differs from the sound one in this many lines at most, or it would show something else.
BROKEN_LINES = 12
START, END = "<!-- results: written by scripts/models.sh --write-page -->", "<!-- results end -->"


class Wrong(Exception):
    """An expectation file that cannot be used."""


class Row:
    """One query: what must come out, the property in words, and why an attack is expected."""

    def __init__(self, outcome, claim, query):
        self.outcome, self.claim, self.query, self.why = outcome, claim, query, ""


class Model:
    """A model with its expectations. Times, results and verdicts are kept elsewhere."""

    def __init__(self, path):
        self.path = path
        self.name = path.relative_to(HERE).as_posix()
        self.broken = path.parent.name == "broken"
        self.head, self.rows = {}, []
        file = path.with_suffix(".expect")
        if not file.exists():
            raise Wrong(f"{self.name}: no expectations beside it; write {file.name}")
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            where = f"{file.relative_to(HERE)}:{number}"
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith("    "):
                if not self.rows:
                    raise Wrong(f"{where}: a reason without a query")
                self.rows[-1].why = (self.rows[-1].why + " " + line.strip()).strip()
            elif line.count("|") == 2:
                outcome, claim, query = (part.strip() for part in line.split("|"))
                allowed = KINDS.get(query.split("?")[0], set()) | {"holds"}
                if outcome not in allowed:
                    raise Wrong(f"{where}: {outcome!r} is not an outcome of this query; one of {sorted(allowed)}")
                self.rows.append(Row(outcome, claim, query))
            elif ":" in line and not self.rows:
                key, value = (part.strip() for part in line.split(":", 1))
                self.head[key] = value
            else:
                raise Wrong(f"{where}: neither a heading, a query nor a reason")
        known = {"family", "variant", "column", "sessions", "search", "breaks", "change"}
        if set(self.head) - known:
            raise Wrong(f"{self.name}: unknown headings {sorted(set(self.head) - known)}")
        for key in ("breaks", "change") if self.broken else ("family", "variant"):
            if key not in self.head:
                raise Wrong(f"{self.name}: the heading {key!r} is missing")
        if not self.rows:
            raise Wrong(f"{self.name}: no query is expected")
        for row in self.rows:
            if row.outcome != "holds" and not row.why:
                raise Wrong(f"{self.name}: an expected attack needs its reason: {row.query}")
        self.sessions = int(self.head.get("sessions", "2"))
        self.search = self.head.get("search", "exhausted")


def body(path):
    """The lines of a model without comments, blank lines and queries."""
    lines = []
    for line in path.read_text("utf-8").splitlines():
        line = line.split("//")[0].rstrip()
        if line.startswith("queries["):
            break
        if line:
            lines.append(line)
    return lines


def run(tool, model):
    """What verifpal says about one model, as its JSON object for that model; a string when it says nothing useful."""
    command = [tool, "verify", "--format", "json", "--sessions", str(model.sessions), model.name]
    # One thread for each model: several models run side by side.
    environment = dict(os.environ, VERIFPAL_THREADS="1", NO_COLOR="1")
    try:
        done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return f"no verdict after {LIMIT} s: the model has exploded; make it smaller"
    try:
        report = json.loads(done.stdout)
        found = report["models"][0]
    except (ValueError, KeyError, IndexError):
        return f"verifpal gave no report (exit status {done.returncode}): {done.stderr.strip()[:400]}"
    if not found.get("ok"):
        return f"verifpal refuses the model: {json.dumps(found.get('error', found), ensure_ascii=False)[:600]}"
    return found["analysis"]


def outcome(query):
    """The outcome of one query of a report, in the words of an expectation."""
    if not query["resolved"]:
        return "holds"
    if query["kind"] != "authentication":
        return "attack"
    conclusion = query["conclusion"]
    if "agreement is not injective" in conclusion:
        return "attack replayed"
    if "sent by Attacker and not by" in conclusion:
        return "attack forged"
    return "attack substituted"


def differences(rows, search, sessions, analysis):
    """Everything in which a report differs from the expectations."""
    found = []
    if analysis["attacker"] != "active":
        found.append("the attacker of the model is not active")
    if analysis["sessions"] != sessions:
        found.append(f"ran with {analysis['sessions']} sessions, not {sessions}")
    asked = [query["query"] for query in analysis["queries"]]
    expected = [row.query for row in rows]
    for text in expected:
        if text not in asked:
            found.append(f"expected but not asked by the model: {text}")
    for text in asked:
        if text not in expected:
            found.append(f"asked by the model but not expected: {text}")
    by_text = {row.query: row for row in rows}
    bounds = set()
    for query in analysis["queries"]:
        row = by_text.get(query["query"])
        if row is None:
            continue
        got = outcome(query)
        if got == "holds":
            bounds |= set(query["envelope"]["truncations"]) or {"exhausted"}
        if got != row.outcome:
            what = "an attack that is not expected" if row.outcome == "holds" else "not the attack that is expected"
            trace = f"\n{query['summary'].rstrip()}" if got != "holds" else ""
            found.append(f"{what}: {query['query']}: expected {row.outcome}, found {got}{trace}")
    if bounds and bounds != {search}:
        found.append(f"the search ended as {sorted(bounds)}, not as {[search]}")
    return found


def flipped(row):
    """The same query with an expectation that is wrong."""
    other = sorted(KINDS[row.query.split("?")[0]])[0] if row.outcome == "holds" else "holds"
    return Row(other, row.claim, row.query)


def check_the_check(model, base, analysis):
    """Wrong expectations against a real report: each of them must be noticed."""
    found = []
    for index in range(len(model.rows)):
        wrong = model.rows[:index] + [flipped(model.rows[index])] + model.rows[index + 1:]
        if not differences(wrong, model.search, model.sessions, analysis):
            found.append(f"the check does not notice a wrong expectation: {model.rows[index].query}")
        if not differences(model.rows[:index] + model.rows[index + 1:], model.search, model.sessions, analysis):
            found.append(f"the check does not notice a missing expectation: {model.rows[index].query}")
    if base is None:
        return found
    sound = {row.query: row for row in base.rows}
    rows = [sound.get(row.query) for row in model.rows]
    if None in rows:
        return found + [f"a query that {base.name} does not ask"]
    noticed = [text for text in differences(rows, model.search, model.sessions, analysis) if "an attack that is not expected" in text]
    if not noticed:
        found.append(f"shows no attack where {base.name} holds: it is not broken, or the check cannot fail")
    changed = [line for line in difflib.unified_diff(body(base.path), body(model.path), lineterm="", n=0)
               if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    if not 1 <= len(changed) <= BROKEN_LINES:
        found.append(f"differs from {base.name} in {len(changed)} lines; 1 to {BROKEN_LINES} are allowed")
    return found


def page(models):
    """The tables of docs/models.md."""
    families = {}
    for model in sorted(models, key=lambda m: FOLDERS.index(m.path.parent.name)):
        if not model.broken:
            families.setdefault(model.head["family"], []).append(model)
    lines = [START, ""]
    for family, members in families.items():
        members.sort(key=lambda m: (VARIANTS.index(m.head["variant"].split(",")[0]), m.path.stem))
        lines += [f"### {family}", ""]
        heads = [f"[{m.head.get('column', m.head['variant'])}](../card-applet-spec/models/{m.name})" for m in members]
        lines += ["| property | " + " | ".join(heads) + " |", "|---" * (len(members) + 1) + "|"]
        claims = list(dict.fromkeys(row.claim for m in members for row in m.rows))
        notes = []
        for claim in claims:
            cells = []
            for member in members:
                row = next((row for row in member.rows if row.claim == claim), None)
                if row is None:
                    cells.append("")
                elif row.outcome == "holds":
                    cells.append("holds")
                else:
                    if row.why not in notes:
                        notes.append(row.why)
                    cells.append(f"**{row.outcome}** ({notes.index(row.why) + 1})")
            lines.append(f"| {claim} | " + " | ".join(cells) + " |")
        lines.append("")
        lines += [f"{number}. {why}" for number, why in enumerate(notes, 1)]
        if notes:
            lines.append("")
    lines += ["### With a protection taken out", "",
              "| model | what is taken out | what is then found |", "|---|---|---|"]
    for model in models:
        if model.broken:
            attacks = "; ".join(f"{row.claim}: **{row.outcome}**" for row in model.rows if row.outcome != "holds")
            lines.append(f"| [{model.path.stem}](../card-applet-spec/models/{model.name}) | {model.head['change']} | {attacks} |")
    return "\n".join(lines + ["", END])


def page_differs(models, write):
    """Whether the tables of the page are not those of the expectations; with `write` they are made so."""
    if not PAGE.exists():
        return f"{PAGE.name} is missing"
    text = PAGE.read_text("utf-8")
    if text.count(START) != 1 or text.count(END) != 1:
        return f"{PAGE.name} has no place for the results: one line {START!r} and one {END!r}"
    before, rest = text.split(START)
    new = before + page(models) + rest.split(END)[1]
    if write:
        PAGE.write_text(new, "utf-8")
        return None
    return None if new == text else f"the tables of docs/{PAGE.name} are not those of the expectations; run scripts/models.sh --write-page"


def missing_tests():
    """Tests that the page names and that are not in the code."""
    named = set(re.findall(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+){3,})`", PAGE.read_text("utf-8")))
    root = PAGE.parent.parent
    for folder in ("card-applet-spec", "hardware-tests", "issuer", "keyvault", "photo-store"):
        for file in (root / folder).rglob("*.rs"):
            if named:
                named -= set(re.findall(r"fn ([a-z0-9_]+)\(", file.read_text("utf-8")))
    return [f"docs/{PAGE.name} names a test that is not there: {name}" for name in sorted(named)]


def coverage(models):
    """Families that lack a variant, claims that no model loses, expectations without a model."""
    found = []
    for family in THREE_VARIANTS:
        have = {v.strip() for m in models if m.head.get("family") == family for v in m.head["variant"].split(",")}
        found += [f"{family}: no {variant} variant" for variant in VARIANTS if variant not in have]
    # A claim that nothing can break says nothing: each must be lost in a variant or when a protection is taken out.
    sound = {model.name: model for model in models}
    outcomes = {}
    for model in models:
        family = sound[model.head["breaks"]].head["family"] if model.broken else model.head["family"]
        for row in model.rows:
            outcomes.setdefault((family, row.query), set()).add(row.outcome)
    for (family, query), seen in outcomes.items():
        if seen == {"holds"}:
            found.append(f"{family}: no model loses {query!r}; add one to broken/")
    for file in sorted(HERE.rglob("*.expect")):
        if not file.with_suffix(".vp").exists():
            found.append(f"{file.relative_to(HERE)}: expectations without a model")
    return found


def main():
    """Reads the command line, runs, reports."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tool", default="verifpal", help="the verifpal to run")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="models at the same time")
    parser.add_argument("--sessions", type=int, help="at least so many concurrent sessions for each principal; only unexpected attacks count then")
    parser.add_argument("--write-page", action="store_true", help="write the tables of docs/models.md, run nothing")
    parser.add_argument("--json", action="store_true", help="one object on standard output")
    parser.add_argument("only", nargs="*", help="models to run, for example door-f/tap; all without")
    wants = parser.parse_args()

    def say(text):
        print(f"models: {text}", file=sys.stderr, flush=True)

    try:
        models = [Model(path) for path in sorted(HERE.rglob("*.vp"))]
    except Wrong as wrong:
        say(str(wrong))
        return 1
    by_name = {model.name: model for model in models}
    if wants.write_page:
        problem = page_differs(models, True)
        if problem:
            say(problem)
        return 1 if problem else 0
    chosen = [m for m in models if not wants.only or any(m.name.startswith(prefix) for prefix in wants.only)]
    if not chosen:
        say("no model has such a name")
        return 2
    try:
        version = subprocess.run([wants.tool, "--version"], capture_output=True, text=True, check=False).stdout.split()
    except OSError:
        say(f"{wants.tool} cannot be run; `make models` installs it")
        return 3
    if VERSION not in version:
        say(f"{wants.tool} is {' '.join(version) or 'something else'}; the expectations are those of verifpal {VERSION}")
        return 3

    bad = []
    if not wants.only:
        problem = page_differs(models, False)
        bad = coverage(models) + ([problem] if problem else missing_tests())
    for text in bad:
        say(text)
    results, holds, attacks = [], 0, 0
    begun = time.monotonic()

    def one(model):
        start = time.monotonic()
        if wants.sessions:
            model.sessions = max(model.sessions, wants.sessions)
        analysis = run(wants.tool, model)
        return model, analysis, time.monotonic() - start

    with concurrent.futures.ThreadPoolExecutor(max_workers=max(1, wants.jobs)) as pool:
        for model, analysis, seconds in pool.map(one, chosen):
            if isinstance(analysis, str):
                found = [analysis]
            else:
                found = differences(model.rows, model.search, model.sessions, analysis)
                if wants.sessions:
                    # More sessions reach deeper terms; how the search ended is told by the run with the usual number.
                    found = [text for text in found if not text.startswith("the search ended")]
                base = by_name.get(model.head["breaks"]) if model.broken else None
                if model.broken and base is None:
                    found.append(f"breaks {model.head['breaks']}, which is no model")
                found += check_the_check(model, base, analysis)
            for text in found:
                say(f"{model.name}: {text}")
            bad += [f"{model.name}: {text}" for text in found]
            expected = sum(row.outcome != "holds" for row in model.rows)
            if not found:
                attacks += expected
                holds += len(model.rows) - expected
                say(f"{model.name}: {len(model.rows) - expected} hold, {expected} attacks as expected ({seconds:.1f} s)")
            results.append({"model": model.name, "ok": not found, "seconds": round(seconds, 1)})
    say(f"{len(results)} models in {time.monotonic() - begun:.0f} s: {holds} claims hold, {attacks} attacks found as expected, {len(bad)} differences")
    if wants.json:
        print(json.dumps({"schema": "yzt.models/1", "ok": not bad, "verifpal": VERSION, "holds": holds, "attacks": attacks,
                          "differences": bad, "models": results}, ensure_ascii=False))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
