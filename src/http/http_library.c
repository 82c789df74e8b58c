/* http/http_library.c: see http/http_library.h. A library that lacks one of the functions counts as
 * not installed. It is never unloaded: its threads may still be on their way out. */
#include "http/http_library.h"

#include <dlfcn.h>
#include <string.h>

#define SONAME "libmicrohttpd.so.12"

/* POSIX has functions come as addresses of objects; ISO C has no cast for that. */
static bool find(void *library, const char *name, void *field) {
	void *address = dlsym(library, name);
	memcpy(field, &address, sizeof address);
	return address != NULL;
}

bool http_library_load(struct http_library *out) {
	void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) return false;
#define FIND(name) \
	if (!find(library, "MHD_" #name, &out->name)) return false;
	HTTP_LIBRARY_FUNCTIONS(FIND)
#undef FIND
	return true;
}
