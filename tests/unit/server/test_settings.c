/* test_settings.c: src/server/settings*.c: command lines and config files, what they give or why
 * they are refused; help, manual page and statistics, which must know each option. */
#include "unit/cmocka_all.h"

#include "server/settings/settings_table.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 24

/* Settings from a line, split at spaces. `said` is the text, ended by a NUL; the caller's to
 * free. */
static enum settings_wish parse(const char *line, struct settings *out, char **said) {
	char *copy = strdup(line);
	assert_non_null(copy);
	char *arguments[ARGUMENTS_MAX + 1] = {(char *)(uintptr_t) "snugd"};
	int count = 1;
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " ")) {
		assert_true(count < ARGUMENTS_MAX);
		arguments[count++] = word;
	}
	struct text text = {0};
	enum settings_wish wish = settings_parse(count, arguments, out, &text);
	text_append(&text, "", 1);
	assert_false(text.failed);
	*said = strdup(text.bytes);
	assert_non_null(*said);
	text_deinit(&text);
	free(copy);
	return wish;
}

static struct settings accepted(const char *line) {
	struct settings settings;
	char *said;
	if (parse(line, &settings, &said) != SETTINGS_RUN) fail_msg("%s: %s", line, said);
	free(said);
	return settings;
}

static void refused(const char *line, const char *sentence) {
	struct settings settings;
	char *said;
	if (parse(line, &settings, &said) != SETTINGS_REFUSE) fail_msg("%s: not refused", line);
	assert_string_equal(said, sentence);
	free(said);
}

/* A config file with this content; removed by the caller. */
static void write_config(char path[32], const char *content) {
	strcpy(path, "/tmp/snugd-config-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	assert_int_equal(close(fd), 0);
}

static void has_memcached_s_defaults(void **state) {
	(void)state;
	struct settings s = accepted("");
	assert_int_equal(s.memory_bytes, 64 << 20);
	assert_int_equal(s.memory_max_bytes, 64 << 20);
	assert_int_equal(s.item_max_bytes, 1 << 20);
	assert_int_equal(s.connections_max, 1024);
	assert_int_equal(s.backlog, 1024);
	assert_int_equal(s.port, 11211);
	assert_int_equal(s.socket_mask, 0700);
	assert_in_range(s.threads, 1, 4);
	assert_int_equal(s.listen.count, 1);
	assert_string_equal(s.listen.entry[0], "127.0.0.1");
	assert_int_equal(s.io, IO_AUTO);
	assert_int_equal(s.evict_for, SNUG_EVICT_FOR_HITS);
	assert_true(s.background);
	assert_int_equal(s.defrag_duty_ppm, 30000);
	assert_int_equal(s.defrag_step_bytes, 4096);
	assert_false(s.has_port || s.no_eviction || s.no_flush || s.huge_pages || s.lock_memory ||
				 s.daemonize || s.log_json || s.core_dumps);
	assert_int_equal(s.idle_timeout_s + s.verbosity, 0);
	assert_string_equal(s.socket_path, "");
}

/* Debian's memcached.conf as a command line, and each form in which getopt takes a value. */
static void reads_what_memcached_reads(void **state) {
	(void)state;
	struct settings s = accepted(
		"-d -m 64 -p 11311 -u memcache -l 127.0.0.1 -l ::1 -P /var/run/memcached/memcached.pid");
	assert_true(s.daemonize && s.has_port);
	assert_int_equal(s.port, 11311);
	assert_string_equal(s.user, "memcache");
	assert_int_equal(s.listen.count, 2);
	assert_string_equal(s.listen.entry[1], "::1");
	assert_string_equal(s.pid_file, "/var/run/memcached/memcached.pid");
	s = accepted("-m128 -vvt2 -MFLkr --conn-limit=7 --listen-backlog 9 -I 512k -a 770 -s /tmp/s");
	assert_int_equal(s.memory_bytes, 128 << 20);
	assert_int_equal(s.verbosity, 2);
	assert_int_equal(s.threads, 2);
	assert_true(s.no_eviction && s.no_flush && s.huge_pages && s.lock_memory && s.core_dumps);
	assert_int_equal(s.connections_max, 7);
	assert_int_equal(s.backlog, 9);
	assert_int_equal(s.item_max_bytes, 512 << 10);
	assert_int_equal(s.socket_mask, 0770);
	assert_int_equal(accepted("-vvvvvv").verbosity, 3);
	assert_int_equal(accepted("-o idle_timeout=5,modern").idle_timeout_s, 5);
}

/* Each of them alone, as memcached 1.6.45 takes it. */
static void takes_memcached_s_extended_options(void **state) {
	(void)state;
	static const char *const names[] = {
		"hashpower=20",
		"no_hashexpand",
		"slab_reassign",
		"slab_automove",
		"slab_automove=1",
		"slab_automove_ratio=0.8",
		"slab_automove_window=3",
		"tail_repair_time=100",
		"hash_algorithm=jenkins",
		"lru_crawler",
		"lru_crawler_sleep=100",
		"lru_crawler_tocrawl=0",
		"lru_maintainer",
		"hot_lru_pct=20",
		"warm_lru_pct=40",
		"hot_max_factor=0.2",
		"warm_max_factor=2",
		"temporary_ttl=61",
		"watcher_logbuf_size=256",
		"worker_logbuf_size=64",
		"slab_chunk_max=512",
		"track_sizes",
		"no_inline_ascii_resp",
		"inline_ascii_resp",
		"modern",
		"no_modern",
		"no_chunked_items",
		"no_slab_reassign",
		"no_slab_automove",
		"maxconns_fast",
		"no_lru_crawler",
		"no_lru_maintainer",
		"no_drop_privileges",
		"resp_obj_mem_limit=1",
		"read_buf_mem_limit=1",
		"idle_timeout=5",
	};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		char line[64];
		(void)snprintf(line, sizeof line, "-o %s", names[i]);
		(void)accepted(line);
	}
	(void)accepted("-o "
				   "slab_reassign,slab_automove,lru_crawler,lru_maintainer,maxconns_fast,hash_"
				   "algorithm=murmur3");
	assert_int_equal(accepted("").protocol, SETTINGS_PROTOCOL_AUTO);
	assert_int_equal(accepted("-B ascii -B auto").protocol, SETTINGS_PROTOCOL_AUTO);
	assert_int_equal(accepted("--protocol=ascii").protocol, SETTINGS_PROTOCOL_TEXT);
	assert_int_equal(accepted("-B binary").protocol, SETTINGS_PROTOCOL_BINARY);
	assert_string_equal(accepted("-Y /users").auth_file, "/users");
	(void)accepted("-C -R 20 -f 1.05 -n 72 -R500 --slab-growth-factor=1.25 --disable-cas");
}

