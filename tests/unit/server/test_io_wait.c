/* test_io_wait.c: src/server/io/io.h over epoll and over io_uring: when io_wait returns, what a
 * watched descriptor does to it, how listeners are shared, paused and left, and which way io_create
 * takes. */
#include "base/bits.h"
#include "os/threads.h"
#include "unit/server/io_world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MS UINT64_C(1000000)
#define LATE_NS (10000 * MS) /* for what takes milliseconds, also on a busy machine */

static uint64_t waited_ns(struct world *world, uint64_t timeout_ns) {
	uint64_t before_ns = os_now_ns();
	io_wait(world->io, timeout_ns);
	return os_now_ns() - before_ns;
}

/* Nothing happens for so long, and the waits last: a signal may end some early. */
static bool is_idle(struct world *world, uint64_t duration_ns) {
	uint64_t until_ns = os_deadline_ns(duration_ns);
	for (uint32_t waits = 0; os_remaining_ns(until_ns) > 0; waits++) {
		io_wait(world->io, os_remaining_ns(until_ns));
		if (io_poll(world->io) || waits > 4) return false;
	}
	return true;
}

/* What the beginning leaves: armed listeners and the like. */
static void settle(struct world *world) {
	drive_for(world, 2 * MS);
	while (io_poll(world->io)) continue;
}

/* ------------------------------------------------------------------ time-outs -------------- */

static void a_wait_ends_in_time(void **state) {
	struct world *world = world_of(state);
	settle(world);
	for (uint32_t i = 0; i < 5; i++) {
		uint64_t before_ns = os_now_ns();
		assert_true(is_idle(world, 20 * MS));
		assert_true(os_now_ns() - before_ns < LATE_NS);
	}
	assert_true(is_idle(world, 300000));
	assert_true(waited_ns(world, 0) < LATE_NS);
}

/* There is something to handle: no wait, until it was handled. */
static void a_wait_is_short_when_bytes_have_come(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_open(world, FAMILY_V4, &link);
	settle(world);
	client_write(world, client, "bytes", 5);
	io_wait(world->io, PATIENCE_NS);
	assert_int_equal(link->received, 0); /* handles nothing */
	assert_true(waited_ns(world, PATIENCE_NS) < PATIENCE_NS / 2);
	UNTIL(world, link->got_bytes == 5);
	settle(world);
	assert_true(is_idle(world, 20 * MS));
	close(client);
}

/* A close is something to handle too, also where the kernel has nothing to say about it. Several
 * waits: a signal may end one early. */
static void a_wait_is_short_after_a_close(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	for (uint32_t round = 0; round < 2; round++) {
		int client = client_open(world, FAMILY_V4, &link);
		if (round == 1) io_pause(world->io, &link->stream);
		settle(world);
		link_close(link);
		uint64_t waits_ns = 0;
		for (uint32_t i = 0; i < 4; i++) waits_ns += waited_ns(world, PATIENCE_NS);
		assert_true(waits_ns < PATIENCE_NS / 2);
		UNTIL(world, world->closed == round + 1);
		close(client);
	}
}

/* Hands over what was queued, also without a poll in between. */
static void a_wait_sends(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	char text[5];
	int client = client_open(world, FAMILY_V4, &link);
	settle(world);
	(void)link_send(link, "bytes", 5, 1);
	io_wait(world->io, 0);
	struct pollfd readable = {.fd = client, .events = POLLIN};
	assert_int_equal(poll(&readable, 1, (int)(PATIENCE_NS / MS)), 1);
	assert_int_equal(recv(client, text, 5, 0), 5);
	UNTIL(world, !link->is_sending);
	close(client);
}

#define MUCH_BYTES ((size_t)1 << 24) /* more than sockets hold */

struct late_words {
	int client;
	const char *words;
};

static void write_soon(void *context) {
	const struct late_words *late = context;
	os_thread_sleep(20 * MS);
	assert_int_equal(write(late->client, late->words, strlen(late->words)),
					 (ssize_t)strlen(late->words));
}

/* That an answer has gone is no news: the wait that hands it over brings the next request. A signal
 * may end one early. */
