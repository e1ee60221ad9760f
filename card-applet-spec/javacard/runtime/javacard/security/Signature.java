package javacard.security;

import java.io.ByteArrayOutputStream;
import yzt.runtime.Curve;
import yzt.runtime.Platform;

/** ECDSA over SHA-256, verification only; signatures are ASN.1 DER, as before Java Card 3.1. */
public final class Signature {
    public static final byte ALG_ECDSA_SHA_256 = 33;
    public static final byte MODE_VERIFY = 2;

    private final ByteArrayOutputStream message = new ByteArrayOutputStream();
    private EcKeyObject key;

    private Signature() {
        Platform.current().forgetsAtReset(() -> {
            key = null;
            message.reset();
        });
    }

    public static Signature getInstance(byte algorithm, boolean external) {
        if (algorithm != ALG_ECDSA_SHA_256) {
            CryptoException.throwIt(CryptoException.NO_SUCH_ALGORITHM);
        }
        return new Signature();
    }

    public void init(Key publicKey, byte mode) {
        if (mode != MODE_VERIFY) {
            CryptoException.throwIt(CryptoException.ILLEGAL_VALUE);
        }
        key = (EcKeyObject) publicKey;
        key.hasParameters();
        message.reset();
        if (!key.isInitialized()) {
            CryptoException.throwIt(CryptoException.UNINITIALIZED_KEY);
        }
    }

    public void update(byte[] data, short offset, short length) {
        message.write(data, offset, length);
    }

    public boolean verify(byte[] data, short offset, short length, byte[] signature, short at, short bytes) {
        if (key == null) {
            CryptoException.throwIt(CryptoException.INVALID_INIT);
        }
        Platform.current().counts().count("ECDSA.verify");
        message.write(data, offset, length);
        byte[] whole = message.toByteArray();
        message.reset();
        return Curve.verify(key.value(), whole, signature, at, bytes);
    }
}
