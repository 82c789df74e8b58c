/* base/grown.c: the size that a struct begins with decides how much of it is read or written. See
 * base/grown.h. */
#include "base/grown.h"

#include <string.h>

void grown_init(void *made, size_t made_bytes, const void *defaults, size_t known_bytes) {
	if (made == NULL || made_bytes < sizeof made_bytes) return;
	memset(made, 0, made_bytes);
	memcpy(made, defaults, made_bytes < known_bytes ? made_bytes : known_bytes);
	memcpy(made, &made_bytes, sizeof made_bytes);
}

void grown_init_part(void *made, size_t made_bytes, size_t offset) {
	if (made == NULL || made_bytes < offset + sizeof made_bytes) return;
	size_t part_bytes = made_bytes - offset;
	memcpy((char *)made + offset, &part_bytes, sizeof part_bytes);
}

bool grown_is_zero(const void *bytes, size_t count) {
	const unsigned char *byte = bytes;
	for (size_t i = 0; i < count; i++)
		if (byte[i] != 0) return false;
	return true;
}

bool grown_read(const void *given, void *known, size_t known_bytes) {
	size_t given_bytes;
	memcpy(&given_bytes, given, sizeof given_bytes);
	if (given_bytes < sizeof given_bytes || given_bytes > GROWN_BYTES_MAX) return false;
	if (given_bytes % sizeof given_bytes != 0)
		return false; /* no struct of ours ends amid a word */
	if (given_bytes > known_bytes &&
		!grown_is_zero((const char *)given + known_bytes, given_bytes - known_bytes))
		return false;
	memcpy(known, given, given_bytes < known_bytes ? given_bytes : known_bytes);
	memcpy(known, &known_bytes, sizeof known_bytes);
	return true;
}
