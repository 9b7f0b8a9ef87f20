"""Loading a trained model from a run folder, perhaps for other classes than it was trained on."""

from amu_raft.methods.known_classes import match_classes
from datasets.classes import CLASSES_FILE, class_keys, read_class_keys
from trainers.base.training import Training


class Loading(Training):
    """Load what a method has learned."""

    def load_model(self, directory: str, epoch: int | None = None) -> None:
        """Load a model from a run folder; it may have been trained on other classes than the data set's.

        If what is learned has rows for classes, they are matched to the data set's classes by the keys in the folder's
        classes.json. Without that file they are taken for the data set's classes in order.

        Raises:
            ValueError: If there is no such file and the number of rows is not that of the classes.
        """
        super().load_model(directory, epoch)
        self.tuning = None  # it was of what is no longer there
        if not directory or not self.kind.bound_to_classes():
            return
        trained, present = read_class_keys(directory), class_keys(self.dm.dataset)
        rows = self.method.sizes()["C"]
        if trained is None and rows != self.num_classes:
            raise ValueError(
                f"{directory} has no {CLASSES_FILE} that says which classes its {self.kind.saved_as} knows, "
                f"so it must fit the {self.num_classes} classes of the data set, but it has rows for {rows}"
            )
        if trained is not None and rows != len(trained):
            raise ValueError(
                f"{directory}: the {self.kind.saved_as} has rows for {rows} classes, {CLASSES_FILE} {len(trained)}"
            )
        self.method.known = None if trained is None or trained == present else match_classes(trained, present)
        self._say_what_is_known(directory, trained is not None)

    def _say_what_is_known(self, directory: str, stated: bool) -> None:
        known, what = self.method.num_known, self.kind.saved_as
        decides = self.kind.others if known else "zero-shot CLIP decides"
        unknown = f": {decides}" if known < self.num_classes else ""
        print(f"{what} knows {known} of {self.num_classes} classes{unknown}")
        if not stated:
            print(f"{directory} has no {CLASSES_FILE}: the {what}'s rows are taken for the data set's classes in order")
