/* os/memory_segment.c: one worker's share of a memory file: a snug_os, and its sum.
 *
 * RESERVING takes the next free place in the file, which grows sparsely, and maps it where the
 * kernel likes. What is reserved costs nothing until it is committed.
 *
 * SUMMING reads what the file system holds (SEEK_DATA), 4 KiB at a time, each page's sum seeded with
 * its place; a page of zeros counts nothing, for it may be a hole in a copy. So the sums of pages
 * can be added in any order. It is as fast as memory: each worker sums its own. */
#include "base/assert.h"
#include "base/bits.h"
#include "os/files.h"
#include "os/memory_file_parts.h"
#include "os/reserve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ------------------------------------------------------------------ mapping ---------------- */

static char *map_part(int descriptor, const struct file_part *part) {
	char *address = os_reserve_addresses(part->bytes, part->alignment);
	if (address == NULL) return NULL;
	SNUG_ASSERT((uintptr_t)address % part->alignment == 0);
	if (mmap(address, part->bytes, PROT_NONE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, descriptor,
			 (off_t)part->offset) != MAP_FAILED &&
		os_open_access(address, part->bytes))
		return address;
	munmap(address, part->bytes);
	return NULL;
}

static void note_mapped(struct memory_segment *segment, uint32_t number, char *address,
						size_t bytes) {
	SNUG_ASSERT(segment->mapped[number] == NULL);
	segment->mapped_bytes[number] = bytes;
	segment->mapped[number] = address;
}

static void unmap_part(struct memory_segment *segment, uint32_t number) {
	char *address = segment->mapped[number];
	if (address == NULL) return;
	segment->mapped[number] = NULL;
	munmap(address, segment->mapped_bytes[number]);
}

void segment_unmap(struct memory_segment *segment) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) unmap_part(segment, number);
}

static bool is_within(const char *base, size_t bytes, const char *address) {
	return base != NULL && address >= base && (size_t)(address - base) < bytes;
}

bool memory_file_maps(const snug_memory_file *file, const void *address) {
	bool is_ours = is_within((const char *)file->header, FILE_HEAD_BYTES, address);
	for (uint32_t number = 0; number < file->segments && !is_ours; number++) {
		const struct memory_segment *segment = &file->segment[number];
		for (uint32_t part = 0; part < FILE_PARTS_MAX && !is_ours; part++)
			is_ours = is_within(segment->mapped[part], segment->mapped_bytes[part], address);
	}
	return is_ours;
}

/* The part that holds the whole range, or FILE_PARTS_MAX. */
static uint32_t part_of(const struct memory_segment *segment, const char *address, size_t bytes) {
	uint32_t number = 0;
	for (; number < FILE_PARTS_MAX; number++) {
		const char *mapped = segment->mapped[number];
		if (mapped == NULL || address < mapped) continue;
		uint64_t at_bytes = (uint64_t)(address - mapped);
		uint64_t part_bytes = segment->head->part[number].bytes;
		if (at_bytes < part_bytes && bytes <= part_bytes - at_bytes) break;
	}
	return number;
}

/* ------------------------------------------------------------------ the snug_os ------------ */

static uint32_t free_part(const struct memory_segment *segment) {
	uint32_t number = 0;
	while (number < FILE_PARTS_MAX && segment->head->part[number].bytes != 0) number++;
	return number;
}

/* The place in the file, which is that long then. */
static bool take_place(snug_memory_file *file, struct file_part *part) {
	pthread_mutex_lock(&file->lock);
	part->offset = round_up(file->end_bytes, part->alignment);
	uint64_t end_bytes = part->offset + part->bytes;
	bool is_taken = ftruncate(file->descriptor, (off_t)end_bytes) == 0;
	if (is_taken) file->end_bytes = end_bytes;
	pthread_mutex_unlock(&file->lock);
	return is_taken;
}

/* It is there with its length, which is written last. */
static void write_part(struct file_part *at, const struct file_part *part) {
	SNUG_ASSERT(at->bytes == 0 && part->bytes != 0);
	struct file_part without_length = *part;
	without_length.bytes = 0;
	*at = without_length;
	__atomic_store_n(&at->bytes, part->bytes, __ATOMIC_RELEASE);
}

