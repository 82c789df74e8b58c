/* test_listeners.c: src/server/process/listeners.c: sockets as they are asked for, and a sentence
 * when they are not to be had. */
#include "unit/cmocka_all.h"

#include "base/log_line.h"
#include "server/process/control_socket.h"
#include "server/process/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
	char directory[32];
	char path[64];
	char control[64];
};

static int make_place(void **state) {
	struct place *place = calloc(1, sizeof *place);
	if (place == NULL) return -1;
	strcpy(place->directory, "/tmp/snugd-test-XXXXXX");
	if (mkdtemp(place->directory) == NULL) return -1;
	(void)snprintf(place->path, sizeof place->path, "%s/socket", place->directory);
	(void)snprintf(place->control, sizeof place->control, "%s/control", place->directory);
	*state = place;
	return 0;
}

/* Fails if anything was left in the directory. */
static int remove_place(void **state) {
	struct place *place = *state;
	int result = rmdir(place->directory);
	free(place);
	return result;
}

static struct settings tcp(const char *address, int32_t port, uint32_t threads) {
	struct settings settings = {.threads = threads,
								.accept_threads = threads,
								.backlog = 16,
								.has_port = true,
								.port = port,
								.listen = {.count = 1}};
	(void)snprintf(settings.listen.entry[0], sizeof settings.listen.entry[0], "%s", address);
	return settings;
}

static struct listeners opened(const struct settings *settings) {
	struct listeners listeners = {0};
	struct text why = {0};
	if (!listeners_open(settings, &listeners, &why)) fail_msg("%.*s", (int)why.length, why.bytes);
	assert_int_equal(why.length, 0);
	text_deinit(&why);
	return listeners;
}

/* The sentence must hold both parts. */
static void refused(const struct settings *settings, const char *name, const char *reason) {
	struct listeners listeners = {0};
	struct text why = {0};
	assert_false(listeners_open(settings, &listeners, &why));
	assert_int_equal(listeners.count, 0);
	text_append(&why, "", 1);
	if (strstr(why.bytes, name) == NULL || strstr(why.bytes, reason) == NULL)
		fail_msg("it says: %s", why.bytes);
	text_deinit(&why);
}

static void assert_ready(int fd) {
	assert_true(fd >= 0);
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	int listens = 0;
	socklen_t length = sizeof listens;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length), 0);
	assert_int_equal(listens, 1);
}

static bool connects_to(int family, uint16_t port) {
	struct sockaddr_in v4 = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	int fd = socket(family, SOCK_STREAM, 0);
	if (fd < 0) return false;
	bool is_connected = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof v4) == 0
										  : connect(fd, (struct sockaddr *)&v6, sizeof v6) == 0;
	(void)close(fd);
	return is_connected;
}

static bool connects_to_path(const char *path) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	bool is_connected = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	(void)close(fd);
	return is_connected;
}

static bool has_v6(void) {
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	bool has = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0) (void)close(fd);
	return has;
}

static void one_worker_has_one_socket(void **state) {
	(void)state;
	struct settings settings = tcp("127.0.0.1", SETTINGS_PORT_ANY, 1);
	struct listeners listeners = opened(&settings);
	assert_int_equal(listeners.count, 1);
	const struct listener *listener = &listeners.listener[0];
	assert_int_equal(listener->kind, LISTENER_TCP);
	assert_int_equal(listener->fd_count, 1);
	assert_int_not_equal(listener->port, 0);
	char name[64];
	(void)snprintf(name, sizeof name, "127.0.0.1:%u", listener->port);
	assert_string_equal(listener->name, name);
	assert_ready(listener->fds[0]);
	assert_true(connects_to(AF_INET, listener->port));
	uint16_t port = listener->port;
	listeners_close(&listeners, NULL);
	assert_int_equal(listeners.count, 0);
	assert_false(connects_to(AF_INET, port));
}

static void four_workers_share_the_port_that_the_kernel_chose(void **state) {
	(void)state;
	struct settings settings = tcp("127.0.0.1", SETTINGS_PORT_ANY, 4);
	struct listeners listeners = opened(&settings);
	const struct listener *listener = &listeners.listener[0];
	assert_int_equal(listener->fd_count, 4);
	for (uint32_t worker = 0; worker < 4; worker++) {
		struct sockaddr_in address;
		socklen_t length = sizeof address;
		int fd = listener_fd(listener, worker);
		assert_ready(fd);
		assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
		assert_int_equal(ntohs(address.sin_port), listener->port);
		for (uint32_t other = 0; other < worker; other++)
			assert_int_not_equal(fd, listener_fd(listener, other));
	}
	listeners_close(&listeners, NULL);
}

