package javacard.security;

/** An AES key: 16 or 32 bytes. */
public interface AESKey extends SecretKey {
    void setKey(byte[] data, short offset);

    byte getKey(byte[] data, short offset);
}
