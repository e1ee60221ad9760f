package yzt.permit;

import javacard.framework.Util;

/**
 * The control block: what is live, what is staged, counters. A command changes a copy in RAM, and one atomic write makes it
 * count; that is all of what chapter 10 asks of a platform's transactions. The reference card keeps two copies, a
 * generation and a check value instead: fields and their meaning are the same.
 */
final class Control {
    static final short STATE = 0;
    /** Where Unblock goes back to. */
    static final short BEFORE_BLOCK = 1;
    static final short FLOOR = 2;
    static final short EPOCH = 6;
    static final short STAGED_EPOCH = 8;
    static final short STAGED_FLOOR = 10;
    static final short KEYS = 14;
    static final short TRUST = 15;
    /** Kind of the script while it is open, else 0. */
    static final short OPEN = 16;
    static final short SCRIPT = 17;
    static final short LAST = 33;
    /** h(last). */
    static final short DIGEST = 35;
    /** h(last - 1), to know a repetition. */
    static final short BEFORE = 67;
    /** Four times pair1 len2 total2 received2. */
    static final short OBJECTS = 99;
    static final short OBJECT_LEN = 7;
    static final short O_LEN = 1;
    static final short O_TOTAL = 3;
    static final short O_RECEIVED = 5;
    /** Three times pair1 certified1. */
    static final short DOMAINS = 127;
    /** Fifteen times code1 kv1. */
    static final short SLOTS = 133;
    static final short PURSE_LIVE = 163;
    static final short LOADED = 164;
    static final short STAGED_LOADED = 168;
    static final short STAGED_SEQ = 172;
    static final short UPDATE_COUNTER = 176;
    static final short UPDATE_MAC = 180;
    static final short LEN = 196;

    /** A pair: 0 none, 1 half A, 2 half B is live; this bit: the other one is staged. */
    static final byte STAGED = 0x10;

    /** A slot: EMPTY, LIVE, or staged with two bits. */
    static final byte SLOT_EMPTY = 0;
    static final byte SLOT_LIVE = 1;
    static final byte SLOT_STAGED = 2;
    /** Flags bit 0 of the SLOT step. */
    static final byte SLOT_DROP = 4;
    /** Its PURSE step has come. */
    static final byte SLOT_PURSE = 8;

    final byte[] live;
    final byte[] next;

    Control(byte[] next) {
        this.next = next;
        live = new byte[LEN];
        live[STATE] = Codes.BLANK;
        live[BEFORE_BLOCK] = Codes.BLANK;
        live[KEYS] = 1;
    }

    byte state() {
        return live[STATE];
    }

    /** A command begins to change it. */
    void begin() {
        Util.arrayCopyNonAtomic(live, (short) 0, next, (short) 0, LEN);
    }

    /** What was changed counts from here on, all of it at once. */
    void commit() {
        Util.arrayCopy(next, (short) 0, live, (short) 0, LEN);
    }

    /** Half that is live, 0 or 1; -1 for none. */
    static short half(byte pair) {
        return (short) ((pair & 0x0F) - 1);
    }

    static boolean isStaged(byte pair) {
        return (pair & STAGED) != 0;
    }

    /** Where the next version is written. */
    static short spare(byte pair) {
        return (pair & 0x0F) == 1 ? (short) 1 : (short) 0;
    }

    /** Whether a half holds neither what is live nor what is staged. */
    static boolean isDead(byte pair, short half) {
        return half(pair) != half && !(isStaged(pair) && spare(pair) == half);
    }

    private static byte flipped(byte pair) {
        return isStaged(pair) ? (byte) (spare(pair) + 1) : pair;
    }

    static short object(short index) {
        return (short) (OBJECTS + (short) (index * OBJECT_LEN));
    }

    static short domain(short index) {
        return (short) (DOMAINS + (short) (index << 1));
    }

    /** `role` counts from 0, `slot` from 0 to 2. */
    static short slot(short role, short slot) {
        return (short) (SLOTS + (short) ((short) ((short) (role * 3) + slot) << 1));
    }

    /** Drops whatever an unfinished script has staged. */
    void dropStaged() {
        unstage(KEYS);
        unstage(TRUST);
        for (short i = 0; i < 4; i++) {
            unstage(object(i));
            Util.arrayFillNonAtomic(next, (short) (object(i) + O_TOTAL), (short) 4, (byte) 0);
        }
        for (short i = 0; i < 3; i++) {
            unstage(domain(i));
            next[(short) (domain(i) + 1)] = 0;
        }
        for (short at = SLOTS; at < PURSE_LIVE; at += 2) {
            if ((next[at] & SLOT_STAGED) != 0) {
                empty(at);
            }
        }
        Util.arrayFillNonAtomic(next, STAGED_LOADED, (short) 8, (byte) 0);
    }

    private void unstage(short at) {
        next[at] &= (byte) ~STAGED;
    }

    private void empty(short at) {
        next[at] = SLOT_EMPTY;
        next[(short) (at + 1)] = 0;
    }

