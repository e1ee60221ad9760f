package yzt.permit;

import javacard.framework.Util;
import javacardx.crypto.Cipher;

/**
 * The record layer of SCP03 at level 33, card's side (chapter 05; door S uses it with keys of its own). A counter block as
 * IV would set a key up for each message; CBC from an IV of zero with the IV in the first block is the same.
 */
final class Channel {
    /** Most plain bytes of a command or an answer. */
    static final short MAX_PLAIN = 239;
    static final short MAC_LEN = 8;

    private final byte[] session;
    private final byte[] work;
    private final Crypto crypto;

    Channel(Ram ram, Crypto crypto) {
        session = ram.session;
        work = ram.work;
        this.crypto = crypto;
    }

    /** Begins with S-MAC set up; chaining value and counter are zero. */
    void openMac() {
        crypto.mac.init(crypto.sMac, Cipher.MODE_ENCRYPT);
        crypto.subkeys(crypto.mac, crypto.sub, Crypto.SUB_MAC);
        Util.arrayFillNonAtomic(session, Ram.CHAINING, (short) 32, (byte) 0);
    }

    /** The other keys, once the other side is known. */
    void openRest() {
        crypto.enc.init(crypto.sEnc, Cipher.MODE_ENCRYPT);
        crypto.dec.init(crypto.sEnc, Cipher.MODE_DECRYPT);
        crypto.rmac.init(crypto.sRmac, Cipher.MODE_ENCRYPT);
        crypto.subkeys(crypto.rmac, crypto.sub, Crypto.SUB_RMAC);
    }

    /** C-MAC of header, Lc and `length` bytes of data at 5; it becomes the chaining value. */
    void commandMac(byte[] buffer, short lc, short length) {
        short end = Util.arrayCopyNonAtomic(session, Ram.CHAINING, work, (short) 0, Crypto.BLOCK);
        end = Util.arrayCopyNonAtomic(buffer, (short) 0, work, end, (short) 4);
        work[end] = (byte) lc;
        end = Util.arrayCopyNonAtomic(buffer, (short) 5, work, (short) (end + 1), length);
        short mac = crypto.cmac(crypto.mac, crypto.sub, Crypto.SUB_MAC, (short) 0, end);
        Util.arrayCopyNonAtomic(work, mac, session, Ram.CHAINING, Crypto.BLOCK);
    }

    /** Checks Le and MAC, and decrypts in place: gives the length of the plain data at 5. */
    short unwrap(byte[] buffer, short lc, short le) {
        Sw.need(le == Sw.LE_256, Sw.WRONG_LENGTH);
        Sw.need(lc >= MAC_LEN, Sw.SECURITY);
        Bytes.increment(session, Ram.COUNTER, Crypto.BLOCK);
        short length = (short) (lc - MAC_LEN);
        commandMac(buffer, lc, length);
        Sw.need(Bytes.equal(session, Ram.CHAINING, buffer, (short) (5 + length), MAC_LEN), Sw.SECURITY);
        if (length == 0) {
            return 0;
        }
        Sw.need((short) (length & 0x0F) == 0, Sw.SECURITY);
        counterBlock((byte) 0);
        crypto.dec.doFinal(buffer, (short) 5, length, buffer, (short) 5);
        Bytes.xor(buffer, (short) 5, work, (short) 0, Crypto.BLOCK);
        // The MAC was right: what follows is no oracle.
        short end = (short) (5 + length);
        while (end > 5 && buffer[(short) (end - 1)] == 0) {
            end--;
        }
        // No data has no body: padding alone is what no sound sender wraps.
        Sw.need(end > 6 && buffer[(short) (end - 1)] == (byte) 0x80, Sw.SECURITY);
        return (short) (end - 6);
    }

    /** Wraps `length` plain bytes at 0 with status 9000: gives the length of the answer at 0. */
    short wrap(byte[] buffer, short length) {
        if (length > 0) {
            buffer[length] = (byte) 0x80;
            length++;
            while ((short) (length & 0x0F) != 0) {
                buffer[length] = 0;
                length++;
            }
            counterBlock((byte) 0x80);
            Bytes.xor(buffer, (short) 0, work, (short) 0, Crypto.BLOCK);
            crypto.enc.doFinal(buffer, (short) 0, length, buffer, (short) 0);
        }
        short end = Util.arrayCopyNonAtomic(session, Ram.CHAINING, work, (short) 0, Crypto.BLOCK);
        end = Util.arrayCopyNonAtomic(buffer, (short) 0, work, end, length);
        work[end] = (byte) 0x90;
        work[(short) (end + 1)] = 0;
        short mac = crypto.cmac(crypto.rmac, crypto.sub, Crypto.SUB_RMAC, (short) 0, (short) (end + 2));
        return Util.arrayCopyNonAtomic(work, mac, buffer, length, MAC_LEN);
    }

    /** The encrypted counter, in the first block of the work area. */
    private void counterBlock(byte direction) {
        Util.arrayCopyNonAtomic(session, Ram.COUNTER, work, (short) 0, Crypto.BLOCK);
        work[0] |= direction;
        crypto.enc.doFinal(work, (short) 0, Crypto.BLOCK, work, (short) 0);
    }
}
