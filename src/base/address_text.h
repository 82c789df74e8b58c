/* base/address_text.h: the one place that says how an address is written, for snugd's listeners,
 * for the Host of an HTTP request and for snugctl:
 *
 *     host    host:port    :port    v6    [v6]    [v6]:port
 *
 * Several colons without brackets are a bare IPv6 address, which has no port. What a host means is
 * the reader's affair: nothing is looked up here. Pure, and no part of libsnug. */
#ifndef SNUG_BASE_ADDRESS_TEXT_H
#define SNUG_BASE_ADDRESS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct address_text {
	const char *host; /* in the text; without brackets, and not ended by a NUL */
	size_t host_length;
	bool has_brackets;
	bool has_port;
	uint16_t port; /* 0 unless it has one */
};

/* False: none of these forms, or a port that is no number up to 65535; `out` is as it was. */
bool address_read(const char *text, struct address_text *out);
/* The host by itself, ended by a NUL. False: it has no room. */
bool address_host(const struct address_text *address, char *host, size_t room);

#endif
