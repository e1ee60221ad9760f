package yzt.permit;

import javacard.framework.ISOException;
import javacard.framework.Util;
import javacardx.crypto.Cipher;

/** Door F: TAP and COMMIT (chapter 06). UPDATE is in Update. */
final class DoorF {
    /** No slot answered. */
    static final byte DECOY = -1;
    private static final short BODY = 28;
    /** P224 behind rC16. */
    private static final short P = 16;
    private static final short P_SEQ = 36;
    private static final short P_LOADED = 40;
    private static final short P_SPENT = 44;
    private static final short P_TXNO = 48;
    private static final short P_MASKED = 56;
    private static final short P_TAC = 72;
    private static final short P_RECORD = 80;
    private static final short TAP_LEN = 256;

    private final Card card;
    private final byte[] session;
    private final byte[] work;

    DoorF(Card card) {
        this.card = card;
        session = card.ram.session;
        work = card.ram.work;
    }

    /** The slot of the TAP just before; the decoy where none answered. */
    Slot tapped() {
        return session[Ram.SLOT] == DECOY ? card.storage.decoy : card.storage.slots[session[Ram.SLOT]];
    }

    boolean isLive() {
        return session[Ram.SLOT] != DECOY;
    }

    short tap(byte[] buffer, short lc, short le) {
        Sw.need(le == Sw.LE_256 && lc == 16, Sw.WRONG_LENGTH);
        byte role = buffer[2];
        session[Ram.ROLE] = role;
        session[Ram.KV] = buffer[3];
        Util.arrayCopyNonAtomic(buffer, (short) 5, session, Ram.RT, (short) 16);
        card.crypto.random.generateData(session, Ram.RC, (short) 16);
        // Everything is read in any case, and used or not only then: an unknown role, another state, a role without a
        // purse do the same work as a live slot (chapter 03).
        Storage storage = card.storage;
        short found = storage.liveSlot((short) (role - 1), buffer[3]);
        boolean open = card.gate(Command.TAP) == Command.OPEN & Codes.hasDoorF(role);
        session[Ram.SLOT] = open ? (byte) found : DECOY;
        Slot slot = tapped();
        Util.arrayCopyNonAtomic(session, Ram.RC, buffer, (short) 0, (short) 16);
        Util.arrayCopyNonAtomic(slot.data, Slot.PID, buffer, P, (short) 16);
        buffer[32] = Codes.VERSION;
        buffer[33] = 1;
        buffer[34] = 0;
        buffer[35] = 0;
        storage.purse.read(work, (short) 0);
        Util.arrayCopyNonAtomic(work, Purse.SEQ, buffer, P_SEQ, (short) 4);
        Util.arrayCopyNonAtomic(storage.control.live, Control.LOADED, buffer, P_LOADED, (short) 4);
        Util.arrayCopyNonAtomic(work, Purse.SPENT, buffer, P_SPENT, (short) 4);
        Util.arrayCopyNonAtomic(work, Purse.TXNO, buffer, P_TXNO, (short) 8);
        Util.arrayCopyNonAtomic(work, Purse.MASKED, buffer, P_MASKED, (short) 16);
        Util.arrayCopyNonAtomic(work, Purse.TAC, buffer, P_TAC, (short) 8);
        short others = role == Codes.SMALL_PAYMENT ? (short) 0 : (short) (P_RECORD - P_SEQ);
        Util.arrayFillNonAtomic(buffer, P_SEQ, others, (byte) 0);
        Util.arrayCopyNonAtomic(slot.data, Slot.RECORD, buffer, P_RECORD, Slot.RECORD_LEN);
        card.crypto.enc.init(slot.g, Cipher.MODE_ENCRYPT);
        card.crypto.enc.doFinal(buffer, (short) 0, (short) 240, buffer, (short) 0);
        Util.arrayCopyNonAtomic(session, Ram.RC, buffer, (short) 0, (short) 16);
        work[0] = 1;
        work[1] = Codes.SUITE;
        short end = challenges((short) 2);
        end = Util.arrayCopyNonAtomic(buffer, (short) 16, work, end, (short) 224);
        card.crypto.mac.init(slot.m, Cipher.MODE_ENCRYPT);
        short mac = card.crypto.cmac(card.crypto.mac, slot.data, Slot.SUB_M, (short) 0, end);
        Util.arrayCopyNonAtomic(work, mac, buffer, (short) 240, (short) 16);
        session[Ram.SESSION] = Ram.S_TAPPED;
        return TAP_LEN;
    }

    /** role version rT rC of the TAP just before, into the work area. */
    short challenges(short at) {
        work[at] = session[Ram.ROLE];
        work[(short) (at + 1)] = session[Ram.KV];
        return Util.arrayCopyNonAtomic(session, Ram.RT, work, (short) (at + 2), (short) 32);
    }

