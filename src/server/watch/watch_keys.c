/* server/watch/watch_keys.c: a key as a line of memcached's tells it, so that it is a word of one:
 * for `watch` and for `lru_crawler metadump`. */
#include "server/watch/watch.h"

static bool is_unreserved(unsigned char c) {
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		   c == '.' || c == '_' || c == '~';
}

const char *watch_key(const void *key, size_t length, char room[WATCH_KEY_ROOM]) {
	static const char digits[] = "0123456789ABCDEF";
	const unsigned char *bytes = key;
	size_t at = 0;
	for (size_t i = 0; i < length && at + 3 < WATCH_KEY_ROOM; i++) {
		if (is_unreserved(bytes[i])) {
			room[at++] = (char)bytes[i];
			continue;
		}
		room[at++] = '%';
		room[at++] = digits[bytes[i] >> 4];
		room[at++] = digits[bytes[i] & 15];
	}
	room[at] = '\0';
	return room;
}
