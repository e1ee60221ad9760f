package yzt.runtime;

import java.util.List;
import jdk.internal.org.objectweb.asm.Opcodes;
import jdk.internal.org.objectweb.asm.Type;
import jdk.internal.org.objectweb.asm.tree.AbstractInsnNode;
import jdk.internal.org.objectweb.asm.tree.FieldInsnNode;
import jdk.internal.org.objectweb.asm.tree.IntInsnNode;
import jdk.internal.org.objectweb.asm.tree.analysis.AnalyzerException;
import jdk.internal.org.objectweb.asm.tree.analysis.BasicInterpreter;
import jdk.internal.org.objectweb.asm.tree.analysis.BasicValue;

/**
 * Follows how wide each number is: it fits 16 bits with its sign, or it may not, and then its lower half alone is what a card
 * has. See {@link Checker}.
 */
final class Widths extends BasicInterpreter {
    /** Fits a short. */
    private static final BasicValue NARROW = BasicValue.INT_VALUE;
    /** May not. */
    private static final BasicValue WIDE = new BasicValue(Type.getType("Lwide;")) {
        @Override
        public boolean equals(Object other) {
            return this == other;
        }

        @Override
        public int hashCode() {
            return 1;
        }
    };

    private final String where;
    private final List<String> faults;

    Widths(String where, List<String> faults) {
        super(Opcodes.ASM8);
        this.where = where;
        this.faults = faults;
    }

    private void narrow(BasicValue value, String use) {
        String fault = where + " " + use + " a number that may have more than 16 bits";
        if (value == WIDE && !faults.contains(fault)) {
            faults.add(fault);
        }
    }

    @Override
    public BasicValue newOperation(AbstractInsnNode instruction) throws AnalyzerException {
        if (instruction instanceof IntInsnNode number && number.getOpcode() == Opcodes.SIPUSH) {
            return NARROW;
        }
        return super.newOperation(instruction);
    }

    @Override
    public BasicValue copyOperation(AbstractInsnNode instruction, BasicValue value) throws AnalyzerException {
        if (instruction.getOpcode() == Opcodes.ISTORE) {
            narrow(value, "keeps");
        }
        return value;
    }

    @Override
    public BasicValue unaryOperation(AbstractInsnNode instruction, BasicValue value) throws AnalyzerException {
        switch (instruction.getOpcode()) {
            case Opcodes.INEG:
                // -(-32768) does not fit.
                return WIDE;
            case Opcodes.I2B:
            case Opcodes.I2S:
                return NARROW;
            case Opcodes.IINC:
                // A compiler uses it for x++ of a short only with a cut behind; javac does not use it for shorts at all.
                return WIDE;
            case Opcodes.IFEQ:
            case Opcodes.IFNE:
            case Opcodes.IFLT:
            case Opcodes.IFGE:
            case Opcodes.IFGT:
            case Opcodes.IFLE:
            case Opcodes.TABLESWITCH:
            case Opcodes.LOOKUPSWITCH:
                narrow(value, "compares");
                return null;
            case Opcodes.NEWARRAY:
            case Opcodes.ANEWARRAY:
                narrow(value, "makes an array by");
                return super.unaryOperation(instruction, value);
            case Opcodes.PUTSTATIC:
                narrow(value, "keeps");
                return null;
            case Opcodes.GETFIELD:
                return super.newOperation(new FieldInsnNode(Opcodes.GETSTATIC, "", "", ((FieldInsnNode) instruction).desc));
            default:
                return super.unaryOperation(instruction, value);
        }
    }

    @Override
    public BasicValue binaryOperation(AbstractInsnNode instruction, BasicValue first, BasicValue second) throws AnalyzerException {
        switch (instruction.getOpcode()) {
            case Opcodes.IADD:
            case Opcodes.ISUB:
            case Opcodes.IMUL:
                return WIDE;
            case Opcodes.ISHL:
                narrow(second, "shifts by");
                return WIDE;
            case Opcodes.ISHR:
                narrow(first, "shifts to the right");
                narrow(second, "shifts by");
                return NARROW;
            case Opcodes.IUSHR:
                // The sign is 16 bits further up than on a card.
                narrow(WIDE, "shifts without a sign");
                return WIDE;
            case Opcodes.IDIV:
            case Opcodes.IREM:
                narrow(first, "divides");
                narrow(second, "divides by");
                return WIDE;
            case Opcodes.IAND:
            case Opcodes.IOR:
            case Opcodes.IXOR:
                return first == WIDE || second == WIDE ? WIDE : NARROW;
            case Opcodes.BALOAD:
            case Opcodes.SALOAD:
                narrow(second, "indexes with");
                return NARROW;
            case Opcodes.AALOAD:
                narrow(second, "indexes with");
                return BasicValue.REFERENCE_VALUE;
            case Opcodes.IF_ICMPEQ:
            case Opcodes.IF_ICMPNE:
            case Opcodes.IF_ICMPLT:
            case Opcodes.IF_ICMPGE:
            case Opcodes.IF_ICMPGT:
            case Opcodes.IF_ICMPLE:
                narrow(first, "compares");
                narrow(second, "compares");
                return null;
            case Opcodes.PUTFIELD:
                narrow(second, "keeps");
                return null;
            default:
                return super.binaryOperation(instruction, first, second);
        }
    }

    @Override
    public BasicValue ternaryOperation(AbstractInsnNode instruction, BasicValue array, BasicValue index, BasicValue value) {
        narrow(index, "indexes with");
        narrow(value, "keeps");
        return null;
    }

    @Override
    public BasicValue naryOperation(AbstractInsnNode instruction, List<? extends BasicValue> values) throws AnalyzerException {
        values.forEach(value -> narrow(value, "passes"));
        return super.naryOperation(instruction, values);
    }

    @Override
    public void returnOperation(AbstractInsnNode instruction, BasicValue value, BasicValue expected) {
        narrow(value, "returns");
    }

    @Override
    public BasicValue merge(BasicValue first, BasicValue second) {
        if (first == WIDE || second == WIDE) {
            return first.equals(BasicValue.UNINITIALIZED_VALUE) || second.equals(BasicValue.UNINITIALIZED_VALUE)
                ? BasicValue.UNINITIALIZED_VALUE : WIDE;
        }
        return super.merge(first, second);
    }
}
