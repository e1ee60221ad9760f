package yzt.permit;

import javacard.framework.Util;
import javacard.security.ECPublicKey;
import javacardx.crypto.Cipher;

/** Door S: the terminal shows itself first, then keys are agreed, then objects are read (chapter 07). */
final class DoorS {
    private static final short AT = 5;
    /** Longest life of a leaf, in days. */
    private static final short MAX_LEAF = 7;
    private static final short AGREE_LEN = 134;
    private static final short MAX_READ = 237;

    /** suite1 rights4 Qt65 sig64 of AGREE, where they come in. */
    private static final short A_SUITE = 5;
    private static final short A_RIGHTS = 6;
    private static final short A_POINT = 10;
    private static final short A_SIGNATURE = 75;

    /** The work area of AGREE: the answer, then what it is made of. */
    private static final short W_POINT = 0;
    private static final short W_ECERT = 65;
    private static final short W_MAC = 225;
    private static final short W_ANSWER_LEN = 241;
    private static final short W_Z = 244;
    private static final short W_Z1 = 248;
    private static final short W_Z2 = 280;
    private static final short W_TH1 = 352;
    private static final short W_TH2 = 384;
    private static final short W_DIGEST = 416;
    private static final short W_KEYS = 416;
    private static final short W_CMAC = 244;
    /** DER of a signature, 72 bytes. */
    private static final short W_DER = 400;

    /** YZT-S-TA-1 and the suite. */
    private static final byte[] TA_LABEL = {0x59, 0x5A, 0x54, 0x2D, 0x53, 0x2D, 0x54, 0x41, 0x2D, 0x31, Codes.SUITE};
    /** YZT-S-1 and the suite. */
    private static final byte[] LABEL = {0x59, 0x5A, 0x54, 0x2D, 0x53, 0x2D, 0x31, Codes.SUITE};
    private static final byte[] CERT = {0x63, 0x65, 0x72, 0x74};
    private static final byte[] KEYS = {0x6B, 0x65, 0x79, 0x73};

    private static final byte SIGNATURE_OBJECT = 0x0F;
    private static final byte NEWEST = 0x10;
    private static final byte OLDER = 0x20;
    private static final byte SERIAL = (byte) 0xF0;
    private static final byte STATUS = (byte) 0xF1;

    private final Card card;
    private final byte[] session;
    private final byte[] work;

    DoorS(Card card) {
        this.card = card;
        session = card.ram.session;
        work = card.ram.work;
    }

    /** S1 with the intermediate. It moves nothing: anybody may hold these bytes. */
    short presentIntermediate(byte[] buffer, short lc, short le) {
        Sw.need(card.gate(Command.PRESENT_CERTIFICATE) == Command.OPEN, Sw.CONDITIONS);
        // A leaf before its intermediate, or a wrong place.
        Sw.need(buffer[2] != 1 || buffer[3] != 0, Sw.CONDITIONS);
        Sw.need(buffer[2] == 0 && buffer[3] == 0, Sw.WRONG_P1P2);
        Sw.need(le == Sw.LE_NONE, Sw.WRONG_LENGTH);
        short half = Control.half(card.storage.control.live[Control.TRUST]);
        Sw.need(half >= 0, Sw.CONDITIONS);
        Trust trust = card.storage.trust[half];
        present(buffer, lc, trust.name, (short) 0, trust.key, card.crypto.intermediateKey);
        Util.arrayCopyNonAtomic(work, Certificate.RIGHTS, session, Ram.I_RIGHTS, (short) 12);
        Sw.need(Bytes.compare4(session, Ram.I_EFFECTIVE, session, Ram.I_EXPIRY) <= 0
            && !Bytes.isZero(session, Ram.I_RIGHTS, (short) 4), Sw.WRONG_DATA);
        Util.arrayCopyNonAtomic(buffer, Certificate.place(work, Certificate.HOLDER), session, Ram.I_HOLDER, (short) 16);
        card.crypto.chain.reset();
        card.crypto.chain.update(buffer, AT, lc);
        session[Ram.HAS_LEAF] = 0;
        session[Ram.HAS_CHALLENGE] = 0;
        session[Ram.SESSION] = Ram.S_PRESENTING;
        return 0;
    }

