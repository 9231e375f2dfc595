"""course_lib.explore: what stands in the HTML, its budget, and the live form."""

import json
import re

import pytest

from course_lib.explore import MAX_FRAMES, explore
from course_lib.plotting import subplots, to_svg


def line(slope=1, kind="solid"):
    fig, ax = subplots(size=(3, 2))
    ax.plot([0, 1], [0, slope], "--" if kind == "dashed" else "-")
    ax.set_title(f"slope {slope}, {kind}")
    return fig


def make():
    alt = "A line through the origin"
    return explore(line, alt=alt, slope=[0, 0.5, 2], kind=["solid", "dashed </script>"])


def data_of(html):
    block = re.search(r'<script type="application/json" class="dlm-frames">(.*?)</script>', html)
    return json.loads(block[1])


def test_every_frame_is_the_drawing_of_its_settings():
    explorer = make()
    data = data_of(explorer._repr_html_())
    frames = ["\n".join(data["lines"][i] for i in frame) for frame in data["frames"]]
    k = 0
    for slope in (0, 0.5, 2):
        for kind in ("solid", "dashed </script>"):
            alt = f"A line through the origin (slope = {slope}, kind = {kind})"
            assert frames[k] == to_svg(line(slope, kind), alt, prefix=explorer.id)
            assert data["alts"][k] == alt
            k += 1
    assert k == len(frames) == 6


def test_controls_have_labels_and_texts():
    html = make()._repr_html_()
    assert data_of(html)["axes"] == [
        {"name": "slope", "values": ["0", "0.5", "2"]},
        {"name": "kind", "values": ["solid", "dashed </script>"]},
    ]
    for control in re.findall(r'<(?:input type="range"|select) id="([^"]+)"', html):
        assert f'<label for="{control}">' in html
    assert html.count("<option") == 2
    assert 'max="2"' in html


def test_first_frame_stands_there_without_script():
    explorer = make()
    html = re.sub(r"<script.*?</script>", "", explorer._repr_html_(), flags=re.S)
    assert explorer.frames[0] in html


def test_same_call_same_bytes_other_grid_other_id():
    assert make()._repr_html_() == make()._repr_html_()
    other = explore(line, alt="A line through the origin", slope=[0, 1])
    assert other.id != make().id
    assert repr(other) == "Explorer line: slope (2), 2 frames"


def test_frames_share_their_lines():
    data = data_of(make()._repr_html_())
    assert len(data["lines"]) < 0.5 * sum(map(len, data["frames"]))


@pytest.mark.parametrize(
    "axes, message",
    [
        ({}, "at least one control"),
        ({"slope": []}, "at least one control"),
        ({"slope": range(MAX_FRAMES + 1)}, "25 frames are more than 24"),
    ],
)
def test_bad_grids_get_a_clear_error(axes, message):
    with pytest.raises(ValueError, match=message):
        explore(line, alt="A line through the origin", **axes)


def test_alt_text_is_required_and_size_is_bounded():
    with pytest.raises(ValueError, match="alt text must say"):
        explore(line, alt="line", slope=[1])

    def heavy(n):
        fig, ax = subplots()
        ax.plot([((i + 1) * n * 7919) % 997 for i in range(2000)])
        return fig

    with pytest.raises(ValueError, match="explorer heavy takes .* bytes, at most 250,000"):
        explore(heavy, alt="A jagged line of many points", n=list(range(1, 21)))


def test_a_drawing_without_return_is_named():
    with pytest.raises(TypeError, match="forgetful returned None; end it with `return fig`"):

        def forgetful(n):
            subplots()

        explore(forgetful, alt="Nothing that one could see", n=[1])


def test_live_redraws_between_the_grid_points():
    box = make().live()
    (label, slider), (_, menu) = (row.children for row in box.children[:2])
    picture = box.children[2]
    assert (label.value, slider.min, slider.max) == ("slope", 0, 2)
    slider.value, menu.value = 1.26, "solid"
    assert "slope 1.26, solid" in picture.value
