"""The permit card's constructions, written from `card-applet-spec/spec/` alone.

A second implementation in another language, so that a misreading of the specification shows as a difference. It never looks at
the Rust code. From `cryptography` it takes only AES (ECB, CBC, GCM) and ECDH; CMAC, key derivation, TLV, P-256 signatures
(RFC 6979, so that vectors can be reproduced) and every message layout are its own.

Left out: constant time and key erasure. This is test equipment and a small reader, not a vault.

Everything is bytes: dates are date4, regions region3, public keys public64, private keys 32 bytes. Errors are `Refused`.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

AID = bytes.fromhex("F0595A54525001")
SELECT = bytes.fromhex("00A4040007") + AID + b"\x00"
ROLES = {1: "TRANSIT", 2: "SOCIAL_INSURANCE", 3: "SMALL_PAYMENT", 4: "CLINIC", 5: "DOOR"}
DOOR_F_ROLES = (1, 3, 5)
GRACE_ROLES = (1, 4)
TIERS = {1: "TEMP", 2: "EMPLOYMENT", 3: "TALENT"}
RIGHTS_OID = bytes.fromhex("69E2AFCCB7ACE8FAC7AFB0ACAACF95BBC1815501")
TA_ECDSA_SHA256_OID = bytes.fromhex("04007F00070202020203")
ZERO16 = bytes(16)


class Refused(Exception):
    """The other side's data was refused. `status` is the card's status word where a chapter gives one."""

    def __init__(self, why: str, status: str | None = None):
        super().__init__(why)
        self.status = status


def be(number: int, size: int) -> bytes:
    return number.to_bytes(size, "big")


def xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# --- Dates ------------------------------------------------------------------------------------------------------------


def date4(day: datetime.date) -> bytes:
    return bytes.fromhex(day.strftime("%Y%m%d"))


def day_of(packed: bytes) -> datetime.date:
    try:
        return datetime.datetime.strptime(packed.hex(), "%Y%m%d").date()
    except ValueError:
        raise Refused("not a calendar day", "6a80") from None


def date6_of(packed: bytes) -> bytes:
    """date4 to the six digits YYMMDD of a terminal certificate, one digit a byte."""
    return bytes(int(digit) for digit in packed.hex()[2:])


def day_of_date6(digits: bytes) -> datetime.date:
    if len(digits) != 6 or any(digit > 9 for digit in digits):
        raise Refused("a certificate date is not six digits", "6a80")
    return day_of(bytes.fromhex("20" + "".join(str(digit) for digit in digits)))


# --- AES, CMAC (RFC 4493) ---------------------------------------------------------------------------------------------


def aes_encrypt_block(key: bytes, block: bytes) -> bytes:
    run = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return run.update(block) + run.finalize()


def aes_decrypt_block(key: bytes, block: bytes) -> bytes:
    run = Cipher(algorithms.AES(key), modes.ECB()).decryptor()
    return run.update(block) + run.finalize()


def cbc_encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    run = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return run.update(data) + run.finalize()


def cbc_decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    run = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    return run.update(data) + run.finalize()


def _doubled(block: bytes) -> bytes:
    shifted = (int.from_bytes(block, "big") << 1) & ((1 << 128) - 1)
    return be(shifted ^ (0x87 if block[0] & 0x80 else 0), 16)


def cmac(key: bytes, message: bytes) -> bytes:
    k1 = _doubled(aes_encrypt_block(key, ZERO16))
    whole, rest = divmod(len(message), 16)
    if whole and not rest:
        head, last = message[:-16], xor(message[-16:], k1)
    else:
        head = message[: whole * 16]
        last = xor((message[whole * 16 :] + b"\x80").ljust(16, b"\0"), _doubled(k1))
    return cbc_encrypt(key, ZERO16, head + last)[-16:]


def key_check_value(key: bytes) -> bytes:
    return aes_encrypt_block(key, b"\x01" * 16)[:3]


def same(a: bytes, b: bytes) -> bool:
    return hmac.compare_digest(a, b)


# --- P-256: RFC 6979 signatures, verification, ECDH -------------------------------------------------------------------

P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def _add(a, b):
    """Affine addition; None is the point at infinity."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(scalar: int, point):
    total = None
    for bit in bin(scalar)[2:]:
        total = _add(total, total)
        if bit == "1":
            total = _add(total, point)
    return total


def _point_of(public64: bytes):
    x, y = int.from_bytes(public64[:32], "big"), int.from_bytes(public64[32:], "big")
    if len(public64) != 64 or x >= P or y >= P or (y * y - x**3 + 3 * x - B) % P:
        raise Refused("a point is not on the curve", "6982")
    return x, y


def public_key(private: bytes) -> bytes:
    x, y = _times(int.from_bytes(private, "big"), G)
    return be(x, 32) + be(y, 32)


def point65(public64: bytes) -> bytes:
    return b"\x04" + public64


def public64_of(point: bytes) -> bytes:
    if len(point) != 65 or point[0] != 4:
        raise Refused("a point is not 65 bytes that start with 04", "6a80")
    _point_of(point[1:])
    return point[1:]


def _rfc6979_nonces(private: bytes, digest: bytes):
    seed = private + be(int.from_bytes(digest, "big") % N, 32)
    k, v = bytes(32), b"\x01" * 32
    for separator in (b"\0", b"\x01"):
        k = hmac.digest(k, v + separator + seed, "sha256")
        v = hmac.digest(k, v, "sha256")
    while True:
        v = hmac.digest(k, v, "sha256")
        nonce = int.from_bytes(v, "big")
        if 1 <= nonce < N:
            yield nonce
        k = hmac.digest(k, v + b"\0", "sha256")
        v = hmac.digest(k, v, "sha256")


def sign(private: bytes, message: bytes) -> bytes:
    """Deterministic ECDSA P-256 SHA-256 (RFC 6979), r || s, s as it comes."""
    digest = sha256(message)
    for nonce in _rfc6979_nonces(private, digest):
        r = _times(nonce, G)[0] % N
        s = pow(nonce, -1, N) * (int.from_bytes(digest, "big") + r * int.from_bytes(private, "big")) % N
        if r and s:
            return be(r, 32) + be(s, 32)


def verify(public64: bytes, message: bytes, signature: bytes) -> bool:
    point = _point_of(public64)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not (1 <= r < N and 1 <= s < N):
        return False
    inverse = pow(s, -1, N)
    digest = int.from_bytes(sha256(message), "big")
    found = _add(_times(digest * inverse % N, G), _times(r * inverse % N, point))
    return found is not None and found[0] % N == r


def ecdh(private: bytes, public64: bytes) -> bytes:
    x, y = _point_of(public64)
    peer = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    return ec.derive_private_key(int.from_bytes(private, "big"), ec.SECP256R1()).exchange(ec.ECDH(), peer)


# --- TLV (chapter 01) -------------------------------------------------------------------------------------------------


def tlv_header(tag: int, length: int) -> bytes:
    name = be(tag, 2 if tag > 0xFF else 1)
    if length < 0x80:
        return name + be(length, 1)
    size = (length.bit_length() + 7) // 8
    if size > 3:
        raise ValueError("longer than three length bytes")
    return name + be(0x80 | size, 1) + be(length, size)


def tlv(tag: int, *values: bytes) -> bytes:
    value = b"".join(values)
    return tlv_header(tag, len(value)) + value


def tlv_read(data: bytes, start: int = 0):
    """One object at `start`: (tag, value, end)."""

    def take(offset: int, size: int) -> bytes:
        if offset + size > len(data):
            raise Refused("an object is cut", "6a80")
        return data[offset : offset + size]

    at = start
    tag = take(at, 1)[0]
    at += 1
    if tag & 0x1F == 0x1F:
        second = take(at, 1)[0]
        at += 1
        if second & 0x80:
            raise Refused("a tag is longer than two bytes", "6a80")
        if second < 0x1F:
            raise Refused("a tag is longer than needed", "6a80")
        tag = tag << 8 | second
    length = take(at, 1)[0]
    at += 1
    if length >= 0x80:
        size = length & 0x7F
        if size == 0 or size > 3:
            raise Refused("a length form is not allowed", "6a80")
        length = int.from_bytes(take(at, size), "big")
        at += size
        if length < 0x80 or length < 1 << 8 * (size - 1):
            raise Refused("a length is longer than needed", "6a80")
    return tag, take(at, length), at + length


