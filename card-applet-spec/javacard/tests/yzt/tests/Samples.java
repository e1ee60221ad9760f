package yzt.tests;

/** Classes with one fault each, for the checker. They are never run. */
final class Samples {
    private Samples() {
    }

    static final class IntVariable {
        short sum(short a) {
            int b = a;
            return (short) (b + 1);
        }
    }

    static final class LongSum {
        long sum(long a) {
            return a + 1;
        }
    }

    static final class Text {
        Object text(String text) {
            return text;
        }
    }

    static final class Field {
        short count;
    }

    static final class Late {
        byte[] make() {
            return new byte[4];
        }
    }

    static final class Grid {
        final byte[][] grid = new byte[2][2];
    }

    static final class Thread {
        synchronized void run() {
        }
    }

    static final class WideCompare {
        boolean compare(short a, short b) {
            return a + b > 5;
        }
    }

    static final class WideShift {
        short shift(short a, short b) {
            return (short) ((a + b) >> 1);
        }
    }

    static final class WideIndex {
        byte index(byte[] bytes, short a) {
            return bytes[a + 1];
        }
    }

    static final class Unsigned {
        short shift(short a) {
            return (short) (a >>> 3);
        }
    }

    static final class Runtime {
        Object platform() {
            return yzt.runtime.Platform.current();
        }
    }
}
