/* SPDX-License-Identifier: MIT */
/* The trace of a whole runtime: ROTA_TRACE at its start and stop. */
#ifndef ROTA_OBSERVE_CHROME_H
#define ROTA_OBSERVE_CHROME_H

struct rota_runtime;

/* Starts a trace if ROTA_TRACE asks for one; says so when it cannot. */
void rota__trace_open(struct rota_runtime *rt);
/* Writes it, and frees all rings. No loop runs any more. */
void rota__trace_close(struct rota_runtime *rt);

#endif
