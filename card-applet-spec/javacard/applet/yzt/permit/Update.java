package yzt.permit;

import javacard.framework.ISOException;
import javacard.framework.Util;
import javacardx.crypto.Cipher;

/** UPDATE: a sealed update that a terminal delivers after a TAP (chapter 09). Whoever has no genuine umac writes nothing. */
final class Update {
    /** ctr4 E224 umac16 tmac8, behind the header. */
    private static final short CTR = 5;
    private static final short E = 9;
    private static final short UMAC = 233;
    private static final short TMAC = 249;
    private static final short LEN = 252;
    private static final short E_LEN = 224;
    private static final short MAX_DG3 = 157;
    /** Where the receipt waits while the operation is done: behind everything that the operation uses. */
    private static final short RECEIPT = 480;
    /** Length of a signature object of chapter 02, and where signer, digest and signature stand in it. */
    private static final short SO_LEN = 214;
    private static final short SO_SIGNER = 11;
    private static final short SO_DG3 = 116;
    private static final short SO_SIGNATURE = 150;
    private static final byte OP_SLOT = 0x05;
    private static final byte OP_DG3 = 0x10;
    private static final byte OP_FLOOR = 0x11;
    private static final byte OP_BLOCK = 0x12;
    private static final byte OP_ERASE = 0x13;
    private static final byte OP_LOAD = 0x14;

    private final Card card;
    private final DoorF doorF;
    private final DoorI doorI;
    private final byte[] session;
    private final byte[] work;

    Update(Card card, DoorF doorF, DoorI doorI) {
        this.card = card;
        this.doorF = doorF;
        this.doorI = doorI;
        session = card.ram.session;
        work = card.ram.work;
    }

    short update(boolean tapped, byte[] buffer, short lc, short le) {
        Sw.need(lc == LEN, Sw.WRONG_LENGTH);
        Sw.need(tapped && buffer[2] == session[Ram.ROLE] && buffer[3] == session[Ram.KV], Sw.CONDITIONS);
        Sw.need(le == 16, Sw.WRONG_LENGTH);
        Slot slot = doorF.tapped();
        work[0] = 7;
        short end = doorF.challenges((short) 1);
        end = Util.arrayCopyNonAtomic(buffer, CTR, work, end, (short) (TMAC - CTR));
        short mac = card.crypto.cmac(card.crypto.mac, slot.data, Slot.SUB_M, (short) 0, end);
        Sw.need(Bytes.equal(work, mac, buffer, TMAC, (short) 8) & doorF.isLive(), Sw.SECURITY);
        KeySet keys = card.storage.staticKeys();
        work[0] = 8;
        end = Util.arrayCopyNonAtomic(buffer, CTR, work, (short) 1, (short) (UMAC - CTR));
        mac = under(keys, KeySet.U_MAC, end);
        Sw.need(Bytes.equal(work, mac, buffer, UMAC, (short) 16), Sw.SECURITY);
        work[0] = 9;
        end = Util.arrayCopyNonAtomic(buffer, CTR, work, (short) 1, (short) 4);
        end = Util.arrayCopyNonAtomic(buffer, UMAC, work, end, (short) 16);
        mac = under(keys, KeySet.U_RCPT, end);
        Util.arrayCopyNonAtomic(work, mac, work, RECEIPT, (short) 16);
        Control control = card.storage.control;
        short order = Bytes.compare4(buffer, CTR, control.live, Control.UPDATE_COUNTER);
        boolean again = order == 0 && Bytes.equal(buffer, UMAC, control.live, Control.UPDATE_MAC, (short) 16);
        if (!again) {
            // What a script has staged stands in the same spare areas.
            Sw.need(order > 0 && control.live[Control.OPEN] == 0, Sw.CONDITIONS);
            decrypt(keys, buffer);
            control.begin();
            perform(keys, buffer);
            Util.arrayCopyNonAtomic(buffer, CTR, control.next, Control.UPDATE_COUNTER, (short) 4);
            Util.arrayCopyNonAtomic(buffer, UMAC, control.next, Control.UPDATE_MAC, (short) 16);
            control.commit();
            card.storage.sweep();
        }
        return Util.arrayCopyNonAtomic(work, RECEIPT, buffer, (short) 0, (short) 16);
    }

