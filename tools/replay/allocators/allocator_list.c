/* allocator_list.c: which allocators there are, and where Debian puts their libraries. */
#include "allocators/allocators.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#else
#define SANITIZED false
#endif

static const struct {
	const char *name;
	const char *library; /* NULL: nothing to preload */
	const char *package;
} known[ALLOCATOR_COUNT] = {
	[ALLOCATOR_SNUG] = {"snug", NULL, NULL},
	[ALLOCATOR_GLIBC] = {"glibc", NULL, NULL},
	[ALLOCATOR_JEMALLOC] = {"jemalloc", "libjemalloc.so.2", "libjemalloc2"},
	[ALLOCATOR_MIMALLOC] = {"mimalloc", "libmimalloc.so.2.0", "libmimalloc2.0"},
	[ALLOCATOR_TCMALLOC] = {"tcmalloc", "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4"},
};

static const char *const directories[] = {
#ifdef __GLIBC__ /* where libraries for it lie */
	"/usr/lib/x86_64-linux-gnu",
	"/usr/lib/aarch64-linux-gnu",
	"/usr/lib/riscv64-linux-gnu",
#endif
	"/usr/lib64",
	"/usr/lib",
	"/usr/local/lib",
};

const char *allocator_name(enum allocator_kind kind) {
	return known[kind].name;
}

void allocator_explain_absence(enum allocator_kind kind, char *text, size_t room) {
	if (SANITIZED)
		snprintf(text, room, "a build with sanitizers brings its own malloc");
	else
		snprintf(text, room, "its library is not here (apt install %s)", known[kind].package);
}

bool allocator_parse(const char *name, enum allocator_kind *out) {
	for (int kind = 0; kind < ALLOCATOR_COUNT; kind++)
		if (strcmp(known[kind].name, name) == 0) {
			*out = (enum allocator_kind)kind;
			return true;
		}
	return false;
}

const char *allocator_library(enum allocator_kind kind, bool *found) {
	static char path[ALLOCATOR_COUNT][96];
	*found = known[kind].library == NULL;
	if (*found) return NULL;
	for (size_t i = 0; i < sizeof directories / sizeof directories[0] && !SANITIZED; i++) {
		snprintf(path[kind], sizeof path[kind], "%s/%s", directories[i], known[kind].library);
		if (access(path[kind], R_OK) == 0) {
			*found = true;
			return path[kind];
		}
	}
	return NULL;
}