/* memcached's command lines are read by getopt_long, which takes the beginning of a long name, and
 * -- as the end. */
/* No more workers take connections than there are processors, unless that is said. */
static void takes_connections_by_processors(void **state) {
	(void)state;
	cpu_set_t one, before;
	assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
	uint32_t processors = (uint32_t)CPU_COUNT(&before);
	assert_int_equal(accepted("-t 32 -m 512").accept_threads, processors < 32 ? processors : 32);
	assert_int_equal(accepted("-t 1").accept_threads, 1);
	assert_int_equal(accepted("-t 8 --accept-threads 5").accept_threads, 5);
	CPU_ZERO(&one);
	for (size_t i = 0; CPU_COUNT(&one) == 0; i++)
		if (CPU_ISSET(i, &before)) CPU_SET(i, &one);
	assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
	struct settings s = accepted("");
	assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
	assert_int_equal(s.threads, 1);
	assert_int_equal(s.accept_threads, 1);
	assert_int_equal(accepted("-t 2 --accept-threads 3").accept_threads, 2);
}

static void takes_long_names_shortened(void **state) {
	(void)state;
	struct settings s =
		accepted("--thr 3 --memory-l=128 --conn-l=5 --verb --verb --listen ::1 --disable-ev --");
	assert_int_equal(s.threads, 3);
	assert_int_equal(s.memory_bytes, 128 << 20);
	assert_int_equal(s.connections_max, 5);
	assert_int_equal(s.verbosity, 2);
	assert_true(s.no_eviction);
	assert_int_equal(accepted("--").threads, accepted("").threads);
}

static void reads_what_is_ours(void **state) {
	(void)state;
	struct settings s = accepted(
		"--memory-max 1g --control /c --io=epoll --log-format json --defrag off --defrag-duty 0.25 "
		"--defrag-step 16k --idle-timeout 60 --disable-evictions=off --evict-for bytes");
	assert_int_equal(s.evict_for, SNUG_EVICT_FOR_BYTES);
	assert_int_equal(s.memory_max_bytes, 1 << 30);
	assert_string_equal(s.control_path, "/c");
	assert_int_equal(s.io, IO_EPOLL);
	assert_true(s.log_json);
	assert_false(s.background || s.no_eviction);
	assert_int_equal(s.defrag_duty_ppm, 2500);
	assert_int_equal(s.defrag_step_bytes, 16384);
	assert_int_equal(s.idle_timeout_s, 60);
	assert_int_equal(accepted("--defrag-duty 12.5%").defrag_duty_ppm, 125000);
	assert_int_equal(accepted("--defrag-duty 100").defrag_duty_ppm, 1000000);
	assert_int_equal(accepted("-m 2G -t 2").memory_bytes, 2ull << 30);
	assert_int_equal(accepted("-m 1.5GiB -t 2").memory_bytes, 3ull << 29);
	assert_int_equal(accepted("--idle-timeout 5m").idle_timeout_s, 300);
	assert_int_equal(accepted("-o defrag=off,io=epoll").io, IO_EPOLL);
}

