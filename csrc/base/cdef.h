/* What Python may call, for C files to include as often as they like: the
 * declaration itself has no preprocessor lines, for build_ext.py reads it
 * too. */
#ifndef TEP_CDEF_H
#define TEP_CDEF_H

#include <stddef.h>
#include <stdint.h>

#include "sphttp_fork.cdef.h"

#endif
