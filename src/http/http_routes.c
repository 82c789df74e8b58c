/* http/http_routes.c: see http/http_routes.h. Most paths are a command of the protocol, with the
 * query's parameters as its words, and its answer as JSON:
 *
 *     POST /api/defrag?mode=compact&ms=5&return=1
 *      |     '-- the command: defrag
 *      |     mode: FORM_VALUE -> "compact"; ms: FORM_NAMED -> "ms 5"; return: FORM_FLAG -> "return"
 *      '-- acts, so it needs what http_access.h asks for
 *
 * One table says which there are. A parameter that it does not name is not looked at. A value is
 * one word of letters, digits and a few marks, so nothing in it could end the line or begin
 * another.
 *
 * Status    200 an answer, 400 CLIENT_ERROR, 503 SERVER_ERROR or no memory. /healthz is 200 if all
 *           workers answer within HEALTH_PATIENCE_NS, and 503 with a line for each that does
 *           not. */
#include "http/http_routes.h"

#include "http/http_json.h"
#include "http/http_metrics.h"
#include "http/page.h"

#include <ctype.h>
#include <string.h>

#define PARAMETERS_MAX 4u
#define WORD_MAX 32u
#define PATIENCE_NS UINT64_C(5000000000)
#define HEALTH_PATIENCE_NS UINT64_C(1000000000)

enum form {
	FORM_NONE,
	FORM_VALUE, /* the value is a word */
	FORM_NAMED, /* two words: the name and the value */
	FORM_FLAG,  /* "1": the name is a word */
};

struct parameter {
	const char *name;
	enum form form;
};

enum answer_kind {
	ANSWER_JSON,
	ANSWER_KEYS,
	ANSWER_CLIENTS,
	ANSWER_MAP,
	ANSWER_METRICS,
	ANSWER_HISTORY,
	ANSWER_HEALTH,
	ANSWER_PAGE
};

struct route {
	const char *method;
	const char *path;
	enum answer_kind kind;
	bool is_stats;
	const char *words;
	struct parameter parameters[PARAMETERS_MAX]; /* in the order of the words */
};

static const struct route routes[] = {
	{"GET", "/", ANSWER_PAGE, false, "", {{0}}},
	{"GET", "/healthz", ANSWER_HEALTH, false, "", {{0}}},
	{"GET", "/metrics", ANSWER_METRICS, false, "", {{0}}},
	{"GET", "/api/stats", ANSWER_JSON, true, "", {{0}}},
	{"GET", "/api/metrics", ANSWER_JSON, false, "metrics", {{0}}},
	{"GET", "/api/latency", ANSWER_JSON, false, "latency", {{0}}},
	{"GET", "/api/history", ANSWER_HISTORY, false, "", {{0}}},
	{"GET", "/api/doctor", ANSWER_JSON, false, "doctor", {{0}}},
	{"GET", "/api/slow", ANSWER_KEYS, false, "slow", {{0}}},
	{"GET",
	 "/api/bigkeys",
	 ANSWER_KEYS,
	 false,
	 "bigkeys",
	 {{"n", FORM_VALUE}, {"delimiter", FORM_NAMED}}},
	{"GET", "/api/hotkeys", ANSWER_KEYS, false, "hotkeys", {{"n", FORM_VALUE}}},
	{"GET", "/api/report", ANSWER_JSON, false, "report", {{"n", FORM_VALUE}}},
	{"GET", "/api/schedules", ANSWER_JSON, false, "schedules", {{0}}},
	{"GET", "/api/estimate", ANSWER_JSON, false, "estimate", {{"mode", FORM_VALUE}}},
	{"GET", "/api/limit", ANSWER_JSON, false, "limit", {{0}}},
	{"GET",
	 "/api/clients",
	 ANSWER_CLIENTS,
	 false,
	 "clients",
	 {{"client", FORM_VALUE}, {"user", FORM_NAMED}, {"idle", FORM_NAMED}, {"after", FORM_NAMED}}},
	{"GET", "/api/map", ANSWER_MAP, false, "map", {{0}}},
	{"POST",
	 "/api/defrag",
	 ANSWER_JSON,
	 false,
	 "defrag",
	 {{"mode", FORM_VALUE}, {"bytes", FORM_NAMED}, {"ms", FORM_NAMED}, {"return", FORM_FLAG}}},
	{"POST",
	 "/api/emergency",
	 ANSWER_JSON,
	 false,
	 "emergency",
	 {{"bytes", FORM_VALUE}, {"evict", FORM_FLAG}}},
	{"POST", "/api/limit", ANSWER_JSON, false, "limit", {{"bytes", FORM_VALUE}}},
	{"POST",
	 "/api/schedule",
	 ANSWER_JSON,
	 false,
	 "schedule",
	 {{"window", FORM_VALUE}, {"every", FORM_NAMED}, {"target", FORM_NAMED}}},
	{"POST", "/api/cancel", ANSWER_JSON, false, "cancel", {{"schedule", FORM_VALUE}}},
	{"POST",
	 "/api/clients/kill",
	 ANSWER_JSON,
	 false,
	 "clients kill",
	 {{"client", FORM_VALUE}, {"user", FORM_NAMED}, {"idle", FORM_NAMED}}},
	{"POST", "/api/check", ANSWER_JSON, false, "check", {{0}}},
};

