package yzt.runtime;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import javacard.framework.JCSystem;
import javacard.framework.TransactionException;

/**
 * The card's memory: every array of the applet is non-volatile unless it was made transient, and every write to a
 * non-volatile one comes through here ({@link Weaver} sees to it). Writes are counted, logged, undone when a transaction
 * aborts, and cut at any byte when power is to fail (Java Card 3.0.5 Runtime Environment, chapters 5 and 7).
 *
 * <p>An <em>operation</em> is what the platform does as one: a store of one element, one call of Util, the setting of a
 * key, the end of a transaction. Left out: wear, time, and cells that read as something else after a cut.
 */
public final class Memory {
    /** Bytes that one transaction may hold; what chapter 13 asks of a platform, and not one more. */
    public static final int TRANSACTION_CAPACITY = 384;

    /** What stood in a part of an array before a write. */
    private record Before(Object array, int offset, Object old) {
        void undo() {
            System.arraycopy(old, 0, array, offset, java.lang.reflect.Array.getLength(old));
        }
    }

    private final Map<Object, Byte> transients = new IdentityHashMap<>();
    private final List<Before> transaction = new ArrayList<>();
    private final Deque<Before> history = new ArrayDeque<>();
    private final Map<Object, Boolean> conditional = new IdentityHashMap<>();
    /** Every non-volatile array of the card, in the order in which they were made: that is the same for every card. */
    private final List<byte[]> kept = new ArrayList<>();
    private final Counts counts;
    private boolean inTransaction;
    private boolean remembering;
    private int transactionBytes;
    private long cutAt = Long.MAX_VALUE;
    private int cutBytes;

    Memory(Counts counts) {
        this.counts = counts;
    }

    /** Lets power fail inside the operation-th write from now (1 is the next); so many of its bytes still arrive. */
    public void cut(int operation, int bytes) {
        cutAt = operation == 0 ? Long.MAX_VALUE : counts.operations + operation;
        cutBytes = bytes;
    }

    /** From now on the state of this moment can be had again. */
    public void mark() {
        history.clear();
        remembering = true;
    }

    /** Every non-volatile byte is what it was at the mark; what is transient is gone. */
    public void restore() {
        while (!history.isEmpty()) {
            history.removeLast().undo();
        }
        cutAt = Long.MAX_VALUE;
    }

    /** A non-volatile array was made. */
    public void keep(byte[] array) {
        kept.add(array);
    }

    /** All non-volatile bytes. */
    byte[] image() {
        byte[] image = new byte[kept.stream().mapToInt(array -> array.length).sum()];
        int at = 0;
        for (byte[] array : kept) {
            System.arraycopy(array, 0, image, at, array.length);
            at += array.length;
        }
        return image;
    }

    /** The bytes of another time, of this card or of one with the same applet. */
    void load(byte[] image) {
        if (image.length != image().length) {
            throw new IllegalArgumentException("the image is of another applet");
        }
        int at = 0;
        for (byte[] array : kept) {
            System.arraycopy(image, at, array, 0, array.length);
            at += array.length;
        }
    }

    public boolean isTransient(Object array) {
        return transients.containsKey(array);
    }

    public void makeTransient(Object array, byte event, int bytes) {
        transients.put(array, event);
        counts.transientBytes += bytes;
    }

    /** A buffer of the platform's own: never non-volatile, and not of the applet's account. */
    public void makeTransientFor(byte[] buffer) {
        transients.put(buffer, JCSystem.NOT_A_TRANSIENT_OBJECT);
    }

    /** Clears what is forgotten at this event; a reset forgets what a deselection does too. */
    void clear(boolean reset) {
        transients.forEach((array, event) -> {
            if (event == JCSystem.CLEAR_ON_DESELECT || (reset && event == JCSystem.CLEAR_ON_RESET)) {
                if (array instanceof byte[] bytes) {
                    Arrays.fill(bytes, (byte) 0);
                } else if (array instanceof short[] shorts) {
                    Arrays.fill(shorts, (short) 0);
                } else {
                    Arrays.fill((boolean[]) array, false);
                }
            }
        });
    }

