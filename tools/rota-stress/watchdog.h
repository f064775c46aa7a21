/* SPDX-License-Identifier: MIT */
/*
 * The tool's own watchdog: aborts a scenario that hangs. It knows nothing of the runtime and wakes
 * nothing in it. A thread, not alarm(): the runtime's threads may block signals.
 */
#ifndef ROTA_STRESS_WATCHDOG_H
#define ROTA_STRESS_WATCHDOG_H

#include "stress.h"

/* Starts to wait for the end of a scenario. */
void watchdog_arm(const struct run *run);

/* The scenario has ended. */
void watchdog_disarm(void);

#endif
