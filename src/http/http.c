/* http/http.c: the daemons. libmicrohttpd reads requests and writes answers, in a thread for each
 * connection, because an answer may have to wait for a worker or for a whole defragmentation. See
 * http/http.h.
 *
 *     on_connection   a guest of the crowd, or turned away
 *     on_request      once for the head, once for each part of a body, once at its end:
 *                     refused, or answered
 *     on_completed    the answer is taken, or was cut off: it holds nothing more
 *     on_connection   the guest leaves
 *
 * BOUNDS. Connections: CONNECTIONS_MAX, and some more that have been shown out and not left yet. A
 * head has CONNECTION_BYTES. Bodies are not read: parameters stand in the query. A client that says
 * nothing is cut off sooner before its first request than after it.
 *
 * TLS. libmicrohttpd takes a certificate when a daemon begins, and none later. So where certificates are
 * read again a new daemon begins at the same socket. The one before takes no connection any more, and
 * ends its own as ever: those that are idle within CONNECTION_IDLE_S. It is stopped with the next
 * reading, or at the end. What cannot be had leaves the old one, and all of it, OpenSSL's part too,
 * stays as it was (server/tls/tls.h).
 */
#include "http/http.h"

#include "base/number_text.h"
#include "http/http_access.h"
#include "http/http_crowd.h"
#include "http/http_json.h"
#include "http/http_library.h"
#include "http/http_memory.h"
#include "http/http_metrics.h"
#include "http/http_response.h"
#include "http/http_routes.h"
#include "http/http_secure.h"
#include "http/http_shared.h"
#include "os/process_figures.h"
#include "os/threads.h"
#include "server/server_trouble.h"
#include "server/tls/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* With those that are on their way out 160 threads and buffers of CONNECTION_BYTES. */
#define CONNECTIONS_MAX HTTP_CONNECTIONS_MAX
#define CONNECTIONS_OF_NETWORK_MAX (CONNECTIONS_MAX / 2u)
#define CONNECTIONS_LEAVING_MAX 32u
#define CONNECTION_BYTES 16384u /* of a request's head */
/* Of which a request touches little; the system's own default is 8 MiB. */
#define THREAD_STACK_BYTES 262144u
#define FIRST_REQUEST_IDLE_S 5u /* until the first whole request: without a byte */
#define CONNECTION_IDLE_S 30u   /* later */
#define BODY_BYTES_MAX 4096u
#define TOKEN_BYTES_MAX 512u

struct door {
	struct http *http;
	struct MHD_Daemon *daemon;
	struct http_rules rules;
	const struct listener *listener;
	/* of the certificate before; NULL: none. Its socket is in use until it is stopped */
	struct MHD_Daemon *retired;
	int retired_fd;
	struct MHD_Daemon *fresh; /* while certificates are read again */
};

struct http {
	struct http_library library;
	struct asks asks;
	struct crowd crowd;
	struct http_memory memory;
	struct holding holding; /* for the server's statistics */
	struct shared shared[ROUTES_MAX];
	struct history history;
	char token[TOKEN_BYTES_MAX];
	uint32_t door_count;
	struct door door[];
};

/* ------------------------------------------------------------------ to a client ------------ */

/* One request, whose answer is made alone or for others too. */
struct exchange {
	struct http *http;
	struct MHD_Connection *connection;
	struct guest *guest;
	const struct route *route;
	enum MHD_Result result;
};

static void use(void *context, const struct made *made) {
	struct exchange *exchange = context;
	exchange->result = MHD_NO;
	if (made->response == NULL) return;
	crowd_hold(&exchange->http->crowd, exchange->guest, made->account, made->bytes, os_now_ns());
	exchange->result =
		exchange->http->library.queue_response(exchange->connection, made->status, made->response);
}

static void drop(void *context, struct made *made) {
	const struct exchange *exchange = context;
	exchange->http->library.destroy_response(made->response);
}

static void respond(struct exchange *exchange, struct http_answer *answer) {
	struct made made;
	http_response_make(&exchange->http->library, answer, &made);
	use(exchange, &made);
	if (made.response != NULL) drop(exchange, &made);
}

