/* server/auth/auth.c: the desk: the users, and a thread that checks passwords. See
 * server/auth/auth.h.
 *
 *     asked -> [request] -> [request]      under the mutex. Looked at first: is the password known?
 *       |  yes: let in
 *       v  no
 *     unknown -> [request] -> [request]    the desk's own, AUTH_LANES of them: a hash is reckoned for
 *     unknown -> [request]                 one request at a time, of each lane that has one in turn
 *
 *     users                                under another mutex: a check holds it, so does a reload
 *
 * So strangers wait for strangers, and who has been in before, or whose password is plain, does not
 * wait for them. A lane is chosen by the address, with a secret: who tries from one address is in one
 * lane, and who comes for the first time from another waits, but for one case in AUTH_LANES, for one
 * of his tries. Whoever has many addresses, or shares the newcomer's, is before him at most
 * AUTH_LANES times, and with what stands in his lane. Who has gone takes no turn. The queues are as
 * long as there are clients who have not been let in, each of whom has one request at most. */
#include "server/auth/auth.h"

#include "base/assert.h"
#include "base/log_line.h"
#include "os/threads.h"
#include "work/key_hash.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define TOLD_NS UINT64_C(10000000000) /* between two lines about refusals */
#define PATH_BYTES_MAX 4096u
#define AUTH_LANES 256u
#define LOOK_NS UINT64_C(1000000) /* between two looks of who waits */

struct auth_queue {
	struct auth_request *first, *last; /* NULL: it is empty */
};

struct auth {
	char path[PATH_BYTES_MAX]; /* constant after create */
	snug_log log;              /* constant after create */
	struct os_thread thread;
	struct auth_queue unknown[AUTH_LANES]; /* the desk's thread's, as are the next two */
	uint32_t unknown_count;
	uint32_t lane;               /* that has the next turn */
	pthread_mutex_t queue_mutex; /* guards the next three */
	pthread_cond_t is_asked;
	struct auth_queue asked;
	_Atomic bool is_ending;      /* also looked at without it */
	pthread_mutex_t users_mutex; /* guards the rest; a check of a password holds it */
	/* taken for a moment, also without the one before: who has it alone may look at what nobody
	 * changes of `users`. To change that pointer takes both */
	pthread_mutex_t pointer_mutex;
	struct users *users;
	struct crypt_library crypt;
	struct auth_names names; /* has a mutex of its own */
	uint64_t refused;        /* that the log was not told of */
	uint64_t told_ns;        /* when it was last told; 0: never */
};

static bool is_ending(const struct auth *auth) {
	return atomic_load_explicit(&auth->is_ending, memory_order_relaxed);
}

/* ------------------------------------------------------------------ a check ---------------- */

/* Under the users' mutex. Names are not told: some clients send their password first. */
static void tell_refusal(struct auth *auth) {
	uint64_t now_ns = os_now_ns();
	auth->refused++;
	if (auth->told_ns != 0 && now_ns - auth->told_ns < TOLD_NS) return;
	snug_log_line(&auth->log, SNUG_LOG_WARNING, "authentication: %llu refused",
				  (unsigned long long)auth->refused);
	auth->told_ns = now_ns;
	auth->refused = 0;
}

static uint8_t check(struct auth *auth, const struct auth_request *request) {
	pthread_mutex_lock(&auth->users_mutex);
	uint8_t rights = users_check(auth->users, &auth->crypt, request->bytes, request->name_bytes,
								 request->bytes + request->name_bytes, request->password_bytes);
	if (rights == 0) tell_refusal(auth);
	pthread_mutex_unlock(&auth->users_mutex);
	return rights;
}

uint8_t auth_certified(struct auth *auth, const char *name, size_t name_bytes) {
	pthread_mutex_lock(&auth->pointer_mutex);
	uint8_t rights = users_rights(auth->users, name, name_bytes);
	pthread_mutex_unlock(&auth->pointer_mutex);
	return rights;
}

struct auth_names *auth_user_names(struct auth *auth) {
	return &auth->names;
}

static uint8_t recognise(struct auth *auth, const struct auth_request *request) {
	pthread_mutex_lock(&auth->users_mutex);
	uint8_t rights = users_recognise(auth->users, request->bytes, request->name_bytes,
									 request->bytes + request->name_bytes, request->password_bytes);
	pthread_mutex_unlock(&auth->users_mutex);
	return rights;
}

