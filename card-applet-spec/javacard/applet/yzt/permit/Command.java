package yzt.permit;

/**
 * The commands, a closed list, and the life cycle in one place: which of them does its work on a card in which state.
 * Which command may follow which is PermitApplet's; how a door answers where the life cycle shuts it is the door's.
 */
final class Command {
    static final byte UNKNOWN_INSTRUCTION = 0;
    static final byte UNKNOWN_CLASS = -1;
    static final byte SELECT = 1;
    static final byte GET_DATA = 2;
    static final byte TAP = 3;
    static final byte COMMIT = 4;
    static final byte UPDATE = 5;
    static final byte INITIALIZE_UPDATE = 6;
    static final byte EXTERNAL_AUTHENTICATE = 7;
    static final byte STEP = 8;
    static final byte REPORT = 9;
    static final byte PRESENT_CERTIFICATE = 10;
    static final byte GET_CHALLENGE = 11;
    static final byte AGREE = 12;
    static final byte READ_OBJECT = 13;
    static final byte RESET_COUNTER = 14;

    /** It does its work. */
    static final byte OPEN = 1;
    /** Only for a terminal with the right VERIFY. */
    static final byte TO_VERIFY = 2;
    /** Nothing comes of it. */
    static final byte SHUT = 0;

    private Command() {
    }

    /** By class and instruction. */
    static byte of(byte cla, byte ins) {
        if (cla == 0) {
            if (ins == (byte) 0xA4) {
                return SELECT;
            }
            return ins == (byte) 0x84 ? GET_CHALLENGE : UNKNOWN_INSTRUCTION;
        }
        if (cla == (byte) 0x80) {
            switch (ins) {
                case (byte) 0xCA:
                    return GET_DATA;
                case 0x10:
                    return TAP;
                case 0x12:
                    return COMMIT;
                case 0x14:
                    return UPDATE;
                case 0x50:
                    return INITIALIZE_UPDATE;
                case 0x20:
                    return PRESENT_CERTIFICATE;
                case 0x22:
                    return AGREE;
                default:
                    return UNKNOWN_INSTRUCTION;
            }
        }
        if (cla == (byte) 0x84) {
            switch (ins) {
                case (byte) 0x82:
                    return EXTERNAL_AUTHENTICATE;
                case (byte) 0xDA:
                    return STEP;
                case (byte) 0xF2:
                    return REPORT;
                case (byte) 0xB0:
                    return READ_OBJECT;
                case 0x2C:
                    return RESET_COUNTER;
                default:
                    return UNKNOWN_INSTRUCTION;
            }
        }
        return UNKNOWN_CLASS;
    }

    static byte gate(byte command, byte state) {
        switch (command) {
            case GET_DATA:
                return state == Codes.BLANK ? OPEN : SHUT;
            case TAP:
            case COMMIT:
            case UPDATE:
                return state == Codes.ACTIVE ? OPEN : SHUT;
            case EXTERNAL_AUTHENTICATE:
                return state == Codes.TERMINATED ? SHUT : OPEN;
            case PRESENT_CERTIFICATE:
                return state == Codes.BLANK || state == Codes.TERMINATED ? SHUT : OPEN;
            case AGREE:
                if (state == Codes.ACTIVE) {
                    return OPEN;
                }
                return state == Codes.PERSONALISED || state == Codes.BLOCKED ? TO_VERIFY : SHUT;
            default:
                return OPEN;
        }
    }
}
