/* SPDX-License-Identifier: MIT */
/* The error vocabulary and the version: statuses as text. */
#include <errno.h>
#include <string.h>

#include <rota/base.h>

#include "base/attr.h"

int rota_version(void)
{
	return ROTA_VERSION_NUMBER;
}

/* The positive errno of a status; 0 for what is none. INT_MIN has no positive. */
static int status_errno(int status)
{
	if (status < 0)
		return status < -4095 ? 0 : -status;
	return status;
}

const char *rota_status_text(int status)
{
	const char *text;

	if (status == 0)
		return "success";
	text = status_errno(status) ? strerrordesc_np(status_errno(status)) : NULL;
	return text ? text : "unknown status";
}

const char *rota_status_name(int status)
{
	const char *name;

	if (status == 0)
		return "0";
	name = status_errno(status) ? strerrorname_np(status_errno(status)) : NULL;
	return name ? name : "unknown";
}
