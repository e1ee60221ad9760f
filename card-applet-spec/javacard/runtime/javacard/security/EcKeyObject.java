package javacard.security;

import java.util.Arrays;
import yzt.runtime.Curve;

/** A key of P-256, private or public. It takes the parameters of that curve and no others. */
final class EcKeyObject extends KeyObject implements ECPublicKey, ECPrivateKey {
    private static final int ALL = 31;

    /** Bits: p, a, b, G, r. They are set at install and stay. */
    private int parameters;

    EcKeyObject(byte type, int bytes, byte event) {
        super(type, (short) 256, bytes, event);
    }

    private void parameter(int bit, byte[] expected, byte[] data, short offset, short length) {
        if (!Arrays.equals(expected, 0, expected.length, data, offset, offset + length)) {
            CryptoException.throwIt(CryptoException.ILLEGAL_VALUE);
        }
        parameters |= 1 << bit;
    }

    void hasParameters() {
        if (parameters != ALL) {
            CryptoException.throwIt(CryptoException.UNINITIALIZED_KEY);
        }
    }

    @Override
    public void setFieldFP(byte[] data, short offset, short length) {
        parameter(0, Curve.bytes(Curve.P), data, offset, length);
    }

    @Override
    public void setA(byte[] data, short offset, short length) {
        parameter(1, Curve.bytes(Curve.A), data, offset, length);
    }

    @Override
    public void setB(byte[] data, short offset, short length) {
        parameter(2, Curve.bytes(Curve.B), data, offset, length);
    }

    @Override
    public void setG(byte[] data, short offset, short length) {
        parameter(3, Curve.generator(), data, offset, length);
    }

    @Override
    public void setR(byte[] data, short offset, short length) {
        parameter(4, Curve.bytes(Curve.N), data, offset, length);
    }

    @Override
    public void setK(short cofactor) {
        if (cofactor != 1) {
            CryptoException.throwIt(CryptoException.ILLEGAL_VALUE);
        }
    }

    @Override
    public void setW(byte[] data, short offset, short length) {
        if (length != 65) {
            CryptoException.throwIt(CryptoException.ILLEGAL_VALUE);
        }
        set(data, offset);
    }

    @Override
    public short getW(byte[] data, short offset) {
        get(data, offset);
        return 65;
    }

    @Override
    public void setS(byte[] data, short offset, short length) {
        if (length != 32) {
            CryptoException.throwIt(CryptoException.ILLEGAL_VALUE);
        }
        set(data, offset);
    }

    @Override
    public short getS(byte[] data, short offset) {
        get(data, offset);
        return 32;
    }
}
