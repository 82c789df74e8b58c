/* server/auth/crypt_library.c: see server/auth/crypt_library.h. crypt_ra keeps its scratch memory
 * where it is told, so threads need no lock; what it leaves there is wiped. */
#include "server/auth/crypt_library.h"

#include "base/assert.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

bool crypt_library_load(struct crypt_library *library) {
	if (library->handle != NULL) return true;
	void *handle = dlopen("libcrypt.so.1", RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) handle = dlopen("libcrypt.so.2", RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) return false;
	void *hash = dlsym(handle, "crypt_ra"), *check = dlsym(handle, "crypt_checksalt");
	if (hash == NULL || check == NULL) {
		(void)dlclose(handle);
		return false;
	}
	/* ISO C has no cast from an object's pointer to a function's. */
	memcpy(&library->crypt_ra, &hash, sizeof hash);
	memcpy(&library->crypt_checksalt, &check, sizeof check);
	library->handle = handle;
	return true;
}

#define LAST_PART_BYTES_MIN 22u /* of any method's hash */

/* The hash itself, behind method, parameters and salt. */
static bool has_last_part(const char *hash) {
	static const char letters[] =
		"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *dollar = strrchr(hash, '$');
	if (dollar == NULL) return false;
	size_t length = strlen(dollar + 1);
	return length >= LAST_PART_BYTES_MIN && strspn(dollar + 1, letters) == length;
}

bool crypt_library_knows(const struct crypt_library *library, const char *hash) {
	enum { SALT_RIGHT = 0, SALT_OLD_METHOD = 3, SALT_TOO_CHEAP = 4 }; /* of crypt.h */
	SNUG_ASSERT(library->handle != NULL);
	int judged = library->crypt_checksalt(hash);
	bool is_known = judged == SALT_RIGHT || judged == SALT_OLD_METHOD || judged == SALT_TOO_CHEAP;
	return is_known && has_last_part(hash);
}

static char *hash_with(const struct crypt_library *library, const char *password,
					   const char *setting, void **data, int *size) {
	char *hashed = library->crypt_ra(password, setting, data, size);
	return hashed != NULL && hashed[0] != '*' ? hashed : NULL; /* '*' begins a failure */
}

static void wipe(void *data, int size) {
	if (data == NULL) return;
	explicit_bzero(data, (size_t)size);
	free(data);
}

bool crypt_library_fits(const struct crypt_library *library, const char *password,
						const char *hash) {
	void *data = NULL;
	int size = 0;
	SNUG_ASSERT(library->handle != NULL);
	const char *hashed = hash_with(library, password, hash, &data, &size);
	unsigned char differs = hashed == NULL || strlen(hashed) != strlen(hash);
	size_t length = differs == 0 ? strlen(hash) : 0;
	for (size_t i = 0; i < length; i++) differs = (unsigned char)(differs | (hashed[i] ^ hash[i]));
	wipe(data, size);
	return differs == 0;
}

void crypt_library_unload(struct crypt_library *library) {
	if (library->handle != NULL) (void)dlclose(library->handle);
	*library = (struct crypt_library){0};
}