static void a_unix_socket_alone_turns_tcp_off(void **state) {
	(void)state;
	struct settings s = accepted("-s /tmp/s");
	assert_false(settings_want_tcp(&s));
	s = accepted("-s /tmp/s -p -1");
	assert_true(settings_want_tcp(&s));
	assert_string_equal(s.listen.entry[0], "127.0.0.1");
	s = accepted("-s /tmp/s -l ::1");
	assert_true(settings_want_tcp(&s));
	assert_int_equal(s.listen.count, 1);
	s = accepted("--control /tmp/s");
	assert_true(settings_want_tcp(&s));
}

static void port_0_is_no_tcp_and_minus_1_any(void **state) {
	(void)state;
	const char *without[] = {"-s /tmp/s -p 0", "-s /tmp/s -p 0 -l ::1", "--control /c -p0",
							 "--http 127.0.0.1 --port=0"};
	for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
		struct settings s = accepted(without[i]);
		assert_false(settings_want_tcp(&s));
	}
	const char *with[] = {"-p -1", "-p-1", "--port=-1", "--port -1", "-s /tmp/s -p -1"};
	for (size_t i = 0; i < sizeof with / sizeof with[0]; i++) {
		struct settings s = accepted(with[i]);
		assert_true(settings_want_tcp(&s));
		assert_int_equal(s.port, SETTINGS_PORT_ANY);
		assert_string_equal(s.listen.entry[0], "127.0.0.1");
	}
	struct settings settings;
	char *said;
	assert_int_equal(parse("-p 0 -l ::1", &settings, &said), SETTINGS_RUN);
	assert_false(settings_want_tcp(&settings));
	assert_string_equal(
		said, "--port: 0 is no TCP, and there is no unix socket (-s): nobody can connect\n");
	free(said);
}

static void an_item_fits_in_half_of_a_worker(void **state) {
	(void)state;
	assert_int_equal(accepted("-m 2 -t 2").item_max_bytes, 512 << 10);
	assert_int_equal(accepted("-m 9 -m 1 -t 1 -I 512k").item_max_bytes, 512 << 10);
	assert_int_equal(accepted("-m 4096 -t 2 -I 1g").item_max_bytes, 1 << 30);
	refused(
		"-m 4 -t 1 -I 2049k",
		"--max-item-size: a worker of 4194304 bytes holds at most 2097152; give more memory (-m) "
		"or fewer threads (-t)");
	/* the smallest share, beside what the worker itself needs */
	assert_int_equal(accepted("-m 4 -t 16").item_max_bytes, 80 << 10);
	refused(
		"-m 4 -t 16 -I 128k",
		"--max-item-size: a worker of 262144 bytes holds at most 81920; give more memory (-m) or "
		"fewer threads (-t)");
}

