/* server/auth/auth.h: who a client is, and what he may do. The door of this room:
 *
 *     auth.c                 the desk: the users, and a thread that checks passwords
 *     auth_names.h, .c       names of users as numbers
 *     users.h, .c            the file of users, read into a table
 *     digest.h, .c           secrets as digests that can be compared
 *     crypt_library.h, .c    hashes of passwords, by libcrypt, which is loaded when it is needed
 *
 *     connection -> auth_ask -> [queue] -> the desk's thread checks -> auth_is_done -> rights
 *
 * A check may take milliseconds, so no worker makes one: it asks, and looks later. There is one
 * thread, so wrong passwords cost one processor at most, whoever sends them and however many.
 *
 * Laws    - No secret is in the log or in statistics. What is kept of it is a digest or a hash: each
 *           copy that is made for a check is wiped behind it, and so are the bytes that came, where
 *           they came as a whole. Pieces stay in a buffer until others overwrite them.
 *         - How long a refusal takes does not tell whether there is such a user (users.c), and it
 *           takes AUTH_DELAY_NS at least.
 *         - Whoever has a password that is known (a plain one, or one that a hash was found to fit)
 *           waits for no other's hash but the one that is being reckoned; nothing is reckoned for who
 *           has gone.
 *         - All others take turns by where they come from (auth_request.source): whoever asks often,
 *           over however many connections, makes them wait for one hash in each round.
 *         - HTTP's threads ask the desk like everybody else.
 *         - Reading the file again is all or nothing. Who was let in before stays in. */
#ifndef SNUG_SERVER_AUTH_H
#define SNUG_SERVER_AUTH_H

#include "server/auth/auth_names.h"
#include "server/auth/users.h"
#include "server/protocol/protocol.h"

#include <snug/log.h>
#include <stdatomic.h>

/* A refusal is told no sooner after the question. */
#define AUTH_DELAY_NS UINT64_C(500000000)

/* Refusals of one connection: with the last it ends. Whoever tries on has to connect anew. */
#define AUTH_TRIES_MAX 10u

#define AUTH_BYTES_MAX 1024u /* of name and password, and what stands between them */

struct auth;

/* The asker's memory, until it is done. */
struct auth_request {
	struct auth_request *next;
	uint64_t
		source; /* a hash of where it comes from, by a secret: the same address, the same turn */
	uint32_t name_bytes;
	uint32_t password_bytes;
	char bytes[AUTH_BYTES_MAX]; /* the name, then the password; wiped by the desk */
	_Atomic bool is_forgotten;  /* atomic: the asker sets it, auth_forget */
	uint8_t rights;             /* once it is done; 0: refused */
	uint16_t user;              /* likewise: his number, auth_names.h */
	_Atomic bool is_done;       /* atomic: the desk sets it last */
};

/* The file is read now. False: a sentence. `log` is told of refusals, a line in ten seconds. */
bool auth_create(const char *path, const snug_log *log, struct auth **out, struct text *why);
/* Reads the file again. False: a sentence, and the users stay as they were. Any thread. */
bool auth_reload(struct auth *auth, struct text *why);
/* What is asked from now on, or waits, is refused at once. NULL is ignored. */
void auth_stop(struct auth *auth);
/* When nobody asks any more. NULL is ignored. */
void auth_destroy(struct auth *auth);
uint32_t auth_user_count(struct auth *auth);

/* What a user may do who has proved his name by a certificate; 0: there is no such user. Waits for no
 * check of a password. Any thread. */
uint8_t auth_certified(struct auth *auth, const char *name, size_t name_bytes);

/* Names of users who were let in. */
struct auth_names *auth_user_names(struct auth *auth);

/* Where the client at the other end comes from, for auth_request.source: an address, of IPv6 the net
 * that one host has (64 bits); all clients of unix sockets are one. */
uint64_t auth_source(int fd);

/* What he said. False: it is too long for anybody. */
bool auth_fill(struct auth_request *request, const struct login *login);

/* Puts it into the queue. Any thread. */
void auth_ask(struct auth *auth, struct auth_request *request);
static inline bool auth_is_done(const struct auth_request *request) {
	return atomic_load_explicit(&request->is_done, memory_order_acquire);
}

/* Nobody waits for the answer any more: it need not be reckoned. The memory stays until it is done. */
static inline void auth_forget(struct auth_request *request) {
	atomic_store_explicit(&request->is_forgotten, true, memory_order_relaxed);
}

/* Asks and waits: for threads that serve nobody else. Tells the rights; 0: refused. Once `gives_up` is
 * true nothing is reckoned for it, and it is refused. */
uint8_t auth_check(struct auth *auth, const struct login *login, uint64_t source,
				   const _Atomic bool *gives_up);

#endif
