/* server/errand/errand_login.c: a client says who he is. See server/auth/auth.h.
 *
 *     begin -> the desk's queue -> checked -> right: at once         -> STORED, and his rights
 *                                          -> wrong: AUTH_DELAY_NS   -> CLIENT_ERROR ..
 *
 * No worker is visited. The connection waits, as for any errand, and nobody else does. What is no
 * name and password is not checked, and waits as long as what is wrong. Nothing is reckoned for a client
 * who has gone: else whoever connects, asks and goes would keep the desk busy for nothing. */
#include "server/errand/errand_parts.h"

#include "base/assert.h"
#include "os/threads.h"
#include "server/auth/auth.h"
#include "work/key_hash.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

struct login_errand {
	struct errand errand; /* must be the first */
	struct server_worker *asker;
	uint64_t refused_at_ns; /* not told before */
	bool is_counted;
	struct auth_request request;
};

static struct login_errand *login_of(struct errand *errand) {
	return (struct login_errand *)(void *)errand;
}

/* On the asker's thread. */
static bool is_ready(struct errand *errand) {
	struct login_errand *login = login_of(errand);
	if (!auth_is_done(&login->request)) return false;
	bool is_refused = login->request.rights == 0;
	if (!login->is_counted) login->asker->connections.auth_errors += is_refused;
	login->is_counted = true;
	return !is_refused || os_now_ns() >= login->refused_at_ns ||
		   atomic_load_explicit(&errand->server->is_draining, memory_order_relaxed);
}

static void answer(struct errand *errand, struct text *out) {
	errand->rights = login_of(errand)->request.rights;
	errand->user = login_of(errand)->request.user;
	text_say(out, errand->rights != 0 ? "STORED" : "CLIENT_ERROR authentication failure");
}

static void forget(struct errand *errand) {
	auth_forget(&login_of(errand)->request);
}

/* Where the client comes from: an address, of IPv6 the net that one host has (64 bits); all clients of
 * unix sockets are one. */
static uint64_t source_of(int fd) {
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	if (getpeername(fd, (struct sockaddr *)&address, &length) != 0) return 0;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&address;
	if (address.ss_family == AF_INET) return key_hash(&v4->sin_addr, sizeof v4->sin_addr);
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&address;
	if (address.ss_family != AF_INET6) return 0;
	const unsigned char *bytes = v6->sin6_addr.s6_addr;
	return IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? key_hash(bytes + 12, 4) : key_hash(bytes, 8);
}

/* False: it is too long for anybody. */
static bool fill(struct auth_request *request, const struct login *login) {
	if (login->name_bytes + login->password_bytes > AUTH_BYTES_MAX) return false;
	memcpy(request->bytes, login->name, login->name_bytes);
	memcpy(request->bytes + login->name_bytes, login->password, login->password_bytes);
	request->name_bytes = (uint32_t)login->name_bytes;
	request->password_bytes = (uint32_t)login->password_bytes;
	return true;
}

struct errand *errand_login(struct server_worker *asker, int fd, const struct command *command,
							struct text *out) {
	struct login_errand *errand = errand_new(asker->server, sizeof *errand, out);
	struct login login;
	if (errand == NULL) return NULL;
	SNUG_ASSERT(asker->server->auth != NULL);
	errand->errand.is_ready = is_ready;
	errand->errand.answer = answer;
	errand->errand.forget = forget;
	errand->errand.is_login = true;
	errand->asker = asker;
	errand->request.source = source_of(fd);
	errand->refused_at_ns = os_now_ns() + AUTH_DELAY_NS;
	asker->connections.auth_commands++;
	if (command_read_login(command, &login) && fill(&errand->request, &login))
		auth_ask(asker->server->auth, &errand->request);
	else
		atomic_store_explicit(&errand->request.is_done, true, memory_order_relaxed);
	return &errand->errand;
}