    /** S1 with the leaf. Nothing of the card is looked at. */
    short presentLeaf(byte[] buffer, short lc, short le) {
        Sw.need(session[Ram.HAS_LEAF] == 0 && buffer[2] == 1 && buffer[3] == 0, Sw.CONDITIONS);
        Sw.need(le == Sw.LE_NONE, Sw.WRONG_LENGTH);
        present(buffer, lc, session, Ram.I_HOLDER, card.crypto.intermediateKey, null);
        Sw.need(Bytes.compare4(work, Certificate.EFFECTIVE, work, Certificate.EXPIRY) <= 0
            && Dates.between(work, Certificate.EFFECTIVE, work, Certificate.EXPIRY) <= MAX_LEAF, Sw.WRONG_DATA);
        for (short i = 0; i < 4; i++) {
            session[(short) (Ram.L_RIGHTS + i)] = (byte) (work[(short) (Certificate.RIGHTS + i)]
                & session[(short) (Ram.I_RIGHTS + i)]);
        }
        Sw.need(!Bytes.isZero(session, Ram.L_RIGHTS, (short) 4), Sw.WRONG_DATA);
        Util.arrayCopyNonAtomic(work, Certificate.EXPIRY, session, Ram.L_EXPIRY, (short) 4);
        Util.arrayCopyNonAtomic(buffer, Certificate.place(work, Certificate.POINT), session, Ram.L_POINT, Crypto.POINT);
        card.crypto.chain.update(buffer, AT, lc);
        card.crypto.hash.doFinal(buffer, AT, lc, session, Ram.L_DIGEST);
        session[Ram.HAS_LEAF] = 1;
        return 0;
    }

    /**
     * Form, name of the issuer, signature; `keep` takes the point then, of a certificate that is signed only: keeping it is
     * a write. Whether it is on the curve is the platform's to say when it is used: an ECDH to find out would cost more
     * than the verification, no secret of the card meets it, and under a point off the curve nothing verifies.
     */
    private void present(byte[] buffer, short lc, byte[] name, short at, ECPublicKey issuer, ECPublicKey keep) {
        Certificate.parse(buffer, lc, work, card.ram.cursor);
        Sw.need(Bytes.equal(buffer, Certificate.place(work, Certificate.ISSUER), name, at, (short) 16), Sw.NOT_FOUND);
        card.crypto.verifyWith(issuer);
        card.crypto.signed(buffer, Certificate.place(work, Certificate.BODY), Certificate.place(work, Certificate.BODY_LEN));
        Sw.need(card.crypto.verify(buffer, Certificate.place(work, Certificate.SIGNATURE), W_DER), Sw.SECURITY);
        if (keep != null) {
            short point = Certificate.place(work, Certificate.POINT);
            Sw.need(card.crypto.setPoint(keep, buffer, point, W_Z), Sw.WRONG_DATA);
        }
    }

    /** S2. */
    short getChallenge(byte[] buffer, short lc, short le) {
        Sw.need(buffer[2] == 0 && buffer[3] == 0, Sw.WRONG_P1P2);
        Sw.need(le == 16 && lc == 0, Sw.WRONG_LENGTH);
        Sw.need(session[Ram.HAS_LEAF] != 0, Sw.CONDITIONS);
        card.crypto.random.generateData(session, Ram.CHALLENGE, (short) 16);
        session[Ram.HAS_CHALLENGE] = 1;
        return Util.arrayCopyNonAtomic(session, Ram.CHALLENGE, buffer, (short) 0, (short) 16);
    }

