"""Kill `tep-parallel map` at random moments, and go on with its journal each time.

python tests/long/killed_command.py [--kills 50]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from test_cli_journal import WORKERS, kill_and_resume


def main() -> None:
    """Do so in every shape of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    kills = parser.parse_args().kills
    for options in ("", "-u", "--isolate", "--json"):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "workers.py").write_text(WORKERS)
            kill_and_resume(place, f"map workers:note {options}", kills)
            print(f"map {options}: killed {kills} times, and nothing was lost or done twice")


if __name__ == "__main__":
    main()
