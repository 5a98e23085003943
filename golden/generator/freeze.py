"""Making a golden: freeze what the reference returns, measure the noise, commit the faults, refuse what proves nothing.

One reference answers, and its outputs are frozen. Behind it stands one that can do more than answer: compute in
float64, under other settings, on perturbed inputs, and with faults. Mostly the two are one. Where they are two, they
must first agree, within the tolerance that was measured from the one behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from golden.generator.worker import Reference
from golden.judge import tolerance as noise
from golden.judge.compare import Comparison, Tolerance, compare_outputs
from golden.judge.diagnose import diagnose
from golden.judge.proof import Caught, prove_faults
from golden.report.text import explain, explain_causes
from golden.spec.arrays import Arrays, digest_array
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.operation import ULP_RUNS
from golden.spec.references import described
from golden.store.golden import Derived, Golden, require_mask, require_producer


@dataclass(frozen=True)
class Proof:
    """What the reference that stands behind says of a case.

    Attributes:
        outputs: its own.
        where: the elements that count, of some outputs.
        tolerances: of every output.
        contributions: to the noise: output -> variant -> fraction of the output's scale.
        faults: those that the case catches.
    """

    outputs: Arrays
    where: Arrays
    tolerances: Mapping[str, Tolerance]
    contributions: Mapping[str, Mapping[str, float]]
    faults: Mapping[str, Caught]


def freeze(
    case: Case,
    draw: int,
    stored: Arrays,
    answering: Reference,
    behind: Reference,
    varied: Mapping[str, Reference],
) -> Golden:
    """Make the golden of a case.

    Args:
        case: the case.
        draw: number of the draw that gave the inputs.
        stored: the inputs that the golden stores.
        answering: the reference whose outputs are frozen.
        behind: the one that noise and faults come from.
        varied: the one behind, under settings that may change rounding only.

    Raises:
        GoldenError: the case proves nothing, or the two references do not agree.
    """
    inputs = case.complete_inputs(stored)
    proof = prove(case, inputs, behind, varied)
    outputs, provenance = proof.outputs, answering.provenance()
    producer = answering.producer(case.operation)
    require_producer(case, producer)
    if answering is not behind:
        outputs, share = _agreed(case, inputs, proof, answering, behind)
        provenance |= {"proved_with": f"{described(behind.provenance())}, which agrees to {share:.2g} of the tolerance"}
    return Golden(
        case=case.name,
        operation=case.operation.name,
        summary=case.summary,
        parameters=dict(case.parameters),
        definition=case.definition_digest(inputs),
        draw=draw,
        producer=producer,
        provenance=provenance,
        inputs=stored,
        outputs=outputs,
        where=proof.where,
        tolerances=proof.tolerances,
        noise=proof.contributions,
        expected_constant=dict(case.expected_constant),
        faults=proof.faults,
        invisible=case.invisible_on(inputs),
        derived={
            key: Derived(array.shape, array.dtype.str, digest_array(array))
            for key, array in inputs.items()
            if key not in stored
        },
    )


# ------------------------------------------------------------------------------------------------ proving


def prove(case: Case, inputs: Arrays, behind: Reference, varied: Mapping[str, Reference]) -> Proof:
    """Outputs, noise and faults of a case, from the reference that can tell all of them."""
    operation = case.operation
    whole = behind.evaluate(operation, inputs, case.parameters)
    outputs = operation.kept(whole)
    variants = _variants(case, inputs, behind, varied)
    exact = variants.get("float64", outputs)
    where = {output.name: output.where(exact) for output in operation.outputs if output.where is not None}
    moved = noise.largest_differences(outputs, variants.values())
    where |= {output.name: output.steady(outputs, moved) for output in operation.outputs if output.steady is not None}
    for name, mask in where.items():
        require_mask(case.name, name, outputs[name], mask)
    noise.require_not_vacuous(case, outputs, where)
    tolerances, contributions = _measured(case, inputs, outputs, variants, where)
    faults = prove_faults(
        case,
        inputs,
        whole,
        tolerances,
        where,
        lambda changed, parameters: behind.evaluate(operation, changed, parameters),
    )
    return Proof(outputs, where, tolerances, contributions, faults)


def _variants(
    case: Case, inputs: Arrays, behind: Reference, varied: Mapping[str, Reference]
) -> dict[str, dict[str, np.ndarray]]:
    """The outputs again, in every way that may change rounding and nothing else."""
    operation, parameters = case.operation, case.parameters

    def perturbed(runs: int) -> dict[str, dict[str, np.ndarray]]:
        return {
            f"1 ULP, run {run}": operation.kept(behind.evaluate(operation, noise.perturb(inputs, run), parameters))
            for run in range(1, runs + 1)
        }

    if operation.only_perturbed is not None:
        return perturbed(operation.only_perturbed)
    variants = {name: process.evaluate(operation, inputs, parameters) for name, process in varied.items()}
    variants["again"] = behind.evaluate(operation, inputs, parameters)
    if operation.precision == "float32":
        variants["float64"] = behind.evaluate(operation, inputs, parameters, "float64")
    return {name: operation.kept(outputs) for name, outputs in variants.items()} | perturbed(ULP_RUNS)


def _measured(
    case: Case, inputs: Arrays, outputs: Arrays, variants: Mapping[str, Arrays], where: Arrays
) -> tuple[dict[str, Tolerance], dict[str, dict[str, float]]]:
    """The tolerance of every output, and what each variant contributed to it."""
    tolerances, contributions = {}, {}
    for output in case.operation.outputs:
        tolerances[output.name], contributions[output.name] = noise.measure(
            case,
            output,
            inputs,
            outputs[output.name],
            {name: found[output.name] for name, found in variants.items()},
            where.get(output.name),
        )
    return tolerances, contributions


# ------------------------------------------------------------------------------------------------ two references


def _agreed(
    case: Case, inputs: Arrays, proof: Proof, answering: Reference, behind: Reference
) -> tuple[dict[str, np.ndarray], float]:
    """What the answering reference returns, and the share of the tolerance by which it differs from the one behind.

    Raises:
        GoldenError: that is more than the tolerance; or the faults, which were measured from the one behind, lie so
            near that they might not be caught from here.
    """
    outputs = case.operation.kept(answering.evaluate(case.operation, inputs, case.parameters))
    comparisons = compare_outputs(proof.outputs, outputs, proof.tolerances, proof.where)
    if not all(comparison.passed for comparison in comparisons):
        raise GoldenError(_disagreement(case, proof, outputs, comparisons, answering, behind))
    noise.require_not_vacuous(case, outputs, proof.where)
    share = max(comparison.share for comparison in comparisons)
    near = [name for name, caught in proof.faults.items() if caught.margin <= 1 + share]
    if near:
        raise GoldenError(
            f"case {case.name}: the references differ by {share:.2g} of the tolerance, and the fault(s) {near} lie "
            f"within {1 + share:.2g} of it: they might pass. Choose inputs that show them better"
        )
    return outputs, share


def _disagreement(
    case: Case,
    proof: Proof,
    outputs: Arrays,
    comparisons: list[Comparison],
    answering: Reference,
    behind: Reference,
) -> str:
    asked, ours = described(answering.provenance()), described(behind.provenance())
    lines = [f"case {case.name}: {asked} does not compute what {ours} does, so nothing can be proved of its outputs"]
    for comparison in comparisons:
        if not comparison.passed:
            lines += explain(case.name, comparison)
    causes = diagnose(
        proof.outputs, outputs, comparisons, proof.tolerances, proof.where, proof.faults, case.operation.path
    )
    if causes:
        lines += [*explain_causes(causes), f"  (expected: {ours}; found, and 'the port': {asked})"]
    topic = case.operation.name.split(".")[0]
    lines.append(
        f"  Either it changed, or our reading of it is wrong: correct {behind.module}.{topic} and the documents after "
        f"it. Nothing was written"
    )
    return "\n".join(lines)
