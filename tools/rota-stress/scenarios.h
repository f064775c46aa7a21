/* SPDX-License-Identifier: MIT */
/* The scenarios, each in the file of its name or subject. */
#ifndef ROTA_STRESS_SCENARIOS_H
#define ROTA_STRESS_SCENARIOS_H

#include "stress.h"

extern const struct scenario scenario_storm_one;
extern const struct scenario scenario_storm_all;
extern const struct scenario scenario_storm_tree;
extern const struct scenario scenario_runners;
extern const struct scenario scenario_tied;
extern const struct scenario scenario_wake;
extern const struct scenario scenario_skew;
extern const struct scenario scenario_spinner;
extern const struct scenario scenario_start_stop;
extern const struct scenario scenario_intake;
extern const struct scenario scenario_sleep;
extern const struct scenario scenario_overflow;
extern const struct scenario scenario_cancel;
extern const struct scenario scenario_struck;
extern const struct scenario scenario_crowd;
extern const struct scenario scenario_bounded;
extern const struct scenario scenario_handles;
extern const struct scenario scenario_limit;
extern const struct scenario scenario_waits;
extern const struct scenario scenario_channel;
extern const struct scenario scenario_select;
extern const struct scenario scenario_lock;
extern const struct scenario scenario_group;
extern const struct scenario scenario_scope;
extern const struct scenario scenario_offload;
extern const struct scenario scenario_mix;
extern const struct scenario scenario_files;
extern const struct scenario scenario_close;
extern const struct scenario scenario_background;
extern const struct scenario scenario_threads;
extern const struct scenario scenario_planted_race;

#endif
