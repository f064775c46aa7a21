/* SPDX-License-Identifier: MIT */
/* The table of all scenarios, in the order in which they run. */
#include "scenarios.h"

const struct scenario *const stress_scenarios[] = {
	&scenario_storm_one,
	&scenario_storm_all,
	&scenario_storm_tree,
	&scenario_runners,
	&scenario_tied,
	&scenario_wake,
	&scenario_skew,
	&scenario_spinner,
	&scenario_start_stop,
	&scenario_intake,
	&scenario_sleep,
	&scenario_overflow,
	&scenario_cancel,
	&scenario_struck,
	&scenario_crowd,
	&scenario_handles,
	&scenario_limit,
	&scenario_bounded,
	&scenario_mix,
	&scenario_files,
	&scenario_close,
	&scenario_background,
	&scenario_threads,
	&scenario_planted_race,
	NULL,
};
