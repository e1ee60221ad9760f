package javacard.security;

/** The domain parameters of an elliptic curve over a prime field. */
public interface ECKey {
    void setFieldFP(byte[] data, short offset, short length);

    void setA(byte[] data, short offset, short length);

    void setB(byte[] data, short offset, short length);

    void setG(byte[] data, short offset, short length);

    void setR(byte[] data, short offset, short length);

    void setK(short cofactor);
}