const struct route *route_find(const char *method, const char *path, bool *is_other_method,
							   const char **allow) {
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
	*is_other_method = false;
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		if (strcmp(routes[i].path, path) != 0) continue;
		if (strcmp(routes[i].method, wanted) == 0) return &routes[i];
		*is_other_method = true;
		*allow = routes[i].method;
	}
	return NULL;
}

bool route_acts(const struct route *route) {
	return strcmp(route->method, "POST") == 0;
}

_Static_assert(sizeof routes / sizeof *routes <= ROUTES_MAX, "each has its place");

size_t route_index(const struct route *route) {
	return (size_t)(route - routes);
}

bool route_is_urgent(const struct route *route) {
	return route->kind == ANSWER_HEALTH || route->kind == ANSWER_METRICS;
}

bool route_is_metrics(const struct route *route) {
	return route->kind == ANSWER_METRICS;
}

bool route_is_shared(const struct route *route) {
	return !route_acts(route) && route->kind != ANSWER_PAGE &&
		   route->parameters[0].form == FORM_NONE;
}

/* A map of 8,192 pages has 125 bytes for each, as text and as JSON; a page of 1,024 clients some 400. */
size_t route_need_bytes(const struct route *route) {
	if (route->kind == ANSWER_MAP) return (size_t)2560 << 10;
	if (route->kind == ANSWER_HISTORY) return HISTORY_ANSWER_BYTES;
	return strcmp(route->words, "clients") == 0 ? (size_t)1024 << 10 : (size_t)256 << 10;
}

/* ------------------------------------------------------------------ words ------------------ */

/* A value is one word: nothing in it could end the line or begin another. */
static bool is_word(const char *value) {
	size_t length = strlen(value);
	if (length == 0 || length > WORD_MAX) return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)value[i]) && strchr(":-./_|[]", value[i]) == NULL) return false;
	return true;
}

/* A value would make an action of it, such as "kill" behind "clients": what acts has a route of its
 * own, for which it was not asked whether he may. */
static bool is_other_action(const struct route *route, const char *words) {
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		size_t length = strlen(routes[i].words);
		bool is_longer = route_acts(&routes[i]) && length > strlen(route->words);
		if (is_longer && strncmp(words, routes[i].words, length) == 0 &&
			(words[length] == ' ' || words[length] == '\0'))
			return true;
	}
	return false;
}

/* NULL: all right. Else the name of the parameter that is not. */
static const char *write_words(const struct route *route, http_parameter *parameter, void *context,
							   struct text *out) {
	text_print(out, "%s", route->words);
	for (size_t i = 0; i < PARAMETERS_MAX && route->parameters[i].form != FORM_NONE; i++) {
		const struct parameter *each = &route->parameters[i];
		const char *value = parameter(context, each->name);
		if (value == NULL) continue;
		if (!is_word(value)) return each->name;
		if (each->form == FORM_FLAG) {
			if (strcmp(value, "1") == 0)
				text_print(out, " %s", each->name);
			else if (strcmp(value, "0") != 0)
				return each->name;
			continue;
		}
		if (each->form == FORM_NAMED) text_print(out, " %s", each->name);
		text_print(out, " %s", value);
	}
	text_append(out, "", 1);
	return !out->failed && is_other_action(route, out->bytes) ? route->parameters[0].name : NULL;
}

/* ------------------------------------------------------------------ answers ---------------- */

static void say(struct http_answer *out, unsigned status, const char *sentence) {
	out->status = status;
	out->content_type = "application/json";
	json_write_error(sentence, &out->text);
}

