/* simulate/clients/veil.c: see simulate/clients/veil.h. */
#include "simulate/clients/veil.h"

#include "simulate/world/simulated_sockets.h"
#include "support/secured_client.h"

#define TAKEN_BYTES 4096u

void veil_begin(struct veil *veil, uint32_t socket, bool is_secured, bool is_old) {
	*veil = (struct veil){.socket = socket};
	if (is_secured) veil->secured = secured_client_create(is_old);
}

void veil_end(struct veil *veil) {
	secured_client_destroy(veil->secured);
	veil->secured = NULL;
}

/* As many records as find room. */
static void send_records(struct veil *veil) {
	struct byte_queue *records = secured_client_records(veil->secured);
	secured_client_pump(veil->secured);
	if (veil->has_ended || byte_queue_left(records) == 0) return;
	records->begin +=
		socket_put(veil->socket, records->bytes + records->begin, byte_queue_left(records));
}

bool veil_is_said(const struct veil *veil) {
	return veil->secured == NULL || (secured_client_unsaid(veil->secured) == 0 &&
									 byte_queue_left(secured_client_records(veil->secured)) == 0);
}

/* What was put before goes first. */
size_t veil_put(struct veil *veil, const char *bytes, size_t length) {
	if (veil->secured == NULL) return socket_put(veil->socket, bytes, length);
	send_records(veil);
	if (!secured_client_is_open(veil->secured) || !veil_is_said(veil)) return 0;
	secured_client_say(veil->secured, bytes, length);
	send_records(veil);
	return length;
}

size_t veil_take(struct veil *veil, char *bytes, size_t room) {
	char records[TAKEN_BYTES];
	if (veil->secured == NULL) return socket_take(veil->socket, bytes, room);
	struct byte_queue *heard = secured_client_heard(veil->secured);
	size_t got = 1;
	while (byte_queue_left(heard) == 0 && got > 0) {
		got = socket_take(veil->socket, records, room < sizeof records ? room : sizeof records);
		if (got > 0) secured_client_hear(veil->secured, records, got);
		send_records(veil);
	}
	size_t length = byte_queue_left(heard) < room ? byte_queue_left(heard) : room;
	if (length > 0) memcpy(bytes, heard->bytes + heard->begin, length);
	heard->begin += length;
	return length;
}

bool veil_has_room(const struct veil *veil) {
	if (veil->secured == NULL || !veil_is_said(veil)) return socket_has_room(veil->socket);
	return secured_client_is_open(veil->secured);
}

bool veil_has_bytes(const struct veil *veil) {
	if (socket_has_bytes(veil->socket)) return true;
	return veil->secured != NULL && byte_queue_left(secured_client_heard(veil->secured)) > 0;
}

void veil_say_end(struct veil *veil) {
	if (veil->secured != NULL && !veil->has_ended) {
		(void)secured_client_say_end(veil->secured);
		send_records(veil);
	}
	veil->has_ended = true;
	socket_end(veil->socket);
}