    /** Bytes from one array to another, or to another place of the same; atomic where the platform says so. */
    void copy(byte[] from, int at, byte[] to, int offset, int length, boolean atomic) {
        // Out of bounds is the applet's fault and changes nothing.
        java.util.Objects.checkFromIndexSize(at, length, from.length);
        java.util.Objects.checkFromIndexSize(offset, length, to.length);
        if (isTransient(to)) {
            System.arraycopy(from, at, to, offset, length);
        } else if (length > 0) {
            write(to, offset, Arrays.copyOfRange(from, at, at + length), length, atomic);
        }
    }

    void fill(byte[] to, int offset, int length, byte value) {
        java.util.Objects.checkFromIndexSize(offset, length, to.length);
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, value);
        copy(bytes, 0, to, offset, length, false);
    }

    void store(short[] to, int offset, short value) {
        java.util.Objects.checkIndex(offset, to.length);
        if (isTransient(to)) {
            to[offset] = value;
        } else {
            write(to, offset, new short[] {value}, 2, true);
        }
    }

    void store(byte[] to, int offset, byte value) {
        java.util.Objects.checkIndex(offset, to.length);
        if (isTransient(to)) {
            to[offset] = value;
        } else {
            write(to, offset, new byte[] {value}, 1, true);
        }
    }

    private void write(Object to, int offset, Object data, int bytes, boolean atomic) {
        int elements = java.lang.reflect.Array.getLength(data);
        boolean logged = atomic && inTransaction;
        if (atomic && !inTransaction && bytes > TRANSACTION_CAPACITY) {
            TransactionException.throwIt(TransactionException.BUFFER_FULL);
        }
        if (logged) {
            transactionBytes += bytes;
            counts.largestTransaction = Math.max(counts.largestTransaction, transactionBytes);
            if (transactionBytes > TRANSACTION_CAPACITY) {
                TransactionException.throwIt(TransactionException.BUFFER_FULL);
            }
        } else if (atomic) {
            counts.largestTransaction = Math.max(counts.largestTransaction, bytes);
        } else if (inTransaction && conditional.containsKey(to)) {
            throw new IllegalStateException("a write that is not atomic, to an array that this transaction wrote:"
                + " the platform leaves open what an abort would bring back");
        }
        boolean cut = ++counts.operations >= cutAt;
        counts.writtenBytes += bytes;
        int arrive = cut && cutBytes < bytes ? cutBytes / (bytes / elements) : elements;
        // An atomic write arrives whole or not at all.
        if (!atomic || arrive == elements) {
            Object old = part(to, offset, arrive);
            Before before = new Before(to, offset, old);
            if (logged) {
                transaction.add(before);
                conditional.put(to, true);
            }
            if (remembering) {
                history.addLast(before);
            }
            System.arraycopy(data, 0, to, offset, arrive);
        }
        if (cut) {
            lose();
        }
    }

    private static Object part(Object array, int offset, int elements) {
        Object part = array instanceof byte[] ? new byte[elements] : new short[elements];
        System.arraycopy(array, offset, part, 0, elements);
        return part;
    }

    private void lose() {
        cutAt = Long.MAX_VALUE;
        throw new PowerLoss();
    }

    public void begin() {
        if (inTransaction) {
            TransactionException.throwIt(TransactionException.IN_PROGRESS);
        }
        inTransaction = true;
        transactionBytes = 0;
        counts.transactions++;
    }

    /** The commit is an operation of its own: power that fails just before it undoes all, just behind it nothing. */
    public void commit() {
        if (!inTransaction) {
            TransactionException.throwIt(TransactionException.NOT_IN_PROGRESS);
        }
        boolean cut = ++counts.operations >= cutAt;
        if (cut && cutBytes == 0) {
            lose();
        }
        endTransaction();
        if (cut) {
            lose();
        }
    }

    public void abort() {
        if (!inTransaction) {
            TransactionException.throwIt(TransactionException.NOT_IN_PROGRESS);
        }
        undoTransaction();
    }

    /** What a transaction that is still open has written is undone: at a reset, and when the applet leaves one open. */
    boolean undoTransaction() {
        boolean open = inTransaction;
        while (!transaction.isEmpty()) {
            Before before = transaction.remove(transaction.size() - 1);
            if (remembering) {
                history.addLast(new Before(before.array, before.offset,
                    part(before.array, before.offset, java.lang.reflect.Array.getLength(before.old))));
            }
            before.undo();
        }
        endTransaction();
        return open;
    }

    private void endTransaction() {
        inTransaction = false;
        transaction.clear();
        conditional.clear();
        transactionBytes = 0;
    }
}
