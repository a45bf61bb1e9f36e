"""Parser of multipart/form-data bodies with a limit on their number of parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from obverse.serving.limits import MAX_PARTS
from obverse.serving.refusals import Refusal


@dataclass
class Part:
    """One field of a form."""

    name: str = ""

    filename: str | None = None
    """Name of the file, without folders; None for a field that is no file."""

    data: bytearray = field(default_factory=bytearray)


class _Collector:
    """Callbacks of the parser."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.is_complete = False
        self._header_name, self._header_value = bytearray(), bytearray()

    def on_part_begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise Refusal("too-many", f"a form has at most {MAX_PARTS} parts")
        self.parts.append(Part())

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            _, options = _options(bytes(self._header_value))
            part = self.parts[-1]
            part.name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options:
                filename = options[b"filename"].decode("utf-8", "replace")
                part.filename = filename.replace("\\", "/").rpartition("/")[2]
        self._header_name, self._header_value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].data += memoryview(data)[start:end]

    def on_end(self) -> None:
        self.is_complete = True


def read_form(body: bytes, content_type: str) -> list[Part]:
    """The parts of a form, in order. content_type: with its boundary.

    Refusal: bad-multipart, too-many.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser

    _, options = _options(content_type.encode("latin-1", "replace"))
    collector = _Collector()
    names = ("part_begin", "header_field", "header_value", "header_end", "part_data", "end")
    callbacks = {f"on_{name}": getattr(collector, f"on_{name}") for name in names}
    try:
        parser = MultipartParser(options[b"boundary"], callbacks)  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except (FormParserError, KeyError, ValueError):
        raise Refusal("bad-multipart", "the form is damaged, or its boundary is missing") from None
    if not collector.is_complete:
        raise Refusal("bad-multipart", "the form is cut short")
    return collector.parts


def _options(value: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    from python_multipart.multipart import parse_options_header

    return parse_options_header(value)
