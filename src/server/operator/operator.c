/* server/operator/operator.c: see server/operator/operator.h.
 *
 *     control socket --> the doorkeeper's thread: accept --> a seat, with a thread of its own:
 *                                                            line -> command -> ask -> answer, one
 *                                                            after the other
 *
 * SEATS. There are OPERATORS_MAX. When all are taken, whoever has been idle longest makes room;
 * when all are at work, the newcomer is told so. A seat's state changes under the mutex, and its
 * descriptor is closed under it, so that nobody shuts down a descriptor that has become another's:
 *
 *     FREE   no thread                     doorkeeper -> IDLE
 *     IDLE   waits for a line              seat -> BUSY, OVER
 *     BUSY   carries out, or answers       seat -> IDLE, OVER
 *     OVER   the thread ends by itself     doorkeeper -> FREE, when it has joined it
 *
 * WAITS. A seat waits for bytes as long as its client likes: it costs a thread that sleeps.
 * Everything else has an end: PATIENCE_NS for each worker, SEND_PATIENCE_NS for the client to take
 * some of an answer, ANSWER_PATIENCE_NS to take all of it. The stop's event wakes them all, and
 * shortens what is left.
 *
 * Memory: a line's buffer on each thread's stack, and the answer while it is sent. Neither counts
 * towards the limit of the items.
 *
 * A thread for each, and not a loop over all: an ask may wait for a worker, and the others must
 * not. */
#include "server/operator/operator.h"

#include "base/assert.h"
#include "base/bits.h"
#include "os/threads.h"
#include "server/errand/errand.h"
#include "server/errand/errand_ask.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(5000000000)         /* for each worker, to come to a request */
#define SEND_PATIENCE_NS UINT64_C(5000000000)    /* for the operator, to take some of an answer */
#define ANSWER_PATIENCE_NS UINT64_C(60000000000) /* for him to take all of it */
#define STOP_PATIENCE_NS UINT64_C(1000000000)    /* the same, once the door is being stopped */
#define LINE_ROOM (LINE_BYTES_MAX + 2u)
/* Before the next try when the system has no descriptor or thread. */
#define PAUSE_NS UINT64_C(100000000)

enum seat_state { SEAT_FREE, SEAT_IDLE, SEAT_BUSY, SEAT_OVER };

struct seat {
	struct operator_door *door; /* constant */
	struct os_thread thread;
	/* under the mutex: */
	enum seat_state state;
	bool is_dismissed; /* another takes its place */
	int fd;            /* -1: closed */
	uint64_t idle_since_ns;
};

struct operator_door {
	struct asks asks;
	struct os_thread doorkeeper;
	int listen_fd;   /* the listener's */
	int stop_event;  /* signalled once, by the stop */
	bool is_stopped; /* the owner only */
	pthread_mutex_t mutex;
	struct seat seat[OPERATORS_MAX];
};

/* ------------------------------------------------------------------ a seat: bytes ---------- */

/* Until it can be read; false: the door is being stopped. */
static bool wait_for_bytes(const struct seat *seat, int fd) {
	for (;;) {
		struct pollfd wait[2] = {{.fd = fd, .events = POLLIN},
								 {.fd = seat->door->stop_event, .events = POLLIN}};
		int ready = poll(wait, 2, -1);
		if (ready < 0 && errno != EINTR) return false;
		if (ready > 0) return wait[1].revents == 0;
	}
}

/* Until there is room for more; false: it is late. The stop's event stays readable, so it is waited
 * for only until it has come. */
static bool wait_for_room(const struct operator_door *door, int fd, uint64_t *deadline_ns) {
	bool is_stopping = asks_is_stopping(&door->asks);
	struct pollfd wait[2] = {{.fd = fd, .events = POLLOUT},
							 {.fd = door->stop_event, .events = POLLIN}};
	if (is_stopping) *deadline_ns = smaller(*deadline_ns, os_deadline_ns(STOP_PATIENCE_NS));
	uint64_t patience_ns = smaller(SEND_PATIENCE_NS, os_remaining_ns(*deadline_ns));
	return patience_ns > 0 && poll(wait, is_stopping ? 1 : 2, (int)(patience_ns / 1000000)) != 0;
}