    private short under(KeySet keys, short key, short length) {
        card.crypto.other.init(keys.keys[key], Cipher.MODE_ENCRYPT);
        return card.crypto.cmac(card.crypto.other, keys.sub, KeySet.subOf(key), (short) 0, length);
    }

    /** E becomes P, in its place. */
    private void decrypt(KeySet keys, byte[] buffer) {
        Util.arrayFillNonAtomic(work, (short) 0, Crypto.BLOCK, (byte) 0);
        work[0] = 8;
        Util.arrayCopyNonAtomic(buffer, CTR, work, (short) 1, (short) 4);
        card.crypto.other.init(keys.keys[KeySet.U_ENC], Cipher.MODE_ENCRYPT);
        card.crypto.other.doFinal(work, (short) 0, Crypto.BLOCK, work, (short) 0);
        card.crypto.other.init(keys.keys[KeySet.U_ENC], Cipher.MODE_DECRYPT, work, (short) 0, Crypto.BLOCK);
        card.crypto.other.doFinal(buffer, E, E_LEN, buffer, E);
    }

    /** P behind `at` is zeros. */
    private static void zeros(byte[] buffer, short at) {
        Sw.need(Bytes.isZero(buffer, at, (short) (UMAC - at)), Sw.WRONG_DATA);
    }

    /** Does an operation on spare areas and in the copy of the control block; nothing is live before that is committed. */
    private void perform(KeySet keys, byte[] buffer) {
        Control control = card.storage.control;
        byte[] next = control.next;
        switch (buffer[E]) {
            case OP_SLOT:
                slot(keys, buffer);
                break;
            case OP_DG3:
                dg3(buffer);
                break;
            case OP_FLOOR:
                zeros(buffer, (short) (E + 5));
                Sw.need(Dates.isDate(buffer, (short) (E + 1)), Sw.WRONG_DATA);
                Sw.need(!Dates.isLeap(next, Control.FLOOR, buffer, (short) (E + 1)), Sw.CONDITIONS);
                Dates.raise(next, Control.FLOOR, buffer, (short) (E + 1));
                break;
            case OP_BLOCK:
                zeros(buffer, (short) (E + 1));
                next[Control.BEFORE_BLOCK] = next[Control.STATE];
                next[Control.STATE] = Codes.BLOCKED;
                break;
            case OP_ERASE:
                zeros(buffer, (short) (E + 3));
                Sw.need(Codes.isRole(buffer[(short) (E + 1)]) && buffer[(short) (E + 2)] != 0, Sw.WRONG_DATA);
                erase((short) (buffer[(short) (E + 1)] - 1), buffer[(short) (E + 2)]);
                break;
            case OP_LOAD:
                zeros(buffer, (short) (E + 5));
                Sw.need(next[Control.PURSE_LIVE] != 0, Sw.CONDITIONS);
                Bytes.raise4(next, Control.LOADED, buffer, (short) (E + 1));
                break;
            default:
                ISOException.throwIt(Sw.WRONG_DATA);
        }
    }

    private void erase(short role, byte kv) {
        byte[] next = card.storage.control.next;
        for (short i = 0; i < Codes.SLOTS_PER_ROLE; i++) {
            short at = Control.slot(role, i);
            if (next[at] == Control.SLOT_LIVE && next[(short) (at + 1)] == kv) {
                next[at] = Control.SLOT_EMPTY;
                next[(short) (at + 1)] = 0;
                card.storage.soil(Storage.SLOTS);
            }
        }
    }