/* Whose request has gone is answered too: its memory waits for that. */
static bool is_wanted(const struct auth *auth, const struct auth_request *request) {
	return !is_ending(auth) && !atomic_load_explicit(&request->is_forgotten, memory_order_relaxed);
}

/* His name goes with the rest of what he said. */
static void finish(struct auth *auth, struct auth_request *request, uint8_t rights) {
	request->rights = rights;
	request->user =
		rights == 0 ? 0 : auth_names_number(&auth->names, request->bytes, request->name_bytes);
	explicit_bzero(request->bytes, sizeof request->bytes);
	atomic_store_explicit(&request->is_done, true, memory_order_release);
}

/* ------------------------------------------------------------------ the queues ------------- */

static void enqueue(struct auth_queue *queue, struct auth_request *request) {
	request->next = NULL;
	if (queue->first == NULL)
		queue->first = request;
	else
		queue->last->next = request;
	queue->last = request;
}

static struct auth_request *dequeue(struct auth_queue *queue) {
	struct auth_request *request = queue->first;
	if (request != NULL) queue->first = request->next;
	return request;
}

void auth_ask(struct auth *auth, struct auth_request *request) {
	request->rights = 0;
	atomic_store_explicit(&request->is_done, false, memory_order_relaxed);
	pthread_mutex_lock(&auth->queue_mutex);
	if (is_ending(auth))
		finish(auth, request, 0);
	else
		enqueue(&auth->asked, request);
	pthread_cond_signal(&auth->is_asked);
	pthread_mutex_unlock(&auth->queue_mutex);
}

static void enqueue_unknown(struct auth *auth, struct auth_request *request) {
	enqueue(&auth->unknown[request->source % AUTH_LANES], request);
	auth->unknown_count++;
}

/* The first that is wanted of the lane whose turn it is; those before it are finished. NULL: none is
 * wanted, of any. */
static struct auth_request *dequeue_unknown(struct auth *auth) {
	while (auth->unknown_count > 0) {
		struct auth_request *request = dequeue(&auth->unknown[auth->lane]);
		auth->unknown_count -= request != NULL;
		if (request != NULL && !is_wanted(auth, request)) {
			finish(auth, request, 0);
			continue;
		}
		auth->lane = (auth->lane + 1) % AUTH_LANES;
		if (request != NULL) return request;
	}
	return NULL;
}

/* One that was not looked at. Where there is none it waits, unless there is other work. NULL: there is,
 * or it is over. */
static struct auth_request *take_asked(struct auth *auth) {
	pthread_mutex_lock(&auth->queue_mutex);
	while (auth->asked.first == NULL && auth->unknown_count == 0 && !is_ending(auth))
		pthread_cond_wait(&auth->is_asked, &auth->queue_mutex);
	struct auth_request *request = dequeue(&auth->asked);
	pthread_mutex_unlock(&auth->queue_mutex);
	return request;
}

static void look(struct auth *auth, struct auth_request *request) {
	SNUG_ASSERT(request->name_bytes + request->password_bytes <= AUTH_BYTES_MAX);
	uint8_t rights = is_wanted(auth, request) ? recognise(auth, request) : 0;
	if (rights != 0 || !is_wanted(auth, request))
		finish(auth, request, rights);
	else
		enqueue_unknown(auth, request);
}

static void reckon(struct auth *auth, struct auth_request *request) {
	finish(auth, request, is_wanted(auth, request) ? check(auth, request) : 0);
}

static void run(void *context) {
	struct auth *auth = context;
	os_thread_set_name("snugd-auth");
	for (;;) {
		struct auth_request *request = take_asked(auth);
		if (request != NULL) {
			look(auth, request);
			continue;
		}
		if (auth->unknown_count == 0) return;
		request = dequeue_unknown(auth);
		if (request != NULL) reckon(auth, request);
	}
}

/* ------------------------------------------------------------------ for who asks ----------- */

