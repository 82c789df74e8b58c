/* work/key_hash.h: what a key's place is found by: its worker, its bucket, its tag. XXH3 with a secret of the process, so that nobody who does not
 * know it can choose keys that meet in one place (docs/design/0006-chosen-keys.md says what that is worth).
 *
 * The secret is 16 random bytes of the kernel's, spread to the 192 that XXH3 takes, before main. It may be set until the first shard or the first
 * workers are made, for that is when it begins to matter. Reading takes no lock: nothing is written afterwards. */
#ifndef SNUG_WORK_KEY_HASH_H
#define SNUG_WORK_KEY_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Any thread. */
uint64_t key_hash(const void *bytes, size_t length);

#define KEY_HASH_SECRET_BYTES 16u
/* False: it is settled. The one thread there is. */
bool key_hash_set_secret(const void *secret);
/* From now on the secret stays as it is. Any thread. */
void key_hash_settle(void);

#endif
