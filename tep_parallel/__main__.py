"""`python -m tep_parallel`: the command tep-parallel."""

import sys

from tep_parallel._cli import main

sys.exit(main())