static void a_wait_is_not_ended_by_what_it_sends(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	struct os_thread thread;
	uint32_t in_one = 0;
	int client = client_open(world, FAMILY_V4, &link);
	settle(world);
	for (size_t round = 1; round <= 5; round++) {
		struct late_words late = {client, "next"};
		io_tell_late(&link->stream, true);
		(void)link_send(link, "answer", 6, 1);
		assert_true(os_thread_start(&thread, write_soon, &late));
		io_wait(world->io, PATIENCE_NS);
		(void)io_poll(world->io);
		in_one += link->got_bytes == round * 4;
		assert_false(link->is_sending);
		os_thread_join(&thread);
		UNTIL(world, link->got_bytes == round * 4);
	}
	assert_in_range(in_one, 3, 5);
	close(client);
}

/* A send that has to wait for its client keeps nobody from being heard. */
static void a_send_that_waits_ends_with_what_comes(void **state) {
	static char much[MUCH_BYTES];
	struct world *world = world_of(state);
	struct link *stalled, *link;
	struct os_thread thread;
	int deaf = client_open(world, FAMILY_V4, &stalled),
		client = client_open(world, FAMILY_V4, &link);
	struct late_words late = {client, "word"};
	settle(world);
	io_tell_late(&stalled->stream, true);
	io_tell_late(&link->stream, true);
	(void)link_send(stalled, much, sizeof much, 1);
	(void)link_send(link, "answer", 6, 1);
	assert_true(os_thread_start(&thread, write_soon, &late));
	uint64_t before_ns = os_now_ns();
	while (link->got_bytes < 4) {
		io_wait(world->io, PATIENCE_NS);
		(void)io_poll(world->io);
	}
	assert_true(os_now_ns() - before_ns < PATIENCE_NS / 2);
	assert_true(stalled->is_sending);
	os_thread_join(&thread);
	close(deaf);
	close(client);
}

#define CROWD 320u /* more completions in each poll than one handles */

/* A crowd that sends more in each turn than is taken in one does not keep an answer that has gone
 * from being told. */
static void a_crowd_keeps_no_send_from_being_told(void **state) {
	struct world *world = world_of(state);
	struct link *link;
	int client = client_open(world, FAMILY_V4, &link), crowd[CROWD];
	for (uint32_t i = 0; i < CROWD; i++) crowd[i] = client_open(world, FAMILY_UNIX, NULL);
	settle(world);
	io_tell_late(&link->stream, true);
	for (uint32_t turn = 0; turn < 40; turn++) {
		for (uint32_t i = 0; i < CROWD; i++) (void)send(crowd[i], "word", 4, MSG_NOSIGNAL);
		if (turn == 20) (void)link_send(link, "answer", 6, 1);
		(void)io_poll(world->io);
	}
	assert_false(link->is_sending);
	for (uint32_t i = 0; i < CROWD; i++) close(crowd[i]);
	close(client);
}

static void read_much(void *context) {
	static char much[1 << 16];
	const struct late_words *late = context;
	size_t left = MUCH_BYTES;
	ssize_t got;
	while (left > 0 && (got = read(late->client, much, smaller(left, sizeof much))) > 0)
		left -= (size_t)got;
	assert_int_equal(left, 0);
}

/* One that does not go at once is no secret: the wait that tried it ends, and so does each one behind
 * it until all has gone. */
static void what_does_not_go_at_once_goes_on(void **state) {
	static char much[MUCH_BYTES];
	struct world *world = world_of(state);
	struct link *link;
	struct os_thread thread;
	int client = client_open(world, FAMILY_V4, &link);
	struct late_words late = {client, ""};
	settle(world);
	fcntl(client, F_SETFL, fcntl(client, F_GETFL) & ~O_NONBLOCK);
	uint64_t before_ns = os_now_ns();
	for (uint32_t round = 0; round < 4; round++) {
		io_tell_late(&link->stream, true);
		(void)link_send(link, much, sizeof much, 1 + round);
		if (world->kind == IO_URING) io_wait(world->io, PATIENCE_NS);
		(void)io_poll(world->io);
		assert_true(link->is_sending); /* nobody reads */
		assert_true(os_thread_start(&thread, read_much, &late));
		while (link->is_sending) {
			io_wait(world->io, PATIENCE_NS);
			(void)io_poll(world->io);
		}
		os_thread_join(&thread);
	}
	assert_true(os_now_ns() - before_ns < PATIENCE_NS / 2);
	close(client);
}

