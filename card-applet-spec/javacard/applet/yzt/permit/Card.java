package yzt.permit;

import javacard.framework.Util;

/** The card behind its doors: what stays, what is forgotten, and what every door asks it. */
final class Card {
    /** Length of the status (chapter 05). */
    static final short STATUS_LEN = 59;
    private static final short SERIAL_TAG = 0x0045;

    final Ram ram;
    final Storage storage;
    final Crypto crypto;
    final Channel channel;

    Card() {
        ram = new Ram();
        crypto = new Crypto(ram.work);
        storage = new Storage(ram);
        channel = new Channel(ram, crypto);
    }

    byte gate(byte command) {
        return Command.gate(command, storage.control.state());
    }

    /** GET DATA: the serial, which only a blank gives to everybody. */
    short getData(byte[] buffer, short lc, short le) {
        Sw.need(le == Sw.LE_256 && lc == 0, Sw.WRONG_LENGTH);
        Sw.need(Util.getShort(buffer, (short) 2) == SERIAL_TAG && gate(Command.GET_DATA) == Command.OPEN, Sw.NOT_FOUND);
        return Util.arrayCopyNonAtomic(storage.serial, (short) 0, buffer, (short) 0, (short) 10);
    }

    /** state1 script16 last2 h32 failures1 floor4 epoch2 open1; gives where it ends. */
    short status(byte[] to, short at, byte failures) {
        byte[] live = storage.control.live;
        to[at] = live[Control.STATE];
        short end = Util.arrayCopyNonAtomic(live, Control.SCRIPT, to, (short) (at + 1), (short) 50);
        to[end] = failures;
        end = Util.arrayCopyNonAtomic(live, Control.FLOOR, to, (short) (end + 1), (short) 6);
        to[end] = live[Control.OPEN] == 0 ? (byte) 0 : (byte) 1;
        return (short) (end + 1);
    }
}
