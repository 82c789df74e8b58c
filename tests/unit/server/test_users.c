/* test_users.c: digests, the file of users, and who is let in with what. A running server is asked
 * in tests/server/test_authentication.py. */
#include "server/auth/auth.h"
#include "server/auth/digest.h"
#include "unit/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ------------------------------------------------------------------ digests ---------------- */

/* Of SipHash's authors: key 00 01 .. 0f, bytes 00 01 .. */
static void digests_are_siphash_2_4_128(void **state) {
	static const struct {
		size_t length;
		unsigned char digest[16];
	} vectors[] = {
		{0,
		 {0xA3, 0x81, 0x7F, 0x04, 0xBA, 0x25, 0xA8, 0xE6, 0x6D, 0xF6, 0x72, 0x14, 0xC7, 0x55, 0x02,
		  0x93}},
		{15,
		 {0x54, 0x93, 0xE9, 0x99, 0x33, 0xB0, 0xA8, 0x11, 0x7E, 0x08, 0xEC, 0x0F, 0x97, 0xCF, 0xC3,
		  0xD9}},
	};
	unsigned char bytes[16];
	struct digest_key key;
	(void)state;
	for (unsigned char i = 0; i < sizeof bytes; i++) bytes[i] = i;
	memcpy(&key, bytes, sizeof key);
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
		struct digest digest = digest_of(&key, bytes, vectors[i].length);
		assert_memory_equal(&digest, vectors[i].digest, sizeof digest);
	}
}

static void digests_differ_with_any_byte(void **state) {
	struct digest_key key = {{1, 2}};
	struct digest digests[65];
	char bytes[64];
	(void)state;
	memset(bytes, 'x', sizeof bytes);
	for (size_t i = 0; i <= sizeof bytes; i++) digests[i] = digest_of(&key, bytes, i);
	for (size_t i = 0; i <= sizeof bytes; i++)
		for (size_t j = 0; j <= sizeof bytes; j++)
			assert_int_equal(digest_equals(&digests[i], &digests[j]), i == j);
}

/* ------------------------------------------------------------------ users ------------------ */

/* NULL: refused; `said` has the sentence. */
static struct users *read_users(const char *file, char said[256]) {
	char path[] = "/tmp/snug-test-users-XXXXXX";
	int descriptor = mkstemp(path);
	struct crypt_library crypt = {0};
	struct text why = {0};
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, file, strlen(file)), (ssize_t)strlen(file));
	(void)close(descriptor);
	struct users *users = users_read(path, &crypt, &why);
	(void)unlink(path);
	(void)snprintf(said, 256, "%.*s", (int)why.length, why.length > 0 ? why.bytes : "");
	text_deinit(&why);
	crypt_library_unload(&crypt);
	return users;
}

static uint8_t check(struct users *users, const char *name, const char *password) {
	struct crypt_library none = {0};
	return users_check(users, &none, name, strlen(name), password, strlen(password));
}

static void users_have_their_rights(void **state) {
	char said[256];
	struct users *users = read_users("# nobody\n"
									 "\r\n"
									 "foo:bar\r\n"
									 "reader(read):r\n"
									 "boss(operate,write,flush,read):a:b(c\n"
									 "with blank:and blank\n"
									 "foo:new",
									 said);
	(void)state;
	assert_non_null(users);
	assert_int_equal(users_count(users), 5);
	assert_int_equal(check(users, "foo", "bar"), AUTH_ITEM_RIGHTS);
	assert_int_equal(check(users, "foo", "new"), AUTH_ITEM_RIGHTS);
	assert_int_equal(check(users, "reader", "r"), AUTH_READ);
	assert_int_equal(check(users, "boss", "a:b(c"), AUTH_ITEM_RIGHTS | AUTH_OPERATE);
	assert_int_equal(check(users, "with blank", "and blank"), AUTH_ITEM_RIGHTS);
	static const char *const wrong[][2] = {
		{"foo", "ba"}, {"foo", "bar "},  {"foo", ""},           {"reader", "bar"},
		{"", "bar"},   {"# nobody", ""}, {"reader(read)", "r"}, {"nobody", "bar"}};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(check(users, wrong[i][0], wrong[i][1]), 0);
	users_destroy(users);
}

