package yzt.runtime;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.Opcodes;
import jdk.internal.org.objectweb.asm.Type;
import jdk.internal.org.objectweb.asm.tree.AbstractInsnNode;
import jdk.internal.org.objectweb.asm.tree.ClassNode;
import jdk.internal.org.objectweb.asm.tree.FieldInsnNode;
import jdk.internal.org.objectweb.asm.tree.FieldNode;
import jdk.internal.org.objectweb.asm.tree.IntInsnNode;
import jdk.internal.org.objectweb.asm.tree.LdcInsnNode;
import jdk.internal.org.objectweb.asm.tree.LocalVariableNode;
import jdk.internal.org.objectweb.asm.tree.MethodInsnNode;
import jdk.internal.org.objectweb.asm.tree.MethodNode;
import jdk.internal.org.objectweb.asm.tree.TypeInsnNode;
import jdk.internal.org.objectweb.asm.tree.analysis.Analyzer;
import jdk.internal.org.objectweb.asm.tree.analysis.AnalyzerException;

/**
 * Refuses class files that no Java Card 3.0.4 classic platform takes (Virtual Machine Specification, chapter 2), or that
 * break a rule of our own: nothing is made after install, and everything that changes is an array, so that {@link Weaver}
 * sees every write.
 *
 * <p>Numbers: a compiler computes in 32 bits, a card in 16. A value that may have more than 16 bits may be added to,
 * subtracted from, masked or cut to a short; whatever would see its upper half (comparison, division, shift to the right,
 * index, argument, store) is refused, as the converters refuse it.
 */
public final class Checker {
    /** What the applet may name of the platform. */
    private static final Set<String> PLATFORM = Set.of("javacard/framework/", "javacard/security/", "javacardx/crypto/");
    /** Of the platform's own package, and not for applets. */
    private static final Set<String> CLOSED = Set.of("javacard/security/KeyValues", "javacard/framework/Memories");
    private static final Set<String> LANGUAGE = Set.of("java/lang/Object");
    private static final Set<Integer> WIDE_TYPES = Set.of(Type.INT, Type.LONG, Type.FLOAT, Type.DOUBLE, Type.CHAR);

    private final String applet;
    private final List<String> faults = new ArrayList<>();

    private Checker(String applet) {
        this.applet = applet;
    }