static bool send_all(const struct operator_door *door, int fd, const char *bytes, size_t length) {
	uint64_t deadline_ns = os_deadline_ns(ANSWER_PATIENCE_NS);
	while (length > 0) {
		ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent > 0) {
			bytes += sent;
			length -= (size_t)sent;
		} else if (errno == EAGAIN) {
			if (!wait_for_room(door, fd, &deadline_ns)) return false;
		} else if (errno != EINTR) {
			return false;
		}
	}
	return true;
}

/* ------------------------------------------------------------------ a seat: commands ------- */

/* One client's. */
struct session {
	const struct operator_door *door;
	int fd;
	struct parser parser;
	uint64_t skip_bytes; /* of the value of a command that was refused */
	size_t length;
	char line[LINE_ROOM];
};

/* Items are served elsewhere. A list of keys is refused once. */
static void refuse_item(struct session *session, const struct command *command, struct text *out) {
	static const char sentence[] = "CLIENT_ERROR the control socket serves no items\r\n";
	const struct operation *operation = &command->operation;
	if (operation->kind == OPERATION_STORE)
		session->skip_bytes = (uint64_t)operation->value_bytes + 2;
	session->parser.is_broken = true;
	if (!command->reply.is_quiet) text_append(out, sentence, sizeof sentence - 1);
}

/* Part of a long answer. False: the client is gone. */
static bool send_part(void *context, struct text *text) {
	const struct session *session = context;
	bool is_fine = send_all(session->door, session->fd, text->bytes, text->length);
	text_deinit(text);
	return is_fine;
}

static const char no_watch[] = "CLIENT_ERROR the control socket tells no events\r\n";

/* False: it was the last one. */
static bool carry_out(struct operator_door *door, struct session *session,
					  const struct command *command, struct text *out) {
	struct ask_taker taker = {send_part, session};
	switch ((enum command_kind)command->kind) {
	case COMMAND_OPERATION:
		refuse_item(session, command, out);
		return true;
	case COMMAND_SAY_SKIP:
		session->skip_bytes = command->skip_bytes;
		text_append(out, command->text, command->text_bytes);
		return true;
	case COMMAND_SAY:
		text_append(out, command->text, command->text_bytes);
		return true;
	case COMMAND_FAIL:
		text_append(out, command->text, command->text_bytes);
		return false;
	case COMMAND_QUIT:
	case COMMAND_LOGIN: /* of the binary protocol, which is not spoken here */
		return false;
	case COMMAND_WATCH:
		text_append(out, no_watch, sizeof no_watch - 1);
		return true;
	case COMMAND_VERBOSITY:
	case COMMAND_SHUTDOWN:
		/* They need no worker, so they are done however many requests wait for one. */
		(void)errand_command(door->asks.server, command, out);
		if (command->reply.is_quiet) out->length = 0;
		return true;
	case COMMAND_FLUSH:
	case COMMAND_MEMLIMIT:
	case COMMAND_REFRESH:
	case COMMAND_STATS:
	case COMMAND_SNUG:
	case COMMAND_CRAWLER:
		asks_command(&door->asks, command, PATIENCE_NS, taker, out);
		if (command->reply.is_quiet) out->length = 0;
		return true;
	}
	return true;
}

static void forget(struct session *session, size_t bytes) {
	session->length -= bytes;
	memmove(session->line, session->line + bytes, session->length);
}

static void skip(struct session *session) {
	size_t part =
		session->skip_bytes < session->length ? (size_t)session->skip_bytes : session->length;
	session->skip_bytes -= part;
	forget(session, part);
}

