/* server/auth/users.c: see server/auth/users.h.
 *
 *     file -> lines -> name, rights, password -> struct user: digest of the name, digest or hash
 *                                                of the password
 *
 * TIME. A check looks at all users, and compares digests of one length. Where any user has a hash, a
 * refusal costs as many as the user has who has most of them, whatever the name: else the time would
 * tell which names there are, and which have several passwords.
 *
 * What is wrong with a line is told by its number alone: a line may be a secret. */
#include "server/auth/users.h"

#include "base/assert.h"
#include "base/bits.h"
#include "server/auth/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)

struct user {
	struct digest name;
	struct digest password; /* if it is known: a plain one, or one that a hash was found to fit */
	bool is_known;
	uint8_t rights;
	char hash[USER_PASSWORD_BYTES_MAX + 1]; /* "": the password is plain */
};

struct users {
	struct digest_key key;
	uint32_t count;
	uint32_t hashes_max; /* of one name */
	struct user user[USERS_MAX];
};

/* ------------------------------------------------------------------ a line ----------------- */

struct line_parts {
	const char *name;
	size_t name_bytes;
	const char *rights; /* NULL: none are named */
	size_t rights_bytes;
	const char *password;
	size_t password_bytes;
};

static bool word_is(const char *word, size_t length, const char *name) {
	return strlen(name) == length && memcmp(word, name, length) == 0;
}

/* 0: a word that is none. */
static uint8_t read_rights(const char *words, size_t length) {
	static const struct {
		const char *name;
		uint8_t right;
	} known[] = {{"read", AUTH_READ},
				 {"write", AUTH_WRITE},
				 {"flush", AUTH_FLUSH},
				 {"operate", AUTH_OPERATE}};
	uint8_t rights = 0;
	for (const char *at = words, *end = words + length; at <= end;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		size_t bytes = (size_t)((comma != NULL ? comma : end) - at);
		uint8_t right = 0;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			if (word_is(at, bytes, known[i].name)) right = known[i].right;
		if (right == 0) return 0;
		rights |= right;
		if (comma == NULL) break;
		at = comma + 1;
	}
	return rights;
}

/* Where "(read,write)" ends a name, it says the rights. */
static bool split_line(const char *line, size_t length, struct line_parts *parts) {
	const char *colon = memchr(line, ':', length);
	if (colon == NULL) return false;
	*parts = (struct line_parts){.name = line,
								 .name_bytes = (size_t)(colon - line),
								 .password = colon + 1,
								 .password_bytes = length - (size_t)(colon + 1 - line)};
	const char *open = memchr(line, '(', parts->name_bytes);
	if (open != NULL && colon[-1] == ')') {
		parts->name_bytes = (size_t)(open - line);
		parts->rights = open + 1;
		parts->rights_bytes = (size_t)(colon - 1 - parts->rights);
	}
	return parts->name_bytes > 0 && parts->name_bytes <= USER_NAME_BYTES_MAX &&
		   parts->password_bytes > 0 && parts->password_bytes <= USER_PASSWORD_BYTES_MAX;
}

/* "$y$", "$6$", .. Those that libcrypt may not know are here too: taken as a plain password, what lies in
 * the file would let in whoever has seen it. */
static bool is_hash(const char *password, size_t length) {
	static const char *const methods[] = {"$y$",  "$gy$", "$7$", "$2a$", "$2b$",   "$2x$",
										  "$2y$", "$6$",  "$5$", "$1$",  "$apr1$", "$argon2"};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (length > strlen(methods[i]) && memcmp(password, methods[i], strlen(methods[i])) == 0)
			return true;
	return false;
}