/* Shared among our workers, but with nobody else: not even with another snugd of the same user. */
static void an_address_in_use_is_refused(void **state) {
	(void)state;
	for (uint32_t threads = 1; threads <= 2; threads++) {
		struct settings settings = tcp("127.0.0.1", SETTINGS_PORT_ANY, threads);
		struct listeners listeners = opened(&settings);
		for (uint32_t others = 1; others <= 2; others++) {
			struct settings same = tcp("127.0.0.1", listeners.listener[0].port, others);
			refused(&same, listeners.listener[0].name, strerror(EADDRINUSE));
		}
		listeners_close(&listeners, NULL);
	}
}

static void v6_is_v6_alone(void **state) {
	(void)state;
	if (!has_v6()) skip();
	struct settings settings = tcp("[::1]:0", 11211, 2);
	struct listeners listeners = opened(&settings);
	uint16_t port = listeners.listener[0].port;
	assert_int_not_equal(port, 11211);
	char name[64];
	(void)snprintf(name, sizeof name, "[::1]:%u", port);
	assert_string_equal(listeners.listener[0].name, name);
	assert_true(connects_to(AF_INET6, port));
	listeners_close(&listeners, NULL);
	settings = tcp("::", SETTINGS_PORT_ANY, 1);
	listeners = opened(&settings);
	assert_true(connects_to(AF_INET6, listeners.listener[0].port));
	assert_false(connects_to(AF_INET, listeners.listener[0].port));
	listeners_close(&listeners, NULL);
}

static void a_star_is_every_address(void **state) {
	(void)state;
	struct settings settings = tcp("*", SETTINGS_PORT_ANY, 2);
	struct listeners listeners = opened(&settings);
	uint16_t port = listeners.listener[0].port;
	assert_true(connects_to(AF_INET, port));
	if (has_v6()) {
		assert_int_equal(listeners.count, 2);
		assert_int_equal(listeners.listener[1].port, port);
		assert_true(connects_to(AF_INET6, port));
	}
	listeners_close(&listeners, NULL);
}

/* What is absent may be left out, what is taken may not. */
static void half_a_star_is_refused(void **state) {
	(void)state;
	if (!has_v6()) skip();
	struct settings settings = tcp("::1", SETTINGS_PORT_ANY, 1);
	struct listeners listeners = opened(&settings);
	settings = tcp("*", listeners.listener[0].port, 1);
	refused(&settings, "[::]", strerror(EADDRINUSE));
	listeners_close(&listeners, NULL);
}

static void several_addresses_take_one_port(void **state) {
	(void)state;
	struct settings settings = tcp("127.0.0.1", SETTINGS_PORT_ANY, 2);
	strcpy(settings.listen.entry[1], "127.0.0.2");
	strcpy(settings.listen.entry[2], "127.0.0.3:0");
	strcpy(settings.listen.entry[3], "127.0.0.4");
	settings.listen.count = 4;
	struct listeners listeners = opened(&settings);
	assert_int_equal(listeners.count, 4);
	assert_int_equal(listeners.listener[0].port, listeners.listener[3].port);
	assert_int_equal(listeners.listener[0].port, listeners.listener[1].port);
	assert_int_not_equal(listeners.listener[0].port, listeners.listener[2].port);
	listeners_close(&listeners, NULL);
}

static void names_are_looked_up(void **state) {
	(void)state;
	struct addrinfo *found;
	/* a bare chroot knows no names */
	if (getaddrinfo("localhost", NULL, NULL, &found) != 0) skip();
	freeaddrinfo(found);
	struct settings settings = tcp("localhost", SETTINGS_PORT_ANY, 1);
	struct listeners listeners = opened(&settings);
	assert_true(listeners.count >= 1);
	assert_true(connects_to(AF_INET, listeners.listener[0].port) ||
				connects_to(AF_INET6, listeners.listener[0].port));
	listeners_close(&listeners, NULL);
}

static void what_is_no_address_is_refused(void **state) {
	(void)state;
	const char *const texts[] = {
		"[::1",         "[::1]x", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536",
		"127.0.0.1:+1", ":1",     "[]:1"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct settings settings = tcp(texts[i], SETTINGS_PORT_ANY, 1);
		refused(&settings, texts[i], "not an address");
	}
	/* TEST-NET-1: no machine has it. */
	struct settings settings = tcp("192.0.2.1", SETTINGS_PORT_ANY, 2);
	refused(&settings, "192.0.2.1:0", strerror(EADDRNOTAVAIL));
	/* What was opened before is closed again. */
	settings = tcp("127.0.0.1", SETTINGS_PORT_ANY, 1);
	strcpy(settings.listen.entry[1], "192.0.2.1");
	settings.listen.count = 2;
	refused(&settings, "192.0.2.1", strerror(EADDRNOTAVAIL));
}

/* ------------------------------------------------------------------ unix sockets -------------- */

