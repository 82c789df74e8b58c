/* server/settings/settings.c: the defaults, what must fit together once all is read, and the
 * settings as statistics.
 *
 * DEFAULTS go the way of all values: the table's text is set like one that was given. So a default
 * cannot be what nobody may give. Some follow from other settings, and are known only at the end:
 *
 *     threads             the processors, SETTINGS_THREADS_DEFAULT_MAX at most
 *     memory-max          the memory limit: it cannot be raised
 *     max-item-size       that of the table, or what half of a worker's share holds if that is less;
 *                         in the smallest shares less than half, beside the worker's own memory
 *     connection-memory   a sixteenth of the memory limit; 16 MiB, and 4 MiB a worker, at least;
 *                         1 GiB at most, unless the workers need more
 *     listen              127.0.0.1, where TCP is wanted
 *
 * WHAT MUST FIT: each worker's share of the memory and of the connections' memory, the largest item
 * in a share, the bounds of the limit, paths that differ and are absolute for a daemon, options
 * that contradict each other. What only looks odd is a note: no TCP and no socket is what was asked
 * for. */
#include "server/settings/settings_table.h"

#include "base/address_text.h"
#include "base/assert.h"
#include "base/bits.h"

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	const char *value;
} constants[] = {
#define CONSTANT_ROW(name, value) {name, value},
	SETTINGS_CONSTANTS(CONSTANT_ROW)
#undef CONSTANT_ROW
};

static void set_presets(struct settings_reader *reader) {
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++) {
		const struct settings_option *option = &settings_options[i];
		if (option->preset[0] == '\0') continue;
		bool is_set = settings_set(reader, option, option->name, option->preset);
		SNUG_ASSERT(is_set);
		(void)is_set;
	}
	memset(reader->given, 0, sizeof reader->given);
}

static bool was_given(const struct settings_reader *reader, const char *name) {
	return reader->given[settings_find_name(name, strlen(name)) - settings_options];
}

#define CONNECTION_SHARE 16u /* of the memory limit */
#define CONNECTION_DEFAULT_MIN_BYTES ((uint64_t)16 << 20)
#define CONNECTION_WORKER_BYTES ((uint64_t)4 << 20)
#define CONNECTION_DEFAULT_MAX_BYTES ((uint64_t)1 << 30)

/* Those that we may run on. */
static uint32_t count_processors(void) {
	cpu_set_t ours;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	int count = sched_getaffinity(0, sizeof ours, &ours) == 0 ? CPU_COUNT(&ours) : (int)online;
	return count < 1 ? 1 : (uint32_t)count;
}

static void settle_threads(struct settings *settings) {
	uint32_t processors = count_processors();
	if (settings->threads == 0)
		settings->threads = (uint32_t)smaller(processors, SETTINGS_THREADS_DEFAULT_MAX);
	if (settings->accept_threads == 0) settings->accept_threads = processors;
	settings->accept_threads = (uint32_t)smaller(settings->accept_threads, settings->threads);
}

/* What does not fit is told where it was given: by file and line, or as the option. */
__attribute__((format(printf, 3, 4))) static bool misfit(struct settings_reader *reader,
														 const char *name, const char *format,
														 ...) {
	const struct settings_option *option = settings_find_name(name, strlen(name));
	const struct settings_place *place = &reader->place[option - settings_options];
	char sentence[800];
	va_list values;
	va_start(values, format);
	(void)vsnprintf(sentence, sizeof sentence, format, values);
	va_end(values);
	if (place->file == NULL) return settings_refuse(reader, "--%s: %s", name, sentence);
	if (place->line == 0)
		return settings_refuse(reader, "%.380s: %s: %s", place->file, name, sentence);
	return settings_refuse(reader, "%.380s:%u: %s: %s", place->file, place->line, name, sentence);
}

static bool fits_connections(struct settings_reader *reader) {
	struct settings *settings = reader->settings;
	uint64_t bytes = settings->memory_bytes / CONNECTION_SHARE;
	if (settings->connection_memory_bytes == 0) {
		if (bytes < CONNECTION_DEFAULT_MIN_BYTES) bytes = CONNECTION_DEFAULT_MIN_BYTES;
		if (bytes > CONNECTION_DEFAULT_MAX_BYTES) bytes = CONNECTION_DEFAULT_MAX_BYTES;
		if (bytes < CONNECTION_WORKER_BYTES * settings->threads)
			bytes = CONNECTION_WORKER_BYTES * settings->threads;
		settings->connection_memory_bytes = bytes;
	}
	if (settings->connection_memory_bytes / settings->threads < SETTINGS_CONNECTION_MIN_BYTES)
		return misfit(reader, "connection-memory",
					  "too little for %u workers: each needs 1m at least", settings->threads);
	return true;
}

/* Of a share: the io's buffers, the shard, the heap's and the cache's first tables. */
#define WORKER_OWN_BYTES ((uint64_t)176 << 10)

