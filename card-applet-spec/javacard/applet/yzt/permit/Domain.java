package yzt.permit;

import javacard.framework.Util;
import javacard.security.ECPrivateKey;

/** One key pair of the card: the private half as a key object, the public one and its certificate as bytes. */
final class Domain {
    static final short PUBLIC = 0;
    static final short PUBLIC_LEN = 64;
    static final short CERTIFICATE = 64;
    static final short CERTIFICATE_LEN = 160;

    final ECPrivateKey key;
    final byte[] data;

    Domain() {
        key = Crypto.privateKey();
        data = new byte[(short) (PUBLIC_LEN + CERTIFICATE_LEN)];
    }

    /** A new pair; the public half first, so that bytes which are not zero tell of a private one. */
    void generate(Crypto crypto, byte[] work) {
        crypto.ephemeral.genKeyPair();
        crypto.point(work, (short) 0);
        Util.arrayCopyNonAtomic(work, (short) 1, data, PUBLIC, PUBLIC_LEN);
        crypto.takePrivate(key);
    }

    void erase() {
        if (!Bytes.isZero(data, (short) 0, (short) data.length)) {
            Crypto.erasePrivate(key);
            Storage.wipe(data);
        }
    }
}