static void refuses_with_a_sentence(void **state) {
	(void)state;
	static const struct {
		const char *line;
		const char *sentence;
	} cases[] = {
		{"extra", "'extra': not an option"},
		{"-", "'-': not an option"},
		{"-p", "-p: needs a value"},
		{"--port", "--port: needs a value"},
		{"--port=",
		 "--port: '' is not a port from 1 to 65535, 0 for none, or -1 for one that is free"},
		{"-p 65536",
		 "-p: '65536' is not a port from 1 to 65535, 0 for none, or -1 for one that is free"},
		{"-p -2", "-p: '-2' is not a port from 1 to 65535, 0 for none, or -1 for one that is free"},
		{"-p 1x", "-p: '1x' is not a port from 1 to 65535, 0 for none, or -1 for one that is free"},
		{"-p 18446744073709551617", "-p: '18446744073709551617' is not a port from 1 to 65535, 0 "
									"for none, or -1 for one that is free"},
		{"-t 0", "-t: '0' is not a number from 1 to 64"},
		{"-t 65", "-t: '65' is not a number from 1 to 64"},
		{"-c 0", "-c: '0' is not a number from 1 to 1000000"},
		{"-b 0", "-b: '0' is not a number from 1 to 65535"},
		{"-m 17592186044480", "-m: '17592186044480' is not a size from 256k to 16384g; a number "
							  "without k, m or g is MiB"},
		{"-m 255k",
		 "-m: '255k' is not a size from 256k to 16384g; a number without k, m or g is MiB"},
		{"-m 1mm",
		 "-m: '1mm' is not a size from 256k to 16384g; a number without k, m or g is MiB"},
		{"-I 1023", "-I: '1023' is not a size from 1k to 1g"},
		{"-I 1025m", "-I: '1025m' is not a size from 1k to 1g"},
		{"-a 8", "-a: '8' is not an octal number from 0 to 777"},
		{"-a 1000", "-a: '1000' is not an octal number from 0 to 777"},
		{"--io x", "--io: 'x' is not one of auto|uring|epoll"},
		{"--io aut", "--io: 'aut' is not one of auto|uring|epoll"},
		{"--log-format xml", "--log-format: 'xml' is not one of plain|json"},
		{"--defrag yes", "--defrag: 'yes' is not one of off|on"},
		{"--defrag-duty 0", "--defrag-duty: '0' is not a per cent value from 0.1 to 100"},
		{"--defrag-duty 101", "--defrag-duty: '101' is not a per cent value from 0.1 to 100"},
		{"--defrag-duty 1.x", "--defrag-duty: '1.x' is not a per cent value from 0.1 to 100"},
		{"--defrag-step 2m", "--defrag-step: '2m' is not a size from 1k to 1m"},
		{"--idle-timeout 31536001", "--idle-timeout: '31536001' is not a time from 0 to 31536000 "
									"seconds; s, m, h and d may stand behind it"},
		{"--verbose=2", "--verbose: takes no value"},
		{"--daemon=x", "--daemon: 'x' is not on or off"},
		{"--unix-socket=", "--unix-socket: is empty"},
		{"-l ,", "-l: ',' has an empty entry"},
		{"--frobnicate=1", "--frobnicate: unknown option"},
		{"-q", "-q: unknown option"},
		{"-vq", "-q: unknown option"},
		{"-m 64 -- x", "'x': not an option"},
		{"x -q", "'x': not an option"},
		{"--=1", "--: unknown option"},
		{"--memory", "--memory: could be --memory-limit, --memory-max, --memory-file, "
					 "--memory-file-on-disk"},
		{"--control=/c --control-g=x --control-o --control-",
		 "--control-: could be --control-group, --control-only"},
		{"--thread", "--threads: needs a value"},
		{"--verb=2", "--verbose: takes no value"},
		{"--help=2", "--help: takes no value"},
		{"-dt", "-t: needs a value"},
		{"-Nvv", "-N: not supported: connections are spread by the kernel over the workers"},
		{"-o port=1", "-o port: not supported"},
		{"-o idle_timeout", "-o idle_timeout: needs a value"},
		{"-o idle_timeout=x", "-o idle_timeout: 'x' is not a time from 0 to 31536000 seconds; s, "
							  "m, h and d may stand behind it"},
		{"-o ,", "-o: ',' is no list of NAME or NAME=VALUE"},
		{"-o modern=1", "-o modern: takes no value"},
		{"-o hashpower", "-o hashpower: needs a value"},
		{"-U 11211", "-U: '11211' is not supported, only '0': there is no UDP"},
		{"-B aut", "-B: 'aut' is not one of auto|ascii|binary"},
		{"-o ext_path=/mnt/x:1G", "-o ext_path: not supported: items are kept in memory alone"},
		{"-Z", "--enable-ssl: needs a certificate: --ssl-chain-cert"},
		{"-Z -p 0 -s /s -o ssl_chain_cert=/c",
		 "--enable-ssl: there is no TCP port; a unix socket has no TLS"},
		{"-l mtls:127.0.0.1", "--listen: 'mtls:127.0.0.1' needs --enable-ssl (-Z)"},
		{"-o ssl_min_version=1", "-o ssl_min_version: '1' is not one of tlsv1.2|tlsv1.3, or their "
								 "number from 2 to 3"},
		{"-o ssl_kernel_tls=1", "-o ssl_kernel_tls: '1' is not on or off"},
		{"-o proxy_config=x", "-o proxy_config: not supported: there is no proxy; put memcached's "
							  "or nutcracker in front"},
		{"-o no_maxconns_fast", "-o no_maxconns_fast: not supported: a connection above -c is told "
								"so and closed, it does not wait"},
		{"-o slab_automovers", "-o slab_automovers: not supported"},
		{"-o hot_", "-o hot_: not supported"},
		{"-S", "-S: not supported: SASL's PLAIN is there with --auth-file"},
		{"-d -Y users", "--daemon: paths must be absolute, because a daemon leaves its directory"},
		{"-l ::1,[::1", "--listen: '[::1' is not an address: HOST, HOST:PORT, [IPv6]:PORT or *"},
		{"--http localhost:x",
		 "--http: 'localhost:x' is not an address: HOST, HOST:PORT, [IPv6]:PORT or *"},
		{"--http :80", "--http: ':80' is not an address: HOST, HOST:PORT, [IPv6]:PORT or *"},
		{"--http-host a:65536",
		 "--http-host: 'a:65536' is not an address: HOST, HOST:PORT, [IPv6]:PORT or *"},
		{"-m 1 -t 8", "--memory-limit: too little for 8 workers: each needs 256k at least, so "
					  "2048k; or give fewer threads "
					  "(-t)"},
		{"-m 512g -t 1",
		 "--memory-limit: too much for 1 workers: each can use 256g; give more threads (-t)"},
		{"--memory-max 63", "--memory-max: less than the memory limit"},
		{"-s /a --control /a", "--control: the same path as --unix-socket"},
		{"--control-only --control none",
		 "--control-only: there is no control socket; name one with --control"},
		{"--control-group x --control none",
		 "--control-group: there is no control socket; name one with --control"},
		{"--control-only --open-commands", "--open-commands: the opposite of --control-only"},
		{"-d -s a", "--daemon: paths must be absolute, because a daemon leaves its directory"},
		{"-d -P a", "--daemon: paths must be absolute, because a daemon leaves its directory"},
		{"--config /nowhere/x", "--config: /nowhere/x: No such file or directory"},
		{"--config /tmp", "--config: /tmp: Is a directory"},
		{"--http 8211",
		 "--http: '8211' is a port without an address: 127.0.0.1:8211, or *:8211 for all"},
		{"-l 11212",
		 "--listen: '11212' is a port without an address: 127.0.0.1:11212, or *:11212 for all"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		refused(cases[i].line, cases[i].sentence);
}

static void refuses_texts_that_are_too_long(void **state) {
	(void)state;
	struct settings settings;
	char line[700];
	char *said;
	const char *const options[] = {"-s", "--control", "-P", "-u", "-l", "--http-host"};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		(void)snprintf(line, sizeof line, "%s %0600d", options[i], 7);
		assert_int_equal(parse(line, &settings, &said), SETTINGS_REFUSE);
		assert_non_null(strstr(said, "is longer than"));
		free(said);
	}
	(void)snprintf(line, sizeof line, "-s %0107d", 7);
	assert_int_equal(strlen(accepted(line).socket_path), 107);
	(void)snprintf(line, sizeof line, "-s %0108d", 7);
	assert_int_equal(parse(line, &settings, &said), SETTINGS_REFUSE);
	free(said);
	strcpy(line, "-l a,b,c,d,e,f,g,h -l i,j,k,l,m,n,o,p");
	assert_int_equal(accepted(line).listen.count, SETTINGS_LIST_MAX);
	strcat(line, ",q");
	refused(line, "-l: more than 16 entries");
}

/* Each option that has a value refuses a bad one, by either name. */
static void each_option_refuses_nonsense(void **state) {
	(void)state;
	struct settings settings;
	char line[64];
	char *said;
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++) {
		const struct settings_option *option = &settings_options[i];
		bool is_text = option->kind == KIND_TEXT || option->kind == KIND_LIST;
		if (option->kind == KIND_RISE || option->kind >= KIND_HELP) continue;
		(void)snprintf(line, sizeof line, "--%s=%s", option->name, is_text ? "" : "?!");
		if (parse(line, &settings, &said) != SETTINGS_REFUSE) fail_msg("%s is not refused", line);
		free(said);
		if (option->letter == 0 || is_text || option->kind == KIND_FLAG) continue;
		(void)snprintf(line, sizeof line, "-%c ?!", option->letter);
		if (parse(line, &settings, &said) != SETTINGS_REFUSE) fail_msg("%s is not refused", line);
		free(said);
	}
}

