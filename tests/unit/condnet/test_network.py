"""CondNet: parameter counts, the graph of Fig. 3 and Table II, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from headcond.checks import InputError
from headcond.condnet.network import CondNet


@pytest.mark.parametrize(("outputs", "count"), [(1, 990_445), (2, 1_716_970), (3, 2_443_495)])
def test_parameter_counts_are_the_papers(outputs, count):
    network = CondNet(inputs=2, outputs=outputs)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_every_level_has_the_papers_shape():
    network = CondNet(inputs=2, outputs=2).eval()
    seen = {}

    def note(name):
        def hook(_module, arguments, result):
            seen[name] = tuple(arguments[0].shape[1:]), tuple(result.shape[1:])

        return hook

    for u, encoder in enumerate(network.encoders):
        for i, level in enumerate(encoder.levels, start=1):
            level.register_forward_hook(note(f"E{i} of {u}"))
        encoder.up.register_forward_hook(note(f"Dec6 of {u}"))
    for v, decoder in enumerate(network.decoders):
        for i, block in zip((5, 4, 3, 2, 1), decoder.blocks, strict=True):
            block["convolution"].register_forward_hook(note(f"Conv{i} of {v}"))
            block["up"].register_forward_hook(note(f"Dec{i} of {v}"))
            block["map"].register_forward_hook(note(f"Map{i - 1} of {v}"))
    with torch.inference_mode():
        result = network(torch.rand(1, 2, 256, 256))

    expected = {}
    for n in range(2):
        channels, side = 1, 256
        for i, width in enumerate((4, 8, 16, 32, 64, 128), start=1):
            expected[f"E{i} of {n}"] = (channels, side, side), (width, side // 2, side // 2)
            channels, side = width, side // 2
        expected[f"Dec6 of {n}"] = (128, 4, 4), (64, 8, 8)
        for i, hub, wide, up, mapped, side in (
            (5, 128, 128, 64, 32, 8),  # H = 2 x 64, then H4 = 2 x 32 + 32, ...
            (4, 96, 64, 32, 16, 16),
            (3, 48, 32, 16, 8, 32),
            (2, 24, 16, 8, 4, 64),
            (1, 12, 8, 4, 1, 128),
        ):
            expected[f"Conv{i} of {n}"] = (hub, side, side), (wide, side, side)
            expected[f"Dec{i} of {n}"] = (wide, side, side), (up, 2 * side, 2 * side)
            expected[f"Map{i - 1} of {n}"] = (up, 2 * side, 2 * side), (mapped, 2 * side, 2 * side)
    assert seen == expected
    assert result.shape == (1, 2, 256, 256)


def test_forward_is_the_graph_written_out():
    """Depth 3, two images, two outputs: the same number from the weights alone."""
    torch.manual_seed(3)
    network = CondNet(2, 2, depth=3, encoder_kernels=[1, 3, 5], decoder_kernels=[3, 5],
                      map_kernels=[5, 1])  # fmt: skip
    network.train()(torch.rand(5, 2, 16, 24))  # gives the batch normalisations a history
    network.eval()
    weights = network.state_dict()

    def normalised(x, name):
        return functional.relu(
            functional.batch_norm(
                x,
                weights[f"{name}.1.running_mean"],
                weights[f"{name}.1.running_var"],
                weights[f"{name}.1.weight"],
                weights[f"{name}.1.bias"],
            )
        )

    def convolved(x, name):
        kernel = weights[f"{name}.weight"]
        return functional.conv2d(x, kernel, weights[f"{name}.bias"], padding=kernel.shape[2] // 2)

    def raised(x, name):
        x = functional.conv_transpose2d(x, weights[f"{name}.0.weight"], weights[f"{name}.0.bias"],
                                        stride=2)  # fmt: skip
        return normalised(x, name)

    images = torch.rand(2, 2, 16, 24)
    tops, firsts = [], []
    for u in range(2):
        x = images[:, u : u + 1]
        for i in range(3):
            name = f"encoders.{u}.levels.{i}.0"
            x = functional.max_pool2d(normalised(convolved(x, f"{name}.0"), name), 2)
            if i == 0:
                firsts.append(x)
        tops.append(raised(x, f"encoders.{u}.up"))
    outputs = []
    for v in range(2):
        name = f"decoders.{v}.blocks.0"
        x = torch.cat(tops, 1)
        x = normalised(convolved(x, f"{name}.convolution.0"), f"{name}.convolution")
        x = torch.sigmoid(convolved(raised(x, f"{name}.up"), f"{name}.map"))
        name = f"decoders.{v}.blocks.1"
        x = torch.cat([*firsts, x], 1)
        x = normalised(convolved(x, f"{name}.convolution.0"), f"{name}.convolution")
        outputs.append(torch.sigmoid(convolved(raised(x, f"{name}.up"), f"{name}.map")))
    torch.testing.assert_close(network(images), torch.cat(outputs, 1))


def test_kernels_go_to_their_levels():
    network = CondNet(1, 1, depth=3, encoder_kernels=[1, 3, 5], decoder_kernels=[7, 9],
                      map_kernels=[3, 1])  # fmt: skip
    assert [level[0][0].kernel_size[0] for level in network.encoders[0].levels] == [1, 3, 5]
    # the decoder runs from level 2 down to level 1
    assert [b["convolution"][0].kernel_size[0] for b in network.decoders[0].blocks] == [9, 7]
    assert [b["map"].kernel_size[0] for b in network.decoders[0].blocks] == [1, 3]
    again = CondNet(**network.settings)
    assert again.settings == network.settings
    again.load_state_dict(network.state_dict())


def test_outputs_are_sigmoids_and_each_has_its_own_decoder():
    torch.manual_seed(0)
    network = CondNet(2, 2, depth=3).eval()
    images = torch.rand(1, 2, 8, 8, requires_grad=True)
    logits = network.logits(images)
    torch.testing.assert_close(network(images), torch.sigmoid(logits))
    logits[:, 1].sum().backward()
    assert not any(parameter.grad.any() for parameter in network.decoders[0].parameters())
    assert any(parameter.grad.any() for parameter in network.decoders[1].parameters())
    assert (images.grad.abs().amax(dim=(0, 2, 3)) > 0).all()  # from both images


@pytest.mark.parametrize("shape", [(1, 2, 128, 96), (1, 2, 100, 128), (1, 2, 0, 64)])
def test_sides_must_be_multiples(shape):
    with pytest.raises(InputError, match="multiples of 64"):
        CondNet()(torch.zeros(shape))


def test_number_of_images_is_checked():
    with pytest.raises(InputError, match=r"\(batch, 2, height, width\), got \(1, 3, 64, 64\)"):
        CondNet()(torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"inputs": 0}, "inputs"), ({"outputs": 0}, "outputs"), ({"depth": 1}, "depth"),
     ({"encoder_kernels": 4}, "encoder_kernels"), ({"map_kernels": [5, 5]}, "map_kernels"),
     ({"decoder_kernels": [5, 5, 5, 5, 2]}, "decoder_kernels")],
)  # fmt: skip
def test_settings_are_checked(settings, named):
    with pytest.raises(InputError, match=named):
        CondNet(**settings)
