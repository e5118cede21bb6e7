/* What a nursery and a child do first. */
#ifndef TEP_BIRTH_H
#define TEP_BIRTH_H

#include <stdint.h>

#include "nursery/nursery.h"

/* A pidfd of the host, whose child this process is, so that it is no other's; -1: there
 * is none to be had; -ESRCH: the host is dead. */
int nursery_open_host(pid_t owner);

/* Be a process of that name between the host and its children: a nursery, or the server
 * of nests. 0; 1: a child of the one that the host knows; or -errno: it may fork nobody. */
int nursery_settle(struct nursery *nursery, struct sphttp_call *call,
                   const char *name);

/* Give the children a standard input at whose end they are. 0 or -errno. */
int nursery_no_input(void);

/* Be the nursery of a call. 0 or -errno; then no child may be forked. */
int nursery_begin(struct nursery *nursery, struct sphttp_call *call);

/* In the nursery, before each fork: open what lets the child end with it. */
void nursery_expect(const struct nursery *nursery);

/* Be a child, for item `index` or in the pool's place of that number. */
void child_begin(const struct nursery *nursery, uint32_t index);

/* Note what could not be done, and begin no new item. Returns -error. */
int fail_call(struct sphttp_call *call, int trouble, int error);

#endif
