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
	errand->request.source = auth_source(fd);
	errand->refused_at_ns = os_now_ns() + AUTH_DELAY_NS;
	asker->connections.auth_commands++;
	if (command_read_login(command, &login) && auth_fill(&errand->request, &login))
		auth_ask(asker->server->auth, &errand->request);
	else
		atomic_store_explicit(&errand->request.is_done, true, memory_order_relaxed);
	return &errand->errand;
}
