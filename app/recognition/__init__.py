"""Pixels → faces → feature vectors."""


class UnusableImage(Exception):
    """A picture that can be read but shows no face to work with.

    code: stable and short, for programs. The message is one sentence for a person.
    """

    code = "unusable_image"


class ImageTooLarge(UnusableImage):
    """The picture has more pixels than are decoded."""

    code = "image_too_large"


class NoFace(UnusableImage):
    """No face was found."""

    code = "no_face"


class SeveralFaces(UnusableImage):
    """A second face is nearly as large as the largest one."""

    code = "several_faces"


class DifferentPeople(UnusableImage):
    """Several pictures that are to be enrolled together show different people."""

    code = "different_people"


class FaceTooSmall(UnusableImage):
    """The face has too few pixels to be told from others."""

    code = "face_too_small"


class FaceTooBlurred(UnusableImage):
    """The face is too blurred to be told from others."""

    code = "face_too_blurred"


class NotAnImage(Exception):
    """The data are no picture in a format we read, or are damaged or cut off."""