static void refuses_each_of_memcached_s_by_name_with_a_reason(void **state) {
	(void)state;
	char line[64];
	char sentence[256];
#define REFUSED_CASE(letter, name, why)                                               \
	(void)snprintf(line, sizeof line, "--%s", name);                                  \
	(void)snprintf(sentence, sizeof sentence, "--%s: not supported: %s", name, why);  \
	refused(line, sentence);                                                          \
	(void)snprintf(line, sizeof line, "-v%c", letter);                                \
	(void)snprintf(sentence, sizeof sentence, "-%c: not supported: %s", letter, why); \
	refused(line, sentence);
	SETTINGS_REFUSED(REFUSED_CASE)
#undef REFUSED_CASE
}

static void the_delimiter_is_one_character(void **state) {
	(void)state;
	struct settings settings = accepted("-D /");
	assert_int_equal(settings_prefix_delimiter(&settings), '/');
	settings = accepted("-v");
	assert_int_equal(settings_prefix_delimiter(&settings), ':');
	assert_int_equal(settings.prefix_delimiter[0], '\0'); /* nothing is counted from the start */
	refused("-D ::", "-D: '::' is longer than 1 bytes");
}

static void says_what_has_no_effect(void **state) {
	(void)state;
	struct settings settings;
	char *said;
	assert_int_equal(parse("-U 0 -XW -o modern,hashpower=20 -v", &settings, &said), SETTINGS_RUN);
	assert_string_equal(said,
						"-U has no effect: there is no UDP\n"
						"-o modern has no effect: what it turns on is how snugd works\n"
						"-o hashpower has no effect: the index grows and shrinks with the items\n");
	assert_int_equal(settings.verbosity, 1);
	assert_true(settings.no_dump && settings.no_watch);
	free(said);
}

static struct settings take_back(const char *line, char **told) {
	struct settings settings;
	char given[512];
	(void)snprintf(given, sizeof given, "%s --check-config", line);
	if (parse(given, &settings, told) != SETTINGS_CHECK) fail_msg("%s: %s", given, *told);
	return settings;
}

/* What --check-config prints is a config file, which gives the same settings and is printed the
 * same. */
