/* os/fake.c: real memory, whose access is taken away wherever nothing is committed.
 *
 *     reservation   | rw | rw | none | rw | none | none | ...   a bit a page says what it should be
 *
 * It maps through the Linux functions and changes access with mprotect. Each change between
 * committed and not splits the kernel's mapping, of which a process may have 65530: enough for
 * heaps of some hundred MiB in a checkerboard.
 *
 * A mistake is noted and not ended at: the test that made it goes on, says so at its end with the
 * first mistake's name, and the figures stay right, because each page is counted by what it was
 * before. */
#include "os/fake.h"

#include "base/bits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void note_mistake(struct fake_os *fake, const char *what) {
	if (fake->mistakes++ == 0) fake->first_mistake = what;
}

/* Counts a call and says whether it is one to refuse. */
static bool is_refused(struct fake_call *call) {
	call->calls++;
	bool refused = call->fail_at != 0 && (call->calls == call->fail_at ||
										  (call->fail_onwards && call->calls > call->fail_at));
	if (refused) call->refused++;
	return refused;
}

static bool is_committed(const struct fake_reservation *reservation, size_t page) {
	return (reservation->committed[page / 64] >> (page % 64)) & 1;
}

/* The reservation that holds the whole range; NULL is a mistake and noted. */
static struct fake_reservation *find(struct fake_os *fake, const char *address, size_t bytes) {
	if (bytes == 0 || (uintptr_t)address % FAKE_OS_PAGE_BYTES != 0 ||
		bytes % FAKE_OS_PAGE_BYTES != 0) {
		note_mistake(fake, "a range that is empty or not made of whole pages");
		return NULL;
	}
	for (size_t index = 0; index < FAKE_OS_RESERVATIONS_MAX; index++) {
		struct fake_reservation *reservation = &fake->reservations[index];
		if (reservation->address == NULL || address < reservation->address) continue;
		size_t offset = (size_t)(address - reservation->address);
		if (offset < reservation->bytes && bytes <= reservation->bytes - offset) return reservation;
	}
	note_mistake(fake, "a range outside each reservation");
	return NULL;
}

/* True if every page of the range is committed (or, if `committed` is false, if none is). */
static bool all_pages_are(const struct fake_reservation *reservation, const char *address,
						  size_t bytes, bool committed) {
	size_t first = (size_t)(address - reservation->address) / FAKE_OS_PAGE_BYTES;
	for (size_t page = first; page < first + bytes / FAKE_OS_PAGE_BYTES; page++)
		if (is_committed(reservation, page) != committed) return false;
	return true;
}

/* Counts the range as committed or not, from what each page was before: a mistaken call leaves the
 * figures right. */
static void mark_pages(struct fake_os *fake, struct fake_reservation *reservation,
					   const char *address, size_t bytes, bool committed) {
	size_t first = (size_t)(address - reservation->address) / FAKE_OS_PAGE_BYTES;
	for (size_t page = first; page < first + bytes / FAKE_OS_PAGE_BYTES; page++) {
		if (is_committed(reservation, page) == committed) continue;
		reservation->committed[page / 64] ^= UINT64_C(1) << (page % 64);
		fake->committed_bytes = committed ? fake->committed_bytes + FAKE_OS_PAGE_BYTES
										  : fake->committed_bytes - FAKE_OS_PAGE_BYTES;
	}
	if (fake->committed_bytes > fake->peak_committed_bytes)
		fake->peak_committed_bytes = fake->committed_bytes;
}

static void *fake_reserve(void *context, size_t bytes, size_t alignment) {
	struct fake_os *fake = context;
	if (is_refused(&fake->reserve)) return NULL;
	struct fake_reservation *entry = NULL;
	for (size_t index = 0; index < FAKE_OS_RESERVATIONS_MAX && entry == NULL; index++)
		if (fake->reservations[index].address == NULL) entry = &fake->reservations[index];
	if (entry == NULL || bytes == 0 || bytes % FAKE_OS_PAGE_BYTES != 0 ||
		!is_power_of_two(alignment)) {
		note_mistake(fake, "a reservation too many, of no whole pages, or with an alignment that "
						   "is no power of two");
		return NULL;
	}
	const snug_os *real = snug_os_linux();
	void *address = real->reserve(real->context, bytes, alignment);
	if (address == NULL) return NULL;
	uint64_t *committed = calloc(divide_up(bytes / FAKE_OS_PAGE_BYTES, 64), sizeof *committed);
	if (committed == NULL || mprotect(address, bytes, PROT_NONE) != 0) {
		free(committed);
		real->release(real->context, address, bytes);
		return NULL;
	}
	*entry = (struct fake_reservation){.address = address, .bytes = bytes, .committed = committed};
	fake->reserved_bytes += bytes;
	return address;
}