    /** As SLOT, PURSE and FINALISE of a script, but for Ktac and the start of a first purse, which the card makes. */
    private void slot(KeySet keys, byte[] buffer) {
        short role = (short) (E + 1);
        // loaded4 cap4 zero4 end it.
        short loaded = (short) (E + 212);
        short cap = (short) (E + 216);
        Sw.need(DoorI.isSlot(buffer, E) && Bytes.isZero(buffer, (short) (E + 220), (short) 4), Sw.WRONG_DATA);
        Sw.need(Codes.isRole(buffer[role]), Sw.WRONG_DATA);
        boolean pays = buffer[role] == Codes.SMALL_PAYMENT;
        Sw.need(pays || Bytes.isZero(buffer, loaded, (short) 8), Sw.WRONG_DATA);
        doorI.stageSlot(buffer, E);
        if (pays) {
            // Ktac = CMAC(U-RCPT, 0A || role || kv || pid); seq and Ktac for the PURSE.
            work[0] = 0x0A;
            work[1] = buffer[role];
            work[2] = buffer[(short) (E + 2)];
            Util.arrayCopyNonAtomic(buffer, (short) (E + 36), work, (short) 3, (short) 16);
            short ktac = under(keys, KeySet.U_RCPT, (short) 19);
            short seq = 64;
            card.crypto.random.generateData(work, seq, (short) 4);
            work[seq] &= 0x7F;
            doorI.stagePurse(buffer[(short) (E + 2)], work, seq, buffer, cap, work, ktac);
            if (card.storage.control.stagesFirstPurse()) {
                card.storage.purse.first(work, seq);
            }
        }
        card.storage.control.makeLive();
    }

    private void dg3(byte[] buffer) {
        short length = (short) (buffer[(short) (E + 2)] & 0xFF);
        short dg3 = (short) (E + 3);
        short signature = (short) (dg3 + MAX_DG3);
        Sw.need(length >= 1 && length <= MAX_DG3, Sw.WRONG_DATA);
        Sw.need(Bytes.isZero(buffer, (short) (dg3 + length), (short) (MAX_DG3 - length)), Sw.WRONG_DATA);
        short[] cursor = card.ram.cursor;
        Tlv.parse(buffer, dg3, (short) (dg3 + length), cursor);
        Sw.need(cursor[Tlv.TAG] == 0x6D && cursor[Tlv.NEXT] == (short) (dg3 + length), Sw.WRONG_DATA);
        Control control = card.storage.control;
        short at = Control.object(DataObject.SIGNATURE);
        short half = Control.half(control.live[at]);
        Sw.need(half >= 0 && Util.getShort(control.live, (short) (at + Control.O_LEN)) == SO_LEN, Sw.CONDITIONS);
        Sw.need(Control.half(control.live[Control.object(DataObject.DG3)]) >= 0, Sw.CONDITIONS);
        // The signature object as chapter 02 has it, in RAM: a closed template has one form.
        Util.arrayCopyNonAtomic(card.storage.object(DataObject.SIGNATURE, half).bytes, (short) 0, work, (short) 0, SO_LEN);
        Sw.need(isSignatureObject(), Sw.CONDITIONS);
        work[SO_SIGNER] = buffer[(short) (E + 1)];
        card.crypto.hash.doFinal(buffer, dg3, length, work, SO_DG3);
        Util.arrayCopyNonAtomic(buffer, signature, work, SO_SIGNATURE, (short) 64);
        replace(DataObject.DG3, buffer, dg3, length);
        replace(DataObject.SIGNATURE, work, (short) 0, SO_LEN);
        control.makeLive();
    }

    /** 77 81 D3, 80 01 01, 81 01 01, 82 01 signer, 83 to 86 with 20 and a digest, 9E 40 and the signature. */
    private boolean isSignatureObject() {
        boolean holds = work[0] == 0x77 && work[1] == (byte) 0x81 && work[2] == (byte) 0xD3
            && work[3] == (byte) 0x80 && work[4] == 1 && work[5] == 1
            && work[6] == (byte) 0x81 && work[7] == 1 && work[8] == 1
            && work[9] == (byte) 0x82 && work[10] == 1;
        for (short i = 0; i < 4; i++) {
            short at = (short) (12 + (short) (i * 34));
            holds = holds && work[at] == (byte) (0x83 + i) && work[(short) (at + 1)] == 0x20;
        }
        return holds && work[148] == (byte) 0x9E && work[149] == 0x40;
    }

    /** Writes an object whole to its spare copy, and stages it. */
    private void replace(short index, byte[] from, short at, short length) {
        Control control = card.storage.control;
        short pair = Control.object(index);
        card.storage.soil(Storage.PERMIT);
        Util.arrayCopyNonAtomic(from, at, card.storage.object(index, Control.spare(control.next[pair])).bytes, (short) 0, length);
        control.next[pair] |= Control.STAGED;
        Util.setShort(control.next, (short) (pair + Control.O_TOTAL), length);
        Util.setShort(control.next, (short) (pair + Control.O_RECEIVED), length);
    }
}
