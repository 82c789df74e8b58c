/* trace.c: see trace.h. The file is mapped, its lines cut in fields in place, its keys numbered
 * through an open-addressed table of their hashes (64 bits: in a trace of 100 million keys two
 * collide with a chance of 1 in 4000, which harms nothing here). */
#include "workloads/trace.h"

#include "base/number_text.h"
#include "ledger/ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIELD_MAX 8

struct field {
	const char *text;
	size_t length;
};

struct reader {
	const char *text;
	size_t length;
	size_t slots; /* of the key table: a power of two, at least twice the lines */
	uint64_t *hashes;
	uint32_t *numbers;
	bool block_trace;
};

static bool field_is(struct field field, const char *word) {
	return field.length == strlen(word) && strncasecmp(field.text, word, field.length) == 0;
}

static bool field_is_any(struct field field, const char *const *words) {
	for (; *words != NULL; words++)
		if (field_is(field, *words)) return true;
	return false;
}

static bool parse_op(struct field field, enum trace_op *out) {
	static const char *const sets[] = {"set", "add", "put", "write", "alloc", "2a", NULL};
	static const char *const gets[] = {"get", "read", "28", NULL};
	static const char *const deletes[] = {"delete", "del", "free", NULL};
	if (field_is_any(field, sets))
		*out = TRACE_SET;
	else if (field_is_any(field, gets))
		*out = TRACE_GET;
	else if (field_is_any(field, deletes))
		*out = TRACE_DELETE;
	else
		return false;
	return true;
}

static bool parse_size(struct field field, uint32_t *out) {
	uint64_t value;
	if (!number_read(field.text, field.length, &value) || value > UINT32_MAX) return false;
	*out = (uint32_t)value;
	return true;
}

static uint32_t key_number(struct reader *reader, struct field key, uint32_t *keys) {
	uint64_t hash = 0;
	for (size_t i = 0; i < key.length; i++) hash = mix64(hash ^ (unsigned char)key.text[i]);
	hash |= 1; /* 0 marks an empty place */
	size_t slot = hash & (reader->slots - 1);
	while (reader->hashes[slot] != 0 && reader->hashes[slot] != hash)
		slot = (slot + 1) & (reader->slots - 1);
	if (reader->hashes[slot] == 0) {
		reader->hashes[slot] = hash;
		reader->numbers[slot] = (*keys)++;
	}
	return reader->numbers[slot];
}

static size_t split(const char *line, size_t length, struct field fields[FIELD_MAX]) {
	size_t count = 0;
	if (length > 0 && line[length - 1] == '\r') length--;
	for (const char *end = line + length; count < FIELD_MAX; line++) {
		const char *comma = memchr(line, ',', (size_t)(end - line));
		const char *stop = comma != NULL ? comma : end;
		fields[count++] = (struct field){line, (size_t)(stop - line)};
		if (comma == NULL) break;
		line = comma;
	}
	return count;
}

/* NULL: taken or skipped. */
static const char *take_line(struct reader *reader, struct trace *trace, size_t number,
							 const char *line, size_t length) {
	struct field fields[FIELD_MAX] = {{0}};
	size_t count = split(line, length, fields);
	if (length == 0 || line[0] == '#') return NULL;
	if (number == 1 && (field_is(fields[0], "op") || field_is(fields[0], "version"))) {
		reader->block_trace = field_is(fields[0], "version");
		return NULL;
	}
	if (count < (reader->block_trace ? 5u : 2u)) return "too few fields";
	struct field op = reader->block_trace ? fields[2] : fields[0];
	struct field key = reader->block_trace ? fields[4] : fields[1];
	struct field size = reader->block_trace ? fields[3] : fields[2];
	struct trace_request *request = &trace->requests[trace->count];
	*request = (struct trace_request){.size = 0};
	if (!parse_op(op, &request->op)) return "unknown operation";
	if (!parse_size(size, &request->size) && (request->op == TRACE_SET || size.length > 0))
		return "no size";
	request->key = key_number(reader, key, &trace->keys);
	trace->count++;
	return NULL;
}

static size_t count_lines(const struct reader *reader) {
	size_t lines = 1;
	for (const char *at = reader->text;
		 (at = memchr(at, '\n', reader->length - (size_t)(at - reader->text))) != NULL; at++)
		lines++;
	return lines;
}

static bool read_lines(struct reader *reader, struct trace *trace, const char *path, char *problem,
					   size_t room) {
	size_t number = 0;
	for (const char *line = reader->text, *end = line + reader->length; line < end;) {
		const char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t length = (size_t)((newline != NULL ? newline : end) - line);
		const char *why = take_line(reader, trace, ++number, line, length);
		if (why != NULL) {
			snprintf(problem, room, "%s:%zu: %s", path, number, why);
			return false;
		}
		line += length + 1;
	}
	if (trace->count == 0) snprintf(problem, room, "%s: no request in it", path);
	return trace->count > 0;
}

static bool map_file(const char *path, struct reader *reader) {
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	bool mapped =
		file >= 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
	if (mapped) {
		reader->length = (size_t)status.st_size;
		void *text = mmap(NULL, reader->length, PROT_READ, MAP_PRIVATE, file, 0);
		mapped = text != MAP_FAILED;
		reader->text = text;
	}
	if (file >= 0) close(file);
	return mapped;
}

bool trace_read(const char *path, struct trace *out, char *problem, size_t room) {
	struct reader reader = {.slots = 1};
	if (!map_file(path, &reader)) {
		snprintf(problem, room, "%s: not a file that can be read", path);
		return false;
	}
	size_t lines = count_lines(&reader);
	while (reader.slots < 2 * lines) reader.slots *= 2;
	reader.hashes = bookkeeping_map(reader.slots * sizeof reader.hashes[0]);
	reader.numbers = bookkeeping_map(reader.slots * sizeof reader.numbers[0]);
	*out = (struct trace){.requests = bookkeeping_map(lines * sizeof out->requests[0])};
	bool taken = read_lines(&reader, out, path, problem, room);
	out->block_trace = reader.block_trace;
	munmap(reader.hashes, reader.slots * sizeof reader.hashes[0]);
	munmap(reader.numbers, reader.slots * sizeof reader.numbers[0]);
	union {
		const char *text;
		void *memory;
	} file = {.text = reader.text};
	munmap(file.memory, reader.length);
	return taken;
}