static void wrong_lines_are_refused_by_number(void **state) {
	static const char *const files[][2] = {
		{"", "names no user"},
		{"# a\n\n", "names no user"},
		{"foo:bar\nno colon\n", "line 2 is not name:password"},
		{":bar", "line 1 is not name:password"},
		{"foo:", "line 1 is not name:password"},
		{"(read):bar", "line 1 is not name:password"},
		{"foo(red):bar", "line 1 names other rights"},
		{"foo():bar", "line 1 names other rights"},
		{"foo(read,):bar", "line 1 names other rights"},
		{"foo(read write):bar", "line 1 names other rights"},
		{"a:b\na:b\na:b\na:b\na:b\n", "line 5 is the fifth"},
	};
	char said[256];
	(void)state;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		assert_null(read_users(files[i][0], said));
		if (strstr(said, files[i][1]) == NULL) fail_msg("'%s': %s", files[i][0], said);
		assert_null(strstr(said, "bar"));
	}
}

/* Whatever is in the file. */
static void random_files_are_read_or_refused(void **state) {
	static const char letters[] = "ab:(),\n#$y\r read";
	uint64_t seed = 7;
	char said[256], file[64];
	(void)state;
	for (int i = 0; i < 5000; i++) {
		size_t length = (size_t)(i % (int)(sizeof file - 1));
		for (size_t at = 0; at < length; at++) {
			seed = seed * UINT64_C(6364136223846793005) + 1;
			file[at] = letters[(seed >> 33) % (sizeof letters - 1)];
		}
		file[length] = '\0';
		struct users *users = read_users(file, said);
		assert_true((users == NULL) == (said[0] != '\0'));
		users_destroy(users);
	}
}

/* ------------------------------------------------------------------ names ------------------ */

static void say_name(struct auth_name *name, uint32_t number) {
	name->bytes = (uint32_t)snprintf(name->text, sizeof name->text, "user-%u", number);
}

/* As many as there may be: each has its number, and keeps it; one more has none. */
static void names_keep_their_numbers(void **state) {
	struct auth_names names;
	struct auth_name name, told;
	(void)state;
	auth_names_init(&names);
	assert_false(auth_names_get(&names, 0, &told) || auth_names_get(&names, 1, &told));
	for (uint32_t i = 1; i <= AUTH_NAMES_MAX; i++) {
		say_name(&name, i);
		assert_int_equal(auth_names_number(&names, name.text, name.bytes), i);
	}
	assert_int_equal(auth_names_number(&names, "one more", 8), 0);
	for (uint32_t i = 1; i <= AUTH_NAMES_MAX; i++) {
		say_name(&name, i);
		assert_int_equal(auth_names_number(&names, name.text, name.bytes), i);
		assert_true(auth_names_get(&names, (uint16_t)i, &told));
		assert_int_equal(told.bytes, name.bytes);
		assert_memory_equal(told.text, name.text, name.bytes);
	}
	auth_names_deinit(&names);
}

/* A name is all of its bytes. */
static void names_differ_with_any_byte(void **state) {
	char longest[USER_NAME_BYTES_MAX + 1] = {0};
	struct auth_names names;
	(void)state;
	auth_names_init(&names);
	for (uint32_t bytes = 1; bytes <= USER_NAME_BYTES_MAX; bytes++)
		assert_int_equal(auth_names_number(&names, longest, bytes), bytes);
	assert_int_equal(auth_names_number(&names, longest, sizeof longest), 0);
	assert_int_equal(auth_names_number(&names, longest, 1), 1);
	auth_names_deinit(&names);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_are_siphash_2_4_128),
		cmocka_unit_test(digests_differ_with_any_byte),
		cmocka_unit_test(users_have_their_rights),
		cmocka_unit_test(wrong_lines_are_refused_by_number),
		cmocka_unit_test(random_files_are_read_or_refused),
		cmocka_unit_test(names_keep_their_numbers),
		cmocka_unit_test(names_differ_with_any_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
