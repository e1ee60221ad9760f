#!/usr/bin/env python3
"""Recomputes every vector of this folder with the independent implementation in `hardware-tests/independent/permit_card.py`.

    recompute.py --check     recompute every output from the inputs in the files; 1 and a list of differences if one differs
    recompute.py --write     write the files anew from the cases below

`--check` first reproduces published values (RFC 4493, SP 800-38A and -38B, RFC 6979, CAVS ECDH, a recorded SCP03 session).
The shape of the files is described in README.md.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[2] / "hardware-tests" / "independent"))

import permit_card as pc  # noqa: E402
from permit_card import Refused, be, tlv  # noqa: E402

SCHEMA = "yzt.vectors/1"


# --- Constructions: each takes the inputs as bytes and returns the outputs as bytes -----------------------------------
# Lists stay lists, objects stay objects. A construction that refuses raises `Refused`; the outputs are then
# {"refused": the status word, or "" where the chapter gives none}.

CONSTRUCTIONS = {}


def construction(function):
    CONSTRUCTIONS[function.__name__.replace("_", "-")] = function
    return function


def number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def must(condition: bool, what: str) -> None:
    """The reverse operation of a construction has to agree with it."""
    if not condition:
        raise AssertionError(what)


def tag_bytes(tag: int) -> bytes:
    return be(tag, 2 if tag > 0xFF else 1)


@construction
def tlv_parse(encoded):
    objects = pc.tlv_list(encoded)
    must(b"".join(tlv(tag, value) for tag, value in objects) == encoded, "strict TLV has one encoding")
    return {"objects": [{"tag": tag_bytes(tag), "value": value} for tag, value in objects]}


@construction
def tlv_header(tag, length):
    return {"header": pc.tlv_header(number(tag), number(length))}


@construction
def cmac(key, message):
    return {"mac": pc.cmac(key, message)}


@construction
def ecdsa(private, message):
    public, signature = pc.public_key(private), pc.sign(private, message)
    must(pc.verify(public, message, signature), "a signature verifies")
    return {"public": public, "signature": signature}


@construction
def ecdsa_verify(public, message, signature):
    if not pc.verify(public, message, signature):
        raise Refused("signature")
    return {"valid": b"\x01"}


def der_integer(value: bytes) -> bytes:
    value = value.lstrip(b"\0") or b"\0"
    return tlv(0x02, (b"\0" if value[0] & 0x80 else b"") + value)


@construction
def signature_der(public, message, signature):
    """A signature64 as a platform wants it that takes or gives ASN.1: SEQUENCE of two INTEGERs, each as short as it can be."""
    must(pc.verify(public, message, signature), "a signature verifies")
    return {"der": tlv(0x30, der_integer(signature[:32]), der_integer(signature[32:]))}


@construction
def point(encoded):
    """A point65 as it comes in. Which status word its refusal gets is the command's affair."""
    try:
        return {"public": pc.public64_of(encoded)}
    except Refused as refusal:
        raise Refused(str(refusal)) from None


@construction
def select():
    pc.check_card_info(pc.card_info())
    return {"command": pc.SELECT, "card_info": pc.card_info()}


@construction
def dg1(**items):
    group = pc.dg1(items, items.pop("salt"))
    must(len(group) <= 1024, "DG1 is at most 1024 bytes")
    return {"dg1": group, "digest": pc.sha256(group)}


@construction
def dg2(format, image, salt):
    group = pc.dg2(number(format), image, salt)
    return {"photo": pc.sha256(image), "dg2": group, "digest": pc.sha256(group)}


@construction
def dg3(permit_id, tier, issued, endorsed_until, rule_set, state_counter, salt):
    group = pc.dg3(permit_id, number(tier), issued, endorsed_until, rule_set, number(state_counter), salt)
    must(len(group) <= 256, "DG3 is at most 256 bytes")
    return {"dg3": group, "digest": pc.sha256(group)}


@construction
def signature_object(signer, signer_number, person_public, dg1, dg2, dg3):
    encoded = pc.signature_object(signer, number(signer_number), person_public, [dg1, dg2, dg3])
    pc.check_signature_object(encoded, pc.public_key(signer), person_public, [dg1, dg2, dg3])
    return {"signer_public": pc.public_key(signer), "encoded": encoded}


@construction
def signature_object_open(encoded, signer_public, person_public, dg1, dg2, dg3):
    """A group of no bytes is one that was not read."""
    pc.check_signature_object(encoded, signer_public, person_public, [group or None for group in (dg1, dg2, dg3)])
    return {"valid": b"\x01"}


@construction
def card_certificate(ca, domain, ca_number, valid_from, valid_to, id, public):
    certificate = pc.card_certificate(ca, number(domain), number(ca_number), valid_from, valid_to, id, public)
    must(pc.check_card_certificate(certificate, pc.public_key(ca), number(domain), valid_to) == public, "the key comes back")
    return {"ca_public": pc.public_key(ca), "certificate": certificate}


@construction
def record(key, signer, role, kv, issue_counter, pid, nonce, public, tier, service_class, services, zones, valid_from, valid_to, rule_set):
    header = pc.record_header(number(role), number(kv), number(issue_counter), valid_to)
    binding, rule_set8 = pc.record_binding(public, pid, number(role)), pc.sha256(rule_set)[:8]
    content = pc.record_content(number(tier), number(service_class), services, zones, valid_from, valid_to, rule_set8, binding)
    sealed = pc.seal_record(key, signer, header, pid, nonce, content)
    must(pc.open_record(key, pc.public_key(signer), pid, sealed)["binding"] == binding, "the record opens")
    return {"header": header, "binding": binding, "content": content, "signer_public": pc.public_key(signer), "record": sealed}


@construction
def record_open(key, signer_public, pid, record):
    found = pc.open_record(key, signer_public, pid, record)
    return {name: found[name] for name in ("services", "zones", "from", "to", "rule_set", "binding")}


@construction
def kdf108(master, label, context, length):
    return {"key": pc.kdf108(master, label, context, number(length))}


@construction
def kdf56c(secret, label, transcript, length):
    return {"key": pc.kdf56c(secret, label, transcript, number(length))}


@construction
def kcv(key):
    return {"kcv": pc.key_check_value(key)}


@construction
def scp03_challenge_i70(enc, sequence, aid):
    return {"card_challenge": pc.scp03_card_challenge(enc, sequence, aid)}


@construction
def scp03(keys, key_information, sequence, host_challenge, card_challenge, exchanges):
    """A whole session: keys, opening, then every exchange wrapped in order (level 33)."""
    session = pc.Scp03(keys, host_challenge, card_challenge)
    authenticate, host = session.external_authenticate()
    _, card = session.external_authenticate()
    wrapped = []
    for exchange in exchanges:
        command = host.command(exchange["header"], exchange["data"])
        must(card.command(exchange["header"], exchange["data"]) == command, "both sides count alike")
        answer = card.answer(exchange["answer"], exchange["status"])
        must(host.open_answer(answer) == exchange["answer"], "the answer opens")
        wrapped.append({"command": command, "answer": answer})
    return {
        "s_enc": session.enc,
        "s_mac": session.mac,
        "s_rmac": session.rmac,
        "card_cryptogram": session.card_cryptogram,
        "host_cryptogram": session.host_cryptogram,
        "initialize_update": b"\x80\x50\0\0\x08" + host_challenge + b"\0",
        "initialize_update_answer": bytes(10) + key_information + card_challenge + session.card_cryptogram + sequence,
        "external_authenticate": authenticate,
        "exchanges": wrapped,
    }


@construction
def script_chain(script, steps):
    hashes = [pc.script_start(script)]
    for n, step in enumerate(steps, 1):
        hashes.append(pc.script_next(hashes[-1], n, step))
    return {"h": hashes}


@construction
def finalise(script, steps, today):
    """The FINALISE step behind the given ones, and h(n) with it."""
    before = script_chain(script, steps)["h"][-1]
    step = b"\x0f" + be(len(steps), 2) + before + today
    return {"step": step, "h": pc.script_next(before, len(steps) + 1, step)}


@construction
def keys_step(dek, keys):
    must(len(keys) == 96, "six keys")
    step = b"\x07" + pc.cbc_encrypt(dek, pc.ZERO16, keys)
    return {"step": step, "answer": b"".join(pc.key_check_value(keys[i : i + 16]) for i in range(0, 96, 16))}


@construction
def slot_step(role, kv, flags, g, m, pid, record, loaded):
    step = pc.slot_bytes(number(role), number(kv), number(flags), g, m, pid, record, loaded)
    must(len(step) == 224, "a SLOT step is 224 bytes")
    return {"step": step}


