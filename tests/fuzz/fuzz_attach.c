/* fuzz_attach.c: a memory file of which somebody has changed bytes is attached.
 *
 * What must hold whatever they are: it is refused with a typed error, or it is attached and all laws
 * hold; then each item that is there can be read, and the shard takes, moves and drops items as any.
 * Nothing is read outside of what is mapped (AddressSanitizer), no loop trusts what it reads.
 *
 *     input    how 1 | change 8 | change 8 | ...
 *     how      bit 0: the file was left in order, else its process was killed. Bit 1: it is cut off
 *     change   where 1: header, head of the segment, or any page that holds something | offset 3 |
 *              bytes 4, of which the first is xored, the others are written if they are not 0xFF
 *
 * The two files are made once, with the same secret and keys each time: what an input changes is the same
 * in each build. */
#include "support/require.h"
#include "support/test_random.h"
#include "support/test_secret.h"

#include <snug/snug.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MUST(condition) REQUIRE(condition, "does not hold: %s", #condition)
#define KIB ((size_t)1 << 10)
#define PAGE_BYTES ((off_t)4096)
#define PAGES_MAX 1024u
#define KEYS 260u
#define VALUE_MAX 20000u
#define CHANGE_BYTES 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The pages of a file that hold something. */
struct image {
	off_t bytes;
	uint32_t pages;
	off_t at[PAGES_MAX];
	unsigned char page[PAGES_MAX][4096];
};

static struct image killed, left;
static int work = -1;

static snug_key key_of(uint32_t number, char *text) {
	return snug_shard_key(text, (size_t)snprintf(text, 16, "key-%u", number));
}

/* ------------------------------------------------------------------ files --------------------- */

static snug_error open_shard(int descriptor, snug_memory_file **file, snug_shard **shard) {
	snug_memory_file_options file_options = snug_memory_file_options_default();
	snug_shard_options options = snug_shard_options_default();
	file_options.descriptor = descriptor;
	*shard = NULL;
	snug_error error = snug_memory_file_create(&file_options, file);
	if (error) return error;
	options.heap.limit_bytes = 768 * KIB;
	options.heap.limit_max_bytes = 1024 * KIB;
	options.heap.page_bytes = (size_t)PAGE_BYTES;
	options.heap.memory_file = *file;
	options.keep_free_bytes = 0;
	error = snug_shard_create(&options, shard);
	if (!error) return SNUG_OK;
	MUST(snug_memory_file_discard(*file) == SNUG_OK);
	MUST(snug_memory_file_destroy(*file) == SNUG_OK);
	return error;
}

static void close_shard(snug_memory_file *file, snug_shard *shard) {
	MUST(snug_shard_destroy(shard) == SNUG_OK);
	MUST(snug_memory_file_destroy(file) == SNUG_OK);
}

static void set(snug_shard *shard, uint32_t number, size_t bytes) {
	static unsigned char value[VALUE_MAX];
	char text[16];
	snug_key key = key_of(number, text);
	snug_attributes attributes = {.client_flags = number % 3};
	if (number % 5 == 0) attributes.expires_at_s = (uint32_t)snug_shard_now_s(shard) + 100000;
	test_random_fill(value, bytes, number);
	MUST(snug_shard_set(shard, &key, &attributes, value, bytes) == SNUG_OK);
}

/* Small items and chains, a spilled index in the midst of its growing, holes, flushed ones. */
static void fill(snug_shard *shard) {
	char text[16];
	for (uint32_t number = 0; number < 10; number++) set(shard, number, 50);
	snug_shard_flush(shard, 0);
	for (uint32_t number = 5; number < KEYS; number++)
		set(shard, number, number % 40 == 0 ? 5000 + number * 40 : number % 90);
	for (uint32_t number = 5; number < KEYS; number += 6) {
		snug_key key = key_of(number, text);
		MUST(snug_shard_delete(shard, &key) == SNUG_OK);
	}
}

static void take_image(int descriptor, struct image *image) {
	struct stat stat;
	MUST(fstat(descriptor, &stat) == 0);
	image->bytes = stat.st_size;
	for (off_t at = 0; at < stat.st_size; at += PAGE_BYTES) {
		off_t data = lseek(descriptor, at, SEEK_DATA);
		if (data < 0) break;
		at = data;
		MUST(image->pages < PAGES_MAX);
		image->at[image->pages] = at;
		MUST(pread(descriptor, image->page[image->pages++], (size_t)PAGE_BYTES, at) == PAGE_BYTES);
	}
}

