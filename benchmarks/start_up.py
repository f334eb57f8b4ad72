"""Start-up of the command line, as a ratio to loading Typer and Rich alone.

``python benchmarks/start_up.py [ROUNDS] [--save start-up]`` starts ``bedside --version`` and
``python -c "import typer, rich"`` in turn, and compares the medians of their processor time, which
other work on the machine disturbs less than the clock. ``--help`` builds all commands and is told
beside. Exit code 1 where the ratio of ``--version`` is above the goal.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

from common import finish, positional

GOAL = 1.5
COMMANDS = {
    "base": [sys.executable, "-c", "import typer, rich"],
    "version": [sys.executable, "-m", "bedside", "--version"],
    "help": [sys.executable, "-m", "bedside", "--help"],
}


def seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    words = positional()
    rounds = int(words[0]) if words else 20
    for command in COMMANDS.values():
        seconds(command)
    samples = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            samples[name].append(seconds(command))
    medians = {name: statistics.median(values) for name, values in samples.items()}
    ratios = {name: round(medians[name] / medians["base"], 2) for name in ("version", "help")}
    finish({"what": "processor time of a start, as a ratio to importing Typer and Rich",
            "rounds": rounds, "median_s": {n: round(s, 3) for n, s in medians.items()},
            "ratio": ratios, "goal": GOAL})
    sys.exit(ratios["version"] > GOAL)


if __name__ == "__main__":
    main()