static void takes_back_what_it_tells(void **state) {
	(void)state;
	static const char *const lines[] = {
		"",
		"-m 1.3 -t 1 --memory-max 7777777b -I 1025 --connection-memory 3000001",
		"--defrag-duty 12.3456 --defrag-step 1027",
		"-s /tmp/s",
		"-s /tmp/s -p -1 -l ::1,*:7 -l localhost -a 7 -P /tmp/p -u nobody",
		"-s /tmp/s -p 0 -l ::1",
		"-m 2g -MFLrA -d -vvv -t 3 --control none --http 127.0.0.1:0 --http-host a,b --evict-for "
		"bytes --io epoll",
		"--control /c --control-group g --control-only --log-format json --defrag off "
		"--idle-timeout 12h",
		"-R 1 -b 2 -c 3 -X --open-commands --http-token-file /t --hash-secret "
		"000102030405060708090a0b0c0d0e0f",
		"-U 0 -o modern,hashpower=3",
	};
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		char path[32], again[64], *told, *told_again;
		struct settings first = take_back(lines[i], &told);
		write_config(path, told);
		(void)snprintf(again, sizeof again, "--config %s", path);
		struct settings second = take_back(again, &told_again);
		/* notes come before */
		const char *settings_told = strstr(told, "# snugd would run with\n");
		assert_non_null(settings_told);
		assert_string_equal(settings_told, told_again);
		assert_int_equal(settings_want_tcp(&first), settings_want_tcp(&second));
		for (size_t option = 0; option < SETTINGS_OPTION_COUNT; option++) {
			const struct settings_option *known = &settings_options[option];
			if (known->kind == KIND_PORT) continue; /* 0 where no TCP was wanted anyway */
			assert_memory_equal((char *)&first + known->offset, (char *)&second + known->offset,
								known->bytes);
		}
		assert_int_equal(unlink(path), 0);
		free(told);
		free(told_again);
	}
}

static void reads_a_config_file(void **state) {
	(void)state;
	char path[32];
	char line[128];
	write_config(
		path,
		"# comment\n\n  memory-limit = 128  \nthreads=2\nlisten = 1.2.3.4,::1\nlisten = 5.6.7.8\n"
		"disable-evictions = on\ndaemon = off\nverbose = 2\nport = -1\nio\t=\tepoll\nudp-port = 0\n"
		"user = last line without an end");
	(void)snprintf(line, sizeof line, "--config %s", path);
	struct settings s = accepted(line);
	assert_int_equal(s.memory_bytes, 128 << 20);
	assert_int_equal(s.threads, 2);
	assert_int_equal(s.listen.count, 3);
	assert_string_equal(s.listen.entry[2], "5.6.7.8");
	assert_true(s.no_eviction && s.has_port);
	assert_false(s.daemonize);
	assert_int_equal(s.verbosity, 2);
	assert_int_equal(s.io, IO_EPOLL);
	assert_string_equal(s.user, "last line without an end");
	/* The command line wins, wherever --config stands; its addresses replace the file's. */
	(void)snprintf(line, sizeof line, "-m 256 -l 9.9.9.9 --disable-evictions=off --config %s -v",
				   path);
	s = accepted(line);
	assert_int_equal(s.memory_bytes, 256 << 20);
	assert_int_equal(s.listen.count, 1);
	assert_string_equal(s.listen.entry[0], "9.9.9.9");
	assert_false(s.no_eviction);
	assert_int_equal(s.verbosity, 3);
	assert_int_equal(unlink(path), 0);
}

static void lists_do_not_touch_each_other(void **state) {
	(void)state;
	char path[32];
	char line[128];
	write_config(path, "http-host = a,b\nlisten = 1.1.1.1\nhttp-host = c\n");
	(void)snprintf(line, sizeof line, "--config %s", path);
	struct settings s = accepted(line);
	assert_int_equal(s.http_hosts.count, 3);
	assert_string_equal(s.http_hosts.entry[2], "c");
	assert_int_equal(s.listen.count, 1);
	(void)snprintf(line, sizeof line, "--http-host=d.example.org:1 --config %s --http-host e,f",
				   path);
	s = accepted(line);
	assert_int_equal(s.http_hosts.count, 3);
	assert_string_equal(s.http_hosts.entry[0], "d.example.org:1");
	assert_string_equal(s.http_hosts.entry[2], "f");
	assert_string_equal(s.listen.entry[0], "1.1.1.1");
	(void)unlink(path);
}

static void each_config_file_has_its_own_addresses(void **state) {
	(void)state;
	char first[32];
	char second[32];
	char line[128];
	write_config(first, "listen = 1.1.1.1\nlisten = 2.2.2.2\nthreads = 3\n");
	write_config(second, "listen = 3.3.3.3\n");
	(void)snprintf(line, sizeof line, "--config %s --config %s", first, second);
	struct settings s = accepted(line);
	assert_int_equal(s.listen.count, 1);
	assert_string_equal(s.listen.entry[0], "3.3.3.3");
	assert_int_equal(s.threads, 3);
	assert_int_equal(unlink(first) + unlink(second), 0);
}

