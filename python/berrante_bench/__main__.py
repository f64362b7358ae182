"""`python -m berrante_bench`: the same as `berrante bench`."""

import sys

from berrante_bench.cli import main

sys.exit(main())
