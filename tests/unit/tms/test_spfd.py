"""The SPFD solver: discrete identities, islands, affines, back ends, refusals."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.checks import ConvergenceError, InputError, MissingBackend
from headcond.tms import coil, induction, krylov, spfd, sphere, stencil
from headcond.tms.multigrid import Hierarchy

SOURCE = coil.from_dipoles([[0.01, 0.02, 0.06], [-0.05, 0.03, 0.02]], [[0.2, 0.1, 0.5], [1, 0, 0]])


def voxels(shape, voxel=(2.0, 2.0, 2.0)):
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = -np.array(voxel) * (np.array(shape) - 1) / 2
    return affine


def blob(shape=(20, 18, 22), seed=0):
    """Random conductivities inside an ellipsoid, with a shell of bone."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    radius = np.linalg.norm(grid, axis=0)
    sigma = np.where(radius < 0.95, np.exp(rng.uniform(-3, 1, shape)), 0)
    sigma[(radius > 0.75) & (radius < 0.85)] = 0.02
    return sigma.astype(np.float32)


def network_of(sigma, affine):
    box, grid = stencil.crop(sigma, affine)
    return box, grid, stencil.assemble(box, grid)


def rotation(angles):
    a, b, c = angles
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


def test_edge_conductances_by_hand():
    sigma = np.zeros((2, 2, 1), np.float32)
    sigma[0, 0, 0], sigma[1, 0, 0], sigma[0, 1, 0] = 1, 2, 4
    _, grid, network = network_of(sigma, np.diag([1.0, 2.0, 5.0, 1.0]))
    h = np.array([1e-3, 2e-3, 5e-3])
    np.testing.assert_allclose(grid.step, h)
    # The edge along z in the middle is shared by all four voxels, the corner one by the first.
    assert network.edges[2][2, 2, 1] == pytest.approx(7 / 4 * h[0] * h[1] / h[2])
    assert network.edges[2][1, 1, 1] == pytest.approx(1 / 4 * h[0] * h[1] / h[2])
    assert network.edges[0][1, 2, 1] == pytest.approx(5 / 4 * h[1] * h[2] / h[0])
    assert network.edges[1][2, 1, 2] == pytest.approx(3 / 4 * h[0] * h[2] / h[1])
    # Twelve edges per voxel, a quarter of a voxel each: all edges together hold the volume.
    for axis in range(3):
        total = network.edges[axis].sum() * h[axis] ** 2
        assert total == pytest.approx(7 * h.prod(), rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 0.8))
def test_operator_is_symmetric_semidefinite_and_kills_constants(seed, air):
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.01, 2, (6, 5, 7)).astype(np.float32)
    sigma[rng.random(sigma.shape) < air] = 0
    sigma[3, 3, 3] = 1
    box, grid, network = network_of(sigma, voxels(sigma.shape, (1.0, 2.0, 3.0)))
    x, y = rng.normal(size=(2, *grid.nodes))
    ax, ay = np.zeros_like(x), np.zeros_like(y)
    energy = stencil.apply(network, x, ax)
    stencil.apply(network, y, ay)
    assert energy >= 0 and energy == pytest.approx(np.vdot(x, ax))
    assert np.vdot(y, ax) == pytest.approx(np.vdot(x, ay), rel=1e-9, abs=1e-12)
    labels = stencil.node_labels(stencil.components(box)[0])
    assert np.array_equal(labels > 0, network.inverse_diagonal > 0)
    constants = rng.normal(size=labels.max() + 1)[labels]
    stencil.apply(network, constants, ax)
    assert np.abs(ax).max() < 1e-15


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**31))
def test_a_pure_gradient_induces_nothing(seed):
    """With dA/dt = -grad phi the potential is phi up to constants, and E is zero: the gradient
    lies in the kernel of what the solver leaves over, whatever the conductivity."""
    rng = np.random.default_rng(seed)
    sigma = blob(seed=seed)
    box, grid, network = network_of(sigma, voxels(sigma.shape, (2.0, 1.0, 3.0)))
    phi = rng.normal(size=grid.nodes)
    emf = tuple(
        np.where(s > 0, -(np.roll(phi, -1, axis) - phi), 0).astype(np.float32)
        for axis, s in enumerate(network.edges)
    )
    b = np.zeros(grid.nodes)
    stencil.load(network, emf, b)
    psi, _, residual = krylov.multigrid_cg(network, Hierarchy(box, grid, network), b, 1e-9)
    assert residual < 1e-9
    out = np.zeros((*box.shape, 3), np.float32)
    stencil.field(box, grid, psi, emf, out)
    without = np.zeros_like(out)
    stencil.field(box, grid, 0 * psi, emf, without)
    assert np.abs(out).max() < 1e-5 * np.abs(without).max()


