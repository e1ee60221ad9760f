package javacard.framework;

import yzt.runtime.Platform;

/** Transient memory and transactions. */
public final class JCSystem {
    public static final byte NOT_A_TRANSIENT_OBJECT = 0;
    public static final byte CLEAR_ON_RESET = 1;
    public static final byte CLEAR_ON_DESELECT = 2;

    private JCSystem() {
    }

    public static byte[] makeTransientByteArray(short length, byte event) {
        byte[] array = new byte[length];
        Platform.current().memory().makeTransient(array, checked(event), length);
        return array;
    }

    public static short[] makeTransientShortArray(short length, byte event) {
        short[] array = new short[length];
        Platform.current().memory().makeTransient(array, checked(event), 2 * length);
        return array;
    }

    public static void beginTransaction() {
        Platform.current().memory().begin();
    }

    public static void commitTransaction() {
        Platform.current().memory().commit();
    }

    public static void abortTransaction() {
        Platform.current().memory().abort();
    }

    private static byte checked(byte event) {
        if (event != CLEAR_ON_RESET && event != CLEAR_ON_DESELECT) {
            SystemException.throwIt(SystemException.ILLEGAL_VALUE);
        }
        return event;
    }
}
