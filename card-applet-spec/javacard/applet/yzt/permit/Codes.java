package yzt.permit;

/** Codes of chapter 01: states, roles, rights, key domains. */
final class Codes {
    static final byte BLANK = 1;
    static final byte PERSONALISED = 2;
    static final byte ACTIVE = 3;
    static final byte BLOCKED = 4;
    static final byte TERMINATED = 5;

    static final byte TRANSIT = 1;
    static final byte SOCIAL_INSURANCE = 2;
    static final byte SMALL_PAYMENT = 3;
    static final byte CLINIC = 4;
    static final byte DOOR = 5;
    static final short ROLES = 5;
    static final short SLOTS_PER_ROLE = 3;
    /** Index of SMALL_PAYMENT, the role with the purse. */
    static final short PURSE_ROLE = 2;

    static final byte SUITE = 1;
    static final byte VERSION = 1;

    /** Bits of the lowest byte of rights4. */
    static final byte IDENTITY = 1;
    static final byte PORTRAIT = 2;
    static final byte PERMIT = 4;
    /** Bits of the byte above the roles'. */
    static final byte VERIFY = 1;
    static final byte ISSUER = 2;
    /** Where they stand in rights4. */
    static final short R_OFFICE = 1;
    static final short R_ROLES = 2;
    static final short R_GROUPS = 3;

    static final byte[] AID = {(byte) 0xF0, 0x59, 0x5A, 0x54, 0x52, 0x50, 0x01};
    /** What SELECT answers (chapter 02). */
    static final byte[] CARD_INFO = {
        0x6F, 0x19, (byte) 0x84, 0x07, (byte) 0xF0, 0x59, 0x5A, 0x54, 0x52, 0x50, 0x01,
        (byte) 0xA5, 0x0E, (byte) 0x80, 0x02, 0x01, 0x00, (byte) 0x81, 0x02, 0x00, 0x01,
        (byte) 0x82, 0x01, 0x01, (byte) 0x83, 0x01, 0x01,
    };

    private Codes() {
    }

    static boolean isRole(byte role) {
        return role >= TRANSIT && role <= DOOR;
    }

    /** True for the roles that answer at door F. */
    static boolean hasDoorF(byte role) {
        return role == TRANSIT || role == SMALL_PAYMENT || role == DOOR;
    }

    static boolean isDomain(byte domain) {
        return domain >= 1 && domain <= 3;
    }

    /** Index of the key pair that the records of a role, from 0, are bound to. */
    static short domainOf(short role) {
        if (role == (short) (CLINIC - 1)) {
            return 1;
        }
        return role == (short) (SOCIAL_INSURANCE - 1) ? (short) 2 : (short) 0;
    }

    /** Whether a rights4 has no bit without a meaning. */
    static boolean areRights(byte[] rights, short at) {
        return rights[at] == 0
            && (rights[(short) (at + R_OFFICE)] & (byte) 0xFC) == 0
            && (rights[(short) (at + R_ROLES)] & (byte) 0xE0) == 0
            && (rights[(short) (at + R_GROUPS)] & (byte) 0xF8) == 0;
    }

    /** The domain, from 0, that serves exactly these rights; -1 for none. */
    static short domainFor(byte[] rights, short at) {
        if (rights[(short) (at + R_OFFICE)] != 0 || rights[(short) (at + R_GROUPS)] != 0) {
            return 0;
        }
        byte roles = rights[(short) (at + R_ROLES)];
        if (roles == 0x08) {
            return 1;
        }
        return roles == 0x02 ? (short) 2 : (short) -1;
    }
}
