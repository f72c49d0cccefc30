"""Feed the tests of mutated files far more cases than a run of the tests does.

`python tests/campaign/fuzz.py --count 100000 config checkpoint` stops at the first case that ends in
anything but a file that is read or one message, or makes too many calls; case N of a seed is always the
same. All readings together may take 100 MB beyond the program itself; a `command` takes what
its work takes. Needs Linux.
"""

import argparse
import random
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import fuzzing
import test_mutated_configs
import test_mutated_data
import test_mutated_runs

KINDS = {
    "config": test_mutated_configs.test_a_mutated_config_is_read_or_refused,
    "data": test_mutated_data.test_mutated_data_is_read_or_refused,
    "checkpoint": test_mutated_runs.test_a_mutated_checkpoint_is_read_or_refused,
    "snapshots": test_mutated_runs.test_mutated_snapshots_are_read_or_refused,
    "evidence": test_mutated_runs.test_mutated_evidence_is_read_or_refused,
    "facts": test_mutated_runs.test_mutated_facts_are_read_or_refused,
    "metrics": test_mutated_runs.test_mutated_metrics_are_read_or_refused,
    "command": test_mutated_runs.test_command_on_a_mutated_run,
}
MEGABYTES = 100
"""Address space that all readings together may take, beyond the program itself."""


def main() -> None:
    """Fuzz the kinds of files that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="+", choices=list(KINDS))
    parser.add_argument("--count", type=int, default=1000, help="cases that count, of each kind")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for kind in arguments.kinds:
        fuzz(kind, 20, seed=-1)  # what is imported late is no reading's memory
    if "command" not in arguments.kinds:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEGABYTES * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for kind in arguments.kinds:
        fuzz(kind, arguments.count, arguments.seed)


def fuzz(kind: str, count: int, seed: int) -> None:
    """Run so many cases that hypothesis can make a file of, and print what they took."""
    feed = KINDS[kind].hypothesis.fuzz_one_input
    fuzzing.Tally.clear()
    done, case, began = 0, 0, time.perf_counter()
    while done < count:
        case += 1
        try:
            done += feed(random.Random(f"{seed}.{kind}.{case}").randbytes(600)) is not None
        except BaseException:
            print(f"{kind}: case {case} of seed {seed} failed", flush=True)
            raise
        if case % 1000 == 0:
            tell(kind, done, began)
    tell(kind, done, began)


def tell(kind: str, done: int, began: float) -> None:
    """Print one line about what has been done."""
    tally = fuzzing.Tally
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"{kind}: {done} cases in {time.perf_counter() - began:.0f} s, {tally.read} read, "
        f"{tally.refused} refused; at most {tally.most_calls} calls and "
        f"{tally.most_bytes / 1e6:.1f} MB of arrays each, "
        f"peak of the process {peak:.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
