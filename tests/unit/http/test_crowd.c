/* Who must go when there is no room on the HTTP side: http/http_crowd.h, with socket pairs. */
#include "base/text.h"
#include "http/http_crowd.h"
#include "unit/cmocka_all.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 4u
#define NETWORK_ROOM 3u

/* One connection: our side, and the client's. */
struct visit {
	int ours;
	int theirs;
	struct guest *guest;
};

static struct visit come(struct crowd *crowd, const char *from) {
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	bool is_six = inet_pton(AF_INET6, from, &six.sin6_addr) == 1;
	assert_true(is_six || inet_pton(AF_INET, from, &four.sin_addr) == 1);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	const void *address = is_six ? (void *)&six : (void *)&four;
	return (struct visit){pair[0], pair[1], crowd_enter(crowd, pair[0], address)};
}

static bool is_shut(const struct visit *visit) {
	char byte;
	ssize_t got = recv(visit->theirs, &byte, 1, MSG_DONTWAIT);
	if (got < 0) assert_int_equal(errno, EAGAIN);
	return got == 0;
}

static void go(struct crowd *crowd, struct visit *visit) {
	crowd_leave(crowd, visit->guest);
	close(visit->ours);
	close(visit->theirs);
}

static void the_longest_waiting_goes_first(void **state) {
	(void)state;
	struct crowd crowd;
	crowd_init(&crowd, ROOM, ROOM);
	struct visit visit[8];
	for (size_t i = 0; i < 4; i++) visit[i] = come(&crowd, "10.0.0.1");
	/* 0 is being answered, 1 was: so 2 has let us wait the longest. */
	assert_true(crowd_begin_answer(&crowd, visit[0].guest, true));
	assert_true(crowd_begin_answer(&crowd, visit[1].guest, true));
	crowd_end_answer(&crowd, visit[1].guest);
	const size_t goes[] = {2, 3, 1};
	for (size_t i = 0; i < 3; i++) {
		for (size_t other = 0; other < 4; other++)
			assert_int_equal(is_shut(&visit[other]),
							 (i > 0 && other == 2) || (i > 1 && other == 3));
		visit[4 + i] = come(&crowd, "10.0.0.1");
		assert_non_null(visit[4 + i].guest);
		assert_true(is_shut(&visit[goes[i]]));
	}
	assert_false(is_shut(&visit[0]));
	for (size_t i = 0; i < 7; i++) go(&crowd, &visit[i]);
	crowd_deinit(&crowd);
}

static void who_is_answered_stays_and_the_newcomer_is_turned_away(void **state) {
	(void)state;
	struct crowd crowd;
	crowd_init(&crowd, ROOM, ROOM);
	struct visit visit[6];
	for (size_t i = 0; i < ROOM; i++) {
		visit[i] = come(&crowd, "10.0.0.1");
		assert_true(crowd_begin_answer(&crowd, visit[i].guest, true));
	}
	visit[4] = come(&crowd, "10.0.0.2");
	assert_null(visit[4].guest);
	assert_true(is_shut(&visit[4]));
	for (size_t i = 0; i < ROOM; i++) assert_false(is_shut(&visit[i]));
	go(&crowd, &visit[0]);
	visit[5] = come(&crowd, "10.0.0.2");
	assert_non_null(visit[5].guest);
	for (size_t i = 1; i < 6; i++) go(&crowd, &visit[i]);
	crowd_deinit(&crowd);
}

static void a_network_that_has_its_share_shows_out_its_own(void **state) {
	(void)state;
	static const char *const same[][2] = {{"10.0.0.1", "10.0.0.1"},
										  {"10.0.0.1", "::ffff:10.0.0.1"},
										  {"2001:db8::1", "2001:db8::2:0:0:7"}};
	static const char *const foreign[][2] = {{"10.0.0.1", "10.0.0.2"},
											 {"::ffff:10.0.0.1", "::ffff:10.0.0.2"},
											 {"2001:db8::1", "2001:db8:0:1::1"}};
	for (size_t i = 0; i < 3; i++) {
		struct crowd crowd;
		crowd_init(&crowd, ROOM, NETWORK_ROOM);
		struct visit other = come(&crowd, foreign[i][1]), visit[4];
		for (size_t j = 0; j < 3; j++) visit[j] = come(&crowd, same[i][0]);
		visit[3] = come(&crowd, same[i][1]);
		assert_false(is_shut(&other)); /* although it has waited the longest */
		assert_true(is_shut(&visit[0]));
		for (size_t j = 1; j < 4; j++) assert_false(is_shut(&visit[j]));
		for (size_t j = 0; j < 4; j++) go(&crowd, &visit[j]);
		go(&crowd, &other);
		crowd_deinit(&crowd);
	}
}

static void who_has_cost_most_is_shown_out_for_memory(void **state) {
	(void)state;
	struct crowd crowd;
	struct text_account account = {0}, other = {0};
	struct visit visit[4];
	crowd_init(&crowd, ROOM, ROOM);
	for (size_t i = 0; i < 4; i++) visit[i] = come(&crowd, "10.0.0.1");
	assert_int_equal(crowd_show_out_costliest(&crowd, &account, 1), 0); /* nobody holds anything */
	crowd_hold(&crowd, visit[0].guest, &account, 1000, 9000);           /* much, but just now */
	crowd_hold(&crowd, visit[1].guest, &account, 100, 1000);
	crowd_hold(&crowd, visit[2].guest, &account, 90, 1000);
	crowd_hold(&crowd, visit[3].guest, &other, 100000, 0);
	assert_int_equal(crowd_show_out_costliest(&crowd, &account, 9010), 100);
	assert_true(is_shut(&visit[1]));
	assert_int_equal(crowd_show_out_costliest(&crowd, &account, 9010), 90);
	crowd_hold(&crowd, visit[0].guest, &account, 0, 0); /* he has taken it */
	assert_int_equal(crowd_show_out_costliest(&crowd, &account, 9020), 0);
	assert_false(is_shut(&visit[0]));
	assert_false(is_shut(&visit[3]));
	for (size_t i = 0; i < 4; i++) go(&crowd, &visit[i]);
	crowd_deinit(&crowd);
}

static void a_quarter_of_the_room_is_for_probes(void **state) {
	(void)state;
	struct crowd crowd;
	struct visit visit[4];
	crowd_init(&crowd, ROOM, ROOM);
	for (size_t i = 0; i < 4; i++) visit[i] = come(&crowd, "10.0.0.1");
	for (size_t i = 0; i < 3; i++) assert_true(crowd_begin_answer(&crowd, visit[i].guest, false));
	assert_false(crowd_begin_answer(&crowd, visit[3].guest, false));
	crowd_end_answer(&crowd, visit[3].guest);
	assert_true(crowd_begin_answer(&crowd, visit[3].guest, true));
	crowd_end_answer(&crowd, visit[0].guest);
	assert_false(crowd_begin_answer(&crowd, visit[0].guest, false));
	for (size_t i = 0; i < 4; i++) go(&crowd, &visit[i]);
	crowd_deinit(&crowd);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_longest_waiting_goes_first),
		cmocka_unit_test(who_is_answered_stays_and_the_newcomer_is_turned_away),
		cmocka_unit_test(a_network_that_has_its_share_shows_out_its_own),
		cmocka_unit_test(who_has_cost_most_is_shown_out_for_memory),
		cmocka_unit_test(a_quarter_of_the_room_is_for_probes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