@construction
def tap(g, m, role, version, rt, rc, pid, seq, loaded, spent, txno, sb, tac, record):
    plain = pc.tap_plain(pid, seq, loaded, spent, txno, sb, tac, record)
    cipher = pc.tap_cipher(g, rc, plain)
    must(pc.tap_open(g, rc, cipher) == plain and pc.cohort_fits(g, cipher), "the answer opens")
    answer = rc + cipher + pc.tap_mac(m, number(role), number(version), rt, rc, cipher)
    must(len(plain) == 224 and len(answer) == 256, "224 and 256 bytes")
    return {"command": pc.tap_command(number(role), number(version), rt), "p": plain, "answer": answer}


@construction
def cohort_filter(g, c):
    return {"block2": pc.xor(pc.aes_decrypt_block(g, c[16:32]), c[:16]), "fits": be(pc.cohort_fits(g, c), 1)}


@construction
def cohort_search(group_master, role, region, kv, c):
    fitting = [n for n in range(256) if pc.cohort_fits(pc.group_key(group_master, number(role), region, number(kv), n), c)]
    return {"cohorts": bytes(fitting)}


@construction
def commit(m, ktac, role, version, rt, rc, pid, seq, loaded, spent, amount, tid, txno, time, type):
    """seq and spent are those before the debit. `repeated` is the answer when the same COMMIT comes after a new TAP with the same rt and rc."""
    role, version = number(role), number(version)
    body = amount + tid + txno + time + type + bytes(7)
    seq_after, spent_after = be(number(seq) + 1, 4), be(number(spent) + number(amount), 4)
    mac = pc.commit_mac(m, role, version, rt, rc, seq, body)
    tac = pc.commit_tac(ktac, role, version, pid, seq_after, loaded, spent_after, body)
    proofs = [pc.commit_proof(m, role, version, rt, rc, result, seq_after, spent_after, body, tac) for result in (0, 1)]
    command = bytes([0x80, 0x12, role, version, 0x2C]) + body + mac + b"\x19"
    return {
        "body": body,
        "mac": mac,
        "command": command,
        "seq_after": seq_after,
        "spent_after": spent_after,
        "tac": tac,
        "sb": pc.commit_sb(ktac, role, version, pid, seq_after, spent_after, body),
        "answer": b"\0" + tac + proofs[0],
        "proof_of_repetition": proofs[1],
    }


@construction
def rights_oid(uuid):
    def base128(n):
        out = [n & 127]
        while n := n >> 7:
            out.insert(0, n & 127 | 128)
        return bytes(out)

    oid = base128(2 * 40 + 25) + base128(number(uuid)) + base128(1)
    must(oid == pc.RIGHTS_OID, "the OID of chapter 07")
    return {"oid": oid}


@construction
def terminal_certificate(issuer, car, chr, public, rights, effective, expiry):
    """Dates go in as date4."""
    encoded = pc.terminal_certificate(issuer, car, chr, public, rights, pc.date6_of(effective), pc.date6_of(expiry))
    must(len(encoded) <= 255, "a certificate fits one command")
    must(pc.parse_terminal_certificate(encoded)["public"] == public, "the certificate parses")
    return {"issuer_public": pc.public_key(issuer), "certificate": encoded}


@construction
def terminal_chain(root_name, root_public, floor, epoch, intermediate, leaf):
    return pc.check_chain(root_name, root_public, floor, number(epoch), intermediate, leaf)


@construction
def domain_of_rights(rights):
    return {"domain": be(pc.domain_of(rights), 1)}


@construction
def door_s(intermediate, leaf, leaf_private, terminal_ephemeral, rc, rights, card_ephemeral, card_static, card_certificate, exchanges):
    """One opening, then every exchange wrapped in order."""
    s = pc.DoorS(intermediate, leaf, leaf_private, terminal_ephemeral, rc, rights, card_ephemeral, card_static, card_certificate)
    must(len(s.answer) == 241 and s.agree[4] == 0x86, "lengths of S3")
    host, card = s.channel(), s.channel()
    wrapped = []
    for exchange in exchanges:
        command = host.command(exchange["header"], exchange["data"])
        card.command(exchange["header"], exchange["data"])
        answer = card.answer(exchange["answer"], exchange["status"])
        must(host.open_answer(answer) == exchange["answer"], "the answer opens")
        wrapped.append({"command": command, "answer": answer})
    names = ("qt", "qc", "h", "sig", "th1", "z1", "k1", "ecert", "th2", "z2", "enc", "mac", "rmac", "conf", "confirmation", "agree", "answer")
    present = [bytes([0x80, 0x20, n, 0, len(c)]) + c for n, c in enumerate((intermediate, leaf))]
    return {"present": present} | {name: getattr(s, name) for name in names} | {"exchanges": wrapped}


@construction
def sealed_box(magic, ephemeral, receiver, nonce, plain):
    receiver_public = pc.public_key(receiver)
    box = pc.seal_box(magic, ephemeral, receiver_public, nonce, plain)
    must(pc.open_box(magic, receiver, box) == plain, "the box opens")
    aad = box[:71]
    return {"receiver_public": receiver_public, "key": pc._box_key(pc.ecdh(ephemeral, receiver_public), aad, receiver_public), "box": box}


@construction
def sealed_box_open(magic, receiver, box):
    return {"plain": pc.open_box(magic, receiver, box)}


@construction
def deny_list(signer, role, version, issued, largest_age, entries, grace=None):
    value = pc.deny_list(signer, number(role), number(version), issued, number(largest_age), entries, None if grace is None else number(grace))
    must(pc.open_deny_list(pc.public_key(signer), value)["entries"] == entries, "the list opens")
    return {"signer_public": pc.public_key(signer), "value": value}


@construction
def deny_list_open(signer_public, value):
    return {"entries": pc.open_deny_list(signer_public, value)["entries"]}


@construction
def bundle(root, root_name, id, name, issued, last_day, sequence, keys, card_ca, entitlement_signer, document_signer, deny_signer, door_s, deny_lists, zones, tid=None):
    """keys: objects with role, region, kv, state and (where they apply) until, group, tap, record; door_s: none or two certificates."""
    root_public = pc.public_key(root)
    role_keys = [pc.role_key(number(k["role"]), k["region"], number(k["kv"]), number(k["state"]), k.get("until"), k.get("group"), k.get("tap"), k["record"]) for k in keys]
    anchors = [card_ca, entitlement_signer, document_signer, root_name + root_public, deny_signer]
    plain = pc.bundle(root, id, name, issued, last_day, sequence, role_keys, anchors, door_s, deny_lists, zones, tid)
    must(pc.open_bundle(root_name, root_public, plain)["id"] == id, "the bundle opens")
    return {"root_public": root_public, "plain": plain}


@construction
def bundle_open(root_name, root_public, plain):
    return {"id": pc.open_bundle(root_name, root_public, plain)["id"]}


@construction
def list_file(lists):
    content = pc.list_file(lists)
    must(pc.list_file_values(content) == lists, "the list file is read again")
    return {"content": content}


@construction
def counters(key, name, day, counts):
    """`key` is the terminal's authentication key; counts: objects with role, reason, count."""
    content = pc.counters_file(key, name, day, {(number(item["role"]), number(item["reason"])): number(item["count"]) for item in counts})
    must(len(pc.open_counters_file(pc.public_key(key), content)["counts"]) == len(counts), "the counters are read again")
    return {"public": pc.public_key(key), "content": content}


@construction
def counters_open(public, content):
    return {"name": pc.open_counters_file(public, content)["name"]}


@construction
def settlement(key, name, tid, file_number, lines, unknown):
    """`key` is the terminal's authentication key; lines and unknown have the names of chapter 11, `before` where there is one."""
    content = pc.settlement_file(key, name, tid, number(file_number), lines, unknown)
    found = pc.open_settlement_file(pc.public_key(key), content)
    must((len(found["lines"]), len(found["unknown"])) == (len(lines), len(unknown)), "the file is read again")
    return {"public": pc.public_key(key), "content": content}


@construction
def settlement_open(public, content):
    return {"number": be(pc.open_settlement_file(public, content)["number"], 4)}


@construction
def lot_file(ca, lot, cards):
    plain = pc.lot_file(ca, lot, [(card["serial"], card["keys"]) for card in cards])
    must(pc.open_lot_file(pc.public_key(ca), plain)[0] == lot, "the lot opens")
    return {"ca_public": pc.public_key(ca), "plain": plain}


@construction
def update(u_enc, u_mac, u_rcpt, m, role, version, rt, rc, ctr, plain):
    """`plain` is P224."""
    pc.parse_update(plain)
    cipher = pc.update_cipher(u_enc, ctr, plain)
    umac = pc.update_mac(u_mac, ctr, cipher)
    tmac = pc.update_tap_mac(m, number(role), number(version), rt, rc, ctr, cipher, umac)
    data = ctr + cipher + umac + tmac
    must(len(data) == 0xFC, "252 bytes")
    return {
        "e": cipher,
        "umac": umac,
        "tmac": tmac,
        "command": bytes([0x80, 0x14]) + role + version + be(len(data), 1) + data + b"\x10",
        "receipt": pc.update_receipt(u_rcpt, ctr, umac),
    }


