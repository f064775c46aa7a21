/* SPDX-License-Identifier: MIT */
/* The error vocabulary, the version, random bytes: what needs no runtime. */
#include "unit.h"

TestSuite(status, .timeout = HANG_SECONDS);

Test(status, names)
{
	cr_expect_str_eq(rota_status_name(0), "0");
	cr_expect_str_eq(rota_status_name(-ECONNREFUSED), "ECONNREFUSED");
	cr_expect_str_eq(rota_status_name(ECONNREFUSED), "ECONNREFUSED");
	cr_expect_str_eq(rota_status_name(-ECANCELED), "ECANCELED");
	cr_expect_str_eq(rota_status_name(-ETIMEDOUT), "ETIMEDOUT");
	cr_expect_str_eq(rota_status_name(-EPERM), "EPERM");
}

Test(status, texts)
{
	cr_expect_str_eq(rota_status_text(0), "success");
	cr_expect_str_eq(rota_status_text(-ECONNREFUSED), "Connection refused");
	cr_expect_str_eq(rota_status_text(ECONNREFUSED), "Connection refused");
	cr_expect_str_eq(rota_status_text(-EPERM), "Operation not permitted");
}

Test(status, what_has_no_name)
{
	static const int statuses[] = { -4095, -4096, -100000, INT32_MIN, INT32_MIN + 1, INT32_MAX,
		4095, 100000, -1000 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		cr_expect_str_eq(rota_status_name(statuses[i]), "unknown", "%d", statuses[i]);
		cr_expect_str_eq(
			rota_status_text(statuses[i]), "unknown status", "%d", statuses[i]);
	}
}

Test(status, every_number_has_a_text)
{
	for (int i = -5000; i < 5000; i++) {
		cr_assert_not_null(rota_status_text(i));
		cr_assert_not_null(rota_status_name(i));
	}
}

Test(status, the_version_is_the_headers)
{
	cr_expect_eq(rota_version(), ROTA_VERSION_NUMBER);
}

Test(status, random_bytes_differ_and_fill_all)
{
	unsigned char a[1001] = { 0 };
	unsigned char b[1001] = { 0 };
	unsigned char seen[1000] = { 0 };

	rota_random(a, 1000);
	rota_random(b, 1000);
	cr_expect_neq(memcmp(a, b, 1000), 0);
	cr_expect_eq(a[1000], 0);
	rota_random(a, 0);
	/* Each byte changes sooner or later; not to in 20 rounds has a chance of 2^-160. */
	for (int round = 0; round < 20; round++) {
		memcpy(b, a, 1000);
		rota_random(a, 1000);
		for (int i = 0; i < 1000; i++)
			seen[i] |= a[i] != b[i];
	}
	for (int i = 0; i < 1000; i++)
		cr_assert(seen[i]);
}

Test(status, a_site_is_a_name_and_a_place)
{
	cr_expect_eq(strncmp(ROTA_SITE("fetch"), "fetch (status_test.c:", 21), 0, "%s",
		ROTA_SITE("fetch"));
}
