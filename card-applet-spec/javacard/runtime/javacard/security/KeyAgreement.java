package javacard.security;

import yzt.runtime.Curve;
import yzt.runtime.Platform;

/** Diffie-Hellman on P-256; the X coordinate as it is. A point that is not on the curve is refused. */
public final class KeyAgreement {
    public static final byte ALG_EC_SVDP_DH_PLAIN = 3;

    private EcKeyObject key;

    private KeyAgreement() {
        Platform.current().forgetsAtReset(() -> key = null);
    }

    public static KeyAgreement getInstance(byte algorithm, boolean external) {
        if (algorithm != ALG_EC_SVDP_DH_PLAIN) {
            CryptoException.throwIt(CryptoException.NO_SUCH_ALGORITHM);
        }
        return new KeyAgreement();
    }

    public void init(PrivateKey privateKey) {
        key = (EcKeyObject) privateKey;
        key.hasParameters();
        if (!key.isInitialized()) {
            CryptoException.throwIt(CryptoException.UNINITIALIZED_KEY);
        }
    }

    public short generateSecret(byte[] point, short offset, short length, byte[] secret, short at) {
        if (key == null) {
            CryptoException.throwIt(CryptoException.INVALID_INIT);
        }
        Platform.current().counts().count("ECDH");
        byte[] shared = Curve.agree(key.value(), point, offset, length);
        if (shared == null) {
            throw new CryptoException(CryptoException.ILLEGAL_VALUE);
        }
        Platform.current().copy(shared, 0, secret, at, shared.length, false);
        return (short) shared.length;
    }
}
