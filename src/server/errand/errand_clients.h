/* server/errand/errand_clients.h: `snug clients`: which connections are meant, and what came of it.
 * The connections are looked at by their workers, which lie above this room: server.h's
 * worker->clients. */
#ifndef SNUG_SERVER_ERRAND_CLIENTS_H
#define SNUG_SERVER_ERRAND_CLIENTS_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum clients_by { CLIENTS_ALL, CLIENTS_ID, CLIENTS_ADDRESS, CLIENTS_USER, CLIENTS_IDLE };

#define CLIENTS_WORD_BYTES_MAX 384u /* a user's name as %XX */
#define CLIENTS_A_PAGE 1024u        /* of some 400 bytes */

struct clients {
	enum clients_by by;
	bool closes;    /* else they are told */
	uint64_t asker; /* client_id of who asks, who is closed only by his ID; 0: no connection */
	uint64_t id;
	uint64_t idle_s; /* so long at least */
	uint32_t word_bytes;
	char word[CLIENTS_WORD_BYTES_MAX]; /* an address or a user's name */
	uint64_t after;                    /* the page begins behind that client; 0: with the first */
	/* what came of it: */
	uint64_t last; /* that was told */
	uint32_t told;
	bool has_more; /* than fit the page */
	uint64_t closed;
	bool has_spared_asker;
	bool has_closed_asker; /* he is to go when he has his answer */
	struct text text;      /* what is told */
	struct text address;   /* of the one that is looked at */
};

/* Of all clients that the server has had, until 2^32 have come to one worker. From 1 on. */
static inline uint64_t client_id(uint32_t number, uint32_t worker, uint32_t worker_count) {
	return (uint64_t)number * worker_count + worker;
}

#endif
