"""What pictures must be like."""

from dataclasses import dataclass

from app.recognition.image import FORMATS


@dataclass(frozen=True, slots=True)
class PictureRequirements:
    """What pictures must be like.

    megapixels: the most that is decoded, of one picture and of all that are being decoded.
    formats: the accepted ones of FORMATS.
    elongation: the longer side divided by the shorter one, at most.
    face_side: least side of a face in pixels.
    sharpness: least sharpness of a face, see `sharpness`.
    rival: share of the largest face's side; a second face of that size forbids enrolment.
    tie: share of the largest face's side; a face of that size may count if it is more central.
    sure_score: below this score a face is also looked for in the turned picture, where it must
        reach it.
    search_side: pixels of a picture's shorter side that suffice to find the face.
    fine_megapixels: size of the picture for a second search if the first finds nothing.
    frame_megapixels: the most that is decoded of one frame.
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