@construction
def update_slot(u_rcpt, role, kv, flags, g, m, pid, record, loaded, cap):
    """`ktac` is the one that the card derives; it means something for SMALL_PAYMENT only."""
    plain = pc.update_slot(number(role), number(kv), number(flags), g, m, pid, record, loaded, cap)
    must(pc.parse_update(plain)["cap"] == cap, "P224 parses")
    return {"plain": plain, "ktac": pc.update_tac_key(u_rcpt, number(role), number(kv), pid)}


@construction
def update_dg3(number, dg3, signature, before, document_signer, person_public, dg1, dg2):
    """`before` and `after` are the signature object that the card shows; `after` holds for the new DG3."""
    plain = pc.update_dg3(int.from_bytes(number, "big"), dg3, signature)
    must(pc.parse_update(plain)["dg3"] == dg3, "P224 parses")
    after = pc.apply_dg3(before, int.from_bytes(number, "big"), dg3, signature)
    pc.check_signature_object(after, document_signer, person_public, [dg1, dg2, dg3])
    return {"plain": plain, "after": after}


@construction
def update_floor(floor):
    return {"plain": pc.update_small(0x11, floor)}


@construction
def update_block():
    return {"plain": pc.update_small(0x12)}


@construction
def update_erase(role, kv):
    return {"plain": pc.update_small(0x13, role + kv)}


@construction
def update_load(loaded):
    return {"plain": pc.update_small(0x14, loaded)}


@construction
def update_parse(plain):
    return {"op": pc.parse_update(plain)["op"].encode()}


@construction
def update_batch(root, id, name, issued, last_day, sequence, updates):
    root_public = pc.public_key(root)
    plain = pc.update_batch(root, id, name, issued, last_day, sequence, updates)
    must(pc.open_update_batch(root_public, plain)["updates"] == updates, "the batch opens")
    return {"root_public": root_public, "plain": plain}


@construction
def update_batch_open(root_public, plain):
    return {"id": pc.open_update_batch(root_public, plain)["id"]}


@construction
def receipts(items):
    plain = pc.receipts([(item["update"], item["receipt"]) for item in items])
    must(len(pc.open_receipts(plain)) == len(items), "the receipts are read again")
    return {"plain": plain}


@construction
def receipts_open(plain):
    return {"updates": [update for update, _ in pc.open_receipts(plain)]}


@construction
def card_back(private, number, region, issued):
    public, text = pc.public_key(private), pc.card_back(private, number, region, issued)
    must(pc.open_card_back(public, text) == {"number": number, "region": region, "issued": issued}, "a code reads back")
    encoded = text.rsplit(b":", 1)[1]
    return {"public": public, "signed": pc.card_back_signed(number, region, issued), "signature": base64.b32decode(encoded + b"="), "text": text}


@construction
def card_back_open(public, text):
    return pc.open_card_back(public, text)


# --- Cases ------------------------------------------------------------------------------------------------------------


def fixed(name: str, size: int = 32) -> bytes:
    """Bytes that look random and are the same for ever. The files hold the result, not this rule."""
    return hashlib.shake_128(b"yzt vector " + name.encode()).digest(size)


def x(text: str) -> bytes:
    return bytes.fromhex(text)


def run(name: str, /, **inputs) -> dict:
    return CONSTRUCTIONS[name](**inputs)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def exchange(header: str, data: bytes, answer: bytes, status: str = "9000") -> dict:
    return {"header": x(header), "data": data, "answer": answer, "status": x(status)}


