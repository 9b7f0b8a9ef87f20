import base64
import pickle
from pathlib import Path
from typing import Any

import pytest

from datasets.upstream_pickle import load_upstream_pickle

# Four images, written by upstream Dassl 0.6.3.
UPSTREAM_PICKLE = (
    "gAWVPgEAAAAAAAB9lCiMBXRyYWlulF2UKIwgZGFzc2wuZGF0YS5kYXRhc2V0cy5iYXNlX2RhdGFzZXSUjAVEYXR1bZSTlCmBlH2UKIwHX2lt"
    "cGF0aJSMFHNvbWUvd2hlcmUvYzNfMDIucG5nlIwGX2xhYmVslEsDjAdfZG9tYWlulEsCjApfY2xhc3NuYW1llIwGbmFtZV8zlHViaAUpgZR9"
    "lChoCIwUc29tZS93aGVyZS9jM18wNi5wbmeUaApLA2gLSwBoDIwGbmFtZV8zlHViaAUpgZR9lChoCIwUc29tZS93aGVyZS9jM18xOS5wbmeU"
    "aApLA2gLSwFoDIwGbmFtZV8zlHViaAUpgZR9lChoCIwUc29tZS93aGVyZS9jM18wMC5wbmeUaApLA2gLSwBoDIwGbmFtZV8zlHViZYwDdmFs"
    "lF2UdS4="
)


def test_a_pickle_recorded_from_upstream_is_read(tmp_path: Path) -> None:
    path = tmp_path / "shot_1-seed_1.pkl"
    path.write_bytes(base64.b64decode(UPSTREAM_PICKLE))
    content = load_upstream_pickle(path)
    assert content["train"][0] == ("some/where/c3_02.png", 3, "name_3")
    assert (len(content["train"]), content["val"]) == (4, [])


@pytest.mark.parametrize("content", [[1, 2], {"train": ["a.jpg"]}, {"train": 3}, {"train": [None]}])
def test_other_pickles_are_refused(content: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(ValueError, match="plain lists of images"):
        load_upstream_pickle(path)
    path.write_bytes(b"\x80\x05garbage")
    with pytest.raises(ValueError, match="or is damaged"):
        load_upstream_pickle(path)
