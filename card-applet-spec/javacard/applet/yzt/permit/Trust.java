package yzt.permit;

import javacard.framework.Util;
import javacard.security.ECPublicKey;

/** The terminal CA's root: its name and its key. */
final class Trust {
    final byte[] name;
    final ECPublicKey key;

    Trust() {
        name = new byte[16];
        key = Crypto.publicKey();
    }

    /** From name16 and point65. */
    void set(byte[] from, short at, byte[] point, short pointAt) {
        Util.arrayCopyNonAtomic(from, at, name, (short) 0, (short) 16);
        key.setW(point, pointAt, Crypto.POINT);
    }

    void erase() {
        Storage.wipe(name);
    }
}
