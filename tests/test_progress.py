"""course_lib.progress: a bar for people, silence for machines."""

from course_lib.progress import bar


def test_a_bar_is_shown_on_a_terminal_and_can_be_turned_off(monkeypatch):
    assert bar(total=10).disable is True  # nobody looks at a test
    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with bar(total=10, initial=4) as shown:
        assert (shown.n, shown.total, shown.disable) == (4, 10, False)
    monkeypatch.setenv("COURSE_PROGRESS", "off")
    assert bar(total=10).disable is True
    assert bar(True, total=10).disable is False


def test_a_bar_is_shown_in_a_notebook(monkeypatch):
    class Shell:
        kernel = object()

    monkeypatch.delenv("COURSE_PROGRESS", raising=False)
    monkeypatch.setattr("IPython.get_ipython", Shell)
    assert bar(total=10).disable is False