/* ------------------------------------------------------------------ a request -------------- */

static const char *header(const struct exchange *exchange, const char *name) {
	return exchange->http->library.lookup_connection_value(exchange->connection, MHD_HEADER_KIND,
														   name);
}

static const char *parameter(void *context, const char *name) {
	const struct exchange *exchange = context;
	return exchange->http->library.lookup_connection_value(exchange->connection,
														   MHD_GET_ARGUMENT_KIND, name);
}

static struct guest *guest_of(const struct exchange *exchange) {
	return exchange->http->library
		.get_connection_info(exchange->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
		->socket_context;
}

static void refuse(struct http_answer *out, unsigned status, const char *sentence) {
	out->status = status;
	out->content_type = "application/json";
	json_write_error(sentence, &out->text);
}

/* Urgent answers draw on their own account, and end with what HTTP knows of itself. */
static void make_answer(struct exchange *exchange, struct http_answer *out) {
	struct http *http = exchange->http;
	bool is_urgent = route_is_urgent(exchange->route);
	out->text.account = is_urgent ? &http->memory.urgent : &http->memory.answers;
	(void)http_memory_make_room(&http->memory, out->text.account,
								route_need_bytes(exchange->route));
	route_answer(exchange->route, &http->asks, &http->history, parameter, exchange, out);
	if (!route_is_metrics(exchange->route) || out->status != 200) return;
	const struct http_figures figures = {
		.limit_bytes = HTTP_MEMORY_BYTES,
		.used_bytes = http->memory.answers.used_bytes + http->memory.urgent.used_bytes,
		.closed = http->memory.closed,
		.resident_bytes = os_resident_bytes(),
		.started_s = http->asks.server->started.begun_s,
		.open_fds = os_descriptors(),
		.max_fds = os_descriptors_max(),
	};
	metrics_write_own(&figures, &out->text);
}

/* Any thread. */
static uint64_t held_bytes(const void *context) {
	const struct http *http = context;
	return (uint64_t)http->crowd.present * CONNECTION_COST_BYTES + HISTORY_BYTES +
		   http->memory.answers.used_bytes + http->memory.urgent.used_bytes;
}

static void make(void *context, struct made *out) {
	struct exchange *exchange = context;
	struct http_answer answer = {0};
	make_answer(exchange, &answer);
	http_response_make(&exchange->http->library, &answer, out);
}

static void answer_route(struct exchange *exchange) {
	static const struct shared_hooks hooks = {make, use, drop};
	struct http *http = exchange->http;
	struct http_answer out = {0};
	if (!crowd_begin_answer(&http->crowd, exchange->guest, route_is_urgent(exchange->route))) {
		refuse(&out, 503, "too many requests wait for their answers: try again");
		respond(exchange, &out);
	} else if (route_is_shared(exchange->route)) {
		shared_answer(&http->shared[route_index(exchange->route)], &hooks, exchange);
	} else {
		make_answer(exchange, &out);
		respond(exchange, &out);
	}
	crowd_end_answer(&http->crowd, exchange->guest);
}

/* Whoever tries passwords or tokens is counted, and is told late: each connection here has a thread of
 * its own. The desk logs what it refuses. */
static void account_for(struct server *server, enum http_try tried, bool is_refused) {
	struct http_tries *tries = &server->http_tries;
	if (tried == HTTP_TRIED_NONE) return;
	atomic_fetch_add_explicit(&tries->commands, 1, memory_order_relaxed);
	if (tried == HTTP_TRIED_WRONG) {
		atomic_fetch_add_explicit(&tries->errors, 1, memory_order_relaxed);
		if (server->auth == NULL) server_trouble_add(server, TROUBLE_TOKENS, 1, os_now_ns());
	}
	if (is_refused) os_thread_sleep(AUTH_DELAY_NS);
}

static const char *act(struct door *door, const struct exchange *exchange,
					   struct http_request *request) {
	enum http_try tried;
	const union MHD_ConnectionInfo *fd = exchange->http->library.get_connection_info(
		exchange->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	request->source = auth_source(fd->connect_fd);
	const char *refusal = http_access_act(&door->rules, request, &tried);
	account_for(exchange->http->asks.server, tried, refusal != NULL);
	return refusal;
}

static void answer(struct door *door, struct exchange *exchange, const char *method,
				   const char *path) {
	struct http_request request = {.host = header(exchange, "Host"),
								   .origin = header(exchange, "Origin"),
								   .site = header(exchange, "Sec-Fetch-Site"),
								   .mark = header(exchange, "X-Snug-Request"),
								   .authorization = header(exchange, "Authorization")};
	struct http_answer out = {0};
	bool is_other_method = false;
	exchange->route = route_find(method, path, &is_other_method, &out.allow);
	const char *refusal = exchange->route != NULL && route_acts(exchange->route)
							  ? act(door, exchange, &request)
							  : http_access_read(&door->rules, &request);
	if (refusal == NULL && exchange->route != NULL) {
		answer_route(exchange);
		return;
	}
	if (refusal != NULL)
		refuse(&out, 403, refusal);
	else if (is_other_method)
		refuse(&out, 405, "not with this method");
	else
		refuse(&out, 404, "there is no such path");
	respond(exchange, &out);
}

/* Called once when the head is there, for each part of a body, and at its end. Bodies are not read:
 * parameters stand in the query. One that says beforehand that it is too long is told so. One that
 * does not say (in chunks) is cut off where it becomes too long: in the midst of a body the library
 * takes no answer. */
static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
								  const char *path, const char *method, const char *version,
								  const char *body, size_t *body_bytes, void **state) {
	struct door *door = context;
	struct exchange exchange = {.http = door->http, .connection = connection, .result = MHD_NO};
	struct guest *guest = guest_of(&exchange);
	struct http_answer out = {0};
	exchange.guest = guest;
	(void)version;
	(void)body;
	if (guest == NULL) return MHD_NO; /* it was turned away, and had sent its request already */
	if (*state == NULL) {
		const char *length = header(&exchange, "Content-Length");
		*state = guest;
		guest->body_bytes = 0;
		uint64_t stated_bytes = UINT64_MAX;
		if (length != NULL) (void)number_read(length, strlen(length), &stated_bytes);
		if (length == NULL || stated_bytes <= BODY_BYTES_MAX) return MHD_YES;
		refuse(&out, 413, "parameters stand in the query, not in a body");
		respond(&exchange, &out);
		return exchange.result;
	}
	if (*body_bytes > 0) {
		guest->body_bytes += *body_bytes;
		*body_bytes = 0;
		return guest->body_bytes <= BODY_BYTES_MAX ? MHD_YES : MHD_NO;
	}
	door->http->library.set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT,
											  CONNECTION_IDLE_S);
	answer(door, &exchange, method, path);
	return exchange.result;
}