uint64_t auth_source(int fd) {
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

bool auth_fill(struct auth_request *request, const struct login *login) {
	if (login->name_bytes + login->password_bytes > AUTH_BYTES_MAX) return false;
	memcpy(request->bytes, login->name, login->name_bytes);
	memcpy(request->bytes + login->name_bytes, login->password, login->password_bytes);
	request->name_bytes = (uint32_t)login->name_bytes;
	request->password_bytes = (uint32_t)login->password_bytes;
	return true;
}

/* In the lane beside that of his address: who gives up waits for no connection's tries. */
uint8_t auth_check(struct auth *auth, const struct login *login, uint64_t source,
				   const _Atomic bool *gives_up) {
	struct auth_request request = {.source = source ^ 1};
	if (!auth_fill(&request, login)) return 0;
	auth_ask(auth, &request);
	while (!auth_is_done(&request)) {
		if (atomic_load_explicit(gives_up, memory_order_relaxed)) auth_forget(&request);
		os_thread_sleep(LOOK_NS);
	}
	return request.rights;
}

/* ------------------------------------------------------------------ create, destroy -------- */

static void warn_of_readers(const struct auth *auth) {
	struct stat status;
	if (stat(auth->path, &status) == 0 && (status.st_mode & S_IROTH) != 0)
		snug_log_line(&auth->log, SNUG_LOG_WARNING, "%s: everybody on this machine may read it",
					  auth->path);
}

bool auth_create(const char *path, const snug_log *log, struct auth **out, struct text *why) {
	struct auth *auth = strlen(path) < PATH_BYTES_MAX ? calloc(1, sizeof *auth) : NULL;
	if (auth == NULL) {
		text_print(why, "no memory for users");
		return false;
	}
	(void)snprintf(auth->path, sizeof auth->path, "%s", path);
	auth->log = *log;
	pthread_mutex_init(&auth->queue_mutex, NULL);
	pthread_mutex_init(&auth->users_mutex, NULL);
	pthread_mutex_init(&auth->pointer_mutex, NULL);
	pthread_cond_init(&auth->is_asked, NULL);
	auth_names_init(&auth->names);
	auth->users = users_read(path, &auth->crypt, why);
	bool has_begun = auth->users != NULL && os_thread_start(&auth->thread, run, auth);
	if (auth->users != NULL && !has_begun) text_print(why, "no thread that checks passwords");
	if (has_begun) {
		warn_of_readers(auth);
		*out = auth;
		return true;
	}
	users_destroy(auth->users);
	crypt_library_unload(&auth->crypt);
	auth_names_deinit(&auth->names);
	free(auth);
	return false;
}

bool auth_reload(struct auth *auth, struct text *why) {
	pthread_mutex_lock(&auth->users_mutex);
	struct crypt_library crypt = auth->crypt;
	pthread_mutex_unlock(&auth->users_mutex);
	struct users *users = users_read(auth->path, &crypt, why);
	pthread_mutex_lock(&auth->users_mutex);
	auth->crypt = crypt; /* it may have been loaded now */
	if (users != NULL) {
		pthread_mutex_lock(&auth->pointer_mutex);
		users_destroy(auth->users);
		auth->users = users;
		pthread_mutex_unlock(&auth->pointer_mutex);
	}
	pthread_mutex_unlock(&auth->users_mutex);
	if (users != NULL) warn_of_readers(auth);
	return users != NULL;
}

uint32_t auth_user_count(struct auth *auth) {
	pthread_mutex_lock(&auth->users_mutex);
	uint32_t count = users_count(auth->users);
	pthread_mutex_unlock(&auth->users_mutex);
	return count;
}

void auth_stop(struct auth *auth) {
	if (auth == NULL) return;
	pthread_mutex_lock(&auth->queue_mutex);
	atomic_store_explicit(&auth->is_ending, true, memory_order_relaxed);
	pthread_cond_signal(&auth->is_asked);
	pthread_mutex_unlock(&auth->queue_mutex);
}

void auth_destroy(struct auth *auth) {
	if (auth == NULL) return;
	auth_stop(auth);
	os_thread_join(&auth->thread);
	SNUG_ASSERT(auth->asked.first == NULL && auth->unknown_count == 0);
	users_destroy(auth->users);
	crypt_library_unload(&auth->crypt);
	auth_names_deinit(&auth->names);
	pthread_cond_destroy(&auth->is_asked);
	pthread_mutex_destroy(&auth->users_mutex);
	pthread_mutex_destroy(&auth->pointer_mutex);
	pthread_mutex_destroy(&auth->queue_mutex);
	free(auth);
}