uint64_t settings_item_most_bytes(const struct settings *settings) {
	uint64_t share_bytes = settings->memory_bytes / settings->threads;
	return smaller(share_bytes / 2, share_bytes - WORKER_OWN_BYTES);
}

static bool fits_item(struct settings_reader *reader, uint64_t share_bytes) {
	struct settings *settings = reader->settings;
	uint64_t most_bytes = settings_item_most_bytes(settings);
	if (settings->item_max_bytes <= most_bytes) return true;
	if (was_given(reader, "max-item-size"))
		return misfit(reader, "max-item-size",
					  "a worker of %llu bytes holds at most %llu; give more memory (-m) or "
					  "fewer threads (-t)",
					  (unsigned long long)share_bytes, (unsigned long long)most_bytes);
	settings->item_max_bytes = most_bytes;
	return true;
}

static bool fits_memory(struct settings_reader *reader) {
	struct settings *settings = reader->settings;
	uint64_t share_bytes = settings->memory_bytes / settings->threads;
	if (share_bytes < SNUG_LIMIT_MIN_BYTES)
		return misfit(reader, "memory-limit",
					  "too little for %u workers: each needs %zuk at least, so %zuk; or give "
					  "fewer threads (-t)",
					  settings->threads, SNUG_LIMIT_MIN_BYTES >> 10,
					  (SNUG_LIMIT_MIN_BYTES >> 10) * settings->threads);
	if (settings->memory_max_bytes == 0) settings->memory_max_bytes = settings->memory_bytes;
	if (settings->memory_max_bytes < settings->memory_bytes)
		return misfit(reader, "memory-max", "less than the memory limit");
	if (settings->memory_max_bytes / settings->threads > SNUG_LIMIT_MAX_BYTES)
		return misfit(reader, "memory-limit",
					  "too much for %u workers: each can use %zug; give more threads (-t)",
					  settings->threads, SNUG_LIMIT_MAX_BYTES >> 30);
	return fits_item(reader, share_bytes) && fits_connections(reader);
}

static bool is_relative(const char *path) {
	return path[0] != '\0' && path[0] != '/';
}

static bool fits_paths(struct settings_reader *reader) {
	const struct settings *settings = reader->settings;
	if (settings->socket_path[0] != '\0' &&
		strcmp(settings->socket_path, settings->control_path) == 0)
		return misfit(reader, "control", "the same path as --unix-socket");
	bool has_control = settings_wants_control(settings);
	if (settings->control_only && !has_control)
		return misfit(reader, "control-only",
					  "there is no control socket; name one with --control");
	if (settings->control_only && settings->open_commands)
		return misfit(reader, "open-commands", "the opposite of --control-only");
	if (settings->control_group[0] != '\0' && !has_control)
		return misfit(reader, "control-group",
					  "there is no control socket; name one with --control");
	if (!settings->daemonize) return true;
	if (is_relative(settings->socket_path) ||
		(has_control && is_relative(settings->control_path)) || is_relative(settings->pid_file) ||
		is_relative(settings->memory_file) || is_relative(settings->auth_file) ||
		is_relative(settings->ssl_chain_cert) || is_relative(settings->ssl_key) ||
		is_relative(settings->ssl_ca_cert))
		return misfit(reader, "daemon",
					  "paths must be absolute, because a daemon leaves its directory");
	return true;
}

static bool fits_secret(struct settings_reader *reader) {
	const char *digits = reader->settings->hash_secret;
	if (digits[0] == '\0') return true;
	if (strlen(digits) != 2 * SNUG_HASH_SECRET_BYTES ||
		strspn(digits, "0123456789abcdefABCDEF") != strlen(digits))
		return misfit(reader, "hash-secret", "not %u hexadecimal digits",
					  2 * SNUG_HASH_SECRET_BYTES);
	return true;
}

const char *settings_listen_address(const struct settings *settings, const char *entry,
									enum settings_tls *tls) {
	static const struct {
		const char *prefix;
		enum settings_tls tls;
	} known[] = {{"notls:", SETTINGS_TLS_NONE},
				 {"btls:", SETTINGS_TLS_UNASKED},
				 {"mtls:", SETTINGS_TLS_CERTIFIED}};
	*tls = settings->ssl_enabled ? SETTINGS_TLS_AS_SET : SETTINGS_TLS_NONE;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t length = strlen(known[i].prefix);
		if (strncmp(entry, known[i].prefix, length) != 0) continue;
		*tls = known[i].tls;
		return entry + length;
	}
	return entry;
}

