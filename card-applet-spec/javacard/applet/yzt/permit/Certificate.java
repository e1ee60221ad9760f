package yzt.permit;

import javacard.framework.Util;

/** A terminal certificate (chapter 07), parsed where it came in: at 5 of the buffer. Its form alone; every fault is 6A80. */
final class Certificate {
    private static final short AT = 5;
    /** id-TA-ECDSA-SHA-256. */
    private static final byte[] OID_TA = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x02, 0x03};
    private static final byte[] OID_RIGHTS = {
        0x69, (byte) 0xE2, (byte) 0xAF, (byte) 0xCC, (byte) 0xB7, (byte) 0xAC, (byte) 0xE8, (byte) 0xFA, (byte) 0xC7,
        (byte) 0xAF, (byte) 0xB0, (byte) 0xAC, (byte) 0xAA, (byte) 0xCF, (byte) 0x95, (byte) 0xBB, (byte) 0xC1,
        (byte) 0x81, 0x55, 0x01,
    };

    /** Where it is put in the work area: rights4 effective4 expiry4, then places in the buffer as shorts. */
    static final short RIGHTS = 0;
    static final short EFFECTIVE = 4;
    static final short EXPIRY = 8;
    static final short BODY = 12;
    static final short BODY_LEN = 14;
    static final short ISSUER = 16;
    static final short HOLDER = 18;
    static final short POINT = 20;
    static final short SIGNATURE = 22;
    static final short LEN = 24;

    private Certificate() {
    }

    static short place(byte[] work, short what) {
        return Util.getShort(work, what);
    }

    static void parse(byte[] buffer, short length, byte[] work, short[] cursor) {
        short end = (short) (AT + length);
        Tlv.parse(buffer, AT, end, cursor);
        Sw.need(cursor[Tlv.TAG] == 0x7F21 && cursor[Tlv.NEXT] == end, Sw.WRONG_DATA);
        short raw = cursor[Tlv.VALUE];
        while (true) {
            // The body is signed with its tag, so its beginning is needed: unknown objects before it are skipped here.
            Tlv.parse(buffer, raw, end, cursor);
            if (cursor[Tlv.TAG] == 0x7F4E) {
                break;
            }
            Sw.need(cursor[Tlv.TAG] != 0x5F37, Sw.WRONG_DATA);
            raw = cursor[Tlv.NEXT];
        }
        short body = cursor[Tlv.VALUE];
        short bodyEnd = cursor[Tlv.NEXT];
        Util.setShort(work, BODY, raw);
        Util.setShort(work, BODY_LEN, (short) (bodyEnd - raw));
        Tlv.required(buffer, bodyEnd, end, Tlv.CERTIFICATE, (short) 0x5F37, (short) 64, cursor);
        Util.setShort(work, SIGNATURE, cursor[Tlv.VALUE]);
        Tlv.end(buffer, cursor[Tlv.NEXT], end, Tlv.CERTIFICATE, cursor);
        body(buffer, body, bodyEnd, work, cursor);
    }

    private static void body(byte[] buffer, short at, short end, byte[] work, short[] cursor) {
        Tlv.required(buffer, at, end, Tlv.BODY, (short) 0x5F29, (short) 1, cursor);
        Sw.need(buffer[cursor[Tlv.VALUE]] == 0, Sw.WRONG_DATA);
        Tlv.required(buffer, cursor[Tlv.NEXT], end, Tlv.BODY, (short) 0x42, (short) 16, cursor);
        Util.setShort(work, ISSUER, cursor[Tlv.VALUE]);
        Tlv.required(buffer, cursor[Tlv.NEXT], end, Tlv.BODY, (short) 0x7F49, cursor);
        short key = cursor[Tlv.VALUE];
        short keyEnd = cursor[Tlv.NEXT];
        Tlv.required(buffer, keyEnd, end, Tlv.BODY, (short) 0x5F20, (short) 16, cursor);
        Util.setShort(work, HOLDER, cursor[Tlv.VALUE]);
        Tlv.required(buffer, cursor[Tlv.NEXT], end, Tlv.BODY, (short) 0x7F4C, cursor);
        short rights = cursor[Tlv.VALUE];
        short rightsEnd = cursor[Tlv.NEXT];
        Tlv.required(buffer, rightsEnd, end, Tlv.BODY, (short) 0x5F25, (short) 6, cursor);
        Sw.need(Dates.fromSixDigits(buffer, cursor[Tlv.VALUE], work, EFFECTIVE), Sw.WRONG_DATA);
        Tlv.required(buffer, cursor[Tlv.NEXT], end, Tlv.BODY, (short) 0x5F24, (short) 6, cursor);
        Sw.need(Dates.fromSixDigits(buffer, cursor[Tlv.VALUE], work, EXPIRY), Sw.WRONG_DATA);
        Tlv.end(buffer, cursor[Tlv.NEXT], end, Tlv.BODY, cursor);
        oid(buffer, key, keyEnd, Tlv.KEY, OID_TA, cursor);
        Tlv.required(buffer, cursor[Tlv.NEXT], keyEnd, Tlv.KEY, (short) 0x86, Crypto.POINT, cursor);
        Sw.need(buffer[cursor[Tlv.VALUE]] == 4, Sw.WRONG_DATA);
        Util.setShort(work, POINT, cursor[Tlv.VALUE]);
        Tlv.end(buffer, cursor[Tlv.NEXT], keyEnd, Tlv.KEY, cursor);
        oid(buffer, rights, rightsEnd, Tlv.RIGHTS, OID_RIGHTS, cursor);
        Tlv.required(buffer, cursor[Tlv.NEXT], rightsEnd, Tlv.RIGHTS, (short) 0x53, (short) 4, cursor);
        Util.arrayCopyNonAtomic(buffer, cursor[Tlv.VALUE], work, RIGHTS, (short) 4);
        Sw.need(Codes.areRights(work, RIGHTS), Sw.WRONG_DATA);
        Tlv.end(buffer, cursor[Tlv.NEXT], rightsEnd, Tlv.RIGHTS, cursor);
    }

    private static void oid(byte[] buffer, short at, short end, byte template, byte[] oid, short[] cursor) {
        Tlv.required(buffer, at, end, template, (short) 0x06, (short) oid.length, cursor);
        Sw.need(Bytes.equal(buffer, cursor[Tlv.VALUE], oid, (short) 0, (short) oid.length), Sw.WRONG_DATA);
    }
}