static void refuses_a_config_file_by_line(void **state) {
	(void)state;
	static const struct {
		const char *content;
		const char *sentence; /* after "FILE:" */
	} cases[] = {
		{"memory-limit", "1: 'memory-limit' is not of the form name = value"},
		{"\n#\nthreads = 0\n", "3: threads: '0' is not a number from 1 to 64"},
		{"frobnicate = 1", "1: frobnicate: unknown option"},
		{"config = /etc/x", "1: config: only on the command line"},
		{"help = on", "1: help: only on the command line"},
		{"port =",
		 "1: port: '' is not a port from 1 to 65535, 0 for none, or -1 for one that is free"},
		{"daemon = true", "1: daemon: 'true' is not on or off"},
		{"= 3", "1: : unknown option"},
		{"m = 3", "1: m: unknown option"},
		{"verbose = 4", "1: verbose: '4' is not a number from 0 to 3"},
		{"enable-sasl = on",
		 "1: enable-sasl: not supported: SASL's PLAIN is there with --auth-file"},
		{"threads = 1 # of 8", "1: threads: '1 # of 8': a comment (#) stands on a line of its own"},
		{"listen = 1.1.1.1\t# web",
		 "1: listen: '1.1.1.1\t# web': a comment (#) stands on a line of its own"},
		{"threads = 1\nport = 0\nthreads = 1\n", "3: threads: given in line 1 already"},
		/* what is found only when all is read */
		{"threads = 1\nhttp = 8211\n",
		 "2: http: '8211' is a port without an address: 127.0.0.1:8211, or *:8211 for all"},
		{"#\nmemory-max = 63", "2: memory-max: less than the memory limit"},
		{"memory-limit = 1\nthreads = 8",
		 "1: memory-limit: too little for 8 workers: each needs 256k at least, so 2048k; or give "
		 "fewer threads (-t)"},
		{"control = none\ncontrol-only = on",
		 "2: control-only: there is no control socket; name one with --control"},
		{"listen = 1.1.1.1\nlisten = mtls:1.1.1.2\nhttp-host = a\n",
		 " listen: 'mtls:1.1.1.2' needs --enable-ssl (-Z)"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char path[32];
		char line[64];
		char sentence[256];
		write_config(path, cases[i].content);
		(void)snprintf(line, sizeof line, "--config=%s", path);
		(void)snprintf(sentence, sizeof sentence, "%s:%s", path, cases[i].sentence);
		refused(line, sentence);
		assert_int_equal(unlink(path), 0);
	}
}

/* Whoever gives it on the command line, beside a file, is told of the command line. */
static void names_the_place_that_decides(void **state) {
	(void)state;
	char path[32];
	char line[96];
	char sentence[128];
	write_config(path, "memory-limit = 128\nmemory-max = 256\n");
	(void)snprintf(line, sizeof line, "--memory-max 63 --config %s", path);
	refused(line, "--memory-max: less than the memory limit");
	(void)snprintf(line, sizeof line, "-m 512 --config %s", path);
	(void)snprintf(sentence, sizeof sentence, "%s:2: memory-max: less than the memory limit", path);
	refused(line, sentence);
	assert_int_equal(unlink(path), 0);
}

/* What follows a NUL byte would not be read. */
static void refuses_a_config_file_with_a_nul_byte(void **state) {
	(void)state;
	static const char content[] = "threads = 1\0threads = 2\n";
	char path[32], line[64], sentence[128];
	write_config(path, "");
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(content, 1, sizeof content - 1, file), sizeof content - 1);
	assert_int_equal(fclose(file), 0);
	(void)snprintf(line, sizeof line, "--config=%s", path);
	(void)snprintf(sentence, sizeof sentence, "%s:1: has a NUL byte; is it a text?", path);
	refused(line, sentence);
	assert_int_equal(unlink(path), 0);
}

/* ------------------------------------------------------------------ what is told -------------- */

static char *told(const char *line) {
	struct settings settings;
	char *said;
	assert_int_equal(parse(line, &settings, &said), SETTINGS_TELL);
	return said;
}

static void help_fits_80_columns_and_knows_each_option(void **state) {
	(void)state;
	char *help = told("-h");
	char name[64];
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++) {
		(void)snprintf(name, sizeof name, "--%s", settings_options[i].name);
		if (strstr(help, name) == NULL) fail_msg("%s is not in the help", name);
	}
	for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1)
		if (strcspn(line, "\n") > 80) fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
	free(help);
}

/* "--name" of each line that begins an option, in order, as a list of lines. */
static char *names_in_help(const char *help) {
	char *names = calloc(1, strlen(help) + 1);
	assert_non_null(names);
	for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1) {
		const char *at = line + strspn(line, " ");
		if (at - line != 2 && at - line != 6) continue;
		if (at[0] == '-' && at[1] != '-' && at[2] == ',') at += 4;
		if (at[0] != '-' || at[1] != '-') continue;
		strncat(names, at, strcspn(at, "=\n "));
		strcat(names, "\n");
	}
	return names;
}

