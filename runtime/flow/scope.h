/* SPDX-License-Identifier: MIT */
/* What other files of the room ask about scopes. */
#ifndef ROTA_FLOW_SCOPE_H
#define ROTA_FLOW_SCOPE_H

#include "core/runtime.h"

/* The earliest deadline in force inside `scope` of the running task (NULL: around all of them). */
int64_t rota__deadline(const struct loop *loop, const struct scope *scope);

#endif
