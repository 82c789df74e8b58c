/* test_link.c: what snugctl hears of a server that closes before it has read: tools/snugctl/link.c
 * on a pair of sockets. */
#include "../../../tools/snugctl/link.h"

#include "unit/cmocka_all.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The server has said `words` and closed, and only then it is asked. */
static bool ask_one_who_closed(const char *words, struct reply *reply) {
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(write(pair[1], words, strlen(words)), strlen(words));
	close(pair[1]);
	struct link link = {.fd = pair[0], .timeout_ms = 5000};
	bool is_answered = link_ask(&link, "limit", reply);
	link_close(&link);
	return is_answered;
}

static void who_has_no_room_is_heard(void **state) {
	(void)state;
	struct reply reply;
	assert_true(ask_one_who_closed("SERVER_ERROR all at work\r\n", &reply));
	assert_string_equal(reply.error, "SERVER_ERROR all at work");
	reply_free(&reply);
}

static void who_says_nothing_or_half_is_an_error(void **state) {
	(void)state;
	struct reply reply;
	assert_false(ask_one_who_closed("", &reply));
	assert_false(ask_one_who_closed("SERVER_ERR", &reply));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_no_room_is_heard),
		cmocka_unit_test(who_says_nothing_or_half_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
