/* base/version.c: the version that was compiled in, to compare with the headers that a program was
 * compiled against. A program that loads the shared library finds out so that it is older than its
 * headers. */
#include <snug/version.h>

uint32_t snug_version_number(void) {
	return SNUG_VERSION;
}

const char *snug_version(void) {
	return SNUG_VERSION_TEXT;
}
