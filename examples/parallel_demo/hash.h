/* SPDX-License-Identifier: MIT */
/*
 * SHA-256 of libcrypto, and the buffer that goes with it. One hasher serves one task or thread at a
 * time and is used again and again: neither the algorithm's look-up nor the context is paid for
 * once a file. Failures are negative errnos.
 */
#ifndef DEMO_HASH_H
#define DEMO_HASH_H

#include <stddef.h>

#define HASH_BYTES	  32
#define HASH_HEX_BYTES	  (2 * HASH_BYTES + 1)
/* Large enough that a system call is cheap beside the bytes it brings, small enough for L2. */
#define HASH_BUFFER_BYTES ((size_t)128 * 1024)

struct hasher {
	struct hasher *next; /* for whoever keeps idle ones */
	void *context;
	unsigned char *buffer; /* HASH_BUFFER_BYTES */
};

/* Looks SHA-256 up, once a process. Pairs with hash_finish(). */
int hash_init(void);
void hash_finish(void);

/* NULL: out of memory. */
struct hasher *hasher_create(void);
/* NULL is fine. */
void hasher_destroy(struct hasher *hasher);

int hasher_begin(struct hasher *hasher);
int hasher_add(struct hasher *hasher, const void *data, size_t len);
int hasher_end(struct hasher *hasher, unsigned char ret_digest[HASH_BYTES]);

void hash_to_hex(char ret_hex[HASH_HEX_BYTES], const unsigned char digest[HASH_BYTES]);

#endif
