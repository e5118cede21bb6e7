/* Commands in place of forked children: each is started by vfork and exec, and is from
 * then on a child as any other. */
#ifndef TEP_COMMAND_H
#define TEP_COMMAND_H

#include "nursery/nursery.h"

/* In the host, before the fork: what the nursery of a call of commands needs, for as many
 * as may be alive. NULL: there is no memory. */
struct commands *commands_open(uint32_t alive);

/* NULL is allowed. */
void commands_free(struct commands *commands);

/* In the nursery, as it begins: see to what every command inherits. */
void commands_begin(struct nursery *nursery);

/* Start the command of item `index` in the slot that call->child names. Its number; -1
 * and errno: it could not be forked. Where it could not be executed that stands in its
 * report, and what was forked ends at once. */
pid_t command_start(struct nursery *nursery, uint32_t index);

/* The command in `slot` has ended, and nobody knows yet: if it went well its item is done;
 * what it has printed is left for the host. */
void command_ended(struct nursery *nursery, uint32_t slot, int status);

#endif
