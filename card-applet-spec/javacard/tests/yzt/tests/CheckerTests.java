package yzt.tests;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.List;
import yzt.runtime.Checker;

/** The applet's classes are of the Java Card subset, and the checker finds what is not. */
final class CheckerTests {
    private static final String APPLET = "yzt/permit/";

    private CheckerTests() {
    }

    static void all(Main main, Path classes) {
        main.test("the applet's classes are of the subset", () -> {
            List<String> faults = Checker.check(classes.resolve(APPLET), APPLET);
            Main.holds(faults.isEmpty(), String.join("\n", faults));
        });
        main.test("every kind of forbidden code is found", () -> {
            found("IntVariable", "has the type int");
            found("LongSum", "has the type long");
            found("Text", "names java/lang/String");
            found("Field", "is a field that can change");
            found("Late", "makes an object outside of install");
            found("Grid", "array of arrays");
            found("Thread", "is synchronized");
            found("WideCompare", "compares a number that may have more than 16 bits");
            found("WideShift", "shifts to the right a number");
            found("WideIndex", "indexes with a number");
            found("Unsigned", "shifts without a sign");
            found("Runtime", "names yzt/runtime/Platform");
        });
    }

    private static void found(String sample, String fault) throws IOException {
        String name = "yzt/tests/Samples$" + sample;
        try (InputStream in = CheckerTests.class.getClassLoader().getResourceAsStream(name + ".class")) {
            List<String> faults = Checker.check(in.readAllBytes(), name);
            Main.holds(faults.stream().anyMatch(found -> found.contains(fault)), sample + ": " + faults);
        }
    }
}
