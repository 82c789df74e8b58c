/* work/key_hash.c: the process's one secret, and the only global that the library writes.
 *
 * It is made by a constructor that runs before those of the program, which may make keys already.
 * The order is: getrandom; where that is refused, as by a filter of system calls, the 16 bytes that
 * the kernel gave the process at its start (AT_RANDOM). They are good for one process, which is
 * what is needed.
 *
 * `is_settled` is atomic because workers may be created on several threads at once; the secret is
 * not: it may be set only before there are others. */
#include "work/key_hash.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SPREAD_BYTES 192u
_Static_assert(SPREAD_BYTES >= XXH3_SECRET_SIZE_MIN, "XXH3 wants a longer secret");

static unsigned char current[KEY_HASH_SECRET_BYTES];
static _Alignas(64) unsigned char spread[SPREAD_BYTES];
static atomic_bool is_settled;

static void set_secret(const void *secret) {
	XXH_errorcode error = XXH3_generateSecret(spread, sizeof spread, secret, KEY_HASH_SECRET_BYTES);
	(void)error; /* of a spread that is too short alone */
	memcpy(current, secret, sizeof current);
}

/* The kernel gives each process 16 random bytes at its start: they do where it refuses others, as a
 * filter of system calls may. */
static void take_random(unsigned char *secret) {
	if (getrandom(secret, KEY_HASH_SECRET_BYTES, 0) == KEY_HASH_SECRET_BYTES) return;
	const void *given = (const void *)(uintptr_t)getauxval(AT_RANDOM);
	if (given != NULL) memcpy(secret, given, KEY_HASH_SECRET_BYTES);
}

/* Before other constructors, which may make keys. */
__attribute__((constructor(101))) static void begin(void) {
	unsigned char secret[KEY_HASH_SECRET_BYTES] = {0};
	take_random(secret);
	set_secret(secret);
}

uint64_t key_hash(const void *bytes, size_t length) {
	return XXH3_64bits_withSecret(bytes, length, spread, sizeof spread);
}

void key_hash_settle(void) {
	atomic_store_explicit(&is_settled, true, memory_order_relaxed);
}

bool key_hash_set_secret(const void *secret) {
	if (atomic_load_explicit(&is_settled, memory_order_relaxed)) return false;
	set_secret(secret);
	return true;
}

void key_hash_secret(void *out) {
	memcpy(out, current, sizeof current);
}
