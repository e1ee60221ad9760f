package javacard.security;

/** A key object. */
public interface Key {
    boolean isInitialized();

    void clearKey();

    byte getType();

    short getSize();
}
