"""The process of one contender: `python -m berrante_bench.worker NAME` reads requests, one JSON object a line.

{"setup": task} prepares a task, {"run": n} does n steps of it and answers with seconds by the wall's clock and the
process's own. An error is answered, not raised. What libraries print goes nowhere.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from berrante_bench.contenders import Steps, prepare


def _answer(request: dict[str, Any], contender: str, state: list[Steps]) -> dict[str, Any]:
    if "setup" in request:
        state.clear()
        state.append(prepare(contender, request["setup"]))
        return {}
    wall, cpu = time.perf_counter(), time.process_time()
    state[0](request["run"])
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # so that nobody else writes among the answers
    state: list[Steps] = []
    for line in sys.stdin:
        try:
            answer = _answer(json.loads(line), sys.argv[1], state)
        except Exception as error:  # a contender's own; the parent shows it
            answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
