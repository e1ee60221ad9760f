package yzt.tests;

import java.util.Random;
import javacard.framework.JCSystem;
import javacard.framework.TransactionException;
import javacard.framework.Util;
import yzt.runtime.Cards;
import yzt.runtime.Memory;
import yzt.runtime.Platform;
import yzt.runtime.PowerLoss;

/** The runtime does what the platform specification says of memory: transactions, cuts, what is forgotten when. */
final class RuntimeTests {
    private RuntimeTests() {
    }

    /** A card whose memory the tests write themselves. */
    private static Platform card() throws ReflectiveOperationException {
        return Cards.blank(new byte[58], new Random(7));
    }

    private static boolean isCut(Runnable work) {
        try {
            work.run();
            return false;
        } catch (PowerLoss lost) {
            return true;
        }
    }

    static void all(Main main) {
        main.test("a transaction that is aborted, or cut anywhere before its end, changes nothing", () -> {
            Platform card = card();
            byte[] cells = new byte[8];
            JCSystem.beginTransaction();
            Util.arrayCopy(new byte[] {1, 2, 3}, (short) 0, cells, (short) 0, (short) 3);
            JCSystem.abortTransaction();
            Main.equal(0, (int) cells[0]);
            for (int operation = 1; operation <= 3; operation++) {
                for (int bytes = 0; bytes < 2; bytes++) {
                    card.memory().cut(operation, operation == 3 ? 0 : bytes);
                    Main.holds(isCut(() -> {
                        JCSystem.beginTransaction();
                        Util.arrayCopy(new byte[] {1, 2, 3}, (short) 0, cells, (short) 0, (short) 3);
                        Util.setShort(cells, (short) 4, (short) 0x0506);
                        JCSystem.commitTransaction();
                    }), "not cut at " + operation);
                    card.powerOff();
                    Main.equal(0, (int) cells[0]);
                    Main.equal(0, (int) cells[4]);
                }
            }
            card.memory().cut(2, 1);
            Main.holds(isCut(() -> {
                JCSystem.beginTransaction();
                Util.arrayCopy(new byte[] {1}, (short) 0, cells, (short) 0, (short) 1);
                JCSystem.commitTransaction();
            }), "not cut behind the end");
            card.powerOff();
            Main.equal(1, (int) cells[0]);
        });
        main.test("an atomic copy is whole or not there; another one is there up to any byte", () -> {
            Platform card = card();
            byte[] from = {1, 2, 3, 4};
            for (int bytes = 0; bytes <= 4; bytes++) {
                byte[] atomic = new byte[4];
                byte[] loose = new byte[4];
                card.memory().cut(1, bytes);
                Main.holds(isCut(() -> Util.arrayCopy(from, (short) 0, atomic, (short) 0, (short) 4)), "atomic");
                Main.equal(bytes == 4 ? 4 : 0, (int) atomic[3]);
                Main.equal(bytes == 4 ? 1 : 0, (int) atomic[0]);
                card.memory().cut(1, bytes);
                Main.holds(isCut(() -> Util.arrayCopyNonAtomic(from, (short) 0, loose, (short) 0, (short) 4)), "loose");
                for (int i = 0; i < 4; i++) {
                    Main.equal(i < bytes ? i + 1 : 0, (int) loose[i]);
                }
            }
        });
        main.test("more than 384 bytes fit no transaction, and no atomic copy", () -> {
            card();
            byte[] large = new byte[Memory.TRANSACTION_CAPACITY + 1];
            try {
                Util.arrayCopy(new byte[large.length], (short) 0, large, (short) 0, (short) large.length);
                throw new AssertionError("taken");
            } catch (TransactionException full) {
                Main.equal(TransactionException.BUFFER_FULL, full.getReason());
            }
        });
        main.test("what is transient is forgotten at its event, and a write to it is none", () -> {
            Platform card = card();
            byte[] deselect = JCSystem.makeTransientByteArray((short) 2, JCSystem.CLEAR_ON_DESELECT);
            byte[] reset = JCSystem.makeTransientByteArray((short) 2, JCSystem.CLEAR_ON_RESET);
            long before = card.counts().operations();
            Util.arrayFillNonAtomic(deselect, (short) 0, (short) 2, (byte) 9);
            Util.arrayFillNonAtomic(reset, (short) 0, (short) 2, (byte) 9);
            Main.equal(before, card.counts().operations());
            card.powerOn();
            Main.equal(0, (int) deselect[0] + reset[0]);
        });
        main.test("a mark brings back every byte, whatever was cut, aborted or committed since", () -> {
            Platform card = card();
            byte[] cells = new byte[8];
            Random random = new Random(5);
            Util.arrayCopy(new byte[] {9, 9}, (short) 0, cells, (short) 0, (short) 2);
            for (int round = 0; round < 200; round++) {
                byte[] before = cells.clone();
                card.memory().mark();
                card.memory().cut(1 + random.nextInt(6), random.nextInt(4));
                isCut(() -> {
                    byte[] data = new byte[4];
                    random.nextBytes(data);
                    Util.arrayCopyNonAtomic(data, (short) 0, cells, (short) 4, (short) 4);
                    JCSystem.beginTransaction();
                    Util.arrayCopy(data, (short) 0, cells, (short) 0, (short) 3);
                    Util.arrayCopy(data, (short) 1, cells, (short) 1, (short) 2);
                    if (random.nextBoolean()) {
                        JCSystem.abortTransaction();
                    } else {
                        JCSystem.commitTransaction();
                    }
                    Util.arrayFillNonAtomic(cells, (short) 2, (short) 3, (byte) 1);
                });
                card.powerOff();
                card.memory().restore();
                Main.holds(java.util.Arrays.equals(before, cells), "round " + round);
            }
        });
        main.test("the bytes of a card make the same card of another one", () -> {
            Platform first = card();
            byte[] image = Cards.image(first);
            Platform second = Cards.blank(new byte[58], new Random(8));
            Main.holds(!java.util.Arrays.equals(image, Cards.image(second)), "two cards have the same decoy");
            Cards.load(second, image);
            Main.holds(java.util.Arrays.equals(image, Cards.image(second)), "not the same bytes");
        });
        main.test("the platform answers what never reaches the applet", () -> {
            Platform card = card();
            card.powerOn();
            Main.equal("6999", hex(card.process(new byte[] {0, 1, 0, 0})));
            Main.equal("6700", hex(card.process(new byte[] {0, 1, 0})));
            Main.equal("6a82", hex(card.process(new byte[] {0, (byte) 0xA4, 4, 0, 1, 1, 0})));
        });
    }

    private static String hex(byte[] bytes) {
        return java.util.HexFormat.of().formatHex(bytes);
    }
}
