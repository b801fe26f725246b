"""The membership rules (protocol §19): every question there is, and the library's own answers.

`RULES` is a second, literal statement of the rules. Every question matches exactly one rule, so a
rule that is missing, or that contradicts another, is found before the core is asked.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from gossip._core import CLAIM_NAMES, RELATION_NAMES, STATE_NAMES, verdict

from .vectors import load

FLAGS = (
    "is_self",
    "own",
    "same_address",
    "reclaim_elapsed",
    "same_content",
    "graceful",
    "leaving",
    "has_suspicion",
)

Question = dict[str, Any]
Rule = tuple[str, dict[str, Any]]

KNOWN = ("alive", "suspect", "dead", "left")
ENDED = ("dead", "left")
LIVING = ("alive", "suspect")
NOT_NEWER = ("older", "equal")
NOT_OLDER = ("equal", "newer")


def alive_about_another(**conditions: Any) -> dict[str, Any]:
    return {"claim": "alive", "is_self": False, **conditions}


def alive_about_self(**conditions: Any) -> dict[str, Any]:
    return {"claim": "alive", "is_self": True, **conditions}


def alive_about_a_living_self(**conditions: Any) -> dict[str, Any]:
    return alive_about_self(leaving=False, state=LIVING, **conditions)


def suspect(**conditions: Any) -> dict[str, Any]:
    return {"claim": "suspect", **conditions}


def dead(**conditions: Any) -> dict[str, Any]:
    return {"claim": "dead", **conditions}


RULES: list[Rule] = [
    # Names that are not members yet, or never will be.
    ("ignore", {"state": ("pending", "refused")}),
    # §19.1
    ("accept", alive_about_another(state="unknown", relation="newer")),
    ("ignore", alive_about_another(state="unknown", relation=NOT_NEWER)),
    ("accept", alive_about_another(state=KNOWN, same_address=True, relation="newer")),
    ("ignore", alive_about_another(state=KNOWN, same_address=True, relation=NOT_NEWER)),
    ("conflict", alive_about_another(state=LIVING, same_address=False)),
    ("conflict", alive_about_another(state="dead", same_address=False, reclaim_elapsed=False)),
    ("reclaim", alive_about_another(state="dead", same_address=False, reclaim_elapsed=True)),
    ("reclaim", alive_about_another(state="left", same_address=False)),
    # §19.4, alive
    ("ignore", alive_about_self(leaving=True, state=(*KNOWN, "unknown"))),
    ("ignore", alive_about_self(leaving=False, state=ENDED)),
    ("accept", alive_about_self(leaving=False, state="unknown", own=True)),
    ("ignore", alive_about_self(leaving=False, state="unknown", own=False)),
    ("conflict", alive_about_a_living_self(same_address=False)),
    ("ignore", alive_about_a_living_self(same_address=True, relation="older")),
    ("accept", alive_about_a_living_self(same_address=True, relation=NOT_OLDER, own=True)),
    ("refute", alive_about_a_living_self(same_address=True, relation="newer", own=False)),
    (
        "ignore",
        alive_about_a_living_self(
            same_address=True, relation="equal", own=False, same_content=True
        ),
    ),
    (
        "refute",
        alive_about_a_living_self(
            same_address=True, relation="equal", own=False, same_content=False
        ),
    ),
    # §19.2, and suspect of §19.4
    ("ignore", suspect(state="unknown")),
    ("ignore", suspect(state=KNOWN, relation="older")),
    ("confirm", suspect(state=KNOWN, relation=NOT_OLDER, has_suspicion=True)),
    (
        "ignore",
        suspect(state=("suspect", *ENDED), relation=NOT_OLDER, has_suspicion=False),
    ),
    (
        "suspect",
        suspect(state="alive", relation=NOT_OLDER, has_suspicion=False, is_self=False),
    ),
    ("refute", suspect(state="alive", relation=NOT_OLDER, has_suspicion=False, is_self=True)),
    # §19.3, and dead of §19.4
    ("ignore", dead(state="unknown")),
    ("ignore", dead(state=KNOWN, relation="older")),
    ("ignore", dead(state=ENDED, relation=NOT_OLDER)),
    ("refute", dead(state=LIVING, relation=NOT_OLDER, is_self=True, leaving=False)),
    ("leave", dead(state=LIVING, relation=NOT_OLDER, is_self=True, leaving=True, graceful=True)),
    ("fail", dead(state=LIVING, relation=NOT_OLDER, is_self=True, leaving=True, graceful=False)),
    ("leave", dead(state=LIVING, relation=NOT_OLDER, is_self=False, graceful=True)),
    ("fail", dead(state=LIVING, relation=NOT_OLDER, is_self=False, graceful=False)),
]


def questions() -> Iterator[Question]:
    for claim, state, relation in itertools.product(CLAIM_NAMES, STATE_NAMES, RELATION_NAMES):
        for flags in itertools.product((False, True), repeat=len(FLAGS)):
            yield {
                "claim": claim,
                "state": state,
                "relation": relation,
                **dict(zip(FLAGS, flags, strict=True)),
            }


def matches(conditions: dict[str, Any], question: Question) -> bool:
    return all(
        question[key] in wanted if isinstance(wanted, tuple) else question[key] == wanted
        for key, wanted in conditions.items()
    )


def test_every_question_gets_the_verdict_of_the_one_rule_it_falls_under() -> None:
    asked = 0
    for question in questions():
        wanted = [answer for answer, conditions in RULES if matches(conditions, question)]
        assert len(wanted) == 1, question
        assert verdict(**question) == wanted[0], question
        asked += 1
    assert asked == 3 * 7 * 3 * 2**8


def test_only_a_claim_about_ourselves_is_refuted() -> None:
    refuted = [question for question in questions() if verdict(**question) == "refute"]
    assert refuted
    assert all(
        question["is_self"] and not question["own"]
        for question in refuted
        if question["claim"] == "alive"
    )
    assert all(question["is_self"] for question in refuted)


def test_an_older_claim_changes_nothing_but_through_another_address() -> None:
    for question in questions():
        if question["relation"] == "older" and verdict(**question) != "ignore":
            assert question["claim"] == "alive"
            assert not question["same_address"] or question["state"] == "unknown"


STATE_TABLE: list[dict[str, Any]] = load("state_table")


def question_of(row: dict[str, Any]) -> Question:
    """The question that a row of the library's own state table asks."""
    relation = row["incarnation_relation"]
    if relation.startswith("inc="):
        relation = "newer" if int(relation[4:]) > 0 else "equal"
    return {
        "claim": row["message"].split("-")[0],
        "state": row["state_before"],
        "relation": relation,
        "is_self": row["target"] == "self",
        "same_address": row.get("address") != "different",
        "same_content": row.get("meta") != "changed",
        "reclaim_elapsed": row.get("dead_node_reclaim") == "elapsed",
        "graceful": row["message"] == "dead-from-node-itself",
        "leaving": row.get("leaving", False),
        "has_suspicion": row["state_before"] == "suspect",
    }