def cases() -> dict[str, list[tuple[str, str, dict]]]:
    """Chapter -> (name, construction, inputs)."""
    secret = {name: fixed("private " + name) for name in ("card ca", "entitlement signer", "document signer", "terminal ca", "deny signer", "intermediate", "leaf", "person", "clinic", "social", "terminal ephemeral", "card ephemeral", "sealing", "box ephemeral", "card maker")}
    public = {name: pc.public_key(value) for name, value in secret.items()}
    serial = x("0001" "0000002a" "00000007")
    region, role, kv, cohort = x("440300"), 1, 7, 0x5A
    pid, pay_pid = fixed("pid transit", 16), fixed("pid payment", 16)
    masters = {name: fixed("master " + name) for name in ("transport", "issuance", "group", "tap", "record", "tac", "pay group", "pay tap", "pay record")}
    first, last, today = x("20261121"), x("20271120"), x("20261125")
    found: dict[str, list] = {}

    def add(chapter: str, name: str, what: str, /, **inputs) -> dict:
        found.setdefault(chapter, []).append((name, what, inputs))
        try:
            return run(what, **inputs)
        except Refused:
            return {}

    # 01
    chapter = "01-foundations"
    good = {
        "empty": "",
        "empty value": "8000",
        "two objects": "8001018102aabb",
        "two-byte tags": "5f2901007f4e00",
        "longest one-byte length": "817f" + "11" * 127,
        "shortest 81 length": "818180" + "22" * 128,
        "longest 81 length": "8181ff" + "33" * 255,
        "shortest 82 length": "81820100" + "44" * 256,
    }
    for name, encoded in good.items():
        add(chapter, f"tlv: {name}", "tlv-parse", encoded=x(encoded))
    bad = {
        "a lone tag": "80",
        "a lone two-byte tag": "5f",
        "a cut value": "800201",
        "a cut length": "808201",
        "81 where one byte is enough": "81817f" + "00" * 127,
        "82 where 81 is enough": "818200ff" + "00" * 255,
        "83 where 82 is enough": "81830001000000",
        "84 length": "818400000001ff",
        "indefinite length": "61808001010000",
        "three-byte tag": "7f81210100",
        "two-byte tag that one byte could name": "5f1e0100",
        "trailing byte": "80010180",
    }
    for name, encoded in bad.items():
        add(chapter, f"tlv refused: {name}", "tlv-parse", encoded=x(encoded))
    for length in (0, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000, 0xFFFFFF):
        add(chapter, f"tlv header: length {length:x}", "tlv-header", tag=x("7f50"), length=be(length, 4))
    for size in (0, 15, 16, 17, 64):
        add(chapter, f"cmac: {size} bytes", "cmac", key=fixed("cmac key", 16), message=fixed("cmac message", size))
    add(chapter, "cmac: AES-256", "cmac", key=fixed("cmac key 256", 32), message=fixed("cmac message", 40))
    signed = add(chapter, "ecdsa: RFC 6979 nonce", "ecdsa", private=fixed("ecdsa private"), message=b"YZT-TEST-1" + fixed("ecdsa message", 20))
    verification = {"public": signed["public"], "message": b"YZT-TEST-1" + fixed("ecdsa message", 20), "signature": signed["signature"]}
    low_or_high = signed["signature"][:32] + be(pc.N - number(signed["signature"][32:]), 32)
    add(chapter, "ecdsa verify: the other s is accepted too", "ecdsa-verify", **verification | {"signature": low_or_high})
    add(chapter, "ecdsa verify refused: a flipped bit", "ecdsa-verify", **verification | {"signature": flipped(signed["signature"], 40)})
    add(chapter, "ecdsa verify refused: another message", "ecdsa-verify", **verification | {"message": b"YZT-TEST-2" + fixed("ecdsa message", 20)})
    add(chapter, "ecdsa verify refused: r = 0", "ecdsa-verify", **verification | {"signature": bytes(32) + signed["signature"][32:]})
    add(chapter, "ecdsa verify refused: a point off the curve", "ecdsa-verify", **verification | {"public": flipped(signed["public"], 63)})
    # Signatures of whatever message it takes: what matters is how r and s begin.
    signing, shapes = fixed("ecdsa private"), {
        "r and s below the top bit": lambda r, s: 0 < r[0] < 0x80 and 0 < s[0] < 0x80,
        "r and s with the top bit set": lambda r, s: r[0] & 0x80 and s[0] & 0x80,
        "r begins with a zero byte": lambda r, s: r[0] == 0 and r[1] < 0x80 and s[0],
        "s begins with a zero byte": lambda r, s: s[0] == 0 and s[1] < 0x80 and r[0],
        "a zero byte before a byte with the top bit set": lambda r, s: r[0] == 0 and r[1] & 0x80,
    }
    for name, fits in shapes.items():
        for count in range(1 << 16):
            message = b"YZT-TEST-1" + be(count, 4)
            made = pc.sign(signing, message)
            if fits(made[:32], made[32:]):
                add(chapter, f"signature as DER: {name}", "signature-der", public=signed["public"], message=message, signature=made)
                break
    good_x, good_y = public["person"][:32], public["person"][32:]
    prime = x("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
    y_at_zero = x("66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4")
    add(chapter, "point", "point", encoded=b"\x04" + public["person"])
    add(chapter, "point: X = 0", "point", encoded=b"\x04" + bytes(32) + y_at_zero)
    wrong_points = {
        "off the curve": b"\x04" + flipped(public["person"], 63),
        "X and Y exchanged": b"\x04" + good_y + good_x,
        "of order 2 on another curve": b"\x04" + good_x + bytes(32),
        "of order 3 on another curve": b"\x04" + be(3, 32) + be(4, 32),
        "zeros": b"\x04" + bytes(64),
        "infinity": bytes(65),
        "infinity as two primes": b"\x04" + prime + prime,
        "X not below the prime": b"\x04" + prime + y_at_zero,
        "Y not below the prime": b"\x04" + bytes(32) + b"\xff" * 32,
        "all ones": b"\xff" * 65,
        "compressed": be(2 | good_y[31] & 1, 1) + good_x + bytes(32),
        "hybrid": be(6 | good_y[31] & 1, 1) + public["person"],
    }
    for name, encoded in wrong_points.items():
        add(chapter, f"point refused: {name}", "point", encoded=encoded)

    # 02
    chapter = "02-data-groups"
    add(chapter, "select", "select")
    group2 = add(chapter, "dg2: a short JPEG", "dg2", format=b"\x01", image=x("ffd8ffe0") + fixed("image", 40) + x("ffd9"), salt=fixed("salt 2", 16))
    items = {
        "name": "王小红".encode(),
        "sex": b"\x02",
        "nation": b"\x01",
        "birth_date": x("19491231"),
        "citizen_number": b"11010519491231002X",
        "photo": group2["photo"],
        "hukou_address": "湖南省长沙市岳麓区某路1号".encode(),
        "residence_address": "广东省深圳市南山区某街2号".encode(),
        "issuing_organ": "深圳市公安局".encode(),
        "issue_date": first,
        "salt": fixed("salt 1", 16),
    }
    group1 = add(chapter, "dg1", "dg1", **items)
    longest = {name: "长".encode() * 40 for name in ("name", "issuing_organ")} | {name: "长".encode() * 70 for name in ("hukou_address", "residence_address")}
    add(chapter, "dg1: every text as long as allowed", "dg1", **items | longest)
    group3 = add(chapter, "dg3", "dg3", permit_id=fixed("permit", 16), tier=b"\x02", issued=first, endorsed_until=last, rule_set=b"cn-residence-2016", state_counter=be(1, 4), salt=fixed("salt 3", 16))
    signed_object = add(chapter, "signature object", "signature-object", signer=secret["document signer"], signer_number=b"\x01", person_public=public["person"], dg1=group1["dg1"], dg2=group2["dg2"], dg3=group3["dg3"])
    opening = {"encoded": signed_object["encoded"], "signer_public": public["document signer"], "person_public": public["person"], "dg1": group1["dg1"], "dg2": b"", "dg3": group3["dg3"]}
    add(chapter, "signature object: two of three groups", "signature-object-open", **opening)
    add(chapter, "signature object refused: another card's key", "signature-object-open", **opening | {"person_public": public["clinic"]})
    add(chapter, "signature object refused: a changed group", "signature-object-open", **opening | {"dg3": flipped(group3["dg3"], 30)})
    add(chapter, "signature object refused: another signer", "signature-object-open", **opening | {"signer_public": public["card ca"]})
    content = pc.tlv_only(signed_object["encoded"], 0x77)
    body = pc.bytes_before(content, 0x9E) + x("870100")
    extended = tlv(0x77, body, tlv(0x9E, pc.sign(secret["document signer"], b"YZT-SO-1" + body)))
    add(chapter, "signature object refused: an unknown object, though signed", "signature-object-open", **opening | {"encoded": extended})
    person = {}
    for domain, name in ((1, "person"), (2, "clinic"), (3, "social")):
        person[name] = add(chapter, f"card certificate: {name}", "card-certificate", ca=secret["card ca"], domain=be(domain, 1), ca_number=b"\x01", valid_from=first, valid_to=x("20361120"), id=fixed("certificate id " + name, 16), public=public[name])

    # 04 (03 needs its keys)
    chapter = "04-keys"
    rows = [
        ("transport ENC, MAC, DEK", "transport", b"YZT transport", [serial], 48),
        ("issuance ENC, MAC, DEK", "issuance", b"YZT issuance", [serial], 48),
        ("U-ENC, U-MAC, U-RCPT", "issuance", b"YZT update", [serial], 48),
        ("U-ENC, U-MAC, U-RCPT of generation 1", "issuance", b"YZT update", [serial, be(1, 4)], 48),
        ("G", "group", b"YZT group", [be(role, 1), region, be(kv, 1), be(cohort, 1)], 16),
        ("M", "tap", b"YZT tap", [be(role, 1), region, be(kv, 1), pid], 16),
        ("record key", "record", b"YZT record", [be(role, 1), region, be(kv, 1), pid], 32),
        ("G of SMALL_PAYMENT", "pay group", b"YZT group", [b"\x03", region, b"\x02", b"\x00"], 16),
        ("M of SMALL_PAYMENT", "pay tap", b"YZT tap", [b"\x03", region, b"\x02", pay_pid], 16),
        ("record key of SMALL_PAYMENT", "pay record", b"YZT record", [b"\x03", region, b"\x02", pay_pid], 32),
        ("Ktac", "tac", b"YZT tac", [b"\x03", b"\x02", pay_pid], 16),
    ]
    key = {}
    for name, master, label, context, size in rows:
        key[name] = add(chapter, f"kdf108: {name}", "kdf108", master=masters[master], label=label, context=context, length=be(size, 2))["key"]
    for label, size, secrets in ((b"cert", 16, 32), (b"keys", 64, 64), (b"YZT-BOX-1", 32, 32)):
        add(chapter, f"kdf56c: {label.decode()}", "kdf56c", secret=fixed("kdf secret", secrets), label=label, transcript=fixed("transcript", 32), length=be(size, 2))
    add(chapter, "kcv", "kcv", key=key["transport ENC, MAC, DEK"][:16])

    # 03
    chapter = "03-records"
    record_inputs = {
        "key": key["record key"],
        "signer": secret["entitlement signer"],
        "role": be(role, 1),
        "kv": be(kv, 1),
        "issue_counter": be(1, 4),
        "pid": pid,
        "nonce": fixed("record nonce", 12),
        "public": public["person"],
        "tier": b"\x02",
        "service_class": b"\x01",
        "services": x("0000000000000003"),
        "zones": x("0000000000000005"),
        "valid_from": first,
        "valid_to": last,
        "rule_set": b"cn-residence-2016",
    }
    transit = add(chapter, "record: TRANSIT", "record", **record_inputs)["record"]
    payment = add(chapter, "record: SMALL_PAYMENT", "record", **record_inputs | {"key": key["record key of SMALL_PAYMENT"], "role": b"\x03", "kv": b"\x02", "pid": pay_pid, "nonce": fixed("record nonce 3", 12)})["record"]
    clinic = add(chapter, "record: CLINIC, bound to the CLINIC key", "record", **record_inputs | {"key": fixed("clinic record key"), "role": b"\x04", "public": public["clinic"], "pid": fixed("pid clinic", 16), "nonce": fixed("record nonce 4", 12)})["record"]
    opening = {"key": key["record key"], "signer_public": public["entitlement signer"], "pid": pid, "record": transit}
    add(chapter, "record opens", "record-open", **opening)
    for at, what in ((4, "issue counter"), (12, "nonce"), (24, "ciphertext"), (159, "tag")):
        add(chapter, f"record refused: a flipped bit in the {what}", "record-open", **opening | {"record": flipped(transit, at)})
    add(chapter, "record refused: moved to another pid", "record-open", **opening | {"pid": pay_pid})
    add(chapter, "record refused: another signer", "record-open", **opening | {"signer_public": public["document signer"]})

    # 05
    chapter = "05-door-i"
    script = fixed("script", 16)
    begin = b"\x01\x02" + script
    write = b"\x02\x03" + be(len(group3["dg3"]), 2) + be(0, 2) + group3["dg3"]
    slot = add(chapter, "step: SLOT", "slot-step", role=be(role, 1), kv=be(kv, 1), flags=b"\x00", g=key["G"], m=key["M"], pid=pid, record=transit, loaded=bytes(4))["step"]
    trust_name = pc.certificate_name(b"YZT-ROOT01", 1, 1)
    trust = b"\x08" + trust_name + public["terminal ca"] + be(1, 2) + first
    steps = [begin, write, slot, trust]
    chain = add(chapter, "script chain", "script-chain", script=script, steps=steps)["h"]
    final = add(chapter, "step: FINALISE", "finalise", script=script, steps=steps, today=today)["step"]
    add(chapter, "step: KEYS", "keys-step", dek=key["transport ENC, MAC, DEK"][32:], keys=key["issuance ENC, MAC, DEK"] + key["U-ENC, U-MAC, U-RCPT"])
    status = b"\x03" + script + be(4, 2) + chain[4] + b"\x00" + first + be(1, 2) + b"\x01"
    must(len(status) == 59, "GET STATUS is 59 bytes")
    session = {"keys": key["issuance ENC, MAC, DEK"], "key_information": x("010360"), "sequence": b"", "host_challenge": fixed("host challenge", 8), "card_challenge": fixed("card challenge", 8)}
    exchanges = [
        exchange("84da0001", begin, b""),
        exchange("84da0002", write, b""),
        exchange("84da0003", slot, b""),
        exchange("84da0004", trust, b""),
        exchange("84f20000", b"", status),
        exchange("84da0005", b"\x02\x02" + be(4000, 2) + be(0, 2) + fixed("chunk", 233), b""),
        exchange("84da0005", final, b"\x03"),
    ]
    add(chapter, "scp03: i = 60, seven exchanges", "scp03", **session, exchanges=exchanges)
    aid, sequence = x("a000000151000000"), be(42, 3)
    challenge = add(chapter, "scp03: card challenge of i = 70", "scp03-challenge-i70", enc=key["issuance ENC, MAC, DEK"][:16], sequence=sequence, aid=aid)["card_challenge"]
    add(chapter, "scp03: i = 70", "scp03", **session | {"key_information": x("300370"), "sequence": sequence, "card_challenge": challenge}, exchanges=[exchange("84f28002", x("4f00"), fixed("i70 answer", 17)), exchange("84ca0066", b"", b"", "6310")])

    # 06
    chapter = "06-door-f"
    tap_inputs = {"g": key["G"], "m": key["M"], "role": be(role, 1), "version": be(kv, 1), "rt": fixed("rT", 16), "rc": fixed("rC", 16), "pid": pid, "record": transit}
    idle = {name: bytes(size) for name, size in (("seq", 4), ("loaded", 4), ("spent", 4), ("txno", 8), ("sb", 16), ("tac", 8))}
    answer = add(chapter, "tap: TRANSIT", "tap", **tap_inputs, **idle)["answer"]
    add(chapter, "cohort filter: the right cohort", "cohort-filter", g=key["G"], c=answer[16:240])
    other = pc.group_key(masters["group"], role, region, kv, cohort + 1)
    add(chapter, "cohort filter: another cohort", "cohort-filter", g=other, c=answer[16:240])
    add(chapter, "cohort search", "cohort-search", group_master=masters["group"], role=be(role, 1), region=region, kv=be(kv, 1), c=answer[16:240])
    add(chapter, "cohort search: another region", "cohort-search", group_master=masters["group"], role=be(role, 1), region=x("440305"), kv=be(kv, 1), c=answer[16:240])
    purse = {"role": b"\x03", "version": b"\x02", "rt": fixed("rT pay", 16), "rc": fixed("rC pay", 16), "pid": pay_pid, "seq": x("12345678"), "loaded": be(20000, 4), "spent": be(4550, 4)}
    debit = add(chapter, "commit", "commit", m=key["M of SMALL_PAYMENT"], ktac=key["Ktac"], **purse, amount=be(200, 4), tid=x("00a10042"), txno=fixed("txno", 8), time=be(848_000_000, 4), type=b"\x01")
    after = purse | {"rt": fixed("rT pay 2", 16), "rc": fixed("rC pay 2", 16), "seq": debit["seq_after"], "spent": debit["spent_after"], "txno": fixed("txno", 8), "sb": debit["sb"], "tac": debit["tac"]}
    add(chapter, "tap: SMALL_PAYMENT after that commit", "tap", g=key["G of SMALL_PAYMENT"], m=key["M of SMALL_PAYMENT"], record=payment, **after)

    # 07
    chapter = "07-door-s"
    add(chapter, "rights oid", "rights-oid", uuid=x("312f98dd668f51d7b058aa79577040d5"))
    middle_name, leaf_name = pc.certificate_name(b"YZT-INTER1", 1, 7), pc.certificate_name(b"YZT-LEAF01", 1, 4711)
    police = pc.rights4("IDENTITY", "PORTRAIT", "PERMIT", "VERIFY", "ISSUER", "TRANSIT", "DOOR")
    middle_inputs = {"issuer": secret["terminal ca"], "car": trust_name, "chr": middle_name, "public": public["intermediate"], "rights": be(0x31F07, 4), "effective": x("20261101"), "expiry": x("20271101")}
    leaf_inputs = {"issuer": secret["intermediate"], "car": middle_name, "chr": leaf_name, "public": public["leaf"], "rights": police, "effective": x("20261123"), "expiry": x("20261130")}
    middle = add(chapter, "terminal certificate: intermediate", "terminal-certificate", **middle_inputs)["certificate"]
    leaf = add(chapter, "terminal certificate: leaf", "terminal-certificate", **leaf_inputs)["certificate"]
    chain_inputs = {"root_name": trust_name, "root_public": public["terminal ca"], "floor": x("20261121"), "epoch": be(1, 2), "intermediate": middle, "leaf": leaf}

    def another(upper=None, lower=None) -> dict:
        """Both certificates with some inputs changed."""
        made = [run("terminal-certificate", **inputs | (changed or {}))["certificate"] for inputs, changed in ((middle_inputs, upper), (leaf_inputs, lower))]
        return chain_inputs | {"intermediate": made[0], "leaf": made[1]}

    add(chapter, "chain", "terminal-chain", **chain_inputs)
    add(chapter, "chain: the intermediate advances floor and epoch", "terminal-chain", **another({"chr": pc.certificate_name(b"YZT-INTER1", 3, 7), "effective": x("20261122")}, {"car": pc.certificate_name(b"YZT-INTER1", 3, 7)}))
    add(chapter, "chain: rights are what both have", "terminal-chain", **another({"rights": pc.rights4("IDENTITY", "CLINIC")}, {"rights": pc.rights4("CLINIC", "PERMIT")}))
    add(chapter, "chain: a leaf that ends on the date floor", "terminal-chain", **chain_inputs | {"floor": x("20261130")})
    later = pc.certificate_name(b"YZT-INTER1", 3, 7)
    far = another({"chr": later, "effective": x("20280101"), "expiry": x("20290101")}, {"car": later, "effective": x("20280101"), "expiry": x("20280108")})
    add(chapter, "chain: an intermediate 400 days ahead of the floor moves floor and epoch", "terminal-chain", **far | {"floor": x("20261127")})
    add(chapter, "chain: an intermediate 401 days ahead of the floor moves nothing", "terminal-chain", **far | {"floor": x("20261126")})
    add(chapter, "chain: without a floor any intermediate moves both", "terminal-chain", **far | {"floor": bytes(4)})
    wrong = another({"chr": later, "effective": x("20950101"), "expiry": x("20960101")}, {"car": later, "effective": x("20950101"), "expiry": x("20950108")})
    add(chapter, "chain: an intermediate of 2095 moves nothing", "terminal-chain", **wrong)
    refused = {
        "far ahead, and of an old epoch": far | {"epoch": be(4, 2)},
        "an intermediate of an old epoch": chain_inputs | {"epoch": be(2, 2)},
        "a leaf that ended before the floor": chain_inputs | {"floor": x("20261201")},
        "an intermediate that ended before the floor": chain_inputs | {"floor": x("20271102")},
        "an unknown root": chain_inputs | {"root_name": pc.certificate_name(b"YZT-ROOT01", 1, 2)},
        "another root key": chain_inputs | {"root_public": public["card ca"]},
        "a leaf of another intermediate": another(None, {"car": leaf_name}),
        "a leaf signed by the root": another(None, {"issuer": secret["terminal ca"]}),
        "a leaf that lives eight days": another(None, {"expiry": x("20261201")}),
        "effective after expiry": another(None, {"effective": x("20261130"), "expiry": x("20261129")}),
        "no right in common": another({"rights": pc.rights4("CLINIC")}, {"rights": pc.rights4("IDENTITY")}),
        "no rights": another(None, {"rights": bytes(4)}),
        "a flipped bit in a right": chain_inputs | {"leaf": leaf.replace(b"\x53\x04" + police, b"\x53\x04" + flipped(police, 2))},
    }
    for name, inputs in refused.items():
        add(chapter, f"chain refused: {name}", "terminal-chain", **inputs)
    for names in (("IDENTITY",), ("VERIFY",), ("ISSUER", "CLINIC"), ("CLINIC",), ("SOCIAL_INSURANCE",), ("CLINIC", "SOCIAL_INSURANCE"), ("TRANSIT",), ("VERIFY", "TRANSIT")):
        add(chapter, "domain: " + " + ".join(names), "domain-of-rights", rights=pc.rights4(*names))
    opening = {"intermediate": middle, "leaf": leaf, "leaf_private": secret["leaf"], "terminal_ephemeral": secret["terminal ephemeral"], "rc": fixed("rC door s", 16), "rights": pc.rights4("IDENTITY", "PERMIT"), "card_ephemeral": secret["card ephemeral"], "card_static": secret["person"], "card_certificate": person["person"]["certificate"]}
    total = be(len(group3["dg3"]), 2)
    reads = [exchange("84b00300", x("0000") + b"\xed", total + group3["dg3"]), exchange("84b00100", x("0010") + b"\x20", be(len(group1["dg1"]), 2) + group1["dg1"][16:48]), exchange("842c0000", b"", b"")]
    add(chapter, "door s: PERSON, three exchanges", "door-s", **opening, exchanges=reads)
    clinic_leaf = run("terminal-certificate", **leaf_inputs | {"rights": pc.rights4("CLINIC"), "chr": pc.certificate_name(b"YZT-LEAF01", 1, 4712)})["certificate"]
    read_record = [exchange("84b01400", x("0000") + b"\xb1", be(177, 2) + be(kv, 1) + fixed("pid clinic", 16) + clinic)]
    add(chapter, "door s: CLINIC", "door-s", **opening | {"leaf": clinic_leaf, "rights": pc.rights4("CLINIC"), "card_static": secret["clinic"], "card_certificate": person["clinic"]["certificate"]}, exchanges=read_record)

    # 08
    chapter = "08-terminals"
    denied = [be(n, 8) for n in (1, 0x0102030405060708)]
    listed = add(chapter, "deny list", "deny-list", signer=secret["deny signer"], role=b"\x01", version=be(12, 4), issued=first, largest_age=be(7, 2), entries=denied)["value"]
    empty = add(chapter, "deny list: empty", "deny-list", signer=secret["deny signer"], role=b"\x04", version=be(1, 4), issued=first, largest_age=be(30, 2), entries=[])["value"]
    add(chapter, "deny list refused: not ascending", "deny-list-open", signer_public=public["deny signer"], value=pc.deny_list(secret["deny signer"], 1, 12, first, 7, denied[::-1]))
    add(chapter, "deny list refused: a repetition", "deny-list-open", signer_public=public["deny signer"], value=pc.deny_list(secret["deny signer"], 1, 12, first, 7, denied[:1] * 2))
    add(chapter, "deny list refused: a flipped bit", "deny-list-open", signer_public=public["deny signer"], value=flipped(listed, 8))
    body = pc.bytes_before(listed, 0x9E) + x("860100")
    add(chapter, "deny list refused: an unknown object, though signed", "deny-list-open", signer_public=public["deny signer"], value=body + tlv(0x9E, pc.sign(secret["deny signer"], b"YZT-DENY-1" + body)))
    bus_keys = [
        {"role": b"\x01", "region": region, "kv": be(kv, 1), "state": b"\x01", "group": masters["group"], "tap": masters["tap"], "record": masters["record"]},
        {"role": b"\x01", "region": region, "kv": be(kv - 1, 1), "state": b"\x02", "until": x("20261231"), "group": fixed("old group"), "tap": fixed("old tap"), "record": fixed("old record")},
    ]
    common = {"root": secret["terminal ca"], "root_name": trust_name, "issued": first, "last_day": x("20261228"), "sequence": be(3, 4), "card_ca": public["card ca"], "entitlement_signer": public["entitlement signer"], "document_signer": public["document signer"], "deny_signer": public["deny signer"]}
    bus = add(chapter, "bundle: a bus", "bundle", **common, id=fixed("bundle bus", 16), name="公交 42".encode(), keys=bus_keys, door_s=[], deny_lists=[listed], zones=x("0000000000000004"))["plain"]
    no_taps = [{name: value for name, value in bus_keys[0].items() if name not in ("group", "tap")}]
    add(chapter, "bundle: a counter, which never taps", "bundle", **common, id=fixed("bundle counter", 16), name="窗口 1".encode(), keys=no_taps, door_s=[], deny_lists=[listed], zones=bytes(8))
    patient = add(chapter, "deny list: with grace", "deny-list", signer=secret["deny signer"], role=b"\x01", version=be(13, 4), issued=first, largest_age=be(7, 2), entries=denied, grace=be(3, 2))["value"]
    add(chapter, "deny list refused: another grace", "deny-list-open", signer_public=public["deny signer"], value=patient.replace(x("85020003"), x("85020103")))
    add(chapter, "deny list refused: its grace taken away", "deny-list-open", signer_public=public["deny signer"], value=patient.replace(x("85020003"), b""))
    add(chapter, "list file", "list-file", lists=[patient, empty])
    pay_key = [{"role": b"\x03", "region": region, "kv": b"\x02", "state": b"\x01", "group": masters["pay group"], "tap": masters["pay tap"], "record": masters["pay record"]}]
    shop_list = pc.deny_list(secret["deny signer"], 3, 1, first, 7, [])
    add(chapter, "bundle: a shop", "bundle", **common, id=fixed("bundle shop", 16), name="小店 3".encode(), keys=pay_key, door_s=[], deny_lists=[shop_list], zones=bytes(8), tid=x("00a10042"))
    days = {"key": secret["leaf"], "name": "公交 42".encode(), "day": first}
    counts = [{"role": be(role, 1), "reason": be(reason, 1), "count": be(count, 4)} for role, reason, count in ((1, 0, 5120), (1, 3, 2), (1, 10, 7), (5, 0, 1))]
    counted = add(chapter, "counters", "counters", **days, counts=counts)["content"]
    add(chapter, "counters: nothing happened", "counters", **days, counts=[])
    opening = {"public": public["leaf"], "content": counted}
    add(chapter, "counters open", "counters-open", **opening)
    add(chapter, "counters refused: a flipped bit", "counters-open", **opening | {"content": flipped(counted, 30)})
    add(chapter, "counters refused: another terminal", "counters-open", **opening | {"public": public["card ca"]})

    def forged_counters(items: list[tuple[int, int, int]], version: bytes = b"\x02", more: tuple[bytes, ...] = ()) -> bytes:
        body = [tlv(0x80, version), tlv(0x81, b"bus"), tlv(0x82, first), *more]
        body += [tlv(0xA4, tlv(0x80, be(role, 1)), tlv(0x81, be(reason, 1)), tlv(0x82, be(count, 4))) for role, reason, count in items]
        return pc.signed_object(b"YZT-COUNTERS-1", secret["leaf"], tlv(0x7F54, *body))

    for name, items in {"out of order": [(1, 3, 1), (1, 0, 1)], "twice": [(1, 0, 1), (1, 0, 2)], "zero": [(1, 0, 0)], "unknown reason": [(1, 13, 1)], "unknown role": [(6, 0, 1)]}.items():
        add(chapter, f"counters refused: {name}", "counters-open", **opening | {"content": forged_counters(items)})
    add(chapter, "counters refused: of several days", "counters-open", **opening | {"content": forged_counters([(1, 0, 1)], b"\x01", (tlv(0x83, x("20261122")),))})
    add(chapter, "counters refused: more than a day says", "counters-open", **opening | {"content": forged_counters([(1, 0, 1)], more=(tlv(0x83, x("20261122")),))})
    clinic_key = [{"role": b"\x04", "region": region, "kv": b"\x01", "state": b"\x01", "record": fixed("clinic master")}]
    add(chapter, "bundle: a clinic", "bundle", **common, id=fixed("bundle clinic", 16), name=b"clinic 7", keys=clinic_key, door_s=[middle, clinic_leaf], deny_lists=[empty], zones=bytes(8))
    add(chapter, "bundle refused: a flipped bit", "bundle-open", root_name=trust_name, root_public=public["terminal ca"], plain=flipped(bus, 12))
    add(chapter, "bundle refused: another root", "bundle-open", root_name=trust_name, root_public=public["card ca"], plain=bus)
    box = add(chapter, "sealed box: the bus's bundle", "sealed-box", magic=b"YZTB", ephemeral=secret["box ephemeral"], receiver=secret["sealing"], nonce=fixed("box nonce", 12), plain=bus)["box"]
    small = {"magic": b"YZTB", "receiver": secret["sealing"], "box": pc.seal_box(b"YZTB", secret["box ephemeral"], public["sealing"], fixed("box nonce 2", 12), b"small")}
    add(chapter, "sealed box opens", "sealed-box-open", **small)
    add(chapter, "sealed box refused: another kind", "sealed-box-open", **small | {"magic": b"YZTL"})
    add(chapter, "sealed box refused: another receiver", "sealed-box-open", **small | {"receiver": secret["card maker"]})
    for at, what in ((4, "version"), (50, "point"), (75, "nonce"), (84, "ciphertext")):
        add(chapter, f"sealed box refused: a flipped bit in the {what}", "sealed-box-open", **small | {"box": flipped(small["box"], at)})
    cards = [{"serial": serial, "keys": key["transport ENC, MAC, DEK"]}, {"serial": serial[:-1] + b"\x08", "keys": pc.transport_keys(masters["transport"], serial[:-1] + b"\x08")}]
    lot = add(chapter, "lot file", "lot-file", ca=secret["card ca"], lot=x("0000002a"), cards=cards)["plain"]
    add(chapter, "sealed box: the lot file", "sealed-box", magic=b"YZTL", ephemeral=secret["box ephemeral"], receiver=secret["card maker"], nonce=fixed("box nonce 3", 12), plain=lot)
    must(box[:4] == b"YZTB", "magic")

    # 09
    chapter = "09-updates"
    u_enc, u_mac, u_rcpt = (key["U-ENC, U-MAC, U-RCPT"][i : i + 16] for i in (0, 16, 32))
    update_keys = {"u_enc": u_enc, "u_mac": u_mac, "u_rcpt": u_rcpt}
    transit_slot = {"u_rcpt": u_rcpt, "role": be(role, 1), "kv": be(kv, 1), "flags": b"\x00", "g": key["G"], "m": key["M"], "pid": pid, "record": transit, "loaded": bytes(4), "cap": bytes(4)}
    plain = {"SLOT of TRANSIT": add(chapter, "P224: SLOT of TRANSIT", "update-slot", **transit_slot)["plain"]}
    must(plain["SLOT of TRANSIT"] == slot, "without a purse P224 is the SLOT step")
    pay_slot = {"u_rcpt": u_rcpt, "role": b"\x03", "kv": b"\x02", "flags": b"\x01", "g": key["G of SMALL_PAYMENT"], "m": key["M of SMALL_PAYMENT"], "pid": pay_pid, "record": payment, "loaded": be(25000, 4), "cap": be(10000, 4)}
    plain["SLOT of SMALL_PAYMENT"] = add(chapter, "P224: SLOT of SMALL_PAYMENT", "update-slot", **pay_slot)["plain"]
    endorsed = run("dg3", permit_id=fixed("permit", 16), tier=b"\x02", issued=first, endorsed_until=x("20281120"), rule_set=b"cn-residence-2016", state_counter=be(2, 4), salt=fixed("salt 3 again", 16))["dg3"]
    signed_again = pc.tlv_list(pc.tlv_only(run("signature-object", signer=secret["document signer"], signer_number=b"\x02", person_public=public["person"], dg1=group1["dg1"], dg2=group2["dg2"], dg3=endorsed)["encoded"], 0x77))
    dg3_inputs = {"number": b"\x02", "dg3": endorsed, "signature": signed_again[-1][1], "before": signed_object["encoded"], "document_signer": public["document signer"], "person_public": public["person"], "dg1": group1["dg1"], "dg2": group2["dg2"]}
    plain["DG3"] = add(chapter, "P224: DG3, and the signature object after it", "update-dg3", **dg3_inputs)["plain"]
    plain["FLOOR"] = add(chapter, "P224: FLOOR", "update-floor", floor=today)["plain"]
    plain["BLOCK"] = add(chapter, "P224: BLOCK", "update-block")["plain"]
    plain["ERASE"] = add(chapter, "P224: ERASE", "update-erase", role=b"\x01", kv=be(kv - 1, 1))["plain"]
    plain["LOAD"] = add(chapter, "P224: LOAD", "update-load", loaded=be(30000, 4))["plain"]
    for name, found_plain in plain.items():
        add(chapter, f"P224 is read: {name}", "update-parse", plain=found_plain)
    no_group = bytearray(plain["DG3"])
    no_group[3] = 0x6C
    refused_plains = {
        "an unknown op": pc.update_small(0x06),
        "op 00": bytes(224),
        "a byte behind BLOCK": flipped(plain["BLOCK"], 1),
        "a byte at the end of FLOOR": flipped(plain["FLOOR"], 223),
        "a byte behind ERASE": flipped(plain["ERASE"], 3),
        "a byte behind LOAD": flipped(plain["LOAD"], 5),
        "a byte behind SLOT": flipped(plain["SLOT of SMALL_PAYMENT"], 220),
        "SLOT of an unknown role": plain["SLOT of SMALL_PAYMENT"][:1] + b"\x06" + plain["SLOT of SMALL_PAYMENT"][2:],
        "SLOT with kv 0": plain["SLOT of SMALL_PAYMENT"][:2] + b"\x00" + plain["SLOT of SMALL_PAYMENT"][3:],
        "SLOT with an unknown flag": plain["SLOT of SMALL_PAYMENT"][:3] + b"\x02" + plain["SLOT of SMALL_PAYMENT"][4:],
        "SLOT of TRANSIT with loaded": flipped(plain["SLOT of TRANSIT"], 215),
        "SLOT of TRANSIT with cap": flipped(plain["SLOT of TRANSIT"], 219),
        "DG3 of length 0": pc.update_dg3(2, b"", signed_again[-1][1]),
        "DG3 shorter than its length": plain["DG3"][:2] + be(len(endorsed) + 1, 1) + plain["DG3"][3:],
        "DG3 longer than its length": plain["DG3"][:2] + be(len(endorsed) - 1, 1) + plain["DG3"][3:],
        "DG3 of length 158": plain["DG3"][:2] + be(158, 1) + plain["DG3"][3:],
        "DG3 of another tag": bytes(no_group),
        "DG3 with a byte behind it": flipped(plain["DG3"], 159),
        "FLOOR of no day": pc.update_small(0x11, x("20261301")),
        "ERASE of an unknown role": pc.update_small(0x13, b"\x00\x01"),
        "ERASE with kv 0": pc.update_small(0x13, b"\x01\x00"),
    }
    for name, found_plain in refused_plains.items():
        add(chapter, f"P224 refused: {name}", "update-parse", plain=found_plain)
    sealed_updates = []
    for ctr, (name, found_plain) in enumerate(plain.items(), 9):
        made_update = add(chapter, f"update: {name}", "update", **update_keys, m=key["M"], role=be(role, 1), version=be(kv, 1), rt=fixed("rT update", 16), rc=fixed("rC update", 16), ctr=be(ctr, 4), plain=found_plain)
        sealed_updates.append({"id": fixed(f"update id {ctr}", 16), "role": be(role, 1), "pid": pid, "ctr": be(ctr, 4), "e": made_update["e"], "umac": made_update["umac"], "receipt": made_update["receipt"]})
    batch = {"root": secret["terminal ca"], "id": fixed("batch", 16), "name": "公交 42".encode(), "issued": first, "last_day": x("20261128"), "sequence": be(4, 4)}
    carried = [{name: value for name, value in item.items() if name != "receipt"} for item in sealed_updates]
    whole = add(chapter, "update batch: a bus", "update-batch", **batch, updates=carried[:3])["plain"]
    add(chapter, "update batch: nothing waits", "update-batch", **batch | {"id": fixed("batch 2", 16), "sequence": be(5, 4)}, updates=[])
    opening = {"root_public": public["terminal ca"], "plain": whole}
    add(chapter, "update batch opens", "update-batch-open", **opening)
    add(chapter, "update batch refused: a flipped bit", "update-batch-open", **opening | {"plain": flipped(whole, 12)})
    add(chapter, "update batch refused: another root", "update-batch-open", **opening | {"root_public": public["card ca"]})
    add(chapter, "update batch refused: signed as a bundle", "update-batch-open", **opening | {"plain": pc.signed_object(b"YZT-BUNDLE-1", secret["terminal ca"], whole[:-67])})
    add(chapter, "update batch refused: delivered through CLINIC", "update-batch-open", **opening | {"plain": pc.update_batch(updates=[carried[0] | {"role": b"\x04"}], **batch)})
    add(chapter, "sealed box: the update batch", "sealed-box", magic=b"YZTU", ephemeral=secret["box ephemeral"], receiver=secret["sealing"], nonce=fixed("box nonce 4", 12), plain=whole)
    proofs = sorted(({"update": item["id"], "receipt": item["receipt"]} for item in sealed_updates), key=lambda item: item["update"])
    add(chapter, "receipts", "receipts", items=proofs)
    add(chapter, "receipts: none", "receipts", items=[])
    pairs = [(item["update"], item["receipt"]) for item in proofs]
    add(chapter, "receipts are read", "receipts-open", plain=pc.receipts(pairs))
    add(chapter, "receipts refused: not ascending", "receipts-open", plain=pc.receipts(pairs[::-1]))
    add(chapter, "receipts refused: an update twice", "receipts-open", plain=pc.receipts(pairs[:1] * 2))
    add(chapter, "receipts refused: bytes behind them", "receipts-open", plain=pc.receipts(pairs) + b"\x00")

    # 11
    chapter = "11-settlement"
    tid, till = x("00a10042"), {"key": secret["leaf"], "name": "小店 3".encode(), "tid": x("00a10042")}
    pay = {"kv": b"\x02", "pid": pay_pid}

    def debit(count: int, amount: int, spent: int) -> dict:
        """Debit number `count` of the card, made by this terminal."""
        body = pc.commit_body(amount, tid, fixed(f"txno {count}", 8), 0x328B7400 + count)
        return pay | {"body": body, "seq": be(0x12345678 + count, 4), "loaded": be(20000, 4), "spent": be(spent, 4), "tac": fixed(f"tac {count}", 8)}

    def shown_by(line: dict) -> bytes:
        """What the TAP behind a debit shows of it."""
        return line["seq"] + line["loaded"] + line["spent"] + line["body"][8:16] + fixed("sb " + line["seq"].hex(), 16) + line["tac"]

    first_debit, second_debit = debit(1, 200, 4750), debit(2, 300, 5050)
    second_debit["before"] = shown_by(first_debit)
    open_purchase = pay | {"body": pc.commit_body(700, tid, fixed("txno 3", 8), 0x328B7500), "s0": be(0x1234567A, 4)}
    file = add(chapter, "settlement: two lines and an unknown one", "settlement", **till, file_number=be(1, 4), lines=[first_debit, second_debit], unknown=[open_purchase])["content"]
    add(chapter, "settlement: lines alone", "settlement", **till, file_number=be(2, 4), lines=[second_debit], unknown=[])
    add(chapter, "settlement: an unknown one alone", "settlement", **till, file_number=be(3, 4), lines=[], unknown=[open_purchase])
    opening = {"public": public["leaf"], "content": file}
    add(chapter, "settlement opens", "settlement-open", **opening)
    add(chapter, "settlement refused: a flipped bit", "settlement-open", **opening | {"content": flipped(file, 40)})
    add(chapter, "settlement refused: another terminal", "settlement-open", **opening | {"public": public["card ca"]})
    other_till, rfu = pc.commit_body(200, x("00a10043"), fixed("txno 1", 8), 0x328B7401), first_debit["body"][:-1] + b"\x01"
    forged = {
        "file number 0": (0, [first_debit], []),
        "a line of kv 0": (1, [first_debit | {"kv": b"\0"}], []),
        "an unknown one of kv 0": (1, [], [open_purchase | {"kv": b"\0"}]),
        "a line of another tid": (1, [first_debit | {"body": other_till}], []),
        "an unknown one of another tid": (1, [], [open_purchase | {"body": other_till}]),
        "a body with an RFU byte": (1, [first_debit | {"body": rfu}], []),
        "a before without a debit": (1, [second_debit | {"before": second_debit["before"][:12] + bytes(8) + second_debit["before"][20:]}], []),
        "a short before": (1, [second_debit | {"before": second_debit["before"][:-1]}], []),
    }
    for name, (file_number, lines, unknown) in forged.items():
        made_file = pc.settlement_file(secret["leaf"], till["name"], tid, file_number, lines, unknown)
        add(chapter, f"settlement refused: {name}", "settlement-open", **opening | {"content": made_file})
    signed_wrong = pc.signed_object(b"YZT-COUNTERS-1", secret["leaf"], file[:-67])
    add(chapter, "settlement refused: signed as counters", "settlement-open", **opening | {"content": signed_wrong})

    # 15
    chapter = "15-card-back"
    back = {"private": secret["document signer"], "number": b"4400000000015", "region": x("440305"), "issued": first}
    code = add(chapter, "card back", "card-back", **back)["text"]
    add(chapter, "card back: the longest number", "card-back", **back | {"number": b"0123456789-ABCDEFGHIJKLMNOPQRSTU"})
    opening = {"public": public["document signer"], "text": code}
    add(chapter, "card back is read", "card-back-open", **opening)
    add(chapter, "card back refused: another signer", "card-back-open", **opening | {"public": public["card ca"]})
    form, shown, place, day, encoded = code.split(b":")
    other = pc.card_back(secret["document signer"], b"4400000000023", x("440305"), first).rsplit(b":", 1)[1]
    wrong_texts = {
        "another number": [form, b"4400000000023", place, day, encoded],
        "another division": [form, shown, b"440306", day, encoded],
        "another day": [form, shown, place, b"20261122", encoded],
        "the signature of another card": [form, shown, place, day, other],
        "another version": [b"YZT2", shown, place, day, encoded],
        "no day of the calendar": [form, shown, place, b"20261131", encoded],
        "a number in lower case": [form, shown + b"a", place, day, encoded],
        "no number": [form, b"", place, day, encoded],
        "a number of 33": [form, b"4" * 33, place, day, encoded],
        "a signature in lower case": [form, shown, place, day, encoded.lower()],
        "a cut signature": [form, shown, place, day, encoded[:-1]],
        "padding": [form, shown, place, day, encoded + b"="],
        "another spelling of the last sign": [form, shown, place, day, encoded[:-1] + bytes([encoded[-1] + 1])],
        "a field more": [form, shown, place, day, encoded, b""],
        "bytes that are no text": [form, b"\xff", place, day, encoded],
    }
    for name, parts in wrong_texts.items():
        add(chapter, f"card back refused: {name}", "card-back-open", **opening | {"text": b":".join(parts)})
    add(chapter, "card back refused: nothing", "card-back-open", **opening | {"text": b""})
    return {chapter: found[chapter] for chapter in sorted(found)}


# --- Files ------------------------------------------------------------------------------------------------------------


def to_json(value):
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, list):
        return [to_json(item) for item in value]
    return {name: to_json(item) for name, item in value.items()}


