"""Chooses the face model: FACE_MODEL names it, or `auto` leaves the choice to the stored vectors.

In these functions, `wanted` is the setting FACE_MODEL, and `stored` says how many employees the
store holds for each model.
"""

from collections.abc import Mapping

import structlog

from models.catalogue import Catalogue, FaceModel, ModelUnavailable

log = structlog.get_logger()


def choose_model(
    wanted: str, stored: Mapping[str, int], catalogue: Catalogue, *, fetch: bool = True
) -> FaceModel:
    """Return the model to run.

    If neither FACE_MODEL nor the store decides, that is vggface2 if its weights are available,
    else dlib. fetch: whether a download may make them available; without it, nothing is fetched.
    Raise ModelUnavailable.
    """
    name = chosen_name(wanted, stored, catalogue)
    if name is not None:
        return catalogue.get(name)
    if not fetch:
        return catalogue.get("vggface2" if catalogue.has_vggface2() else "dlib")
    model = catalogue.get("vggface2")
    try:
        model.network()
    except ModelUnavailable as error:
        log.warning("using the model dlib, because vggface2 is unavailable", reason=str(error))
        return catalogue.get("dlib")
    return model


def choose_second(wanted: str | None, running: FaceModel, catalogue: Catalogue) -> FaceModel | None:
    """Return the model that SECOND_FACE_MODEL names; None if it names none.

    Raise ModelUnavailable.
    """
    if wanted is None:
        return None
    name = chosen_name(wanted, {}, catalogue, "SECOND_FACE_MODEL")
    if name is None or name == running.name:
        raise ModelUnavailable(
            f"SECOND_FACE_MODEL is the model that runs, {running.name}: unset it, or set "
            "FACE_MODEL to the other one"
        )
    return catalogue.get(name)


def chosen_name(
    wanted: str,
    stored: Mapping[str, int],
    catalogue: Catalogue,
    setting: str = "FACE_MODEL",
) -> str | None:
    """Return the name that the setting or the store decides on; None if neither does.

    The catalogue may not know that model. Raise ModelUnavailable if the decision is impossible.
    """
    if wanted == "facenet" and catalogue.own_name is None:
        raise ModelUnavailable(
            f"{setting} is facenet: set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256, too"
        )
    if wanted == "onnx" and catalogue.onnx_name is None:
        raise ModelUnavailable(f"{setting} is onnx: set ONNX_MODEL, too")
    own = {"facenet": catalogue.own_name, "onnx": catalogue.onnx_name}
    if wanted in own:
        return own[wanted]
    if wanted != "auto":
        return wanted
    if len(stored) > 1:
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(stored.items()))
        raise ModelUnavailable(
            f"The store holds vectors of several models ({counts}): set FACE_MODEL to one of them"
        )
    return next(iter(stored), catalogue.own_name or catalogue.onnx_name)
