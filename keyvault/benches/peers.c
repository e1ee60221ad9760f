/* What others do in a second of processor time on one thread: OpenSSL's EVP_MAC with a fresh key each time, OpenSSL's sign
 * and verify, and SoftHSM2's through PKCS#11. The bench compiles and runs it: peers SECONDS FOLDER [PKCS#11 MODULE].
 * A peer that is not there has no line. */
#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double span;

static double processor_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Each returns 0 when it did what it should. */
static void rate(const char *name, int (*operation)(unsigned)) {
    if (operation(0) != 0) {
        fprintf(stderr, "%s does not do it\n", name);
        return;
    }
    double start = processor_time(), spent;
    unsigned count = 0;
    do {
        for (int i = 0; i < 16; i++)
            if (operation(++count) != 0)
                return;
        spent = processor_time() - start;
    } while (spent < span);
    printf("%s %.0f\n", name, count / spent);
}

static EVP_MAC_CTX *mac;

static int fresh_mac(unsigned n) {
    unsigned char key[16] = {0}, message[48] = {5}, out[16];
    size_t length;
    memcpy(key, &n, sizeof n);
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, "AES-128-CBC", 0), OSSL_PARAM_construct_end()};
    return !(EVP_MAC_init(mac, key, sizeof key, n == 0 ? params : NULL) && EVP_MAC_update(mac, message, sizeof message) &&
             EVP_MAC_final(mac, out, &length, sizeof out));
}

static EVP_PKEY *pair;

static int openssl_sign_verify(unsigned n) {
    unsigned char digest[32] = {0}, signature[80];
    size_t length = sizeof signature;
    memcpy(digest, &n, sizeof n);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pair, NULL);
    int done = EVP_PKEY_sign_init(context) == 1 && EVP_PKEY_sign(context, signature, &length, digest, sizeof digest) == 1 &&
               EVP_PKEY_verify_init(context) == 1 &&
               EVP_PKEY_verify(context, signature, length, digest, sizeof digest) == 1;
    EVP_PKEY_CTX_free(context);
    return !done;
}

static CK_FUNCTION_LIST_PTR token;
static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE public_key, private_key;

static int token_sign_verify(unsigned n) {
    CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0};
    unsigned char digest[32] = {0}, signature[64];
    CK_ULONG length = sizeof signature;
    memcpy(digest, &n, sizeof n);
    return !(token->C_SignInit(session, &ecdsa, private_key) == CKR_OK &&
             token->C_Sign(session, digest, sizeof digest, signature, &length) == CKR_OK &&
             token->C_VerifyInit(session, &ecdsa, public_key) == CKR_OK &&
             token->C_Verify(session, digest, sizeof digest, signature, length) == CKR_OK);
}

static int open_token(const char *module, const char *folder) {
    char path[4096], conf[4096];
    snprintf(conf, sizeof conf, "%s/softhsm2.conf", folder);
    FILE *file = fopen(conf, "w");
    if (file == NULL)
        return 1;
    fprintf(file, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", folder);
    fclose(file);
    setenv("SOFTHSM2_CONF", conf, 1);
    snprintf(path, sizeof path, "%s", module);
    void *library = dlopen(path, RTLD_NOW);
    CK_C_GetFunctionList list;
    if (library == NULL || (*(void **)&list = dlsym(library, "C_GetFunctionList")) == NULL || list(&token) != CKR_OK ||
        token->C_Initialize(NULL) != CKR_OK)
        return 1;
    CK_SLOT_ID slots[8];
    CK_ULONG count = 8;
    unsigned char label[32], pin[] = "123456";
    memset(label, ' ', sizeof label);
    if (token->C_GetSlotList(CK_FALSE, slots, &count) != CKR_OK || count == 0 ||
        token->C_InitToken(slots[0], pin, 6, label) != CKR_OK)
        return 1;
    count = 8;
    if (token->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK || count == 0 ||
        token->C_OpenSession(slots[0], CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session) != CKR_OK ||
        token->C_Login(session, CKU_SO, pin, 6) != CKR_OK || token->C_InitPIN(session, pin, 6) != CKR_OK ||
        token->C_Logout(session) != CKR_OK || token->C_Login(session, CKU_USER, pin, 6) != CKR_OK)
        return 1;
    unsigned char p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
    CK_BBOOL yes = CK_TRUE;
    CK_ATTRIBUTE publics[] = {{CKA_EC_PARAMS, p256, sizeof p256}, {CKA_VERIFY, &yes, sizeof yes}};
    CK_ATTRIBUTE privates[] = {{CKA_SIGN, &yes, sizeof yes}, {CKA_SENSITIVE, &yes, sizeof yes}};
    CK_MECHANISM make = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
    return token->C_GenerateKeyPair(session, &make, publics, 2, privates, 2, &public_key, &private_key) != CKR_OK;
}

int main(int count, char **arguments) {
    if (count < 3)
        return 2;
    span = atof(arguments[1]);
    mac = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "CMAC", NULL));
    rate("evp_mac", fresh_mac);
    pair = EVP_EC_gen("P-256");
    rate("openssl", openssl_sign_verify);
    if (count > 3 && open_token(arguments[3], arguments[2]) == 0)
        rate("softhsm", token_sign_verify);
    return 0;
}
