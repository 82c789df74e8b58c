/* work/worker/flights.c: the states of a flight.
 *
 *              begin              land                take
 *     FREE ------------> FLYING ------------> DONE ------------> FREE, next generation
 *       ^                  |
 *       +------ undo ------+      it was never sent
 *
 *     ticket   | generation 32, never 0 | index 32 |
 *
 * Done flights are on a list linked both ways: `next` takes the oldest, but a caller may wait for
 * any one. After 2^32 - 1 uses of one index its generations begin anew. A ticket is of use only
 * until its result is taken, so a caller would have to keep one that long to be mistaken. */
#include "work/worker/flights.h"

#include "base/assert.h"

#define TICKET_SHIFT 32

void flights_init(struct flights *flights, struct flight *flight, uint32_t room) {
	*flights = (struct flights){
		.flight = flight, .room = room, .first_done = FLIGHT_NONE, .last_done = FLIGHT_NONE};
	for (uint32_t index = 0; index < room; index++) {
		flight[index] =
			(struct flight){.generation = 1, .next = index + 1 < room ? index + 1 : FLIGHT_NONE};
	}
}

static snug_ticket ticket_of(const struct flights *flights, uint32_t index) {
	return (snug_ticket)flights->flight[index].generation << TICKET_SHIFT | index;
}

static uint32_t index_of(const struct flights *flights, const struct flight *flight) {
	return (uint32_t)(flight - flights->flight);
}

struct flight *flights_find(struct flights *flights, snug_ticket ticket) {
	uint32_t index = (uint32_t)ticket;
	if (index >= flights->room) return NULL;
	struct flight *flight = &flights->flight[index];
	if (flight->generation != ticket >> TICKET_SHIFT || flight->state == FLIGHT_FREE) return NULL;
	return flight;
}

snug_ticket flights_begin(struct flights *flights, snug_operation_kind kind) {
	uint32_t index = flights->first_free;
	SNUG_ASSERT(index != FLIGHT_NONE);
	struct flight *flight = &flights->flight[index];
	SNUG_ASSERT(flight->state == FLIGHT_FREE && flight->generation != 0);
	flights->first_free = flight->next;
	flight->state = FLIGHT_FLYING;
	flight->kind = kind;
	flights->flying++;
	flights->in_flight++;
	return ticket_of(flights, index);
}

/* The ticket ends: the flight's next one has another generation. */
static void free_flight(struct flights *flights, struct flight *flight) {
	SNUG_ASSERT(flight->state != FLIGHT_FREE && flights->in_flight > flights->flying);
	flight->state = FLIGHT_FREE;
	if (++flight->generation == 0) flight->generation = 1;
	flight->next = flights->first_free;
	flights->first_free = index_of(flights, flight);
	flights->in_flight--;
}

void flights_undo(struct flights *flights, snug_ticket ticket) {
	struct flight *flight = flights_find(flights, ticket);
	if (!SNUG_GUARD(flight != NULL && flight->state == FLIGHT_FLYING)) return;
	flights->flying--;
	free_flight(flights, flight);
}

bool flights_land(struct flights *flights, snug_ticket ticket, const snug_result *result) {
	struct flight *flight = flights_find(flights, ticket);
	if (!SNUG_GUARD(flight != NULL && flight->state == FLIGHT_FLYING)) return false;
	uint32_t index = index_of(flights, flight);
	flight->result = *result;
	flight->state = FLIGHT_DONE;
	flight->next = FLIGHT_NONE;
	flight->previous = flights->last_done;
	if (flights->last_done == FLIGHT_NONE)
		flights->first_done = index;
	else
		flights->flight[flights->last_done].next = index;
	flights->last_done = index;
	flights->flying--;
	return true;
}

snug_result flights_take(struct flights *flights, struct flight *flight) {
	SNUG_ASSERT(flight->state == FLIGHT_DONE);
	if (flight->previous == FLIGHT_NONE)
		flights->first_done = flight->next;
	else
		flights->flight[flight->previous].next = flight->next;
	if (flight->next == FLIGHT_NONE)
		flights->last_done = flight->previous;
	else
		flights->flight[flight->next].previous = flight->previous;
	snug_result result = flight->result;
	free_flight(flights, flight);
	return result;
}

struct flight *flights_first_done(struct flights *flights, snug_ticket *ticket) {
	if (flights->first_done == FLIGHT_NONE) return NULL;
	*ticket = ticket_of(flights, flights->first_done);
	return &flights->flight[flights->first_done];
}