    /** True when everything that was staged in part is whole; of a personalisation, when all of it is there. */
    boolean isWhole(boolean personalises) {
        for (short i = 0; i < 4; i++) {
            short at = object(i);
            boolean staged = isStaged(next[at]);
            boolean whole = staged
                && Util.getShort(next, (short) (at + O_TOTAL)) == Util.getShort(next, (short) (at + O_RECEIVED));
            if (staged != whole || (personalises && !staged)) {
                return false;
            }
        }
        for (short i = 0; i < 3; i++) {
            boolean staged = isStaged(next[domain(i)]);
            if ((staged && next[(short) (domain(i) + 1)] == 0) || (personalises && !staged)) {
                return false;
            }
        }
        return !personalises || (isStaged(next[KEYS]) && isStaged(next[TRUST]));
    }

    /** True unless a staged slot of SMALL_PAYMENT lacks its PURSE: it would go live with a key of zeros. */
    boolean hasItsPurses() {
        for (short i = 0; i < 3; i++) {
            byte code = next[slot(Codes.PURSE_ROLE, i)];
            if ((code & SLOT_STAGED) != 0 && (code & SLOT_PURSE) == 0) {
                return false;
            }
        }
        return true;
    }

    /** True when what is staged brings the card its first purse. */
    boolean stagesFirstPurse() {
        if (next[PURSE_LIVE] != 0) {
            return false;
        }
        for (short i = 0; i < 3; i++) {
            if ((next[slot(Codes.PURSE_ROLE, i)] & SLOT_STAGED) != 0) {
                return true;
            }
        }
        return false;
    }

    /** Makes everything staged live. */
    void makeLive() {
        next[KEYS] = flipped(next[KEYS]);
        if (isStaged(next[TRUST])) {
            // Set, not raised: only the issuer gets here, and this is how a floor that a wrong clock moved comes back.
            Util.arrayCopyNonAtomic(next, STAGED_EPOCH, next, EPOCH, (short) 2);
            Util.arrayCopyNonAtomic(next, STAGED_FLOOR, next, FLOOR, (short) 4);
        }
        next[TRUST] = flipped(next[TRUST]);
        for (short i = 0; i < 4; i++) {
            short at = object(i);
            if (isStaged(next[at])) {
                Util.arrayCopyNonAtomic(next, (short) (at + O_TOTAL), next, (short) (at + O_LEN), (short) 2);
                Util.arrayFillNonAtomic(next, (short) (at + O_TOTAL), (short) 4, (byte) 0);
                next[at] = flipped(next[at]);
            }
        }
        // The purse is one and goes on: what was spent stays spent, and loaded only grows.
        if (stagesFirstPurse()) {
            next[PURSE_LIVE] = 1;
        }
        Bytes.raise4(next, LOADED, next, STAGED_LOADED);
        Util.arrayFillNonAtomic(next, STAGED_LOADED, (short) 8, (byte) 0);
        for (short role = 0; role < Codes.ROLES; role++) {
            if (isStaged(next[domain(Codes.domainOf(role))])) {
                // Their records are bound to the key that is gone.
                dropLive(role);
            }
            makeSlotsLive(role);
        }
        for (short i = 0; i < 3; i++) {
            short at = domain(i);
            next[at] = flipped(next[at]);
            next[(short) (at + 1)] = 0;
        }
    }

    private void dropLive(short role) {
        for (short i = 0; i < 3; i++) {
            short at = slot(role, i);
            if (next[at] == SLOT_LIVE) {
                empty(at);
            }
        }
    }

    /** Staged slots become live; of the older ones at most one stays, so that two are live and one is spare. */
    private void makeSlotsLive(short role) {
        short staged = 0;
        short newest = 0;
        boolean drop = false;
        for (short i = 0; i < 3; i++) {
            short at = slot(role, i);
            if ((next[at] & SLOT_STAGED) != 0) {
                staged++;
                short kv = (short) (next[(short) (at + 1)] & 0xFF);
                if (kv > newest) {
                    newest = kv;
                    drop = (next[at] & SLOT_DROP) != 0;
                }
            }
        }
        if (staged == 0) {
            return;
        }
        // The newest older version, unless a staged slot replaces it or the step asked for v - 1 only.
        short keep = 0;
        for (short i = 0; i < 3; i++) {
            short at = slot(role, i);
            short kv = (short) (next[(short) (at + 1)] & 0xFF);
            if (next[at] == SLOT_LIVE && !isStagedVersion(role, kv) && kv > keep
                && (!drop || (short) (kv + 1) == newest)) {
                keep = kv;
            }
        }
        for (short i = 0; i < 3; i++) {
            short at = slot(role, i);
            short kv = (short) (next[(short) (at + 1)] & 0xFF);
            if ((next[at] & SLOT_STAGED) != 0) {
                next[at] = SLOT_LIVE;
            } else if (next[at] != SLOT_LIVE || kv != keep || staged > 1) {
                empty(at);
            }
        }
    }

    private boolean isStagedVersion(short role, short kv) {
        for (short i = 0; i < 3; i++) {
            short at = slot(role, i);
            if ((next[at] & SLOT_STAGED) != 0 && (short) (next[(short) (at + 1)] & 0xFF) == kv) {
                return true;
            }
        }
        return false;
    }

    /** Nothing stays but the state and the name of the script that ended it. */
    void end() {
        Util.arrayFillNonAtomic(next, BEFORE_BLOCK, (short) 1, Codes.BLANK);
        Util.arrayFillNonAtomic(next, EPOCH, (short) (OPEN - EPOCH), (byte) 0);
        Util.arrayFillNonAtomic(next, OBJECTS, (short) (LEN - OBJECTS), (byte) 0);
    }
}
