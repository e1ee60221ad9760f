package yzt.runtime;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.CardRuntimeException;
import javacard.framework.ISOException;

/**
 * One card with one applet: install, power, selection, dispatch of commands, as the Java Card 3.0.5 Runtime Environment
 * says (chapters 3, 4, 9). The platform answers what never reaches an applet: commands that are no short APDU, and
 * commands while nothing is selected.
 *
 * <p>Left out: other applets, a security domain, logical channels, the firewall, and every measure of time.
 */
public final class Platform {
    private static final int WRONG_LENGTH = 0x6700;
    private static final int NO_APPLET = 0x6A82;
    private static final int NOTHING_SELECTED = 0x6999;
    private static final int SELECT_FAILED = 0x6999;
    private static final int UNKNOWN = 0x6F00;

    /** The card whose code runs now; the API of Java Card is static. */
    private static Platform current;

    private final Counts counts = new Counts();
    private final Memory memory = new Memory(counts);
    private final Random random;
    private final List<Runnable> atReset = new ArrayList<>();
    private APDU apdu;
    private Applet applet;
    private byte[] aid = new byte[0];
    private boolean selected;
    private boolean selecting;
    private boolean powered;
    /** What left the applet last and was no status word: for a test that wonders about 6F00. */
    private Throwable escaped;

    public Platform(Random random) {
        this.random = random;
    }

    public static Platform current() {
        return current;
    }

    public Memory memory() {
        return memory;
    }

    public Counts counts() {
        return counts;
    }

    public Random random() {
        return random;
    }

    public Throwable escaped() {
        return escaped;
    }

    /** Util.arrayCopy and its kin. */
    public void copy(byte[] from, int at, byte[] to, int offset, int length, boolean atomic) {
        memory.copy(from, at, to, offset, length, atomic);
    }

    /** Util.arrayFillNonAtomic. */
    public void fill(byte[] to, int offset, int length, byte value) {
        memory.fill(to, offset, length, value);
    }

    /** Called by the register method of the applet. */
    public void register(Applet registered, byte[] name) {
        applet = registered;
        aid = name.clone();
    }

    /** A volatile object of the platform: what it holds is gone after a reset. */
    public void forgetsAtReset(Runnable forget) {
        atReset.add(forget);
    }

    public boolean isSelecting() {
        return selecting;
    }

    /** Installs the applet, class by name, with install parameters as the platform hands them over. */
    public void install(Class<?> type, byte[] name, byte[] parameters) throws ReflectiveOperationException {
        current = this;
        apdu = new APDU(this);
        byte[] data = new byte[name.length + parameters.length + 3];
        data[0] = (byte) name.length;
        System.arraycopy(name, 0, data, 1, name.length);
        data[name.length + 1] = 0;
        data[name.length + 2] = (byte) parameters.length;
        System.arraycopy(parameters, 0, data, name.length + 3, parameters.length);
        memory.makeTransientFor(data);
        try {
            type.getMethod("install", byte[].class, short.class, byte.class)
                .invoke(null, data, (short) 0, (byte) data.length);
        } catch (java.lang.reflect.InvocationTargetException failed) {
            if (failed.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw failed;
        }
        if (applet == null) {
            throw new IllegalStateException("the applet did not register itself");
        }
        counts.installed = true;
        powerOff();
    }

    public void powerOn() {
        powerOff();
        powered = true;
    }

    /** Power goes: an open transaction is undone, everything transient is forgotten. */
    public void powerOff() {
        memory.undoTransaction();
        memory.clear(true);
        atReset.forEach(Runnable::run);
        selected = false;
        powered = false;
    }

    /** One command; null when power failed before the answer. */
    public byte[] process(byte[] command) {
        if (!powered) {
            return null;
        }
        current = this;
        escaped = null;
        try {
            return dispatch(command);
        } catch (PowerLoss lost) {
            powerOff();
            return null;
        }
    }

    private byte[] dispatch(byte[] command) {
        if (!APDU.isShort(command)) {
            return status(WRONG_LENGTH);
        }
        boolean byName = command[0] == 0 && command[1] == (byte) 0xA4 && command[2] == 4 && command[3] == 0;
        if (byName) {
            int length = command.length > 5 ? command[4] & 0xFF : 0;
            // A name that begins the applet's selects it too.
            boolean ours = length > 0 && length <= aid.length
                && Arrays.equals(aid, 0, length, command, 5, 5 + length);
            if (ours) {
                return select(command);
            }
            if (!selected) {
                return status(NO_APPLET);
            }
        }
        return selected ? run(command) : status(NOTHING_SELECTED);
    }

    private byte[] select(byte[] command) {
        if (selected) {
            selected = false;
            applet.deselect();
            memory.undoTransaction();
        }
        memory.clear(false);
        apdu.clearBuffer();
        boolean accepted = applet.select();
        memory.undoTransaction();
        if (!accepted) {
            return status(SELECT_FAILED);
        }
        selected = true;
        selecting = true;
        try {
            return run(command);
        } finally {
            selecting = false;
        }
    }

    private byte[] run(byte[] command) {
        apdu.begin(command);
        int sw = 0x9000;
        try {
            applet.process(apdu);
        } catch (ISOException refusal) {
            sw = refusal.getReason() & 0xFFFF;
        } catch (CardRuntimeException | IllegalStateException | NullPointerException
            | IndexOutOfBoundsException | ArithmeticException | ClassCastException fault) {
            escaped = fault;
            sw = UNKNOWN;
        }
        memory.undoTransaction();
        byte[] body = apdu.end();
        byte[] answer = Arrays.copyOf(body, body.length + 2);
        answer[body.length] = (byte) (sw >> 8);
        answer[body.length + 1] = (byte) sw;
        return answer;
    }

    private static byte[] status(int sw) {
        return new byte[] {(byte) (sw >> 8), (byte) sw};
    }
}