static void *segment_reserve(void *context, size_t bytes, size_t alignment) {
	struct memory_segment *segment = context;
	uint32_t number = free_part(segment);
	SNUG_ASSERT(bytes > 0 && bytes % FILE_GRAIN == 0 && is_power_of_two(alignment));
	if (number == FILE_PARTS_MAX) return NULL;
	struct file_part part = {.bytes = bytes,
							 .alignment = alignment < FILE_GRAIN ? FILE_GRAIN : alignment};
	if (!take_place(segment->file, &part)) return NULL;
	char *address = map_part(segment->file->descriptor, &part);
	if (address == NULL) return NULL;
	part.address = (uintptr_t)address;
	part.epoch = segment->head->epoch + segment->is_recovering;
	write_part(&segment->head->part[number], &part);
	note_mapped(segment, number, address, bytes);
	segment->was[number] = (uintptr_t)address;
	return address;
}

static bool punch(const struct memory_segment *segment, uint64_t offset, size_t bytes) {
	int refused;
	do {
		refused = fallocate(segment->file->descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
							(off_t)offset, (off_t)bytes);
	} while (refused != 0 && errno == EINTR);
	return refused == 0;
}

/* Its memory first: who is killed in between does it again. */
static void drop_part(struct memory_segment *segment, uint32_t number) {
	struct file_part *part = &segment->head->part[number];
	(void)punch(segment, part->offset, part->bytes);
	__atomic_store_n(&part->bytes, 0, __ATOMIC_RELEASE);
	*part = (struct file_part){0};
}

static void segment_release(void *context, void *address, size_t bytes) {
	struct memory_segment *segment = context;
	uint32_t number = part_of(segment, address, bytes);
	SNUG_ASSERT(number < FILE_PARTS_MAX && segment->head->part[number].bytes == bytes);
	if (number == FILE_PARTS_MAX) return;
	unmap_part(segment, number);
	drop_part(segment, number);
}

/* Where in the file the address is. */
static uint64_t offset_of(const struct memory_segment *segment, const char *address, size_t bytes) {
	uint32_t number = part_of(segment, address, bytes);
	SNUG_ASSERT(number < FILE_PARTS_MAX);
	return segment->head->part[number].offset + (uint64_t)(address - segment->mapped[number]);
}

static bool segment_commit(void *context, void *address, size_t bytes) {
	const struct memory_segment *segment = context;
	off_t offset = (off_t)offset_of(segment, address, bytes);
	int refused;
	do {
		refused = fallocate(segment->file->descriptor, 0, offset, (off_t)bytes);
	} while (refused != 0 && errno == EINTR);
	return refused == 0;
}

static bool segment_decommit(void *context, void *address, size_t bytes) {
	const struct memory_segment *segment = context;
	return punch(segment, offset_of(segment, address, bytes), bytes);
}

void segment_init(struct memory_segment *segment, snug_memory_file *file, uint32_t number) {
	*segment = (struct memory_segment){.os = *snug_os_linux(), .file = file};
	char *heads = (char *)file->header + FILE_GRAIN;
	segment->head = (struct segment_head *)(void *)(heads + number * FILE_GRAIN);
	segment->os.context = segment;
	segment->os.reserve = segment_reserve;
	segment->os.release = segment_release;
	segment->os.commit = segment_commit;
	segment->os.decommit = segment_decommit;
}

/* ------------------------------------------------------------------ sums ------------------- */

static bool is_zero(const unsigned char *page) {
	uint64_t word;
	memcpy(&word, page, sizeof word);
	return word == 0 && memcmp(page, page + sizeof word, FILE_GRAIN - sizeof word) == 0;
}

static uint64_t sum_pages(const char *from, uint64_t begin, uint64_t end) {
	uint64_t sum = 0;
	for (uint64_t at = begin; at < end; at += FILE_GRAIN) {
		const unsigned char *page = (const unsigned char *)from + at;
		if (!is_zero(page)) sum += XXH3_64bits_withSeed(page, FILE_GRAIN, at + 1);
	}
	return sum;
}