    /**
     * Floor and epoch that a chain brings, in the copy of the control block; true when they move. A chain from a day that
     * no visit explains is served and brings nothing (decision 0027).
     */
    private boolean freshens() {
        Control control = card.storage.control;
        byte[] next = control.next;
        control.begin();
        short epoch = (short) (Ram.I_HOLDER + 10);
        short ofCard = Control.EPOCH;
        boolean older = isBelow2(session, epoch, control.live, ofCard);
        if (!Dates.isLeap(next, Control.FLOOR, session, Ram.I_EFFECTIVE)) {
            Dates.raise(next, Control.FLOOR, session, Ram.I_EFFECTIVE);
            if (!older) {
                Util.arrayCopyNonAtomic(session, epoch, next, ofCard, (short) 2);
            }
        }
        boolean ended = Bytes.compare4(session, Ram.I_EXPIRY, next, Control.FLOOR) < 0
            || Bytes.compare4(session, Ram.L_EXPIRY, next, Control.FLOOR) < 0 || older;
        Sw.need(!ended, Sw.ENDED);
        return !Bytes.equal(next, Control.FLOOR, control.live, Control.FLOOR, (short) 6);
    }

    private static boolean isBelow2(byte[] a, short at, byte[] b, short bt) {
        short x = (short) (a[at] & 0xFF);
        short y = (short) (b[bt] & 0xFF);
        if (x != y) {
            return x < y;
        }
        return (short) (a[(short) (at + 1)] & 0xFF) < (short) (b[(short) (bt + 1)] & 0xFF);
    }

    /** S3: the terminal proves its key, and keys are agreed. */
    short agree(byte[] buffer, short lc, short le) {
        Sw.need(buffer[2] == 0 && buffer[3] == 0, Sw.WRONG_P1P2);
        Sw.need(le == Sw.LE_256 && lc == AGREE_LEN, Sw.WRONG_LENGTH);
        Sw.need(buffer[A_SUITE] == Codes.SUITE, Sw.WRONG_DATA);
        Sw.need(session[Ram.HAS_CHALLENGE] != 0, Sw.CONDITIONS);
        boolean within = Codes.areRights(buffer, A_RIGHTS) && !Bytes.isZero(buffer, A_RIGHTS, (short) 4);
        for (short i = 0; i < 4; i++) {
            byte asked = buffer[(short) (A_RIGHTS + i)];
            within = within && (asked & session[(short) (Ram.L_RIGHTS + i)]) == asked;
        }
        Sw.need(within, Sw.SECURITY);
        short index = Codes.domainFor(buffer, A_RIGHTS);
        Sw.need(index >= 0, Sw.WRONG_DATA);
        Crypto crypto = card.crypto;
        Sw.need(crypto.setPoint(crypto.leafKey, session, Ram.L_POINT, W_Z), Sw.SECURITY);
        crypto.verifyWith(crypto.leafKey);
        crypto.signed(TA_LABEL, (short) 0, (short) 11);
        crypto.signed(buffer, A_RIGHTS, (short) 4);
        crypto.signed(session, Ram.CHALLENGE, (short) 16);
        crypto.signed(buffer, A_POINT, Crypto.POINT);
        crypto.signed(session, Ram.L_DIGEST, Crypto.HASH);
        Sw.need(crypto.verify(buffer, A_SIGNATURE, W_DER), Sw.SECURITY);
        boolean moved = freshens();
        byte gate = card.gate(Command.AGREE);
        boolean verify = (buffer[(short) (A_RIGHTS + Codes.R_OFFICE)] & Codes.VERIFY) != 0;
        Sw.need(gate == Command.OPEN || (gate == Command.TO_VERIFY && verify), Sw.CONDITIONS);
        short half = Control.half(card.storage.control.live[Control.domain(index)]);
        Sw.need(half >= 0, Sw.CONDITIONS);
        Domain domain = card.storage.domain(index, half);
        Sw.need(crypto.agree(domain.key, buffer, A_POINT, work, W_Z2), Sw.SECURITY);
        if (moved) {
            card.storage.control.commit();
        }
        crypto.ephemeral.genKeyPair();
        crypto.point(work, W_POINT);
        crypto.agreeOnce(buffer, A_POINT, work, W_Z1);
        transcript(buffer);
        sealCertificate(domain);
        sessionKeys();
        Util.arrayCopyNonAtomic(buffer, A_RIGHTS, session, Ram.RIGHTS, (short) 4);
        Util.arrayCopyNonAtomic(work, W_POINT, buffer, (short) 0, W_ANSWER_LEN);
        card.channel.openMac();
        card.channel.openRest();
        session[Ram.SESSION] = Ram.S_DOOR_S;
        return W_ANSWER_LEN;
    }

