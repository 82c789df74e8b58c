/* os/memory_file.c: a memory file is opened, believed or not, begun anew, closed. See memory_file.h.
 *
 *     opened --empty--------------------------------------------> begun anew
 *        | ours, marked, and all of it fits ------------------> held, until a heap attaches
 *        | ours, but something does not fit --start_cold------> begun anew, with the reason
 *        |                                  --else------------> an error, and nothing done
 *        '-- not ours ----------------------------------------> an error, and nothing done
 *
 * THE MARK is taken off before anything in the file changes, and written last. So a file that is
 * marked is one of an instant, and a process that was killed leaves one without. The kernel's own
 * end (a power cut) leaves no tmpfs at all.
 *
 * THE STAMP tells a file that only we have written from a copy, or from one that somebody else wrote
 * to: inode, device and the time of the last change by a call. What we write through mappings does
 * not change that time on tmpfs. Nor does what another writes so: who may do that is the same user.
 *
 * The lock is the open file's (flock): it goes with the last descriptor, so with the process, however
 * that ends. */
#include "base/assert.h"
#include "base/bits.h"
#include "base/grown.h"
#include "os/memory_file_parts.h"
#include "os/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PATH_BYTES_MAX 4096u
#define FILE_IN_A_DIRECTORY "snug.memory"
#define TMPFS_TYPE 0x01021994
#define HUGETLBFS_TYPE 0x958458F6u

_Static_assert(sizeof(struct file_header) <= FILE_GRAIN, "the header is a page");
_Static_assert(sizeof(struct segment_head) <= FILE_GRAIN, "a segment's head is a page");

/* What is being opened. */
struct opening {
	const snug_memory_file_options *options;
	int descriptor;
	struct stat stat;
	bool is_unclean; /* its process was killed, in this boot: it can be recovered */
	char reason[200];
};

static snug_error refuse(struct opening *opening, snug_error error, const char *reason) {
	(void)snprintf(opening->reason, sizeof opening->reason, "%s", reason);
	return error;
}

static snug_error refuse_by_system(struct opening *opening, const char *what) {
	(void)snprintf(opening->reason, sizeof opening->reason, "%s: %s", what, strerror(errno));
	return SNUG_ERROR_FILE;
}

/* ------------------------------------------------------------------ the descriptor --------- */

static int open_at(const char *path) {
	return open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
}

