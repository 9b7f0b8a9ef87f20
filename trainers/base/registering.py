"""From a method to the trainer that the toolbox knows by its name."""

from amu_raft.methods import Method, get_method, method_names
from amu_raft.strangers import import_modules
from dassl.engine import TRAINER_REGISTRY
from trainers.base.trainer import FewShotTrainer


def register_trainer(method: type[Method], module: str) -> type[FewShotTrainer]:
    """Make the trainer of a method, attach its configuration node and register it under the method's name.

    Args:
        method: The method.
        module: Module that the trainer belongs to.
    """
    about = {"kind": method, "trains": method.learns != "nothing", "__doc__": method.__doc__, "__module__": module}
    trainer: type[FewShotTrainer] = type(method.__name__, (FewShotTrainer,), about)
    TRAINER_REGISTRY.register(trainer, force=True)
    return trainer


def import_strangers(modules: list[str] | tuple[str, ...]) -> None:
    """Import modules that register methods, trainers or data sets; a method without a trainer gets one.

    Raises:
        ImportError: If a module is not there, or fails.
    """
    import_modules(modules)
    for name in method_names():
        kind = get_method(name)
        registered = TRAINER_REGISTRY.registered_names()
        known = getattr(TRAINER_REGISTRY.get(name), "kind", None) if name in registered else None
        if name not in registered or (known is not None and known is not kind):
            register_trainer(kind, kind.__module__)
