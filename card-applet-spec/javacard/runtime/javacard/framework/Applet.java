package javacard.framework;

import java.util.Arrays;
import yzt.runtime.Platform;

/** An applet, as the platform drives it. */
public abstract class Applet {
    protected Applet() {
    }

    public abstract void process(APDU apdu);

    public boolean select() {
        return true;
    }

    public void deselect() {
    }

    protected final void register(byte[] name, short offset, byte length) {
        Platform.current().register(this, Arrays.copyOfRange(name, offset, offset + length));
    }

    protected final boolean selectingApplet() {
        return Platform.current().isSelecting();
    }
}
