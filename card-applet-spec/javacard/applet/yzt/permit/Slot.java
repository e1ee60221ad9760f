package yzt.permit;

import javacard.framework.Util;
import javacard.security.AESKey;
import javacardx.crypto.Cipher;

/** One physical slot (chapter 03), or the decoy: keys as key objects, the rest as bytes. */
final class Slot {
    static final short KV = 0;
    static final short PID = 1;
    static final short RECORD = 17;
    /** Sub-keys of M. */
    static final short SUB_M = 177;
    static final short CAP = 209;
    /** Sub-keys of Ktac. */
    static final short SUB_KTAC = 213;
    static final short LEN = 245;
    static final short RECORD_LEN = 160;

    final AESKey g;
    final AESKey m;
    /** Of SMALL_PAYMENT only. */
    final AESKey ktac;
    final byte[] data;

    Slot(boolean purse) {
        g = Crypto.aesKey();
        m = Crypto.aesKey();
        ktac = purse ? Crypto.aesKey() : null;
        data = new byte[purse ? LEN : CAP];
    }

    /** Fills it from kv1, and from G16 M16 pid16 record160 at `keys`. */
    void set(byte kv, byte[] from, short keys, Crypto crypto) {
        data[KV] = kv;
        Util.arrayCopyNonAtomic(from, (short) (keys + 32), data, PID, (short) (16 + RECORD_LEN));
        g.setKey(from, keys);
        m.setKey(from, (short) (keys + 16));
        keepSubkeys(m, SUB_M, crypto);
    }

    /** Its purse: cap4, Ktac16. */
    void setPurse(byte[] cap, short at, byte[] key, short keyAt, Crypto crypto) {
        Util.arrayCopyNonAtomic(cap, at, data, CAP, (short) 4);
        ktac.setKey(key, keyAt);
        keepSubkeys(ktac, SUB_KTAC, crypto);
    }

    private void keepSubkeys(AESKey key, short to, Crypto crypto) {
        crypto.other.init(key, Cipher.MODE_ENCRYPT);
        crypto.subkeys(crypto.other, crypto.sub, Crypto.SUB_ONCE);
        Util.arrayCopyNonAtomic(crypto.sub, Crypto.SUB_ONCE, data, to, Crypto.SUBKEYS);
    }

    void erase() {
        if (g.isInitialized()) {
            g.clearKey();
        }
        if (m.isInitialized()) {
            m.clearKey();
        }
        if (ktac != null && ktac.isInitialized()) {
            ktac.clearKey();
        }
        // Last: a cut before here finds bytes that are not zero, and erases again.
        Storage.wipe(data);
    }
}
