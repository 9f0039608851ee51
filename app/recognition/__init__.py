"""Pixels → faces → feature vectors."""


class UnusableImage(Exception):
    """The picture can be read, but shows no usable face.

    code: short and stable, for programs. The message is one sentence for a person.
    """

    code = "unusable_image"


class ImageTooLarge(UnusableImage):
    """The picture has more pixels than the service decodes."""

    code = "image_too_large"


class NoFace(UnusableImage):
    """No face was found."""

    code = "no_face"


class SeveralFaces(UnusableImage):
    """A second face is nearly as large as the largest one."""

    code = "several_faces"


class DifferentPeople(UnusableImage):
    """The pictures of one enrolment show different people."""

    code = "different_people"


class FaceTooSmall(UnusableImage):
    """The face has too few pixels to be recognised."""

    code = "face_too_small"


class FaceTooBlurred(UnusableImage):
    """The face is too blurred to be recognised."""

    code = "face_too_blurred"


class PoorLight(UnusableImage):
    """The face is too dark or too bright to be enrolled."""

    code = "poor_light"


class FaceTooNoisy(UnusableImage):
    """The picture is too noisy, or compressed too much, to be enrolled."""

    code = "face_too_noisy"


class FaceTurned(UnusableImage):
    """The face is turned too far aside to be enrolled."""

    code = "face_turned"


class PictureStretched(UnusableImage):
    """The face is much wider or narrower than faces are."""

    code = "picture_stretched"


class FaceCovered(UnusableImage):
    """The eyes or the mouth are covered."""

    code = "face_covered"


class NotAnImage(Exception):
    """The data is not a picture in a format we read, or is damaged or cut off."""

    code = "not_an_image"
