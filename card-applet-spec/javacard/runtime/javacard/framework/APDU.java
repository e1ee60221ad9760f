package javacard.framework;

import java.util.Arrays;
import yzt.runtime.Platform;

/**
 * A command and its answer over T=1 or T=CL, where a missing Le is told from Le 00. The buffer has room for the longest
 * short command and is a global array: nothing of it is non-volatile.
 */
public final class APDU {
    private static final int BUFFER = 261;

    private final byte[] buffer = new byte[BUFFER];
    private byte[] data = new byte[0];
    private short expected;
    private byte[] answer = new byte[0];
    private int length;
    private boolean received;
    private boolean outgoing;

    /** Made by the platform alone. */
    public APDU(Platform platform) {
        platform.memory().makeTransientFor(buffer);
    }

    /** Whether the lengths of a command add up as a short one (ISO/IEC 7816-3, cases 1 to 4). */
    public static boolean isShort(byte[] command) {
        if (command.length < 4) {
            return false;
        }
        if (command.length <= 5) {
            return true;
        }
        int lc = command[4] & 0xFF;
        int rest = command.length - 5 - lc;
        return lc > 0 && (rest == 0 || rest == 1);
    }

    /** A short command has come. */
    public void begin(byte[] command) {
        int lc = command.length > 5 ? command[4] & 0xFF : 0;
        data = lc == 0 ? new byte[0] : Arrays.copyOfRange(command, 5, 5 + lc);
        boolean le = command.length == 5 || command.length > 5 + lc && lc > 0;
        expected = (short) (le ? (command[command.length - 1] & 0xFF) : 0);
        if (le && expected == 0) {
            expected = 256;
        }
        Arrays.fill(buffer, (byte) 0);
        System.arraycopy(command, 0, buffer, 0, 4);
        buffer[4] = (byte) lc;
        answer = new byte[0];
        length = 0;
        received = false;
        outgoing = false;
    }

    /** What the applet has sent. */
    public byte[] end() {
        byte[] sent = answer;
        answer = new byte[0];
        Arrays.fill(buffer, (byte) 0);
        return sent;
    }

    public void clearBuffer() {
        Arrays.fill(buffer, (byte) 0);
    }

    public byte[] getBuffer() {
        return buffer;
    }

    public short setIncomingAndReceive() {
        if (received || outgoing) {
            APDUException.throwIt(APDUException.ILLEGAL_USE);
        }
        received = true;
        System.arraycopy(data, 0, buffer, 5, data.length);
        return (short) data.length;
    }

    /** Le: 256 for the byte 00, 0 where none was sent. */
    public short setOutgoing() {
        if (outgoing) {
            APDUException.throwIt(APDUException.ILLEGAL_USE);
        }
        outgoing = true;
        return expected;
    }

    public void setOutgoingLength(short bytes) {
        if (!outgoing) {
            APDUException.throwIt(APDUException.ILLEGAL_USE);
        }
        if (bytes < 0 || bytes > 256) {
            APDUException.throwIt(APDUException.BAD_LENGTH);
        }
        length = bytes;
    }

    public void sendBytesLong(byte[] from, short offset, short bytes) {
        if (!outgoing || answer.length + bytes > length) {
            APDUException.throwIt(APDUException.ILLEGAL_USE);
        }
        int before = answer.length;
        byte[] more = Arrays.copyOfRange(from, offset, offset + bytes);
        answer = Arrays.copyOf(answer, before + bytes);
        System.arraycopy(more, 0, answer, before, bytes);
    }
}
