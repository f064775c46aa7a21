/* SPDX-License-Identifier: MIT */
/* A library that breaks every rule of check_abi.py, which must say so. */

/* Exported, and declared in no public header. */
__attribute__((visibility("default"))) int *rota_stray(void);

static _Thread_local int stray;

int *rota_stray(void)
{
	return &stray;
}