static void answer_command(const struct route *route, struct asks *asks, http_parameter *parameter,
						   void *context, struct http_answer *out) {
	struct text words = {0}, answer = {.account = out->text.account};
	const char *wrong = write_words(route, parameter, context, &words);
	if (wrong != NULL || words.failed) {
		struct text sentence = {0};
		text_print(&sentence, "not a value for the parameter %s", wrong == NULL ? "" : wrong);
		text_append(&sentence, "", 1);
		say(out, words.failed || sentence.failed ? 503 : 400,
			sentence.failed ? "no memory" : sentence.bytes);
		text_deinit(&sentence);
	} else {
		static const unsigned status[] = {[JSON_OK] = 200, [JSON_WRONG] = 400, [JSON_FAILED] = 503};
		asks_perform(asks, route->is_stats, words.bytes, PATIENCE_NS, &answer);
		enum json_status result = route->kind == ANSWER_MAP
									  ? json_write_map(&answer, &out->text)
									  : json_write_answer(&answer, &out->text);
		out->text.failed |= answer.failed;
		out->status = status[result];
		out->content_type = "application/json";
	}
	text_deinit(&words);
	text_deinit(&answer);
}

/* Whoever is not to see the items elsewhere is not to see their keys here, where nobody says who he
 * is. */
static void answer_keys(const struct route *route, struct asks *asks, http_parameter *parameter,
						void *context, struct http_answer *out) {
	const struct settings *settings = &asks->server->settings;
	if (settings->no_dump || settings->control_only || asks->server->auth != NULL)
		say(out, 403, "keys are told on the control socket alone: snugctl");
	else
		answer_command(route, asks, parameter, context, out);
}

/* They are told with the names of users. */
static void answer_clients(const struct route *route, struct asks *asks, http_parameter *parameter,
						   void *context, struct http_answer *out) {
	if (asks->server->auth != NULL)
		say(out, 403, "users are told to users alone: snugctl clients");
	else
		answer_command(route, asks, parameter, context, out);
}

static bool has_figures(const struct text *answer) {
	return !answer->failed && answer->length > 5 && memcmp(answer->bytes, "STAT ", 5) == 0;
}

static void answer_metrics(struct asks *asks, struct http_answer *out) {
	struct text stats = {.account = out->text.account}, metrics = {.account = out->text.account},
				latency = {.account = out->text.account};
	asks_perform(asks, true, "", PATIENCE_NS, &stats);
	asks_perform(asks, false, "metrics", PATIENCE_NS, &metrics);
	asks_perform(asks, false, "latency", PATIENCE_NS, &latency);
	bool is_whole = has_figures(&stats) && has_figures(&metrics) && has_figures(&latency);
	out->content_type = "text/plain; version=0.0.4; charset=utf-8";
	out->status = is_whole ? 200 : 503;
	if (is_whole) {
		metrics_write(&stats, &metrics, &out->text);
		metrics_write_latency(&latency, &out->text);
	} else {
		text_print(&out->text, "# the workers do not answer\n");
	}
	text_deinit(&stats);
	text_deinit(&metrics);
	text_deinit(&latency);
}

static void answer_health(struct asks *asks, struct http_answer *out) {
	bool is_well = asks_probe(asks, HEALTH_PATIENCE_NS, &out->text);
	out->status = is_well ? 200 : 503;
	out->content_type = "text/plain; charset=utf-8";
	if (is_well) text_print(&out->text, "ok\n");
}

static void answer_history(struct history *history, struct http_answer *out) {
	out->status = 200;
	out->content_type = "application/json";
	history_write(history, os_now_ns(), &out->text);
}

void route_answer(const struct route *route, struct asks *asks, struct history *history,
				  http_parameter *parameter, void *context, struct http_answer *out) {
	switch (route->kind) {
	case ANSWER_JSON:
	case ANSWER_MAP:
		answer_command(route, asks, parameter, context, out);
		break;
	case ANSWER_KEYS:
		answer_keys(route, asks, parameter, context, out);
		break;
	case ANSWER_CLIENTS:
		answer_clients(route, asks, parameter, context, out);
		break;
	case ANSWER_METRICS:
		answer_metrics(asks, out);
		break;
	case ANSWER_HISTORY:
		answer_history(history, out);
		break;
	case ANSWER_HEALTH:
		answer_health(asks, out);
		break;
	case ANSWER_PAGE:
		out->status = 200;
		out->content_type = "text/html; charset=utf-8";
		out->page = http_page;
		out->page_length = http_page_length;
		break;
	}
}
