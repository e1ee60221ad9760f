package javacard.framework;

import yzt.runtime.Platform;

/** The way from the API to the memory of the card that runs. */
final class Memories {
    private Memories() {
    }

    static void copy(byte[] from, short at, byte[] to, short offset, short length, boolean atomic) {
        Platform.current().copy(from, at, to, offset, length, atomic);
    }

    static void fill(byte[] to, short offset, short length, byte value) {
        Platform.current().fill(to, offset, length, value);
    }
}