def observed(row: dict[str, Any]) -> set[str]:
    """The verdicts that explain what the library was seen to do."""
    sent = [broadcast["type"] for broadcast in row["broadcasts"]]
    if "conflict" in row["events"]:
        return {"conflict"}
    if row["target"] == "self" and sent == ["alive"]:
        return {"refute"}
    if sent == ["alive"]:
        return {"reclaim" if row["address"] == "different" else "accept"}
    if sent == ["dead"]:
        return {"leave" if row["state_after"] == "left" else "fail"}
    if sent == ["suspect"]:
        return {"suspect" if row["state_before"] == "alive" else "confirm"}
    # A confirmation that does not count leaves no trace; between two nodes none is wanted.
    confirmed = row["state_before"] == "suspect" and row["message"].startswith("suspect")
    return {"ignore", "confirm"} if confirmed else {"ignore"}


def row_name(row: dict[str, Any]) -> str:
    parts = ("target", "state_before", "message", "incarnation_relation", "address", "meta")
    return "-".join(str(row.get(part, "")) for part in parts)


@pytest.mark.parametrize("row", STATE_TABLE, ids=row_name)
def test_the_verdict_is_what_the_library_did(row: dict[str, Any]) -> None:
    assert verdict(**question_of(row)) in observed(row)
