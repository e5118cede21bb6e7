"""Calls of a host with an odd umask: odd_umask.py MASK USER."""

import os
import sys

from tep_parallel import Parallel

mask, user = sys.argv[1:]
Parallel(str).map_processes([1])  # what is imported later may not be readable
os.setuid(int(user))
os.umask(int(mask, 8))
for shape in ({}, {"in_processes": 2}, {"in_processes": 2, "isolation": True}):
    assert Parallel(str, **shape).map_processes([1, 2]) == ["1", "2"]
