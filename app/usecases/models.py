"""Which face model the service runs: FACE_MODEL, or what the data say."""

import structlog

from models.catalogue import Catalogue, FaceModel, ModelUnavailable

log = structlog.get_logger()


def choose_model(wanted: str, stored: dict[str, int], catalogue: Catalogue) -> FaceModel:
    """The model to run.

    wanted: the setting FACE_MODEL. stored: how many employees the store holds for each model.
    Raises ModelUnavailable.
    """
    if wanted == "facenet":
        if catalogue.own_name is None:
            raise ModelUnavailable(
                "FACE_MODEL is facenet: set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256, too"
            )
        wanted = catalogue.own_name
    if wanted != "auto":
        return catalogue.get(wanted)
    if len(stored) > 1:
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(stored.items()))
        raise ModelUnavailable(
            f"The store holds vectors of several models ({counts}): set FACE_MODEL to one of them"
        )
    if stored:
        return catalogue.get(next(iter(stored)))
    if catalogue.own_name is not None:
        return catalogue.get(catalogue.own_name)
    try:
        return catalogue.get("vggface2")
    except ModelUnavailable as error:
        log.warning("using the model dlib, because vggface2 cannot be had", reason=str(error))
        return catalogue.get("dlib")
