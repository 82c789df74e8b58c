/* mouth.h: how what a client says comes to the server, and what it hears: as it is (mouth_plain.c), or by TLS (mouth_secured.c). */
#ifndef SNUG_TEST_MOUTH_H
#define SNUG_TEST_MOUTH_H

#include "support/two_workers.h"

struct secured_client;

struct mouth {
	uint32_t socket;
	struct secured_client *secured; /* NULL: as it is */
	bool is_bent;                   /* what came is not what was said */
	bool is_stalled;                /* hears nothing, and says nothing */
	size_t heard_bytes;             /* of the server's records */
	uint32_t bent_at;               /* of what is sent next which byte is another one: */
	uint8_t difference;             /* 0: none */
};

/* For world_options. */
struct tls *mouth_server(void);
void mouth_connect(struct mouth *mouth, uint32_t worker, bool is_old);
void mouth_deinit(struct mouth *mouth);
void mouth_say(struct mouth *mouth, const char *bytes, size_t length);
/* He has said all that he will; politely: and says so, where that can be said. */
void mouth_end(struct mouth *mouth, bool is_polite);
/* Brings records to and fro. Tells whether there were any. */
bool mouth_pump(struct mouth *mouth);
/* What was said came, or will come: nothing was bent, and the server knows with whom it speaks. */
bool mouth_is_true(const struct mouth *mouth);
const struct byte_queue *mouth_heard(const struct mouth *mouth);

/* What can be done to it besides, so many ways; `bytes` are the script's. */
extern const uint32_t mouth_tricks;
void mouth_trick(struct mouth *mouth, uint32_t trick, uint8_t argument, const uint8_t *bytes,
				 size_t length);

/* So many connections may have been ended by the server before it knew who speaks. */
uint64_t mouth_failures(const struct world *world);

/* What is bounded at any moment, between two calls of the server; and once all had their time. */
void mouth_check(const struct world *world);
void mouth_check_end(const struct world *world);

#endif
