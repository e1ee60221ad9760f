package yzt.permit;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.CardRuntimeException;
import javacard.framework.ISOException;
import javacard.framework.Util;

/** The command loop: receive, gate by session, run, answer. Any error ends every session (chapter 01). */
public final class PermitApplet extends Applet {
    private final Card card;
    private final DoorI doorI;
    private final DoorF doorF;
    private final DoorS doorS;
    private final Update update;

    private PermitApplet(byte[] parameters, short at, short length) {
        card = new Card();
        doorI = new DoorI(card);
        doorF = new DoorF(card);
        doorS = new DoorS(card);
        update = new Update(card, doorF, doorI);
        Manufacture.blank(card, parameters, at, length);
    }

    /** Install parameters: see Manufacture. */
    public static void install(byte[] bArray, short bOffset, byte bLength) {
        short name = (short) (bOffset + 1);
        short privileges = (short) (name + bArray[bOffset]);
        short parameters = (short) (privileges + 1 + bArray[privileges]);
        PermitApplet applet = new PermitApplet(bArray, (short) (parameters + 1), bArray[parameters]);
        applet.register(bArray, name, bArray[bOffset]);
    }

    @Override
    public void process(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        byte[] session = card.ram.session;
        Sw.need(card.ram.faulted[0] == 0, Sw.MEMORY_FAILURE);
        short lc = apdu.setIncomingAndReceive();
        short le = apdu.setOutgoing();
        short length = 0;
        boolean reset = session[Ram.SESSION] == Ram.S_RESET;
        try {
            length = selectingApplet() ? select(buffer, lc) : run(buffer, lc, le);
        } catch (ISOException refused) {
            // A SELECT that was refused leaves nothing selected; every other error leads back to selected.
            if (!reset && session[Ram.SESSION] != Ram.S_RESET) {
                session[Ram.SESSION] = Ram.S_SELECTED;
            }
            throw refused;
        } catch (CardRuntimeException fault) {
            card.ram.faulted[0] = 1;
            ISOException.throwIt(Sw.MEMORY_FAILURE);
        }
        apdu.setOutgoingLength(length);
        apdu.sendBytesLong(buffer, (short) 0, length);
    }

    /** The platform has selected us: by the whole name, or by a part of it. */
    private short select(byte[] buffer, short lc) {
        card.ram.session[Ram.SESSION] = Ram.S_RESET;
        short name = (short) Codes.AID.length;
        Sw.need(lc == name && Bytes.equal(buffer, (short) 5, Codes.AID, (short) 0, name), Sw.NO_APPLICATION);
        card.storage.sweep();
        card.ram.session[Ram.SESSION] = Ram.S_SELECTED;
        return Util.arrayCopyNonAtomic(Codes.CARD_INFO, (short) 0, buffer, (short) 0, (short) Codes.CARD_INFO.length);
    }

    private short run(byte[] buffer, short lc, short le) {
        byte[] session = card.ram.session;
        byte command = Command.of(buffer[0], buffer[1]);
        if (command == Command.SELECT) {
            // Of another application, which the platform does not have.
            session[Ram.SESSION] = Ram.S_RESET;
            Sw.need(buffer[2] == 4 && buffer[3] == 0, Sw.WRONG_P1P2);
            ISOException.throwIt(Sw.NO_APPLICATION);
        }
        switch (session[Ram.SESSION]) {
            case Ram.S_SELECTED:
                return runOpen(false, command, buffer, lc, le);
            case Ram.S_TAPPED:
                // The TAP is used up, whatever the answer.
                session[Ram.SESSION] = Ram.S_SELECTED;
                return runOpen(true, command, buffer, lc, le);
            case Ram.S_OPENING_I:
                Sw.need(command == Command.EXTERNAL_AUTHENTICATE, Sw.CONDITIONS);
                return doorI.externalAuthenticate(buffer, lc, le);
            case Ram.S_DOOR_I:
                if (command == Command.STEP) {
                    return doorI.scriptStep(buffer, lc, le);
                }
                Sw.need(command == Command.REPORT, Sw.CONDITIONS);
                return doorI.report(buffer, lc, le);
            case Ram.S_PRESENTING:
                if (command == Command.PRESENT_CERTIFICATE) {
                    return doorS.presentLeaf(buffer, lc, le);
                }
                if (command == Command.GET_CHALLENGE) {
                    return doorS.getChallenge(buffer, lc, le);
                }
                Sw.need(command == Command.AGREE, Sw.CONDITIONS);
                return doorS.agree(buffer, lc, le);
            case Ram.S_DOOR_S:
                if (command == Command.READ_OBJECT) {
                    return doorS.read(buffer, lc, le);
                }
                Sw.need(command == Command.RESET_COUNTER, Sw.CONDITIONS);
                return doorS.resetCounter(buffer, lc, le);
            default:
                ISOException.throwIt(Sw.CONDITIONS);
                return 0;
        }
    }

    /** Nothing is open. */
    private short runOpen(boolean tapped, byte command, byte[] buffer, short lc, short le) {
        switch (command) {
            case Command.GET_DATA:
                return card.getData(buffer, lc, le);
            case Command.INITIALIZE_UPDATE:
                return doorI.initializeUpdate(buffer, lc, le);
            case Command.TAP:
                return doorF.tap(buffer, lc, le);
            case Command.COMMIT:
                Sw.need(tapped, Sw.CONDITIONS);
                return doorF.commit(buffer, lc, le);
            case Command.UPDATE:
                return update.update(tapped, buffer, lc, le);
            case Command.PRESENT_CERTIFICATE:
                return doorS.presentIntermediate(buffer, lc, le);
            case Command.UNKNOWN_INSTRUCTION:
                ISOException.throwIt(Sw.NO_INSTRUCTION);
                return 0;
            case Command.UNKNOWN_CLASS:
                ISOException.throwIt(Sw.NO_CLASS);
                return 0;
            default:
                // Known, but out of order here.
                ISOException.throwIt(Sw.CONDITIONS);
                return 0;
        }
    }
}
