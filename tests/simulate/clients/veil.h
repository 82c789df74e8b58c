/* simulate/clients/veil.h: what stands between a client and its socket: nothing, or TLS. The client puts, takes and waits as it does with a socket
 * (simulate/world/simulated_sockets.h), and does not see handshakes. */
#ifndef SIMULATE_VEIL_H
#define SIMULATE_VEIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct secured_client;

struct veil {
	uint32_t socket;
	struct secured_client *secured; /* NULL: nothing stands between */
	bool has_ended;                 /* nothing more is sent */
};

void veil_begin(struct veil *veil, uint32_t socket, bool is_secured, bool is_old);
/* The socket stays the caller's. */
void veil_end(struct veil *veil);

/* How many bytes found room, or were there. */
size_t veil_put(struct veil *veil, const char *bytes, size_t length);
size_t veil_take(struct veil *veil, char *bytes, size_t room);
/* There is something for the next put, or the next take, to do. */
bool veil_has_room(const struct veil *veil);
bool veil_has_bytes(const struct veil *veil);
/* All that was put is in the socket. */
bool veil_is_said(const struct veil *veil);
/* No more will be sent, and that is said, where it can be; answers are still read. */
void veil_say_end(struct veil *veil);

#endif