/* What one poll brings of several is said before the first of it is told. */
static void what_comes_of_several_is_said_before(void **state) {
	struct world *world = world_of(state);
	struct link *link[3];
	int client[3];
	for (uint32_t i = 0; i < 3; i++) client[i] = client_open(world, FAMILY_V4, &link[i]);
	settle(world);
	world->coming = 0;
	for (uint32_t i = 0; i < 3; i++) client_write(world, client[i], "bytes", 5);
	os_thread_sleep(20 * MS);
	UNTIL(world, link[0]->got_bytes + link[1]->got_bytes + link[2]->got_bytes == 15);
	assert_int_equal(world->coming, world->kind == IO_URING ? 3 : 0);
	for (uint32_t i = 0; i < 3; i++) close(client[i]);
}

/* ------------------------------------------------------------------ watched ---------------- */

/* Each write wakes one wait, though nobody ever reads; several that came before one are one. */
static void each_write_to_what_is_watched_wakes(void **state) {
	struct world *world = world_of(state);
	int event = os_event_create(), other = os_event_create();
	assert_true(event >= 0 && other >= 0);
	assert_true(io_watch(world->io, event));
	assert_true(io_watch(world->io, other));
	for (uint32_t round = 0; round < 3; round++) {
		settle(world);
		assert_true(is_idle(world, 20 * MS));
		for (uint32_t i = 0; i < 4; i++) {
			for (uint32_t write = 0; write <= i; write++)
				os_event_signal(round == 1 ? other : event);
			assert_true(waited_ns(world, PATIENCE_NS) < PATIENCE_NS / 2);
			assert_false(io_poll(world->io)); /* it is no work */
		}
	}
	io_destroy(world->io);
	world->io = NULL;
	os_event_destroy(event);
	os_event_destroy(other);
	for (uint32_t family = 0; family < FAMILY_COUNT; family++) close(world->listener[family]);
	unlink(world->path);
	rmdir(world->directory);
}

/* What was written before it was watched. */
static void a_watch_sees_what_was_there(void **state) {
	struct world *world = world_of(state);
	int event = os_event_create();
	settle(world);
	os_event_signal(event);
	assert_true(io_watch(world->io, event));
	assert_true(waited_ns(world, PATIENCE_NS) < PATIENCE_NS / 2);
	os_event_destroy(event);
}

static void signal_soon(void *event) {
	os_thread_sleep(20 * MS);
	os_event_signal(*(int *)event);
}

static void another_thread_wakes(void **state) {
	struct world *world = world_of(state);
	struct os_thread thread;
	int event = os_event_create();
	assert_true(io_watch(world->io, event));
	for (uint32_t round = 0; round < 3; round++) {
		settle(world);
		assert_true(os_thread_start(&thread, signal_soon, &event));
		uint64_t until_ns = os_deadline_ns(PATIENCE_NS);
		for (uint64_t signals = 0; signals == 0; signals = os_event_take(event)) {
			assert_true(os_remaining_ns(until_ns) > 0);
			io_wait(world->io, UINT64_MAX);
		}
		os_thread_join(&thread);
	}
	os_event_destroy(event);
}

/* ------------------------------------------------------------------ listeners -------------- */

#define STORM 500u

