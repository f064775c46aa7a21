# SPDX-License-Identifier: MIT
"""Plants one bug in a copy of a protocol header: mutate.py NAME HEADER OUTPUT.

Each text to replace must occur in the header exactly once, up to white space, else the build fails:
a mutant cannot become the header itself unnoticed when the header changes.
"""

import re
import sys

BUMP = "uint64_t version = (word >> 32) + 1;"
NO_BUMP = "uint64_t version = word >> 32;"

MUTANTS = {
    # (B3) The owner may write the slot again between the thief's CAS and its read.
    "deque-read-after-cas": [
        (
            "			items[i] = aptr_load_relaxed(&d->slot[(tail + i) & DEQUE_MASK]);",
            "			items[i] = NULL;",
        ),
        (
            "deque_word_taken(word, (uint16_t)n)))\n			return n;",
            "deque_word_taken(word, (uint16_t)n))) {\n"
            "			for (unsigned int i = 0; i < n; i++)\n"
            "				items[i] = aptr_load_relaxed(\n"
            "					&d->slot[(tail + i) & DEQUE_MASK]);\n"
            "			return n;\n		}",
        ),
    ],
    # ABA: split comes down and goes up again between a thief's load and its CAS.
    "deque-no-version": [(BUMP, NO_BUMP)],
    # Not a bug: with the publish's bump alone every rise of split still shows.
    "deque-bump-at-publish-only": [
        (BUMP, NO_BUMP),
        (
            "deque_word_split(word, deque_tail(word), d->head)))\n		;",
            "deque_word_split(word, deque_tail(word), d->head) + (1ull << 32)))\n		;",
        ),
    ],
    # A thief's CAS between the load and the store is undone.
    "deque-publish-by-store": [
        (
            "	while (!a64_cas_release(\n"
            "		&d->word, &word, deque_word_split(word, deque_tail(word), d->head)))\n		;",
            "	a64_store_release(&d->word, deque_word_split(word, deque_tail(word), d->head));",
        )
    ],
    "deque-take-back-by-store": [
        (
            "		do {\n			if (deque_tail(word) == split)\n				return NULL;\n"
            "		} while (!a64_cas_acquire(&d->word, &word,\n"
            "			deque_word_split(word, deque_tail(word), (uint16_t)(split - 1))));",
            "		if (deque_tail(word) == split)\n			return NULL;\n"
            "		a64_store_release(&d->word,\n"
            "			deque_word_split(word, deque_tail(word), (uint16_t)(split - 1)));",
        )
    ],
    # Split covers the slot before the item is in it.
    "deque-publish-before-slot": [
        (
            "	while (!a64_cas_release(&d->word, &word, deque_word_split(",
            "	void *late = aptr_load_relaxed(&d->slot[(d->head - 1) & DEQUE_MASK]);\n\n"
            "	aptr_store_relaxed(&d->slot[(d->head - 1) & DEQUE_MASK], NULL);\n"
            "	while (!a64_cas_release(&d->word, &word, deque_word_split(",
        ),
        (
            "	d->split = d->head;\n	return true;",
            "	aptr_store_relaxed(&d->slot[(d->head - 1) & DEQUE_MASK], late);\n"
            "	d->split = d->head;\n	return true;",
        ),
    ],
    # The same by the order of the stores alone: weak memory only.
    "deque-publish-relaxed": [
        ("	while (!a64_cas_release(\n", "	while (!a64_cas_relaxed(\n"),
    ],
    # Past the tail.
    "deque-push-into-full": [
        ("		if ((uint16_t)(d->head - d->tail_seen) == DEQUE_SIZE)\n", "		if (0)\n")
    ],
    # Not a bug in either memory: nothing is published by it. The release is for the reader.
    "deque-oldest-relaxed": [("	a64_store_release(&d->word,", "	a64_store_relaxed(&d->word,")],
    "inbox-push-by-store": [
        (
            "	do\n		node->next = (uintptr_t)old;\n"
            "	while (!aptr_cas_release(&inbox->head, &old, (void *)((uintptr_t)node | tag)));",
            "	node->next = (uintptr_t)old;\n"
            "	aptr_store_release(&inbox->head, (void *)((uintptr_t)node | tag));",
        )
    ],
    "inbox-drain-by-store": [
        (
            "(uintptr_t)aptr_exchange_acquire(&inbox->head, NULL);",
            "(uintptr_t)aptr_load_acquire(&inbox->head);",
        ),
        (
            "	uintptr_t first = 0;\n",
            "	uintptr_t first = 0;\n\n	aptr_store_release(&inbox->head, NULL);\n",
        ),
    ],
    # The push's link is not made again when the CAS has failed.
    "inbox-stale-next": [
        (
            "	do\n		node->next = (uintptr_t)old;\n	while (",
            "	node->next = (uintptr_t)old;\n	while (",
        )
    ],
    "inbox-newest-first": [
        (
            "		inbox_node(at)->next = first;\n		first = at;\n		at = next;",
            "		at = next;",
        ),
        ("	uintptr_t first = 0;\n", "	uintptr_t first = at;\n"),
    ],
    "inbox-push-relaxed": [
        ("	while (!aptr_cas_release(&inbox->head", "	while (!aptr_cas_relaxed(&inbox->head")
    ],
    "claim-by-store": [
        (
            "	uint32_t none = 0;\n",
            "",
        ),
        (
            "	return a32_cas_acq_rel(&claim->by, &none, source);",
            "	if (a32_load_acquire(&claim->by))\n		return false;\n"
            "	a32_store_release(&claim->by, source);\n	return true;",
        ),
    ],
    "claim-relaxed": [("a32_cas_acq_rel(&claim->by", "a32_cas_relaxed(&claim->by")],
    # A SET that came while LOCK was held is overwritten.
    "latch-let-go-by-store": [
        (
            "	if (aptr_cas_acq_rel(&latch->word, &held, next))\n		return true;",
            "	aptr_store_release(&latch->word, next);\n	if (next || held)\n		return true;",
        )
    ],
    # It says that it is set while the setter has yet to let go.
    "latch-set-while-locked": [
        (
            "(word & (LATCH_SET | LATCH_LOCK)) == LATCH_SET;",
            "word & LATCH_SET;",
        )
    ],
    "latch-set-relaxed": [
        (
            "		if (aptr_cas_acq_rel(&latch->word, &word, (void *)next))\n			break;",
            "		if (aptr_cas_relaxed(&latch->word, &word, (void *)next))\n			break;",
        )
    ],
    # A waiter whose claim was lost stays where it is, and is found again when its frame is gone.
    "queue-lost-stays": [
        (
            "		queue_remove(queue, waiter);\n		if (waiter_claim(loop, waiter))\n"
            "			return waiter;",
            "		if (!waiter_claim(loop, waiter))\n			return NULL;\n"
            "		queue_remove(queue, waiter);\n		return waiter;",
        )
    ],
    # The plain claim where a cancel may come in between.
    "queue-alone-anywhere": [
        (
            "	if (loop && wait->single &&",
            "	if (loop || wait->single)\n"
            "		return claim_take_alone(&wait->claim, waiter->source);\n"
            "	if (loop && wait->single &&",
        )
    ],
    # One-sided: only the pusher has its fence.
    "park-no-fence": [("	fence_seq_cst();\n", "")],
    # A claim that fails leaves a searcher for a moment that is none.
    "park-searcher-before-claim": [
        (
            "	if (!park_claim_as(idle, who, PARKER_TO_SEARCH))\n		return false;\n"
            "	idle_search_begin(idle);\n	return true;",
            "	idle_search_begin(idle);\n"
            "	if (park_claim_as(idle, who, PARKER_TO_SEARCH))\n		return true;\n"
            "	a32_add_relaxed(&idle->searchers, (uint32_t)-1);\n	return false;",
        )
    ],
    "park-claim-by-store": [
        ("	uint32_t sleeping = PARKER_SLEEPING;\n\n", ""),
        (
            "	if (!a32_cas_acq_rel(&who->state, &sleeping, state))\n		return false;\n",
            "	a32_store_release(&who->state, state);\n",
        ),
    ],
    # It looks while a pusher may still leave things to it. On x86 the uncounting is itself a fence.
    "park-uncount-after-fence": [
        (
            "	if (searching)\n		a32_add_relaxed(&idle->searchers, (uint32_t)-1);\n", ""
        ),
        (
            "	fence_seq_cst();\n",
            "	fence_seq_cst();\n"
            "	if (searching)\n		a32_add_relaxed(&idle->searchers, (uint32_t)-1);\n",
        ),
    ],
    # Claimed before it is counted, it makes `sleepers` too small and hides another sleeper.
    "park-count-after-state": [
        (
            "	a32_add_relaxed(&idle->sleepers, 1);\n"
            "	a32_store_release(&me->state, PARKER_SLEEPING);\n",
            "	a32_store_release(&me->state, PARKER_SLEEPING);\n"
            "	a32_add_relaxed(&idle->sleepers, 1);\n",
        )
    ],
    # A claim between the load and the store is undone: sleepers is counted down twice.
    "park-end-by-store": [
        (
            "a32_exchange_acq_rel(&me->state, PARKER_AWAKE);",
            "a32_load_acquire(&me->state);\n\n	a32_store_release(&me->state, PARKER_AWAKE);",
        )
    ],
}


def pattern(text):
    """The text's tokens with any white space between: layout is not what a mutant is about."""
    return re.compile(r"\s*".join(re.escape(token) for token in re.findall(r"\w+|\S", text)))


def main():
    name, header, output = sys.argv[1:]
    with open(header, encoding="utf-8") as file:
        text = file.read()
    for old, new in MUTANTS[name]:
        found = pattern(old).findall(text)
        if len(found) != 1:
            sys.exit(f"{name}: {header} has {len(found)} times, not once:\n{old}")
        text = pattern(old).sub(lambda _, new=new: new.strip(), text)
    with open(output, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