static struct settings unix_socket(const struct place *place, uint32_t mask) {
	struct settings settings = {
		.threads = 3, .accept_threads = 3, .backlog = 16, .socket_mask = mask};
	strcpy(settings.socket_path, place->path);
	return settings;
}

static unsigned mode_of(const char *path) {
	struct stat status;
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	return status.st_mode & 0777u;
}

static void unix_sockets_have_their_access_bits(void **state) {
	const struct place *place = *state;
	mode_t mask = umask(022);
	struct settings settings = unix_socket(place, 0766);
	strcpy(settings.control_path, place->control);
	struct listeners listeners = opened(&settings);
	assert_int_equal(umask(022), 022); /* as it was */
	assert_int_equal(listeners.count, 2);
	assert_int_equal(mode_of(place->path), 0766);
	assert_int_equal(mode_of(place->control), 0600);
	assert_int_equal(listeners.listener[0].kind, LISTENER_UNIX);
	assert_int_equal(listeners.listener[1].kind, LISTENER_CONTROL);
	assert_string_equal(listeners.listener[0].name, place->path);
	for (uint32_t i = 0; i < 2; i++) assert_ready(listeners.listener[i].fds[0]);
	/* All watch the one, none the other: the operator's door has threads of its own. */
	assert_int_equal(listener_fd(&listeners.listener[0], 2), listeners.listener[0].fds[0]);
	assert_int_equal(listener_fd(&listeners.listener[1], 0), -1);
	assert_ptr_equal(listeners_control(&listeners), &listeners.listener[1]);
	assert_int_equal(listener_fd(&listeners.listener[1], 1), -1);
	assert_true(connects_to_path(place->path));
	listeners_close(&listeners, NULL);
	assert_int_equal(access(place->path, F_OK), -1);
	assert_int_equal(access(place->control, F_OK), -1);
	(void)umask(mask);
}

static void keep_line(void *context, snug_log_level level, const char *line) {
	assert_int_equal(level, SNUG_LOG_INFO);
	assert_int_equal(((char *)context)[0], '\0');
	strcpy(context, line);
}

/* It has become a directory, which root cannot remove as a file, either. */
static void what_cannot_be_removed_is_told(void **state) {
	const struct place *place = *state;
	struct settings settings = unix_socket(place, 0700);
	char said[SNUG_LOG_LINE_BYTES] = "";
	const snug_log log = {keep_line, said, SNUG_LOG_INFO};
	struct listeners listeners = opened(&settings);
	assert_int_equal(unlink(place->path), 0);
	assert_int_equal(mkdir(place->path, 0700), 0);
	listeners_close(&listeners, &log);
	assert_ptr_equal(strstr(said, place->path), said);
	assert_non_null(strstr(said, "stays behind"));
	assert_int_equal(rmdir(place->path), 0);
	said[0] = '\0';
	listeners = opened(&settings);
	assert_int_equal(unlink(place->path), 0); /* by somebody else: there is nothing to tell */
	listeners_close(&listeners, &log);
	assert_string_equal(said, "");
}

static void what_a_crash_left_is_removed(void **state) {
	const struct place *place = *state;
	struct settings settings = unix_socket(place, 0700);
	struct listeners listeners = opened(&settings);
	(void)close(listeners.listener[0].fds[0]);
	listeners.listener[0].fds[0] = -1;
	assert_false(connects_to_path(place->path));
	struct listeners next = opened(&settings);
	assert_true(connects_to_path(place->path));
	listeners_close(&next, NULL);
	listeners_close(&listeners, NULL);
}

static void what_is_in_use_is_left_alone(void **state) {
	const struct place *place = *state;
	struct settings settings = unix_socket(place, 0700);
	struct listeners listeners = opened(&settings);
	refused(&settings, place->path, "another process listens there");
	assert_true(connects_to_path(place->path));
	listeners_close(&listeners, NULL);
	FILE *file = fopen(place->path, "we");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	refused(&settings, place->path, "is no socket");
	assert_int_equal(unlink(place->path), 0);
	strcpy(settings.socket_path, "/nowhere/at/all");
	refused(&settings, "/nowhere/at/all", "No such file");
}

/* Who has no room for one more connection is no less there. */
static void what_is_busy_is_left_alone(void **state) {
	const struct place *place = *state;
	struct settings settings = unix_socket(place, 0700);
	settings.backlog = 1;
	struct listeners listeners = opened(&settings);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strcpy(address.sun_path, place->path);
	int clients[8];
	int count = 0;
	bool is_full = false;
	while (!is_full && count < 8) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		assert_true(fd >= 0);
		clients[count++] = fd;
		is_full = connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno == EAGAIN;
	}
	assert_true(is_full);
	refused(&settings, place->path, "another process listens there");
	while (count > 0) (void)close(clients[--count]);
	listeners_close(&listeners, NULL);
}

