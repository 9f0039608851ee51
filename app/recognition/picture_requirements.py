"""Requirements on pictures."""

from dataclasses import dataclass

from app.recognition.image import FORMATS


@dataclass(frozen=True, slots=True)
class PictureRequirements:
    """Requirements on pictures, and on the faces in them."""

    megapixels: float = 51  # maximum of one picture, and of all that are decoded at the same time
    formats: tuple[str, ...] = FORMATS  # the accepted ones of FORMATS
    elongation: float = 5  # maximum of the longer side divided by the shorter one
    face_side: float = 24  # minimum side of a face in pixels
    sharpness: float = 0.00025  # minimum of a face; see `recogniser.sharpness`
    quality: str = "standard"  # of a face to be enrolled: a key of `quality.LIMITS`
    rival: float = 0.6  # share of the largest face's side above which a second face is a rival
    tie: float = 0.9  # share of that side from which a more central face is the main one
    # If the upright picture's main face scores less, rotated pictures are searched as well; a face
    # found there must score more.
    sure_score: float = 0.99
    search_side: int = 480  # pixels of a picture's shorter side that suffice to find a face
    fine_megapixels: float = 3  # size of the picture in a second search, if the first finds nothing
    frame_megapixels: float = 4.2  # maximum of one frame
