package yzt.permit;

import javacard.framework.ISOException;
import javacard.framework.Util;

/**
 * Making a blank in a controlled room (chapter 13): the install parameters are serial10 || ENC16 MAC16 DEK16 out of the lot
 * file; the decoy slot and the keys of nobody are made here, from the card's own random source.
 */
final class Manufacture {
    static final short PARAMETERS_LEN = 58;

    private Manufacture() {
    }

    static void blank(Card card, byte[] parameters, short at, short length) {
        if (length != PARAMETERS_LEN) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        Storage storage = card.storage;
        Crypto crypto = card.crypto;
        byte[] work = card.ram.work;
        Util.arrayCopyNonAtomic(parameters, at, storage.serial, (short) 0, (short) 10);
        storage.keys[0].set(parameters, (short) (at + 10), (short) 3, crypto);
        crypto.random.generateData(work, (short) 0, KeySet.LEN);
        storage.nobody.set(work, (short) 0, (short) 3, crypto);
        crypto.random.generateData(work, (short) 0, (short) 209);
        storage.decoy.set(work[208], work, (short) 0, crypto);
        Util.arrayFillNonAtomic(work, (short) 0, (short) 209, (byte) 0);
    }
}
