/* door.h: finds the control socket of a snugd, which takes what its port does not. */
#ifndef SNUGCTL_DOOR_H
#define SNUGCTL_DOOR_H

#include "link.h"

struct door {
	char control[256]; /* where the control socket is, if it is known; else "" */
	bool is_here;      /* on this machine */
	/* the errno of connecting there; 0: we are connected to it, or it is not known */
	int refusal;
};

/* Connects to the control socket of the snugd at `address` (NULL: the one on this machine at the
 * default port, or else the packaged one), if it is where it is by default, else to the address
 * itself, which serves what only tells. False: a sentence is on standard error. */
bool door_open(struct link *link, struct door *door, const char *address, int timeout_ms);

/* Whether a server has refused a command because it is taken on the control socket. */
bool door_is_elsewhere(const struct reply *reply);
/* Asks that server where it is, and connects to it. False: the link is as it was. */
bool door_ask(struct link *link, struct door *door);

#endif