def test_field_of_a_linear_potential_is_uniform_in_world_axes():
    sigma = blob((9, 8, 7))
    turn = rotation([0.4, -0.2, 1.0])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([1.0, -2.0, 3.0])  # flipped as well
    box, grid, _ = network_of(sigma, affine)
    index = np.stack(np.mgrid[tuple(slice(n) for n in grid.nodes)], axis=-1)
    world = grid.origin + (index * grid.step) @ grid.axes.T
    slope = np.array([3.0, -1.0, 2.0])
    zero = tuple(np.zeros(grid.nodes, np.float32) for _ in range(3))
    out = np.zeros((*box.shape, 3), np.float32)
    stencil.field(box, grid, world @ slope, zero, out)
    np.testing.assert_allclose(out[box > 0], np.broadcast_to(-slope, out[box > 0].shape), rtol=1e-5)
    corner = affine @ [*(grid.first - 0.5), 1]
    np.testing.assert_allclose(world[1, 1, 1], corner[:3] * 1e-3, atol=1e-12)


def test_currents_balance_at_every_node_to_the_stated_residual():
    sigma = blob()
    affine = voxels(sigma.shape)
    problem = spfd.Problem(sigma, affine)
    for tolerance in (1e-3, 1e-6, 1e-11):
        result = problem.solve(SOURCE, 1e6, tolerance)
        assert result.residual <= tolerance
    network, grid = problem._network, problem._grid
    emf = induction.dadt_edges(SOURCE, 1e6, grid, network, "direct")
    b = np.zeros(grid.nodes)
    stencil.load(network, emf, b)
    psi, _, residual = problem._potential(b, 1e-6)
    divergence, injected = np.zeros(grid.nodes), np.zeros(grid.nodes)
    for axis in range(3):
        current = network.edges[axis] * (-(np.roll(psi, -1, axis) - psi) - emf[axis])
        divergence += current - np.roll(current, 1, axis)
        source = network.edges[axis].astype(float) * emf[axis]
        injected += source - np.roll(source, 1, axis)
    assert np.linalg.norm(divergence) / np.linalg.norm(injected) == pytest.approx(
        residual, rel=0.01
    )


def test_islands_do_not_know_of_each_other():
    sigma = np.zeros((40, 16, 16), np.float32)
    sigma[:17] = blob((17, 16, 16), 1)
    sigma[19:36] = blob((17, 16, 16), 2)
    sigma[38, 3, 4], sigma[39, 4, 5] = 0.5, 0.7  # two voxels that share a corner: one body
    sigma[18, 0, 0] = 1e-3
    affine = voxels(sigma.shape)
    together = spfd.Problem(sigma, affine).solve(SOURCE, 1e6, 1e-10, dadt="direct")
    assert together.components == 4
    for part in (slice(0, 18), slice(18, 19), slice(19, 37), slice(37, 40)):
        alone = np.zeros_like(sigma)
        alone[part] = sigma[part]
        if not alone.any():
            continue
        field = spfd.Problem(alone, affine).solve(SOURCE, 1e6, 1e-10, dadt="direct").vector
        scale = np.abs(together.vector).max()
        np.testing.assert_allclose(together.vector[part], field[part], atol=1e-5 * scale)
        assert not field[sigma == 0].any()


