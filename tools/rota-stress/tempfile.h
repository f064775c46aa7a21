/* SPDX-License-Identifier: MIT */
/* A file whose every byte is known, so that a read can be checked wherever it begins. */
#ifndef ROTA_STRESS_TEMPFILE_H
#define ROTA_STRESS_TEMPFILE_H

#include "stress.h"

#define TEMPFILE_BYTES (1u << 20)

/*
 * Makes the file through the library's own calls, so that simulation has it too. Returns its
 * descriptor, to be closed by rota_close(), or a negative errno. In a task.
 */
int tempfile_open(struct run *run);

/* Whether len bytes at offset are the file's. */
bool tempfile_matches(const unsigned char *buf, size_t len, uint64_t offset);

#endif
