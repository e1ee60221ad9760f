package yzt.runtime;

/** What {@link Weaver} puts in the place of the applet's own stores and allocations. */
public final class Stores {
    private Stores() {
    }

    public static void store(byte[] to, int offset, byte value) {
        Platform.current().memory().store(to, offset, value);
    }

    public static void store(short[] to, int offset, short value) {
        Platform.current().memory().store(to, offset, value);
    }

    /** An object or array of so many bytes is about to be made: two bytes a field, four of head, as cards count. */
    public static void allocated(int bytes) {
        if (Platform.current() != null) {
            Platform.current().counts().allocated(bytes);
        }
    }

    /** An array of the applet was made: bytes stay. */
    public static void made(byte[] array) {
        Platform.current().memory().keep(array);
    }

    /** An array that a load file holds. */
    public static void loaded(int bytes) {
        if (Platform.current() != null) {
            Platform.current().counts().loaded(bytes);
        }
    }
}
