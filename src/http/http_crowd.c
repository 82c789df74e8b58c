/* http/http_crowd.c: see http/http_crowd.h.
 *
 * One mutex, one list in the order in which guests last had our attention: who was answered goes to
 * its end. It is walked on each arrival, and on each answer that finds no memory: it has some
 * hundred entries at most, where an arrival costs a thread.
 *
 * To show out is to shut the socket down. Its thread sees the end of the connection, and leaves by
 * itself; nobody waits for it, and nothing of it is freed by others. */
#include "http/http_crowd.h"

#include "base/assert.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void crowd_init(struct crowd *crowd, uint32_t room, uint32_t network_room) {
	*crowd = (struct crowd){.room = room, .network_room = network_room};
	pthread_mutex_init(&crowd->mutex, NULL);
}

void crowd_deinit(struct crowd *crowd) {
	SNUG_ASSERT(crowd->oldest == NULL);
	pthread_mutex_destroy(&crowd->mutex);
}

/* ------------------------------------------------------------------ the list --------------- */

static void append(struct crowd *crowd, struct guest *guest) {
	guest->newer = NULL;
	guest->older = crowd->newest;
	*(crowd->newest == NULL ? &crowd->oldest : &crowd->newest->newer) = guest;
	crowd->newest = guest;
}

static void detach(struct crowd *crowd, struct guest *guest) {
	*(guest->older == NULL ? &crowd->oldest : &guest->older->newer) = guest->newer;
	*(guest->newer == NULL ? &crowd->newest : &guest->newer->older) = guest->older;
}

/* ------------------------------------------------------------------ who must go ------------ */

static void network_of(const struct sockaddr *address, uint8_t *network) {
	memset(network, 0, NETWORK_BYTES);
	if (address->sa_family == AF_INET) {
		memcpy(network, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
			   sizeof(struct in_addr));
	} else if (address->sa_family == AF_INET6) {
		const struct in6_addr *ip =
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		bool is_mapped = IN6_IS_ADDR_V4MAPPED(ip);
		memcpy(network, is_mapped ? &ip->s6_addr[12] : ip->s6_addr,
			   is_mapped ? sizeof(struct in_addr) : NETWORK_BYTES);
	}
}

/* How many are here, of that network or, with NULL, of all; and of them who has let us wait the
 * longest. NULL: all are being answered. */
static uint32_t count(const struct crowd *crowd, const uint8_t *network, struct guest **longest) {
	uint32_t number = 0;
	*longest = NULL;
	for (struct guest *guest = crowd->oldest; guest != NULL; guest = guest->newer) {
		if (guest->is_shown_out ||
			(network != NULL && memcmp(guest->network, network, NETWORK_BYTES) != 0))
			continue;
		if (!guest->is_answered && *longest == NULL) *longest = guest;
		number++;
	}
	return number;
}

/* False: nobody can be asked to go. */
static bool make_room(struct crowd *crowd, const uint8_t *network, uint32_t room) {
	struct guest *longest;
	if (count(crowd, network, &longest) < room) return true;
	if (longest == NULL) return false;
	longest->is_shown_out = true;
	(void)shutdown(longest->fd, SHUT_RDWR);
	return true;
}

/* ------------------------------------------------------------------ come and go ------------ */

struct guest *crowd_enter(struct crowd *crowd, int fd, const struct sockaddr *address) {
	struct guest *guest = calloc(1, sizeof *guest);
	if (guest != NULL) {
		guest->fd = fd;
		network_of(address, guest->network);
		pthread_mutex_lock(&crowd->mutex);
		bool has_room = make_room(crowd, guest->network, crowd->network_room) &&
						make_room(crowd, NULL, crowd->room);
		if (has_room) {
			append(crowd, guest);
			crowd->present++;
		}
		pthread_mutex_unlock(&crowd->mutex);
		if (has_room) return guest;
	}
	free(guest);
	(void)shutdown(fd, SHUT_RDWR);
	return NULL;
}

bool crowd_begin_answer(struct crowd *crowd, struct guest *guest, bool is_urgent) {
	pthread_mutex_lock(&crowd->mutex);
	bool is_taken = is_urgent || crowd->answered < crowd->room - crowd->room / 4;
	guest->is_answered = true;
	crowd->answered++;
	pthread_mutex_unlock(&crowd->mutex);
	return is_taken;
}

void crowd_end_answer(struct crowd *crowd, struct guest *guest) {
	pthread_mutex_lock(&crowd->mutex);
	SNUG_ASSERT(guest->is_answered && crowd->answered > 0);
	guest->is_answered = false;
	crowd->answered--;
	detach(crowd, guest);
	append(crowd, guest);
	pthread_mutex_unlock(&crowd->mutex);
}

/* ------------------------------------------------------------------ what answers hold ------ */

void crowd_hold(struct crowd *crowd, struct guest *guest, const struct text_account *account,
				size_t bytes, uint64_t now_ns) {
	pthread_mutex_lock(&crowd->mutex);
	guest->account = account;
	guest->held_bytes = bytes;
	guest->held_since_ns = now_ns;
	pthread_mutex_unlock(&crowd->mutex);
}

static double cost_of(const struct guest *guest, uint64_t now_ns) {
	return (double)guest->held_bytes * ((double)(now_ns - guest->held_since_ns) + 1);
}

size_t crowd_show_out_costliest(struct crowd *crowd, const struct text_account *account,
								uint64_t now_ns) {
	struct guest *costliest = NULL;
	pthread_mutex_lock(&crowd->mutex);
	for (struct guest *guest = crowd->oldest; guest != NULL; guest = guest->newer) {
		if (guest->is_shown_out || guest->held_bytes == 0 || guest->account != account) continue;
		if (costliest == NULL || cost_of(guest, now_ns) > cost_of(costliest, now_ns))
			costliest = guest;
	}
	size_t bytes = costliest == NULL ? 0 : costliest->held_bytes;
	if (costliest != NULL) {
		costliest->is_shown_out = true;
		(void)shutdown(costliest->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&crowd->mutex);
	return bytes;
}

/* ------------------------------------------------------------------ leave ------------------ */

void crowd_leave(struct crowd *crowd, struct guest *guest) {
	if (guest == NULL) return;
	pthread_mutex_lock(&crowd->mutex);
	if (guest->is_answered) crowd->answered--;
	detach(crowd, guest);
	crowd->present--;
	pthread_mutex_unlock(&crowd->mutex);
	free(guest);
}
