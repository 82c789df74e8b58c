/* mouth_plain.c: see mouth.h. Nothing stands between a client and his socket. */
#include "mouth.h"

#include "support/require.h"

const uint32_t mouth_tricks = 0;

struct tls *mouth_server(void) {
	return NULL;
}

void mouth_connect(struct mouth *mouth, uint32_t worker, bool is_old) {
	(void)is_old;
	*mouth = (struct mouth){.socket = world_connect(worker)};
}

void mouth_deinit(struct mouth *mouth) {
	(void)mouth;
}

void mouth_say(struct mouth *mouth, const char *bytes, size_t length) {
	fake_send(mouth->socket, bytes, length);
}

void mouth_end(struct mouth *mouth, bool is_polite) {
	(void)is_polite;
	fake_socket(mouth->socket)->has_ended = true;
}

bool mouth_pump(struct mouth *mouth) {
	(void)mouth;
	return false;
}

bool mouth_is_true(const struct mouth *mouth) {
	(void)mouth;
	return true;
}

const struct byte_queue *mouth_heard(const struct mouth *mouth) {
	return &fake_socket(mouth->socket)->answers;
}

void mouth_trick(struct mouth *mouth, uint32_t trick, uint8_t argument, const uint8_t *bytes,
				 size_t length) {
	(void)mouth;
	(void)argument;
	(void)bytes;
	(void)length;
	REQUIRE(false, "there is no trick %u", trick);
}

uint64_t mouth_failures(const struct world *world) {
	(void)world;
	return 0;
}

void mouth_check(const struct world *world) {
	(void)world;
}

void mouth_check_end(const struct world *world) {
	(void)world;
}
