"""`flask --app entry gallery report`: how many strangers are let in, who has two ids."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict

import click
from tqdm import tqdm

from app.bootstrap import make_catalogue, policy
from app.commands.common import command_settings, open_existing_store
from app.gallery.false_matches import FEWEST, Curve, Share
from app.gallery.self_measurement import Measurement, Policy, SelfMeasurement
from app.settings import SettingsError
from app.storage import StoreUnavailable, UnknownSeal
from models.catalogue import ModelUnavailable
from models.choice import choose_model

_THRESHOLDS = (0.6, 0.65, 0.7, 0.75, 0.8)
_EXAMPLES = 100  # pairs that are named; --json names all


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def report(as_json: bool) -> None:
    """Estimate how many strangers are let in, and name people who are likely under two ids."""
    try:
        settings = command_settings()
        with closing(open_existing_store(settings)) as store:
            store.check_seals()
            models = store.models()
            model = choose_model(settings.face_model, models, make_catalogue(settings), fetch=False)
            # Everybody is read twice: to choose whom to compare, and to compare them.
            with tqdm(total=2 * store.count(), unit=" employees", disable=None) as bar:
                rule = policy(settings)
                measured = SelfMeasurement(store, model, rule, quiet=True).measure(bar.update)
    except (SettingsError, StoreUnavailable, ModelUnavailable, UnknownSeal) as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(_json(measured, rule, models)))
        return
    for line in _lines(measured, rule, models):
        click.echo(line)


def _thresholds(measured: Measurement, rule: Policy) -> list[float]:
    """Return each α to show, in ascending order."""
    thresholds = {*_THRESHOLDS, measured.threshold}
    if measured.estimate.curve:
        thresholds.add(measured.estimate.curve.threshold(rule.max_fpir))
    return sorted(thresholds)


def _json(measured: Measurement, rule: Policy, models: dict[str, int]) -> dict[str, object]:
    curve = measured.estimate.curve
    return measured.summary() | {
        "by_model": models,
        "max_fpir": rule.max_fpir,
        "auto": curve.threshold(rule.max_fpir) if curve else None,
        "fpir_by_threshold": [
            {"threshold": each, **asdict(curve.fpir(each))} for each in _thresholds(measured, rule)
        ]
        if curve
        else [],
        "same_person": [asdict(pair) for pair in measured.estimate.same],
    }


def _lines(measured: Measurement, rule: Policy, models: dict[str, int]) -> Iterator[str]:
    people, curve = measured.people, measured.estimate.curve
    yield f"employees by model: {', '.join(f'{name} {count}' for name, count in models.items())}"
    yield f"with one vector: {measured.single} of {people}"
    yield ""
    if curve:
        yield from _shares(curve, measured, rule)
    elif people < FEWEST:
        yield f"{FEWEST} employees or more can tell how many strangers are let in; {people} cannot."
    else:
        yield "The employees are too much alike to tell how many strangers are let in."
    yield ""
    same = measured.estimate.same
    yield f"likely one person under two ids: {len(same)} pairs"
    for pair in same[:_EXAMPLES]:
        yield f"  {pair.one} and {pair.other}, distance {pair.distance:.3f}"
    if len(same) > _EXAMPLES:
        yield "  …, all with --json"
    if measured.compared < people:
        yield (
            f"{measured.compared} employees, chosen by a hash of their ids, were compared with all "
            "others."
        )


def _shares(curve: Curve, measured: Measurement, rule: Policy) -> Iterator[str]:
    yield "     α   strangers let in (FPIR), and the 95 % interval"
    auto = curve.threshold(rule.max_fpir)
    for threshold in _thresholds(measured, rule):
        notes = ["in force"] * (threshold == measured.threshold) + ["auto"] * (threshold == auto)
        note = f"   <- {', '.join(notes)}" if notes else ""
        yield f" {threshold:5.3f}   {_share(curve.fpir(threshold))}{note}"
    if curve.fpir(auto).estimate > rule.max_fpir:
        yield f"No α holds MAX_FPIR={rule.max_fpir:g} here: enrol more photos of each employee."


def _share(share: Share) -> str:
    return f"{share.estimate:8.2%}   {share.low:.2%} to {share.high:.2%}"