    /** A debit, after the TAP of the same slot. Its body stays at 5 of the buffer. */
    short commit(byte[] buffer, short lc, short le) {
        byte role = session[Ram.ROLE];
        byte kv = session[Ram.KV];
        Sw.need(buffer[2] == role && buffer[3] == kv && role == Codes.SMALL_PAYMENT, Sw.CONDITIONS);
        Sw.need(le == 25 && lc == 44, Sw.WRONG_LENGTH);
        Sw.need(Bytes.isZero(buffer, (short) 26, (short) 7), Sw.WRONG_DATA);
        Slot slot = tapped();
        // Where the purse stands in the work area: behind the longest message of a MAC here.
        short now = 112;
        short then = 156;
        card.storage.purse.read(work, now);
        work[0] = 2;
        short end = challenges((short) 1);
        end = Util.arrayCopyNonAtomic(work, (short) (now + Purse.SEQ), work, end, (short) 4);
        end = Util.arrayCopyNonAtomic(buffer, (short) 5, work, end, BODY);
        short mac = card.crypto.cmac(card.crypto.mac, slot.data, Slot.SUB_M, (short) 0, end);
        // After a decoy the answer is that of a wrong MAC, for the same reads and the same MAC.
        Sw.need(Bytes.equal(work, mac, buffer, (short) 33, (short) 16) & isLive(), Sw.SECURITY);
        card.crypto.other.init(slot.ktac, Cipher.MODE_ENCRYPT);
        byte result = 0;
        if (Bytes.equal(work, (short) (now + Purse.TXNO), buffer, (short) 13, (short) 8)) {
            short tac = tac(buffer, slot, now, (short) (now + Purse.LAST_LOADED), work);
            Sw.need(Bytes.equal(work, tac, work, (short) (now + Purse.TAC), (short) 8), Sw.CONDITIONS);
            result = 1;
        } else {
            debit(buffer, slot, now, then);
            now = then;
        }
        return proof(buffer, slot, now, result);
    }

    /** Makes the purse after the debit at `then`, and writes it. Limits are compared by subtraction: nothing wraps. */
    private void debit(byte[] buffer, Slot slot, short now, short then) {
        byte[] live = card.storage.control.live;
        // The balance, for a moment where SPENT will stand.
        boolean fits = Bytes.subtract4(live, Control.LOADED, work, (short) (now + Purse.SPENT), work, then);
        fits = fits && Bytes.compare4(buffer, (short) 5, work, then) <= 0
            && Bytes.compare4(buffer, (short) 5, slot.data, Slot.CAP) <= 0;
        fits = fits && Bytes.add4(work, (short) (now + Purse.SPENT), buffer, (short) 5, work, (short) (then + Purse.SPENT));
        Util.arrayCopyNonAtomic(work, (short) (now + Purse.SEQ), work, (short) (then + Purse.SEQ), (short) 4);
        fits = fits && Bytes.increment(work, (short) (then + Purse.SEQ), (short) 4);
        if (!fits) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        Util.arrayCopyNonAtomic(buffer, (short) 13, work, (short) (then + Purse.TXNO), (short) 8);
        Util.arrayCopyNonAtomic(live, Control.LOADED, work, (short) (then + Purse.LAST_LOADED), (short) 4);
        short tac = tac(buffer, slot, then, Control.LOADED, live);
        Util.arrayCopyNonAtomic(work, tac, work, (short) (then + Purse.TAC), (short) 8);
        // SB: tid, amount, spent', time under a mask.
        work[0] = 6;
        short end = underKtac(slot, then);
        short mask = card.crypto.cmac(card.crypto.other, slot.data, Slot.SUB_KTAC, (short) 0, end);
        short masked = (short) (then + Purse.MASKED);
        end = Util.arrayCopyNonAtomic(buffer, (short) 9, work, masked, (short) 4);
        end = Util.arrayCopyNonAtomic(buffer, (short) 5, work, end, (short) 4);
        end = Util.arrayCopyNonAtomic(work, (short) (then + Purse.SPENT), work, end, (short) 4);
        Util.arrayCopyNonAtomic(buffer, (short) 21, work, end, (short) 4);
        Bytes.xor(work, masked, work, mask, (short) 16);
        card.storage.purse.write(work, then);
    }

    /** role version pid seq behind the first byte. */
    private short underKtac(Slot slot, short purse) {
        work[1] = Codes.SMALL_PAYMENT;
        work[2] = session[Ram.KV];
        short end = Util.arrayCopyNonAtomic(slot.data, Slot.PID, work, (short) 3, (short) 16);
        return Util.arrayCopyNonAtomic(work, (short) (purse + Purse.SEQ), work, end, (short) 4);
    }

    /** Where TAC stands, of this body with the purse at `purse` and that `loaded`. */
    private short tac(byte[] buffer, Slot slot, short purse, short loadedAt, byte[] loaded) {
        work[0] = 5;
        short end = underKtac(slot, purse);
        end = Util.arrayCopyNonAtomic(loaded, loadedAt, work, end, (short) 4);
        end = Util.arrayCopyNonAtomic(work, (short) (purse + Purse.SPENT), work, end, (short) 4);
        end = Util.arrayCopyNonAtomic(buffer, (short) 5, work, end, BODY);
        return card.crypto.cmac(card.crypto.other, slot.data, Slot.SUB_KTAC, (short) 0, end);
    }

    private short proof(byte[] buffer, Slot slot, short purse, byte result) {
        work[0] = 3;
        short end = challenges((short) 1);
        work[end] = result;
        end = Util.arrayCopyNonAtomic(work, (short) (purse + Purse.SEQ), work, (short) (end + 1), (short) 4);
        end = Util.arrayCopyNonAtomic(work, (short) (purse + Purse.SPENT), work, end, (short) 4);
        end = Util.arrayCopyNonAtomic(buffer, (short) 5, work, end, BODY);
        end = Util.arrayCopyNonAtomic(work, (short) (purse + Purse.TAC), work, end, (short) 8);
        short mac = card.crypto.cmac(card.crypto.mac, slot.data, Slot.SUB_M, (short) 0, end);
        buffer[0] = result;
        end = Util.arrayCopyNonAtomic(work, (short) (purse + Purse.TAC), buffer, (short) 1, (short) 8);
        return Util.arrayCopyNonAtomic(work, mac, buffer, end, (short) 16);
    }
}
