"""Orthonormal bases in the energy inner product."""

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from headcond.rom.basis import (
    AccuracyError,
    InnerProductSpace,
    classical_gram_schmidt,
    orthogonality,
    orthonormalise,
)
from tests.helpers import rom_synthetic


def energy_space(points=6):
    operator = rom_synthetic.synthetic_operator(points)
    matrix = operator.combine([0.4, 0.005, 0.03, 1.6, 0.3, 0.1, 0.2])
    return InnerProductSpace(matrix, operator.size), matrix.toarray()


def mean_free(rng, size, count):
    vectors = rng.standard_normal((size, count))
    return vectors - vectors.mean(axis=0)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    first=st.integers(0, 6),
    count=st.integers(1, 7),
    spread=st.integers(0, 13),
    euclidean=st.booleans(),
)
def test_basis_is_orthonormal_and_gives_the_vectors_back(seed, first, count, spread, euclidean):
    """Nearly dependent vectors (spread decades), in both inner products; inputs untouched."""
    rng = np.random.default_rng(seed)
    space, matrix = energy_space()
    if euclidean:
        space, matrix = InnerProductSpace(None, space.size), np.eye(space.size)
    basis = orthonormalise(space, np.empty((space.size, 0)), mean_free(rng, space.size, first))[0]
    shared = mean_free(rng, space.size, 1)
    vectors = shared + 10.0**-spread * mean_free(rng, space.size, count)
    given_basis, given_vectors = basis.copy(), vectors.copy()
    added, coefficients, dropped = orthonormalise(space, basis, vectors)
    assert np.array_equal(vectors, given_vectors)
    assert np.array_equal(basis, given_basis)
    whole = np.concatenate((basis, added), axis=1)
    assert np.abs(whole.T @ matrix @ whole - np.eye(whole.shape[1])).max() <= 1e-12
    assert orthogonality(space, whole) <= 1e-12
    lack = vectors - whole @ coefficients
    norms = np.sqrt(np.maximum(np.einsum("ij,ik,kj->j", lack, matrix, lack), 0))
    size = np.sqrt(np.einsum("ij,ik,kj->j", vectors, matrix, vectors))
    assert np.all(norms <= dropped + 1e-13 * size)


def test_a_vector_in_the_span_adds_nothing():
    rng = np.random.default_rng(0)
    space, _ = energy_space()
    basis = orthonormalise(space, np.empty((space.size, 0)), mean_free(rng, space.size, 4))[0]
    added, coefficients, dropped = orthonormalise(space, basis, np.zeros((space.size, 1)))
    assert added.shape[1] == 0
    assert coefficients.shape == (4, 1)
    assert dropped[0] == 0
    vectors = mean_free(rng, space.size, 1)
    twice = np.concatenate((vectors, vectors), axis=1)
    added, coefficients, dropped = orthonormalise(space, basis, twice)
    assert added.shape[1] == 1
    assert np.allclose(coefficients[:, 0], coefficients[:, 1], rtol=1e-12)


def test_classical_gram_schmidt_loses_what_the_repeated_one_keeps():
    space = InnerProductSpace(None, 60)
    nodes = np.linspace(0, 1, 60)
    vectors = nodes[:, None] ** np.arange(14)
    classical = repeated = np.empty((60, 0))
    for column in vectors.T:
        classical = np.c_[classical, classical_gram_schmidt(space, classical, column[:, None])[0]]
        repeated = np.c_[repeated, orthonormalise(space, repeated, column[:, None])[0]]
    assert orthogonality(space, classical) > 1e-2
    assert orthogonality(space, repeated) < 1e-13


def test_an_indefinite_inner_product_is_an_error_with_a_number():
    space = InnerProductSpace(sparse.diags([1.0, -1.0, 1.0]).tocsr(), 3)
    with pytest.raises(AccuracyError, match=r"\|V'MV - I\| is") as caught:
        orthonormalise(space, np.empty((3, 0)), np.array([[1.0, 1.0], [0.9, 2.0], [0.3, 0.1]]))
    assert caught.value.error > 1e-13
