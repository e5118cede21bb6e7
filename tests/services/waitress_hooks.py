"""What waitress loads before it starts its threads: the application, in its block."""

from __future__ import annotations

import app
import work

work.enter()
application = app.app
