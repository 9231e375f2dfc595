"""Compare two pictures, or two explorers: the same controls, and frames that look the same.

A playground is compared as an explorer without frames: its data may hold the numbers of a network,
which differ between processors, and so may its id, which comes from them.

Geometry is compared in the SVG's own units: each vertex of one drawing lies near a line of the
other and the reverse (a Hausdorff distance). Embedded images are compared pixel by
pixel, on average.
"""

import base64
import io
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np

from tools.compare_text import VOID, Rule, text_trouble, visible_text

UNITS = 4.0  # SVG units a vertex may lie off
PIXELS = 6.0  # of 255, mean absolute difference of an embedded image
CONTROL_ATTRIBUTES = ("name", "type", "min", "max", "step", "value", "aria-label", "data-axis")
TOKEN = re.compile(r"[A-Za-z]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
LENGTHS = {"M": 2, "L": 2, "H": 1, "V": 1, "Q": 4, "C": 6, "S": 4, "T": 2, "A": 7, "Z": 0}


@dataclass
class Explorer:
    """What the HTML of an explorer says, or of a playground."""

    id: str
    controls: list = field(default_factory=list)
    data: dict | None = None


class ExplorerParser(HTMLParser):
    """Finds the explorers and playgrounds of an HTML output."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Explorer] = []
        self.inside = None

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if "data-explorer" in given:
            self.found.append(Explorer(given["data-explorer"]))
        elif "data-playground" in given:
            self.found.append(Explorer("playground"))
        elif self.found and tag in ("input", "select", "option", "button"):
            kept = {k: given[k] for k in CONTROL_ATTRIBUTES if k in given}
            self.found[-1].controls.append((tag, kept))
        elif self.found and tag == "script" and given.get("class") == "dlm-frames":
            self.inside = ""

    def handle_data(self, data):
        if self.inside is not None:
            self.inside += data

    def handle_endtag(self, tag):
        if tag == "script" and self.inside is not None:
            self.found[-1].data = json.loads(self.inside)
            self.inside = None


def explorers(html: str) -> list[Explorer]:
    """The explorers and playgrounds in an HTML output; ValueError if their frames are no JSON."""
    parser = ExplorerParser()
    parser.feed(html)
    parser.close()
    return parser.found


def decode(data: dict) -> list[str]:
    """The SVG of each frame."""
    return ["\n".join(data["lines"][i] for i in frame) for frame in data["frames"]]


def explorer_trouble(stored_html: str, now_html: str, rule: Rule) -> str | None:
    """Say how two outputs' explorers differ, or None."""
    try:
        stored, now = explorers(stored_html), explorers(now_html)
    except ValueError as error:
        return f"the frames of an explorer are no JSON: {error}"
    if [e.id for e in stored] != [e.id for e in now]:
        return f"stored explorers {[e.id for e in stored]}, now {[e.id for e in now]}"
    for a, b in zip(stored, now, strict=True):
        if why := one_trouble(a, b, rule):
            return f"explorer {a.id!r}: {why}"
    return None


def one_trouble(a: Explorer, b: Explorer, rule: Rule) -> str | None:
    """Say how two explorers differ, or None."""
    if a.controls != b.controls:
        return f"stored controls {a.controls}, now {b.controls}"
    if a.data is None or b.data is None:
        return None if a.data is b.data else f"frames stored: {bool(a.data)}, now: {bool(b.data)}"
    for key in ("axes", "alts"):
        if a.data.get(key) != b.data.get(key):
            return f"stored {key} {a.data.get(key)}, now {b.data.get(key)}"
    frames_a, frames_b = decode(a.data), decode(b.data)
    if len(frames_a) != len(frames_b):
        return f"stored {len(frames_a)} frames, now {len(frames_b)}"
    for i, (x, y) in enumerate(zip(frames_a, frames_b, strict=True)):
        if x == y:
            continue
        why = text_trouble(visible_text(x), visible_text(y), rule) or drawing_trouble(x, y)
        if why:
            return f"frame {i}: {why}"
    return None


def figures(html: str) -> list[str]:
    """The SVG pictures in an HTML output, in order; scripts hold none that is shown."""
    shown = re.sub(r"<script\b.*?</script>", "", html, flags=re.DOTALL)
    return re.findall(r"<svg\b.*?</svg>", shown, re.DOTALL)


def figure_trouble(stored_html: str, now_html: str) -> str | None:
    """Say how two outputs' pictures differ in what they draw, or None."""
    stored, now = figures(stored_html), figures(now_html)
    if len(stored) != len(now):
        return f"stored {len(stored)} pictures, now {len(now)}"
    for i, (x, y) in enumerate(zip(stored, now, strict=True), 1):
        if x != y and (why := drawing_trouble(x, y)):
            return f"picture {i} of {len(stored)}: {why}"
    return None


# ---- geometry


@dataclass
class Shape:
    """One drawn element: vertices, the segments between them, an image if it shows one."""

    tag: str
    points: np.ndarray  # (N, 2)
    segments: np.ndarray  # (M, 2, 2)
    image: str | None = None


def numbers(text: str) -> list[float]:
    """All numbers of an attribute."""
    return [float(t) for t in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", text or "")]


def transform(text: str) -> np.ndarray:
    """The 3×3 matrix of a `transform` attribute."""
    total = np.eye(3)
    for name, inside in re.findall(r"(\w+)\s*\(([^)]*)\)", text or ""):
        v, m = numbers(inside), np.eye(3)
        if name == "translate":
            m[:2, 2] = [v[0], v[1] if len(v) > 1 else 0.0]
        elif name == "scale":
            m[0, 0], m[1, 1] = v[0], v[-1]
        elif name == "matrix":
            m[:2] = np.array(v).reshape(3, 2).T
        elif name == "rotate":
            c, s = np.cos(np.radians(v[0])), np.sin(np.radians(v[0]))
            centre = np.array(v[1:3] if len(v) == 3 else [0.0, 0.0])
            m[:2, :2] = [[c, -s], [s, c]]
            m[:2, 2] = centre - m[:2, :2] @ centre
        total = total @ m
    return total


def bezier(points: list, steps: int = 8) -> np.ndarray:
    """Points along a Bézier curve (de Casteljau), without its start."""
    t = np.linspace(0, 1, steps + 1)[1:, None, None]
    p = np.array(points, dtype=float)[None]  # (1, K, 2)
    while p.shape[1] > 1:
        p = (1 - t) * p[:, :-1] + t * p[:, 1:]
    return p[:, 0]


def path_lines(d: str) -> list[np.ndarray]:
    """The polylines of a path's `d`, curves flattened."""
    tokens, lines, command, i = TOKEN.findall(d), [], "M", 0
    here = start = np.zeros(2)
    while i < len(tokens):
        if tokens[i].isalpha():
            command, i = tokens[i], i + 1
        kind, count = command.upper(), LENGTHS[command.upper()]
        v, i = [float(t) for t in tokens[i : i + count]], i + count
        base = here if command.islower() else np.zeros(2)
        if kind == "M":
            here = start = base + v
            lines.append([here])
            command = "l" if command == "m" else "L"
            continue
        if kind == "Z":
            new = [start]
        elif kind in "HV":
            axis = int(kind == "V")
            new = [here.copy()]
            new[0][axis] = base[axis] + v[0]
        elif kind in "LTA":
            new = [base + v[-2:]]
        else:  # Q, C, S
            new = bezier([here, *(base + np.array(v).reshape(-1, 2))])
        lines[-1].extend(new)
        here = np.asarray(new[-1])
    return [np.array(line) for line in lines]


def element_lines(tag: str, a: dict) -> list[np.ndarray]:
    """The polylines that an SVG element draws."""

    def get(*names):
        return [(numbers(a.get(n)) or [0.0])[0] for n in names]

    if tag == "path":
        return path_lines(a.get("d", ""))
    if tag in ("rect", "image"):
        x, y, w, h = get("x", "y", "width", "height")
        return [np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h], [x, y]])]
    if tag == "line":
        return [np.array(get("x1", "y1", "x2", "y2")).reshape(2, 2)]
    if tag in ("polyline", "polygon"):
        return [np.array(numbers(a.get("points"))).reshape(-1, 2)]
    if tag in ("circle", "ellipse"):
        x, y, r, rx, ry = get("cx", "cy", "r", "rx", "ry")
        rx, ry = r or rx, r or ry
        return [np.array([[x - rx, y], [x, y - ry], [x + rx, y], [x, y + ry]])]
    return [np.array([get("x", "y")])]  # use, text: where they stand


