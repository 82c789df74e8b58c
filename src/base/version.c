/* base/version.c: the version that was compiled in, to compare with the headers that a program was compiled against. */
#include <snug/version.h>

uint32_t snug_version_number(void) {
	return SNUG_VERSION;
}

const char *snug_version(void) {
	return SNUG_VERSION_TEXT;
}
