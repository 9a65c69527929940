"""RadGraph F1: whether a radiology report states the same clinical facts, given the graphs of both reports.

A graph is what RadGraph (Jain et al., NeurIPS Datasets 2021) makes of a report: entities (words of the report with a
label such as `Observation::definitely absent` or OBS-DA) and relations between them (modify, located_at,
suggestive_of). Making the graphs takes a model of its own: `docpipe.evaluate.radgraph` asks it where it is installed.
The papers name several figures; these are those of Yu et al., "Evaluating progress in automatic chest X-ray radiology
report generation" (Patterns 2023). What they cannot see: facts that the extractor misses, synonyms, and how grave an
error is: a missed pneumothorax weighs as much as a missed adjective.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entity:
    """Words of a report and their label. relations: (type, index of the entity it points to)."""

    tokens: str
    label: str
    relations: tuple[tuple[str, int], ...] = ()


Graph = Sequence[Entity]


def radgraph_f1(answer: Graph, truth: Graph) -> float:
    """The mean of `entity_f1` and `relation_f1`, 0..1 (Yu et al., 2023, "RadGraph F1")."""
    return (entity_f1(answer, truth) + relation_f1(answer, truth)) / 2


def entity_f1(answer: Graph, truth: Graph) -> float:
    """F1 of the distinct entities: the same words (case ignored) with the same label. Two empty graphs agree."""
    return _f1({_entity(e) for e in answer}, {_entity(e) for e in truth})


def relation_f1(answer: Graph, truth: Graph) -> float:
    """F1 of the distinct relations: the same type between the same entities. Two graphs without relations agree."""
    return _f1(set(_relations(answer)), set(_relations(truth)))


def entity_relation_f1(answer: Graph, truth: Graph) -> float:
    """F1 of the distinct entities with whether any relation leaves them: RG_ER of Delbrouck et al., "Improving the
    factual correctness of radiology report generation with semantic rewards" (EMNLP Findings 2022).
    """
    return _f1(*({(*_entity(e), bool(e.relations)) for e in graph} for graph in (answer, truth)))


def read_graph(entities: Mapping[str, Mapping[str, Any]]) -> list[Entity]:
    """The graph in RadGraph's JSON: {"1": {"tokens": …, "label": …, "relations": [["located_at", "2"]]}, …}.

    Raises ValueError for another form or a relation that points nowhere.
    """
    try:
        places = {str(key): index for index, key in enumerate(entities)}
        return [
            Entity(
                str(said["tokens"]),
                str(said["label"]),
                tuple((str(kind), places[str(target)]) for kind, target in said.get("relations", ())),
            )
            for said in entities.values()
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"not a graph as RadGraph writes it: {error}") from error


def _entity(entity: Entity) -> tuple[str, str]:
    return " ".join(entity.tokens.lower().split()), entity.label


def _relations(graph: Graph) -> Iterable[Hashable]:
    for entity in graph:
        for kind, target in entity.relations:
            yield _entity(entity), kind, _entity(graph[target])


def _f1(given: set[Any], wanted: set[Any]) -> float:
    total = len(given) + len(wanted)
    return 2 * len(given & wanted) / total if total else 1.0