/* Two ios share the listeners: each connection comes to one of them, none waits for a pause. */
static void a_storm_over_two(void **state) {
	struct world *world = world_of(state);
	void *second_state = (void *)(uintptr_t)world->kind;
	static int clients[STORM];
	assert_int_equal(world_begin(&second_state), 0);
	struct world *second = second_state;
	for (uint32_t family = 0; family < FAMILY_COUNT; family++)
		if (world->listener[family] >= 0)
			assert_true(io_listen(second->io, world->listener[family], family));
	settle(world);
	settle(second);
	uint64_t before_ns = os_now_ns();
	for (uint32_t i = 0; i < STORM; i++) {
		clients[i] = client_begin(world, i & 1 ? FAMILY_V4 : FAMILY_UNIX);
		if (i % 50 == 49) drive(second);
	}
	UNTIL(world, (drive(second), world->accepted + second->accepted == STORM));
	print_message("%u + %u in %llu ms\n", world->accepted, second->accepted,
				  (unsigned long long)((os_now_ns() - before_ns) / MS));
	for (uint32_t i = 0; i < STORM; i++) close(clients[i]);
	world_end(&second_state);
}

#define ONE_BY_ONE 50u

/* One at a time, each accepted at once: a listener that several wait for must not make them pause,
 * 100 ms each time. On a busy machine some take as long; not most. */
static void connections_one_by_one_over_two(void **state) {
	struct world *world = world_of(state);
	void *second_state = (void *)(uintptr_t)world->kind;
	assert_int_equal(world_begin(&second_state), 0);
	struct world *second = second_state;
	assert_true(io_listen(second->io, world->listener[FAMILY_V4], FAMILY_V4));
	uint32_t paused = 0;
	for (uint32_t i = 0; i < ONE_BY_ONE; i++) {
		uint64_t before_ns = os_now_ns();
		int client = client_begin(world, FAMILY_V4);
		UNTIL(world, (drive(second), world->accepted + second->accepted == i + 1));
		close(client);
		paused += os_now_ns() - before_ns >= 50 * MS;
	}
	assert_true(paused < ONE_BY_ONE / 2);
	world_end(&second_state);
}

/* More than one poll accepts: the wait between two polls is short as long as some are left. */
static void a_wait_is_short_while_connections_wait(void **state) {
	struct world *world = world_of(state);
	static int clients[STORM];
	settle(world);
	for (uint32_t i = 0; i < STORM; i++) clients[i] = client_begin(world, FAMILY_UNIX);
	while (world->accepted < STORM) {
		assert_true(waited_ns(world, PATIENCE_NS) < PATIENCE_NS / 2);
		(void)io_poll(world->io);
	}
	for (uint32_t i = 0; i < STORM; i++) close(clients[i]);
}

#define FEW_DESCRIPTORS 128

static struct rlimit usual_limit(void) {
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	return (struct rlimit){.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
}

/* io_uring keeps to the limit that there was when the accept was armed: so it is set before. */
static int begin_with_few_descriptors(void **state) {
	struct rlimit limit = usual_limit();
	limit.rlim_cur = FEW_DESCRIPTORS;
	return setrlimit(RLIMIT_NOFILE, &limit) != 0 ? -1 : world_begin(state);
}

static int end_with_many_descriptors(void **state) {
	struct rlimit limit = usual_limit();
	return world_end(state) != 0 || setrlimit(RLIMIT_NOFILE, &limit) != 0 ? -1 : 0;
}

/* No descriptor is left: who comes waits, the others are served, nobody runs in circles; and it
 * goes on by itself. */
static void no_descriptors_left(void **state) {
	struct world *world = world_of(state);
	world->conduct = CONDUCT_ECHO;
	int fillers[FEW_DESCRIPTORS], count = 0, waiting = socket(AF_UNIX, SOCK_STREAM, 0);
	int served = client_open(world, FAMILY_V4, NULL);
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	assert_int_equal(
		getsockname(world->listener[FAMILY_UNIX], (struct sockaddr *)&address, &length), 0);
	settle(world);
	while ((fillers[count] = dup(waiting)) >= 0) count++;
	assert_int_equal(errno, EMFILE);
	assert_int_equal(connect(waiting, (struct sockaddr *)&address, length), 0);
	uint32_t before = world->turns;
	drive_for(world, 350 * MS);
	assert_in_range(world->turns - before, 1, 20);
	assert_int_equal(world->accepted, 1);
	char text[5];
	client_write(world, served, "hello", 5);
	client_read(world, served, text, 5);
	while (count > 0) close(fillers[--count]);
	uint64_t freed_ns = os_now_ns();
	UNTIL(world, world->accepted == 2);
	assert_true(os_now_ns() - freed_ns < PATIENCE_NS / 2);
	close(served);
	close(waiting);
}

static void no_more_after_the_stop(void **state) {
	struct world *world = world_of(state);
	world->conduct = CONDUCT_ECHO;
	char text[5];
	int served = client_open(world, FAMILY_V4, NULL);
	io_stop_listening(world->io);
	settle(world);
	int late = client_begin(world, FAMILY_UNIX), later = client_begin(world, FAMILY_V4);
	uint32_t before = world->turns;
	drive_for(world, 50 * MS);
	assert_in_range(world->turns - before, 1, 20);
	assert_int_equal(world->accepted, 1);
	client_write(world, served, "hello", 5);
	client_read(world, served, text, 5);
	close(served);
	close(late);
	close(later);
}

/* ------------------------------------------------------------------ which way -------------- */

static int child_creates(int refused_call) {
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)refused_call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};
	const struct io_events events = {0};
	struct io *io = NULL;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		return 77;
	if (io_create(IO_URING, 0, &events, NULL, &io) != SNUG_ERROR_OS_THREAD || io != NULL) return 1;
	if (io_create(IO_AUTO, 0, &events, NULL, &io) != SNUG_OK) return 2;
	if (strcmp(io_name(io), "epoll") != 0) return 3;
	io_destroy(io);
	return 0;
}