static void make_images(void) {
	snug_memory_file *file;
	snug_shard *shard;
	int descriptor = memfd_create("snug-fuzz", 0);
	test_set_secret(0x5EED);
	MUST(descriptor >= 0 && open_shard(descriptor, &file, &shard) == SNUG_OK);
	fill(shard);
	take_image(descriptor, &killed);
	close_shard(file, shard);
	take_image(descriptor, &left);
	close(descriptor);
	work = memfd_create("snug-fuzz-work", 0);
	MUST(work >= 0 && killed.pages > 20 && left.pages > 20);
}

static void write_image(const struct image *image) {
	MUST(ftruncate(work, 0) == 0 && ftruncate(work, image->bytes) == 0);
	for (uint32_t page = 0; page < image->pages; page++)
		MUST(pwrite(work, image->page[page], (size_t)PAGE_BYTES, image->at[page]) == PAGE_BYTES);
}

/* ------------------------------------------------------------------ changes ------------------- */

static off_t place_of(const struct image *image, const uint8_t *change) {
	uint32_t offset = change[1] | (uint32_t)change[2] << 8 | (uint32_t)change[3] << 16;
	if (change[0] < 64) return offset % (uint32_t)PAGE_BYTES;
	if (change[0] < 128) return PAGE_BYTES + offset % (uint32_t)PAGE_BYTES;
	uint32_t page = offset / (uint32_t)PAGE_BYTES % image->pages;
	return image->at[page] + offset % (uint32_t)PAGE_BYTES;
}

static void change(const struct image *image, const uint8_t *asked) {
	uint8_t bytes[4] = {0};
	off_t at = place_of(image, asked);
	if (pread(work, bytes, sizeof bytes, at) != sizeof bytes) return; /* at the end */
	bytes[0] ^= asked[4];
	for (uint32_t i = 1; i < sizeof bytes; i++)
		if (asked[4 + i] != 0xFF) bytes[i] = asked[4 + i];
	MUST(pwrite(work, bytes, sizeof bytes, at) == sizeof bytes);
}

/* ------------------------------------------------------------------ what is there ------------- */

static void read_item(void *context, const snug_key *key, const snug_item *item) {
	static unsigned char value[4096];
	snug_shard *shard = context;
	MUST(key->length > 0 && key->length <= SNUG_KEY_BYTES_MAX);
	for (size_t at = 0; at < item->value_bytes; at += sizeof value) {
		size_t left_bytes = item->value_bytes - at;
		size_t some = left_bytes < sizeof value ? left_bytes : sizeof value;
		MUST(snug_shard_read(shard, item, at, value, some) == SNUG_OK);
	}
}

static void must_be_lawful(snug_shard *shard) {
	snug_check_result result = {0};
	snug_error error = snug_shard_check(shard, &result);
	REQUIRE(!error, "law %s: %s", result.law, result.message);
}

static void use(snug_shard *shard) {
	uint64_t cursor = 0;
	char text[16];
	must_be_lawful(shard);
	do MUST(snug_shard_walk(shard, &cursor, read_item, shard) == SNUG_OK);
	while (cursor != 0);
	for (uint32_t number = 0; number < 40; number++) {
		snug_key key = key_of(number * 5, text);
		snug_error error = snug_shard_delete(shard, &key);
		MUST(!error || error == SNUG_ERROR_NOT_FOUND);
		set(shard, number * 7, number % 10 == 0 ? 6000 : number * 11);
	}
	for (uint32_t slices = 0; slices < 100 && snug_shard_maintain(shard); slices++) continue;
	must_be_lawful(shard);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	snug_memory_file *file;
	snug_shard *shard;
	if (work < 0) make_images();
	if (size == 0) return 0;
	const struct image *image = (data[0] & 1) != 0 ? &left : &killed;
	write_image(image);
	for (size_t at = 1; at + CHANGE_BYTES <= size; at += CHANGE_BYTES) change(image, data + at);
	if ((data[0] & 2) != 0 && size > 3)
		MUST(ftruncate(work, image->bytes * (data[1] + 1) / 256 + data[2]) == 0);
	if (open_shard(work, &file, &shard) != SNUG_OK) return 0;
	use(shard);
	close_shard(file, shard);
	MUST(open_shard(work, &file, &shard) == SNUG_OK); /* what was left in order is attached */
	must_be_lawful(shard);
	close_shard(file, shard);
	return 0;
}
