"""Compare a cell's fresh outputs with the stored ones; `conftest.py` puts this in nbval's place.

The rules (see compare_text and compare_frames): words exactly; integers exactly; other numbers
within rtol 1e-2 or 1.5 units of their last printed digit; HTML by what its reader gets, its
pictures by their geometry; explorers by their controls and the geometry of each frame; playgrounds
by their text, their controls and the first picture.
A cell may carry an exception, with a reason:

    :compare: {rtol: 0.1, reason: "sums in another order on other processors"}
    :compare: {ignore: true, reason: "a timing"}
"""

from tools.compare_frames import explorer_trouble, figure_trouble, image_trouble
from tools.compare_text import Rule, json_trouble, text_trouble, visible_text

SKIPPED = {"application/vnd.jupyter.widget-view+json"}  # model ids are random
EXPECTED = "expected {rtol: number, atol: number or ignore: true, reason: why}"


def exception(metadata: dict) -> dict | None:
    """The exception that a cell asks for, checked; None if it asks for none.

    Raises:
        ValueError: a key is unknown, or the reason is missing.
    """
    if "compare" not in metadata:
        return None
    asked = metadata["compare"]
    if not isinstance(asked, dict) or set(asked) - {"rtol", "atol", "ignore", "reason"}:
        raise ValueError(f"the cell's `compare` is {asked!r}, {EXPECTED}")
    if not isinstance(asked.get("reason"), str) or len(asked["reason"].split()) < 2:
        raise ValueError(f"the cell's `compare` {dict(asked)!r} gives no reason, {EXPECTED}")
    numeric = all(isinstance(asked.get(k, 0), int | float) for k in ("rtol", "atol"))
    if not numeric or not (asked.get("ignore") is True or {"rtol", "atol"} & set(asked)):
        raise ValueError(f"the cell's `compare` {dict(asked)!r} sets no tolerance, {EXPECTED}")
    return dict(asked)


def streams(outputs: list) -> dict[str, str]:
    """Text by stream; where one output ends and the next begins is chance."""
    found: dict[str, str] = {}
    for out in outputs:
        if out["output_type"] == "stream":
            found[out["name"]] = found.get(out["name"], "") + out["text"]
    return found


def data_trouble(mime: str, stored, now, rule: Rule) -> str | None:
    """Say how two values of one mime type differ, or None."""
    if mime.endswith("+json") or mime == "application/json":
        return json_trouble(stored, now, rule)
    if mime.startswith("image/") and not mime.endswith("+xml"):
        return image_trouble(f",{stored}", f",{now}")
    stored, now = ("".join(x) for x in (stored, now))
    if mime in ("text/html", "image/svg+xml"):
        why = text_trouble(visible_text(stored), visible_text(now), rule)
        return why or explorer_trouble(stored, now, rule) or figure_trouble(stored, now)
    return text_trouble(stored, now, rule)


def output_trouble(stored: dict, now: dict, rule: Rule) -> str | None:
    """Say how two outputs that are not streams differ, or None."""
    if stored["output_type"] != now["output_type"]:
        return f"stored is a {stored['output_type']}, now a {now['output_type']}"
    if stored["output_type"] == "error":
        a, b = (f"{o['ename']}: {o['evalue']}" for o in (stored, now))
        return text_trouble(a, b, rule)
    a, b = ({m: v for m, v in o["data"].items() if m not in SKIPPED} for o in (stored, now))
    if a.keys() != b.keys():
        return f"stored has {sorted(a)}, now {sorted(b)}"
    for mime in a:
        if why := data_trouble(mime, a[mime], b[mime], rule):
            return f"{mime}: {why}"
    return None


def trouble(stored: list, now: list, metadata: dict | None = None) -> str | None:
    """Say how a cell's fresh outputs differ from the stored ones beyond the rules, or None."""
    try:
        asked = exception(metadata or {})
    except ValueError as error:
        return str(error)
    if asked and asked.get("ignore"):
        return None
    rule = Rule(asked.get("rtol", 0.0), asked.get("atol", 0.0), every=True) if asked else Rule()
    texts_a, texts_b = streams(stored), streams(now)
    for name in sorted(texts_a.keys() | texts_b.keys()):
        if why := text_trouble(texts_a.get(name, ""), texts_b.get(name, ""), rule):
            return f"stream {name}: {why}"
    rich_a, rich_b = ([o for o in x if o["output_type"] != "stream"] for x in (stored, now))
    if len(rich_a) != len(rich_b):
        return f"stored has {len(rich_a)} outputs beside streams, now there are {len(rich_b)}"
    for i, (a, b) in enumerate(zip(rich_a, rich_b, strict=True)):
        if why := output_trouble(a, b, rule):
            return f"output {i + 1} of {len(rich_a)}: {why}"
    return None


def compare_outputs(self, test, ref, skip_compare=None) -> bool:
    """In place of nbval's method of the same name: True if the outputs agree."""
    why = trouble(ref, test, self.cell.metadata)
    self.comparison_traceback = [why] if why else []
    return why is None


def install() -> None:
    """Put this comparer in nbval's place."""
    from nbval.plugin import IPyNbCell

    IPyNbCell.compare_outputs = compare_outputs