def from_json(value):
    if isinstance(value, str):
        return bytes.fromhex(value)
    if isinstance(value, list):
        return [from_json(item) for item in value]
    return {name: from_json(item) for name, item in value.items()}


def outputs_of(what: str, inputs: dict) -> dict:
    try:
        return to_json(CONSTRUCTIONS[what](**inputs))
    except Refused as refusal:
        return {"refused": refusal.status or ""}


def text_of(chapter: str, vectors: list[dict]) -> str:
    return json.dumps({"schema": SCHEMA, "chapter": chapter, "vectors": vectors}, indent=1, ensure_ascii=False) + "\n"


def made() -> dict[str, list[dict]]:
    everything = {}
    for chapter, found in cases().items():
        names = [name for name, _, _ in found]
        must(len(names) == len(set(names)), f"names in {chapter} are unique")
        everything[chapter] = [{"name": name, "chapter": chapter, "construction": what, "inputs": to_json(inputs), "outputs": outputs_of(what, inputs)} for name, what, inputs in found]
    return everything


def differences(path: str, expected, found):
    """Lines that say where two JSON values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in list(expected) + [name for name in found if name not in expected]:
            yield from differences(f"{path}.{name}", expected.get(name), found.get(name))
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for i, pair in enumerate(zip(expected, found)):
            yield from differences(f"{path}[{i}]", *pair)
    elif expected != found:
        yield f"{path}\n    file       {expected}\n    recomputed {found}"


def problems() -> tuple[int, list[str]]:
    """How many vectors there are, and a line for each difference."""
    wrong = [f"published value not reproduced: {name}" for name in pc.known_answers()]
    total, seen = 0, {}
    for path in sorted(HERE.glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        if content.get("schema") != SCHEMA:
            continue
        for vector in content["vectors"]:
            total += 1
            where = f"{path.name}: {vector['name']}"
            seen.setdefault(content["chapter"], set()).add(vector["name"])
            if vector["construction"] not in CONSTRUCTIONS:
                wrong.append(f"{where}: unknown construction {vector['construction']}")
                continue
            try:
                found = outputs_of(vector["construction"], from_json(vector["inputs"]))
            except Exception as problem:  # a damaged file must be reported with the vector's name
                wrong.append(f"{where}: {type(problem).__name__}: {problem}")
                continue
            wrong.extend(differences(f"{where}: outputs", vector["outputs"], found))
    for chapter, found in cases().items():
        wrong.extend(f"{chapter}: missing vector: {name}" for name, _, _ in found if name not in seen.get(chapter, ()))
    return total, wrong


def check() -> int:
    total, wrong = problems()
    for line in wrong:
        print(line)
    print(f"{total} vectors, {len(wrong)} differences", file=sys.stderr)
    return 1 if wrong or not total else 0


def write() -> int:
    for chapter, vectors in made().items():
        (HERE / f"{chapter}.json").write_text(text_of(chapter, vectors), "utf-8")
    return check()


def main() -> int:
    arguments = argparse.ArgumentParser(description="Recompute the card specification's vectors.")
    what = arguments.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="recompute and compare; 1 when something differs")
    what.add_argument("--write", action="store_true", help="write the files anew")
    return write() if arguments.parse_args().write else check()


if __name__ == "__main__":
    raise SystemExit(main())