/* His answer is taken, or was cut off. */
static void on_completed(void *context, struct MHD_Connection *connection, void **state,
						 enum MHD_RequestTerminationCode how) {
	struct door *door = context;
	(void)connection;
	(void)how;
	if (*state != NULL) crowd_hold(&door->http->crowd, *state, NULL, 0, 0);
}

/* ------------------------------------------------------------------ a connection ----------- */

/* Before its thread runs, and after, while the descriptor is still open. */
static void on_connection(void *context, struct MHD_Connection *connection, void **guest,
						  enum MHD_ConnectionNotificationCode what) {
	struct door *door = context;
	const struct http_library *library = &door->http->library;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		crowd_leave(&door->http->crowd, *guest);
		*guest = NULL;
		return;
	}
	const union MHD_ConnectionInfo *fd =
		library->get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	/* before the next question: the answer may stand in the same place */
	int number = fd->connect_fd;
	const union MHD_ConnectionInfo *client =
		library->get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	*guest = crowd_enter(&door->http->crowd, number, client->client_addr);
}

/* ------------------------------------------------------------------ the token -------------- */

static bool read_token(const char *path, char *token, struct text *why) {
	FILE *file = fopen(path, "re");
	size_t length = file == NULL ? 0 : fread(token, 1, TOKEN_BYTES_MAX, file);
	if (file != NULL) (void)fclose(file);
	while (length > 0 && length < TOKEN_BYTES_MAX &&
		   (token[length - 1] == '\n' || token[length - 1] == '\r'))
		length--;
	if (length < 16 || length == TOKEN_BYTES_MAX) {
		text_print(why, "--http-token-file: %s: %s", path,
				   file == NULL ? "cannot be read" : "not a token of 16 to 511 characters");
		return false;
	}
	token[length] = '\0';
	return true;
}

