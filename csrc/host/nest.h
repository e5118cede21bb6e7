/* Nests, and the server that forks their nurseries. */
#ifndef TEP_NEST_H
#define TEP_NEST_H

#include "shared/call.h"

/* See py_nest_open in sphttp_fork.cdef.h. 0 or -errno. */
int nest_open(struct sphttp_call *mould, struct sphttp_call **nest);

#endif
