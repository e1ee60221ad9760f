package javacard.security;

/** The value of a key, for the ciphers of the platform, which stand in another package. No applet may call it. */
public final class KeyValues {
    private KeyValues() {
    }

    public static byte[] of(Key key) {
        return ((KeyObject) key).value();
    }
}
