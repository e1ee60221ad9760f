package yzt.permit;

import javacard.framework.Util;
import javacard.security.AESKey;
import javacardx.crypto.Cipher;

/** Door I: SCP03 with i = 60, numbered steps, FINALISE (chapter 05). */
final class DoorI {
    /** Attempts at EXTERNAL AUTHENTICATE without a success before door I is locked. */
    private static final short MAX_FAILURES = 16;

    private static final byte CARD_CRYPTOGRAM = 0x00;
    private static final byte HOST_CRYPTOGRAM = 0x01;
    private static final byte S_ENC = 0x04;
    private static final byte S_MAC = 0x06;
    private static final byte S_RMAC = 0x07;
    /** Key diversification data, key version, protocol, i: the same on every card. */
    private static final byte[] CONSTANTS = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x03, 0x60};
    /** YZT-SCRIPT-1. */
    private static final byte[] LABEL = {0x59, 0x5A, 0x54, 0x2D, 0x53, 0x43, 0x52, 0x49, 0x50, 0x54, 0x2D, 0x31};

    private static final byte BEGIN = 0x01;
    private static final byte WRITE = 0x02;
    private static final byte GENERATE = 0x03;
    private static final byte CERTIFICATE = 0x04;
    private static final byte SLOT = 0x05;
    private static final byte PURSE = 0x06;
    private static final byte KEYS = 0x07;
    private static final byte TRUST = 0x08;
    private static final byte FINALISE = 0x0F;

    private static final byte PERSONALISE = 1;
    private static final byte REWRITE = 2;
    private static final byte ACTIVATE = 3;
    private static final byte BLOCK = 4;
    private static final byte UNBLOCK = 5;
    private static final byte TERMINATE = 6;

    /** Where the plain text of a command stands. */
    private static final short AT = 5;

    private final Card card;
    private final byte[] session;
    private final byte[] work;

    DoorI(Card card) {
        this.card = card;
        session = card.ram.session;
        work = card.ram.work;
    }

    short initializeUpdate(byte[] buffer, short lc, short le) {
        Sw.need((buffer[2] == 0 || buffer[2] == 1) && buffer[3] == 0, Sw.WRONG_P1P2);
        Sw.need(le == Sw.LE_256 && lc == 8, Sw.WRONG_LENGTH);
        Util.arrayCopyNonAtomic(buffer, AT, session, Ram.CHALLENGES, (short) 8);
        card.crypto.random.generateData(session, (short) (Ram.CHALLENGES + 8), (short) 8);
        KeySet keys = card.storage.staticKeys();
        card.crypto.other.init(keys.keys[KeySet.ENC], Cipher.MODE_ENCRYPT);
        sessionKey(card.crypto.sEnc, keys, KeySet.ENC, S_ENC);
        card.crypto.other.init(keys.keys[KeySet.MAC], Cipher.MODE_ENCRYPT);
        sessionKey(card.crypto.sMac, keys, KeySet.MAC, S_MAC);
        sessionKey(card.crypto.sRmac, keys, KeySet.MAC, S_RMAC);
        card.channel.openMac();
        short cryptogram = cryptogram(CARD_CRYPTOGRAM);
        short end = Util.arrayCopyNonAtomic(CONSTANTS, (short) 0, buffer, (short) 0, (short) 13);
        end = Util.arrayCopyNonAtomic(session, (short) (Ram.CHALLENGES + 8), buffer, end, (short) 8);
        end = Util.arrayCopyNonAtomic(work, cryptogram, buffer, end, (short) 8);
        session[Ram.SESSION] = Ram.S_OPENING_I;
        return end;
    }

    /** One block of SCP03's KDF (section 4.1.5), 32 bytes of the work area; its MAC is the output. */
    private void derivation(byte constant, byte bits) {
        Util.arrayFillNonAtomic(work, (short) 0, (short) 16, (byte) 0);
        work[11] = constant;
        work[14] = bits;
        work[15] = 1;
        Util.arrayCopyNonAtomic(session, Ram.CHALLENGES, work, (short) 16, (short) 16);
    }

    private void sessionKey(AESKey key, KeySet keys, short from, byte constant) {
        derivation(constant, (byte) 0x80);
        short mac = card.crypto.cmac(card.crypto.other, keys.sub, KeySet.subOf(from), (short) 0, (short) 32);
        key.setKey(work, mac);
        Util.arrayFillNonAtomic(work, mac, (short) 16, (byte) 0);
    }

    private short cryptogram(byte constant) {
        derivation(constant, (byte) 0x40);
        return card.crypto.cmac(card.crypto.mac, card.crypto.sub, Crypto.SUB_MAC, (short) 0, (short) 32);
    }

    short externalAuthenticate(byte[] buffer, short lc, short le) {
        Sw.need(buffer[2] == 0x33 && buffer[3] == 0, Sw.WRONG_P1P2);
        Sw.need(le == Sw.LE_NONE && lc == 16, Sw.WRONG_LENGTH);
        // Counted before it is compared: pulling the card gives no free try. From the sixteenth on the count stays, and
        // nothing is written: tries near a pocket must not wear the card.
        Storage storage = card.storage;
        short before = storage.failures();
        boolean spent = before >= MAX_FAILURES;
        // A blank has no door S that could open door I again.
        boolean locked = spent && storage.control.state() != Codes.BLANK;
        storage.setFailures(spent ? before : (short) (before + 1));
        // Everything is computed before anything is decided: the work is the same for each way to be wrong.
        short cryptogram = cryptogram(HOST_CRYPTOGRAM);
        boolean right = Bytes.equal(work, cryptogram, buffer, AT, (short) 8);
        card.channel.commandMac(buffer, (short) 16, (short) 8);
        right &= Bytes.equal(session, Ram.CHAINING, buffer, (short) 13, (short) 8);
        right &= !locked;
        right &= card.gate(Command.EXTERNAL_AUTHENTICATE) == Command.OPEN;
        Sw.need(right, Sw.SECURITY);
        storage.setFailures((short) 0);
        card.channel.openRest();
        session[Ram.FAILURES] = (byte) before;
        session[Ram.SESSION] = Ram.S_DOOR_I;
        return 0;
    }

    /** STEP. */
    short scriptStep(byte[] buffer, short lc, short le) {
        short n = Util.getShort(buffer, (short) 2);
        short length = card.channel.unwrap(buffer, lc, le);
        return card.channel.wrap(buffer, step(n, buffer, length));
    }

    /** GET STATUS and GET PUBLIC KEY. */
    short report(byte[] buffer, short lc, short le) {
        byte what = buffer[2];
        byte domain = buffer[3];
        Sw.need(card.channel.unwrap(buffer, lc, le) == 0, Sw.WRONG_LENGTH);
        short length = 0;
        if (what == 0 && domain == 0) {
            length = card.status(buffer, (short) 0, session[Ram.FAILURES]);
        } else {
            Sw.need(what == 1, Sw.WRONG_P1P2);
            Sw.need(Codes.isDomain(domain), Sw.NOT_FOUND);
            length = stagedPublicKey((short) (domain - 1), buffer);
        }
        return card.channel.wrap(buffer, length);
    }

    private short stagedPublicKey(short index, byte[] buffer) {
        byte pair = card.storage.control.live[Control.domain(index)];
        Sw.need(Control.isStaged(pair), Sw.NOT_FOUND);
        return publicKey(card.storage.domain(index, Control.spare(pair)), buffer);
    }

    private static short publicKey(Domain domain, byte[] buffer) {
        return Util.arrayCopyNonAtomic(domain.data, Domain.PUBLIC, buffer, (short) 0, Domain.PUBLIC_LEN);
    }

    /** h of a step behind a hash of 32 bytes, into the work area at 0. */
    private void chainNext(byte[] before, short at, short n, byte[] buffer, short length) {
        Util.arrayCopyNonAtomic(before, at, work, (short) 0, Crypto.HASH);
        Util.setShort(work, Crypto.HASH, n);
        card.crypto.hash.reset();
        card.crypto.hash.update(work, (short) 0, (short) 34);
        card.crypto.hash.doFinal(buffer, AT, length, work, (short) 0);
    }

    /** One step: accepted, repeated, or refused. Gives the length of what is answered, at 0 of the buffer. */
    private short step(short n, byte[] buffer, short length) {
        parse(buffer, length);
        byte op = buffer[AT];
        byte[] live = card.storage.control.live;
        if (op == BEGIN) {
            return begin(n, buffer, length);
        }
        short last = Util.getShort(live, Control.LAST);
        if (n != 0 && n == last) {
            chainNext(live, Control.BEFORE, n, buffer, length);
            if (Bytes.equal(work, (short) 0, live, Control.DIGEST, Crypto.HASH)) {
                return repeat(op, buffer);
            }
        }
        // 65,535 steps are more than a script has, and its number wraps to 0, which no step has.
        Sw.need(n != 0 && n == (short) (last + 1), Sw.CONDITIONS);
        byte kind = live[Control.OPEN];
        Sw.need(kind != 0, Sw.CONDITIONS);
        Sw.need(kind == PERSONALISE || kind == REWRITE || op == FINALISE, Sw.CONDITIONS);
        Control control = card.storage.control;
        control.begin();
        chainNext(live, Control.DIGEST, n, buffer, length);
        Util.arrayCopyNonAtomic(live, Control.DIGEST, control.next, Control.BEFORE, Crypto.HASH);
        Util.arrayCopyNonAtomic(work, (short) 0, control.next, Control.DIGEST, Crypto.HASH);
        Util.setShort(control.next, Control.LAST, n);
        short answer = perform(op, kind, n, buffer, length);
        control.commit();
        if (op == FINALISE) {
            card.storage.sweep();
        }
        return answer;
    }

    private short begin(short n, byte[] buffer, short length) {
        Sw.need(n == 1, Sw.CONDITIONS);
        Control control = card.storage.control;
        byte[] live = control.live;
        short script = (short) (AT + 2);
        byte kind = buffer[(short) (AT + 1)];
        // h(0), then h(1).
        card.crypto.hash.reset();
        card.crypto.hash.update(LABEL, (short) 0, (short) 12);
        card.crypto.hash.doFinal(buffer, script, (short) 16, work, (short) 64);
        chainNext(work, (short) 64, (short) 1, buffer, length);
        short last = Util.getShort(live, Control.LAST);
        if (last != 0 && Bytes.equal(live, Control.SCRIPT, buffer, script, (short) 16)) {
            // A repetition of the step that came last, or a script that has gone on or is finished.
            Sw.need(live[Control.OPEN] != 0 && last == 1
                && Bytes.equal(work, (short) 0, live, Control.DIGEST, Crypto.HASH), Sw.CONDITIONS);
            return 0;
        }
        Sw.need(startsIn(kind, control.state()), Sw.CONDITIONS);
        control.begin();
        control.dropStaged();
        byte[] next = control.next;
        next[Control.OPEN] = kind;
        Util.arrayCopyNonAtomic(buffer, script, next, Control.SCRIPT, (short) 16);
        Util.setShort(next, Control.LAST, (short) 1);
        Util.arrayCopyNonAtomic(work, (short) 0, next, Control.DIGEST, Crypto.HASH);
        Util.arrayCopyNonAtomic(work, (short) 64, next, Control.BEFORE, Crypto.HASH);
        if (live[Control.OPEN] != 0) {
            card.storage.soil(Storage.ALL);
        }
        control.commit();
        card.storage.sweep();
        return 0;
    }

    private static boolean startsIn(byte kind, byte state) {
        switch (kind) {
            case PERSONALISE:
                return state == Codes.BLANK;
            case REWRITE:
            case BLOCK:
                return state == Codes.PERSONALISED || state == Codes.ACTIVE;
            case ACTIVATE:
                return state == Codes.PERSONALISED;
            case UNBLOCK:
                return state == Codes.BLOCKED;
            default:
                return state == Codes.PERSONALISED || state == Codes.ACTIVE || state == Codes.BLOCKED;
        }
    }

    /** The form of a step; everything that is wrong with it is 6A80. */
    private static void parse(byte[] buffer, short length) {
        Sw.need(length > 0, Sw.WRONG_DATA);
        byte first = buffer[(short) (AT + 1)];
        boolean right = false;
        switch (buffer[AT]) {
            case BEGIN:
                right = length == 18 && first >= PERSONALISE && first <= TERMINATE;
                break;
            case WRITE:
                right = length >= 7 && DataObject.of(first) >= 0;
                break;
            case GENERATE:
                right = length == 2 && Codes.isDomain(first);
                break;
            case CERTIFICATE:
                right = length == 162 && Codes.isDomain(first);
                break;
            case SLOT:
                right = length == 224 && isSlot(buffer, AT) && Bytes.isZero(buffer, (short) (AT + 216), (short) 8);
                break;
            case PURSE:
                right = length == 26;
                break;
            case KEYS:
                right = length == 97;
                break;
            case TRUST:
                right = length == 87 && Dates.isDate(buffer, (short) (AT + 83));
                break;
            case FINALISE:
                right = length == 39 && Dates.isDate(buffer, (short) (AT + 35));
                break;
            default:
                break;
        }
        Sw.need(right, Sw.WRONG_DATA);
    }

    /** op1 role1 kv1 flags1 at `at`: a version that is one, flags that have a meaning. */
    static boolean isSlot(byte[] buffer, short at) {
        byte flags = buffer[(short) (at + 3)];
        return buffer[(short) (at + 2)] != 0 && (flags == 0 || flags == 1);
    }

    /** The answer of the step that came last, again. Nothing is written. */
    private short repeat(byte op, byte[] buffer) {
        if (op == GENERATE) {
            return stagedPublicKey((short) (buffer[(short) (AT + 1)] - 1), buffer);
        }
        if (op == KEYS) {
            KeySet staged = card.storage.keys[Control.spare(card.storage.control.live[Control.KEYS])];
            staged.checkValues(buffer, (short) 0, card.crypto, work, (short) 0);
            return 18;
        }
        if (op == FINALISE) {
            buffer[0] = card.storage.control.state();
            return 1;
        }
        return 0;
    }

    /** Does a step on spare areas and in the copy of the control block that will count it. */
    private short perform(byte op, byte kind, short n, byte[] buffer, short length) {
        switch (op) {
            case WRITE:
                writeChunk(buffer, length);
                return 0;
            case GENERATE:
                return generate((short) (buffer[(short) (AT + 1)] - 1), buffer);
            case CERTIFICATE:
                certificate((short) (buffer[(short) (AT + 1)] - 1), buffer);
                return 0;
            case SLOT:
                Sw.need(Codes.isRole(buffer[(short) (AT + 1)]), Sw.WRONG_DATA);
                stageSlot(buffer, AT);
                return 0;
            case PURSE:
                stagePurse(buffer[(short) (AT + 1)], buffer, (short) (AT + 2), buffer, (short) (AT + 6), buffer,
                    (short) (AT + 10));
                return 0;
            case KEYS:
                return keys(buffer);
            case TRUST:
                trust(buffer);
                return 0;
            default:
                return finalise(kind, n, buffer);
        }
    }

    private void writeChunk(byte[] buffer, short length) {
        byte[] next = card.storage.control.next;
        short index = DataObject.of(buffer[(short) (AT + 1)]);
        short pair = Control.object(index);
        short total = Util.getShort(buffer, (short) (AT + 2));
        short offset = Util.getShort(buffer, (short) (AT + 4));
        short bytes = (short) (length - 6);
        if (!Control.isStaged(next[pair])) {
            next[pair] |= Control.STAGED;
            Util.setShort(next, (short) (pair + Control.O_TOTAL), total);
            Util.setShort(next, (short) (pair + Control.O_RECEIVED), (short) 0);
        }
        // Lengths above 32767 are negative here, and too long for every object.
        short end = (short) (offset + bytes);
        boolean fits = total >= 0 && offset >= 0 && total <= DataObject.capacity(index) && offset <= total && end <= total;
        Sw.need(fits && Util.getShort(next, (short) (pair + Control.O_TOTAL)) == total
            && Util.getShort(next, (short) (pair + Control.O_RECEIVED)) == offset, Sw.WRONG_DATA);
        card.storage.soil(Storage.SCRIPT);
        byte[] area = card.storage.object(index, Control.spare(next[pair])).bytes;
        Util.arrayCopyNonAtomic(buffer, (short) (AT + 6), area, offset, bytes);
        Util.setShort(next, (short) (pair + Control.O_RECEIVED), end);
    }

    private short generate(short index, byte[] buffer) {
        byte[] next = card.storage.control.next;
        short at = Control.domain(index);
        Sw.need(!Control.isStaged(next[at]), Sw.CONDITIONS);
        card.storage.soil(Storage.SCRIPT);
        Domain domain = card.storage.domain(index, Control.spare(next[at]));
        domain.generate(card.crypto, work);
        next[at] |= Control.STAGED;
        next[(short) (at + 1)] = 0;
        return publicKey(domain, buffer);
    }

    private void certificate(short index, byte[] buffer) {
        byte[] next = card.storage.control.next;
        short at = Control.domain(index);
        Sw.need(Control.isStaged(next[at]) && next[(short) (at + 1)] == 0, Sw.CONDITIONS);
        Domain domain = card.storage.domain(index, Control.spare(next[at]));
        // ver1 suite1 domain1 ca1 from4 to4 id16 public64 signature64 zero4
        short certificate = (short) (AT + 2);
        boolean right = buffer[certificate] == Codes.VERSION && buffer[(short) (certificate + 1)] == Codes.SUITE
            && buffer[(short) (certificate + 2)] == buffer[(short) (AT + 1)]
            && Dates.isDate(buffer, (short) (certificate + 4)) && Dates.isDate(buffer, (short) (certificate + 8))
            && Bytes.isZero(buffer, (short) (certificate + 156), (short) 4)
            && Bytes.equal(buffer, (short) (certificate + 28), domain.data, Domain.PUBLIC, Domain.PUBLIC_LEN);
        Sw.need(right, Sw.WRONG_DATA);
        card.storage.soil(Storage.SCRIPT);
        Util.arrayCopyNonAtomic(buffer, certificate, domain.data, Domain.CERTIFICATE, Domain.CERTIFICATE_LEN);
        next[(short) (at + 1)] = 1;
    }

    /** op1 role1 kv1 flags1 G16 M16 pid16 record160 loaded4 at `at`, of a role that there is. */
    void stageSlot(byte[] buffer, short at) {
        byte[] next = card.storage.control.next;
        short role = (short) (buffer[(short) (at + 1)] - 1);
        byte kv = buffer[(short) (at + 2)];
        short spare = -1;
        for (short i = (short) (Codes.SLOTS_PER_ROLE - 1); i >= 0; i--) {
            short slot = Control.slot(role, i);
            Sw.need((next[slot] & Control.SLOT_STAGED) == 0 || next[(short) (slot + 1)] != kv, Sw.WRONG_DATA);
            if (next[slot] == Control.SLOT_EMPTY) {
                spare = i;
            }
        }
        Sw.need(spare >= 0, Sw.CONDITIONS);
        card.storage.soil(Storage.SLOTS);
        Slot area = card.storage.slots[Storage.index(role, spare)];
        // An attempt that was cut may have left a part of another slot.
        area.erase();
        area.set(kv, buffer, (short) (at + 4), card.crypto);
        short slot = Control.slot(role, spare);
        next[slot] = buffer[(short) (at + 3)] == 0
            ? Control.SLOT_STAGED : (byte) (Control.SLOT_STAGED | Control.SLOT_DROP);
        next[(short) (slot + 1)] = kv;
        if (role == Codes.PURSE_ROLE) {
            Bytes.raise4(next, Control.STAGED_LOADED, buffer, (short) (at + 212));
        }
    }

    void stagePurse(byte kv, byte[] seq, short seqAt, byte[] cap, short capAt, byte[] ktac, short ktacAt) {
        byte[] next = card.storage.control.next;
        Sw.need(seq[seqAt] >= 0, Sw.WRONG_DATA);
        // Its slot is staged, and has no purse yet.
        short found = -1;
        for (short i = 0; i < Codes.SLOTS_PER_ROLE; i++) {
            short slot = Control.slot(Codes.PURSE_ROLE, i);
            if ((next[slot] & (Control.SLOT_STAGED | Control.SLOT_PURSE)) == Control.SLOT_STAGED
                && next[(short) (slot + 1)] == kv) {
                found = i;
            }
        }
        Sw.need(found >= 0, Sw.CONDITIONS);
        card.storage.soil(Storage.SLOTS);
        card.storage.slots[Storage.index(Codes.PURSE_ROLE, found)].setPurse(cap, capAt, ktac, ktacAt, card.crypto);
        next[Control.slot(Codes.PURSE_ROLE, found)] |= Control.SLOT_PURSE;
        Util.arrayCopyNonAtomic(seq, seqAt, next, Control.STAGED_SEQ, (short) 4);
    }

    private short keys(byte[] buffer) {
        byte[] next = card.storage.control.next;
        // What is staged is never written over: a cut in the middle would leave neither the one nor the other.
        Sw.need(!Control.isStaged(next[Control.KEYS]), Sw.CONDITIONS);
        card.storage.soil(Storage.SCRIPT);
        card.crypto.other.init(card.storage.staticKeys().keys[KeySet.DEK], Cipher.MODE_DECRYPT);
        card.crypto.other.doFinal(buffer, (short) (AT + 1), KeySet.LEN, work, (short) 0);
        KeySet staged = card.storage.keys[Control.spare(next[Control.KEYS])];
        staged.set(work, (short) 0, KeySet.COUNT, card.crypto);
        Util.arrayFillNonAtomic(work, (short) 0, KeySet.LEN, (byte) 0);
        next[Control.KEYS] |= Control.STAGED;
        staged.checkValues(buffer, (short) 0, card.crypto, work, (short) 0);
        return 18;
    }

    private void trust(byte[] buffer) {
        byte[] next = card.storage.control.next;
        Sw.need(!Control.isStaged(next[Control.TRUST]), Sw.CONDITIONS);
        // name16 public64 epoch2 floor4
        short point = 64;
        work[point] = 4;
        Util.arrayCopyNonAtomic(buffer, (short) (AT + 17), work, (short) (point + 1), (short) 64);
        Sw.need(card.crypto.isPoint(work, point, (short) 0), Sw.WRONG_DATA);
        card.storage.soil(Storage.SCRIPT);
        card.storage.trust[Control.spare(next[Control.TRUST])].set(buffer, (short) (AT + 1), work, point);
        next[Control.TRUST] |= Control.STAGED;
        Util.arrayCopyNonAtomic(buffer, (short) (AT + 81), next, Control.STAGED_EPOCH, (short) 6);
    }

    private short finalise(byte kind, short n, byte[] buffer) {
        Control control = card.storage.control;
        byte[] next = control.next;
        // count2 h32 today4
        short today = (short) (AT + 35);
        boolean counted = Util.getShort(buffer, (short) (AT + 1)) == (short) (n - 1)
            && Bytes.equal(buffer, (short) (AT + 3), control.live, Control.DIGEST, Crypto.HASH);
        Sw.need(counted && control.isWhole(kind == PERSONALISE) && control.hasItsPurses()
            && !Dates.isNone(buffer, today), Sw.CONDITIONS);
        // A clock that is years ahead would shut door S to every terminal. Without TRUST, which sets the floor, a script
        // with content is refused then; one that only changes the state is done, and leaves the floor where it is.
        boolean leap = !Control.isStaged(next[Control.TRUST]) && Dates.isLeap(next, Control.FLOOR, buffer, today);
        Sw.need(!leap || (kind != PERSONALISE && kind != REWRITE), Sw.CONDITIONS);
        if (control.stagesFirstPurse()) {
            card.storage.soil(Storage.SCRIPT);
            card.storage.purse.first(next, Control.STAGED_SEQ);
        }
        control.makeLive();
        if (!leap) {
            Dates.raise(next, Control.FLOOR, buffer, today);
        }
        byte before = next[Control.STATE];
        switch (kind) {
            case PERSONALISE:
                next[Control.STATE] = Codes.PERSONALISED;
                break;
            case ACTIVATE:
                next[Control.STATE] = Codes.ACTIVE;
                break;
            case BLOCK:
                next[Control.BEFORE_BLOCK] = before;
                next[Control.STATE] = Codes.BLOCKED;
                break;
            case UNBLOCK:
                next[Control.STATE] = next[Control.BEFORE_BLOCK];
                break;
            case TERMINATE:
                next[Control.STATE] = Codes.TERMINATED;
                break;
            default:
                break;
        }
        next[Control.OPEN] = 0;
        if (kind == TERMINATE) {
            control.end();
        }
        if (kind == PERSONALISE || kind == REWRITE || kind == TERMINATE) {
            card.storage.soil(Storage.ALL);
        }
        buffer[0] = next[Control.STATE];
        return 1;
    }
}
