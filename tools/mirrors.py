"""Ask every mirror of every data set for its files, and compare: `make mirrors`, once a week.

Each file is fetched from each mirror, past the cache, and its content must have the checksum that
the library expects. COURSE_DATA is not looked at.
"""

import sys

from course_lib.data import images, texts
from course_lib.data.downloads import DataError, File, fetch_from

FILES = [*images.FILES, *texts.FILES]


def check(files: list[File]) -> int:
    """Fetch each file from each of its mirrors and say how it went.

    Args:
        files: what to ask for.

    Returns:
        How many are gone, or not the same.
    """
    failed = 0
    for file in files:
        for mirror in file.mirrors:
            try:
                fetch_from(mirror, file)
                print(f"{mirror}: {file.path} is there, and the same")
            except DataError as error:
                failed += 1
                print(f"error: {mirror}: {file.path} {error}", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(min(check(FILES), 1))
