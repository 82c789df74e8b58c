/* server/auth/users.h: the file of users, as it was read: who there is, and what each may do.
 *
 *     name:password                  as memcached's: may read, write and flush
 *     name(read):password            may do just that: read, write, flush, operate, with commas
 *     name:$y$j9T$..                 a hash as crypt(5) has it, instead of the password
 *     # ..                           nothing; nor does an empty line
 *
 * A name may have several lines, so that a password can be changed while both are valid. Of a plain
 * password a digest is kept (digest.h), and of the file's bytes nothing. */
#ifndef SNUG_SERVER_USERS_H
#define SNUG_SERVER_USERS_H

#include "base/text.h"
#include "server/auth/crypt_library.h"

#include <stdint.h>

enum auth_right {
	AUTH_READ = 1,
	AUTH_WRITE = 2,
	AUTH_FLUSH = 4,
	AUTH_OPERATE = 8, /* the operator's commands (errand/errand_door.c) */
};

/* What items need, and what a user has who is given no rights by name. */
#define AUTH_ITEM_RIGHTS (AUTH_READ | AUTH_WRITE | AUTH_FLUSH)

#define USERS_MAX 1024u
#define USER_LINES_MAX 4u /* of one name */
#define USER_NAME_BYTES_MAX 128u
#define USER_PASSWORD_BYTES_MAX 384u

struct users;

/* Reads all of it, or nothing: NULL, with a sentence. Loads libcrypt if a line has a hash. */
struct users *users_read(const char *path, struct crypt_library *crypt, struct text *why);
void users_destroy(struct users *users);
uint32_t users_count(const struct users *users);

/* The same, as far as it is known without reckoning a hash; 0: users_check says. It tells who has
 * the password, and nobody else, that it is known. Microseconds. */
uint8_t users_recognise(const struct users *users, const char *name, size_t name_bytes,
						const char *password, size_t password_bytes);

/* All that a user of this name may do, by any of his lines; 0: there is none. Looks at what nobody
 * changes once it is read. */
uint8_t users_rights(const struct users *users, const char *name, size_t name_bytes);

/* The rights of that user; 0: no such user, or not his password. The time that it takes does not tell
 * which. One thread at a time: what was found right is remembered, so that a hash is reckoned once. */
uint8_t users_check(struct users *users, const struct crypt_library *crypt, const char *name,
					size_t name_bytes, const char *password, size_t password_bytes);

#endif