/* ------------------------------------------------------------------ create, destroy -------- */

static bool is_loopback(int fd) {
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof address;
	if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) return false;
	if (address.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)(void *)&address)->sin_addr.s_addr) >> 24 == 127;
	return address.ss_family == AF_INET6 &&
		   IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)(void *)&address)->sin6_addr);
}

static const char unfit[] = ": the certificate, its key or the system is not fit for it";

static void log_nothing(void *context, const char *format, va_list arguments) {
	(void)context;
	(void)format;
	(void)arguments;
}

/* The daemon closes its socket; the listener keeps its own. Without secrets it speaks no TLS. NULL: the
 * system has not what is needed, or what the secrets are is no certificate and its key. */
static struct MHD_Daemon *start_daemon(struct door *door, const struct http_secrets *secrets) {
	const struct http_library *library = &door->http->library;
	const unsigned flags =
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC;
	const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem secure[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0,
		 secrets == NULL ? NULL : (void *)(uintptr_t)secrets->certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, secrets == NULL ? NULL : (void *)(uintptr_t)secrets->key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0,
		 secrets == NULL ? NULL : (void *)(uintptr_t)secrets->priorities},
		{MHD_OPTION_END, 0, NULL},
	};
	int fd = dup(door->listener->fds[0]);
	if (fd < 0) return NULL;
	struct MHD_Daemon *daemon = library->start_daemon(
		flags | (secrets != NULL ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request, door,
		MHD_OPTION_EXTERNAL_LOGGER, log_nothing, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
		door, MHD_OPTION_NOTIFY_COMPLETED, on_completed, door, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX + CONNECTIONS_LEAVING_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, FIRST_REQUEST_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)CONNECTION_BYTES, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
		MHD_OPTION_ARRAY, secrets != NULL ? secure : none, MHD_OPTION_END);
	if (daemon == NULL) (void)close(fd);
	return daemon;
}

static bool open_door(struct http *http, const struct settings *settings,
					  const struct listener *listener, const struct http_secrets *secrets,
					  struct text *why) {
	struct door *door = &http->door[http->door_count];
	door->http = http;
	door->listener = listener;
	door->rules = (struct http_rules){.name = settings->http,
									  .hosts = &settings->http_hosts,
									  .token = http->token[0] == '\0' ? NULL : http->token,
									  .auth = http->asks.server->auth,
									  .is_stopping = &http->asks.is_stopping,
									  .is_loopback = is_loopback(listener->fds[0]),
									  .is_secured = secrets != NULL};
	door->daemon = start_daemon(door, secrets);
	if (door->daemon != NULL) {
		http->door_count++;
		return true;
	}
	text_print(why, "%s: cannot serve HTTP%s", listener->name, secrets != NULL ? unfit : "");
	return false;
}

/* ------------------------------------------------------------------ certificates ----------- */

static void stop_retired(const struct http_library *library, struct door *door) {
	if (door->retired == NULL) return;
	library->stop_daemon(door->retired);
	(void)close(door->retired_fd);
	door->retired = NULL;
}

/* From now on the fresh one takes the connections. */
static void replace_daemon(const struct http_library *library, struct door *door) {
	stop_retired(library, door);
	door->retired_fd = library->quiesce_daemon(door->daemon);
	door->retired = door->daemon;
	door->daemon = door->fresh;
	door->fresh = NULL;
}

