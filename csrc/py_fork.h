/* What both files that know Python.h need. */
#ifndef TEP_PY_FORK_H
#define TEP_PY_FORK_H

#include <Python.h>

/* The exception that is raised, which then is no more, as an object. */
PyObject *take_exception(void);

#endif
