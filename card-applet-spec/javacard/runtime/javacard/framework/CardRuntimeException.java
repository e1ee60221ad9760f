package javacard.framework;

/** Unchecked exception of the platform with a reason code. */
public class CardRuntimeException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private short reason;

    public CardRuntimeException(short reason) {
        super(null, null, false, true);
        this.reason = reason;
    }

    public short getReason() {
        return reason;
    }

    public void setReason(short reason) {
        this.reason = reason;
    }

    @Override
    public String getMessage() {
        return String.format("reason %04X", reason);
    }
}
