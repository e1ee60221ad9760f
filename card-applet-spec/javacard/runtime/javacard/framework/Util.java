package javacard.framework;

/** Copying, comparing, shorts in arrays. `arrayCopy` to non-volatile memory is atomic, the others are not. */
public final class Util {
    private Util() {
    }

    public static short arrayCopy(byte[] from, short at, byte[] to, short offset, short length) {
        Memories.copy(from, at, to, offset, length, true);
        return (short) (offset + length);
    }

    public static short arrayCopyNonAtomic(byte[] from, short at, byte[] to, short offset, short length) {
        Memories.copy(from, at, to, offset, length, false);
        return (short) (offset + length);
    }

    public static short arrayFillNonAtomic(byte[] to, short offset, short length, byte value) {
        Memories.fill(to, offset, length, value);
        return (short) (offset + length);
    }

    public static byte arrayCompare(byte[] a, short at, byte[] b, short offset, short length) {
        java.util.Objects.checkFromIndexSize(at, length, a.length);
        java.util.Objects.checkFromIndexSize(offset, length, b.length);
        for (int i = 0; i < length; i++) {
            // The platform compares bytes as they are signed or not: only equality is used.
            int order = (a[at + i] & 0xFF) - (b[offset + i] & 0xFF);
            if (order != 0) {
                return (byte) Integer.signum(order);
            }
        }
        return 0;
    }

    public static short makeShort(byte high, byte low) {
        return (short) (high << 8 | low & 0xFF);
    }

    public static short getShort(byte[] array, short offset) {
        return makeShort(array[offset], array[offset + 1]);
    }

    public static short setShort(byte[] array, short offset, short value) {
        Memories.copy(new byte[] {(byte) (value >> 8), (byte) value}, (short) 0, array, offset, (short) 2, true);
        return (short) (offset + 2);
    }
}
