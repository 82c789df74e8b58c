/* work/key_hash.h: what a key's place is found by: its worker, its bucket, its tag. XXH3 with a
 * secret of the process, so that nobody who does not know it can choose keys that meet in one place
 * (docs/design/0006-chosen-keys.md says what that is worth).
 *
 *   hash   | 63 ......... bucket of the index ......... 32 | 31 .. worker .. 12 | 11 .. tag .. 0 |
 *            the high bits, by multiplication                20 bits              12 bits
 *
 * One hash serves all three uses, each by other bits: so a key is hashed once, by whoever asks, and
 * each worker's index is evenly filled.
 *
 * The secret is 16 random bytes of the kernel's, spread to the 192 that XXH3 takes, before main. It
 * may be set until the first shard or the first workers are made, for that is when it begins to
 * matter. Reading takes no lock: nothing is written afterwards.
 *
 * COST. 85 instructions for a key of 30 bytes; without a secret it would be 68, and SipHash-1-3
 * takes 155. Why that is enough where the answers tell nothing of a hash: design/0006. */
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
/* What it is: for who keeps hashes longer than the process. Any thread. */
void key_hash_secret(void *out);
/* From now on the secret stays as it is. Any thread. */
void key_hash_settle(void);

#endif
