package yzt.permit;

import javacard.framework.Util;

/**
 * What debits change (chapter 03), in two copies: a debit is written to the spare one, and one byte says which counts. There
 * is one purse, whatever slots look at it; `loaded` is in the control block, because only scripts and updates change it.
 */
final class Purse {
    static final short SEQ = 0;
    static final short SPENT = 4;
    static final short TXNO = 8;
    static final short TAC = 16;
    /** `loaded` at the last debit. */
    static final short LAST_LOADED = 24;
    static final short MASKED = 28;
    static final short LEN = 44;
    private static final short WHICH = 88;

    private final byte[] cells;

    Purse() {
        cells = new byte[89];
    }

    private short current() {
        return cells[WHICH] == 0 ? (short) 0 : LEN;
    }

    /** The copy that counts, into RAM. */
    void read(byte[] to, short at) {
        Util.arrayCopyNonAtomic(cells, current(), to, at, LEN);
    }

    /** The debit is done when the last byte is written. */
    void write(byte[] from, short at) {
        Util.arrayCopyNonAtomic(from, at, cells, (short) (LEN - current()), LEN);
        cells[WHICH] = (byte) (cells[WHICH] ^ 1);
    }

    /** The first purse, while none is live. Done again, it writes the same. */
    void first(byte[] seq, short at) {
        erase();
        Util.arrayCopyNonAtomic(seq, at, cells, (short) (current() + SEQ), (short) 4);
    }

    void erase() {
        Storage.wipe(cells);
    }
}
