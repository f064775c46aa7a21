/* SPDX-License-Identifier: MIT */
/* The command line of rota-stress. */
#ifndef ROTA_STRESS_OPTIONS_H
#define ROTA_STRESS_OPTIONS_H

#include "stress.h"

/* What the command line says: options, and which scenarios, NULL at the end. */
struct command {
	struct options options;
	const struct scenario *scenarios[64];
	bool list;
};

/* Fills *ret_command. Returns 0, or 2 after it has said what is wrong. */
int options_parse(int argc, char **argv, struct command *ret_command);

/* Prints the names of all scenarios and what they are for. */
void options_list(void);

/* Fills a run from the options and the scenario's defaults, with the command that replays it. */
void options_apply(const struct options *options, const struct scenario *scenario,
	const char *program, struct run *ret_run);

#endif