/* The next piece of [*at, end) that the file holds, which ends at *at then; where the system does not
 * tell, all of it. False: holes from here on. */
static bool next_held(int descriptor, uint64_t end, uint64_t *begin, uint64_t *at) {
	if (*at >= end) return false;
	off_t data = lseek(descriptor, (off_t)*at, SEEK_DATA);
	if (data < 0 && errno == ENXIO) return false;
	*begin = data < 0 ? *at : (uint64_t)data;
	if (*begin >= end) return false;
	off_t hole = lseek(descriptor, (off_t)*begin, SEEK_HOLE);
	*at = hole < 0 ? end : smaller((uint64_t)hole, end);
	return true;
}

static uint64_t sum_part(int descriptor, const struct file_part *part, const char *mapped) {
	uint64_t sum = 0, begin, at = part->offset;
	while (next_held(descriptor, part->offset + part->bytes, &begin, &at))
		sum += sum_pages(mapped, round_down(begin - part->offset, FILE_GRAIN),
						 round_up(at - part->offset, FILE_GRAIN));
	return sum;
}

static uint64_t sum_segment(const struct memory_segment *segment) {
	uint64_t sum = 0;
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		const struct file_part *part = &segment->head->part[number];
		if (part->bytes == 0 || part->holds_objects != 0) continue;
		SNUG_ASSERT(segment->mapped[number] != NULL);
		sum += sum_part(segment->file->descriptor, part, segment->mapped[number]);
	}
	return sum;
}

/* ------------------------------------------------------------------ before it is believed --- */

static bool part_is_sound(const struct file_part *part, uint64_t file_bytes) {
	return part->bytes == 0 ||
		   (is_power_of_two(part->alignment) && part->alignment >= FILE_GRAIN &&
			part->alignment <= (UINT64_C(1) << 30) && part->bytes % FILE_GRAIN == 0 &&
			part->offset % part->alignment == 0 && part->offset >= FILE_HEAD_BYTES &&
			part->bytes <= file_bytes && part->offset <= file_bytes - part->bytes);
}

static bool parts_meet(const struct file_part *one, const struct file_part *other) {
	return one->bytes != 0 && other->bytes != 0 && one->offset < other->offset + other->bytes &&
		   other->offset < one->offset + one->bytes;
}

bool segments_meet(const struct segment_head *one, const struct segment_head *other) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		for (uint32_t with = 0; with < FILE_PARTS_MAX; with++)
			if (parts_meet(&one->part[number], &other->part[with])) return true;
	return false;
}

bool segment_is_sound(const struct segment_head *head, uint64_t file_bytes) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		if (!part_is_sound(&head->part[number], file_bytes)) return false;
		for (uint32_t other = 0; other < number; other++)
			if (parts_meet(&head->part[number], &head->part[other])) return false;
	}
	return true;
}

snug_error memory_segment_of(snug_memory_file *file, uint32_t number, struct memory_segment **out) {
	if (number >= file->segments) return SNUG_ERROR_OPTION;
	*out = &file->segment[number];
	return SNUG_OK;
}

const snug_os *memory_segment_os(struct memory_segment *segment) {
	return &segment->os;
}

const struct root_facts *memory_segment_facts(const struct memory_segment *segment,
											  enum memory_root root) {
	const struct file_root *held = segment_root(segment->head, root);
	return held->address == 0 ? NULL : &held->facts;
}

/* ------------------------------------------------------------------ moments ---------------- */

struct file_moment moment_now(void) {
	struct file_moment moment = {.wall_s = os_wall_s()};
	if (!os_read_file("/proc/sys/kernel/random/boot_id", moment.boot, sizeof moment.boot))
		moment.boot[0] = '\0';
	return moment;
}

bool moment_is_of_boot(const struct file_moment *moment, int64_t *gone_s) {
	struct file_moment now = moment_now();
	*gone_s = now.wall_s > moment->wall_s ? now.wall_s - moment->wall_s : 0;
	return now.boot[0] != '\0' && memcmp(now.boot, moment->boot, sizeof now.boot) == 0;
}

