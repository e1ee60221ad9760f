package yzt.runtime;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;

/**
 * A card as a process: orders on standard input, answers on standard output, each `type1 length2 bytes`.
 *
 * <pre>
 * K serial10 keys48           a new blank, without power
 * P, O                        power on, power off
 * C command                   one command; answered C answer, W answer where something was written, or D when power failed
 *                             before there was an answer
 * T operation4 bytes4         power fails in that write operation from now (1: the next; 0: not any more)
 * M, R                        remember this state; go back to it, without power
 * G, L bytes                  all non-volatile bytes; those of another time, without power
 * N                           counts, one {@code name value} a line
 * </pre>
 *
 * An order that is done is answered with its own letter. It ends with its input.
 */
public final class Server {
    private final DataInputStream in;
    private final DataOutputStream out;
    private Platform card;

    private Server(DataInputStream in, DataOutputStream out) {
        this.in = in;
        this.out = out;
    }

    public static void main(String[] arguments) throws Exception {
        new Server(new DataInputStream(new java.io.BufferedInputStream(System.in)),
            new DataOutputStream(new java.io.BufferedOutputStream(System.out))).serve();
    }

    private void serve() throws Exception {
        while (true) {
            int order;
            byte[] data;
            try {
                order = in.readUnsignedByte();
                data = new byte[in.readUnsignedShort()];
                in.readFully(data);
            } catch (EOFException end) {
                return;
            }
            carryOut(order, data);
        }
    }

    private void carryOut(int order, byte[] data) throws Exception {
        switch (order) {
            case 'K' -> {
                card = Cards.blank(data, new SecureRandom());
                say('K', new byte[0]);
            }
            case 'P' -> {
                card.powerOn();
                say('P', new byte[0]);
            }
            case 'O' -> {
                card.powerOff();
                say('O', new byte[0]);
            }
            case 'C' -> {
                long before = card.counts().operations();
                byte[] answer = card.process(data);
                if (card.escaped() != null) {
                    card.escaped().printStackTrace();
                }
                char what = card.counts().operations() == before ? 'C' : 'W';
                say(answer == null ? 'D' : what, answer == null ? new byte[0] : answer);
            }
            case 'T' -> {
                ByteBuffer cut = ByteBuffer.wrap(data);
                card.memory().cut(cut.getInt(), cut.getInt());
                say('T', new byte[0]);
            }
            case 'M' -> {
                card.memory().mark();
                say('M', new byte[0]);
            }
            case 'R' -> {
                card.powerOff();
                card.memory().restore();
                say('R', new byte[0]);
            }
            case 'G' -> say('G', Cards.image(card));
            case 'L' -> {
                Cards.load(card, data);
                say('L', new byte[0]);
            }
            case 'N' -> say('N', card.counts().toString().getBytes(StandardCharsets.US_ASCII));
            default -> throw new IOException("no such order: " + order);
        }
    }

    private void say(char what, byte[] data) throws IOException {
        out.writeByte(what);
        out.writeShort(data.length);
        out.write(data);
        out.flush();
    }
}
