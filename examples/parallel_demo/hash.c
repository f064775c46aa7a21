/* SPDX-License-Identifier: MIT */
/* SHA-256 by libcrypto's EVP. The only file that knows OpenSSL. */
#include "hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Fetched once: a fetch takes locks and searches the providers, which costs more than a small
 * file. Immutable after hash_init(), so that all loops may use it. */
static EVP_MD *sha256;

int hash_init(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	return sha256 ? 0 : -ENOTSUP;
}

void hash_finish(void)
{
	EVP_MD_free(sha256);
	sha256 = NULL;
}

struct hasher *hasher_create(void)
{
	struct hasher *hasher = calloc(1, sizeof(*hasher));

	if (!hasher)
		return NULL;
	hasher->context = EVP_MD_CTX_new();
	hasher->buffer = aligned_alloc(4096, HASH_BUFFER_BYTES);
	if (!hasher->context || !hasher->buffer) {
		hasher_destroy(hasher);
		return NULL;
	}
	return hasher;
}

void hasher_destroy(struct hasher *hasher)
{
	if (!hasher)
		return;
	EVP_MD_CTX_free(hasher->context);
	free(hasher->buffer);
	free(hasher);
}

int hasher_begin(struct hasher *hasher)
{
	return EVP_DigestInit_ex2(hasher->context, sha256, NULL) ? 0 : -EIO;
}

int hasher_add(struct hasher *hasher, const void *data, size_t len)
{
	return EVP_DigestUpdate(hasher->context, data, len) ? 0 : -EIO;
}

int hasher_end(struct hasher *hasher, unsigned char ret_digest[HASH_BYTES])
{
	return EVP_DigestFinal_ex(hasher->context, ret_digest, NULL) ? 0 : -EIO;
}

void hash_to_hex(char ret_hex[HASH_HEX_BYTES], const unsigned char digest[HASH_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < HASH_BYTES; i++) {
		ret_hex[2 * i] = digits[digest[i] >> 4];
		ret_hex[2 * i + 1] = digits[digest[i] & 15];
	}
	ret_hex[2 * HASH_BYTES] = '\0';
}