/* Whatever part of io_uring is refused, as containers and sandboxes do it: AUTO takes epoll, and
 * nothing is left behind. */
static void epoll_where_io_uring_is_refused(void **state) {
	const int calls[] = {SYS_io_uring_setup, SYS_io_uring_register, SYS_io_uring_enter};
	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		int status = 0;
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) _exit(child_creates(calls[i]));
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 77) skip();
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void what_was_asked_for(void **state) {
	const struct io_events events = {0};
	struct io *io = NULL;
	(void)state;
	assert_int_equal(io_create(IO_EPOLL, 0, &events, NULL, &io), SNUG_OK);
	assert_string_equal(io_name(io), "epoll");
	io_destroy(io);
	io_destroy(NULL);
	if (io_create(IO_URING, 0, &events, NULL, &io) != SNUG_OK) return;
	assert_string_equal(io_name(io), "io_uring");
	io_destroy(io);
	assert_int_equal(io_create(IO_AUTO, 0, &events, NULL, &io), SNUG_OK);
	assert_string_equal(io_name(io), "io_uring");
	io_destroy(io);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		FOR_BOTH(a_wait_ends_in_time),
		FOR_BOTH(a_wait_is_short_when_bytes_have_come),
		FOR_BOTH(a_wait_is_short_after_a_close),
		FOR_BOTH(a_wait_sends),
		FOR_BOTH(a_wait_is_not_ended_by_what_it_sends),
		FOR_BOTH(a_send_that_waits_ends_with_what_comes),
		FOR_BOTH(a_crowd_keeps_no_send_from_being_told),
		FOR_BOTH(what_does_not_go_at_once_goes_on),
		FOR_BOTH(what_comes_of_several_is_said_before),
		FOR_BOTH(each_write_to_what_is_watched_wakes),
		FOR_BOTH(a_watch_sees_what_was_there),
		FOR_BOTH(another_thread_wakes),
		FOR_BOTH(a_storm_over_two),
		FOR_BOTH(connections_one_by_one_over_two),
		FOR_BOTH(a_wait_is_short_while_connections_wait),
		{"no_descriptors_left (epoll)", no_descriptors_left, begin_with_few_descriptors,
		 end_with_many_descriptors, (void *)(uintptr_t)IO_EPOLL},
		{"no_descriptors_left (io_uring)", no_descriptors_left, begin_with_few_descriptors,
		 end_with_many_descriptors, (void *)(uintptr_t)IO_URING},
		FOR_BOTH(no_more_after_the_stop),
		cmocka_unit_test(epoll_where_io_uring_is_refused),
		cmocka_unit_test(what_was_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
