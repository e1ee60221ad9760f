package yzt.permit;

import javacard.framework.JCSystem;

/**
 * Everything transient (chapter 13): the session, which a SELECT or a reset forgets, one work area, and the control block
 * that is being made. The parts of the session of one door lie over those of another: only one is open.
 */
final class Ram {
    /** What is open: 0 nothing is selected. */
    static final short SESSION = 0;
    static final byte S_RESET = 0;
    static final byte S_SELECTED = 1;
    static final byte S_TAPPED = 2;
    static final byte S_OPENING_I = 3;
    static final byte S_DOOR_I = 4;
    static final byte S_PRESENTING = 5;
    static final byte S_DOOR_S = 6;

    /** The TAP just before: role1 version1 slot1 rT16 rC16. */
    static final short ROLE = 1;
    static final short KV = 2;
    static final short SLOT = 3;
    static final short RT = 4;
    static final short RC = 20;
    /** INITIALIZE UPDATE: host challenge8 card challenge8. */
    static final short CHALLENGES = 4;
    /** The channel of doors I and S. */
    static final short CHAINING = 36;
    static final short COUNTER = 52;
    static final short FAILURES = 68;
    static final short RIGHTS = 69;
    /** The chain of door S. */
    static final short HAS_LEAF = 73;
    static final short HAS_CHALLENGE = 74;
    static final short I_RIGHTS = 75;
    static final short I_EFFECTIVE = 79;
    static final short I_EXPIRY = 83;
    static final short I_HOLDER = 87;
    static final short L_RIGHTS = 103;
    static final short L_EXPIRY = 107;
    static final short L_DIGEST = 111;
    static final short CHALLENGE = 143;
    static final short L_POINT = 159;
    private static final short SESSION_LEN = 224;

    /** Longest message of a CMAC with its padding is 288 bytes; AGREE needs 481. */
    private static final short WORK_LEN = 496;

    final byte[] session;
    final byte[] work;
    final byte[] next;
    /** Where the parser of certificates stands. */
    final short[] cursor;
    /** Not 0: memory failed; everything is 6581 until a reset. */
    final byte[] faulted;

    Ram() {
        session = JCSystem.makeTransientByteArray(SESSION_LEN, JCSystem.CLEAR_ON_DESELECT);
        work = JCSystem.makeTransientByteArray(WORK_LEN, JCSystem.CLEAR_ON_DESELECT);
        next = JCSystem.makeTransientByteArray(Control.LEN, JCSystem.CLEAR_ON_DESELECT);
        cursor = JCSystem.makeTransientShortArray(Tlv.CURSOR_LEN, JCSystem.CLEAR_ON_DESELECT);
        faulted = JCSystem.makeTransientByteArray((short) 1, JCSystem.CLEAR_ON_RESET);
    }
}