    /** Everything that is wrong with the classes of a folder; `applet` is their package with a slash behind it. */
    public static List<String> check(Path folder, String applet) throws IOException {
        Checker checker = new Checker(applet);
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(path -> path.toString().endsWith(".class")).sorted().toList()) {
                checker.check(Files.readAllBytes(file));
            }
        }
        return checker.faults;
    }

    /** The same of one class, for the checker's own tests. */
    public static List<String> check(byte[] bytes, String applet) {
        Checker checker = new Checker(applet);
        checker.check(bytes);
        return checker.faults;
    }

    private void check(byte[] bytes) {
        ClassNode node = new ClassNode(Opcodes.ASM8);
        new ClassReader(bytes).accept(node, 0);
        String where = node.name;
        named(where, node.superName);
        if (!node.interfaces.isEmpty()) {
            node.interfaces.forEach(name -> named(where, name));
        }
        if ((node.access & Opcodes.ACC_ENUM) != 0 || (node.access & Opcodes.ACC_ANNOTATION) != 0) {
            fault(where, "is an enum or an annotation");
        }
        for (FieldNode field : node.fields) {
            String at = where + "." + field.name;
            typed(at, Type.getType(field.desc));
            boolean constant = (field.access & Opcodes.ACC_FINAL) != 0;
            if (!constant) {
                fault(at, "is a field that can change: use an array");
            }
        }
        for (MethodNode method : node.methods) {
            check(where, method);
        }
    }

    private void check(String owner, MethodNode method) {
        String where = owner + "." + method.name;
        Type type = Type.getMethodType(method.desc);
        typed(where, type.getReturnType());
        for (Type argument : type.getArgumentTypes()) {
            typed(where, argument);
        }
        if ((method.access & (Opcodes.ACC_SYNCHRONIZED | Opcodes.ACC_NATIVE)) != 0) {
            fault(where, "is synchronized or native");
        }
        if (method.localVariables != null) {
            for (LocalVariableNode local : method.localVariables) {
                typed(where + " " + local.name, Type.getType(local.desc));
            }
        }
        boolean makes = method.name.equals("<init>") || method.name.equals("<clinit>") || method.name.equals("install");
        for (AbstractInsnNode instruction : method.instructions) {
            check(where, method, makes, instruction);
        }
        try {
            new Analyzer<>(new Widths(where, faults)).analyze(owner, method);
        } catch (AnalyzerException refused) {
            fault(where, refused.getMessage());
        }
    }

    private void check(String where, MethodNode method, boolean makes, AbstractInsnNode instruction) {
        int opcode = instruction.getOpcode();
        if (instruction instanceof MethodInsnNode call) {
            named(where, call.owner);
        } else if (instruction instanceof FieldInsnNode field) {
            named(where, field.owner);
            boolean builds = method.name.equals("<init>") || method.name.equals("<clinit>");
            if ((opcode == Opcodes.PUTFIELD || opcode == Opcodes.PUTSTATIC) && !builds) {
                fault(where, "sets the field " + field.name + " outside of a constructor");
            }
        } else if (instruction instanceof TypeInsnNode typed) {
            if (opcode == Opcodes.NEW || opcode == Opcodes.ANEWARRAY) {
                made(where, makes);
            }
            if (typed.desc.startsWith("[[") || opcode == Opcodes.ANEWARRAY && typed.desc.startsWith("[")) {
                fault(where, "uses an array of arrays");
            }
            named(where, typed.desc);
        } else if (instruction instanceof IntInsnNode number && opcode == Opcodes.NEWARRAY) {
            made(where, makes);
            if (number.operand != Opcodes.T_BYTE && number.operand != Opcodes.T_SHORT) {
                fault(where, "makes an array of another type than byte and short");
            }
        } else if (instruction instanceof LdcInsnNode constant) {
            // Numbers up to 32767 are pushed by another instruction.
            fault(where, "loads the constant " + constant.cst);
        } else if (isForbidden(opcode)) {
            fault(where, "uses an instruction that no card has (" + opcode + ")");
        }
    }

    private void made(String where, boolean makes) {
        if (!makes) {
            fault(where, "makes an object outside of install and constructors");
        }
    }

    /** Long, float, double, threads, arrays of arrays, dynamic calls, characters. */
    private static boolean isForbidden(int opcode) {
        return switch (opcode) {
            case Opcodes.LCONST_0, Opcodes.LCONST_1, Opcodes.FCONST_0, Opcodes.FCONST_1, Opcodes.FCONST_2,
                Opcodes.DCONST_0, Opcodes.DCONST_1, Opcodes.LLOAD, Opcodes.FLOAD, Opcodes.DLOAD, Opcodes.IALOAD,
                Opcodes.LALOAD, Opcodes.FALOAD, Opcodes.DALOAD, Opcodes.CALOAD, Opcodes.LSTORE, Opcodes.FSTORE,
                Opcodes.DSTORE, Opcodes.IASTORE, Opcodes.LASTORE, Opcodes.FASTORE, Opcodes.DASTORE, Opcodes.CASTORE,
                Opcodes.LADD, Opcodes.FADD, Opcodes.DADD, Opcodes.LSUB, Opcodes.FSUB, Opcodes.DSUB, Opcodes.LMUL,
                Opcodes.FMUL, Opcodes.DMUL, Opcodes.LDIV, Opcodes.FDIV, Opcodes.DDIV, Opcodes.LREM, Opcodes.FREM,
                Opcodes.DREM, Opcodes.LNEG, Opcodes.FNEG, Opcodes.DNEG, Opcodes.LSHL, Opcodes.LSHR, Opcodes.LUSHR,
                Opcodes.LAND, Opcodes.LOR, Opcodes.LXOR, Opcodes.I2L, Opcodes.I2F, Opcodes.I2D, Opcodes.L2I,
                Opcodes.L2F, Opcodes.L2D, Opcodes.F2I, Opcodes.F2L, Opcodes.F2D, Opcodes.D2I, Opcodes.D2L, Opcodes.D2F,
                Opcodes.I2C, Opcodes.LCMP, Opcodes.FCMPL, Opcodes.FCMPG, Opcodes.DCMPL, Opcodes.DCMPG,
                Opcodes.LRETURN, Opcodes.FRETURN, Opcodes.DRETURN, Opcodes.INVOKEDYNAMIC, Opcodes.MONITORENTER,
                Opcodes.MONITOREXIT, Opcodes.MULTIANEWARRAY -> true;
            default -> false;
        };
    }

    private void typed(String where, Type type) {
        if (type.getSort() == Type.ARRAY) {
            if (type.getDimensions() > 1) {
                fault(where, "is an array of arrays");
            }
            type = type.getElementType();
        }
        if (WIDE_TYPES.contains(type.getSort())) {
            fault(where, "has the type " + type.getClassName());
        } else if (type.getSort() == Type.OBJECT) {
            named(where, type.getInternalName());
        }
    }

    private void named(String where, String name) {
        String type = name.startsWith("[L") ? name.substring(2, name.length() - 1) : name;
        boolean known = type.startsWith("[") || type.startsWith(applet) || LANGUAGE.contains(type)
            || !CLOSED.contains(type) && PLATFORM.contains(type.substring(0, type.lastIndexOf('/') + 1));
        if (!known) {
            fault(where, "names " + type);
        }
    }

    private void fault(String where, String what) {
        faults.add(where + " " + what);
    }
}