def test_turned_and_flipped_arrays_give_the_same_field():
    sigma = blob()
    affine = voxels(sigma.shape, (2.0, 2.0, 3.0))
    base = spfd.solve_efield(sigma, affine, SOURCE, 1e6, tolerance=1e-9)
    turn = np.eye(4)
    turn[:3, :3] = rotation([0.3, 0.7, -0.4])
    turn[:3, 3] = [0.02, -0.01, 0.05]
    moved = turn.copy()
    moved[:3, 3] *= 1e3
    turned = spfd.solve_efield(sigma, moved @ affine, SOURCE.transformed(turn), 1e6, 1e-9)
    wanted = base.vector @ turn[:3, :3].T
    np.testing.assert_allclose(turned.vector, wanted, atol=2e-5 * np.abs(wanted).max())
    # The same voxels stored in another order: axes permuted, one of them reversed.
    stored = np.ascontiguousarray(sigma.transpose(2, 0, 1)[::-1])
    reorder = np.zeros((4, 4))
    reorder[[2, 0, 1, 3], [0, 1, 2, 3]] = [-1, 1, 1, 1]
    reorder[2, 3] = sigma.shape[2] - 1
    other = spfd.solve_efield(stored, affine @ reorder, SOURCE, 1e6, 1e-9)
    back = other.vector[::-1].transpose(1, 2, 0, 3)
    np.testing.assert_allclose(back, base.vector, atol=2e-5 * np.abs(wanted).max())


def test_the_field_is_linear_and_ignores_the_scale_of_conductivity():
    sigma = blob()
    affine = voxels(sigma.shape)
    one = spfd.solve_efield(sigma, affine, SOURCE, 1e6, 1e-9).vector
    ten = spfd.solve_efield(sigma * 1e-4, affine, SOURCE, 1e7, 1e-9).vector
    np.testing.assert_allclose(ten, 10 * one, atol=1e-4 * np.abs(ten).max())
    silent = spfd.solve_efield(sigma, affine, SOURCE, 0.0)
    assert silent.iterations == 0 and not silent.vector.any()


@pytest.mark.parametrize("backend", ["pyamg", "petsc", "torch"])
def test_back_ends_agree(backend):
    pytest.importorskip({"pyamg": "pyamg", "petsc": "petsc4py", "torch": "torch"}[backend])
    sigma = blob()
    sigma[0, 0, 0] = sigma[19, 0, 0] = 0.3  # islands, where a singular system would be refused
    affine = voxels(sigma.shape, (2.0, 2.5, 3.0))
    ours = spfd.solve_efield(sigma, affine, SOURCE, 1e6, 1e-8)
    other = spfd.solve_efield(sigma, affine, SOURCE, 1e6, 1e-8, backend=backend)
    assert other.components == 3 and other.residual <= 1e-8
    assert other.unknowns == ours.unknowns
    np.testing.assert_allclose(other.vector, ours.vector, atol=1e-5 * np.abs(ours.vector).max())


def test_an_absent_device_is_named():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(MissingBackend, match="'cuda' is not there"):
        spfd.Problem(blob(), voxels((20, 18, 22)), backend="torch", device="cuda")


@pytest.mark.parametrize(("backend", "library"), [("pyamg", "pyamg"), ("petsc", "petsc4py")])
def test_a_missing_library_is_named(monkeypatch, backend, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingBackend, match=f"'{backend}' is not"):
        spfd.Problem(blob(), voxels((20, 18, 22)), backend)


@pytest.mark.parametrize("backend", ["multigrid", "pyamg"])
def test_positions_share_the_set_up_and_start_from_each_other(backend):
    sigma = blob()
    affine = voxels(sigma.shape)
    coils = []
    for angle in np.linspace(0, 0.4, 6):
        turn = np.eye(4)
        turn[:3, :3] = rotation([0.3 * angle, 0.1 * angle, angle])
        coils.append(SOURCE.transformed(turn))
    coils.append(coils[2])  # a position met before
    problem = spfd.Problem(sigma, affine, backend)
    many = list(spfd.solve_positions(sigma, affine, iter(coils), 1e6, 1e-7, backend))
    alone = [problem.solve(coil, 1e6, 1e-7) for coil in coils]
    for one, other in zip(many, alone, strict=True):
        assert one.residual <= 1e-7
        atol = 1e-5 * np.abs(other.vector).max()
        np.testing.assert_allclose(one.vector, other.vector, atol=atol)
    assert len({field.seconds["prepare"] for field in many}) == 1
    assert many[0].iterations == alone[0].iterations
    assert sum(one.iterations for one in many[3:6]) < sum(one.iterations for one in alone[3:6])
    assert many[6].iterations < alone[6].iterations


