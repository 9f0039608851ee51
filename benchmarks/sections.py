"""Write measurements into a section of a document, between two comments."""

from pathlib import Path


def write(document: Path, name: str, lines: list[str]) -> None:
    """Replace the lines between `<!-- name -->` and `<!-- end of name -->`."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = document.read_text().partition(begin)
    _, _, after = rest.partition(end)
    document.write_text(before + begin + "\n".join(["", *lines, "", ""]) + end + after)
