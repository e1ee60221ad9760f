package javacard.security;

import java.security.NoSuchAlgorithmException;
import yzt.runtime.Platform;

/** SHA-256. What was fed in is lost at a reset. */
public final class MessageDigest {
    public static final byte ALG_SHA_256 = 4;

    private final java.security.MessageDigest digest;

    private MessageDigest() throws NoSuchAlgorithmException {
        digest = java.security.MessageDigest.getInstance("SHA-256");
        Platform.current().forgetsAtReset(digest::reset);
    }

    public static MessageDigest getInstance(byte algorithm, boolean external) {
        try {
            if (algorithm == ALG_SHA_256) {
                return new MessageDigest();
            }
        } catch (NoSuchAlgorithmException none) {
            // Every JDK has it.
        }
        throw new CryptoException(CryptoException.NO_SUCH_ALGORITHM);
    }

    public void reset() {
        digest.reset();
    }

    public void update(byte[] data, short offset, short length) {
        digest.update(data, offset, length);
    }

    public short doFinal(byte[] data, short offset, short length, byte[] out, short at) {
        Platform.current().counts().count("SHA-256");
        digest.update(data, offset, length);
        byte[] value = digest.digest();
        Platform.current().copy(value, 0, out, at, value.length, false);
        return (short) value.length;
    }

    public byte getLength() {
        return 32;
    }
}
