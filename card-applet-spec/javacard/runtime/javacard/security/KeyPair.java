package javacard.security;

import yzt.runtime.Curve;
import yzt.runtime.Platform;

/** Two key objects that are filled together. */
public final class KeyPair {
    private final EcKeyObject publicKey;
    private final EcKeyObject privateKey;

    public KeyPair(PublicKey publicKey, PrivateKey privateKey) {
        this.publicKey = (EcKeyObject) publicKey;
        this.privateKey = (EcKeyObject) privateKey;
    }

    public void genKeyPair() {
        publicKey.hasParameters();
        privateKey.hasParameters();
        Platform.current().counts().count("EC.generate");
        byte[] secret = Curve.secret(Platform.current().random());
        privateKey.set(secret, 0);
        publicKey.set(Curve.pointOf(secret), 0);
    }

    public PublicKey getPublic() {
        return publicKey;
    }

    public PrivateKey getPrivate() {
        return privateKey;
    }
}