/* The same of the manual page, in which an option's line is .TP's next. */
static char *names_in_manual(const char *manual) {
	char *names = calloc(1, strlen(manual) + 1);
	assert_non_null(names);
	for (const char *at = strstr(manual, ".TP\n"); at != NULL; at = strstr(at + 1, ".TP\n")) {
		const char *line = at + 4;
		const char *name = strstr(line, "\\-\\-");
		if (name == NULL || name > line + strcspn(line, "\n")) continue;
		const char *end = strstr(name, "\\fR");
		for (; name < end; name++)
			if (*name != '\\') strncat(names, name, 1);
		strcat(names, "\n");
	}
	return names;
}

static void the_manual_page_has_the_help_s_options(void **state) {
	(void)state;
	char *help = told("--help");
	char *manual = told("--man");
	char *of_help = names_in_help(help);
	char *of_manual = names_in_manual(manual);
	assert_true(strlen(of_help) > 300);
	assert_string_equal(of_help, of_manual);
	free(of_help);
	free(of_manual);
	free(manual);
	free(help);
	char *version = told("-V");
	assert_non_null(strstr(version, "snugd "));
	free(version);
}

static void collect(void *context, const char *name, const char *value) {
	struct text *out = context;
	text_print(out, "%s %s\n", name, value);
}

static void statistics_have_memcached_s_names(void **state) {
	(void)state;
	struct settings settings = accepted("-m 100 -t 2 -l 1.2.3.4,::1 -M -a 660 -o idle_timeout=9");
	struct text out = {0};
	settings_visit(&settings, collect, &out);
	text_append(&out, "", 1);
	assert_false(out.failed);
	const char *const expected[] = {"maxbytes 104857600\n",
									"maxconns 1024\n",
									"tcpport 11211\n",
									"udpport 0\n",
									"inter 1.2.3.4,::1\n",
									"verbosity 0\n",
									"evictions off\n",
									"domain_socket NULL\n",
									"umask 660\n",
									"num_threads 2\n",
									"item_size_max 1048576\n",
									"tcp_backlog 1024\n",
									"idle_timeout 9\n",
									"flush_enabled yes\n",
									"cas_enabled yes\n",
									"stat_key_prefix :\n",
									"io auto\n",
									"defrag on\n",
									"log_format plain\n",
									"binding_protocol auto-negotiate\n"};
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
		if (strstr(out.bytes, expected[i]) == NULL)
			fail_msg("no %s in\n%s", expected[i], out.bytes);
	text_deinit(&out);
}

/* The table itself: names and letters occur once, in all that is taken and refused. */
static void the_table_has_no_twins(void **state) {
	(void)state;
	for (size_t i = 0; i < SETTINGS_OPTION_COUNT; i++) {
		const struct settings_option *option = &settings_options[i];
		assert_ptr_equal(settings_find_name(option->name, strlen(option->name)), option);
		assert_null(settings_find_stranger(0, option->name, strlen(option->name)));
		if (option->letter == 0) continue;
		assert_ptr_equal(settings_find_letter(option->letter), option);
		assert_null(settings_find_stranger(option->letter, "", 0));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_memcached_s_defaults),
		cmocka_unit_test(reads_what_memcached_reads),
		cmocka_unit_test(takes_memcached_s_extended_options),
		cmocka_unit_test(takes_connections_by_processors),
		cmocka_unit_test(takes_long_names_shortened),
		cmocka_unit_test(reads_what_is_ours),
		cmocka_unit_test(a_unix_socket_alone_turns_tcp_off),
		cmocka_unit_test(port_0_is_no_tcp_and_minus_1_any),
		cmocka_unit_test(an_item_fits_in_half_of_a_worker),
		cmocka_unit_test(refuses_with_a_sentence),
		cmocka_unit_test(refuses_texts_that_are_too_long),
		cmocka_unit_test(each_option_refuses_nonsense),
		cmocka_unit_test(refuses_each_of_memcached_s_by_name_with_a_reason),
		cmocka_unit_test(the_delimiter_is_one_character),
		cmocka_unit_test(says_what_has_no_effect),
		cmocka_unit_test(takes_back_what_it_tells),
		cmocka_unit_test(reads_a_config_file),
		cmocka_unit_test(lists_do_not_touch_each_other),
		cmocka_unit_test(each_config_file_has_its_own_addresses),
		cmocka_unit_test(refuses_a_config_file_by_line),
		cmocka_unit_test(names_the_place_that_decides),
		cmocka_unit_test(refuses_a_config_file_with_a_nul_byte),
		cmocka_unit_test(help_fits_80_columns_and_knows_each_option),
		cmocka_unit_test(the_manual_page_has_the_help_s_options),
		cmocka_unit_test(statistics_have_memcached_s_names),
		cmocka_unit_test(the_table_has_no_twins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
