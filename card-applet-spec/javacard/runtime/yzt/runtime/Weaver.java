package yzt.runtime;

import java.io.IOException;
import java.io.InputStream;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.ClassVisitor;
import jdk.internal.org.objectweb.asm.ClassWriter;
import jdk.internal.org.objectweb.asm.MethodVisitor;
import jdk.internal.org.objectweb.asm.Opcodes;

/**
 * Loads the applet's classes with its stores to arrays and its allocations replaced by calls of {@link Stores}, so that no
 * write to non-volatile memory goes unseen. Each loader has static fields of its own: a card each.
 *
 * <p>It uses the bytecode library that Java 17 carries inside (`--add-exports
 * java.base/jdk.internal.org.objectweb.asm=ALL-UNNAMED`). Fields need no weaving: {@link Checker} refuses an applet that
 * sets one outside of a constructor.
 */
public final class Weaver extends ClassLoader {
    private static final String STORES = "yzt/runtime/Stores";
    private static final String LOADED = "loaded";

    private final String applet;

    /** `applet` begins the names of the classes that are woven: {@code yzt.permit.}. */
    public Weaver(String applet) {
        super(Weaver.class.getClassLoader());
        this.applet = applet;
    }

    @Override
    protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        if (!name.startsWith(applet)) {
            return super.loadClass(name, resolve);
        }
        Class<?> loaded = findLoadedClass(name);
        return loaded == null ? weave(name) : loaded;
    }

    private Class<?> weave(String name) throws ClassNotFoundException {
        try (InputStream in = getParent().getResourceAsStream(name.replace('.', '/') + ".class")) {
            if (in == null) {
                throw new ClassNotFoundException(name);
            }
            ClassWriter out = new ClassWriter(ClassWriter.COMPUTE_MAXS);
            new ClassReader(in.readAllBytes()).accept(new Woven(out), 0);
            byte[] bytes = out.toByteArray();
            return defineClass(name, bytes, 0, bytes.length);
        } catch (IOException failed) {
            throw new ClassNotFoundException(name, failed);
        }
    }

    private static final class Woven extends ClassVisitor {
        Woven(ClassVisitor next) {
            super(Opcodes.ASM8, next);
        }

        @Override
        public MethodVisitor visitMethod(int access, String name, String descriptor, String signature, String[] throwing) {
            // Static arrays are part of the load file on a card; only this machine makes and fills them at their first use.
            String count = name.equals("<clinit>") ? LOADED : "allocated";
            return new Method(super.visitMethod(access, name, descriptor, signature, throwing), count);
        }
    }

    private static final class Method extends MethodVisitor {
        private final String count;

        Method(MethodVisitor next, String count) {
            super(Opcodes.ASM8, next);
            this.count = count;
        }

        @Override
        public void visitInsn(int opcode) {
            if (count.equals(LOADED)) {
                super.visitInsn(opcode);
            } else if (opcode == Opcodes.BASTORE) {
                super.visitMethodInsn(Opcodes.INVOKESTATIC, STORES, "store", "([BIB)V", false);
            } else if (opcode == Opcodes.SASTORE) {
                super.visitMethodInsn(Opcodes.INVOKESTATIC, STORES, "store", "([SIS)V", false);
            } else {
                super.visitInsn(opcode);
            }
        }

        @Override
        public void visitTypeInsn(int opcode, String type) {
            if (opcode == Opcodes.ANEWARRAY) {
                sized(2);
            }
            super.visitTypeInsn(opcode, type);
            if (opcode == Opcodes.NEW) {
                // Behind it: frames name the place of NEW for what is not initialised yet.
                allocated(16);
            }
        }

        @Override
        public void visitIntInsn(int opcode, int operand) {
            if (opcode == Opcodes.NEWARRAY) {
                sized(operand == Opcodes.T_SHORT ? 2 : 1);
            }
            super.visitIntInsn(opcode, operand);
            if (opcode == Opcodes.NEWARRAY && operand == Opcodes.T_BYTE && !count.equals(LOADED)) {
                super.visitInsn(Opcodes.DUP);
                super.visitMethodInsn(Opcodes.INVOKESTATIC, STORES, "made", "([B)V", false);
            }
        }

        /** The length of the array stands on the stack. */
        private void sized(int width) {
            super.visitInsn(Opcodes.DUP);
            super.visitInsn(width == 2 ? Opcodes.ICONST_2 : Opcodes.ICONST_1);
            super.visitInsn(Opcodes.IMUL);
            super.visitMethodInsn(Opcodes.INVOKESTATIC, STORES, count, "(I)V", false);
        }

        private void allocated(int bytes) {
            super.visitIntInsn(Opcodes.BIPUSH, bytes);
            super.visitMethodInsn(Opcodes.INVOKESTATIC, STORES, count, "(I)V", false);
        }
    }
}
