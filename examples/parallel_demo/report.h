/* SPDX-License-Identifier: MIT */
/* What the demo says: as text while it runs, or as one JSON object at the end. */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include <stdio.h>

#include "options.h"
#include "tasks.h"
#include "tree.h"

/* Text, each part as soon as it is there. */
void report_tasks(const struct options *options, const struct tasks_result *tasks, FILE *stream);
void report_tree(const struct options *options, const struct tree_result *tree, FILE *stream);

/* The object. tasks or tree may be NULL. Returns 0 or a negative errno. */
int report_json(const struct options *options, const struct tasks_result *tasks,
	const struct tree_result *tree, FILE *stream);

#endif
