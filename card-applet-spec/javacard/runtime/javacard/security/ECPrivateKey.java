package javacard.security;

/** A secret number. */
public interface ECPrivateKey extends PrivateKey, ECKey {
    void setS(byte[] data, short offset, short length);

    short getS(byte[] data, short offset);
}
