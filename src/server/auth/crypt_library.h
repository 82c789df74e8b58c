/* server/auth/crypt_library.h: hashes of passwords as crypt(5) has them: yescrypt, "$y$..", and its
 * older relatives.
 *
 * libcrypt is loaded when a file of users has the first hash, so nobody needs it who has none. One
 * check takes milliseconds, on purpose, and some MiB of memory: it is nothing for a worker. */
#ifndef SNUG_SERVER_CRYPT_LIBRARY_H
#define SNUG_SERVER_CRYPT_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

struct crypt_library {
	void *handle; /* NULL: not loaded */
	char *(*crypt_ra)(const char *phrase, const char *setting, void **data, int *size);
	int (*crypt_checksalt)(const char *setting);
};

/* False: it is not there, or lacks what is needed. Again: true, if it is loaded. */
bool crypt_library_load(struct crypt_library *library);
/* Whether it looks like a hash whose method is known. What is none all the same fits no password. */
bool crypt_library_knows(const struct crypt_library *library, const char *hash);
/* Both end with a NUL. In a time that depends on the hash's method, not on the password. */
bool crypt_library_fits(const struct crypt_library *library, const char *password,
						const char *hash);
void crypt_library_unload(struct crypt_library *library);

#endif