void memory_segment_note_left(struct memory_segment *segment) {
	segment->head->left = moment_now();
}

bool memory_segment_is_same_boot(const struct memory_segment *segment, int64_t *gone_s) {
	return moment_is_of_boot(&segment->head->left, gone_s);
}

/* ------------------------------------------------------------------ attaching -------------- */

static snug_error map_all(struct memory_segment *segment) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		struct file_part *part = &segment->head->part[number];
		if (part->bytes == 0 || segment->mapped[number] != NULL) continue;
		char *address = map_part(segment->file->descriptor, part);
		if (address == NULL) return SNUG_ERROR_OS_MEMORY;
		note_mapped(segment, number, address, part->bytes);
		os_advise_small(&segment->os, address, part->bytes);
	}
	return SNUG_OK;
}

/* The parts are where they are now. */
static void note_addresses(struct memory_segment *segment) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		struct file_part *part = &segment->head->part[number];
		segment->was[number] = part->address;
		if (part->bytes != 0) part->address = (uintptr_t)segment->mapped[number];
	}
}

/* The boot in which it is used, and its clock: who is killed closes nothing. */
static void note_begun(snug_memory_file *file) {
	struct file_header *header = file->header;
	header->closed = moment_now();
	if (!file->has_clock) return;
	header->clock = file->clock;
	header->has_clock = 1;
}

/* The mark goes, before anything else changes; once. A file in which there is nothing must tell its boot
 * first, or who is killed in between leaves one of no boot. */
static void begin_file(snug_memory_file *file) {
	struct file_header *header = file->header;
	pthread_mutex_lock(&file->lock);
	if (!file->has_begun) {
		bool is_new = atomic_load_explicit(&header->mark, memory_order_acquire) == MARK_NEW;
		if (is_new) note_begun(file);
		atomic_store_explicit(&header->mark, MARK_RUNNING, memory_order_seq_cst);
		if (!is_new) note_begun(file);
		header->generation++;
		file->has_begun = true;
	}
	pthread_mutex_unlock(&file->lock);
}

static snug_error attach(struct memory_segment *segment) {
	snug_error error = map_all(segment);
	if (!error && sum_segment(segment) != segment->head->sum) {
		(void)memory_segment_refuse(segment, "its tables were changed, or are damaged");
		error = SNUG_ERROR_CORRUPT;
	}
	if (error) {
		segment_unmap(segment);
		return error;
	}
	begin_file(segment->file);
	segment->head->is_sealed = 0;
	note_addresses(segment);
	return SNUG_OK;
}

snug_error memory_segment_attach(struct memory_segment *segment) {
	if (segment->is_attached) return SNUG_OK;
	if (segment->error == SNUG_OK) segment->error = attach(segment);
	segment->is_attached = segment->error == SNUG_OK;
	return segment->error;
}

void *memory_segment_now(const struct memory_segment *segment, const void *then, size_t bytes) {
	uintptr_t address = (uintptr_t)then;
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		uint64_t part_bytes = segment->head->part[number].bytes;
		if (segment->mapped[number] == NULL || address < segment->was[number]) continue;
		uint64_t at_bytes = address - segment->was[number];
		if (at_bytes < part_bytes && bytes <= part_bytes - at_bytes)
			return segment->mapped[number] + at_bytes;
	}
	return NULL;
}

void *memory_segment_root(const struct memory_segment *segment, enum memory_root root,
						  size_t bytes) {
	const struct file_root *held = segment_root(segment->head, root);
	SNUG_ASSERT(segment->is_attached && held->address != 0);
	/* An integer that was a pointer in another process. */
	return memory_segment_now(segment, (const void *)(uintptr_t)held->address, bytes);
}

bool memory_segment_is_foreign(const struct memory_segment *segment) {
	return segment->file->is_foreign;
}

snug_error memory_segment_refuse(struct memory_segment *segment, const char *format, ...) {
	snug_memory_file *file = segment->file;
	va_list arguments;
	va_start(arguments, format);
	pthread_mutex_lock(&file->lock);
	(void)vsnprintf(file->reason, sizeof file->reason, format, arguments);
	pthread_mutex_unlock(&file->lock);
	va_end(arguments);
	return SNUG_ERROR_LAYOUT;
}

