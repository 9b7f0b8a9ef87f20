import numpy as np
import pytest

from datasets.outlines import POINTS_PER_OUTLINE, SHAPE_NAMES, random_pose, shape_outlines


@pytest.mark.parametrize("name", SHAPE_NAMES)
def test_outlines_fit_the_frame_and_are_evenly_spaced(name):
    outlines = shape_outlines(name)
    assert len(outlines) == (2 if name == "ring" else 1)
    for outline in outlines:
        assert outline.shape == (POINTS_PER_OUTLINE, 2)
        assert np.abs(outline).max() <= 1.21  # the triangle is set lower so that it looks centred
        steps = np.linalg.norm(np.diff(np.vstack([outline, outline[:1]]), axis=0), axis=1)
        assert steps.max() < 2.2 * np.median(steps)


def enclosed_area(points):
    x, y = points.T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def test_areas_are_those_of_the_geometry():
    area = {name: enclosed_area(shape_outlines(name)[0]) for name in SHAPE_NAMES}
    assert area["circle"] == pytest.approx(np.pi, rel=0.01)
    assert area["square"] == pytest.approx(1.6**2, rel=0.01)
    assert area["triangle"] == pytest.approx(3 * np.sqrt(3) / 4, rel=0.02)
    assert area["hexagon"] == pytest.approx(3 * np.sqrt(3) / 2, rel=0.02)
    assert area["pentagon"] == pytest.approx(2.5 * np.sin(2 * np.pi / 5), rel=0.02)
    assert area["diamond"] == pytest.approx(2 * 0.68, rel=0.01)
    assert area["cross"] == pytest.approx(2 * 1.9 * 0.6 - 0.6**2, rel=0.03)
    assert area["crescent"] < 0.5 * area["circle"]


def test_a_ring_has_its_hole_inside():
    outer, hole = (np.linalg.norm(outline, axis=1) for outline in shape_outlines("ring"))
    assert hole.max() < outer.min()


def test_poses_keep_area_and_handedness():
    rng = np.random.default_rng(0)
    poses = [random_pose(rng) for _ in range(200)]
    np.testing.assert_allclose([np.linalg.det(pose) for pose in poses], 1.0)
    assert not np.allclose(poses[0], poses[1])


def test_a_pose_without_ranges_changes_nothing():
    pose = random_pose(np.random.default_rng(0), rotation=0, shear=0, log_aspect=0)
    np.testing.assert_array_equal(pose, np.eye(2))


def test_rotation_stays_in_range():
    rng = np.random.default_rng(1)
    angles = [np.arctan2(p[1, 0], p[0, 0]) for p in (random_pose(rng, shear=0, log_aspect=0) for _ in range(300))]
    assert 0.27 < max(np.abs(angles)) <= 0.3


def test_unknown_shape_lists_the_shapes():
    with pytest.raises(ValueError, match="no shape 'blob'; available: circle, square, triangle"):
        shape_outlines("blob")