def test_recycling_forgets_the_oldest():
    sigma = blob()
    _, _, network = network_of(sigma, voxels(sigma.shape))
    earlier, rng = krylov.ProjectedGuess(network, 2), np.random.default_rng(0)
    potentials = rng.normal(size=(3, *network.inverse_diagonal.shape))
    loads = np.zeros_like(potentials)
    for psi, b in zip(potentials, loads, strict=True):
        psi[network.inverse_diagonal == 0] = 0
        stencil.apply(network, psi, b)
    assert earlier.guess(loads[0]) is None
    for psi in potentials:
        earlier.add(psi)
    left = np.zeros_like(loads[0])
    for number, b in enumerate(loads):
        stencil.apply(network, earlier.guess(b), left)
        known = np.linalg.norm(b - left) < 1e-5 * np.linalg.norm(b)
        assert known == (number > 0)


def test_circulation_of_a_gradient_is_zero_around_every_face():
    """Discrete curl of grad: differences of a potential add up to zero around a voxel face, so
    a rotational dA/dt cannot be cancelled, and the circulation of E is that of dA/dt."""
    _, grid, network = network_of(blob(), voxels((20, 18, 22), (2.0, 1.0, 3.0)))
    psi = np.random.default_rng(0).normal(size=grid.nodes)
    gradient = [np.roll(psi, -1, axis) - psi for axis in range(3)]
    emf = induction.dadt_edges(SOURCE, 1e6, grid, network, "direct")
    e = [-slope - part for slope, part in zip(gradient, emf, strict=True)]

    def curl(parts, first, second):
        return (parts[first] + np.roll(parts[second], -1, first)
                - np.roll(parts[first], -1, second) - parts[second])  # fmt: skip

    inside = network.inverse_diagonal > 0
    for first, second in ((0, 1), (1, 2), (2, 0)):
        assert np.abs(curl(gradient, first, second)).max() < 1e-14 * np.abs(psi).max() * 8
        whole = inside.copy()  # faces whose four edges conduct
        for axis in (first, second):
            whole &= np.roll(whole, -1, axis)
        whole &= (network.edges[first] > 0) & (network.edges[second] > 0)
        whole &= np.roll(network.edges[first], -1, second) > 0
        whole &= np.roll(network.edges[second], -1, first) > 0
        induced = curl([part.astype(float) for part in emf], first, second)[whole]
        assert np.abs(induced).max() > 1e-6 * np.abs(emf).max()  # dA/dt does rotate
        np.testing.assert_allclose(curl(e, first, second)[whole], -induced,
                                   atol=1e-12 * np.abs(psi).max())  # fmt: skip


def ball(step=3.0, radius=45.0):
    """Binary homogeneous ball around the origin, mm."""
    count = 2 * int(np.ceil(radius / step) + 1)
    centre = (np.arange(count) - (count - 1) / 2) * step
    square = (centre**2)[:, None, None] + (centre**2)[:, None] + centre**2
    return np.where(square < radius**2, 0.33, 0).astype(np.float32), voxels(
        (count,) * 3, (step,) * 3
    )


def test_a_radial_dipole_charges_nothing_inside_a_sphere():
    """Its dA/dt is tangential: E = -dA/dt, up to what the staircase charges."""
    sigma, affine = ball()
    radial = coil.from_dipoles([0.0, 0.036, 0.048], [0.0, 0.6, 0.8])
    field = spfd.solve_efield(sigma, affine, radial, 1e6).vector
    index = np.argwhere(sigma > 0)
    points = (index @ affine[:3, :3].T + affine[:3, 3]) * 1e-3
    deep = np.linalg.norm(points, axis=1) < 0.03
    got, points = field[tuple(index[deep].T)], points[deep]
    dadt = radial.dadt(points, 1e6)
    exact = sphere.dipole_efield(points, radial.positions, radial.moments, 1e6)
    np.testing.assert_allclose(exact, -dadt, atol=1e-9 * np.abs(dadt).max())
    assert np.linalg.norm(got - exact) < 0.02 * np.linalg.norm(exact)
    # A tangential dipole does charge the sphere: there -dA/dt alone is far off.
    tangential = coil.from_dipoles([0.0, 0.036, 0.048], [0.0, 0.8, -0.6])
    field = spfd.solve_efield(sigma, affine, tangential, 1e6).vector[tuple(index[deep].T)]
    exact = sphere.dipole_efield(points, tangential.positions, tangential.moments, 1e6)
    assert np.linalg.norm(field - exact) < 0.04 * np.linalg.norm(exact)
    dadt = tangential.dadt(points, 1e6)
    assert np.linalg.norm(-dadt - exact) > 0.3 * np.linalg.norm(exact)


