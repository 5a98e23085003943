"""Make a golden: compute outputs, noise and wrong outputs; refuse a case that lets a fault through.

Outputs come from one reference, the source. Noise and faults come from the backing reference, which can also compute in
float64, under other settings, on perturbed inputs, and with faults. Usually the two are the same. If not, their
outputs must first agree within the tolerance that was measured with the backing reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from golden.generator.worker import Reference
from golden.judge.compare import Tolerance
from golden.judge.judgement import Judgement, judge
from golden.judge.proof import Caught, prove_faults
from golden.judge.tolerance import largest_differences, measure, perturb, require_not_vacuous, without_kinks
from golden.report.text import explain, explain_causes
from golden.spec.arrays import Arrays, digest_array
from golden.spec.case import Case
from golden.spec.errors import GoldenError
from golden.spec.operation import ULP_RUNS
from golden.spec.parameters import Parameters
from golden.spec.references import described
from golden.store.golden import Derived, Golden, require_mask, require_producer


@dataclass(frozen=True)
class Proof:
    """The results of the backing reference for a case.

    Attributes:
        outputs: what it computes.
        where: masks of the elements that are compared, for some outputs.
        tolerances: of every output.
        contributions: of each rerun to the noise: output -> rerun -> fraction of the output's scale.
        faults: those that the case catches.
        parameters: of the case.
    """

    outputs: Arrays
    where: Arrays
    tolerances: Mapping[str, Tolerance]
    contributions: Mapping[str, Mapping[str, float]]
    faults: Mapping[str, Caught]
    parameters: Parameters


def freeze(
    case: Case,
    draw: int,
    stored: Arrays,
    source: Reference,
    backing: Reference,
    variants: Mapping[str, Reference],
) -> Golden:
    """Make the golden of a case.

    Args:
        case: the case.
        draw: number of the draw that gave the inputs.
        stored: the inputs that the golden stores.
        source: the reference whose outputs are frozen.
        backing: the reference that noise and faults come from.
        variants: the backing reference under settings that change only rounding, by name.

    Raises:
        GoldenError: the case proves nothing, or the two references do not agree.
    """
    inputs = case.complete_inputs(stored)
    proof = prove(case, inputs, backing, variants)
    outputs, provenance = proof.outputs, source.provenance()
    producer = source.producer(case.operation)
    require_producer(case, producer)
    if source is not backing:
        outputs, share = _agreed(case, inputs, proof, source, backing)
        provenance |= {
            "proved_with": f"{described(backing.provenance())}, which agrees to {share:.2g} of the tolerance"
        }
    golden = Golden(
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
    return replace(golden, labels=golden.labels_of(case.operation))


# ------------------------------------------------------------------------------------------------ proving


def prove(case: Case, inputs: Arrays, backing: Reference, variants: Mapping[str, Reference]) -> Proof:
    """Compute a case's outputs, measure their noise, and compute what each fault gets wrong."""
    operation = case.operation
    whole = backing.evaluate(operation, inputs, case.parameters)
    outputs = operation.kept(whole)
    reruns = _reruns(case, inputs, backing, variants)
    exact = reruns.get("float64", outputs)
    where = {output.name: output.where(exact) for output in operation.outputs if output.where is not None}
    moved = largest_differences(outputs, reruns.values())
    where |= {output.name: output.steady(outputs, moved) for output in operation.outputs if output.steady is not None}
    if operation.kernels_matter:
        where = without_kinks(case, inputs, outputs, moved, where)
    for name, mask in where.items():
        require_mask(case.name, name, outputs[name], mask)
    require_not_vacuous(case, outputs, where)
    tolerances, contributions = _measured(case, inputs, outputs, reruns, where)
    faults = prove_faults(
        case,
        inputs,
        whole,
        tolerances,
        where,
        lambda changed, parameters: backing.evaluate(operation, changed, parameters),
    )
    return Proof(outputs, where, tolerances, contributions, faults, case.parameters)


def _reruns(
    case: Case, inputs: Arrays, backing: Reference, variants: Mapping[str, Reference]
) -> dict[str, dict[str, np.ndarray]]:
    """Compute the outputs again in every way that changes only rounding."""
    operation, parameters = case.operation, case.parameters

    def perturbed(runs: int) -> dict[str, dict[str, np.ndarray]]:
        return {
            f"1 ULP, run {run}": operation.kept(backing.evaluate(operation, perturb(inputs, run), parameters))
            for run in range(1, runs + 1)
        }

    if operation.only_perturbed is not None:
        return perturbed(operation.only_perturbed)
    reruns = {name: process.evaluate(operation, inputs, parameters) for name, process in variants.items()}
    reruns["repeated"] = backing.evaluate(operation, inputs, parameters)
    if operation.precision == "float32":
        reruns["float64"] = backing.evaluate(operation, inputs, parameters, "float64")
    return {name: operation.kept(outputs) for name, outputs in reruns.items()} | perturbed(ULP_RUNS)


def _measured(
    case: Case, inputs: Arrays, outputs: Arrays, reruns: Mapping[str, Arrays], where: Arrays
) -> tuple[dict[str, Tolerance], dict[str, dict[str, float]]]:
    """Measure the tolerance of every output, and what each rerun contributed to it."""
    tolerances, contributions = {}, {}
    for output in case.operation.outputs:
        tolerances[output.name], contributions[output.name] = measure(
            case,
            output,
            inputs,
            outputs[output.name],
            {name: found[output.name] for name, found in reruns.items()},
            where.get(output.name),
        )
    return tolerances, contributions


# ------------------------------------------------------------------------------------------------ two references


def _agreed(
    case: Case, inputs: Arrays, proof: Proof, source: Reference, backing: Reference
) -> tuple[dict[str, np.ndarray], float]:
    """Return the source's outputs, and how far they are from the backing reference's, as a share of the tolerance.

    Raises:
        GoldenError: they differ by more than the tolerance; or a fault, measured from the backing reference's outputs,
            is so near that it might not be caught from the source's.
    """
    outputs = case.operation.kept(source.evaluate(case.operation, inputs, case.parameters))
    judgement = judge(proof, outputs, case.operation.path)
    if not judgement.passed:
        raise GoldenError(_disagreement(case, judgement, source, backing))
    require_not_vacuous(case, outputs, proof.where)
    share = judgement.share
    near = [name for name, caught in proof.faults.items() if caught.margin <= 1 + share]
    if near:
        raise GoldenError(
            f"case {case.name}: the references differ by {share:.2g} of the tolerance, and the fault(s) {near} are "
            f"within {1 + share:.2g} tolerances, so a port with them might pass. Choose inputs that show them better"
        )
    return outputs, share


def _disagreement(case: Case, judgement: Judgement, source: Reference, backing: Reference) -> str:
    asked, ours = described(source.provenance()), described(backing.provenance())
    lines = [f"case {case.name}: the outputs of {asked} differ from those of {ours}, so nothing can be proved of them"]
    for comparison in judgement.failed:
        lines += explain(case.name, comparison)
    if judgement.causes:
        lines += [*explain_causes(judgement.causes), f"  (expected: {ours}; found, and 'the port': {asked})"]
    lines.append(
        f"  Either {asked} changed, or we misread it: correct {case.operation.name} in {backing.module}, and then the "
        f"documents. Nothing was written"
    )
    return "\n".join(lines)