    /** TH1 = SHA-256("YZT-S-1" || suite || H || rC || rights || Qt || sig || Qc). */
    private void transcript(byte[] buffer) {
        Crypto crypto = card.crypto;
        crypto.chain.doFinal(work, (short) 0, (short) 0, work, W_TH1);
        crypto.hash.reset();
        crypto.hash.update(LABEL, (short) 0, (short) 8);
        crypto.hash.update(work, W_TH1, Crypto.HASH);
        crypto.hash.update(session, Ram.CHALLENGE, (short) 16);
        crypto.hash.update(buffer, A_RIGHTS, (short) 133);
        crypto.hash.doFinal(work, W_POINT, Crypto.POINT, work, W_TH1);
    }

    /** Ecert under K1, and TH2 = SHA-256(TH1 || Ecert || SHA-256(certificate)). */
    private void sealCertificate(Domain domain) {
        Crypto crypto = card.crypto;
        counter(W_Z, (byte) 1);
        crypto.hash.reset();
        crypto.hash.update(work, W_Z, (short) 36);
        crypto.hash.update(CERT, (short) 0, (short) 4);
        crypto.hash.doFinal(work, W_TH1, Crypto.HASH, work, W_KEYS);
        crypto.once.setKey(work, W_KEYS);
        crypto.other.init(crypto.once, Cipher.MODE_ENCRYPT);
        crypto.other.doFinal(domain.data, Domain.CERTIFICATE, Domain.CERTIFICATE_LEN, work, W_ECERT);
        crypto.hash.doFinal(domain.data, Domain.CERTIFICATE, Domain.CERTIFICATE_LEN, work, W_DIGEST);
        crypto.hash.reset();
        crypto.hash.update(work, W_TH1, Crypto.HASH);
        crypto.hash.update(work, W_ECERT, Domain.CERTIFICATE_LEN);
        crypto.hash.doFinal(work, W_DIGEST, Crypto.HASH, work, W_TH2);
    }

    /** ENC MAC RMAC CONF, and the card's MAC. */
    private void sessionKeys() {
        Crypto crypto = card.crypto;
        keyBlock((byte) 1, W_KEYS);
        crypto.sEnc.setKey(work, W_KEYS);
        crypto.sMac.setKey(work, (short) (W_KEYS + 16));
        keyBlock((byte) 2, W_KEYS);
        crypto.sRmac.setKey(work, W_KEYS);
        crypto.once.setKey(work, (short) (W_KEYS + 16));
        Util.arrayFillNonAtomic(work, W_Z, (short) 68, (byte) 0);
        Util.arrayFillNonAtomic(work, W_KEYS, Crypto.HASH, (byte) 0);
        crypto.other.init(crypto.once, Cipher.MODE_ENCRYPT);
        crypto.subkeys(crypto.other, crypto.sub, Crypto.SUB_ONCE);
        work[W_CMAC] = 1;
        Util.arrayCopyNonAtomic(work, W_TH2, work, (short) (W_CMAC + 1), Crypto.HASH);
        short mac = crypto.cmac(crypto.other, crypto.sub, Crypto.SUB_ONCE, W_CMAC, (short) 33);
        Util.arrayCopyNonAtomic(work, mac, work, W_MAC, (short) 16);
    }

    /** SHA-256(i4 || Z1 || Z2 || "keys" || TH2). */
    private void keyBlock(byte i, short to) {
        counter(W_Z, i);
        card.crypto.hash.reset();
        card.crypto.hash.update(work, W_Z, (short) 68);
        card.crypto.hash.update(KEYS, (short) 0, (short) 4);
        card.crypto.hash.doFinal(work, W_TH2, Crypto.HASH, work, to);
    }

    private void counter(short at, byte i) {
        Util.arrayFillNonAtomic(work, at, (short) 3, (byte) 0);
        work[(short) (at + 3)] = i;
    }

