import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from amu_raft.images.listing import Listing
from amu_raft.images.lists import DamagedListError, list_rows

Make = Callable[[Path], str]
NAMES = ["a.jpg", "b.jpg", "sub/c d.jpg", "sub/ü.jpg", 'q"uote,comma.jpg']


@pytest.fixture
def folder(tmp_path: Path, make_image: Make) -> Path:
    for name in NAMES:
        make_image(tmp_path / name)
    return tmp_path


def read(folder: Path, text: str | bytes, name: str = "list.csv") -> Listing:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list_rows(path)


def shown(listing: Listing, folder: Path) -> dict[str, dict[str, list[str]]]:
    return {
        part: {label: [path.relative_to(folder).as_posix() for path in images] for label, images in classes.items()}
        for part, classes in listing.parts.items()
    }


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nb.jpg,owl\na.jpg,owl\nsub/c d.jpg,red fox\n",
        "\ufeffpath,label\r\na.jpg,owl\r\nb.jpg,owl\r\n\r\nsub/c d.jpg,red fox",
        "Label, Path\nowl, a.jpg \n owl ,./b.jpg\nred fox,sub/../sub/c d.jpg\n",
        'path;label\n"a.jpg";"owl"\nb.jpg;owl\nsub/c d.jpg;red fox\n',
        "path\tlabel\na.jpg\towl\nb.jpg\towl\nsub/c d.jpg\tred fox\n",
        "path,label,split\na.jpg,owl,\nb.jpg,owl,\nsub/c d.jpg,red fox,\n",
        "path,label\ra.jpg,owl\rb.jpg,owl\rsub/c d.jpg,red fox\r",
    ],
)
def test_spellings_of_one_list(text: str, folder: Path) -> None:
    expected = {"all": {"owl": ["a.jpg", "b.jpg"], "red fox": ["sub/c d.jpg"]}}
    assert shown(read(folder, text), folder) == expected


def test_quotes_unicode_and_absolute_paths(folder: Path) -> None:
    text = (
        f'path,label,split\n"q""uote,comma.jpg","a, b",Train\nsub/ü.jpg,Käuzchen,train\n{folder}/a.jpg,Käuzchen,TEST\n'
    )
    assert shown(read(folder, text), folder) == {
        "train": {"Käuzchen": ["sub/ü.jpg"], "a, b": ['q"uote,comma.jpg']},
        "test": {"Käuzchen": ["a.jpg"]},
    }


def test_json_lines(folder: Path) -> None:
    rows: list[Any] = [
        {"path": "a.jpg", "label": "owl\u2028x", "split": "train"},
        {"path": "b.jpg", "label": 7, "split": "valid"},
    ]
    text = "\r\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    expected = {"train": {"owl\u2028x": ["a.jpg"]}, "val": {"7": ["b.jpg"]}}
    assert shown(read(folder, text, "list.jsonl"), folder) == expected


