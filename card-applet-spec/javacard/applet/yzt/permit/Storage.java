package yzt.permit;

import javacard.framework.Util;

/**
 * Everything that stays, made at install: what is live, spare and erased is said by {@link Control}. What is written goes
 * to an area that is not live, and counts by {@link Control#commit} alone (chapter 10).
 */
final class Storage {
    /** Cells of their own: door I's failure counter; whether dead areas may hold something. Each is one byte, written as one. */
    private static final short FAILURES = 0;
    private static final short UNSWEPT = 1;
    /** Areas to sweep. */
    static final byte SLOTS = 1;
    static final byte PERMIT = 2;
    static final byte SCRIPT = 4;
    static final byte ALL = 7;

    final Control control;
    final byte[] serial;
    final KeySet[] keys;
    /** Keys that nobody knows, in force once the card is TERMINATED. */
    final KeySet nobody;
    final Trust[] trust;
    final Domain[] domains;
    final DataObject[] objects;
    final Slot[] slots;
    final Slot decoy;
    final Purse purse;
    private final byte[] cells;

    Storage(Ram ram) {
        control = new Control(ram.next);
        serial = new byte[10];
        keys = new KeySet[2];
        keys[0] = new KeySet();
        keys[1] = new KeySet();
        nobody = new KeySet();
        trust = new Trust[2];
        trust[0] = new Trust();
        trust[1] = new Trust();
        domains = new Domain[6];
        for (short i = 0; i < 6; i++) {
            domains[i] = new Domain();
        }
        objects = new DataObject[8];
        for (short i = 0; i < 8; i++) {
            objects[i] = new DataObject(DataObject.capacity((short) (i >> 1)));
        }
        slots = new Slot[(short) (Codes.ROLES * Codes.SLOTS_PER_ROLE)];
        for (short role = 0; role < Codes.ROLES; role++) {
            for (short i = 0; i < Codes.SLOTS_PER_ROLE; i++) {
                slots[index(role, i)] = new Slot(role == Codes.PURSE_ROLE);
            }
        }
        decoy = new Slot(false);
        purse = new Purse();
        cells = new byte[2];
    }

    static short index(short role, short slot) {
        return (short) ((short) (role * Codes.SLOTS_PER_ROLE) + slot);
    }

    short failures() {
        return (short) (cells[FAILURES] & 0xFF);
    }

    /** A count that stands already is not written again: whoever can try must not wear the cell. */
    void setFailures(short failures) {
        if (cells[FAILURES] != (byte) failures) {
            cells[FAILURES] = (byte) failures;
        }
    }

    /** Static keys in force; those of nobody once TERMINATED. */
    KeySet staticKeys() {
        short half = Control.half(control.live[Control.KEYS]);
        return half < 0 ? nobody : keys[half];
    }

    Domain domain(short index, short half) {
        return domains[(short) ((short) (index << 1) + half)];
    }

    DataObject object(short index, short half) {
        return objects[(short) ((short) (index << 1) + half)];
    }

    /** Before anything is written to an area that is not live, or an area dies: which ones to look at. */
    void soil(byte areas) {
        if ((cells[UNSWEPT] & areas) != areas) {
            cells[UNSWEPT] = (byte) (cells[UNSWEPT] | areas);
        }
    }

    /**
     * Erases what holds nothing live or staged, where something may. Called behind every commit that leaves something to
     * erase, and at each SELECT, which finishes what a cut left. (The reference card looks at every area at every
     * power-on; a card would read 15 kB for that.)
     */
    void sweep() {
        byte areas = cells[UNSWEPT];
        if (areas == 0) {
            return;
        }
        if ((areas & SLOTS) != 0) {
            sweepSlots();
        }
        if ((areas & PERMIT) != 0) {
            sweepObject(DataObject.DG3);
            sweepObject(DataObject.SIGNATURE);
        }
        if ((areas & SCRIPT) != 0) {
            sweepScript();
        }
        cells[UNSWEPT] = 0;
    }

    private void sweepScript() {
        byte[] live = control.live;
        for (short half = 0; half < 2; half++) {
            if (Control.isDead(live[Control.KEYS], half)) {
                keys[half].erase();
            }
            if (Control.isDead(live[Control.TRUST], half)) {
                trust[half].erase();
            }
            for (short i = 0; i < 3; i++) {
                if (Control.isDead(live[Control.domain(i)], half)) {
                    domain(i, half).erase();
                }
            }
        }
        for (short i = 0; i < 4; i++) {
            sweepObject(i);
        }
        if (live[Control.PURSE_LIVE] == 0) {
            purse.erase();
        }
    }

    private void sweepObject(short index) {
        for (short half = 0; half < 2; half++) {
            if (Control.isDead(control.live[Control.object(index)], half)) {
                wipe(object(index, half).bytes);
            }
        }
    }

    private void sweepSlots() {
        byte[] live = control.live;
        for (short role = 0; role < Codes.ROLES; role++) {
            for (short i = 0; i < Codes.SLOTS_PER_ROLE; i++) {
                if (live[Control.slot(role, i)] == Control.SLOT_EMPTY) {
                    slots[index(role, i)].erase();
                }
            }
        }
    }

    /** Zeroes an array where it is not zero yet. */
    static void wipe(byte[] bytes) {
        short length = (short) bytes.length;
        if (!Bytes.isZero(bytes, (short) 0, length)) {
            Util.arrayFillNonAtomic(bytes, (short) 0, length, (byte) 0);
        }
    }

    /**
     * Index of the slot of `role` (from 0) that is live with `kv`; -1 for none. All slots are looked at: how many there
     * are, and where it stands, is not to be told from the time.
     */
    short liveSlot(short role, byte kv) {
        short found = -1;
        for (short r = 0; r < Codes.ROLES; r++) {
            for (short i = 0; i < Codes.SLOTS_PER_ROLE; i++) {
                short at = Control.slot(r, i);
                boolean hit = r == role & control.live[at] == Control.SLOT_LIVE & control.live[(short) (at + 1)] == kv;
                found = hit ? index(r, i) : found;
            }
        }
        return found;
    }

    /** Index of the newest live slot of a role, or of the other one; -1 for none. */
    short liveSlot(short role, boolean newest) {
        short first = -1;
        short second = -1;
        short high = -1;
        for (short i = 0; i < Codes.SLOTS_PER_ROLE; i++) {
            short at = Control.slot(role, i);
            if (control.live[at] == Control.SLOT_LIVE) {
                short kv = (short) (control.live[(short) (at + 1)] & 0xFF);
                if (kv > high) {
                    second = first;
                    first = index(role, i);
                    high = kv;
                } else {
                    second = index(role, i);
                }
            }
        }
        return newest ? first : second;
    }
}
