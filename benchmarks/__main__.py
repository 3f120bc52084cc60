"""Run the benchmarks and print a table for each; with `--write`, keep the tables in `benchmarks/RESULTS.md`."""

from __future__ import annotations

import argparse
from importlib import import_module

from benchmarks.results import machine, table, write

BENCHMARKS = (
    "step_cpu",
    "fan_out",
    "plan_makespan",
    "prompt_tokens",
    "durable_growth",
    "growth",
    "load",
    "start_time",
    "report_size",
    "corpus_speed",
    "retrieval_eval",
)


def main(arguments: list[str] | None = None) -> None:
    """Run those named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--write", action="store_true", help="keep the figures in benchmarks/RESULTS.md")
    given = parser.parse_args(arguments)
    if unknown := sorted(set(given.names) - set(BENCHMARKS)):
        parser.error(f"expected some of {', '.join(BENCHMARKS)}, got {', '.join(unknown)}")
    if given.write and given.names:
        parser.error("--write keeps the figures of all benchmarks: name none")
    print(f"On {machine()}.")
    sections = {}
    for name in given.names or BENCHMARKS:
        benchmark = import_module(f"benchmarks.{name}")
        sections[benchmark.TITLE] = f"{benchmark.PROMISE}\n\n{table(benchmark.measure())}"
        print(f"\n{benchmark.TITLE}. {sections[benchmark.TITLE]}", flush=True)
    if given.write:
        print(f"\nWritten to {write(sections)}.")


if __name__ == "__main__":
    main()
