"""Requirements on pictures."""

from dataclasses import dataclass

from app.recognition.image import FORMATS


@dataclass(frozen=True, slots=True)
class PictureRequirements:
    """Requirements on pictures, and on the faces in them.

    megapixels: maximum of one picture, and of all pictures that are decoded at the same time.
    formats: the accepted ones of FORMATS.
    elongation: maximum of the longer side divided by the shorter one.
    face_side: minimum side of a face in pixels.
    sharpness: minimum of a face; see `recogniser.sharpness`.
    rival: share of the largest face's side above which a second face is a rival.
    tie: share of the largest face's side from which a more central face is the main one.
    sure_score: if the upright picture's main face scores less, rotated pictures are searched as
        well; a face found there must score more.
    search_side: pixels of a picture's shorter side that suffice to find a face.
    fine_megapixels: size of the picture in a second search, if the first finds nothing.
    frame_megapixels: maximum of one frame.
    """

    megapixels: float = 51
    formats: tuple[str, ...] = FORMATS
    elongation: float = 5
    face_side: float = 24
    sharpness: float = 0.00025
    rival: float = 0.6
    tie: float = 0.9
    sure_score: float = 0.99
    search_side: int = 480
    fine_megapixels: float = 3
    frame_megapixels: float = 4.2
