# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a server whatever its OpenAPI document allows, and what it does not, and holds each answer against it."""

import contextlib
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

WITHOUT = {
    # A parameter that nobody knows is ignored, and a body of the right type with one field more is taken.
    "negative_data_rejection",
    # What is asked may name a call or transfer that is not there.
    "positive_data_acceptance",
}
schemathesis.serializer.alias("audio/wav", "application/octet-stream")
FEWER = {"POST /api/reload": 5}
"""Fewer examples, for what takes a while."""


def exercise(
    url: str, token: str, *, examples: int = 15, also: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
) -> dict[str, set[int]]:
    """Ask; the statuses that each operation has answered with. Raises AssertionError with the first answer at fault.

    `also` are requests that an operation, by its name, is asked before any other.
    """
    document = requests.get(f"{url}/api/openapi.json", timeout=10).json()
    proof = {"headers": {"Authorization": f"Bearer {token}"}}
    return exercise_described(document, url, proof, examples=examples, also=also or {})


def exercise_described(
    document: Any,
    url: str,
    proof: Mapping[str, Any],
    *,
    examples: int = 15,
    without: Collection[str] = (),
    first: Sequence[Mapping[str, Any]] = (),
    also: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, set[int]]:
    """The same of any document; `proof` are arguments of requests', `without` the names of checks that are left out.

    `first` are requests of each operation that are asked before any other: arguments of schemathesis' Case.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _exercise(document, url, proof, examples, WITHOUT.union(without), first, also or {})


def _exercise(
    document: Any,
    url: str,
    proof: Mapping[str, Any],
    examples: int,
    without: Collection[str],
    first: Sequence[Mapping[str, Any]],
    also: Mapping[str, Sequence[Mapping[str, Any]]],
) -> dict[str, set[int]]:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    seen: dict[str, set[int]] = {}
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # one that is no operation raises
        name = f"{operation.method.upper()} {operation.path}"
        seen[name] = _asked(operation, proof, FEWER.get(name, examples), without, (*first, *also.get(name, ())))
    return seen


def _asked(
    operation: Any,
    proof: Mapping[str, Any],
    examples: int,
    without: Collection[str],
    first: Sequence[Mapping[str, Any]],
) -> set[int]:
    statuses: set[int] = set()
    checks = [check for check in CHECKS.get_all() if check.__name__ not in without]

    def ask_once(case: Any) -> None:
        answer = case.call(**proof)
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=checks, headers=proof.get("headers"))

    for request in first:
        ask_once(operation.Case(**request))

    for mode in GenerationMode:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            ask_once(case)

        # What takes neither parameters nor a body can't be asked wrongly.
        with contextlib.suppress(Unsatisfiable):
            ask()
    return statuses