class DrawingParser(HTMLParser):
    """Collects the shapes of an SVG, transforms applied; definitions are not drawn."""

    DRAWN = frozenset(
        {"path", "rect", "image", "line", "polyline", "polygon", "circle", "ellipse", "use", "text"}
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.shapes: list[Shape] = []
        self.stack: list[tuple[str, np.ndarray, bool]] = [("", np.eye(3), True)]
        self.box = None

    def handle_starttag(self, tag, attrs, closed=False):
        a = dict(attrs)
        _, outer, drawn = self.stack[-1]
        matrix = outer @ transform(a.get("transform"))
        drawn = drawn and tag not in ("defs", "clippath", "symbol", "marker", "mask")
        if tag == "svg" and self.box is None:
            self.box = numbers(a.get("viewbox"))
        if drawn and tag in self.DRAWN:
            self.add(tag, a, matrix)
        if not closed and tag not in VOID:
            self.stack.append((tag, matrix, drawn))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs, closed=True)

    def handle_endtag(self, tag):
        names = [name for name, *_ in self.stack]
        if tag in names[1:]:
            del self.stack[len(names) - 1 - names[::-1].index(tag) :]

    def add(self, tag, a, matrix):
        lines = [
            line @ matrix[:2, :2].T + matrix[:2, 2] for line in element_lines(tag, a) if len(line)
        ]
        if not lines:
            return
        if self.box and len(self.box) == 4:  # what lies outside is not seen
            low, high = np.array(self.box[:2]) - 10, np.array(self.box[:2]) + self.box[2:] + 10
            lines = [np.clip(line, low, high) for line in lines]
        pieces = [np.stack([np.concatenate([line[:1], line[:-1]]), line], 1) for line in lines]
        image = (a.get("href") or a.get("xlink:href")) if tag == "image" else None
        self.shapes.append(Shape(tag, np.concatenate(lines), np.concatenate(pieces), image))