/* The certificates were read again: all doors have them, or none. */
static bool follow_certificates(void *context, struct text *why) {
	struct http *http = context;
	const struct http_library *library = &http->library;
	struct http_secrets *secrets = http_secrets_read(&http->asks.server->settings, why);
	uint32_t begun = 0;
	if (secrets == NULL) return false;
	for (; begun < http->door_count; begun++) {
		struct door *door = &http->door[begun];
		door->fresh = start_daemon(door, secrets);
		if (door->fresh == NULL) break;
	}
	bool is_whole = begun == http->door_count;
	if (!is_whole)
		text_print(why, "%s: no other certificate%s", http->door[begun].listener->name, unfit);
	for (uint32_t i = 0; i < begun; i++) {
		if (is_whole)
			replace_daemon(library, &http->door[i]);
		else
			library->stop_daemon(http->door[i].fresh);
	}
	http_secrets_destroy(secrets);
	return is_whole;
}

/* The doors; with TLS certificates are followed from then on. */
static enum http_start open_doors(struct http *http, const struct listeners *listeners,
								  struct text *why) {
	const struct server *server = http->asks.server;
	const struct settings *settings = &server->settings;
	struct http_secrets *secrets = NULL;
	bool are_open = true;
	if (settings->http_ssl) {
		if (http->library.is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
			text_print(why, "--http-ssl: this libmicrohttpd has no TLS");
			return HTTP_REFUSED;
		}
		secrets = http_secrets_read(settings, why);
		if (secrets == NULL) return HTTP_MISTAKEN;
	}
	for (uint32_t i = 0; i < listeners->count && are_open; i++)
		if (listeners->listener[i].kind == LISTENER_HTTP)
			are_open = open_door(http, settings, &listeners->listener[i], secrets, why);
	if (are_open && secrets != NULL) tls_set_follower(server->tls, follow_certificates, http);
	http_secrets_destroy(secrets);
	return are_open ? HTTP_STARTED : HTTP_REFUSED;
}

enum http_start http_create(struct server *server, const struct listeners *listeners,
							const snug_log *log, struct text *why, struct http **out) {
	const struct settings *settings = &server->settings;
	*out = NULL;
	if (settings->http[0] == '\0') return HTTP_STARTED;
	struct http *http = calloc(1, sizeof *http + listeners->count * sizeof http->door[0]);
	if (http == NULL) {
		text_print(why, "--http: no memory");
		return HTTP_REFUSED;
	}
	asks_init(&http->asks, server);
	history_init(&http->history, server);
	crowd_init(&http->crowd, CONNECTIONS_MAX, CONNECTIONS_OF_NETWORK_MAX);
	http_memory_init(&http->memory, &http->crowd, log);
	for (size_t i = 0; i < ROUTES_MAX; i++) shared_init(&http->shared[i]);
	*out = http; /* also if it does not start: somebody may have asked at those that are open */
	if (!http_library_load(&http->library)) {
		text_print(why, "--http: libmicrohttpd.so.12 is not installed");
		return HTTP_REFUSED;
	}
	if (settings->http_token_file[0] != '\0' &&
		!read_token(settings->http_token_file, http->token, why))
		return HTTP_MISTAKEN;
	enum http_start start = open_doors(http, listeners, why);
	if (start != HTTP_STARTED) return start;
	if (!history_start(&http->history)) {
		text_print(why, "--http: the system has no thread for the history");
		return HTTP_REFUSED;
	}
	http->holding = (struct holding){held_bytes, http};
	atomic_store_explicit(&server->http_holding, &http->holding, memory_order_release);
	return HTTP_STARTED;
}

void http_stop(struct http *http) {
	if (http == NULL) return;
	asks_stop(&http->asks); /* first: a reload may wait for a request that waits for an answer */
	if (http->asks.server->tls != NULL) tls_set_follower(http->asks.server->tls, NULL, NULL);
	history_stop(&http->history);
	for (; http->door_count > 0; http->door_count--) {
		struct door *door = &http->door[http->door_count - 1];
		stop_retired(&http->library, door);
		http->library.stop_daemon(door->daemon);
	}
}

void http_destroy(struct http *http) {
	if (http == NULL) return;
	http_stop(http);
	atomic_store_explicit(&http->asks.server->http_holding, NULL, memory_order_release);
	for (size_t i = 0; i < ROUTES_MAX; i++) shared_deinit(&http->shared[i]);
	crowd_deinit(&http->crowd);
	asks_deinit(&http->asks);
	history_deinit(&http->history);
	explicit_bzero(http->token, sizeof http->token);
	free(http);
}
