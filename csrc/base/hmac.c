/* HMAC-SHA256, and SHA-256, of what is in memory, OpenSSL's: the algorithm fetched
 * once a process and before any fork, a context kept for each thread. */
#include "base/hmac.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

static EVP_MAC *hmac_algorithm;
static pthread_key_t hmac_context; /* of each thread: made once, used again */

static void
free_context(void *context)
{
    EVP_MAC_CTX_free(context);
}

static void
fetch_algorithm(void)
{
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (algorithm != NULL &&
        pthread_key_create(&hmac_context, free_context) == 0) {
        hmac_algorithm = algorithm;
    }
}

int
hmac_prepare(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, fetch_algorithm);
    return hmac_algorithm != NULL ? 0 : -EIO;
}

static EVP_MAC_CTX *
context_of_thread(void)
{
    EVP_MAC_CTX *context = pthread_getspecific(hmac_context);
    if (context != NULL) {
        return context;
    }
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    context = EVP_MAC_CTX_new(hmac_algorithm);
    if (context != NULL &&
        (EVP_MAC_CTX_set_params(context, parameters) != 1 ||
         pthread_setspecific(hmac_context, context) != 0)) {
        EVP_MAC_CTX_free(context);
        context = NULL;
    }
    return context;
}

int
hmac_sha256(const void *key, size_t key_size, const struct iovec *parts,
            int count, unsigned char mac[MAC_SIZE])
{
    if (key_size > INT_MAX) {
        return -EOVERFLOW; /* OpenSSL counts a key's bytes in an int */
    }
    if (key_size == 0) {
        key = ""; /* to OpenSSL, NULL means the key before this one */
    }
    EVP_MAC_CTX *context = hmac_prepare() == 0 ? context_of_thread() : NULL;
    int done = context != NULL && EVP_MAC_init(context, key, key_size, NULL);
    for (int i = 0; done == 1 && i < count; i++) {
        done = EVP_MAC_update(context, parts[i].iov_base, parts[i].iov_len);
    }
    size_t size = MAC_SIZE;
    return done == 1 && EVP_MAC_final(context, mac, &size, MAC_SIZE) == 1
               ? 0
               : -EIO;
}

int
sha256_digest(const void *message, size_t size,
              unsigned char digest[SHA256_SIZE])
{
    return SHA256(message, size, digest) != NULL ? 0 : -EIO;
}
