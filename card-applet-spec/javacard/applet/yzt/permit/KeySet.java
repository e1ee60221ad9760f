package yzt.permit;

import javacard.framework.Util;
import javacard.security.AESKey;

/** The static keys of one generation: ENC MAC DEK U-ENC U-MAC U-RCPT, each with the sub-keys of its CMAC. */
final class KeySet {
    static final short ENC = 0;
    static final short MAC = 1;
    static final short DEK = 2;
    static final short U_ENC = 3;
    static final short U_MAC = 4;
    static final short U_RCPT = 5;
    static final short COUNT = 6;
    /** Length of all six. */
    static final short LEN = 96;

    final AESKey[] keys;
    final byte[] sub;

    KeySet() {
        keys = new AESKey[COUNT];
        for (short i = 0; i < COUNT; i++) {
            keys[i] = Crypto.aesKey();
        }
        sub = new byte[(short) (COUNT * Crypto.SUBKEYS)];
    }

    /** Where the sub-keys of a key stand. */
    static short subOf(short key) {
        return (short) (key << 5);
    }

    /** Takes `count` keys of 16 bytes each. */
    void set(byte[] values, short at, short count, Crypto crypto) {
        for (short i = 0; i < count; i++) {
            keys[i].setKey(values, (short) (at + (short) (i << 4)));
            crypto.other.init(keys[i], javacardx.crypto.Cipher.MODE_ENCRYPT);
            crypto.subkeys(crypto.other, crypto.sub, Crypto.SUB_ONCE);
            Util.arrayCopyNonAtomic(crypto.sub, Crypto.SUB_ONCE, sub, subOf(i), Crypto.SUBKEYS);
        }
    }

    /** Key check values of all six (chapter 04), 18 bytes. */
    void checkValues(byte[] to, short at, Crypto crypto, byte[] work, short scratch) {
        for (short i = 0; i < COUNT; i++) {
            crypto.other.init(keys[i], javacardx.crypto.Cipher.MODE_ENCRYPT);
            Util.arrayFillNonAtomic(work, scratch, Crypto.BLOCK, (byte) 1);
            crypto.other.doFinal(work, scratch, Crypto.BLOCK, work, scratch);
            at = Util.arrayCopyNonAtomic(work, scratch, to, at, (short) 3);
        }
    }

    void erase() {
        for (short i = 0; i < COUNT; i++) {
            if (keys[i].isInitialized()) {
                keys[i].clearKey();
            }
        }
        Storage.wipe(sub);
    }
}