/* ------------------------------------------------------------------ a root's life ---------- */

static uint32_t root_bit(enum memory_root root) {
	return UINT32_C(1) << root;
}

static void set_making(struct segment_head *head, uint32_t making) {
	__atomic_store_n(&head->making, making, __ATOMIC_SEQ_CST);
}

snug_error memory_segment_begin(struct memory_segment *segment, enum memory_root root) {
	if (segment->is_used[root]) return SNUG_ERROR_IN_USE;
	begin_file(segment->file);
	if (segment_root(segment->head, root)->address == 0)
		set_making(segment->head, segment->head->making | root_bit(root));
	segment->is_used[root] = true;
	segment->uses++;
	SNUG_ASSERT(segment->uses <= ROOT_COUNT);
	return SNUG_OK;
}

/* Field by field: a root that is there already is never without its address, or whoever is killed
 * then would have lost it. */
void memory_segment_set_root(struct memory_segment *segment, enum memory_root root,
							 const void *address, const struct root_facts *facts) {
	struct segment_head *head = segment->head;
	struct file_root *at = &head->root[(head->epoch + segment->is_recovering) % 2][root];
	uint32_t number = part_of(segment, address, 1);
	SNUG_ASSERT((segment->is_recovering || segment->is_used[root]) && number < FILE_PARTS_MAX);
	at->part = number;
	at->offset = (uint64_t)((const char *)address - segment->mapped[number]);
	at->facts = *facts;
	__atomic_store_n(&at->address, (uintptr_t)address, __ATOMIC_RELEASE);
	if (!segment->is_recovering) set_making(head, head->making & ~root_bit(root));
}

void memory_segment_set_objects(struct memory_segment *segment, const void *address) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		if (segment->mapped[number] == address) segment->head->part[number].holds_objects = 1;
}

void memory_segment_end(struct memory_segment *segment, enum memory_root root, snug_error error) {
	SNUG_ASSERT(segment->is_used[root] && segment->uses > 0);
	segment->is_used[root] = false;
	if (error && segment->error == SNUG_OK) segment->error = error;
	if (--segment->uses > 0) return;
	segment->head->sum = sum_segment(segment);
	segment->head->is_sealed = 1;
	segment->is_attached = false;
	segment_unmap(segment);
}

/* ------------------------------------------------------------------ recovery --------------- */

bool memory_segment_is_unclean(const struct memory_segment *segment) {
	return segment->file->is_unclean && !segment->is_attached;
}

static void drop_unheld(struct memory_segment *segment) {
	struct segment_head *head = segment->head;
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++) {
		const struct file_part *part = &head->part[number];
		if (part->bytes == 0 || part_is_held(head, part)) continue;
		unmap_part(segment, number);
		drop_part(segment, number);
	}
}

/* Roots that are not held would be found by the next flip. */
static void forget_other_roots(struct segment_head *head) {
	memset(&head->root[(head->epoch + 1) % 2], 0, sizeof head->root[0]);
}

void segment_drop_unfinished(struct memory_segment *segment) {
	struct segment_head *head = segment->head;
	bool is_whole = head->making == 0;
	SNUG_ASSERT(!segment->is_attached && segment->uses == 0);
	for (uint32_t root = 0; root < ROOT_COUNT; root++)
		if (is_whole && segment_root(head, (enum memory_root)root)->address != 0) return;
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		if (head->part[number].bytes != 0) drop_part(segment, number);
	memset(head->root, 0, sizeof head->root);
	set_making(head, 0);
}

snug_error memory_segment_begin_recovery(struct memory_segment *segment) {
	SNUG_ASSERT(!segment->is_attached && !segment->is_recovering && segment->uses == 0);
	drop_unheld(segment);
	forget_other_roots(segment->head);
	segment->head->is_sealed = 0;
	begin_file(segment->file);
	snug_error error = map_all(segment);
	if (error)
		segment_unmap(segment);
	else
		segment->is_recovering = true;
	return error;
}

