package javacard.security;

/** The private half of a pair. */
public interface PrivateKey extends Key {
}
