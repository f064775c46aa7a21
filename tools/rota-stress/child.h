/* SPDX-License-Identifier: MIT */
/* What runs in a process of its own because it dies there. */
#ifndef ROTA_STRESS_CHILD_H
#define ROTA_STRESS_CHILD_H

/* `rota-stress --child NAME` is not for users. */
#define CHILD_OPTION "--child"

/* Runs the child of that name. Returns its exit status, if it lives so long. */
int child_main(const char *name);

#endif
