/* SPDX-License-Identifier: MIT */
/* What tools may ask the simulation; the rest is the backend table in os/port.h. */
#ifndef ROTA_SIM_SIM_H
#define ROTA_SIM_SIM_H

#include "base/attr.h"

/* Whether this process has simulated anything. */
bool rota__sim_active(void);
/* The hash of all events of all simulated runs of this process so far. */
uint64_t rota__sim_trace_hash(void);

#endif
