/* SPDX-License-Identifier: MIT */
/* Writing events. */
#include <string.h>

#include "observe/trace.h"
#include "os/seam.h"

/* One round of splitmix64 (Steele, Lea, Flood 2014): enough to tell two schedules apart. */
static uint64_t mix(uint64_t hash, uint64_t value)
{
	uint64_t z = (hash ^ value) + 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Addresses differ between runs: they are not part of what a seed reproduces. */
static bool is_address(enum trace_type type)
{
	return type == TRACE_SITE || type == TRACE_MARK;
}

void rota__trace_write(struct trace_ring *ring, enum trace_type type, uint64_t value)
{
	int64_t now = rota__seam->now();
	uint64_t head;

	if (ring->hash && !is_address(type)) {
		*ring->hash = mix(*ring->hash, (uint64_t)now);
		*ring->hash = mix(*ring->hash, (uint64_t)type << 16 | ring->loop);
		*ring->hash = mix(*ring->hash, value);
	}
	if (!ring->event)
		return;
	head = a64_load_relaxed(&ring->head);
	a64_store_relaxed(&ring->event[head & ring->mask].when_type,
		(uint64_t)(now - ring->start_ns) << 8 | (uint64_t)type);
	a64_store_relaxed(&ring->event[head & ring->mask].value, value);
	/* Pairs with: the load in observe/chrome.c. */
	a64_store_release(&ring->head, head + 1);
}

void rota__trace_state(struct trace_ring *ring, uint64_t id, unsigned int state, const char *site)
{
	rota__trace_write(ring, (enum trace_type)(TRACE_STATE_CREATED + state), id);
	if (TRACE_STATE_CREATED + state == TRACE_STATE_RUNNING && ring->event)
		rota__trace_write(ring, TRACE_SITE, (uint64_t)(uintptr_t)site);
}

void rota__trace_name(struct trace_ring *ring, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len && i < 32; i += sizeof(uint64_t)) {
		uint64_t value = 0;

		memcpy(&value, name + i, len - i < sizeof(value) ? len - i : sizeof(value));
		rota__trace_write(ring, TRACE_NAME, value);
	}
}
