"""python -m berrante."""

import sys

from berrante.cli import main

sys.exit(main())
