"""A sheet as PNG or SVG, by matplotlib's Figure (never pyplot). It belongs to the drawing process."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree as ET

import matplotlib
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyBboxPatch, Polygon
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, Transform

from bot.cards.drawing import glyphs
from bot.cards.drawing.sheet import Box, Drawn, Path, Point, Sheet
from bot.cards.picture import ImageFormat

UNITS_PER_INCH = 72
"""So that a font size in units is one in points."""

_SVG = "http://www.w3.org/2000/svg"
_FONT_FAMILY = re.compile(r"(font-family: [^;]+)")


def figure_of(sheet: Sheet) -> Figure:
    """Return the figure of a sheet; what is drawn first lies below."""
    width, height = sheet.width, sheet.below
    figure = Figure(figsize=(width / UNITS_PER_INCH, height / UNITS_PER_INCH), dpi=UNITS_PER_INCH)
    figure.set_facecolor(sheet.theme.ground)
    # Units from the top left to inches from the bottom left.
    flipped = Affine2D().scale(1 / UNITS_PER_INCH, -1 / UNITS_PER_INCH).translate(0, height / UNITS_PER_INCH)
    place: Transform = flipped + figure.dpi_scale_trans
    for order, thing in enumerate(sheet.things):
        artist = _artist(thing, place, order)
        artist.set_zorder(order)
        figure.add_artist(artist)
    return figure


def _artist(thing: Drawn | Box | Path | Point, place: Transform, order: int) -> Artist:
    if isinstance(thing, Drawn):
        text = Text(
            thing.x,
            thing.y,
            thing.text,
            color=thing.colour,
            horizontalalignment=thing.align,
            verticalalignment="baseline",
            fontproperties=glyphs.font(thing.style.size, thing.style.weight),
            parse_math=False,  # a name may hold dollar signs
            transform=place,
        )
        text.set_gid(f"text-{order}")
        return text
    if isinstance(thing, Box):
        return FancyBboxPatch(
            (thing.x, thing.y),
            thing.width,
            thing.height,
            boxstyle=f"round,pad=0,rounding_size={thing.radius}",
            facecolor=thing.fill,
            edgecolor="none",
            linewidth=0,
            transform=place,
        )
    if isinstance(thing, Point):
        return Line2D(
            [thing.x],
            [thing.y],
            marker=thing.shape,
            markersize=thing.size,
            markerfacecolor=thing.colour,
            markeredgecolor=thing.edge,
            markeredgewidth=1.2,
            linestyle="none",
            transform=place,
        )
    if thing.fill is not None:
        return Polygon(
            thing.points, closed=True, facecolor=thing.fill, alpha=thing.opacity, edgecolor="none", transform=place
        )
    line = Line2D(
        [x for x, _ in thing.points],
        [y for _, y in thing.points],
        color=thing.colour,
        linewidth=thing.width,
        solid_capstyle="round",
        solid_joinstyle="round",
        dash_capstyle="butt",
        transform=place,
    )
    if thing.dash is not None:
        line.set_linestyle((0, tuple(length / thing.width for length in thing.dash)))
    return line


def render(sheet: Sheet, image: ImageFormat, *, scale: float, title: str, alt_text: str) -> tuple[bytes, int, int]:
    """Return a sheet's bytes, width and height.

    Args:
        sheet: what was drawn.
        image: PNG or SVG.
        scale: pixels of the PNG for each unit; an SVG has none.
        title: name of an SVG for screen readers.
        alt_text: description of an SVG for screen readers.
    """
    figure = figure_of(sheet)
    out = io.BytesIO()
    if image is ImageFormat.PNG:
        figure.savefig(out, format="png", dpi=UNITS_PER_INCH * scale, metadata={"Software": None})
        data = out.getvalue()
        return data, int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "card"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    widths = {f"text-{order}": thing.width for order, thing in enumerate(sheet.things) if isinstance(thing, Drawn)}
    return _described(out.getvalue(), title, alt_text, widths), round(sheet.width), round(sheet.below)


def _described(data: bytes, title: str, alt_text: str, widths: dict[str, float]) -> bytes:
    """Add to an SVG what a screen reader reads, and for machines without our typefaces a last one and each width."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(data)  # noqa: S314 - our own drawing
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for side in ("width", "height"):
        root.set(side, root.get(side, "").removesuffix("pt"))  # our units are the page's pixels
    root.set("role", "img")
    root.set("aria-labelledby", "card-title card-desc")
    description = ET.Element(f"{{{_SVG}}}desc", {"id": "card-desc"})
    description.text = alt_text
    named = ET.Element(f"{{{_SVG}}}title", {"id": "card-title"})
    named.text = title
    root.insert(0, description)
    root.insert(0, named)
    for group in root.iter(f"{{{_SVG}}}g"):
        width = widths.get(group.get("id", ""))
        for text in group.findall(f"{{{_SVG}}}text") if width else ():
            text.set("style", _FONT_FAMILY.sub(r"\1, sans-serif", text.get("style", "")))
            text.set("textLength", f"{width:.2f}")
            text.set("lengthAdjust", "spacingAndGlyphs")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True))
