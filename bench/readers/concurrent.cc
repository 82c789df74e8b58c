/* concurrent.cc: TBB's concurrent_hash_map. A get holds a const_accessor, which is the item's lock
 * for readers, while it copies; a set holds an accessor, which is that for a writer, and writes the
 * value where it lies. */
#include "readers/contestant.h"

#include <cstring>
#include <new>
#include <tbb/concurrent_hash_map.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace {

struct by_xxh3 {
	static std::size_t hash(const reader_key &key) {
		return XXH3_64bits(&key, sizeof key);
	}
	static bool equal(const reader_key &left, const reader_key &right) {
		return std::memcmp(&left, &right, sizeof left) == 0;
	}
};

using map = tbb::concurrent_hash_map<reader_key, reader_value, by_xxh3>;

void *create(const contest *contest) {
	return new map(contest->items);
}

void destroy(void *table) {
	delete static_cast<map *>(table);
}

void *enter(void *table) {
	return table;
}

void leave(void *) {
}

bool get(void *visitor, const reader_key *key, reader_value *out) {
	map::const_accessor found;
	if (!static_cast<const map *>(visitor)->find(found, *key)) return false;
	*out = found->second;
	return true;
}

void set(void *visitor, const reader_key *key, const reader_value *value) {
	map::accessor place;
	static_cast<map *>(visitor)->insert(place, *key);
	place->second = *value;
}

} // namespace

extern "C" const contestant contestant_concurrent = {
	"TBB", false, create, destroy, enter, leave, get, set, nullptr,
};