/* What is wrong with the line; NULL: nothing. */
static const char *take_password(struct users *users, struct user *user,
								 const struct line_parts *parts, struct crypt_library *crypt) {
	if (!is_hash(parts->password, parts->password_bytes)) {
		user->password = digest_of(&users->key, parts->password, parts->password_bytes);
		user->is_known = true;
		return NULL;
	}
	if (memchr(parts->password, '\0', parts->password_bytes) != NULL) return "is not a hash";
	memcpy(user->hash, parts->password, parts->password_bytes);
	user->hash[parts->password_bytes] = '\0';
	if (!crypt_library_load(crypt)) return "has a hash, and there is no libcrypt that reads it";
	return crypt_library_knows(crypt, user->hash) ? NULL : "has a hash that libcrypt does not read";
}

static uint32_t count_name(const struct users *users, const struct digest *name) {
	uint32_t count = 0;
	for (uint32_t i = 0; i < users->count; i++) count += digest_equals(&users->user[i].name, name);
	return count;
}

static uint32_t count_hashes(const struct users *users, const struct digest *name) {
	uint32_t count = 0;
	for (uint32_t i = 0; i < users->count; i++)
		count += users->user[i].hash[0] != '\0' && digest_equals(&users->user[i].name, name);
	return count;
}

static const char *add_user(struct users *users, const char *line, size_t length,
							struct crypt_library *crypt) {
	struct line_parts parts;
	if (users->count == USERS_MAX) return "is one more than there may be, which is 1024";
	if (!split_line(line, length, &parts))
		return "is not name:password, of at most 128 and 384 bytes";
	struct user *user = &users->user[users->count];
	user->rights =
		parts.rights == NULL ? AUTH_ITEM_RIGHTS : read_rights(parts.rights, parts.rights_bytes);
	if (user->rights == 0) return "names other rights than read, write, flush and operate";
	user->name = digest_of(&users->key, parts.name, parts.name_bytes);
	if (count_name(users, &user->name) == USER_LINES_MAX) return "is the fifth of that user";
	const char *wrong = take_password(users, user, &parts, crypt);
	if (wrong != NULL) return wrong;
	users->count++;
	users->hashes_max = (uint32_t)larger(users->hashes_max, count_hashes(users, &user->name));
	return NULL;
}

/* ------------------------------------------------------------------ the file --------------- */

static bool parse(struct users *users, const char *bytes, size_t length, const char *path,
				  struct crypt_library *crypt, struct text *why) {
	const char *at = bytes, *end = bytes + length;
	for (unsigned number = 1; at < end; number++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline != NULL ? newline : end;
		size_t line_bytes = (size_t)(line_end - at);
		if (line_bytes > 0 && at[line_bytes - 1] == '\r') line_bytes--;
		if (line_bytes > 0 && at[0] != '#') {
			const char *wrong = add_user(users, at, line_bytes, crypt);
			if (wrong != NULL) {
				text_print(why, "%s: line %u %s", path, number, wrong);
				return false;
			}
		}
		at = line_end + (newline != NULL);
	}
	if (users->count == 0) text_print(why, "%s: names no user", path);
	return users->count > 0;
}

/* All of the file: its length; -1: errno says why not. */
static ssize_t read_file(int file, char *bytes, size_t room) {
	size_t length = 0;
	while (length < room) {
		ssize_t got = read(file, bytes + length, room - length);
		if (got < 0 && errno == EINTR) continue;
		if (got < 0) return -1;
		if (got == 0) return (ssize_t)length;
		length += (size_t)got;
	}
	errno = EFBIG;
	return -1;
}

static bool load(struct users *users, const char *path, struct crypt_library *crypt,
				 struct text *why) {
	char *bytes = malloc(FILE_BYTES_MAX);
	int file = bytes == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t length = file < 0 ? -1 : read_file(file, bytes, FILE_BYTES_MAX);
	bool is_read = length >= 0;
	if (!is_read)
		text_print(why, "%s: cannot be read: %s", path, strerror(errno));
	else
		is_read = parse(users, bytes, (size_t)length, path, crypt, why);
	if (file >= 0) (void)close(file);
	if (bytes != NULL) explicit_bzero(bytes, FILE_BYTES_MAX); /* of a part, too */
	free(bytes);
	return is_read;
}

