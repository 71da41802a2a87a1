"""Any sequence of commands on the real database: responses and stored rows match the oracle.

LEDGER_SEED=<seed> repeats a run; LEDGER_EXAMPLES and LEDGER_STEPS make it longer or shorter.
"""

import os
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.stateful import run_state_machine_as_test

from tests.billing.conftest import World
from tests.billing.ledger.conftest import SEED, ran
from tests.billing.ledger.machine import Machine

STEPS = int(os.environ.get("LEDGER_STEPS", "30"))
SHRINK = os.environ.get("LEDGER_SHRINK") != "no"
EXAMPLES = {"postgresql": 8, "sqlite": 3}
EXHAUSTIVE_EXAMPLES = {"postgresql": 60, "sqlite": 15}


@pytest.mark.both_databases
@pytest.mark.timeout(3600)
def test_the_ledger_matches_the_oracle_after_any_sequence_of_requests(
    world: World, still: None, tmp_path: Any, pytestconfig: pytest.Config
) -> None:
    name = world.database.engine.dialect.name
    usual = EXHAUSTIVE_EXAMPLES if pytestconfig.getoption("exhaustive") else EXAMPLES
    examples = int(os.environ.get("LEDGER_EXAMPLES") or usual[name])
    steps: dict[str, int] = {}
    started, machines = time.monotonic(), []

    @seed(SEED)
    def machine() -> Machine:
        machines.append(1)
        return Machine(world, steps)

    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        print_blob=True,
        derandomize=False,
        database=DirectoryBasedExampleDatabase(tmp_path),
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink) if SHRINK else (Phase.generate,),
    )
    try:
        run_state_machine_as_test(machine, settings=chosen)
    finally:
        done = sum(steps.values())
        ran.append(
            f"{name}: LEDGER_SEED={SEED}, {len(machines)} examples of up to {STEPS} steps, "
            f"{done} commands in {time.monotonic() - started:.0f} s"
        )
        ran.append("  " + ", ".join(f"{name} {times}" for name, times in sorted(steps.items())))
