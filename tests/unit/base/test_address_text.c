/* How addresses are written: base/address_text.h. */
#include "base/address_text.h"
#include "cmocka_all.h"

#include <string.h>

static void each_form_is_read(void **state) {
	(void)state;
	static const struct {
		const char *text, *host;
		int port; /* -1: none */
		bool has_brackets;
	} good[] = {
		{"localhost", "localhost", -1, false},
		{"127.0.0.1:11212", "127.0.0.1", 11212, false},
		{"*", "*", -1, false},
		{"*:0", "*", 0, false},
		{":65535", "", 65535, false},
		{"::1", "::1", -1, false},
		{"fe80::1:2", "fe80::1:2", -1, false},
		{"[::1]", "::1", -1, true},
		{"[::1]:8211", "::1", 8211, true},
		{"[x]:00080", "x", 80, true},
		{"::", "::", -1, false},
	};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct address_text address;
		char host[16];
		if (!address_read(good[i].text, &address)) fail_msg("'%s' is refused", good[i].text);
		assert_true(address_host(&address, host, sizeof host));
		assert_string_equal(host, good[i].host);
		assert_int_equal(address.has_brackets, good[i].has_brackets);
		assert_int_equal(address.has_port, good[i].port >= 0);
		assert_int_equal(address.port, good[i].port < 0 ? 0 : good[i].port);
	}
}

static void what_is_no_address_is_refused_and_writes_nothing(void **state) {
	(void)state;
	static const char *const bad[] = {
		"",        ":",       "host:",    "host:x",  "host:-1",     "host:65536",
		"host: 1", "host:1 ", "host:0x1", "[",       "[]",          "[]:1",
		"[::1",    "[::1]x",  "[::1]:",   "[::1]:x", "[::1]:65536", "[::1]:99999999999999999999"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct address_text address = {.port = 7};
		if (address_read(bad[i], &address)) fail_msg("'%s' is taken", bad[i]);
		assert_int_equal(address.port, 7);
		assert_null(address.host);
	}
}

static void a_host_needs_room_for_its_end(void **state) {
	(void)state;
	struct address_text address;
	char host[5] = "none";
	assert_true(address_read("abcd:1", &address));
	assert_false(address_host(&address, host, 4));
	assert_string_equal(host, "none");
	assert_true(address_host(&address, host, 5));
	assert_string_equal(host, "abcd");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_is_read),
		cmocka_unit_test(what_is_no_address_is_refused_and_writes_nothing),
		cmocka_unit_test(a_host_needs_room_for_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