struct users *users_read(const char *path, struct crypt_library *crypt, struct text *why) {
	struct users *users = calloc(1, sizeof *users);
	if (users == NULL ||
		getrandom(&users->key, sizeof users->key, 0) != (ssize_t)sizeof users->key) {
		text_print(why, "%s: no memory, or no random numbers", path);
		free(users);
		return NULL;
	}
	if (load(users, path, crypt, why)) return users;
	users_destroy(users);
	return NULL;
}

void users_destroy(struct users *users) {
	if (users == NULL) return;
	explicit_bzero(users, sizeof *users);
	free(users);
}

uint32_t users_count(const struct users *users) {
	return users->count;
}

/* ------------------------------------------------------------------ a check ---------------- */

/* A hash that is reckoned for the time that it takes. NULL: nobody has one. */
static const char *some_hash(const struct users *users) {
	for (uint32_t i = 0; i < users->count; i++)
		if (users->user[i].hash[0] != '\0') return users->user[i].hash;
	return NULL;
}

/* As libcrypt takes it. False: no password that it was given can be so. */
static bool copy_password(const char *password, size_t length,
						  char copy[USER_PASSWORD_BYTES_MAX + 1]) {
	bool is_right = length <= USER_PASSWORD_BYTES_MAX && memchr(password, '\0', length) == NULL;
	size_t bytes = is_right ? length : 0;
	memcpy(copy, password, bytes);
	copy[bytes] = '\0';
	return is_right;
}

static bool fits_hash(const struct crypt_library *crypt, const char *password, size_t length,
					  const char *hash) {
	char copy[USER_PASSWORD_BYTES_MAX + 1];
	bool is_right = copy_password(password, length, copy);
	bool fits = crypt_library_fits(crypt, copy, hash);
	explicit_bzero(copy, sizeof copy);
	return fits && is_right;
}

static uint8_t recognise(const struct users *users, const struct digest *name,
						 const struct digest *password) {
	uint8_t rights = 0;
	for (uint32_t i = 0; i < users->count; i++) {
		const struct user *user = &users->user[i];
		unsigned fits = (unsigned)digest_equals(&user->name, name) & user->is_known &
						(unsigned)digest_equals(&user->password, password);
		rights = fits != 0 ? user->rights : rights;
	}
	return rights;
}

uint8_t users_recognise(const struct users *users, const char *name, size_t name_bytes,
						const char *password, size_t password_bytes) {
	struct digest asked_name = digest_of(&users->key, name, name_bytes);
	struct digest asked = digest_of(&users->key, password, password_bytes);
	return recognise(users, &asked_name, &asked);
}

uint8_t users_rights(const struct users *users, const char *name, size_t name_bytes) {
	struct digest asked = digest_of(&users->key, name, name_bytes);
	uint8_t rights = 0;
	for (uint32_t i = 0; i < users->count; i++)
		if (digest_equals(&users->user[i].name, &asked)) rights |= users->user[i].rights;
	return rights;
}

uint8_t users_check(struct users *users, const struct crypt_library *crypt, const char *name,
					size_t name_bytes, const char *password, size_t password_bytes) {
	struct digest asked_name = digest_of(&users->key, name, name_bytes);
	struct digest asked = digest_of(&users->key, password, password_bytes);
	uint8_t rights = recognise(users, &asked_name, &asked);
	uint32_t hash_count = 0;
	if (rights != 0) return rights;
	for (uint32_t i = 0; i < users->count && rights == 0; i++) {
		struct user *user = &users->user[i];
		if (user->hash[0] == '\0' || !digest_equals(&user->name, &asked_name)) continue;
		hash_count++;
		if (!fits_hash(crypt, password, password_bytes, user->hash)) continue;
		user->password = asked;
		user->is_known = true;
		rights = user->rights;
	}
	for (; rights == 0 && hash_count < users->hashes_max; hash_count++)
		(void)fits_hash(crypt, password, password_bytes, some_hash(users));
	return rights;
}