void *memory_segment_left_root(const struct memory_segment *segment, enum memory_root root,
							   size_t bytes) {
	const struct file_root *held = segment_root(segment->head, root);
	size_t part_bytes;
	char *part = memory_segment_part_at(segment, held->part, &part_bytes);
	bool is_there = held->address != 0 && part != NULL && held->offset % FILE_GRAIN == 0 &&
					held->offset < part_bytes && bytes <= part_bytes - held->offset;
	return is_there ? part + held->offset : NULL;
}

uint64_t memory_segment_part(const struct memory_segment *segment, const void *address) {
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		if (address != NULL && segment->mapped[number] == address) return number;
	return PART_NONE;
}

void *memory_segment_part_at(const struct memory_segment *segment, uint64_t part, size_t *bytes) {
	if (part >= FILE_PARTS_MAX || segment->mapped[part] == NULL) return NULL;
	*bytes = segment->head->part[part].bytes;
	return segment->mapped[part];
}

void *memory_segment_objects(const struct memory_segment *segment, size_t *bytes) {
	uint64_t number = 0;
	while (number < FILE_PARTS_MAX && segment->head->part[number].holds_objects == 0) number++;
	return memory_segment_part_at(segment, number, bytes);
}

bool memory_segment_read(const struct memory_segment *segment, const void *address, void *out,
						 size_t bytes) {
	uint64_t offset = offset_of(segment, address, bytes);
	for (size_t done = 0; done < bytes;) {
		ssize_t some = pread(segment->file->descriptor, (char *)out + done, bytes - done,
							 (off_t)(offset + done));
		if (some < 0 && errno == EINTR) continue;
		if (some <= 0) return false;
		done += (size_t)some;
	}
	return true;
}

uint64_t memory_segment_held(const struct memory_segment *segment, const void *address,
							 uint64_t bytes) {
	uint64_t begin, at = offset_of(segment, address, bytes), from = at;
	bool is_held = next_held(segment->file->descriptor, from + bytes, &begin, &at);
	return is_held && begin == from ? at - from : 0;
}

static size_t present_bytes(uint64_t grains) {
	return round_up(divide_up(grains, 64) * sizeof(uint64_t), FILE_GRAIN);
}

bool memory_present_init(struct memory_present *present, const struct memory_segment *segment,
						 const void *address) {
	uint32_t number = part_of(segment, address, 1);
	SNUG_ASSERT(number < FILE_PARTS_MAX);
	const struct file_part *held = &segment->head->part[number];
	present->base = segment->mapped[number];
	uint64_t begin, at = held->offset;
	present->grains = held->bytes / FILE_GRAIN;
	void *bits = mmap(NULL, present_bytes(present->grains), PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bits == MAP_FAILED) return false;
	present->bits = bits;
	while (next_held(segment->file->descriptor, held->offset + held->bytes, &begin, &at)) {
		uint64_t last = divide_up(at - held->offset, FILE_GRAIN);
		SNUG_ASSERT(last <= present->grains);
		for (uint64_t grain = (begin - held->offset) / FILE_GRAIN; grain < last; grain++)
			present->bits[grain / 64] |= (uint64_t)1 << (grain % 64);
	}
	return true;
}

void memory_present_deinit(struct memory_present *present) {
	if (present->bits != NULL) munmap(present->bits, present_bytes(present->grains));
	present->bits = NULL;
}

void memory_segment_flip(struct memory_segment *segment) {
	struct segment_head *head = segment->head;
	SNUG_ASSERT(segment->is_recovering);
	segment->is_recovering = false;
	note_addresses(segment);
	for (uint32_t number = 0; number < FILE_PARTS_MAX; number++)
		segment->was[number] = (uintptr_t)segment->mapped[number];
	__atomic_store_n(&head->epoch, head->epoch + 1, __ATOMIC_SEQ_CST);
	drop_unheld(segment);
	segment->is_attached = true;
}

void memory_segment_give_up(struct memory_segment *segment) {
	SNUG_ASSERT(segment->is_recovering);
	segment->is_recovering = false;
	drop_unheld(segment);
	segment_unmap(segment);
}
