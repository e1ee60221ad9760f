package javacard.security;

/** An AES key. */
final class AesKeyObject extends KeyObject implements AESKey {
    AesKeyObject(byte type, short bits, byte event) {
        super(type, bits, bits / 8, event);
    }

    @Override
    public void setKey(byte[] data, short offset) {
        set(data, offset);
    }

    @Override
    public byte getKey(byte[] data, short offset) {
        get(data, offset);
        return (byte) (getSize() / 8);
    }
}
