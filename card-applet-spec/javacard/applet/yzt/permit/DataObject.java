package yzt.permit;

/** Room for one copy of DG1, DG2, DG3 or the signature object. */
final class DataObject {
    static final short DG1 = 0;
    static final short DG2 = 1;
    static final short DG3 = 2;
    static final short SIGNATURE = 3;

    final byte[] bytes;

    DataObject(short capacity) {
        bytes = new byte[capacity];
    }

    /** Most bytes of an object, by its place. */
    static short capacity(short index) {
        if (index == DG1) {
            return 1024;
        }
        return index == DG2 ? (short) 6176 : (short) 256;
    }

    /** Place of the object with this code; -1 for none. */
    static short of(byte code) {
        if (code >= 1 && code <= 3) {
            return (short) (code - 1);
        }
        return code == 0x0F ? SIGNATURE : (short) -1;
    }
}