def tlv_list(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, value, at = tlv_read(data, at)
        found.append((tag, value))
    return found


def tlv_only(data: bytes, tag: int) -> bytes:
    """The value of the one object that `data` is."""
    found, value, end = tlv_read(data)
    if found != tag:
        raise Refused(f"expected tag {tag:02x}", "6a80")
    if end != len(data):
        raise Refused("bytes behind the last object", "6a80")
    return value


def template(value: bytes, layout: list[tuple[int, str, object]], closed: bool = False) -> dict:
    """Objects of a template in the order given. `layout`: (tag, "one" | "optional" | "repeats", length | (min, max) | None).

    Unknown tags are skipped, or refused where the chapter calls the template closed.
    """
    order = [tag for tag, _, _ in layout]
    found = {tag: [] for tag in order}
    reached = 0
    for tag, content in tlv_list(value):
        if tag not in found:
            if closed:
                raise Refused(f"unknown object {tag:02x} in a closed template", "6a80")
            continue
        place = order.index(tag)
        how, size = layout[place][1:]
        if place < reached:
            raise Refused(f"object {tag:02x} is out of order", "6a80")
        if found[tag] and how != "repeats":
            raise Refused(f"object {tag:02x} comes twice", "6a80")
        least, most = size if isinstance(size, tuple) else (size, size)
        if size is not None and not least <= len(content) <= most:
            raise Refused(f"object {tag:02x} has a wrong length", "6a80")
        reached = place
        found[tag].append(content)
    result = {}
    for tag, how, _ in layout:
        if how == "repeats":
            result[tag] = found[tag]
        elif found[tag]:
            result[tag] = found[tag][0]
        elif how == "one":
            raise Refused(f"object {tag:02x} is missing", "6a80")
        else:
            result[tag] = None
    return result


def bytes_before(value: bytes, tag: int) -> bytes:
    """The encoded objects that stand before object `tag`: what a signature inside the same template covers."""
    at = 0
    while at < len(value):
        found, _, end = tlv_read(value, at)
        if found == tag:
            return value[:at]
        at = end
    raise Refused(f"object {tag:02x} is missing", "6a80")


# --- Key derivation (chapter 04) --------------------------------------------------------------------------------------


def kdf108(master: bytes, label: bytes, fields: list[bytes], size: int) -> bytes:
    context = b"".join(be(len(field), 1) + field for field in fields)
    fixed = label + b"\0" + context + be(size * 8, 4)
    first = cmac(master, fixed)
    output, i = b"", 0
    while len(output) < size:
        i += 1
        output += cmac(master, be(i, 4) + fixed + first)
    return output[:size]


def transport_keys(lot_master: bytes, serial: bytes) -> bytes:
    return kdf108(lot_master, b"YZT transport", [serial], 48)


def issuance_keys(master: bytes, serial: bytes) -> bytes:
    return kdf108(master, b"YZT issuance", [serial], 48)


def update_keys(master: bytes, serial: bytes, generation: int = 0) -> bytes:
    return kdf108(master, b"YZT update", [serial, be(generation, 4)] if generation else [serial], 48)


def group_key(master: bytes, role: int, region: bytes, kv: int, cohort: int) -> bytes:
    return kdf108(master, b"YZT group", [be(role, 1), region, be(kv, 1), be(cohort, 1)], 16)


def tap_key(master: bytes, role: int, region: bytes, kv: int, pid: bytes) -> bytes:
    return kdf108(master, b"YZT tap", [be(role, 1), region, be(kv, 1), pid], 16)


def record_key(master: bytes, role: int, region: bytes, kv: int, pid: bytes) -> bytes:
    return kdf108(master, b"YZT record", [be(role, 1), region, be(kv, 1), pid], 32)


def tac_key(master: bytes, role: int, kv: int, pid: bytes) -> bytes:
    return kdf108(master, b"YZT tac", [be(role, 1), be(kv, 1), pid], 16)


def scp03_kdf(key: bytes, constant: int, context: bytes, size: int) -> bytes:
    """GlobalPlatform Amendment D, 4.1.5; one block of AES-128 is all that is ever needed here."""
    return cmac(key, bytes(11) + be(constant, 1) + b"\0" + be(size * 8, 2) + b"\x01" + context)[:size]


def kdf56c(secret: bytes, label: bytes, transcript: bytes, size: int) -> bytes:
    output, i = b"", 0
    while len(output) < size:
        i += 1
        output += sha256(be(i, 4) + secret + label + transcript)
    return output[:size]


# --- Secure channel (chapters 05 and 07) ------------------------------------------------------------------------------


def padded(data: bytes) -> bytes:
    data += b"\x80"
    return data + bytes(-len(data) % 16)


def unpadded(data: bytes) -> bytes:
    stripped = data.rstrip(b"\0")
    if not stripped.endswith(b"\x80"):
        raise Refused("padding is wrong")
    return stripped[:-1]


class Channel:
    """SCP03 record layer, S8, level 33. Each side holds one; `command` is the host's, `answer` the card's."""

    def __init__(self, enc: bytes, mac: bytes, rmac: bytes, chaining: bytes = ZERO16):
        self.enc, self.mac, self.rmac, self.chaining, self.counter = enc, mac, rmac, chaining, 0

    def command(self, header: bytes, data: bytes) -> bytes:
        if len(data) > 239:
            raise ValueError("at most 239 bytes fit")
        self.counter += 1
        if data:
            iv = aes_encrypt_block(self.enc, be(self.counter, 16))
            data = cbc_encrypt(self.enc, iv, padded(data))
        body = header + be(len(data) + 8, 1) + data
        self.chaining = cmac(self.mac, self.chaining + body)
        return body + self.chaining[:8] + b"\0"

    def _answer_iv(self) -> bytes:
        return aes_encrypt_block(self.enc, b"\x80" + be(self.counter, 15))

    def answer(self, data: bytes, status: bytes) -> bytes:
        if data:
            data = cbc_encrypt(self.enc, self._answer_iv(), padded(data))
        return data + cmac(self.rmac, self.chaining + data + status)[:8] + status

    def open_answer(self, answer: bytes) -> bytes:
        data, check, status = answer[:-10], answer[-10:-2], answer[-2:]
        if not same(cmac(self.rmac, self.chaining + data + status)[:8], check):
            raise Refused("the answer's MAC is wrong")
        plain = unpadded(cbc_decrypt(self.enc, self._answer_iv(), data)) if data else b""
        if data and not plain:
            raise Refused("padding is encrypted where there is no data")
        return plain


class Scp03:
    """Session keys and cryptograms of door I from static keys ENC16 || MAC16 || DEK16 and both challenges."""

    def __init__(self, static48: bytes, host_challenge: bytes, card_challenge: bytes):
        enc, mac, self.dek = static48[:16], static48[16:32], static48[32:48]
        context = host_challenge + card_challenge
        self.enc = scp03_kdf(enc, 0x04, context, 16)
        self.mac = scp03_kdf(mac, 0x06, context, 16)
        self.rmac = scp03_kdf(mac, 0x07, context, 16)
        self.card_cryptogram = scp03_kdf(self.mac, 0x00, context, 8)
        self.host_cryptogram = scp03_kdf(self.mac, 0x01, context, 8)

    def external_authenticate(self, level: int = 0x33) -> tuple[bytes, Channel]:
        body = bytes([0x84, 0x82, level, 0, 16]) + self.host_cryptogram
        chaining = cmac(self.mac, ZERO16 + body)
        return body + chaining[:8], Channel(self.enc, self.mac, self.rmac, chaining)


def scp03_card_challenge(enc: bytes, sequence3: bytes, aid: bytes) -> bytes:
    """The pseudo-random card challenge of i = 70."""
    return scp03_kdf(enc, 0x02, sequence3 + aid, 8)


def script_start(script: bytes) -> bytes:
    return sha256(b"YZT-SCRIPT-1" + script)


def script_next(before: bytes, n: int, op_and_payload: bytes) -> bytes:
    return sha256(before + be(n, 2) + op_and_payload)


# --- Data groups (chapter 02) -----------------------------------------------------------------------------------------


def card_info() -> bytes:
    inner = tlv(0x80, b"\x01\x00") + tlv(0x81, b"\x00\x01") + tlv(0x82, b"\x01") + tlv(0x83, b"\x01")
    return tlv(0x6F, tlv(0x84, AID), tlv(0xA5, inner))


def check_card_info(answer: bytes) -> bool:
    """True when the card takes sealed updates of form 01."""
    outer = template(tlv_only(answer, 0x6F), [(0x84, "one", 7), (0xA5, "one", None)])
    inner = template(outer[0xA5], [(0x80, "one", 2), (0x81, "one", 2), (0x82, "one", (1, 16)), (0x83, "optional", 1)])
    if outer[0x84] != AID or inner[0x80][0] != 1 or 1 not in inner[0x82]:
        raise Refused("this card speaks another specification or suite")
    return inner[0x83] == b"\x01"


DG1_TAGS = ["name", "sex", "nation", "birth_date", "citizen_number", "photo", "hukou_address", "residence_address", "issuing_organ", "issue_date"]


def dg1(items: dict, salt: bytes) -> bytes:
    objects = [tlv(0x81 + i, items[name]) for i, name in enumerate(DG1_TAGS)]
    return tlv(0x61, tlv(0x80, b"\x01"), *objects, tlv(0x8F, salt))


def dg2(form: int, image: bytes, salt: bytes) -> bytes:
    return tlv(0x75, tlv(0x80, b"\x01"), tlv(0x81, be(form, 1)), tlv(0x82, image), tlv(0x8F, salt))


def dg3(permit_id: bytes, tier: int, issued: bytes, endorsed: bytes, rule_set: bytes, counter: int, salt: bytes) -> bytes:
    objects = [b"\x01", permit_id, be(tier, 1), issued, endorsed, rule_set, be(counter, 4)]
    return tlv(0x6D, *(tlv(0x80 + i, value) for i, value in enumerate(objects)), tlv(0x8F, salt))


def parse_dg1(encoded: bytes) -> dict:
    sizes = [(1, 120), 1, 1, 4, 18, 32, (1, 210), (1, 210), (1, 120), 4]
    layout = [(0x81 + i, "one", size) for i, size in enumerate(sizes)]
    found = template(tlv_only(encoded, 0x61), [(0x80, "one", 1), *layout, (0x8F, "one", 16)])
    if found[0x80] != b"\x01" or len(encoded) > 1024:
        raise Refused("DG1 has an unknown version or is too long")
    items = {name: found[0x81 + i] for i, name in enumerate(DG1_TAGS)}
    day_of(items["birth_date"]), day_of(items["issue_date"])
    if items["sex"][0] not in (0, 1, 2, 9) or items["nation"][0] not in (*range(1, 57), 97, 98) or not re.fullmatch(rb"\d{17}[\dX]", items["citizen_number"]):
        raise Refused("DG1 has a value that chapter 02 does not allow")
    return items


def parse_dg2(encoded: bytes) -> dict:
    found = template(tlv_only(encoded, 0x75), [(0x80, "one", 1), (0x81, "one", 1), (0x82, "one", (1, 6144)), (0x8F, "one", 16)])
    if found[0x80] != b"\x01" or found[0x81] not in (b"\x01", b"\x02"):
        raise Refused("DG2 has an unknown version or format")
    return {"format": found[0x81][0], "image": found[0x82]}


def parse_dg3(encoded: bytes) -> dict:
    sizes = [1, 16, 1, 4, 4, (1, 48), 4]
    found = template(tlv_only(encoded, 0x6D), [(0x80 + i, "one", size) for i, size in enumerate(sizes)] + [(0x8F, "one", 16)])
    if found[0x80] != b"\x01" or found[0x82][0] not in TIERS or not found[0x85].isascii() or len(encoded) > 256:
        raise Refused("DG3 has an unknown version, tier or rule set")
    day_of(found[0x83]), day_of(found[0x84])
    return {"permit_id": found[0x81], "tier": found[0x82][0], "issued": found[0x83], "endorsed_until": found[0x84], "rule_set": found[0x85], "counter": int.from_bytes(found[0x86], "big")}


def signature_object(signer: bytes, signer_number: int, person_public: bytes, groups: list[bytes]) -> bytes:
    values = [b"\x01", b"\x01", be(signer_number, 1), sha256(person_public)] + [sha256(group) for group in groups]
    signed = b"".join(tlv(0x80 + i, value) for i, value in enumerate(values))
    return tlv(0x77, signed, tlv(0x9E, sign(signer, b"YZT-SO-1" + signed)))


def check_signature_object(encoded: bytes, signer_public: bytes, person_public: bytes, groups: list[bytes | None]) -> None:
    value = tlv_only(encoded, 0x77)
    layout = [(0x80, "one", 1), (0x81, "one", 1), (0x82, "one", 1)] + [(tag, "one", 32) for tag in range(0x83, 0x87)]
    found = template(value, layout + [(0x9E, "one", 64)], closed=True)
    if not verify(signer_public, b"YZT-SO-1" + bytes_before(value, 0x9E), found[0x9E]):
        raise Refused("the document signer's signature is wrong")
    if found[0x83] != sha256(person_public):
        raise Refused("the data groups belong to another card")
    for i, group in enumerate(groups):
        if group is not None and found[0x84 + i] != sha256(group):
            raise Refused("a data group is not the signed one")


def card_certificate(ca: bytes, domain: int, ca_number: int, valid_from: bytes, valid_to: bytes, identity: bytes, public64: bytes) -> bytes:
    body = b"\x01\x01" + be(domain, 1) + be(ca_number, 1) + valid_from + valid_to + identity + public64
    return body + sign(ca, b"YZT-CC-1" + body) + bytes(4)


def check_card_certificate(certificate: bytes, ca_public: bytes, domain: int, today: bytes) -> bytes:
    """The certified public64."""
    if len(certificate) != 160 or certificate[:2] != b"\x01\x01" or certificate[2] != domain:
        raise Refused("not a card certificate of this domain")
    if not verify(ca_public, b"YZT-CC-1" + certificate[:92], certificate[92:156]):
        raise Refused("the card CA's signature is wrong")
    if not certificate[4:8] <= today <= certificate[8:12]:
        raise Refused("the card certificate is not valid today")
    return certificate[28:92]


# --- Records (chapter 03) ---------------------------------------------------------------------------------------------


def record_header(role: int, kv: int, counter: int, expiry: bytes) -> bytes:
    return b"\x01\x01" + be(role, 1) + be(kv, 1) + be(counter, 4) + expiry


def record_binding(public64: bytes, pid: bytes, role: int) -> bytes:
    return sha256(public64 + pid + be(role, 1))[:16]


def record_content(tier: int, service_class: int, services: bytes, zones: bytes, valid_from: bytes, valid_to: bytes, rule_set8: bytes, binding: bytes) -> bytes:
    return be(tier, 1) + be(service_class, 1) + services + zones + valid_from + valid_to + rule_set8 + bytes(6) + binding


def seal_record(key: bytes, signer: bytes, header: bytes, pid: bytes, nonce: bytes, content: bytes) -> bytes:
    signature = sign(signer, b"YZT-R-1" + header + pid + content)
    return header + nonce + AESGCM(key).encrypt(nonce, content + signature, header + pid)


def open_record(key: bytes, signer_public: bytes, pid: bytes, record: bytes) -> dict:
    """The record's fields; header and signature are checked, dates and zones are the caller's."""
    header, nonce = record[:12], record[12:24]
    if len(record) != 160 or header[:2] != b"\x01\x01":
        raise Refused("a record of an unknown version or suite")
    try:
        plain = AESGCM(key).decrypt(nonce, record[24:], header + pid)
    except InvalidTag:
        raise Refused("the record does not open") from None
    content, signature = plain[:56], plain[56:]
    if not verify(signer_public, b"YZT-R-1" + header + pid + content, signature):
        raise Refused("the entitlement signer's signature is wrong")
    if header[8:12] != content[22:26]:
        raise Refused("the record's expiry is not its last day")
    return {
        "role": header[2],
        "kv": header[3],
        "counter": int.from_bytes(header[4:8], "big"),
        "tier": content[0],
        "class": content[1],
        "services": content[2:10],
        "zones": content[10:18],
        "from": content[18:22],
        "to": content[22:26],
        "rule_set": content[26:34],
        "binding": content[40:56],
    }


# --- Door F (chapter 06) ----------------------------------------------------------------------------------------------


def tap_command(role: int, version: int, rt: bytes) -> bytes:
    return bytes([0x80, 0x10, role, version, 16]) + rt + b"\0"


def tap_plain(pid: bytes, seq: bytes, loaded: bytes, spent: bytes, txno: bytes, sb: bytes, tac: bytes, record: bytes) -> bytes:
    return pid + b"\x01\x01\0\0" + seq + loaded + spent + txno + sb + tac + record


def tap_cipher(group: bytes, rc: bytes, plain: bytes) -> bytes:
    return cbc_encrypt(group, ZERO16, rc + plain)[16:]


def tap_mac(m: bytes, role: int, version: int, rt: bytes, rc: bytes, cipher: bytes) -> bytes:
    return cmac(m, bytes([1, 1, role, version]) + rt + rc + cipher)


def cohort_fits(group: bytes, cipher: bytes) -> bool:
    return xor(aes_decrypt_block(group, cipher[16:32]), cipher[:16])[:4] == b"\x01\x01\0\0"


def tap_open(group: bytes, rc: bytes, cipher: bytes) -> bytes:
    return cbc_decrypt(group, aes_encrypt_block(group, rc), cipher)


def commit_mac(m: bytes, role: int, version: int, rt: bytes, rc: bytes, seq: bytes, body: bytes) -> bytes:
    return cmac(m, bytes([2, role, version]) + rt + rc + seq + body)


def commit_proof(m: bytes, role: int, version: int, rt: bytes, rc: bytes, result: int, seq: bytes, spent: bytes, body: bytes, tac: bytes) -> bytes:
    return cmac(m, bytes([3, role, version]) + rt + rc + be(result, 1) + seq + spent + body + tac)


def commit_tac(ktac: bytes, role: int, version: int, pid: bytes, seq: bytes, loaded: bytes, spent: bytes, body: bytes) -> bytes:
    return cmac(ktac, bytes([5, role, version]) + pid + seq + loaded + spent + body)[:8]


def commit_sb(ktac: bytes, role: int, version: int, pid: bytes, seq: bytes, spent: bytes, body: bytes) -> bytes:
    amount, tid, time = body[:4], body[4:8], body[16:20]
    return xor(tid + amount + spent + time, cmac(ktac, bytes([6, role, version]) + pid + seq))


# --- Door S (chapter 07) ----------------------------------------------------------------------------------------------


def certificate_name(authority: bytes, epoch: int, number: int) -> bytes:
    if len(authority) != 10:
        raise ValueError("the authority is 10 bytes")
    return authority + be(epoch, 2) + be(number, 4)


def terminal_certificate(issuer: bytes, car: bytes, chr_: bytes, public64: bytes, rights: bytes, effective: bytes, expiry: bytes) -> bytes:
    """Dates are the six digits."""
    body = tlv(
        0x7F4E,
        tlv(0x5F29, b"\0"),
        tlv(0x42, car),
        tlv(0x7F49, tlv(0x06, TA_ECDSA_SHA256_OID), tlv(0x86, point65(public64))),
        tlv(0x5F20, chr_),
        tlv(0x7F4C, tlv(0x06, RIGHTS_OID), tlv(0x53, rights)),
        tlv(0x5F25, effective),
        tlv(0x5F24, expiry),
    )
    return tlv(0x7F21, body, tlv(0x5F37, sign(issuer, body)))


def parse_terminal_certificate(encoded: bytes) -> dict:
    value = tlv_only(encoded, 0x7F21)
    outer = template(value, [(0x7F4E, "one", None), (0x5F37, "one", 64)])
    layout = [(0x5F29, "one", 1), (0x42, "one", 16), (0x7F49, "one", None), (0x5F20, "one", 16), (0x7F4C, "one", None), (0x5F25, "one", 6), (0x5F24, "one", 6)]
    body = template(outer[0x7F4E], layout)
    key = template(body[0x7F49], [(0x06, "one", None), (0x86, "one", 65)])
    holder = template(body[0x7F4C], [(0x06, "one", None), (0x53, "one", 4)])
    if body[0x5F29] != b"\0" or key[0x06] != TA_ECDSA_SHA256_OID or holder[0x06] != RIGHTS_OID:
        raise Refused("a certificate of another profile", "6a80")
    return {
        "car": body[0x42],
        "chr": body[0x5F20],
        "public": public64_of(key[0x86]),
        "rights": int.from_bytes(holder[0x53], "big"),
        "effective": day_of_date6(body[0x5F25]),
        "expiry": day_of_date6(body[0x5F24]),
        "signed": bytes_before(value, 0x5F37),
        "signature": outer[0x5F37],
    }


def _check_issued(certificate: dict, issuer_name: bytes, issuer_public: bytes) -> None:
    if certificate["car"] != issuer_name:
        raise Refused("issued by an unknown key", "6a88")
    if not verify(issuer_public, certificate["signed"], certificate["signature"]):
        raise Refused("a certificate's signature is wrong", "6982")
    if certificate["effective"] > certificate["expiry"]:
        raise Refused("a certificate ends before it begins", "6a80")


def check_chain(root_name: bytes, root_public: bytes, floor: bytes, epoch: int, intermediate: bytes, leaf: bytes) -> dict:
    """What a card knows after S1 0, S1 1 and the signature of AGREE: the leaf's key, the rights of the chain, its new date floor and epoch."""
    upper = parse_terminal_certificate(intermediate)
    _check_issued(upper, root_name, root_public)
    if not upper["rights"]:
        raise Refused("no rights", "6a80")
    lower = parse_terminal_certificate(leaf)
    _check_issued(lower, upper["chr"], upper["public"])
    if (lower["expiry"] - lower["effective"]).days > 7:
        raise Refused("a leaf that lives too long", "6a80")
    rights = upper["rights"] & lower["rights"]
    if not rights:
        raise Refused("no rights are left over the chain", "6a80")
    # Here AGREE begins: nothing before it is compared with what the card remembers.
    upper_epoch = int.from_bytes(upper["chr"][10:12], "big")
    if upper_epoch < epoch:
        raise Refused("an intermediate of an old epoch", "6984")
    if any(floor) and (upper["effective"] - day_of(floor)).days > 400:
        # Further ahead than a visit explains: served, and neither floor nor epoch follows.
        upper_epoch = epoch
    else:
        floor = max(floor, date4(upper["effective"]))
    if min(date4(upper["expiry"]), date4(lower["expiry"])) < floor:
        raise Refused("a certificate ended before the date floor", "6984")
    return {"public": lower["public"], "rights": be(rights, 4), "floor": floor, "epoch": be(upper_epoch, 2)}


RIGHT_BITS = {"IDENTITY": 0, "PORTRAIT": 1, "PERMIT": 2, "VERIFY": 16, "ISSUER": 17} | {name: 7 + role for role, name in ROLES.items()}


def rights4(*names: str) -> bytes:
    return be(sum(1 << RIGHT_BITS[name] for name in names), 4)


def domain_of(rights: bytes) -> int:
    """The card's key pair that serves these rights."""
    mask = int.from_bytes(rights, "big")
    if mask & int.from_bytes(rights4("IDENTITY", "PORTRAIT", "PERMIT", "VERIFY", "ISSUER"), "big"):
        return 1
    for domain, name in ((2, "CLINIC"), (3, "SOCIAL_INSURANCE")):
        if rights == rights4(name):
            return domain
    raise Refused("no key pair serves these rights", "6a80")


def door_s_signature(leaf_private: bytes, leaf: bytes, rights: bytes, rc: bytes, qt: bytes) -> bytes:
    return sign(leaf_private, door_s_signed(leaf, rights, rc, qt))


def door_s_signed(leaf: bytes, rights: bytes, rc: bytes, qt: bytes) -> bytes:
    return b"YZT-S-TA-1\x01" + rights + rc + qt + sha256(leaf)


def agree_command(rights: bytes, qt: bytes, signature: bytes) -> bytes:
    data = b"\x01" + rights + qt + signature
    return bytes([0x80, 0x22, 0, 0, len(data)]) + data + b"\0"


class DoorSKeys:
    """What both sides compute in AGREE: first `k1`, then, when the certificate is known, everything else."""

    def __init__(self, intermediate: bytes, leaf: bytes, rc: bytes, rights: bytes, qt: bytes, sig: bytes, qc: bytes, z1: bytes):
        self.h = sha256(intermediate + leaf)
        self.th1 = sha256(b"YZT-S-1\x01" + self.h + rc + rights + qt + sig + qc)
        self.z1 = z1
        self.k1 = kdf56c(z1, b"cert", self.th1, 16)

    def finish(self, certificate: bytes, z2: bytes) -> None:
        self.z2 = z2
        self.ecert = cbc_encrypt(self.k1, ZERO16, certificate)
        self.th2 = sha256(self.th1 + self.ecert + sha256(certificate))
        keys = kdf56c(self.z1 + z2, b"keys", self.th2, 64)
        self.enc, self.mac, self.rmac, self.conf = (keys[i : i + 16] for i in range(0, 64, 16))
        self.confirmation = cmac(self.conf, b"\x01" + self.th2)

    def channel(self) -> Channel:
        return Channel(self.enc, self.mac, self.rmac)


class DoorS(DoorSKeys):
    """Every value of one door S opening, from the private keys of both sides."""

    def __init__(self, intermediate: bytes, leaf: bytes, leaf_private: bytes, terminal_ephemeral: bytes, rc: bytes, rights: bytes, card_ephemeral: bytes, card_static: bytes, certificate: bytes):
        self.qt, self.qc = point65(public_key(terminal_ephemeral)), point65(public_key(card_ephemeral))
        self.sig = door_s_signature(leaf_private, leaf, rights, rc, self.qt)
        super().__init__(intermediate, leaf, rc, rights, self.qt, self.sig, self.qc, ecdh(terminal_ephemeral, self.qc[1:]))
        self.finish(certificate, ecdh(terminal_ephemeral, certificate[28:92]))
        if self.z1 != ecdh(card_ephemeral, self.qt[1:]) or self.z2 != ecdh(card_static, self.qt[1:]):
            raise Refused("both sides disagree about a shared secret")
        self.agree = agree_command(rights, self.qt, self.sig)
        self.answer = self.qc + self.ecert + self.confirmation


# --- Terminals (chapter 08) -------------------------------------------------------------------------------------------


def _box_key(secret: bytes, aad: bytes, receiver_public: bytes) -> bytes:
    return kdf56c(secret, b"YZT-BOX-1", sha256(aad + point65(receiver_public)), 32)


def seal_box(magic: bytes, ephemeral: bytes, receiver_public: bytes, nonce: bytes, plain: bytes) -> bytes:
    aad = magic + b"\x01\x01" + point65(public_key(ephemeral))
    key = _box_key(ecdh(ephemeral, receiver_public), aad, receiver_public)
    return aad + nonce + AESGCM(key).encrypt(nonce, plain, aad)


def open_box(magic: bytes, receiver: bytes, box: bytes) -> bytes:
    if len(box) < 99 or box[:4] != magic or box[4:6] != b"\x01\x01":
        raise Refused("not a sealed box of this kind, version and suite")
    aad, nonce = box[:71], box[71:83]
    key = _box_key(ecdh(receiver, public64_of(aad[6:])), aad, public_key(receiver))
    try:
        return AESGCM(key).decrypt(nonce, box[83:], aad)
    except InvalidTag:
        raise Refused("the box does not open with this key") from None


def signed_object(label: bytes, signer: bytes, encoded: bytes) -> bytes:
    return encoded + tlv(0x5F37, sign(signer, label + encoded))


def open_signed_object(label: bytes, signer_public: bytes, tag: int, plain: bytes) -> bytes:
    """The value of the signed object `tag`."""
    objects = tlv_list(plain)
    if [found for found, _ in objects] != [tag, 0x5F37]:
        raise Refused("not one signed object and its signature")
    value, signature = objects[0][1], objects[1][1]
    if not verify(signer_public, label + tlv(tag, value), signature):
        raise Refused("the signature is wrong")
    return value


DENY_LAYOUT = [(0x80, "one", 1), (0x81, "one", 4), (0x82, "one", 4), (0x83, "one", 2), (0x84, "one", None), (0x85, "optional", 2), (0x9E, "one", 64)]


def deny_list(signer: bytes, role: int, version: int, issued: bytes, days: int, entries: list[bytes], grace: int | None = None) -> bytes:
    """The value of an A9 object."""
    values = [be(role, 1), be(version, 4), issued, be(days, 2), b"".join(entries)] + ([] if grace is None else [be(grace, 2)])
    signed = b"".join(tlv(0x80 + i, value) for i, value in enumerate(values))
    return signed + tlv(0x9E, sign(signer, b"YZT-DENY-1" + signed))


def open_deny_list(signer_public: bytes, value: bytes) -> dict:
    found = template(value, DENY_LAYOUT, closed=True)
    if not verify(signer_public, b"YZT-DENY-1" + bytes_before(value, 0x9E), found[0x9E]):
        raise Refused("the deny list's signature is wrong")
    if len(found[0x84]) % 8:
        raise Refused("a deny list entry is cut")
    day_of(found[0x82])
    entries = [found[0x84][i : i + 8] for i in range(0, len(found[0x84]), 8)]
    if any(a >= b for a, b in zip(entries, entries[1:])):
        raise Refused("the deny list is not ascending")
    return {
        "role": found[0x80][0],
        "version": int.from_bytes(found[0x81], "big"),
        "issued": found[0x82],
        "days": int.from_bytes(found[0x83], "big"),
        "entries": entries,
        "grace": int.from_bytes(found[0x85] or b"", "big"),
        "value": value,
    }


def list_file(values: list[bytes]) -> bytes:
    return b"".join(tlv(0xA9, value) for value in values)


def list_file_values(content: bytes) -> list[bytes]:
    """The lists of a list file, none of them looked at."""
    objects = tlv_list(content)
    if not objects or any(tag != 0xA9 for tag, _ in objects):
        raise Refused("a list file holds deny lists and nothing else")
    return [value for _, value in objects]


def newest_lists(bundle: dict, values: list[bytes]) -> tuple[dict, int]:
    """The terminal's lists by role after it was shown these, and how many of them it took."""
    lists, taken = dict(bundle["deny_lists"]), 0
    for value in values:
        try:
            found = open_deny_list(bundle["deny_signer"], value)
        except Refused:
            continue
        have = lists.get(found["role"])
        if any(key["role"] == found["role"] for key in bundle["keys"]) and (have is None or found["version"] > have["version"]):
            lists[found["role"]], taken = found, taken + 1
    return lists, taken


def role_key(role: int, region: bytes, kv: int, state: int, until: bytes | None, group: bytes | None, tap: bytes | None, record: bytes) -> bytes:
    """The value of an A6 object."""
    value = tlv(0x80, be(role, 1)) + tlv(0x81, region) + tlv(0x82, be(kv, 1)) + tlv(0x83, be(state, 1))
    for tag, content in ((0x84, until), (0x85, group), (0x86, tap), (0x87, record)):
        if content is not None:
            value += tlv(tag, content)
    return value


def bundle(root: bytes, id: bytes, name: bytes, issued: bytes, last_day: bytes, sequence: bytes, keys: list[bytes], anchors: list[bytes], door_s: list[bytes], deny_lists: list[bytes], zones: bytes, tid: bytes | None = None) -> bytes:
    """The plain text of a bundle. keys and deny_lists: values of A6 and A9; anchors: the five objects of A7; door_s: none or two certificates."""
    body = [tlv(0x80, b"\x01"), tlv(0x81, id), tlv(0x82, name), tlv(0x83, issued), tlv(0x84, last_day), tlv(0x85, sequence)]
    body += [tlv(0xA6, value) for value in keys]
    body += [tlv(0xA7, *(tlv(0x80 + i, value) for i, value in enumerate(anchors)))]
    body += [tlv(0xA8, tlv(0x80, door_s[0]), tlv(0x81, door_s[1]))] if door_s else []
    body += [tlv(0xA9, value) for value in deny_lists] + [tlv(0x8A, zones)]
    body += [tlv(0x8B, tid)] if tid is not None else []
    return signed_object(b"YZT-BUNDLE-1", root, tlv(0x7F50, *body))


BUNDLE_LAYOUT = [
    (0x80, "one", 1),
    (0x81, "one", 16),
    (0x82, "one", (1, 64)),
    (0x83, "one", 4),
    (0x84, "one", 4),
    (0x85, "one", 4),
    (0xA6, "repeats", None),
    (0xA7, "one", None),
    (0xA8, "optional", None),
    (0xA9, "repeats", None),
    (0x8A, "one", 8),
    (0x8B, "optional", 4),
]
ROLE_KEY_LAYOUT = [(0x80, "one", 1), (0x81, "one", 3), (0x82, "one", 1), (0x83, "one", 1), (0x84, "optional", 4), (0x85, "optional", 32), (0x86, "optional", 32), (0x87, "one", 32)]
ANCHOR_LAYOUT = [(0x80, "one", 64), (0x81, "one", 64), (0x82, "one", 64), (0x83, "one", 80), (0x84, "one", 64)]


def open_bundle(root_name: bytes | None, root_public: bytes, plain: bytes) -> dict:
    """`root_name` None: only the key of the root is pinned, as in a terminal key file."""
    found = template(open_signed_object(b"YZT-BUNDLE-1", root_public, 0x7F50, plain), BUNDLE_LAYOUT)
    if found[0x80] != b"\x01":
        raise Refused("a bundle of an unknown version")
    anchors = template(found[0xA7], ANCHOR_LAYOUT)
    if anchors[0x83][16:] != root_public or root_name not in (None, anchors[0x83][:16]):
        raise Refused("the bundle names another terminal CA than the pinned one")
    day_of(found[0x83]), day_of(found[0x84])
    keys = []
    for value in found[0xA6]:
        item = template(value, ROLE_KEY_LAYOUT)
        role, state = item[0x80][0], item[0x83][0]
        if role not in ROLES or item[0x82] == b"\0" or state not in (1, 2) or (state == 2) != (item[0x84] is not None):
            raise Refused("a role key has a wrong role, version, state or date")
        if (item[0x85] is None) != (item[0x86] is None) or item[0x85] is not None and role not in DOOR_F_ROLES:
            raise Refused("a role key has masters that do not fit its role")
        if state == 2:
            day_of(item[0x84])
        keys.append({"role": role, "region": item[0x81], "kv": item[0x82][0], "state": state, "until": item[0x84], "group": item[0x85], "tap": item[0x86], "record": item[0x87]})
    door_s = template(found[0xA8], [(0x80, "one", None), (0x81, "one", None)]) if found[0xA8] is not None else None
    lists = [open_deny_list(anchors[0x84], value) for value in found[0xA9]]
    if len({item["role"] for item in lists}) != len(lists):
        raise Refused("two deny lists of one role")
    return {
        "id": found[0x81],
        "name": found[0x82].decode("utf-8", "strict"),
        "issued": found[0x83],
        "last_day": found[0x84],
        "sequence": int.from_bytes(found[0x85], "big"),
        "keys": keys,
        "card_ca": anchors[0x80],
        "entitlement_signer": anchors[0x81],
        "document_signer": anchors[0x82],
        "door_s": door_s,
        "root_name": anchors[0x83][:16],
        "root": root_public,
        "deny_signer": anchors[0x84],
        "deny_lists": {item["role"]: item for item in lists},
        "zones": found[0x8A],
        "tid": found[0x8B],
    }


def lot_file(signer: bytes, lot: bytes, cards: list[tuple[bytes, bytes]]) -> bytes:
    """The plain text of a lot file: cards are (serial10, ENC MAC DEK 48)."""
    items = (tlv(0xA1, tlv(0x80, serial), tlv(0x81, keys)) for serial, keys in cards)
    return signed_object(b"YZT-LOT-1", signer, tlv(0x7F51, tlv(0x80, lot), *items))


def open_lot_file(signer_public: bytes, plain: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    value = open_signed_object(b"YZT-LOT-1", signer_public, 0x7F51, plain)
    found = template(value, [(0x80, "one", 4), (0xA1, "repeats", None)])
    items = [template(item, [(0x80, "one", 10), (0x81, "one", 48)]) for item in found[0xA1]]
    return found[0x80], [(item[0x80], item[0x81]) for item in items]


REASONS = ["accepted", "NOT_ACTIVE", "EXPIRED", "DENIED", "NOT_GENUINE", "WRONG_ROLE", "FOREIGN_CARD", "REPLAY", "LIST_TOO_OLD", "BUNDLE_EXPIRED", "accepted in grace", "OUTCOME_UNKNOWN", "BALANCE_TOO_LOW"]


def counters_file(signer: bytes, name: bytes, day: bytes, counts: dict[tuple[int, int], int]) -> bytes:
    """Counts of a whole day by (role, reason)."""
    items = (tlv(0xA4, tlv(0x80, be(role, 1)), tlv(0x81, be(reason, 1)), tlv(0x82, be(count, 4))) for (role, reason), count in sorted(counts.items()) if count)
    return signed_object(b"YZT-COUNTERS-1", signer, tlv(0x7F54, tlv(0x80, b"\x02"), tlv(0x81, name), tlv(0x82, day), *items))


def open_counters_file(signer_public: bytes, content: bytes) -> dict:
    value = open_signed_object(b"YZT-COUNTERS-1", signer_public, 0x7F54, content)
    found = template(value, [(0x80, "one", 1), (0x81, "one", (1, 64)), (0x82, "one", 4), (0xA4, "repeats", None)])
    parts = [template(item, [(0x80, "one", 1), (0x81, "one", 1), (0x82, "one", 4)]) for item in found[0xA4]]
    items = [((item[0x80][0], item[0x81][0]), int.from_bytes(item[0x82], "big")) for item in parts]
    if found[0x80] != b"\x02":
        raise Refused("counters of an unknown version")
    day_of(found[0x82])
    if any(not count or role not in ROLES or reason >= len(REASONS) for (role, reason), count in items) or any(a >= b for (a, _), (b, _) in zip(items, items[1:])):
        raise Refused("counters with a zero, an unknown role or reason, or out of order")
    return {"name": found[0x81], "day": found[0x82], "counts": dict(items)}


# --- Settlement (chapter 11) ------------------------------------------------------------------------------------------

LINE = (("kv", 1), ("pid", 16), ("body", 28), ("seq", 4), ("loaded", 4), ("spent", 4), ("tac", 8), ("before", 44))
UNKNOWN = (("kv", 1), ("pid", 16), ("body", 28), ("s0", 4))


def commit_body(amount: int, tid: bytes, txno: bytes, time: int, kind: int = 0) -> bytes:
    return be(amount, 4) + tid + txno + be(time, 4) + be(kind, 1) + bytes(7)


def settlement_file(signer: bytes, name: bytes, tid: bytes, number: int, lines: list[dict], unknown: list[dict]) -> bytes:
    def items(tag: int, layout, found: list[dict]) -> list[bytes]:
        return [tlv(tag, *(tlv(0x80 + i, item[part]) for i, (part, _) in enumerate(layout) if item.get(part) is not None)) for item in found]

    body = [tlv(0x80, b"\x01"), tlv(0x81, name), tlv(0x82, tid), tlv(0x83, be(number, 4))]
    return signed_object(b"YZT-SETTLEMENT-1", signer, tlv(0x7F55, *body, *items(0xA4, LINE, lines), *items(0xA5, UNKNOWN, unknown)))


def open_settlement_file(signer_public: bytes, content: bytes) -> dict:
    value = open_signed_object(b"YZT-SETTLEMENT-1", signer_public, 0x7F55, content)
    found = template(value, [(0x80, "one", 1), (0x81, "one", (1, 64)), (0x82, "one", 4), (0x83, "one", 4), (0xA4, "repeats", None), (0xA5, "repeats", None)])
    number = int.from_bytes(found[0x83], "big")
    if found[0x80] != b"\x01" or number == 0:
        raise Refused("a settlement file of an unknown version, or of number 0")

    def items(tag: int, layout) -> list[dict]:
        result = []
        for item in found[tag]:
            parts = template(item, [(0x80 + i, "optional" if name == "before" else "one", size) for i, (name, size) in enumerate(layout)])
            result.append({name: parts[0x80 + i] for i, (name, _) in enumerate(layout)})
            if result[-1]["kv"] == b"\0" or result[-1]["body"][4:8] != found[0x82]:
                raise Refused("a line of kv 0 or of another terminal")
            if result[-1].get("before") and not any(result[-1]["before"][12:20]):
                raise Refused("a debit before, without a transaction number")
            if any(result[-1]["body"][21:]):
                raise Refused("a body with bytes that have no meaning")
        return result

    return {"name": found[0x81], "tid": found[0x82], "number": number, "lines": items(0xA4, LINE), "unknown": items(0xA5, UNKNOWN)}


# --- Sealed updates (chapter 09) and the SLOT step --------------------------------------------------------------------


def slot_bytes(role: int, kv: int, flags: int, group: bytes, m: bytes, pid: bytes, record: bytes, loaded: bytes) -> bytes:
    """Op and payload of the SLOT step: 224 bytes."""
    return bytes([5, role, kv, flags]) + group + m + pid + record + loaded + bytes(8)


def update_slot(role: int, kv: int, flags: int, group: bytes, m: bytes, pid: bytes, record: bytes, loaded: bytes, cap: bytes) -> bytes:
    return slot_bytes(role, kv, flags, group, m, pid, record, loaded)[:-8] + cap + bytes(4)


def update_dg3(number: int, group: bytes, signature: bytes) -> bytes:
    return bytes([0x10, number, len(group)]) + group.ljust(157, b"\0") + signature


def update_small(op: int, rest: bytes = b"") -> bytes:
    """FLOOR, BLOCK, ERASE, LOAD: op, a few bytes, zeros."""
    return (bytes([op]) + rest).ljust(224, b"\0")


def parse_update(plain: bytes) -> dict:
    """What P224 asks for; whatever has a wrong form is 6A80."""

    def form(right: bool) -> None:
        if not right:
            raise Refused("this is no update of chapter 09", "6a80")

    form(len(plain) == 224)
    op, at = plain[0], 1
    sizes = {5: (1, 1, 1, 16, 16, 16, 160, 4, 4), 0x10: (1, 1, 157, 64), 0x11: (4,), 0x12: (), 0x13: (1, 1), 0x14: (4,)}
    form(op in sizes)
    fields = []
    for size in sizes[op]:
        fields.append(plain[at : at + size])
        at += size
    form(plain[at:] == bytes(224 - at))
    if op == 5:
        role, kv, flags, loaded, cap = fields[0][0], fields[1][0], fields[2][0], fields[7], fields[8]
        form(role in ROLES and kv != 0 and flags in (0, 1))
        form(role == 3 or loaded + cap == bytes(8))
        return {"op": "SLOT", "role": fields[0], "kv": fields[1], "flags": fields[2], "g": fields[3], "m": fields[4], "pid": fields[5], "record": fields[6], "loaded": loaded, "cap": cap}
    if op == 0x10:
        length = fields[1][0]
        form(1 <= length <= 157 and fields[2][length:] == bytes(157 - length))
        group = fields[2][:length]
        try:
            tlv_only(group, 0x6D)
        except Refused:
            form(False)
        return {"op": "DG3", "number": fields[0], "dg3": group, "signature": fields[3]}
    if op == 0x11:
        if fields[0] != bytes(4):
            day_of(fields[0])
        return {"op": "FLOOR", "floor": fields[0]}
    if op == 0x13:
        form(fields[0][0] in ROLES and fields[1] != b"\0")
        return {"op": "ERASE", "role": fields[0], "kv": fields[1]}
    return {"op": "LOAD", "loaded": fields[0]} if op == 0x14 else {"op": "BLOCK"}


def update_tac_key(u_rcpt: bytes, role: int, kv: int, pid: bytes) -> bytes:
    """Ktac of a slot that an update brought."""
    return cmac(u_rcpt, bytes([0x0A, role, kv]) + pid)


def apply_dg3(signature_object: bytes, number: int, group: bytes, signature: bytes) -> bytes:
    """The signature object after the operation DG3."""
    found = template(tlv_only(signature_object, 0x77), [(tag, "one", None) for tag in (0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x9E)], closed=True)
    found[0x82], found[0x86], found[0x9E] = be(number, 1), sha256(group), signature
    return tlv(0x77, *(tlv(tag, value) for tag, value in found.items()))


def update_cipher(u_enc: bytes, ctr: bytes, plain: bytes) -> bytes:
    return cbc_encrypt(u_enc, aes_encrypt_block(u_enc, b"\x08" + ctr + bytes(11)), plain)


def update_mac(u_mac: bytes, ctr: bytes, cipher: bytes) -> bytes:
    return cmac(u_mac, b"\x08" + ctr + cipher)


def update_receipt(u_rcpt: bytes, ctr: bytes, umac: bytes) -> bytes:
    return cmac(u_rcpt, b"\x09" + ctr + umac)


def update_tap_mac(m: bytes, role: int, version: int, rt: bytes, rc: bytes, ctr: bytes, cipher: bytes, umac: bytes) -> bytes:
    return cmac(m, bytes([7, role, version]) + rt + rc + ctr + cipher + umac)[:8]


def update_batch(root: bytes, id: bytes, name: bytes, issued: bytes, last_day: bytes, sequence: bytes, updates: list[dict]) -> bytes:
    """The plain text of an update batch."""
    body = [tlv(0x80, b"\x01"), tlv(0x81, id), tlv(0x82, name), tlv(0x83, issued), tlv(0x84, last_day), tlv(0x85, sequence)]
    for item in updates:
        body.append(tlv(0xA6, *(tlv(0x80 + i, item[part]) for i, part in enumerate(("id", "role", "pid", "ctr", "e", "umac")))))
    return signed_object(b"YZT-UPDATES-1", root, tlv(0x7F52, *body))


def open_update_batch(root_public: bytes, plain: bytes) -> dict:
    value = open_signed_object(b"YZT-UPDATES-1", root_public, 0x7F52, plain)
    found = template(value, [(0x80, "one", 1), (0x81, "one", 16), (0x82, "one", (1, 64)), (0x83, "one", 4), (0x84, "one", 4), (0x85, "one", 4), (0xA6, "repeats", None)])
    if found[0x80] != b"\x01":
        raise Refused("an update batch of an unknown version")
    day_of(found[0x83]), day_of(found[0x84])
    updates = []
    for item in found[0xA6]:
        parts = template(item, [(0x80, "one", 16), (0x81, "one", 1), (0x82, "one", 16), (0x83, "one", 4), (0x84, "one", 224), (0x85, "one", 16)])
        if parts[0x81][0] not in DOOR_F_ROLES:
            raise Refused("an update is delivered through a role without door F")
        updates.append({"id": parts[0x80], "role": parts[0x81], "pid": parts[0x82], "ctr": parts[0x83], "e": parts[0x84], "umac": parts[0x85]})
    return {"id": found[0x81], "name": found[0x82], "issued": found[0x83], "last_day": found[0x84], "sequence": found[0x85], "updates": updates}


def receipts(items: list[tuple[bytes, bytes]]) -> bytes:
    """The receipts file: (update id, receipt) each."""
    return tlv(0x7F53, tlv(0x80, b"\x01"), *(tlv(0xA4, tlv(0x80, update), tlv(0x81, receipt)) for update, receipt in items))


def open_receipts(plain: bytes) -> list[tuple[bytes, bytes]]:
    found = template(tlv_only(plain, 0x7F53), [(0x80, "one", 1), (0xA4, "repeats", None)])
    if found[0x80] != b"\x01":
        raise Refused("receipts of an unknown version")
    items = []
    for item in found[0xA4]:
        parts = template(item, [(0x80, "one", 16), (0x81, "one", 16)])
        items.append((parts[0x80], parts[0x81]))
    if any(a >= b for (a, _), (b, _) in zip(items, items[1:])):
        raise Refused("receipts are not ascending by update id")
    return items


# --- The QR code of a card's back (chapter 15) -------------------------------------------------------------------------

CARD_BACK = re.compile(r"YZT1:([0-9A-Z-]{1,32}):([0-9]{6}):([0-9]{8}):([A-Z2-7]{103})")


def card_back_signed(number: bytes, region: bytes, issued: bytes) -> bytes:
    day = issued.hex()
    return b"YZT-CARD-BACK-1" + be(len(number), 1) + number + region.hex().encode() + f"{day[:4]}-{day[4:6]}-{day[6:]}".encode()


def card_back(signer: bytes, number: bytes, region: bytes, issued: bytes) -> bytes:
    signature = base64.b32encode(sign(signer, card_back_signed(number, region, issued))).rstrip(b"=")
    return b":".join([b"YZT1", number, region.hex().encode(), issued.hex().encode(), signature])


def open_card_back(signer_public: bytes, text: bytes) -> dict:
    try:
        found = CARD_BACK.fullmatch(text.decode("ascii"))
    except UnicodeDecodeError:
        found = None
    if not found:
        raise Refused("not the text of a card's back")
    number, region, issued = found[1].encode(), bytes.fromhex(found[2]), bytes.fromhex(found[3])
    try:
        datetime.datetime.strptime(found[3], "%Y%m%d")
    except ValueError:
        raise Refused("no day of the calendar") from None
    signature = base64.b32decode(found[4] + "=")
    if base64.b32encode(signature).rstrip(b"=") != found[4].encode():
        raise Refused("another spelling of a signature")
    if not verify(signer_public, card_back_signed(number, region, issued), signature):
        raise Refused("the document signer's signature is wrong")
    return {"number": number, "region": region, "issued": issued}


# --- What a terminal does with one TAP (chapter 06) -------------------------------------------------------------------


class NotAccepted(Exception):
    """A tap that is refused; `reason` is a code of the contracts."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def versions_to_try(bundle: dict, role: int, today: bytes) -> list[int]:
    """Active versions first, then those that drain and have not ended."""
    keys = [key for key in bundle["keys"] if key["role"] == role]
    order = [key["kv"] for key in keys if key["state"] == 1]
    order += [key["kv"] for key in keys if key["state"] == 2 and today <= key["until"]]
    return list(dict.fromkeys(order))


def find_holder(bundle: dict, role: int, version: int, today: bytes, rt: bytes, answer: bytes):
    """(role key, plain text) of the card that made this TAP answer, or None when no cohort of the bundle opens it."""
    rc, cipher, mac = answer[:16], answer[16:240], answer[240:256]
    forged = False
    for key in bundle["keys"]:
        if key["role"] != role or key["kv"] != version or (key["state"] == 2 and today > key["until"]):
            continue
        for cohort in range(256):
            group = group_key(key["group"], role, key["region"], version, cohort)
            if not cohort_fits(group, cipher):
                continue
            plain = tap_open(group, rc, cipher)
            m = tap_key(key["tap"], role, key["region"], version, plain[:16])
            if same(tap_mac(m, role, version, rt, rc, cipher), mac):
                return key, plain
            forged = True
    if forged:
        raise NotAccepted("NOT_GENUINE")
    return None


def judge_record(bundle: dict, key: dict, pid: bytes, record: bytes, today: bytes) -> dict:
    """The record's fields when the terminal lets the holder pass; `NotAccepted` otherwise."""
    role = key["role"]
    if record[2] != role:
        raise NotAccepted("WRONG_ROLE")
    try:
        found = open_record(record_key(key["record"], role, key["region"], key["kv"], pid), bundle["entitlement_signer"], pid, record)
        day_of(found["from"]), day_of(found["to"])
    except Refused:
        raise NotAccepted("NOT_GENUINE") from None
    if found["kv"] != key["kv"] or found["tier"] not in TIERS:
        raise NotAccepted("NOT_GENUINE")
    if today < found["from"]:
        raise NotAccepted("NOT_ACTIVE")
    if today > found["to"]:
        raise NotAccepted("EXPIRED")
    if any(bundle["zones"]) and not any(a & b for a, b in zip(bundle["zones"], found["zones"])):
        raise NotAccepted("DENIED")
    if pid[:8] in bundle["deny_lists"][role]["entries"]:
        raise NotAccepted("DENIED")
    return found


def check_bundle_use(bundle: dict, role: int, today: bytes, grace: bool = False) -> bool:
    """May this terminal accept anybody in this role today? True when only the grace of an old list allows it."""
    if today > bundle["last_day"]:
        raise NotAccepted("BUNDLE_EXPIRED")
    if not any(key["role"] == role for key in bundle["keys"]):
        raise NotAccepted("WRONG_ROLE")
    denied = bundle["deny_lists"].get(role)
    age = -1 if denied is None else (day_of(today) - day_of(denied["issued"])).days
    if denied is not None and 0 <= age <= denied["days"]:
        return False
    if denied is not None and grace and role in GRACE_ROLES and 0 <= age <= denied["days"] + denied["grace"]:
        return True
    raise NotAccepted("LIST_TOO_OLD")


# --- Published answers ------------------------------------------------------------------------------------------------


def known_answers() -> list[str]:
    """Names of published values that this file fails to reproduce; empty when all is well."""
    x = bytes.fromhex
    wrong = []

    def expect(name: str, found: bytes, published: str) -> None:
        if found != x(published):
            wrong.append(name)

    key, text = x("2b7e151628aed2a6abf7158809cf4f3c"), x("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51" "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710")
    key256, iv = x("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"), bytes(range(16))
    expect("RFC 4493 subkey K1", _doubled(aes_encrypt_block(key, ZERO16)), "fbeed618357133667c85e08f7236a8de")
    expect("RFC 4493 example 1", cmac(key, b""), "bb1d6929e95937287fa37d129b756746")
    expect("RFC 4493 example 2", cmac(key, text[:16]), "070a16b46b4d4144f79bdd9dd04a287c")
    expect("RFC 4493 example 3", cmac(key, text[:40]), "dfa66747de9ae63030ca32611497c827")
    expect("RFC 4493 example 4", cmac(key, text), "51f0bebf7e3b9d92fc49741779363cfe")
    expect("SP 800-38B D.3 example 9", cmac(key256, b""), "028962f61b7bf89efc6b551f4667d983")
    expect("SP 800-38B D.3 example 10", cmac(key256, text[:16]), "28a7023f452e8f82bd4bf28d8c37c35c")
    expect("SP 800-38A F.1.1", aes_encrypt_block(key, text[:16]), "3ad77bb40d7a3660a89ecaf32466ef97")
    expect("SP 800-38A F.2.1", cbc_encrypt(key, iv, text[:32]), "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2")
    expect("SP 800-38A F.2.5", cbc_encrypt(key256, iv, text[:16]), "f58c4c04d6e5f1ba779eabfb5f7bfbd6")
    private = x("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721")
    public = public_key(private)
    expect("RFC 6979 A.2.5 public key", public, "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299")
    expect("RFC 6979 A.2.5 sample", sign(private, b"sample"), "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8")
    expect("RFC 6979 A.2.5 test", sign(private, b"test"), "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083")
    if not verify(public, b"sample", sign(private, b"sample")) or verify(public, b"samplf", sign(private, b"sample")):
        wrong.append("ECDSA verification")
    peer = x("700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac")
    expect("CAVS ECC CDH P-256 count 0", ecdh(x("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534"), peer), "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b")
    # SCP03 i = 70, AES-128, level 33, as recorded from a card (osmocom pysim, test_globalplatform.py, AES128_33).
    expect("SCP03 recorded card challenge", scp03_card_challenge(bytes(range(0x10)), x("000003"), x("a0000005591010ffffffff8900000100")), "3b1aca81e821f219")
    session = Scp03(bytes(range(0x00, 0x10)) + bytes(range(0x10, 0x20)) + bytes(range(0x20, 0x30)), x("fdf38259a1e0de44"), x("3b1aca81e821f219"))
    expect("SCP03 recorded card cryptogram", session.card_cryptogram, "081cdc01c26b372d")
    command, channel = session.external_authenticate()
    expect("SCP03 recorded EXTERNAL AUTHENTICATE", command, "84823300108c36f96bcc00724a4e13ad591d7da3f0")
    expect("SCP03 recorded command", channel.command(x("84e29100"), x("bf3e035c015a")), "84e2910018267a85dfe4a98fca6fb0527e0dfecce4914e40401433c87f00")
    try:
        expect("SCP03 recorded answer", channel.open_answer(x("f3ba2b1013aa6224f5e1c138d71805c569e5439b47576260b75fc021b25097cb2e68f8a0144975b99000")), "bf3e125a1089882119900000000000000000000005")
    except Refused:
        wrong.append("SCP03 recorded answer")
    return wrong


if __name__ == "__main__":
    failed = known_answers()
    print("published values: " + ("all reproduced" if not failed else "WRONG: " + ", ".join(failed)))
    raise SystemExit(1 if failed else 0)
