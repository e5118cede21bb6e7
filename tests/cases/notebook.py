"""Cells of a Jupyter notebook, in a real kernel: how often each line of a cell arrives.

notebook.py CELL
"""

import sys
import warnings

import nbformat
from nbclient import NotebookClient

warnings.simplefilter("ignore")
first = "from tep_parallel import Parallel\nimport sys, threading, time\n"
cells = [nbformat.v4.new_code_cell(code) for code in (first, sys.argv[1])]
notebook = nbformat.v4.new_notebook(cells=cells)
NotebookClient(notebook, timeout=60, kernel_name="python3", allow_errors=True).execute()
for output in notebook.cells[1].outputs:
    print(output.get("text", output), end="")
