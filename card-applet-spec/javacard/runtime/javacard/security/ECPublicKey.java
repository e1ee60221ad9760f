package javacard.security;

/** A point: 04, X, Y. Setting it checks nothing, as on many platforms. */
public interface ECPublicKey extends PublicKey, ECKey {
    void setW(byte[] data, short offset, short length);

    short getW(byte[] data, short offset);
}
