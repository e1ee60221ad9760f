package javacard.security;

import javacard.framework.JCSystem;

/** Makes key objects. An elliptic public key is always non-volatile: before Java Card 3.0.5 there is no other kind. */
public final class KeyBuilder {
    public static final byte TYPE_EC_FP_PUBLIC = 11;
    public static final byte TYPE_EC_FP_PRIVATE = 12;
    public static final byte TYPE_AES_TRANSIENT_RESET = 13;
    public static final byte TYPE_AES_TRANSIENT_DESELECT = 14;
    public static final byte TYPE_AES = 15;
    public static final byte TYPE_EC_FP_PRIVATE_TRANSIENT_RESET = 30;
    public static final byte TYPE_EC_FP_PRIVATE_TRANSIENT_DESELECT = 31;

    public static final short LENGTH_AES_128 = 128;
    public static final short LENGTH_AES_256 = 256;
    public static final short LENGTH_EC_FP_256 = 256;

    private KeyBuilder() {
    }

    public static Key buildKey(byte type, short bits, boolean encryption) {
        switch (type) {
            case TYPE_AES:
                return aes(type, bits, JCSystem.NOT_A_TRANSIENT_OBJECT);
            case TYPE_AES_TRANSIENT_DESELECT:
                return aes(type, bits, JCSystem.CLEAR_ON_DESELECT);
            case TYPE_AES_TRANSIENT_RESET:
                return aes(type, bits, JCSystem.CLEAR_ON_RESET);
            case TYPE_EC_FP_PUBLIC:
                return new EcKeyObject(type, 65, JCSystem.NOT_A_TRANSIENT_OBJECT);
            case TYPE_EC_FP_PRIVATE:
                return new EcKeyObject(type, 32, JCSystem.NOT_A_TRANSIENT_OBJECT);
            case TYPE_EC_FP_PRIVATE_TRANSIENT_DESELECT:
                return new EcKeyObject(type, 32, JCSystem.CLEAR_ON_DESELECT);
            case TYPE_EC_FP_PRIVATE_TRANSIENT_RESET:
                return new EcKeyObject(type, 32, JCSystem.CLEAR_ON_RESET);
            default:
                throw new CryptoException(CryptoException.NO_SUCH_ALGORITHM);
        }
    }

    private static Key aes(byte type, short bits, byte event) {
        if (bits != LENGTH_AES_128 && bits != LENGTH_AES_256) {
            CryptoException.throwIt(CryptoException.NO_SUCH_ALGORITHM);
        }
        return new AesKeyObject(type, bits, event);
    }
}
