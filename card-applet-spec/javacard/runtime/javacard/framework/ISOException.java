package javacard.framework;


/** A status word on its way out. */
public class ISOException extends CardRuntimeException {

    private static final long serialVersionUID = 1L;

    public ISOException(short reason) {
        super(reason);
    }

    public static void throwIt(short reason) {
        throw new ISOException(reason);
    }
}
