/* key_list.h: doubly linked lists of keys. The links of all lists of a policy are one array by key,
 * because a key is on one list at most. Newest first; every operation is O(1). */
#ifndef REPLAY_KEY_LIST_H
#define REPLAY_KEY_LIST_H

#include "policies/simulation.h"

struct key_links {
	uint32_t newer, older;
};

struct key_list {
	uint32_t newest, oldest;
	uint32_t count;
};

#define KEY_LIST_EMPTY ((struct key_list){KEY_NONE, KEY_NONE, 0})

static inline void key_list_push(struct key_list *list, struct key_links *links, uint32_t key) {
	links[key] = (struct key_links){KEY_NONE, list->newest};
	if (list->newest != KEY_NONE)
		links[list->newest].newer = key;
	else
		list->oldest = key;
	list->newest = key;
	list->count++;
}

static inline void key_list_remove(struct key_list *list, struct key_links *links, uint32_t key) {
	struct key_links own = links[key];
	*(own.newer != KEY_NONE ? &links[own.newer].older : &list->newest) = own.older;
	*(own.older != KEY_NONE ? &links[own.older].newer : &list->oldest) = own.newer;
	list->count--;
}

#endif