def test_other_columns_are_named(folder: Path) -> None:
    with pytest.warns(UserWarning, match="columns that are not read: 'spilt'"):
        listing = read(folder, "path,label,spilt\na.jpg,owl,train\nb.jpg,bat,test\n")
    assert list(listing.parts) == ["all"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("file,label\na.jpg,x", "line 1: the header 'file,label' is not path,label or path,label,split"),
        ("a.jpg,owl\nb.jpg,bat", "line 1: the header 'a.jpg,owl' is not path,label"),
        ("path,label,path\na.jpg,x,y", "line 1: the header"),
        ("path,label\na.jpg,x\n\nb.jpg", "line 4: 1 cells, but the header has 2"),
        ("path,label\na.jpg,x,y", "line 2: 3 cells, but the header has 2"),
        ("path,label\na.jpg, ", "line 2: the label is empty"),
        ("path,label\n,x", "line 2: the path is empty"),
        ("path,label\nnone.jpg,x", "line 2: image 'none.jpg' does not exist"),
        ("path,label\nsub,x", "line 2: image 'sub' is no file"),
        ("path,label\n" + "x" * 5000 + ".jpg,x", "cannot be read (File name too long)"),
        ("path,label\n../a.jpg,x", "line 2: '../a.jpg' leaves the folder of the list; give an absolute path"),
        ("path,label\nsub/../../a.jpg,x", "leaves the folder of the list"),
        ("path,label\na.jpg,x\nb.jpg,y\n./a.jpg,x", "line 4: './a.jpg' is listed on line 2 already"),
        ("path,label,split\na.jpg,x,learning", "line 2: unknown split 'learning'; accepted are train, training, val"),
        ("path,label,split\na.jpg,x,train\nb.jpg,x,", "line 3: no split, though other lines have one"),
        ("path,label,split\na.jpg,x,test", "has no line of the split train"),
        ('path,label\n"a.jpg,x', "line 2: no CSV ("),
        ("path,label\n", "list.csv lists no images"),
        ("", "list.csv lists no images"),
        (b"path,label\na.jpg,caf\xe9", "line 2: no text in UTF-8; save the list in that encoding"),
        ("path,label\n".encode("utf-16"), "line 1: no text in UTF-8"),
    ],
)
def test_faults(lines: str | bytes, said: str, folder: Path) -> None:
    with pytest.raises(DamagedListError) as caught:
        read(folder, lines)
    assert said in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(folder / "list.csv"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.jpg", "'a.jpg' is no JSON object with path and label"),
        ("[1]", "is no JSON object"),
        ('{"path": "a.jpg"}', "no label"),
        ('{"path": "a.jpg", "label": true}', "label True is no text"),
        ('{"path": "a.jpg", "label": null}', "label None is no text"),
        ('{"path": "a\\u0000.jpg", "label": "x"}', "is no path"),
        ('{"path": "a.jpg", "label": "x", "split": 3.5}', "split 3.5 is no text"),
        ('{"path": "a.jpg", "label": "x", "split": "dev"}', "unknown split 'dev'"),
    ],
)
def test_faults_of_json_lines(line: str, said: str, folder: Path) -> None:
    with pytest.raises(DamagedListError) as caught:
        read(folder, f'{{"path": "b.jpg", "label": "y"}}\n{line}\n', "list.jsonl")
    assert said in str(caught.value) and "list.jsonl, line 2: " in str(caught.value)


def test_all_faults_are_kept(folder: Path) -> None:
    with pytest.raises(DamagedListError, match=r"line 2: .* \(and 2 more lines with faults\)") as caught:
        read(folder, "path,label\nx.jpg,a\ny.jpg,a\na.jpg,\nb.jpg,b\n")
    assert len(caught.value.faults) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_json_lines_end_in_any_way(end: str, folder: Path) -> None:
    rows = [json.dumps({"path": name, "label": "owl\u2028"}) for name in NAMES[:2]]
    assert shown(read(folder, end.join([*rows, ""]), "list.jsonl"), folder)["all"] == {"owl": ["a.jpg", "b.jpg"]}


def test_the_header_alone_tells_what_stands_between_cells(folder: Path) -> None:
    text = "path,label\ra.jpg,a;b;c;d;e\rb.jpg,owl\r"
    assert shown(read(folder, text), folder)["all"] == {"a;b;c;d;e": ["a.jpg"], "owl": ["b.jpg"]}


def test_a_way_up_out_of_a_link_is_read_as_it_is_written(folder: Path, tmp_path_factory: Any, make_image: Make) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    make_image(elsewhere / "z.jpg")
    (elsewhere / "deep").mkdir()
    (folder / "link").symlink_to(elsewhere / "deep")
    with pytest.raises(DamagedListError, match=r"line 2: image 'link/../z.jpg' does not exist"):
        read(folder, "path,label\nlink/../z.jpg,owl\n")
    assert shown(read(folder, "path,label\nlink/../a.jpg,owl\n"), folder)["all"] == {"owl": ["a.jpg"]}
