package javacard.security;

import yzt.runtime.Platform;

/** The card's random source: the process's, or a seeded one where two runs are compared. */
public final class RandomData {
    public static final byte ALG_SECURE_RANDOM = 2;

    private RandomData() {
    }

    public static RandomData getInstance(byte algorithm) {
        if (algorithm != ALG_SECURE_RANDOM) {
            CryptoException.throwIt(CryptoException.NO_SUCH_ALGORITHM);
        }
        return new RandomData();
    }

    public void generateData(byte[] out, short offset, short length) {
        Platform.current().counts().count("random");
        byte[] bytes = new byte[length];
        Platform.current().random().nextBytes(bytes);
        Platform.current().copy(bytes, 0, out, offset, length, false);
    }
}