    /** RESET COUNTER. */
    short resetCounter(byte[] buffer, short lc, short le) {
        boolean named = buffer[2] == 0 && buffer[3] == 0;
        short length = card.channel.unwrap(buffer, lc, le);
        Sw.need(named, Sw.WRONG_P1P2);
        Sw.need(length == 0, Sw.WRONG_LENGTH);
        Sw.need(has(Codes.R_OFFICE, Codes.ISSUER), Sw.SECURITY);
        card.storage.setFailures((short) 0);
        return card.channel.wrap(buffer, (short) 0);
    }

    private boolean has(short at, byte right) {
        return (session[(short) (Ram.RIGHTS + at)] & right) != 0;
    }

    /** READ OBJECT. */
    short read(byte[] buffer, short lc, short le) {
        byte object = buffer[2];
        byte p2 = buffer[3];
        short length = card.channel.unwrap(buffer, lc, le);
        Sw.need(p2 == 0, Sw.WRONG_P1P2);
        Sw.need(length == 3, Sw.WRONG_LENGTH);
        short offset = Util.getShort(buffer, AT);
        short count = (short) (buffer[(short) (AT + 2)] & 0xFF);
        Sw.need(count >= 1 && count <= MAX_READ, Sw.WRONG_DATA);
        Sw.need(isObject(object), Sw.NOT_FOUND);
        Sw.need(mayRead(object), Sw.SECURITY);
        short index = DataObject.of(object);
        if (index >= 0) {
            byte[] live = card.storage.control.live;
            short pair = Control.object(index);
            short half = Control.half(live[pair]);
            Sw.need(half >= 0, Sw.NOT_FOUND);
            return answer(buffer, card.storage.object(index, half).bytes,
                Util.getShort(live, (short) (pair + Control.O_LEN)), offset, count);
        }
        if (object == SERIAL) {
            return answer(buffer, card.storage.serial, (short) 10, offset, count);
        }
        if (object == STATUS) {
            card.status(work, (short) 0, (byte) card.storage.failures());
            return answer(buffer, work, Card.STATUS_LEN, offset, count);
        }
        short slot = card.storage.liveSlot((short) ((object & 0x0F) - 1), (object & 0xF0) == NEWEST);
        Sw.need(slot >= 0, Sw.NOT_FOUND);
        return answer(buffer, card.storage.slots[slot].data, (short) (17 + Slot.RECORD_LEN), offset, count);
    }

    private static boolean isObject(byte object) {
        short high = (short) (object & 0xF0);
        return DataObject.of(object) >= 0 || object == SERIAL || object == STATUS
            || ((high == NEWEST || high == OLDER) && Codes.isRole((byte) (object & 0x0F)));
    }

    private boolean mayRead(byte object) {
        if (object == SIGNATURE_OBJECT) {
            return has(Codes.R_GROUPS, (byte) 7) || has(Codes.R_OFFICE, Codes.VERIFY);
        }
        if (object == SERIAL) {
            return has(Codes.R_OFFICE, Codes.ISSUER);
        }
        if (object == STATUS) {
            return has(Codes.R_OFFICE, (byte) (Codes.VERIFY | Codes.ISSUER));
        }
        if (DataObject.of(object) >= 0) {
            return has(Codes.R_GROUPS, (byte) (1 << DataObject.of(object)));
        }
        byte role = (byte) (object & 0x0F);
        // Roles with door F belong to terminals in the street; behind door S only the office checks them.
        return has(Codes.R_ROLES, (byte) (1 << (byte) (role - 1)))
            && (!Codes.hasDoorF(role) || has(Codes.R_OFFICE, Codes.VERIFY));
    }

    /** total2, and the bytes from `offset`, fewer at the end. */
    private short answer(byte[] buffer, byte[] from, short total, short offset, short count) {
        Sw.need(offset >= 0 && offset < total, Sw.WRONG_P1P2);
        short rest = (short) (total - offset);
        Util.setShort(buffer, (short) 0, total);
        short end = Util.arrayCopyNonAtomic(from, offset, buffer, (short) 2, rest < count ? rest : count);
        return card.channel.wrap(buffer, end);
    }
}
