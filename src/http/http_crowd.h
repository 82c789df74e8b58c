/* http/http_crowd.h: the connections to our HTTP side, and who of them must go when another one
 * comes and there is no room.
 *
 *     oldest                                                        newest
 *     [silent for 4 s] <-> [half a head] <-> [being answered] <-> [just came]
 *          '-- goes first                        each holds a thread, a buffer, perhaps an answer
 *
 * A thread stands behind each connection, so there must be a limit; and whoever reaches the limit
 * by saying nothing must not keep out who would be answered in a millisecond. So a newcomer is let
 * in always but when all others are being answered: for him goes who has let us wait the longest,
 * for a request, the rest of one, or for taking his answer. That is the same for clients that drip
 * a byte now and then, which never are idle. One network may have half of the room: it then shows
 * out its own.
 *
 * Laws    - At most `room` connections are here, and `network_room` of one network, beside those
 *           that were shown out and have not left yet.
 *         - Who is being answered is not shown out.
 *         - At most three quarters of the room are being answered, beside those who ask whether all
 *           is well.
 *         - A descriptor is touched only between enter and leave, so it is still that
 *           connection's. */
#ifndef SNUG_HTTP_HTTP_CROWD_H
#define SNUG_HTTP_HTTP_CROWD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_BYTES 8u

struct sockaddr;
struct text_account;

/* One connection. All but body_bytes: under the crowd's mutex. */
struct guest {
	struct guest *older;
	struct guest *newer;
	int fd;
	/* an IPv4 address; of IPv6 the first 64 bits, which is what one customer has */
	uint8_t network[NETWORK_BYTES];
	bool is_answered;  /* the turn is ours: a request is being answered */
	bool is_shown_out; /* its thread will see the end of the connection, and leave */
	size_t held_bytes; /* of an answer that is not taken yet; drawn on: */
	const struct text_account *account;
	uint64_t held_since_ns;
	size_t body_bytes; /* its own thread only: of the request that is being received */
};

struct crowd {
	uint32_t room;         /* constant after init */
	uint32_t network_room; /* constant after init */
	pthread_mutex_t mutex; /* of: */
	struct guest *oldest;
	struct guest *newest;
	uint32_t answered;
	_Atomic uint32_t
		present; /* atomic: guests, those too who were shown out; any thread reads it */
};

void crowd_init(struct crowd *crowd, uint32_t room, uint32_t network_room);
/* When all have left. */
void crowd_deinit(struct crowd *crowd);

/* Any thread. NULL: there is no room, or no memory; the connection is shut down. */
struct guest *crowd_enter(struct crowd *crowd, int fd, const struct sockaddr *address);
/* A whole request is there. False: too many are being answered, and this one shall be refused at
 * once; one that `is_urgent` never is. */
bool crowd_begin_answer(struct crowd *crowd, struct guest *guest, bool is_urgent);
/* Its answer is: now it is the client who is waited for. After each begin, refused or not. */
void crowd_end_answer(struct crowd *crowd, struct guest *guest);
/* He is to take an answer of so many bytes; 0: he has taken it. */
void crowd_hold(struct crowd *crowd, struct guest *guest, const struct text_account *account,
				size_t bytes, uint64_t now_ns);
/* Shows out whose answer has cost this account most, by bytes and by time. Returns the bytes; 0:
 * there is nobody. */
size_t crowd_show_out_costliest(struct crowd *crowd, const struct text_account *account,
								uint64_t now_ns);
/* Before the descriptor is closed. NULL is ignored. */
void crowd_leave(struct crowd *crowd, struct guest *guest);

#endif
