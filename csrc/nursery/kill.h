/* The end of what is below a nursery. */
#ifndef TEP_KILL_H
#define TEP_KILL_H

#include <stdbool.h>
#include <sys/types.h>

#include "nursery/nursery.h"

/* In /proc: nurseries know each other by them, and servers. */
#define NURSERY_NAME "tep-nursery"
#define SERVER_NAME "tep-server"

/* Kill a child of this process that has not been reaped, so that the number is
 * nobody else's, with the group of that number, which only it can have
 * made. */
void kill_with_group(pid_t pid);

/* Tell `found` of each child of this process. 0; or -errno: they cannot be listed. */
int list_children(void (*found)(void *whose, pid_t pid), void *whose);

/* Open a list of this process's children. A descriptor; -1: there is none to be had. */
int children_open(void);

/* How many there are, by that list, with those that are yet to be reaped; -1: nobody
 * knows. */
int64_t children_count(int list);

/* Kill, with its group, each child of this process that `whom` says. Returns
 * how many nurseries are left, or -errno: children cannot be listed. For a
 * call of which no more children will be forked. */
enum { KILL_NURSERIES = 1, KILL_OTHERS = 2 };
int kill_children(int whom);

/* Kill every child, with its group; nurseries not with `spare_nurseries`. False: /proc
 * does not list them, and only those that we forked were killed. */
bool kill_all(const struct sphttp_call *call, bool spare_nurseries);

/* May we kill none of the children that are left? They have become another
 * user. */
bool all_are_strangers(const struct sphttp_call *call);

/* Protocol A: kill everything below this process, reap it, remove the scratch
 * directory, and end. */
_Noreturn void end_everything(struct nursery *nursery);

#endif
