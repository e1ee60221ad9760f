package javacardx.crypto;

import java.security.GeneralSecurityException;
import javacard.security.CryptoException;
import javacard.security.Key;
import javacard.security.KeyValues;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import yzt.runtime.Platform;

/** AES without padding, one block or chained. After doFinal it stands where init left it. */
public final class Cipher {
    public static final byte ALG_AES_BLOCK_128_CBC_NOPAD = 13;
    public static final byte ALG_AES_BLOCK_128_ECB_NOPAD = 14;
    public static final byte MODE_DECRYPT = 1;
    public static final byte MODE_ENCRYPT = 2;

    private static final int BLOCK = 16;

    private final javax.crypto.Cipher engine;
    private final boolean chained;
    private Key key;

    private Cipher(boolean chained) throws GeneralSecurityException {
        this.chained = chained;
        engine = javax.crypto.Cipher.getInstance(chained ? "AES/CBC/NoPadding" : "AES/ECB/NoPadding");
        Platform.current().forgetsAtReset(() -> key = null);
    }

    public static Cipher getInstance(byte algorithm, boolean external) {
        try {
            if (algorithm == ALG_AES_BLOCK_128_CBC_NOPAD || algorithm == ALG_AES_BLOCK_128_ECB_NOPAD) {
                return new Cipher(algorithm == ALG_AES_BLOCK_128_CBC_NOPAD);
            }
        } catch (GeneralSecurityException none) {
            // Every JDK has it.
        }
        throw new CryptoException(CryptoException.NO_SUCH_ALGORITHM);
    }

    public void init(Key with, byte mode) {
        init(with, mode, new byte[BLOCK], (short) 0, (short) BLOCK);
    }

    public void init(Key with, byte mode, byte[] iv, short offset, short length) {
        Platform.current().counts().count("AES.init");
        int direction = mode == MODE_ENCRYPT ? javax.crypto.Cipher.ENCRYPT_MODE : javax.crypto.Cipher.DECRYPT_MODE;
        SecretKeySpec value = new SecretKeySpec(KeyValues.of(with), "AES");
        try {
            if (chained) {
                engine.init(direction, value, new IvParameterSpec(iv, offset, length));
            } else {
                engine.init(direction, value);
            }
        } catch (GeneralSecurityException refused) {
            throw new CryptoException(CryptoException.ILLEGAL_VALUE);
        }
        key = with;
    }

    public short update(byte[] in, short offset, short length, byte[] out, short at) {
        return run(in, offset, length, out, at, false);
    }

    public short doFinal(byte[] in, short offset, short length, byte[] out, short at) {
        return run(in, offset, length, out, at, true);
    }

    private short run(byte[] in, short offset, short length, byte[] out, short at, boolean last) {
        if (key == null) {
            CryptoException.throwIt(CryptoException.INVALID_INIT);
        }
        if (!key.isInitialized()) {
            // A transient key was cleared under the cipher.
            CryptoException.throwIt(CryptoException.UNINITIALIZED_KEY);
        }
        if (length % BLOCK != 0) {
            CryptoException.throwIt(CryptoException.ILLEGAL_USE);
        }
        Platform.current().counts().count("AES.call");
        try {
            byte[] done = last ? engine.doFinal(in, offset, length) : engine.update(in, offset, length);
            int bytes = done == null ? 0 : done.length;
            if (bytes > 0) {
                Platform.current().copy(done, 0, out, at, bytes, false);
            }
            return (short) bytes;
        } catch (GeneralSecurityException refused) {
            throw new CryptoException(CryptoException.ILLEGAL_USE);
        }
    }
}
