"""`python bench WHAT`: the benchmarks of python/berrante_bench, from the repository. README.md here says how."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from berrante_bench.cli import main  # noqa: E402

sys.exit(main())