static bool fits_tls(struct settings_reader *reader) {
	const struct settings *settings = reader->settings;
	bool asks_clients = settings->ssl_verify_mode > 0;
	for (uint32_t i = 0; i < settings->listen.count; i++) {
		const char *entry = settings->listen.entry[i];
		enum settings_tls tls;
		bool has_prefix = settings_listen_address(settings, entry, &tls) != entry;
		if (has_prefix && !settings->ssl_enabled)
			return misfit(reader, "listen", "'%s' needs --enable-ssl (-Z)", entry);
		asks_clients |= tls == SETTINGS_TLS_CERTIFIED;
	}
	if (settings->http_ssl && settings->http[0] == '\0')
		return misfit(reader, "http-ssl", "needs --http");
	if (settings->http_ssl && !settings->ssl_enabled)
		return misfit(reader, "http-ssl", "needs --enable-ssl (-Z)");
	if (settings->http_ssl && settings->ssl_keyformat != 1)
		return misfit(reader, "http-ssl", "needs a key as PEM: --ssl-keyformat 1");
	if (!settings->ssl_enabled) return true;
	if (!settings_want_tcp(settings))
		return misfit(reader, "enable-ssl", "there is no TCP port; a unix socket has no TLS");
	if (settings->ssl_chain_cert[0] == '\0')
		return misfit(reader, "enable-ssl", "needs a certificate: --ssl-chain-cert");
	if (asks_clients && settings->ssl_ca_cert[0] == '\0')
		text_print(reader->text, "--ssl-verify-mode: no client's certificate is right without "
								 "--ssl-ca-cert\n");
	return true;
}

static bool is_address(struct settings_reader *reader, const char *option, const char *text) {
	struct address_text address;
	if (text[0] != '\0' && text[strspn(text, "0123456789")] == '\0')
		return misfit(reader, option,
					  "'%s' is a port without an address: 127.0.0.1:%s, or *:%s for all", text,
					  text, text);
	if (address_read(text, &address) && address.host_length > 0) return true;
	return misfit(reader, option, "'%s' is not an address: HOST, HOST:PORT, [IPv6]:PORT or *",
				  text);
}

static bool fits_addresses(struct settings_reader *reader) {
	const struct settings *settings = reader->settings;
	for (uint32_t i = 0; i < settings->listen.count; i++) {
		enum settings_tls tls;
		const char *entry = settings->listen.entry[i];
		if (!is_address(reader, "listen", settings_listen_address(settings, entry, &tls)))
			return false;
	}
	for (uint32_t i = 0; i < settings->http_hosts.count; i++)
		if (!is_address(reader, "http-host", settings->http_hosts.entry[i])) return false;
	return settings->http[0] == '\0' || is_address(reader, "http", settings->http);
}

/* Whoever wants no TCP and gives no socket gets what he asked for, as from memcached, and is
 * told. */
static void settle_listen(struct settings_reader *reader) {
	struct settings *settings = reader->settings;
	settings->has_port = was_given(reader, "port");
	bool has_other_door = settings->socket_path[0] != '\0' || settings->control_path[0] != '\0' ||
						  settings->http[0] != '\0';
	if (!settings_want_tcp(settings)) {
		if (!has_other_door)
			text_print(
				reader->text,
				"--port: 0 is no TCP, and there is no unix socket (-s): nobody can connect\n");
		return;
	}
	if (settings->listen.count > 0) return;
	(void)snprintf(settings->listen.entry[0], sizeof settings->listen.entry[0], "127.0.0.1");
	settings->listen.count = 1;
}

void settings_begin(struct settings_reader *reader, struct settings *out, struct text *text) {
	*out = (struct settings){0};
	*reader = (struct settings_reader){.settings = out, .text = text, .wish = SETTINGS_RUN};
	set_presets(reader);
}

bool settings_settle(struct settings_reader *reader) {
	settle_listen(reader);
	settle_threads(reader->settings);
	return fits_memory(reader) && fits_paths(reader) && fits_addresses(reader) &&
		   fits_tls(reader) && fits_secret(reader);
}

void settings_visit(const struct settings *settings,
					void (*visit)(void *context, const char *name, const char *value),
					void *context) {
	struct text value = {0};
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++) {
		const struct settings_option *option = &settings_options[i];
		if (option->statistic[0] == '\0') continue;
		value.length = 0;
		settings_show(settings, option, &value);
		text_append(&value, "", 1);
		if (!value.failed) visit(context, option->statistic, value.bytes);
	}
	text_deinit(&value);
	static const char *const protocols[] = {[SETTINGS_PROTOCOL_AUTO] = "auto-negotiate",
											[SETTINGS_PROTOCOL_TEXT] = "ascii",
											[SETTINGS_PROTOCOL_BINARY] = "binary"};
	visit(context, "binding_protocol", protocols[settings->protocol]); /* memcached's words */
	const char *asks = settings->auth_file[0] != '\0' ? "yes" : "no";
	visit(context, "auth_enabled_sasl", asks);
	visit(context, "auth_enabled_ascii", asks);
	visit(context, "stat_key_prefix", (char[]){settings_prefix_delimiter(settings), '\0'});
	for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
		visit(context, constants[i].name, constants[i].value);
}
