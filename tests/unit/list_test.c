/* SPDX-License-Identifier: MIT */
/* The list, and the other small things of base/. */
#include "unit.h"

#include "base/list.h"
#include "base/spin.h"

TestSuite(list, .timeout = HANG_SECONDS);

struct number {
	struct list list;
	int value;
};

static int value_of(struct list *node)
{
	return container_of(node, struct number, list)->value;
}

Test(list, begins_empty)
{
	struct list head;
	int count = 0;

	list_init(&head);
	cr_expect(list_empty(&head));
	rota__list_for_each_safe(node, next, &head)
		count++;
	cr_expect_eq(count, 0);
}

Test(list, keeps_the_order)
{
	struct number number[10];
	struct list head;
	int want = 0;

	list_init(&head);
	for (int i = 0; i < 10; i++) {
		number[i].value = i;
		list_add_tail(&head, &number[i].list);
		cr_expect_not(list_empty(&head));
	}
	rota__list_for_each_safe(node, next, &head)
		cr_expect_eq(value_of(node), want++);
	cr_expect_eq(want, 10);
}

Test(list, removes_at_any_place)
{
	for (int gone = 0; gone < 5; gone++) {
		struct number number[5];
		struct list head;
		int want = 0;

		list_init(&head);
		for (int i = 0; i < 5; i++) {
			number[i].value = i;
			list_add_tail(&head, &number[i].list);
		}
		list_remove(&number[gone].list);
		cr_expect(list_empty(&number[gone].list), "linked to itself");
		list_remove(&number[gone].list); /* harmless */
		rota__list_for_each_safe(node, next, &head) {
			want += want == gone;
			cr_expect_eq(value_of(node), want++);
		}
		list_add_tail(&head, &number[gone].list);
		cr_expect_eq(value_of(head.prev), gone);
	}
}

Test(list, nodes_may_go_while_it_is_walked)
{
	struct number number[10];
	struct list head;
	int seen = 0;

	list_init(&head);
	for (int i = 0; i < 10; i++) {
		number[i].value = i;
		list_add_tail(&head, &number[i].list);
	}
	rota__list_for_each_safe(node, next, &head) {
		cr_expect_eq(value_of(node), seen++);
		list_remove(node);
	}
	cr_expect_eq(seen, 10);
	cr_expect(list_empty(&head));
}

/* The spin lock: a count without atomics stays right. */

static struct spin lock;
static long counter;

static void *count_under_lock(void *arg)
{
	for (int i = 0; i < 50000; i++) {
		spin_lock(&lock);
		counter++;
		spin_unlock(&lock);
	}
	return arg;
}

Test(list, a_spin_lock_excludes)
{
	pthread_t thread[3];

	for (int i = 0; i < 3; i++)
		cr_assert_eq(pthread_create(&thread[i], NULL, count_under_lock, NULL), 0);
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	cr_expect_eq(counter, 150000);
}