/* One command, if a whole one is there. False: none. `*goes_on` is false after the last one. */
static bool serve_one(struct seat *seat, int fd, struct session *session, bool *goes_on) {
	struct operator_door *door = seat->door;
	struct command command;
	struct text answer = {0};
	char decoded[DECODED_KEY_BYTES];
	size_t used = 0;
	skip(session);
	if (session->length == 0) return false;
	bool is_whole =
		parser_next(&session->parser, session->line, session->length,
					door->asks.server->settings.item_max_bytes, decoded, &command, &used);
	if (is_whole) {
		*goes_on = carry_out(door, session, &command, &answer);
		/* An answer that was not all there is none. */
		*goes_on = !answer.failed && send_all(door, fd, answer.bytes, answer.length) && *goes_on;
	}
	text_deinit(&answer);
	forget(session, used);
	return is_whole;
}

/* ------------------------------------------------------------------ a seat: its life ------- */

/* False: it is to make room, and begins nothing more. */
static bool become(struct seat *seat, enum seat_state state) {
	pthread_mutex_lock(&seat->door->mutex);
	bool may_stay = !seat->is_dismissed;
	seat->state = state;
	if (state == SEAT_IDLE) seat->idle_since_ns = os_now_ns();
	if (state == SEAT_OVER) {
		(void)close(seat->fd);
		seat->fd = -1;
	}
	pthread_mutex_unlock(&seat->door->mutex);
	return may_stay;
}

