"""UCF101: 101 human actions, the middle frame of each video."""

import re
from pathlib import Path

from amu_raft.images.list_file import class_number, read_list
from dassl.data.datasets import DATASET_REGISTRY, Datum
from datasets.coop_layout import CoopDataset
from datasets.split_file import Row, Split, existing_part, split_trainval

LISTS = "ucfTrainTestlist"


@DATASET_REGISTRY.register()
class UCF101(CoopDataset):
    """UCF101 in CoOp's layout: frames lie in folders that are named as the classes, ``Apply_Eye_Makeup``."""

    dataset_dir = "ucf101"
    image_folder = "UCF-101-midframes"
    split_file = "split_zhou_UCF101.json"
    templates = ("a photo of a person doing {}.",)
    prompt_file = "ucf101_prompt.json"

    @classmethod
    def make_split(cls, folder: Path) -> Split:
        """Make the split from the first lists: their test part, and 80/20 of the training part for train and val."""
        actions = cls.published_file(folder, LISTS, "classInd.txt")
        label_of = dict(read_list(actions, parse_action, form="'<number from 1> <Action>'"))
        test = cls.read_videos(folder, "testlist01.txt", label_of)
        train, val = split_trainval(cls.read_videos(folder, "trainlist01.txt", label_of))
        return Split(train, val, test)

    @classmethod
    def read_videos(cls, folder: Path, name: str, label_of: dict[str, int]) -> list[Datum]:
        """Read lines "<Action>/<video>.avi", after which training lists repeat the action's number.

        Raises:
            FileNotFoundError: If the list or a frame in it is missing.
            ValueError: If a line does not fit or its action is not in ``label_of``.
        """

        def parse(line: str) -> Row:
            action, video = line.split()[0].split("/")
            classname = spaced_name(action)
            path = str(folder / cls.image_folder / classname / f"{video.removesuffix('.avi')}.jpg")
            return Row(path, label_of[action], classname)

        path = cls.published_file(folder, LISTS, name)
        rows = read_list(path, parse, form="'<Action>/<video>.avi' with an action of classInd.txt")
        return existing_part(rows, listed_in=path)


def parse_action(line: str) -> tuple[str, int]:
    """Return action and label of a line "1 ApplyEyeMakeup".

    Raises:
        ValueError: If it is another line.
    """
    number, action = line.split()
    return action, class_number(number)


def spaced_name(action: str) -> str:
    """Put "_" before every capital letter but the first: "Yo_Yo" for "YoYo"."""
    return "_".join(re.findall("[A-Z][^A-Z]*", action))
