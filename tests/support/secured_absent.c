/* secured_absent.c: in place of secured_client.c where OpenSSL was not there at the build: nobody speaks TLS. */
#include "support/secured_client.h"

#include "support/require.h"

const char *secured_certificate(void) {
	return NULL;
}

void secured_seed(uint64_t seed) {
	(void)seed;
}

static void fail(void) {
	REQUIRE(false, "there is no TLS");
}

struct tls *secured_server(const struct settings *settings) {
	(void)settings;
	return NULL;
}

struct secured_client *secured_client_create(bool is_old) {
	(void)is_old;
	fail();
	return NULL;
}

void secured_client_destroy(struct secured_client *client) {
	(void)client;
}

void secured_client_say(struct secured_client *client, const char *bytes, size_t length) {
	(void)client;
	(void)bytes;
	(void)length;
	fail();
}

bool secured_client_say_end(struct secured_client *client) {
	(void)client;
	fail();
	return false;
}

void secured_client_hear(struct secured_client *client, const char *bytes, size_t length) {
	(void)client;
	(void)bytes;
	(void)length;
	fail();
}

void secured_client_pump(struct secured_client *client) {
	(void)client;
	fail();
}

bool secured_client_is_open(const struct secured_client *client) {
	(void)client;
	fail();
	return false;
}

struct byte_queue *secured_client_records(struct secured_client *client) {
	(void)client;
	fail();
	return NULL;
}

struct byte_queue *secured_client_heard(struct secured_client *client) {
	(void)client;
	fail();
	return NULL;
}

size_t secured_client_unsaid(const struct secured_client *client) {
	(void)client;
	fail();
	return 0;
}