/* What came, behind what is there. False: the end. */
static bool receive(int fd, struct session *session) {
	ssize_t got =
		recv(fd, session->line + session->length, LINE_ROOM - session->length, MSG_DONTWAIT);
	if (got > 0) session->length += (size_t)got;
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static void run_seat(void *context) {
	struct seat *seat = context;
	int fd = seat->fd; /* it changes when this thread ends */
	struct session session = {.door = seat->door, .fd = fd, .parser = {.speech = SPEECH_TEXT}};
	bool goes_on = true;
	os_thread_set_name("snugd-operator");
	while (goes_on && wait_for_bytes(seat, fd) && receive(fd, &session) &&
		   become(seat, SEAT_BUSY)) {
		while (goes_on && !asks_is_stopping(&seat->door->asks) &&
			   serve_one(seat, fd, &session, &goes_on))
			continue;
		/* A list of keys whose line has no end does not fill it for ever: the parser takes key by
		 * key, and ends any other line. */
		SNUG_ASSERT(!goes_on || session.length < LINE_ROOM || asks_is_stopping(&seat->door->asks));
		goes_on = become(seat, SEAT_IDLE) && goes_on;
	}
	(void)become(seat, SEAT_OVER);
}

/* ------------------------------------------------------------------ the doorkeeper --------- */

/* What it has asked is still to be read. */
static bool has_asked(const struct seat *seat) {
	int bytes = 0;
	return ioctl(seat->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

/* Under the mutex: the seat in that state; of idle ones that which has been so longest. NULL:
 * none. */
static struct seat *find(struct operator_door *door, enum seat_state state) {
	struct seat *found = NULL;
	for (uint32_t i = 0; i < OPERATORS_MAX; i++) {
		struct seat *seat = &door->seat[i];
		if (state == SEAT_IDLE && seat->state == SEAT_IDLE && has_asked(seat)) continue;
		if (seat->state == state && (found == NULL || seat->idle_since_ns < found->idle_since_ns))
			found = seat;
	}
	return found;
}

/* Joins a thread that ends by itself. */
static void clear(struct operator_door *door, struct seat *seat) {
	os_thread_join(&seat->thread);
	pthread_mutex_lock(&door->mutex);
	SNUG_ASSERT(seat->state == SEAT_OVER && seat->fd < 0);
	seat->state = SEAT_FREE;
	pthread_mutex_unlock(&door->mutex);
}

static struct seat *find_state(struct operator_door *door, enum seat_state state) {
	pthread_mutex_lock(&door->mutex);
	struct seat *seat = find(door, state);
	/* It wakes up, finds the end, and goes. */
	if (seat != NULL && state == SEAT_IDLE) {
		seat->is_dismissed = true;
		(void)shutdown(seat->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&door->mutex);
	return seat;
}

/* A free one; NULL: all are at work. */
static struct seat *find_seat(struct operator_door *door) {
	struct seat *seat;
	while ((seat = find_state(door, SEAT_OVER)) != NULL) clear(door, seat);
	if ((seat = find_state(door, SEAT_FREE)) != NULL) return seat;
	if ((seat = find_state(door, SEAT_IDLE)) != NULL) clear(door, seat);
	return seat;
}

static bool seat_client(struct operator_door *door, int fd) {
	struct seat *seat = find_seat(door);
	if (seat == NULL) return false;
	pthread_mutex_lock(&door->mutex);
	seat->state = SEAT_IDLE;
	seat->is_dismissed = false;
	seat->fd = fd;
	seat->idle_since_ns = os_now_ns();
	pthread_mutex_unlock(&door->mutex);
	if (os_thread_start(&seat->thread, run_seat, seat)) return true;
	pthread_mutex_lock(&door->mutex);
	seat->state = SEAT_FREE;
	seat->fd = -1;
	pthread_mutex_unlock(&door->mutex);
	return false;
}

static void admit(struct operator_door *door) {
	static const char sorry[] = "SERVER_ERROR the control socket's connections are all at work\r\n";
	int fd = accept4(door->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) os_thread_sleep(PAUSE_NS);
		return;
	}
	if (seat_client(door, fd)) return;
	(void)send_all(door, fd, sorry, sizeof sorry - 1);
	(void)close(fd);
}

static void keep_door(void *context) {
	struct operator_door *door = context;
	os_thread_set_name("snugd-door");
	for (;;) {
		struct pollfd wait[2] = {{.fd = door->listen_fd, .events = POLLIN},
								 {.fd = door->stop_event, .events = POLLIN}};
		int ready = poll(wait, 2, -1);
		if (ready > 0 && wait[1].revents != 0) return;
		if (ready > 0) admit(door);
	}
}

/* ------------------------------------------------------------------ create, stop, destroy -- */

bool operator_create(struct server *server, const struct listeners *listeners,
					 struct operator_door **out) {
	const struct listener *listener = listeners_control(listeners);
	*out = NULL;
	if (listener == NULL) return true;
	struct operator_door *door = calloc(1, sizeof *door);
	if (door == NULL) return false;
	asks_init(&door->asks, server);
	pthread_mutex_init(&door->mutex, NULL);
	door->listen_fd = listener->fds[0];
	door->stop_event = os_event_create();
	for (uint32_t i = 0; i < OPERATORS_MAX; i++) {
		door->seat[i].door = door;
		door->seat[i].fd = -1;
	}
	bool is_fine = door->stop_event >= 0 && os_thread_start(&door->doorkeeper, keep_door, door);
	if (!is_fine) {
		if (door->stop_event >= 0) os_event_destroy(door->stop_event);
		pthread_mutex_destroy(&door->mutex);
		asks_deinit(&door->asks);
		free(door);
		return false;
	}
	*out = door;
	return true;
}

static bool has_thread(struct operator_door *door, const struct seat *seat) {
	pthread_mutex_lock(&door->mutex);
	bool is_taken = seat->state != SEAT_FREE;
	pthread_mutex_unlock(&door->mutex);
	return is_taken;
}

void operator_stop(struct operator_door *door) {
	if (door == NULL || door->is_stopped) return;
	door->is_stopped = true;
	asks_stop(&door->asks);
	os_event_signal(door->stop_event);
	os_thread_join(&door->doorkeeper);
	for (uint32_t i = 0; i < OPERATORS_MAX; i++)
		if (has_thread(door, &door->seat[i])) os_thread_join(&door->seat[i].thread);
}

void operator_destroy(struct operator_door *door) {
	if (door == NULL) return;
	operator_stop(door);
	os_event_destroy(door->stop_event);
	pthread_mutex_destroy(&door->mutex);
	asks_deinit(&door->asks);
	free(door);
}