static struct listeners with_control(const struct settings *settings, bool is_fine) {
	struct text why = {0};
	struct listeners listeners = opened(settings);
	uint32_t before = listeners.count;
	assert_int_equal(control_socket_open(settings, &listeners, &why), is_fine);
	assert_true(is_fine ? why.length == 0 : why.length > 0);
	assert_int_equal(listeners.count, before + is_fine);
	text_deinit(&why);
	return listeners;
}

static void the_control_socket_is_where_the_server_is(void **state) {
	const struct place *place = *state;
	char path[128];
	/* Beside a unix socket that is all there is. */
	struct settings settings = unix_socket(place, 0700);
	struct listeners listeners = with_control(&settings, true);
	(void)snprintf(path, sizeof path, "%s.control", place->path);
	assert_string_equal(listeners_control(&listeners)->name, path);
	assert_int_equal(mode_of(path), 0600);
	listeners_close(&listeners, NULL);
	assert_int_equal(access(path, F_OK), -1);
	/* By the port in the user's own directory, if it is his. */
	assert_int_equal(setenv("XDG_RUNTIME_DIR", place->directory, 1), 0);
	settings = tcp("127.0.0.1", SETTINGS_PORT_ANY, 1);
	listeners = with_control(&settings, true);
	(void)snprintf(path, sizeof path, "%s/snugd-%u.sock", place->directory,
				   listeners.listener[0].port);
	assert_string_equal(listeners_control(&listeners)->name, path);
	assert_true(connects_to_path(path));
	/* Taken: the second goes without, and leaves the first alone. */
	struct settings second = tcp("127.0.0.2", listeners.listener[0].port, 1);
	struct listeners others = with_control(&second, false);
	assert_null(listeners_control(&others));
	assert_true(connects_to_path(path));
	listeners_close(&others, NULL);
	listeners_close(&listeners, NULL);
	/* There is nothing to name it after. */
	second = tcp("127.0.0.1", SETTINGS_PORT_NONE, 1);
	listeners = with_control(&second, false);
	assert_int_equal(listeners.count, 0);
	listeners_close(&listeners, NULL);
	/* None is wanted. */
	strcpy(settings.control_path, SETTINGS_NO_CONTROL);
	listeners = opened(&settings);
	struct text why = {0};
	assert_true(control_socket_open(&settings, &listeners, &why));
	assert_null(listeners_control(&listeners));
	listeners_close(&listeners, NULL);
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
}

static void a_group_may_be_let_in(void **state) {
	const struct place *place = *state;
	struct settings settings = unix_socket(place, 0700);
	const struct group *own = getgrgid(getegid());
	if (own == NULL) skip();
	strcpy(settings.control_path, place->control);
	(void)snprintf(settings.control_group, sizeof settings.control_group, "%s", own->gr_name);
	struct listeners listeners = opened(&settings);
	assert_int_equal(mode_of(place->control), 0660);
	listeners_close(&listeners, NULL);
	strcpy(settings.control_group, "no-such-group");
	refused(&settings, "no-such-group", "--control-group: there is no group");
	assert_int_equal(access(place->control, F_OK), -1);
}

/* A failure after the first socket takes that one away again. */
static void nothing_is_left_of_a_failure(void **state) {
	const struct place *place = *state;
	struct settings settings = unix_socket(place, 0700);
	strcpy(settings.control_path, "/nowhere/at/all");
	refused(&settings, "/nowhere/at/all", "No such file");
	assert_int_equal(access(place->path, F_OK), -1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_worker_has_one_socket),
		cmocka_unit_test(four_workers_share_the_port_that_the_kernel_chose),
		cmocka_unit_test(an_address_in_use_is_refused),
		cmocka_unit_test(v6_is_v6_alone),
		cmocka_unit_test(a_star_is_every_address),
		cmocka_unit_test(half_a_star_is_refused),
		cmocka_unit_test(several_addresses_take_one_port),
		cmocka_unit_test(names_are_looked_up),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test_setup_teardown(unix_sockets_have_their_access_bits, make_place,
										remove_place),
		cmocka_unit_test_setup_teardown(what_cannot_be_removed_is_told, make_place, remove_place),
		cmocka_unit_test_setup_teardown(what_a_crash_left_is_removed, make_place, remove_place),
		cmocka_unit_test_setup_teardown(what_is_in_use_is_left_alone, make_place, remove_place),
		cmocka_unit_test_setup_teardown(what_is_busy_is_left_alone, make_place, remove_place),
		cmocka_unit_test_setup_teardown(the_control_socket_is_where_the_server_is, make_place,
										remove_place),
		cmocka_unit_test_setup_teardown(a_group_may_be_let_in, make_place, remove_place),
		cmocka_unit_test_setup_teardown(nothing_is_left_of_a_failure, make_place, remove_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
