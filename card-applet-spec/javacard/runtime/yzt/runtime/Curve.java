package yzt.runtime;

import java.math.BigInteger;
import java.security.AlgorithmParameters;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.Signature;
import java.security.spec.ECGenParameterSpec;
import java.security.spec.ECParameterSpec;
import java.security.spec.ECPoint;
import java.security.spec.ECPublicKeySpec;
import java.util.Arrays;
import java.util.Random;

/**
 * P-256 over the JDK: ECDSA is the JDK's; multiplication of a point is written out (SEC 1, 2.2.1), because the JDK gives
 * no public half to a private one. Slow and open to timing: for tests.
 */
public final class Curve {
    public static final BigInteger P = hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    public static final BigInteger A = P.subtract(BigInteger.valueOf(3));
    public static final BigInteger B = hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b");
    public static final BigInteger N = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    private static final BigInteger GX = hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
    private static final BigInteger GY = hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
    private static final BigInteger THREE = BigInteger.valueOf(3);
    private static final ECParameterSpec PARAMETERS = parameters();

    private Curve() {
    }

    private static BigInteger hex(String digits) {
        return new BigInteger(digits, 16);
    }

    private static ECParameterSpec parameters() {
        try {
            AlgorithmParameters named = AlgorithmParameters.getInstance("EC");
            named.init(new ECGenParameterSpec("secp256r1"));
            return named.getParameterSpec(ECParameterSpec.class);
        } catch (GeneralSecurityException none) {
            throw new IllegalStateException(none);
        }
    }

    /** 32 bytes, big endian. */
    public static byte[] bytes(BigInteger number) {
        byte[] all = number.toByteArray();
        byte[] out = new byte[32];
        int from = Math.max(0, all.length - 32);
        System.arraycopy(all, from, out, 32 - (all.length - from), all.length - from);
        return out;
    }

    public static byte[] generator() {
        return point(GX, GY);
    }

    private static byte[] point(BigInteger x, BigInteger y) {
        byte[] out = new byte[65];
        out[0] = 4;
        System.arraycopy(bytes(x), 0, out, 1, 32);
        System.arraycopy(bytes(y), 0, out, 33, 32);
        return out;
    }

    /** A number from 1 to the order minus 1. */
    public static byte[] secret(Random random) {
        while (true) {
            byte[] candidate = new byte[32];
            random.nextBytes(candidate);
            BigInteger number = new BigInteger(1, candidate);
            if (number.signum() > 0 && number.compareTo(N) < 0) {
                return candidate;
            }
        }
    }

    public static byte[] pointOf(byte[] secret) {
        BigInteger[] at = multiply(new BigInteger(1, secret), GX, GY);
        return point(at[0], at[1]);
    }

    /** X of secret times point; null for what is no point of the curve. */
    public static byte[] agree(byte[] secret, byte[] point, int offset, int length) {
        if (length != 65 || point[offset] != 4) {
            return null;
        }
        BigInteger x = new BigInteger(1, Arrays.copyOfRange(point, offset + 1, offset + 33));
        BigInteger y = new BigInteger(1, Arrays.copyOfRange(point, offset + 33, offset + 65));
        if (!isOn(x, y)) {
            return null;
        }
        return bytes(multiply(new BigInteger(1, secret), x, y)[0]);
    }

    private static boolean isOn(BigInteger x, BigInteger y) {
        if (x.compareTo(P) >= 0 || y.compareTo(P) >= 0) {
            return false;
        }
        BigInteger right = x.pow(3).add(A.multiply(x)).add(B).mod(P);
        return y.pow(2).mod(P).equals(right);
    }

    /** Double and add in Jacobian coordinates (EFD: dbl-2001-b, add-2007-bl in their plain forms). */
    private static BigInteger[] multiply(BigInteger k, BigInteger x, BigInteger y) {
        BigInteger[] sum = null;
        BigInteger[] base = {x, y, BigInteger.ONE};
        for (int bit = k.bitLength() - 1; bit >= 0; bit--) {
            sum = sum == null ? null : twice(sum);
            if (k.testBit(bit)) {
                sum = sum == null ? base : plus(sum, base);
            }
        }
        BigInteger inverse = sum[2].modInverse(P);
        BigInteger square = inverse.multiply(inverse).mod(P);
        return new BigInteger[] {
            sum[0].multiply(square).mod(P), sum[1].multiply(square).multiply(inverse).mod(P),
        };
    }

    private static BigInteger[] twice(BigInteger[] p) {
        BigInteger yy = p[1].multiply(p[1]).mod(P);
        BigInteger s = p[0].multiply(yy).shiftLeft(2).mod(P);
        BigInteger zz = p[2].multiply(p[2]).mod(P);
        BigInteger m = THREE.multiply(p[0].subtract(zz)).multiply(p[0].add(zz)).mod(P);
        BigInteger x = m.multiply(m).subtract(s.shiftLeft(1)).mod(P);
        BigInteger y = m.multiply(s.subtract(x)).subtract(yy.multiply(yy).shiftLeft(3)).mod(P);
        BigInteger z = p[1].multiply(p[2]).shiftLeft(1).mod(P);
        return new BigInteger[] {x, y, z};
    }

    private static BigInteger[] plus(BigInteger[] p, BigInteger[] q) {
        BigInteger pz = p[2].multiply(p[2]).mod(P);
        BigInteger u = q[0].multiply(pz).mod(P);
        BigInteger s = q[1].multiply(pz).multiply(p[2]).mod(P);
        BigInteger h = u.subtract(p[0]).mod(P);
        BigInteger r = s.subtract(p[1]).mod(P);
        if (h.signum() == 0) {
            // Only for a point of small order times a chosen number; P-256 has a prime order.
            return r.signum() == 0 ? twice(p) : q;
        }
        BigInteger hh = h.multiply(h).mod(P);
        BigInteger hhh = hh.multiply(h).mod(P);
        BigInteger v = p[0].multiply(hh).mod(P);
        BigInteger x = r.multiply(r).subtract(hhh).subtract(v.shiftLeft(1)).mod(P);
        BigInteger y = r.multiply(v.subtract(x)).subtract(p[1].multiply(hhh)).mod(P);
        return new BigInteger[] {x, y, p[2].multiply(h).mod(P)};
    }

    /** ECDSA with SHA-256; a wrong key, or a signature of another form, verifies nothing. */
    public static boolean verify(byte[] point, byte[] message, byte[] signature, int offset, int length) {
        BigInteger x = new BigInteger(1, Arrays.copyOfRange(point, 1, 33));
        BigInteger y = new BigInteger(1, Arrays.copyOfRange(point, 33, 65));
        if (!isOn(x, y)) {
            return false;
        }
        try {
            Signature verifier = Signature.getInstance("SHA256withECDSA");
            verifier.initVerify(KeyFactory.getInstance("EC")
                .generatePublic(new ECPublicKeySpec(new ECPoint(x, y), PARAMETERS)));
            verifier.update(message);
            return verifier.verify(signature, offset, length);
        } catch (GeneralSecurityException refused) {
            return false;
        }
    }
}
