/* http/http_crowd.h: the connections to our HTTP side, and who of them must go when another one comes and there is no room.
 *
 *     oldest                                                        newest
 *     [silent for 4 s] <-> [half a head] <-> [being answered] <-> [just came]        each holds a thread, a buffer, perhaps an answer
 *          '-- goes first
 *
 * A thread stands behind each connection, so there must be a limit; and whoever reaches the limit by saying nothing must not keep out who
 * would be answered in a millisecond. So a newcomer is let in always but when all others are being answered: for him goes who has let us wait
 * the longest, for a request, the rest of one, or for taking his answer. That is the same for clients that drip a byte now and then, which
 * never are idle. One network may have half of the room: it then shows out its own.
 *
 * LAWS: at most `room` connections are here, and `network_room` of one network, beside those that were shown out and have not left yet. Who is being
 * answered is not shown out. A descriptor is touched only between enter and leave, so it is still that connection's. */
#ifndef SNUG_HTTP_HTTP_CROWD_H
#define SNUG_HTTP_HTTP_CROWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_BYTES 8u

struct sockaddr;

/* One connection. All but body_bytes: under the crowd's mutex. */
struct guest {
	struct guest *older;
	struct guest *newer;
	int fd;
	uint8_t network[NETWORK_BYTES]; /* an IPv4 address; of IPv6 the first 64 bits, which is what one customer has */
	bool is_answered;               /* the turn is ours: a request is being answered */
	bool is_shown_out;              /* its thread will see the end of the connection, and leave */
	size_t body_bytes;              /* its own thread only: of the request that is being received */
};

struct crowd {
	uint32_t room;         /* constant after init */
	uint32_t network_room; /* constant after init */
	pthread_mutex_t mutex; /* of: */
	struct guest *oldest;
	struct guest *newest;
};

void crowd_init(struct crowd *crowd, uint32_t room, uint32_t network_room);
/* When all have left. */
void crowd_deinit(struct crowd *crowd);

/* Any thread. NULL: there is no room, or no memory; the connection is shut down. */
struct guest *crowd_enter(struct crowd *crowd, int fd, const struct sockaddr *address);
/* A whole request is there. */
void crowd_begin_answer(struct crowd *crowd, struct guest *guest);
/* Its answer is: now it is the client who is waited for. */
void crowd_end_answer(struct crowd *crowd, struct guest *guest);
/* Before the descriptor is closed. NULL is ignored. */
void crowd_leave(struct crowd *crowd, struct guest *guest);

#endif
