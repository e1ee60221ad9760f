package yzt.tests;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Runs every test of the Java part in one process; exit code 1 when one failed. */
public final class Main {
    /** What may go wrong in a test. */
    interface Body {
        void run() throws Exception;
    }

    private final List<String> failed = new ArrayList<>();
    private int passed;

    private Main() {
    }

    public static void main(String[] arguments) {
        Main main = new Main();
        Path classes = Path.of(System.getProperty("java.class.path"));
        CheckerTests.all(main, classes);
        RuntimeTests.all(main);
        System.out.printf("javacard: %d passed, %d failed%n", main.passed, main.failed.size());
        System.exit(main.failed.isEmpty() ? 0 : 1);
    }

    void test(String sentence, Body body) {
        try {
            body.run();
            passed++;
        } catch (Exception | AssertionError fault) {
            failed.add(sentence);
            System.out.println("FAILED " + sentence);
            fault.printStackTrace(System.out);
        }
    }

    static void equal(Object expected, Object is) {
        if (!expected.equals(is)) {
            throw new AssertionError(is + " instead of " + expected);
        }
    }

    static void holds(boolean condition, String what) {
        if (!condition) {
            throw new AssertionError(what);
        }
    }
}