def test_a_coil_without_moment_induces_nothing():
    sigma, affine = ball()
    field = spfd.solve_efield(sigma, affine, coil.from_dipoles([0, 0, 0.06], [0, 0, 0]), 1e6)
    assert field.iterations == 0 and not field.vector.any()


def test_a_thin_skull_of_low_conductivity_costs_few_iterations():
    sigma = blob((40, 40, 40))
    base = spfd.solve_efield(sigma, voxels(sigma.shape), SOURCE, 1e6).iterations
    sigma[sigma == np.float32(0.02)] = 0.002
    poor = spfd.solve_efield(sigma, voxels(sigma.shape), SOURCE, 1e6).iterations
    assert base <= 25 and poor <= 40


@pytest.mark.parametrize("source", ["dipoles", "wires"])
def test_interpolated_dadt_keeps_its_accuracy(source):
    index = np.stack(np.mgrid[:48, :48, :48], axis=-1) - 23.5
    sigma = (np.linalg.norm(index, axis=-1) < 23).astype(np.float32)
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, :3] = rotation([0.2, 0.1, 0.5]) * 1.5
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, 23.5)
    below = np.diag([1.0, -1, -1, 1])
    below[2, 3] = 0.0345 + 0.004
    wings = coil.figure_of_eight(0.04, 0.02, turns=3, wing_distance=0.04, corners=36)
    if source == "dipoles":
        grid = np.stack(np.mgrid[-4:5, -2:3, 0:1], axis=-1).reshape(-1, 3) * 0.005
        wings = coil.from_dipoles(grid, [[0, 0, np.sign(x + 1e-9)] for x in grid[:, 0]])
    wings = wings.transformed(below)
    _, grid, network = network_of(sigma, affine)
    exact = induction.dadt_edges(wings, 1e6, grid, network, "direct")
    fast = induction.dadt_edges(wings, 1e6, grid, network, "interpolated", accuracy=1e-4)
    wrong = np.abs(np.stack(fast) - np.stack(exact))
    assert wrong.max() < 3e-4 * np.abs(exact).max()  # samples hold 1e-4, and nothing runs away
    assert np.linalg.norm(wrong) < 1e-4 * np.linalg.norm(exact)
    for axis in range(3):
        np.testing.assert_array_equal(fast[axis][network.edges[axis] == 0], 0)


def test_bad_maps_are_refused():
    sigma, affine = blob(), voxels((20, 18, 22))
    for bad, message in ((-0.1, "1 negative"), (np.nan, "NaN"), (np.inf, "infinite")):
        spoilt = sigma.copy()
        spoilt[0, 0, 0] = bad
        with pytest.raises(InputError, match=message):
            spfd.Problem(spoilt, affine)
    with pytest.raises(InputError, match="No voxel conducts"):
        spfd.Problem(0 * sigma, affine)
    with pytest.raises(InputError, match="shape"):
        spfd.Problem(sigma[0], affine)
    sheared = affine.copy()
    sheared[0, 1] = 0.4
    with pytest.raises(InputError, match="sheared"):
        spfd.Problem(sigma, sheared)
    with pytest.raises(InputError, match="backend"):
        spfd.Problem(sigma, affine, backend="multgrid")


def test_bad_coils_and_tolerances_are_refused(monkeypatch):
    problem = spfd.Problem(blob(), voxels((20, 18, 22)))
    inside = coil.from_dipoles([0, 0, 0.01], [0, 0, 1])
    with pytest.raises(InputError, match="conducting voxels"):
        problem.solve(inside, 1e6)
    with pytest.raises(InputError, match="tolerance"):
        problem.solve(SOURCE, 1e6, tolerance=0)
    with pytest.raises(InputError, match="didt"):
        problem.solve(SOURCE, np.nan)
    monkeypatch.setattr(krylov, "LIMIT", 3)
    with pytest.raises(ConvergenceError, match="after 3 iterations"):
        problem.solve(SOURCE, 1e6, tolerance=1e-10)
