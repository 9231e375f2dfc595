"""Texts: in one piece, in two languages, or with labels. Packaged, or fetched when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .downloads import File, content

BOOK = Path(__file__).parent / "book.txt"
SURNAMES = Path(__file__).parent / "surnames.txt"
_GITHUB = "https://raw.githubusercontent.com/"
_COPY = "https://cdn.jsdelivr.net/gh/"  # a copy of what GitHub has, in another house
_MULTI30K = (
    f"{_GITHUB}multi30k/dataset/master/data/task1/raw/",
    f"{_COPY}multi30k/dataset@master/data/task1/raw/",
)
_REVIEWS = (
    "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz",
    "https://storage.googleapis.com/seldon-datasets/sentence_polarity_v1/rt-polaritydata.tar.gz",
)
_MD5 = {  # of the content; the names of Multi30k's files are those of its authors
    "train.en": "053a34ece7c904dbc8c7361799afbe4c",
    "train.de": "d3b4bc1671cfb805267f97f16884beba",
    "train.fr": "849ec62eac03bcc3335f8bac00a4045a",
    "val.en": "2234730e7925354b766681b029b347ec",
    "val.de": "9f139b15d9d11936dea7af2904e57d8c",
    "val.fr": "5c6267b6b147feb0fd6a826d01b7a53a",
    "test_2016_flickr.en": "2022a6c31e2418047a0511333d55ed42",
    "test_2016_flickr.de": "cde61d7401b116652ee84099c7858ca3",
    "test_2016_flickr.fr": "091159ae517b43efa0faaa650c49923b",
}
TEXTS = {
    "tiny_shakespeare": File(
        "tiny_shakespeare/input.txt",
        "6fb458f1232090904fb40fe944165e91",
        (
            f"{_GITHUB}karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
            "https://storage.googleapis.com/download.tensorflow.org/data/shakespeare.txt",
            f"{_COPY}karpathy/char-rnn@master/data/tinyshakespeare/input.txt",
        ),
    ),
    "names": File(
        "names/names.txt",
        "401b3c4cac9e28a586ed15e81256680d",
        (
            f"{_GITHUB}karpathy/makemore/master/names.txt",
            f"{_COPY}karpathy/makemore@master/names.txt",
        ),
    ),
}
PAIRS = {
    name: File(f"multi30k/{name}", md5, tuple(f"{mirror}{name}.gz" for mirror in _MULTI30K))
    for name, md5 in _MD5.items()
}
REVIEWS = (  # by class
    File("movie_reviews/rt-polarity.neg", "1e35b7f7c5df24a135ca62b8eecded53", _REVIEWS),
    File("movie_reviews/rt-polarity.pos", "afcc7ff580b3b4df4bdb6528e6558ab5", _REVIEWS),
)
FILES = (*TEXTS.values(), *PAIRS.values(), *REVIEWS)
_ABOUT_REVIEWS = (
    "Sentences from reviews of films, 5,331 called rotten by their authors and 5,331 called fresh; "
    "in small letters, words and marks apart by blanks. Pang & Lee 2005, sentence polarity dataset "
    "1.0. Free for research."
)
_SPLITS = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
_LANGUAGES = ("en", "de", "fr")


@dataclass(frozen=True)
class LabelledTexts:
    """Short texts, the class of each, and what the classes are called."""

    texts: list[str]  # B of them
    y: Tensor  # (B,), int64
    classes: tuple[str, ...]  # K names
    about: str  # source, licence

    def __repr__(self) -> str:
        return f"LabelledTexts({len(self.texts)} texts, classes {list(self.classes)})"


def text(name: str) -> str:
    """A text in one piece.

    ``"book"``: the prose of this book, a frozen snapshot of it; in the package. One paragraph is
    one line. CC BY 4.0.

    ``"tiny_shakespeare"``: 1,115,394 characters of plays, put together by Karpathy 2015 for
    char-rnn; downloaded. Public domain.

    ``"names"``: 32,033 first names, one a line, in small letters a to z, as Karpathy 2022 gives
    them in makemore; downloaded. From US social security data, public domain.

    Args:
        name: one of the names above.

    Returns:
        The text; its lines end with a line feed.

    Raises:
        ValueError: for a name that is not one of these.
        DataError: when the file can be had from nowhere, or is damaged.
    """
    if name == "book":
        return BOOK.read_text(encoding="utf-8").partition("\n\n")[2]
    if name not in TEXTS:
        raise ValueError(f"no text is called {name!r}; there are {', '.join(['book', *TEXTS])}")
    return content(TEXTS[name]).decode("utf-8")


def translations(
    split: str = "train", source: str = "de", target: str = "en"
) -> list[tuple[str, str]]:
    """Sentences in two languages: Multi30k, captions of photographs; downloaded.

    29,000 pairs to train on, 1,014 to choose settings by, 1,000 to test on. Elliott, Frank, Sima'an
    & Specia 2016, French by Elliott et al. 2017; from Flickr30k. For research.

    Args:
        split: ``"train"``, ``"valid"`` or ``"test"``.
        source: ``"en"``, ``"de"`` or ``"fr"``.
        target: another one.

    Returns:
        A list of pairs (sentence, its translation).

    Raises:
        ValueError: for a split or a language that is not one of these.
        DataError: when a file can be had from nowhere, or is damaged.
    """
    if split not in _SPLITS:
        raise ValueError(f"split must be one of {', '.join(_SPLITS)}, got {split!r}")
    for language in (source, target):
        if language not in _LANGUAGES:
            raise ValueError(f"languages are {', '.join(_LANGUAGES)}, got {language!r}")
    files = [PAIRS[f"{_SPLITS[split]}.{language}"] for language in (source, target)]
    sides = [_lines(content(file).decode("utf-8")) for file in files]
    return list(zip(*sides, strict=True))


def labelled(name: str) -> LabelledTexts:
    """Short texts with a class each.

    ``"surnames"``: common surnames of several languages, the class is the language; in the package.
    Letters are folded to ASCII: Novák is Novak, Müller is Mueller. Names are facts: no licence.

    ``"movie_reviews"``: 5,331 negative and 5,331 positive sentences from reviews, in small letters,
    words and marks apart by blanks; downloaded. Pang & Lee 2005, sentence polarity dataset 1.0.
    For research. It has no official split.

    Args:
        name: one of the names above.

    Returns:
        The texts in the order of their classes; shuffle them before you split them.

    Raises:
        ValueError: for a name that is not one of these.
        DataError: when a file can be had from nowhere, or is damaged.

    Example:
        >>> labelled("surnames").classes[:3]
        ('Chinese', 'Czech', 'Dutch')
    """
    if name == "surnames":
        return _surnames()
    if name != "movie_reviews":
        raise ValueError(
            f"no labelled texts are called {name!r}; there are surnames, movie_reviews"
        )
    groups = [_lines(content(file).decode("cp1252")) for file in REVIEWS]
    return _labelled(groups, ("negative", "positive"), _ABOUT_REVIEWS)


def _surnames() -> LabelledTexts:
    about, *parts = SURNAMES.read_text(encoding="ascii").split("\n\n")
    groups = {head: names for head, *names in (part.split() for part in parts)}
    comment = " ".join(line.removeprefix("# ") for line in about.splitlines())
    return _labelled(list(groups.values()), tuple(groups), comment)


def _labelled(groups: list[list[str]], classes: tuple[str, ...], about: str) -> LabelledTexts:
    texts = [line for group in groups for line in group]
    y = torch.tensor([k for k, group in enumerate(groups) for _ in group])
    return LabelledTexts(texts, y, classes, about)


def _lines(whole: str) -> list[str]:
    """The lines without the blanks around them; only a line feed ends a line."""
    return [line.strip() for line in whole.removesuffix("\n").split("\n")]
