/* SPDX-License-Identifier: MIT */
/* The trees of the group scenario: what each node's group did, and what may come out of that. */
#ifndef ROTA_STRESS_GROUP_H
#define ROTA_STRESS_GROUP_H

#include "stress.h"

#define MEMBERS_MAX 6
#define DEPTH_MAX   3

/* What a member does. */
enum job {
	JOB_OK,
	JOB_NAP,
	JOB_FAIL,
	JOB_NODE,
	JOB_ENDLESS, /* until it is cancelled */
	JOBS,
};

struct tree {
	struct run *run;
	_Atomic(int64_t) first_cause_ns; /* when something in it may first have been cancelled */
	_Atomic(bool) has_grace;
	_Atomic(uint64_t) stamps;
	_Atomic(uint64_t) tasks;
	_Atomic(uint64_t) supervised; /* members of supervising groups that failed */
};

struct node;

struct member {
	struct node *node; /* whose group it is in */
	struct rota_task *task;
	uint64_t seed;
	enum job job;
	int planned;	     /* what it returns when nobody cancels it */
	_Atomic(bool) asked; /* it was cancelled by itself */
	_Atomic(uint32_t) ends;
	/* Written before its end, read after the close. */
	int status;
	uint64_t stamp;	   /* order of ends in a tree */
	int64_t cancel_ns; /* when it saw a cancel; 0: it did not */
	bool taken;	   /* by rota_group_next() */
};

/* A task with a group. */
struct node {
	struct tree *tree;
	struct prng prng;
	unsigned int depth;
	struct rota_group group;
	struct rota_group_options options;
	struct member members[MEMBERS_MAX];
	size_t count;
	size_t endless;
	int64_t opened_ns;
	bool cancelled_before; /* before the group was opened */
	bool explicit;	       /* rota_group_cancel() */
	int spawn_error;
	uint64_t last_stamp; /* of rota_group_next() */
};

/* Something in the tree is about to be cancelled, or may be at when_ns. */
void tree_cause(struct tree *tree, int64_t when_ns);

/* rota_group_next() gave n and result. */
void node_check_next(struct node *node, int n, const struct rota_result *result);
/* The group was closed with `own` and gave result. */
void node_check_close(struct node *node, int own, int result);

/* A gather or a race of small calls. Returns < 0 when it was cancelled. */
int calls_run(struct node *node);

#endif
