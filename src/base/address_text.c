/* base/address_text.c: see address_text.h. */
#include "base/address_text.h"

#include "base/number_text.h"

#include <string.h>

/* Nothing, or a colon and a port. */
static bool read_port(const char *text, struct address_text *address) {
	uint64_t port;
	if (*text == '\0') return true;
	if (*text != ':' || !number_read(text + 1, strlen(text + 1), &port) || port > UINT16_MAX)
		return false;
	address->has_port = true;
	address->port = (uint16_t)port;
	return true;
}

bool address_read(const char *text, struct address_text *out) {
	struct address_text address = {.host = text, .has_brackets = text[0] == '['};
	const char *behind;
	if (address.has_brackets) {
		address.host++;
		behind = strchr(text, ']');
		if (behind == NULL || behind == address.host) return false;
	} else {
		const char *colon = strchr(text, ':');
		bool is_bare_v6 = colon != NULL && strchr(colon + 1, ':') != NULL;
		behind = colon == NULL || is_bare_v6 ? text + strlen(text) : colon;
	}
	address.host_length = (size_t)(behind - address.host);
	if (address.host_length == 0 && *behind == '\0') return false;
	if (!read_port(behind + address.has_brackets, &address)) return false;
	*out = address;
	return true;
}

bool address_host(const struct address_text *address, char *host, size_t room) {
	if (address->host_length >= room) return false;
	memcpy(host, address->host, address->host_length);
	host[address->host_length] = '\0';
	return true;
}
