from amu_raft.backbones.clip_package import clip, clip_model


def test_the_installed_package_has_what_is_used() -> None:
    assert callable(clip.tokenize)
    assert callable(clip_model.build_model)
    pool = clip_model.AttentionPool2d(2, 16, 2, 8)
    assert all(
        hasattr(pool, name) for name in ("positional_embedding", "q_proj", "k_proj", "v_proj", "c_proj", "num_heads")
    )
