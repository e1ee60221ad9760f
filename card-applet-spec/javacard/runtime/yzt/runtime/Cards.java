package yzt.runtime;

import java.util.Random;

/** Makes a card with the permit applet on it, as a card maker's controlled room does. */
public final class Cards {
    private static final byte[] AID = {(byte) 0xF0, 0x59, 0x5A, 0x54, 0x52, 0x50, 0x01};
    private static final String APPLET = "yzt.permit.";

    private Cards() {
    }

    /** A blank: `parameters` are serial10 || ENC16 MAC16 DEK16. */
    public static Platform blank(byte[] parameters, Random random) throws ReflectiveOperationException {
        Platform card = new Platform(random);
        Class<?> applet = new Weaver(APPLET).loadClass(APPLET + "PermitApplet");
        card.install(applet, AID, parameters);
        return card;
    }

    /** All non-volatile bytes of a card. */
    public static byte[] image(Platform card) {
        return card.memory().image();
    }

    /** Puts the bytes of another time into a card, which loses its power. */
    public static void load(Platform card, byte[] image) {
        card.powerOff();
        card.memory().load(image);
    }
}
