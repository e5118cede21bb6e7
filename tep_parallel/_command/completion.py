"""tep-parallel --print-completion SHELL: what a shell needs to complete the command."""

from __future__ import annotations

import argparse


def add_argument(parser: argparse.ArgumentParser) -> None:
    """Let it be asked for."""
