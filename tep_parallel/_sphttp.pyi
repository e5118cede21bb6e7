from typing import Any

# cffi makes both at run time; csrc/sphttp_fork.cdef.h says what is in them.
ffi: Any
lib: Any