static bool is_directory(const char *path) {
	struct stat found;
	return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

/* A descriptor of our own, so that the lock is ours too. It gives no right that the given one has
 * not, though the system would. */
static int open_again(int descriptor) {
	char path[64];
	int flags = fcntl(descriptor, F_GETFL);
	if (flags >= 0 && (flags & O_ACCMODE) != O_RDWR) errno = EACCES;
	if (flags < 0 || (flags & O_ACCMODE) != O_RDWR) return -1;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
	return open(path, O_RDWR | O_CLOEXEC);
}

static snug_error open_file(struct opening *opening) {
	const char *path = opening->options->path;
	char inside[PATH_BYTES_MAX];
	if (path != NULL && is_directory(path)) {
		int length = snprintf(inside, sizeof inside, "%s/%s", path, FILE_IN_A_DIRECTORY);
		if (length < 0 || (size_t)length >= sizeof inside)
			return refuse(opening, SNUG_ERROR_FILE, "its path is too long");
		path = inside;
	}
	opening->descriptor = path != NULL ? open_at(path) : open_again(opening->options->descriptor);
	return opening->descriptor >= 0 ? SNUG_OK : refuse_by_system(opening, "it cannot be opened");
}

static snug_error look_at_owner(struct opening *opening) {
	struct stat *stat = &opening->stat;
	if (fstat(opening->descriptor, stat) != 0) return refuse_by_system(opening, "fstat");
	if (!S_ISREG(stat->st_mode)) return refuse(opening, SNUG_ERROR_FILE, "it is no regular file");
	if (stat->st_uid != geteuid())
		return refuse(opening, SNUG_ERROR_FILE, "it belongs to another user");
	return SNUG_OK;
}

static snug_error look_at_system(struct opening *opening) {
	struct statfs system;
	if (fstatfs(opening->descriptor, &system) != 0) return refuse_by_system(opening, "fstatfs");
	uint32_t type = (uint32_t)system.f_type;
	if (type == HUGETLBFS_TYPE)
		return refuse(opening, SNUG_ERROR_FILE_SYSTEM,
					  "it lies on hugetlbfs, which takes back 2 MiB at a time alone");
	if (type == TMPFS_TYPE || opening->options->on_disk) return SNUG_OK;
	return refuse(opening, SNUG_ERROR_FILE_SYSTEM,
				  "it does not lie on a tmpfs: the system would write each change to a disk");
}

static snug_error lock(struct opening *opening) {
	if (flock(opening->descriptor, LOCK_EX | LOCK_NB) == 0) return SNUG_OK;
	return errno == EWOULDBLOCK
			   ? refuse(opening, SNUG_ERROR_IN_USE, "another process has it, or this one")
			   : refuse_by_system(opening, "it cannot be locked");
}

/* ------------------------------------------------------------------ what is in it ---------- */

static struct file_stamp stamp_of(const struct stat *stat) {
	return (struct file_stamp){.inode = stat->st_ino,
							   .device = stat->st_dev,
							   .changed_s = stat->st_ctim.tv_sec,
							   .changed_ns = stat->st_ctim.tv_nsec};
}

static uint64_t sum_of(const struct file_header *header) {
	struct file_header summed = *header;
	const char *heads = (const char *)header + FILE_GRAIN;
	summed.sum = 0;
	atomic_store_explicit(&summed.mark, MARK_NEW, memory_order_relaxed);
	return XXH3_64bits_withSeed(&summed, sizeof summed,
								XXH3_64bits(heads, header->segments * FILE_GRAIN));
}

/* Nothing, or what begins as ours do: nothing else is ever written to. */
static snug_error look_whose(struct opening *opening, bool *is_empty) {
	uint64_t magic = 0;
	*is_empty = opening->stat.st_size == 0;
	if (*is_empty) return SNUG_OK;
	if (pread(opening->descriptor, &magic, sizeof magic, 0) == sizeof magic && magic == FILE_MAGIC)
		return SNUG_OK;
	return refuse(opening, SNUG_ERROR_FILE, "it is not empty, and no memory file");
}

static bool heads_are_sound(const struct file_header *header, uint64_t file_bytes,
							bool is_unclean) {
	const char *heads = (const char *)header + FILE_GRAIN;
	for (uint32_t number = 0; number < header->segments; number++) {
		const struct segment_head *head = (const void *)(heads + number * FILE_GRAIN);
		if (!segment_is_sound(head, file_bytes) || (head->is_sealed == 0 && !is_unclean))
			return false;
		for (uint32_t other = 0; other < number; other++)
			if (segments_meet(head, (const void *)(heads + other * FILE_GRAIN))) return false;
	}
	return true;
}

static snug_error look_at_header(struct opening *opening, const struct file_header *header) {
	uint64_t file_bytes = (uint64_t)opening->stat.st_size;
	uint32_t wanted = opening->options->segments;
	if (header->layout != FILE_LAYOUT) {
		(void)snprintf(opening->reason, sizeof opening->reason,
					   "its layout is %u, and this version knows %u", header->layout, FILE_LAYOUT);
		return SNUG_ERROR_LAYOUT;
	}
	if (header->segments == 0 || header->segments > FILE_SEGMENTS_MAX)
		return refuse(opening, SNUG_ERROR_CORRUPT, "its header was changed, or is damaged");
	uint32_t mark = atomic_load_explicit(&header->mark, memory_order_acquire);
	int64_t gone_s;
	opening->is_unclean = mark == MARK_RUNNING && moment_is_of_boot(&header->closed, &gone_s);
	if (mark != MARK_CLEAN && !opening->is_unclean)
		return refuse(opening, SNUG_ERROR_UNCLEAN,
					  "it was not closed in order, and not by a crash within this boot");
	if (!opening->is_unclean && header->sum != sum_of(header))
		return refuse(opening, SNUG_ERROR_CORRUPT, "its header was changed, or is damaged");
	if (!opening->is_unclean && header->file_bytes > file_bytes)
		return refuse(opening, SNUG_ERROR_LAYOUT, "it is shorter than it was: its end is missing");
	if (header->segments != wanted) {
		(void)snprintf(opening->reason, sizeof opening->reason,
					   "it is of %u workers, and %u are wanted", header->segments, wanted);
		return SNUG_ERROR_LAYOUT;
	}
	if (!heads_are_sound(header, file_bytes, opening->is_unclean))
		return refuse(opening, SNUG_ERROR_CORRUPT, "a head was changed, or is damaged");
	return SNUG_OK;
}

/* ------------------------------------------------------------------ life ------------------- */

/* What is empty is ours, and as long as the heads, before anything else is done: whatever comes in
 * between, the next one may go on with it. */
static bool begin_empty(int descriptor) {
	static const uint64_t magic = FILE_MAGIC;
	if (pwrite(descriptor, &magic, sizeof magic, 0) == sizeof magic &&
		ftruncate(descriptor, FILE_HEAD_BYTES) == 0)
		return true;
	(void)!ftruncate(descriptor, 0);
	return false;
}

/* Its first pages are there, so that no touch of them can fail; and it gives memory back. Not by
 * making it empty: if its pages did not come again, a look at the header would end the process. */
static bool begin_anew(snug_memory_file *file) {
	int descriptor = file->descriptor;
	struct file_header *header = file->header;
	size_t bytes = FILE_GRAIN * (1 + file->segments);
	off_t hole_bytes = (off_t)(FILE_HEAD_BYTES + FILE_GRAIN - bytes);
	if (fallocate(descriptor, 0, 0, (off_t)bytes) != 0) return false;
	atomic_store_explicit(&header->mark, MARK_NEW, memory_order_seq_cst);
	if (ftruncate(descriptor, FILE_HEAD_BYTES) != 0 ||
		fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)bytes,
				  hole_bytes) != 0)
		return false;
	header->magic = FILE_MAGIC;
	memset((char *)header + sizeof header->magic, 0, bytes - sizeof header->magic);
	header->layout = FILE_LAYOUT;
	header->segments = file->segments;
	file->end_bytes = FILE_HEAD_BYTES;
	file->has_begun = file->is_foreign = file->holds = file->has_clock = false;
	file->is_unclean = false;
	for (uint32_t number = 0; number < file->segments; number++)
		segment_init(&file->segment[number], file, number);
	return true;
}

