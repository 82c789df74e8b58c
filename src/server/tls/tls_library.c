/* server/tls/tls_library.c: see server/tls/tls_library.h.
 *
 *     block   [ bytes of the block: 16 ][ what OpenSSL sees .. ]
 *
 * A block knows its size, because OpenSSL gives back an address alone. */
#include "server/tls/tls_library.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define SONAME "libssl.so.3"

/* ------------------------------------------------------------------ memory ----------------- */

#define HEAD_BYTES 16u   /* keeps the alignment that malloc gives */
#define MALLOC_BYTES 16u /* what a block costs besides: its head, and half of its rounding */

static _Thread_local int64_t taken_bytes;

static void note(const void *block, int sign) {
	size_t bytes;
	memcpy(&bytes, block, sizeof bytes);
	taken_bytes += sign * (int64_t)(bytes + HEAD_BYTES + MALLOC_BYTES);
}

static void *noted(void *block, size_t bytes) {
	if (block == NULL) return NULL;
	memcpy(block, &bytes, sizeof bytes);
	note(block, 1);
	return (char *)block + HEAD_BYTES;
}

static void *take(size_t bytes, const char *file, int line) {
	(void)file;
	(void)line;
	if (bytes == 0 || bytes > PTRDIFF_MAX - HEAD_BYTES) return NULL;
	return noted(malloc(bytes + HEAD_BYTES), bytes);
}

static void give(void *seen, const char *file, int line) {
	(void)file;
	(void)line;
	if (seen == NULL) return;
	note((char *)seen - HEAD_BYTES, -1);
	free((char *)seen - HEAD_BYTES);
}

static void *take_again(void *seen, size_t bytes, const char *file, int line) {
	if (seen == NULL) return take(bytes, file, line);
	if (bytes == 0 || bytes > PTRDIFF_MAX - HEAD_BYTES) {
		if (bytes == 0) give(seen, file, line);
		return NULL;
	}
	char *block = (char *)seen - HEAD_BYTES;
	note(block, -1);
	char *moved = realloc(block, bytes + HEAD_BYTES);
	if (moved != NULL) return noted(moved, bytes);
	note(block, 1);
	return NULL;
}

int64_t tls_library_taken_bytes(void) {
	return taken_bytes;
}

/* ------------------------------------------------------------------ load ------------------- */

/* POSIX has functions come as addresses of objects; ISO C has no cast for that. */
static bool find(void *library, const char *name, void *field) {
	void *address = dlsym(library, name);
	memcpy(field, &address, sizeof address);
	return address != NULL;
}

static bool load(struct tls_library *out) {
	void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	if (library == NULL) return false;
#define FIND(name) \
	if (!find(library, #name, &out->name)) return false;
	TLS_LIBRARY_FUNCTIONS(FIND)
#undef FIND
	/* before its first request for memory */
	return out->CRYPTO_set_mem_functions(take, take_again, give) == 1 &&
		   out->OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT, NULL) == 1;
}

const struct tls_library *tls_library_load(void) {
	static struct tls_library library;
	static bool is_loaded;
	if (!is_loaded) is_loaded = load(&library);
	return is_loaded ? &library : NULL;
}