def drawing(svg: str) -> list[Shape]:
    """The shapes that an SVG draws, in order."""
    parser = DrawingParser()
    parser.feed(svg)
    parser.close()
    return parser.shapes


def far(points: np.ndarray, segments: np.ndarray) -> float:
    """The largest distance from a point to the nearest of the segments."""
    worst = 0.0
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]  # (M, 2)
    length = np.maximum((along**2).sum(-1), 1e-12)
    for chunk in np.array_split(points, max(1, len(points) * len(segments) // 1_000_000)):
        to = chunk[:, None] - start  # (N, M, 2)
        t = np.clip((to * along).sum(-1) / length, 0, 1)
        gap = np.linalg.norm(to - t[..., None] * along, axis=-1).min(1)
        worst = max(worst, float(gap.max(initial=0.0)))
    return worst


def apart(a: Shape, b: Shape) -> float:
    """Hausdorff distance between two shapes, in SVG units."""
    return max(far(a.points, b.segments), far(b.points, a.segments))


def pool(shapes: list[Shape]) -> Shape:
    """All shapes of a drawing as one."""
    return Shape(
        "all",
        np.concatenate([s.points for s in shapes]),
        np.concatenate([s.segments for s in shapes]),
    )


def drawing_trouble(stored: str, now: str) -> str | None:
    """Say where two SVG drawings differ beyond UNITS and PIXELS, or None.

    Shapes are paired in order; where their number differs (a contour in two pieces) all are taken
    together, images apart.
    """
    a, b = drawing(stored), drawing(now)
    images_a, images_b = ([s for s in x if s.image] for x in (a, b))
    if not a or not b or len(images_a) != len(images_b):
        same = not a and not b
        counts = f"{len(a)} shapes ({len(images_a)} images), now {len(b)} ({len(images_b)})"
        return None if same else f"stored draws {counts}"
    paired = [s.tag for s in a] == [s.tag for s in b]
    pairs = list(zip(a, b, strict=True)) if paired else [(pool(a), pool(b))]
    for i, (x, y) in enumerate(pairs):
        if (gap := apart(x, y)) > UNITS:
            return f"shape {i} ({x.tag}) lies {gap:.1f} SVG units off, tolerance {UNITS:g}"
    for x, y in zip(images_a, images_b, strict=True):
        if why := image_trouble(x.image, y.image):
            return why
    return None


def pixels(uri: str) -> np.ndarray:
    """The pixels of a data URI as floats, (H, W, 4)."""
    from PIL import Image

    content = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGBA"), dtype=float)


def image_trouble(stored: str, now: str) -> str | None:
    """Say how two embedded images differ, or None."""
    if stored == now:
        return None
    a, b = pixels(stored), pixels(now)
    if a.shape != b.shape:
        return f"an embedded image was {a.shape[:2]}, now {b.shape[:2]} (height, width)"
    if (gap := float(np.abs(a - b).mean())) > PIXELS:
        return f"an embedded image differs by {gap:.1f} of 255 on average, tolerance {PIXELS:g}"
    return None