static void drop(struct fake_os *fake, struct fake_reservation *reservation) {
	mark_pages(fake, reservation, reservation->address, reservation->bytes, false);
	fake->reserved_bytes -= reservation->bytes;
	const snug_os *real = snug_os_linux();
	real->release(real->context, reservation->address, reservation->bytes);
	free(reservation->committed);
	*reservation = (struct fake_reservation){0};
}

static void fake_release(void *context, void *address, size_t bytes) {
	struct fake_os *fake = context;
	fake->release.calls++;
	struct fake_reservation *reservation = find(fake, address, bytes);
	if (reservation == NULL) return;
	if (reservation->address != address || reservation->bytes != bytes)
		note_mistake(fake, "a release of a part of a reservation");
	else
		drop(fake, reservation);
}

static bool fake_commit(void *context, void *address, size_t bytes) {
	struct fake_os *fake = context;
	if (is_refused(&fake->commit)) return false;
	struct fake_reservation *reservation = find(fake, address, bytes);
	if (reservation == NULL) return false;
	if (!all_pages_are(reservation, address, bytes, false))
		note_mistake(fake, "a commit of memory that is committed");
	if (mprotect(address, bytes, PROT_READ | PROT_WRITE) != 0) return false;
	mark_pages(fake, reservation, address, bytes, true);
	return true;
}

static bool fake_decommit(void *context, void *address, size_t bytes) {
	struct fake_os *fake = context;
	if (is_refused(&fake->decommit)) return false;
	struct fake_reservation *reservation = find(fake, address, bytes);
	if (reservation == NULL) return false;
	if (!all_pages_are(reservation, address, bytes, true))
		note_mistake(fake, "a decommit of memory that is not committed");
	const snug_os *real = snug_os_linux();
	if (!real->decommit(real->context, address, bytes) || mprotect(address, bytes, PROT_NONE) != 0)
		return false;
	mark_pages(fake, reservation, address, bytes, false);
	return true;
}

static void fake_advise_huge(void *context, void *address, size_t bytes) {
	struct fake_os *fake = context;
	fake->advise_huge.calls++;
	(void)find(fake, address, bytes);
}

static void fake_advise_small(void *context, void *address, size_t bytes) {
	struct fake_os *fake = context;
	fake->advise_small.calls++;
	(void)find(fake, address, bytes);
}

static bool fake_populate(void *context, void *address, size_t bytes) {
	struct fake_os *fake = context;
	if (is_refused(&fake->populate)) return false;
	struct fake_reservation *reservation = find(fake, address, bytes);
	if (reservation == NULL) return false;
	if (all_pages_are(reservation, address, bytes, true)) return true;
	note_mistake(fake, "a populate of memory that is not committed");
	return false;
}

static uint64_t fake_now_ns(void *context) {
	struct fake_os *fake = context;
	fake->clock.calls++;
	uint64_t answer = fake->time_ns;
	fake->time_ns += fake->advance_ns;
	return answer;
}

void fake_os_init(struct fake_os *fake) {
	memset(fake, 0, sizeof *fake);
	fake->time_ns = 1000000000;
	fake->os = (snug_os){
		.context = fake,
		.reserve = fake_reserve,
		.release = fake_release,
		.commit = fake_commit,
		.decommit = fake_decommit,
		.advise_huge = fake_advise_huge,
		.advise_small = fake_advise_small,
		.populate = fake_populate,
		.now_ns = fake_now_ns,
	};
}

void fake_os_deinit(struct fake_os *fake) {
	for (size_t index = 0; index < FAKE_OS_RESERVATIONS_MAX; index++)
		if (fake->reservations[index].address != NULL) drop(fake, &fake->reservations[index]);
}
