import json
from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.models import resnet

from amu_raft.backbones import aux_encoder, state_files
from amu_raft.backbones.aux_encoder import AuxEncoder, load_aux_encoder
from amu_raft.backbones.official_weights import AUX_FILES
from amu_raft.backbones.residual_network import BasicBlock, Bottleneck, ResidualNetwork
from amu_raft.backbones.state_files import sha256_of
from amu_raft.downloads import connection
from tests.amu_raft.downloads.faulty_server import Served, faulty_server

MOCOV3 = AUX_FILES["mocov3_rn50"]
NARROW = {"widths": [8, 16, 24, 32], "stem_width": 8}


def narrow(block=BasicBlock, layers=(1, 1, 1, 1), **options):
    torch.manual_seed(0)
    network = ResidualNetwork(block, list(layers), **{**NARROW, **options})
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():  # running statistics too, so that a lost entry would show
            tensor.copy_(torch.rand_like(tensor) + 0.5 if "running" in name else torch.randn_like(tensor) * 0.1)
    return network.eval()


def saved(tmp_path, content, name="weights.pt"):
    path = tmp_path / name
    torch.save(content, path)
    return str(path)


def images(size=32):
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def prefixed(state, prefix):
    return {prefix + key: value for key, value in state.items()}


FORMS = {
    "bare": lambda state: state,
    "with a classifier": lambda state: {**state, "fc.weight": torch.ones(5, 32), "fc.bias": torch.ones(5)},
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state},
    "module": lambda state: {"state_dict": prefixed(state, "module.")},
    "backbone": lambda state: {"state_dict": {**prefixed(state, "backbone."), "neck.weight": torch.ones(2)}},
    "MoCo v2": lambda state: {
        "state_dict": {
            **prefixed(state, "module.encoder_q."),
            **prefixed({key: value + 1 for key, value in state.items()}, "module.encoder_k."),
            "module.queue": torch.ones(4, 4),
        }
    },
    "MoCo v3": lambda state: {
        "epoch": 1000,
        "arch": "resnet50",
        "optimizer": {"param_groups": [{"lr": 0.1}]},
        "state_dict": {
            **prefixed(state, "module.base_encoder."),
            "module.base_encoder.fc.0.weight": torch.ones(4, 32),
            "module.base_encoder.fc.1.num_batches_tracked": torch.tensor(7),
            **prefixed({key: value + 1 for key, value in state.items()}, "module.momentum_encoder."),
            "module.predictor.0.weight": torch.ones(4, 4),
        },
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_checkpoint_form_gives_the_features_of_the_saved_network(tmp_path, form):
    network = narrow()
    encoder = load_aux_encoder(saved(tmp_path, FORMS[form](network.state_dict())))
    assert encoder.feature_dim == 32
    torch.testing.assert_close(encoder(images(64)), network(images(64)))


def test_counters_may_be_missing_and_half_precision_is_widened(tmp_path):
    network = narrow().half()
    state = {key: value for key, value in network.state_dict().items() if "num_batches" not in key}
    encoder = load_aux_encoder(saved(tmp_path, state))
    assert all(parameter.dtype == torch.float32 for parameter in encoder.parameters())
    torch.testing.assert_close(encoder(images(64)), network.float()(images(64)))


STOCK = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
STOCK += ["wide_resnet50_2", "wide_resnet101_2", "resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d"]


@pytest.mark.parametrize("name", STOCK)
def test_torchvision_architectures_are_told_from_their_keys_and_shapes(name):
    with torch.device("meta"):
        state = getattr(resnet, name)().state_dict()
    encoder = aux_encoder._encoder_from(aux_encoder._encoder_state(state), name=name)
    assert encoder.feature_dim == (512 if name in ("resnet18", "resnet34") else 2048)
    expected = {key: value.shape for key, value in state.items() if not key.startswith("fc.")}
    assert {key: value.shape for key, value in encoder.network.state_dict().items()} == expected


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnext50_32x4d"])
def test_features_equal_torchvisions_pooled_features(tmp_path, name):
    torch.manual_seed(0)
    network = getattr(resnet, name)(num_classes=3).eval()
    encoder = load_aux_encoder(saved(tmp_path, network.state_dict()), layers="plain")
    network.fc = nn.Identity()
    assert torch.equal(encoder(images()), network(images()))


def test_bundled_encoder_is_small_and_resizes_inside():
    encoder = load_aux_encoder("tiny")
    assert (encoder.name, encoder.feature_dim) == ("tiny", 192)
    assert (encoder.mean, encoder.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    features = encoder(images(64))
    assert features.shape == (2, 192)
    small = nn.functional.interpolate(images(64), size=(32, 32), mode="bilinear", antialias=True)
    torch.testing.assert_close(encoder(small), features)


def test_layers_of_an_encoder(tmp_path):
    network = narrow()
    path = saved(tmp_path, network.state_dict())
    plain, folded = (load_aux_encoder(path, layers=layers) for layers in ("plain", "folded"))
    assert torch.equal(plain(images(64)), network(images(64)))
    assert not torch.equal(folded(images(64)), network(images(64)))  # other layers, or the next line shows nothing
    torch.testing.assert_close(folded(images(64)), network(images(64)))
    assert load_aux_encoder(path).layers == "folded" and folded.sha256 == plain.sha256 == sha256_of(path)
    assert all(torch.equal(value, plain.state_dict()[key]) for key, value in folded.state_dict().items())
    assert folded.state_dict().keys() == plain.state_dict().keys()


def test_layers_follow_the_encoder_to_another_type_or_device(tmp_path):
    encoder = load_aux_encoder(saved(tmp_path, narrow().state_dict()))
    before = encoder(images(64))
    after = encoder.double()(images(64).double())
    assert after.dtype == torch.float64
    torch.testing.assert_close(after.float(), before)


def test_unknown_layers(tmp_path):
    for make in (
        lambda: load_aux_encoder("tiny", layers="fast"),
        lambda: AuxEncoder(narrow(), name="x", feature_dim=32, layers="fast"),
    ):
        with pytest.raises(ValueError, match="unknown encoder layers 'fast'; choose from folded, plain"):
            make()


def test_encoder_is_frozen_and_stays_in_evaluation_mode():
    encoder = AuxEncoder(narrow(), name="narrow", feature_dim=32)
    encoder.train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    encoder(images())
    torch.testing.assert_close(encoder.state_dict(), before)


def test_images_are_encoded_one_by_one():
    encoder = load_aux_encoder("tiny")
    both = encoder(images())
    torch.testing.assert_close(both, torch.cat([encoder(images()[:1]), encoder(images()[1:])]), rtol=1e-4, atol=1e-5)


def test_loading_leaves_the_global_random_state_alone(tmp_path):
    path = saved(tmp_path, narrow().state_dict())
    before = torch.get_rng_state()
    load_aux_encoder(path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("how", ["variable", "folder", "file"])
def test_mocov3_is_found_in_the_named_place(tmp_path, monkeypatch, how):
    network = narrow(Bottleneck)
    path = saved(tmp_path, FORMS["MoCo v3"](network.state_dict()), MOCOV3.file)
    if how == "variable":
        monkeypatch.setenv("AMU_RAFT_WEIGHTS", str(tmp_path))
    weights = {"variable": None, "folder": tmp_path, "file": path}[how]
    encoder = load_aux_encoder("mocov3_rn50", weights=weights)
    assert (encoder.name, encoder.feature_dim, encoder.sha256) == ("mocov3_rn50", 128, sha256_of(path))
    torch.testing.assert_close(encoder(images(64)), network(images(64)))


def test_mocov3_is_downloaded_once_and_checked(tmp_path, monkeypatch, capsys):
    path = saved(tmp_path, FORMS["MoCo v3"](narrow(Bottleneck).state_dict()), "served")
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(connection, "BACKOFF", 0.0)
    with faulty_server() as server:
        content = (tmp_path / "served").read_bytes()
        url = server.add(f"/{MOCOV3.file}", Served(content, drop_after=[5000]))
        monkeypatch.setitem(AUX_FILES, "mocov3_rn50", replace(MOCOV3, url=url))
        for _ in range(2):
            assert load_aux_encoder("mocov3_rn50").sha256 == sha256_of(path)
        assert [request.offset for request in server.requests] == [None, 5000]
    assert (tmp_path / "cache" / "weights" / MOCOV3.file).read_bytes() == content
    assert f"sha256 {sha256_of(path)} (none is published" in capsys.readouterr().out


def test_missing_mocov3_says_where_from_where_to_and_what_else(tmp_path, monkeypatch):
    monkeypatch.setenv("AMU_RAFT_CACHE", str(tmp_path))
    monkeypatch.setattr(connection, "BACKOFF", 0.0)
    with pytest.raises(FileNotFoundError) as error:
        load_aux_encoder("mocov3_rn50")
    message = str(error.value)
    assert "https://dl.fbaipublicfiles.com/moco-v3/r-50-1000ep/r-50-1000ep.pth.tar" in message
    assert str(tmp_path / "weights" / "r-50-1000ep.pth.tar") in message
    assert "--weights" in message and "the path of a copy" in message
    assert "\n" not in message


def test_weights_without_mocov3_are_named_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"--weights {tmp_path} does not hold r-50-1000ep\.pth\.tar"):
        load_aux_encoder("mocov3_rn50", weights=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_checksums_of_other_encoders(tmp_path):
    path = saved(tmp_path, narrow().state_dict())
    assert load_aux_encoder(path).sha256 == sha256_of(path)
    assert load_aux_encoder("tiny").sha256 == sha256_of(state_files.bundled_weights("tiny_aux.pt"))
    assert AuxEncoder(narrow(), name="narrow", feature_dim=32).sha256 == ""


def test_unknown_name_lists_what_is_accepted():
    with pytest.raises(FileNotFoundError, match=r"no aux encoder 'resnet5'; accepted: tiny, mocov3_rn50"):
        load_aux_encoder("resnet5")


def without(state, *keys):
    return {key: value for key, value in state.items() if key not in keys}


BAD = {
    "no state dict, is a list": (lambda state: [1, 2], "a state dict is wanted, not a list"),
    "another network": (lambda state: {"visual.proj": torch.ones(2, 2)}, "no entry 'layer1.0.conv1.weight'"),
    "empty": (lambda state: {}, "no entry 'layer1.0.conv1.weight'"),
    "missing key": (lambda state: without(state, "layer2.0.bn1.bias"), "1 entries are missing: layer2.0.bn1.bias"),
    "missing stage": (
        lambda state: {key: value for key, value in state.items() if not key.startswith("layer3")},
        "cannot be derived: 'layer3.0.conv1.weight'",
    ),
    "missing stem": (lambda state: without(state, "conv1.weight"), "cannot be derived: 'conv1.weight'"),
    "unexpected key": (lambda state: {**state, "gate.weight": torch.ones(2)}, "unexpected: gate.weight"),
    "wrong shape": (lambda state: {**state, "bn1.weight": torch.ones(9)}, "another shape than the rest implies: bn1"),
    "no tensor": (lambda state: {**state, "bn1.weight": "eight"}, "entry 'bn1.weight' is a str"),
    "small stem": (
        lambda state: {**state, "conv1.weight": torch.ones(8, 3, 3, 3)},
        "3 x 3 kernel; without 'input_resolution' it must be 7 x 7",
    ),
    "two encoders": (
        lambda state: {**prefixed(state, "teacher."), **prefixed(state, "student.")},
        "several encoders, under 'student.', 'teacher.'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_checkpoints_are_refused_by_name_in_one_line(tmp_path, case):
    spoil, message = BAD[case]
    path = saved(tmp_path, spoil(narrow().state_dict()))
    with pytest.raises(ValueError) as error:
        load_aux_encoder(path)
    assert message in str(error.value)
    assert path in str(error.value)
    assert "\n" not in str(error.value)


def test_many_missing_keys_are_counted_and_cut_short(tmp_path):
    state = {key: value for key, value in narrow().state_dict().items() if ".bn" not in key}
    with pytest.raises(ValueError, match=r"\d\d entries are missing: .*, \.\.\.$"):
        load_aux_encoder(saved(tmp_path, state))


def test_a_file_that_could_run_code_is_not_loaded(tmp_path):
    with pytest.raises(ValueError, match="could run code"):
        load_aux_encoder(saved(tmp_path, {"state_dict": nn.Linear(1, 1)}))


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(b"not weights")
    with pytest.raises(ValueError, match=r"weights\.pt"):
        load_aux_encoder(str(path))


def test_changed_bundled_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(state_files, "BUNDLED", tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"tiny_aux.pt": {"sha256": "0" * 64}}))
    saved(tmp_path, narrow().state_dict(), "tiny_aux.pt")
    with pytest.raises(ValueError, match="sha256"):
        load_aux_encoder("tiny")
