package yzt.permit;

import javacard.framework.Util;

/** Bytes and unsigned numbers of four bytes, big endian: money, counters. A short holds two of them at most. */
final class Bytes {
    private Bytes() {
    }

    /** Whether both are the same; the work does not depend on where they differ. */
    static boolean equal(byte[] a, short at, byte[] b, short bt, short length) {
        byte difference = 0;
        for (short i = 0; i < length; i++) {
            difference |= (byte) (a[(short) (at + i)] ^ b[(short) (bt + i)]);
        }
        return difference == 0;
    }

    static boolean isZero(byte[] a, short at, short length) {
        byte any = 0;
        for (short i = 0; i < length; i++) {
            any |= a[(short) (at + i)];
        }
        return any == 0;
    }

    /** to ^= from. `to` is transient. */
    static void xor(byte[] to, short at, byte[] from, short bt, short length) {
        for (short i = 0; i < length; i++) {
            to[(short) (at + i)] ^= from[(short) (bt + i)];
        }
    }

    /** -1, 0, 1 as a is below, equal to, above b. */
    static short compare4(byte[] a, short at, byte[] b, short bt) {
        for (short i = 0; i < 4; i++) {
            short x = (short) (a[(short) (at + i)] & 0xFF);
            short y = (short) (b[(short) (bt + i)] & 0xFF);
            if (x != y) {
                return x < y ? (short) -1 : (short) 1;
            }
        }
        return 0;
    }

    /** to = a + b; false when it does not fit. `to` is transient. */
    static boolean add4(byte[] a, short at, byte[] b, short bt, byte[] to, short offset) {
        short carry = 0;
        for (short i = 3; i >= 0; i--) {
            short sum = (short) ((a[(short) (at + i)] & 0xFF) + (b[(short) (bt + i)] & 0xFF));
            sum = (short) (sum + carry);
            to[(short) (offset + i)] = (byte) sum;
            carry = (short) ((sum >> 8) & 1);
        }
        return carry == 0;
    }

    /** to = a - b; false when b is larger. `to` is transient. */
    static boolean subtract4(byte[] a, short at, byte[] b, short bt, byte[] to, short offset) {
        short borrow = 0;
        for (short i = 3; i >= 0; i--) {
            short rest = (short) ((a[(short) (at + i)] & 0xFF) - (b[(short) (bt + i)] & 0xFF));
            rest = (short) (rest - borrow);
            to[(short) (offset + i)] = (byte) rest;
            borrow = (short) ((rest >> 8) & 1);
        }
        return borrow == 0;
    }

    /** Adds one; false when it wraps. `a` is transient. */
    static boolean increment(byte[] a, short at, short length) {
        for (short i = (short) (length - 1); i >= 0; i--) {
            byte next = (byte) (a[(short) (at + i)] + 1);
            a[(short) (at + i)] = next;
            if (next != 0) {
                return true;
            }
        }
        return false;
    }

    /** to = the larger of to and from. `to` is transient. */
    static void raise4(byte[] to, short at, byte[] from, short bt) {
        if (compare4(from, bt, to, at) > 0) {
            Util.arrayCopyNonAtomic(from, bt, to, at, (short) 4);
        }
    }
}
