/* ledger.c: see ledger.h. Huge pages are refused for the tables, so that "touched" is exact to 4
 * KiB. */
#include "ledger/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *bookkeeping_map(size_t bytes) {
	void *memory = mmap(NULL, bytes == 0 ? 1 : bytes, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		static const char message[] = "snug-replay: no address space for the bookkeeping\n";
		(void)!write(STDERR_FILENO, message, sizeof message - 1);
		_exit(EXIT_FAILURE);
	}
	(void)madvise(memory, bytes, MADV_NOHUGEPAGE);
	return memory;
}

static uint64_t whole_pages(uint64_t bytes) {
	uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
	return (bytes + page_bytes - 1) / page_bytes * page_bytes;
}

void ledger_init(struct ledger *ledger, uint64_t capacity) {
	uint32_t entries = capacity < ENTRY_NONE ? (uint32_t)capacity : ENTRY_NONE - 1;
	*ledger = (struct ledger){.capacity = entries, .first_free = ENTRY_NONE};
	ledger->entries = bookkeeping_map(sizeof(struct entry) * entries);
	ledger->movable.index = bookkeeping_map(sizeof(uint32_t) * entries);
	ledger->pinned.index = bookkeeping_map(sizeof(uint32_t) * entries);
}

uint32_t ledger_take(struct ledger *ledger) {
	uint32_t index = ledger->first_free;
	if (index != ENTRY_NONE)
		ledger->first_free = ledger->entries[index].position;
	else if (ledger->used < ledger->capacity)
		index = ledger->used++;
	else
		return ENTRY_NONE;
	ledger->entries[index].stamp++;
	return index;
}

void ledger_give_back(struct ledger *ledger, uint32_t index) {
	ledger->entries[index].name = 0;
	ledger->entries[index].position = ledger->first_free;
	ledger->first_free = index;
}

static void list_add(struct ledger *ledger, struct entry_list *list, uint32_t index) {
	ledger->entries[index].position = list->count;
	list->index[list->count++] = index;
	if (list->count > list->peak) list->peak = list->count;
}

static void list_remove(struct ledger *ledger, struct entry_list *list, uint32_t index) {
	uint32_t position = ledger->entries[index].position;
	uint32_t last = list->index[--list->count];
	list->index[position] = last;
	ledger->entries[last].position = position;
}

static struct entry_list *list_of(struct ledger *ledger, uint32_t index) {
	return ledger->entries[index].pinned ? &ledger->pinned : &ledger->movable;
}

void ledger_add(struct ledger *ledger, uint32_t index, uint64_t name, size_t size) {
	struct entry *entry = &ledger->entries[index];
	entry->name = name;
	entry->size = (uint32_t)size;
	entry->pinned = false;
	list_add(ledger, &ledger->movable, index);
	ledger->live_bytes += size;
}

void ledger_remove(struct ledger *ledger, uint32_t index) {
	list_remove(ledger, list_of(ledger, index), index);
	ledger->live_bytes -= ledger->entries[index].size;
	ledger_give_back(ledger, index);
}

static void set_pinned(struct ledger *ledger, uint32_t index, bool pinned) {
	list_remove(ledger, list_of(ledger, index), index);
	ledger->entries[index].pinned = pinned;
	list_add(ledger, list_of(ledger, index), index);
}

void ledger_pin(struct ledger *ledger, uint32_t index) {
	set_pinned(ledger, index, true);
}

void ledger_unpin(struct ledger *ledger, uint32_t index) {
	set_pinned(ledger, index, false);
}

uint32_t ledger_count(const struct ledger *ledger) {
	return ledger->movable.count + ledger->pinned.count;
}

uint64_t ledger_touched_bytes(const struct ledger *ledger) {
	return whole_pages(sizeof(struct entry) * (uint64_t)ledger->used) +
		   whole_pages(sizeof(uint32_t) * (uint64_t)ledger->movable.peak) +
		   whole_pages(sizeof(uint32_t) * (uint64_t)ledger->pinned.peak);
}
