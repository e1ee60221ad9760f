package yzt.runtime;

/**
 * Power is gone in the middle of a write. No applet catches it: it is no exception of the platform, and what the applet
 * would have done next never happens.
 */
public final class PowerLoss extends Error {
    private static final long serialVersionUID = 1L;

    public PowerLoss() {
        super("power was lost", null, false, false);
    }
}