static snug_memory_file *make(struct opening *opening) {
	uint32_t segments = opening->options->segments;
	/* A file that is shorter is made longer: what is read behind its end would end the process. */
	if ((size_t)opening->stat.st_size < FILE_HEAD_BYTES) return NULL;
	snug_memory_file *file = calloc(1, sizeof *file + segments * sizeof(struct memory_segment));
	if (file == NULL) return NULL;
	void *header =
		mmap(NULL, FILE_HEAD_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, opening->descriptor, 0);
	if (header == MAP_FAILED || pthread_mutex_init(&file->lock, NULL) != 0) {
		if (header != MAP_FAILED) munmap(header, FILE_HEAD_BYTES);
		free(file);
		return NULL;
	}
	file->descriptor = opening->descriptor;
	file->segments = segments;
	file->header = header;
	file->end_bytes = (uint64_t)opening->stat.st_size;
	for (uint32_t number = 0; number < segments; number++)
		segment_init(&file->segment[number], file, number);
	return file;
}

static void drop(snug_memory_file *file) {
	munmap(file->header, FILE_HEAD_BYTES);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

static bool has_roots(const snug_memory_file *file) {
	for (uint32_t number = 0; number < file->segments; number++)
		for (uint32_t root = 0; root < ROOT_COUNT; root++)
			if (segment_root(file->segment[number].head, root)->address != 0) return true;
	return false;
}

/* In a copy they may be holes, which a look at them would fill, or end the process. Only then: a call that
 * changes nothing is noted as a change. */
static bool fill_head_pages(const snug_memory_file *file, uint32_t pages) {
	off_t bytes = (off_t)(FILE_GRAIN * pages), hole = lseek(file->descriptor, 0, SEEK_HOLE);
	return hole >= bytes || fallocate(file->descriptor, 0, 0, bytes) == 0;
}

static bool fill_heads(const snug_memory_file *file) {
	return fill_head_pages(file, 1) &&
		   fill_head_pages(file,
						   1 + (uint32_t)smaller(larger(file->header->segments, file->segments),
												 FILE_SEGMENTS_MAX));
}

/* It was begun, and nothing has come into it. Its layout is written after that is so. */
static bool is_blank(const struct file_header *header) {
	return (header->layout == 0 || header->layout == FILE_LAYOUT) &&
		   atomic_load_explicit(&header->mark, memory_order_acquire) == MARK_NEW;
}

/* As long as the heads at least. */
static snug_error open_heads(struct opening *opening, bool is_cold, snug_memory_file **out) {
	snug_memory_file *file = make(opening);
	if (file == NULL) return SNUG_ERROR_OS_MEMORY;
	if (!is_cold && !fill_heads(file)) {
		drop(file);
		return refuse_by_system(opening, "its first pages");
	}
	is_cold |= is_blank(file->header);
	snug_error error = is_cold ? SNUG_OK : look_at_header(opening, file->header);
	is_cold |= error != SNUG_OK && opening->options->start_cold;
	if (is_cold) error = begin_anew(file) ? SNUG_OK : refuse_by_system(opening, "its first pages");
	if (error) {
		drop(file);
		return error;
	}
	struct file_stamp stamp = stamp_of(&opening->stat);
	file->is_unclean = !is_cold && opening->is_unclean;
	file->is_foreign =
		!is_cold && !file->is_unclean && memcmp(&stamp, &file->header->stamp, sizeof stamp) != 0;
	for (uint32_t number = 0; file->is_unclean && number < file->segments; number++)
		segment_drop_unfinished(&file->segment[number]);
	file->holds = !is_cold && has_roots(file);
	memcpy(file->reason, opening->reason, sizeof file->reason);
	*out = file;
	return SNUG_OK;
}

static snug_error keep_from_others(struct opening *opening) {
	bool is_open = (opening->stat.st_mode & 077) != 0;
	return is_open && fchmod(opening->descriptor, 0600) != 0
			   ? refuse_by_system(opening, "others may read it")
			   : SNUG_OK;
}

/* The descriptor is locked. */
static snug_error open_content(struct opening *opening, snug_memory_file **out) {
	bool is_empty;
	snug_error error = look_whose(opening, &is_empty);
	if (!error) error = keep_from_others(opening);
	if (error) return error;
	bool is_short = !is_empty && (size_t)opening->stat.st_size < FILE_HEAD_BYTES;
	if (is_short) error = refuse(opening, SNUG_ERROR_LAYOUT, "it is shorter than its header");
	if (is_short && !opening->options->start_cold) return error;
	bool is_cold = is_empty || is_short;
	if (is_cold && !begin_empty(opening->descriptor))
		return refuse_by_system(opening, "it cannot be begun");
	if (is_cold) opening->stat.st_size = FILE_HEAD_BYTES;
	error = open_heads(opening, is_cold, out);
	if (error && is_cold) (void)!ftruncate(opening->descriptor, 0);
	return error;
}

static snug_error open_all(struct opening *opening, snug_memory_file **out) {
	snug_error error = open_file(opening);
	if (!error) error = look_at_owner(opening);
	if (!error) error = look_at_system(opening);
	if (!error) error = lock(opening);
	/* By the one who has the lock: it may have been longer, or another's, a moment ago. */
	if (!error) error = look_at_owner(opening);
	return error ? error : open_content(opening, out);
}

void snug_memory_file_options_init(snug_memory_file_options *options, size_t struct_bytes) {
	static const snug_memory_file_options defaults = {.descriptor = -1, .segments = 1};
	grown_init(options, struct_bytes, &defaults, sizeof defaults);
}

snug_error snug_memory_file_create(const snug_memory_file_options *options,
								   snug_memory_file **out) {
	if (options == NULL || out == NULL) return SNUG_ERROR_NULL;
	snug_memory_file_options known = snug_memory_file_options_default();
	if (!grown_read(options, &known, sizeof known)) return SNUG_ERROR_VERSION;
	if ((known.path != NULL) == (known.descriptor >= 0)) return SNUG_ERROR_OPTION;
	if (known.segments == 0 || known.segments > FILE_SEGMENTS_MAX) return SNUG_ERROR_OPTION;
	struct opening opening = {.options = &known, .descriptor = -1};
	snug_error error = open_all(&opening, out);
	if (error && opening.descriptor >= 0) close(opening.descriptor);
	if (known.reason != NULL && known.reason_bytes > 0)
		(void)snprintf(known.reason, known.reason_bytes, "%s", opening.reason);
	return error;
}

bool snug_memory_file_holds(const snug_memory_file *file) {
	return file != NULL && file->holds;
}

const char *snug_memory_file_reason(const snug_memory_file *file) {
	return file == NULL ? "" : file->reason;
}

static bool is_used(const snug_memory_file *file) {
	for (uint32_t number = 0; number < file->segments; number++)
		if (file->segment[number].uses > 0) return true;
	return false;
}

snug_error snug_memory_file_discard(snug_memory_file *file) {
	if (file == NULL) return SNUG_ERROR_NULL;
	if (is_used(file)) return SNUG_ERROR_IN_USE;
	for (uint32_t number = 0; number < file->segments; number++)
		segment_unmap(&file->segment[number]);
	return begin_anew(file) ? SNUG_OK : SNUG_ERROR_OS_MEMORY;
}

/* ------------------------------------------------------------------ clocks ----------------- */

/* A clock that began later than now is of a machine whose clock was moved with it. */
bool memory_file_clock(const snug_memory_file *file, struct os_epoch *out) {
	const struct file_header *header = file->header;
	int64_t gone_s;
	if (!snug_memory_file_holds(file) || header->has_clock == 0) return false;
	uint64_t now_ns = os_now_ns();
	bool goes_on = moment_is_of_boot(&header->closed, &gone_s) && header->clock.begun_ns <= now_ns;
	*out = goes_on
			   ? header->clock
			   : (struct os_epoch){.begun_s = header->closed_clock_s + gone_s, .begun_ns = now_ns};
	return true;
}

/* ------------------------------------------------------------------ the end ---------------- */

/* All segments were ended in order, now or by an earlier process. */
static snug_error whole(const snug_memory_file *file) {
	for (uint32_t number = 0; number < file->segments; number++) {
		const struct memory_segment *segment = &file->segment[number];
		if (segment->error) return segment->error;
		if (segment->head->is_sealed == 0) return SNUG_ERROR_UNCLEAN;
	}
	return SNUG_OK;
}

/* One that nobody has asked for goes on as well. */
static void write_clock(snug_memory_file *file) {
	struct file_header *header = file->header;
	struct os_epoch clock = file->clock;
	header->has_clock = file->has_clock || memory_file_clock(file, &clock);
	header->clock = clock;
	header->closed_clock_s = os_epoch_s(&clock, os_now_ns());
	header->closed = moment_now();
}

static bool write_mark(snug_memory_file *file) {
	struct file_header *header = file->header;
	struct stat stat;
	if (fstat(file->descriptor, &stat) != 0) return false;
	SNUG_ASSERT(atomic_load(&header->mark) == MARK_RUNNING);
	header->file_bytes = (uint64_t)stat.st_size;
	header->stamp = stamp_of(&stat);
	write_clock(file);
	header->sum = sum_of(header);
	atomic_store_explicit(&header->mark, MARK_CLEAN, memory_order_release);
	return true;
}

static void close_file(snug_memory_file *file) {
	int descriptor = file->descriptor;
	for (uint32_t number = 0; number < file->segments; number++)
		segment_unmap(&file->segment[number]);
	drop(file);
	(void)flock(descriptor, LOCK_UN);
	close(descriptor);
}

snug_error snug_memory_file_destroy(snug_memory_file *file) {
	if (file == NULL) return SNUG_OK;
	if (is_used(file)) return SNUG_ERROR_IN_USE;
	snug_error error = file->has_begun ? whole(file) : SNUG_OK;
	if (error) return error;
	if (file->has_begun && !write_mark(file)) return SNUG_ERROR_FILE;
	/* Nothing is in it: an empty file says so as well, and takes no memory. */
	bool is_empty = !file->has_begun && !file->holds;
	if (is_empty && ftruncate(file->descriptor, 0) != 0) error = SNUG_ERROR_FILE;
	close_file(file);
	return error;
}

/* ------------------------------------------------------------------ what all share --------- */

bool memory_file_secret(const snug_memory_file *file, void *out) {
	if (!snug_memory_file_holds(file)) return false;
	memcpy(out, file->header->secret, MEMORY_SECRET_BYTES);
	return true;
}

void memory_file_set_secret(snug_memory_file *file, const void *secret) {
	pthread_mutex_lock(&file->lock);
	memcpy(file->header->secret, secret, MEMORY_SECRET_BYTES);
	pthread_mutex_unlock(&file->lock);
}

void memory_file_set_clock(snug_memory_file *file, const struct os_epoch *clock) {
	file->clock = *clock;
	file->has_clock = true;
}
