"""`flask --app entry gallery report`: how many strangers are let in, who has two ids."""

import json
from collections.abc import Iterator
from contextlib import closing

import click
from tqdm import tqdm

from app.bootstrap import make_catalogue, policy
from app.commands.common import command_settings, open_existing_store
from app.gallery.false_matches import FEWEST, Curve, Share
from app.gallery.report import report as gallery_report
from app.gallery.report import thresholds
from app.gallery.self_measurement import Measurement, SelfMeasurement
from app.settings import SettingsError
from app.storage import StoreUnavailable, UnknownSeal
from models.catalogue import ModelUnavailable
from models.choice import choose_model

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
        click.echo(json.dumps({"by_model": models, **gallery_report(measured, rule.max_fpir)}))
        return
    for line in _lines(measured, rule.max_fpir, models):
        click.echo(line)


def _lines(measured: Measurement, max_fpir: float, models: dict[str, int]) -> Iterator[str]:
    people, curve = measured.people, measured.estimate.curve
    yield f"employees by model: {', '.join(f'{name} {count}' for name, count in models.items())}"
    yield f"with one vector: {measured.single} of {people}"
    yield ""
    if curve:
        yield from _shares(curve, measured, max_fpir)
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


def _shares(curve: Curve, measured: Measurement, max_fpir: float) -> Iterator[str]:
    yield "     α   strangers let in (FPIR), and the 95 % interval"
    auto = curve.threshold(max_fpir)
    for threshold in thresholds(curve, measured.threshold, max_fpir):
        notes = ["in force"] * (threshold == measured.threshold) + ["auto"] * (threshold == auto)
        note = f"   <- {', '.join(notes)}" if notes else ""
        yield f" {threshold:5.3f}   {_share(curve.fpir(threshold))}{note}"
    if curve.fpir(auto).estimate > max_fpir:
        yield f"No α holds MAX_FPIR={max_fpir:g} here: enrol more photos of each employee."


def _share(share: Share) -> str:
    return f"{share.estimate:8.2%}   {share.low:.2%} to {share.high:.2%}"
