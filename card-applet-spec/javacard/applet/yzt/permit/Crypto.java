package yzt.permit;

import javacard.framework.JCSystem;
import javacard.framework.Util;
import javacard.security.AESKey;
import javacard.security.CryptoException;
import javacard.security.ECKey;
import javacard.security.ECPrivateKey;
import javacard.security.ECPublicKey;
import javacard.security.KeyAgreement;
import javacard.security.KeyBuilder;
import javacard.security.KeyPair;
import javacard.security.MessageDigest;
import javacard.security.RandomData;
import javacard.security.Signature;
import javacardx.crypto.Cipher;

/**
 * The two primitives of the card and what is built on them: CMAC on CBC with sub-keys made beforehand (RFC 4493), the key
 * derivations of chapter 04, ECDH plain, ECDSA over signatures that come as r || s.
 *
 * <p>Five ciphers stay initialised, so that a key is set up once for each key and session. A message to be authenticated
 * lies in the work area and is one call of the cipher.
 */
final class Crypto {
    static final short BLOCK = 16;
    static final short HASH = 32;
    static final short SUBKEYS = 32;
    static final short POINT = 65;

    private static final byte[] P256_P = {
        (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF,
        (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF,
    };
    private static final byte[] P256_A = {
        (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF,
        (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFC,
    };
    private static final byte[] P256_B = {
        0x5A, (byte) 0xC6, 0x35, (byte) 0xD8, (byte) 0xAA, 0x3A, (byte) 0x93, (byte) 0xE7, (byte) 0xB3, (byte) 0xEB,
        (byte) 0xBD, 0x55, 0x76, (byte) 0x98, (byte) 0x86, (byte) 0xBC, 0x65, 0x1D, 0x06, (byte) 0xB0, (byte) 0xCC, 0x53,
        (byte) 0xB0, (byte) 0xF6, 0x3B, (byte) 0xCE, 0x3C, 0x3E, 0x27, (byte) 0xD2, 0x60, 0x4B,
    };
    private static final byte[] P256_G = {
        0x04, 0x6B, 0x17, (byte) 0xD1, (byte) 0xF2, (byte) 0xE1, 0x2C, 0x42, 0x47, (byte) 0xF8, (byte) 0xBC, (byte) 0xE6,
        (byte) 0xE5, 0x63, (byte) 0xA4, 0x40, (byte) 0xF2, 0x77, 0x03, 0x7D, (byte) 0x81, 0x2D, (byte) 0xEB, 0x33,
        (byte) 0xA0, (byte) 0xF4, (byte) 0xA1, 0x39, 0x45, (byte) 0xD8, (byte) 0x98, (byte) 0xC2, (byte) 0x96, 0x4F,
        (byte) 0xE3, 0x42, (byte) 0xE2, (byte) 0xFE, 0x1A, 0x7F, (byte) 0x9B, (byte) 0x8E, (byte) 0xE7, (byte) 0xEB, 0x4A,
        0x7C, 0x0F, (byte) 0x9E, 0x16, 0x2B, (byte) 0xCE, 0x33, 0x57, 0x6B, 0x31, 0x5E, (byte) 0xCE, (byte) 0xCB,
        (byte) 0xB6, 0x40, 0x68, 0x37, (byte) 0xBF, 0x51, (byte) 0xF5,
    };
    private static final byte[] P256_N = {
        (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, 0x00, 0x00, 0x00, 0x00, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF,
        (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xFF, (byte) 0xBC, (byte) 0xE6, (byte) 0xFA, (byte) 0xAD,
        (byte) 0xA7, 0x17, (byte) 0x9E, (byte) 0x84, (byte) 0xF3, (byte) 0xB9, (byte) 0xCA, (byte) 0xC2, (byte) 0xFC, 0x63,
        0x25, 0x51,
    };
    private static final byte[] ONE = {
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
    };

    private final byte[] work;
    /** S-ENC for encrypting; at door F G. */
    final Cipher enc;
    /** S-ENC for decrypting. */
    final Cipher dec;
    /** S-MAC; at door F M. */
    final Cipher mac;
    /** S-RMAC. */
    final Cipher rmac;
    /** Any other key. */
    final Cipher other;
    final AESKey sEnc;
    final AESKey sMac;
    final AESKey sRmac;
    /** K1, CONF, and whatever else lives within one command. */
    final AESKey once;
    /** Sub-keys of S-MAC, of S-RMAC, and of a key within one command. */
    final byte[] sub;
    static final short SUB_MAC = 0;
    static final short SUB_RMAC = 32;
    static final short SUB_ONCE = 64;
    final MessageDigest hash;
    /** Over the certificates of door S, from one command to another. */
    final MessageDigest chain;
    final RandomData random;
    private final Signature signature;
    private final KeyAgreement agreement;
    /** Makes the card's pairs, and is the ephemeral one of AGREE. Its public half is non-volatile before 3.0.5. */
    final KeyPair ephemeral;
    private final ECPrivateKey ephemeralPrivate;
    private final ECPublicKey ephemeralPublic;
    /** A key of nobody, to ask the platform whether a point is on the curve. */
    private final ECPrivateKey check;
    /** The intermediate and the leaf at door S; set only where they differ from what they hold. */
    final ECPublicKey intermediateKey;
    final ECPublicKey leafKey;

    Crypto(byte[] work) {
        this.work = work;
        enc = cbc();
        dec = cbc();
        mac = cbc();
        rmac = cbc();
        other = cbc();
        sEnc = transientKey();
        sMac = transientKey();
        sRmac = transientKey();
        once = transientKey();
        sub = JCSystem.makeTransientByteArray((short) 96, JCSystem.CLEAR_ON_DESELECT);
        hash = MessageDigest.getInstance(MessageDigest.ALG_SHA_256, false);
        chain = MessageDigest.getInstance(MessageDigest.ALG_SHA_256, false);
        random = RandomData.getInstance(RandomData.ALG_SECURE_RANDOM);
        signature = Signature.getInstance(Signature.ALG_ECDSA_SHA_256, false);
        agreement = KeyAgreement.getInstance(KeyAgreement.ALG_EC_SVDP_DH_PLAIN, false);
        ephemeralPrivate = (ECPrivateKey) KeyBuilder.buildKey(
            KeyBuilder.TYPE_EC_FP_PRIVATE_TRANSIENT_DESELECT, KeyBuilder.LENGTH_EC_FP_256, false);
        onP256(ephemeralPrivate);
        ephemeralPublic = publicKey();
        ephemeral = new KeyPair(ephemeralPublic, ephemeralPrivate);
        intermediateKey = publicKey();
        leafKey = publicKey();
        check = privateKey();
        ephemeral.genKeyPair();
        takePrivate(check);
    }

    private static Cipher cbc() {
        return Cipher.getInstance(Cipher.ALG_AES_BLOCK_128_CBC_NOPAD, false);
    }

    private static AESKey transientKey() {
        return (AESKey) KeyBuilder.buildKey(
            KeyBuilder.TYPE_AES_TRANSIENT_DESELECT, KeyBuilder.LENGTH_AES_128, false);
    }

    /** A key object that stays; made at install only. */
    static AESKey aesKey() {
        return (AESKey) KeyBuilder.buildKey(KeyBuilder.TYPE_AES, KeyBuilder.LENGTH_AES_128, false);
    }

    static ECPublicKey publicKey() {
        ECPublicKey key = (ECPublicKey) KeyBuilder.buildKey(
            KeyBuilder.TYPE_EC_FP_PUBLIC, KeyBuilder.LENGTH_EC_FP_256, false);
        onP256(key);
        return key;
    }

    static ECPrivateKey privateKey() {
        ECPrivateKey key = (ECPrivateKey) KeyBuilder.buildKey(
            KeyBuilder.TYPE_EC_FP_PRIVATE, KeyBuilder.LENGTH_EC_FP_256, false);
        onP256(key);
        return key;
    }

    private static void onP256(ECKey key) {
        key.setFieldFP(P256_P, (short) 0, HASH);
        key.setA(P256_A, (short) 0, HASH);
        key.setB(P256_B, (short) 0, HASH);
        key.setG(P256_G, (short) 0, POINT);
        key.setR(P256_N, (short) 0, HASH);
        key.setK((short) 1);
    }

    /** Whether no key pair is kept there. */
    static void erasePrivate(ECPrivateKey key) {
        // clearKey may take the curve's parameters along, and setting them again costs six writes: 1 is nobody's key.
        key.setS(ONE, (short) 0, HASH);
    }

    /** The private half that was made last moves into `key`. */
    void takePrivate(ECPrivateKey key) {
        ephemeralPrivate.getS(work, (short) 0);
        key.setS(work, (short) 0, HASH);
        Util.arrayFillNonAtomic(work, (short) 0, HASH, (byte) 0);
        ephemeralPrivate.setS(ONE, (short) 0, HASH);
    }

    /** The point that was made last. */
    void point(byte[] to, short at) {
        ephemeralPublic.getW(to, at);
    }

    /** X of ephemeral times point; the ephemeral key is gone behind it. */
    void agreeOnce(byte[] point, short at, byte[] to, short offset) {
        agreement.init(ephemeralPrivate);
        agreement.generateSecret(point, at, POINT, to, offset);
        ephemeralPrivate.setS(ONE, (short) 0, HASH);
    }

    /** X of key times point; false for what is no point of the curve. */
    boolean agree(ECPrivateKey key, byte[] point, short at, byte[] to, short offset) {
        if (point[at] != 4) {
            return false;
        }
        try {
            agreement.init(key);
            agreement.generateSecret(point, at, POINT, to, offset);
            return true;
        } catch (CryptoException refused) {
            return false;
        }
    }

    /** Whether 65 bytes are a point of the curve. The work area is used up to `scratch` + 32. */
    boolean isPoint(byte[] point, short at, short scratch) {
        return agree(check, point, at, work, scratch);
    }

    /**
     * Sets a public key where it holds another point: whoever shows the same certificates again must not wear it. False
     * where the platform looks at the point here, and it is none.
     */
    boolean setPoint(ECPublicKey key, byte[] point, short at, short scratch) {
        if (key.isInitialized()) {
            key.getW(work, scratch);
            if (Bytes.equal(work, scratch, point, at, POINT)) {
                return true;
            }
        }
        try {
            key.setW(point, at, POINT);
            return true;
        } catch (CryptoException refused) {
            return false;
        }
    }

    /** Begins to verify; what is signed goes to {@link #signed}. */
    void verifyWith(ECPublicKey key) {
        signature.init(key, Signature.MODE_VERIFY);
    }

    void signed(byte[] data, short at, short length) {
        signature.update(data, at, length);
    }

    /** Whether r || s at `at` is the signature; it is turned into DER in 72 bytes of the work area at `scratch`. */
    boolean verify(byte[] rs, short at, short scratch) {
        short end = (short) (scratch + 2);
        end = derHalf(rs, at, end);
        end = derHalf(rs, (short) (at + HASH), end);
        work[scratch] = 0x30;
        work[(short) (scratch + 1)] = (byte) (end - scratch - 2);
        try {
            return signature.verify(work, (short) 0, (short) 0, work, scratch, (short) (end - scratch));
        } catch (CryptoException refused) {
            return false;
        }
    }

    /** INTEGER of minimal length, positive (chapter 13). */
    private short derHalf(byte[] half, short at, short to) {
        short skip = 0;
        while (skip < 31 && half[(short) (at + skip)] == 0) {
            skip++;
        }
        short length = (short) (HASH - skip);
        work[to] = 0x02;
        to++;
        if (half[(short) (at + skip)] < 0) {
            work[to] = (byte) (length + 1);
            to++;
            work[to] = 0;
            to++;
        } else {
            work[to] = (byte) length;
            to++;
        }
        return Util.arrayCopyNonAtomic(half, (short) (at + skip), work, to, length);
    }

    /** K1 and K2 of the key under `cipher`, into 32 transient bytes. */
    void subkeys(Cipher cipher, byte[] to, short at) {
        Util.arrayFillNonAtomic(to, at, BLOCK, (byte) 0);
        cipher.doFinal(to, at, BLOCK, to, at);
        twice(to, at, at);
        twice(to, at, (short) (at + BLOCK));
    }

    /** Doubles in the field of RFC 4493. */
    private static void twice(byte[] block, short from, short to) {
        byte top = (byte) ((block[from] >> 7) & 1);
        for (short i = 0; i < 15; i++) {
            short low = (short) ((block[(short) (from + i + 1)] >> 7) & 1);
            block[(short) (to + i)] = (byte) (block[(short) (from + i)] << 1 | low);
        }
        short last = (short) (block[(short) (from + 15)] << 1);
        // No branch on a bit of the key.
        block[(short) (to + 15)] = (byte) (last ^ (byte) (0x87 & (byte) -top));
    }

    /**
     * CMAC of `length` bytes of the work area at `base`, which are used up. Gives where its 16 bytes stand. The area must
     * have room up to a whole block behind the message.
     */
    short cmac(Cipher cipher, byte[] subkeys, short at, short base, short length) {
        short end = (short) (base + length);
        short over = (short) (length & 0x0F);
        if (over == 0 && length != 0) {
            Bytes.xor(work, (short) (end - BLOCK), subkeys, at, BLOCK);
        } else {
            short fill = (short) (BLOCK - over);
            work[end] = (byte) 0x80;
            Util.arrayFillNonAtomic(work, (short) (end + 1), (short) (fill - 1), (byte) 0);
            end = (short) (end + fill);
            Bytes.xor(work, (short) (end - BLOCK), subkeys, (short) (at + BLOCK), BLOCK);
        }
        cipher.doFinal(work, base, (short) (end - base), work, base);
        return (short) (end - BLOCK);
    }
}
