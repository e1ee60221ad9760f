package javacard.security;

import javacard.framework.JCSystem;
import yzt.runtime.Platform;

/**
 * What every key object is: a byte that says whether it is set, and the value. The setting of a non-volatile key is no
 * part of a transaction and may be torn: the platform specification promises neither, so an applet must not rely on it.
 */
abstract class KeyObject implements Key {
    private final byte type;
    private final short bits;
    private final byte[] cells;

    KeyObject(byte type, short bits, int bytes, byte event) {
        this.type = type;
        this.bits = bits;
        cells = new byte[bytes + 1];
        Platform platform = Platform.current();
        if (event == JCSystem.NOT_A_TRANSIENT_OBJECT) {
            platform.counts().allocated(cells.length + 16);
            platform.memory().keep(cells);
        } else {
            platform.counts().allocated(16);
            platform.memory().makeTransient(cells, event, cells.length);
        }
    }

    final void set(byte[] data, int offset) {
        Platform platform = Platform.current();
        platform.counts().count(platform.memory().isTransient(cells) ? "key.set" : "key.set-persistent");
        byte[] next = new byte[cells.length];
        next[0] = 1;
        System.arraycopy(data, offset, next, 1, cells.length - 1);
        platform.copy(next, 0, cells, 0, next.length, false);
    }

    final void get(byte[] data, short offset) {
        needed();
        Platform.current().copy(cells, 1, data, offset, cells.length - 1, false);
    }

    /** The value, for the platform's own algorithms. */
    final byte[] value() {
        needed();
        byte[] value = new byte[cells.length - 1];
        System.arraycopy(cells, 1, value, 0, value.length);
        return value;
    }

    private void needed() {
        if (cells[0] == 0) {
            CryptoException.throwIt(CryptoException.UNINITIALIZED_KEY);
        }
    }

    @Override
    public final boolean isInitialized() {
        return cells[0] != 0;
    }

    @Override
    public final void clearKey() {
        Platform.current().fill(cells, 0, cells.length, (byte) 0);
    }

    @Override
    public final byte getType() {
        return type;
    }

    @Override
    public final short getSize() {
        return bits;
    }
}
