package yzt.permit;

import javacard.framework.ISOException;

/** Status words of chapter 01. */
final class Sw {
    static final short MEMORY_FAILURE = (short) 0x6581;
    static final short WRONG_LENGTH = (short) 0x6700;
    static final short SECURITY = (short) 0x6982;
    static final short ENDED = (short) 0x6984;
    static final short CONDITIONS = (short) 0x6985;
    static final short WRONG_DATA = (short) 0x6A80;
    static final short NO_APPLICATION = (short) 0x6A82;
    static final short WRONG_P1P2 = (short) 0x6A86;
    static final short NOT_FOUND = (short) 0x6A88;
    static final short NO_INSTRUCTION = (short) 0x6D00;
    static final short NO_CLASS = (short) 0x6E00;

    /** Le as the platform gives it: the byte 00. */
    static final short LE_256 = (short) 256;
    /** Le as the platform gives it over T=1 and T=CL: no byte. */
    static final short LE_NONE = (short) 0;

    private Sw() {
    }

    /** Refuses unless `holds`. */
    static void need(boolean holds, short status) {
        if (!holds) {
            ISOException.throwIt(status);
        }
    }
}
