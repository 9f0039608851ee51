"""Choose the face model to run: FACE_MODEL, or what the stored vectors say."""

import structlog

from models.catalogue import Catalogue, FaceModel, ModelFacts, ModelUnavailable

log = structlog.get_logger()


def choose_model(wanted: str, stored: dict[str, int], catalogue: Catalogue) -> FaceModel:
    """The model to run.

    wanted: the setting FACE_MODEL. stored: how many employees the store holds for each model.
    Raises ModelUnavailable.
    """
    name = chosen_name(wanted, stored, catalogue.own_name)
    if name is not None:
        return catalogue.get(name)
    try:
        return catalogue.get("vggface2")
    except ModelUnavailable as error:
        log.warning("using the model dlib, because vggface2 cannot be had", reason=str(error))
        return catalogue.get("dlib")


def chosen_name(wanted: str, stored: dict[str, int], own: str | None) -> str | None:
    """The name of the model to run; None if it depends on which weights can be had.

    own: the name of the model of FACENET_WEIGHTS. Raises ModelUnavailable.
    """
    if wanted == "facenet":
        if own is None:
            raise ModelUnavailable(
                "FACE_MODEL is facenet: set FACENET_WEIGHTS and FACENET_WEIGHTS_SHA256, too"
            )
        return own
    if wanted != "auto":
        return wanted
    if len(stored) > 1:
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(stored.items()))
        raise ModelUnavailable(
            f"The store holds vectors of several models ({counts}): set FACE_MODEL to one of them"
        )
    return next(iter(stored), own)


def choose_facts(wanted: str, stored: dict[str, int], catalogue: Catalogue) -> ModelFacts:
    """What is known of the model that `choose_model` would choose; fetches nothing.

    If nothing decides, and the weights of vggface2 are not here, that is dlib, although
    `choose_model` may fetch them. Raises ModelUnavailable.
    """
    return catalogue.facts(
        chosen_name(wanted, stored, catalogue.own_name) or catalogue.default_name
    )
