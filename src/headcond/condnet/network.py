"""The CondNet architecture: one encoder per image, one decoder per conductivity map.

Features of the default network (depth 6) for slices of 256 x 256, channels x side^2:

    image 1x256^2 -> E1 4x128^2 -> E2 8x64^2 -> E3 16x32^2 -> E4 32x16^2 -> E5 64x8^2
          -> E6 128x4^2 -> Dec6 64x8^2                                    one encoder per image
    H5 = cat(Dec6 of every image)                                       (64 U) x 8^2
    H5 -> Conv5 128x8^2  -> Dec5 64x16^2  -> Map4 32x16^2     H4 = cat(E4 of every image, Map4)
    H4 -> Conv4 64x16^2  -> Dec4 32x32^2  -> Map3 16x32^2     H3 = cat(E3 of every image, Map3)
    H3 -> Conv3 32x32^2  -> Dec3 16x64^2  -> Map2  8x64^2     H2 = cat(E2 of every image, Map2)
    H2 -> Conv2 16x64^2  -> Dec2  8x128^2 -> Map1  4x128^2    H1 = cat(E1 of every image, Map1)
    H1 -> Conv1  8x128^2 -> Dec1  4x256^2 -> Map0  1x256^2    one decoder per map, from H5

It has 990,445 weights with two images and one map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from headcond.checks import InputError

Kernels = int | Sequence[int]


class CondNet(nn.Module):
    """Map U image slices to V normalised conductivity slices (Fig. 3, Table II of the paper).

    With depth I, `E_i` an encoder level (convolution, batch normalisation, ReLU, then
    maximum pooling by 2), `Dec_i` a 2 x 2 transposed convolution of stride 2 with batch
    normalisation and ReLU, `Conv_i` a convolution with batch normalisation and ReLU, and
    `Map_i` a convolution with a logistic sigmoid,

        H_(I-1) = concatenation over the images of Dec_I(E_I(...E_1(image)))
        H_(i-1) = concatenation of every image's E_(i-1) and Map_(i-1)(Dec_i(Conv_i(H_i)))

    for i = I-1 ... 2, and the output is Map_0(Dec_1(Conv_1(H_1))). `E_i` has 2^(i+1)
    channels, `Dec_i` 2^(i+1) in the decoder and 2^I at the end of an encoder, `Conv_i`
    2^(i+2). Level I-1 of the encoders is not skipped and there is no skip at full resolution.

    Parameters
    ----------
    inputs : number U of images.
    outputs : number V of conductivity maps.
    depth : number I of pooling levels, at least 2; slices must be multiples of 2^I.
    encoder_kernels : odd kernel R of the encoder's convolutions, or one per level 1 ... I.
    decoder_kernels : odd kernel S of the decoders' `Conv_i`, or one per level 1 ... I-1.
    map_kernels : odd kernel T of the decoders' `Map_(i-1)`, or one per level 1 ... I-1.

    Raises
    ------
    InputError
        If a count, the depth or a kernel is invalid.
    """

    def __init__(
        self,
        inputs: int = 2,
        outputs: int = 1,
        depth: int = 6,
        encoder_kernels: Kernels = 3,
        decoder_kernels: Kernels = 5,
        map_kernels: Kernels = 5,
    ) -> None:
        super().__init__()
        counts = (("inputs", inputs, 1), ("outputs", outputs, 1), ("depth", depth, 2))
        for name, value, least in counts:
            if not isinstance(value, int) or value < least:
                raise InputError(
                    f"CondNet: {name} must be a whole number of at least {least}, got {value!r}."
                )
        self.inputs, self.outputs, self.depth = inputs, outputs, depth
        self.encoder_kernels = _per_level("encoder_kernels", encoder_kernels, depth)
        self.decoder_kernels = _per_level("decoder_kernels", decoder_kernels, depth - 1)
        self.map_kernels = _per_level("map_kernels", map_kernels, depth - 1)
        self.encoders = nn.ModuleList(Encoder(depth, self.encoder_kernels) for _ in range(inputs))
        self.decoders = nn.ModuleList(
            Decoder(inputs, depth, self.decoder_kernels, self.map_kernels) for _ in range(outputs)
        )

    @property
    def settings(self) -> dict[str, int | list[int]]:
        """Keyword arguments that build the same network again."""
        names = ("encoder_kernels", "decoder_kernels", "map_kernels")
        kernels = {name: list(getattr(self, name)) for name in names}
        return {"inputs": self.inputs, "outputs": self.outputs, "depth": self.depth, **kernels}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return normalised conductivities (B, V, H, W) in [0, 1] of images (B, U, H, W).

        Raises
        ------
        InputError
            If the number of images is not U, or H or W is not a multiple of 2^depth.
        """
        return torch.sigmoid(self.logits(images))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the output (B, V, H, W) before its sigmoid, for a cross-entropy without overflow.

        Raises
        ------
        InputError
            As `forward`.
        """
        self._check(images)
        hubs, levels = zip(
            *(encoder(images[:, u : u + 1]) for u, encoder in enumerate(self.encoders)), strict=True
        )
        hub = torch.cat(hubs, dim=1)
        # the images' features of one level, side by side, serve every decoder
        skips = [torch.cat(level, dim=1) for level in zip(*levels, strict=True)]
        return torch.cat([decoder(hub, skips) for decoder in self.decoders], dim=1)

    def _check(self, images: torch.Tensor) -> None:
        if images.ndim != 4 or images.shape[1] != self.inputs:
            raise InputError(
                f"CondNet takes slices of shape (batch, {self.inputs}, height, width), "
                f"got {tuple(images.shape)}."
            )
        multiple = 2**self.depth
        if images.shape[2] % multiple or images.shape[3] % multiple or 0 in images.shape[2:]:
            raise InputError(
                f"CondNet of depth {self.depth} takes slices whose sides are multiples of "
                f"{multiple}, got {images.shape[2]} x {images.shape[3]}: pad or conform the "
                "images, or choose a smaller depth."
            )


class Encoder(nn.Module):
    """Track of one image: E_1 ... E_I, then Dec_I.

    Parameters
    ----------
    depth : number of pooling levels.
    kernels : one odd kernel per level.
    """

    def __init__(self, depth: int, kernels: Sequence[int]) -> None:
        super().__init__()
        widths = [1] + [2 ** (i + 1) for i in range(1, depth + 1)]
        self.levels = nn.ModuleList(
            nn.Sequential(_convolution(have, want, kernel), nn.MaxPool2d(2))
            for have, want, kernel in zip(widths[:-1], widths[1:], kernels, strict=True)
        )
        self.up = _deconvolution(widths[-1], 2**depth)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return Dec_I (B, 2^I, H/2^(I-1), ...) and the features E_1 ... E_(I-2) to skip."""
        features = []
        for level in self.levels:
            image = level(image)
            features.append(image)
        return self.up(image), features[:-2]


class Decoder(nn.Module):
    """Track of one conductivity map, from the hub to its logits.

    Parameters
    ----------
    inputs : number of images, whose features are skipped to every level.
    depth : number of pooling levels.
    kernels, map_kernels : one odd kernel per level 1 ... depth - 1.
    """

    def __init__(
        self, inputs: int, depth: int, kernels: Sequence[int], map_kernels: Sequence[int]
    ) -> None:
        super().__init__()
        blocks = []
        for i in range(depth - 1, 0, -1):
            hub = inputs * 2**depth if i == depth - 1 else (inputs + 1) * 2 ** (i + 1)
            mapped = 2**i if i > 1 else 1
            block = {
                "convolution": _convolution(hub, 2 ** (i + 2), kernels[i - 1]),
                "up": _deconvolution(2 ** (i + 2), 2 ** (i + 1)),
                "map": _same(2 ** (i + 1), mapped, map_kernels[i - 1]),
            }
            blocks.append(nn.ModuleDict(block))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, hub: torch.Tensor, skips: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return logits (B, 1, H, W) from the hub and the joint features E_1 ... E_(I-2)."""
        *upper, last = self.blocks
        for block, skip in zip(upper, reversed(skips), strict=True):
            mapped = torch.sigmoid(block["map"](block["up"](block["convolution"](hub))))
            hub = torch.cat([skip, mapped], dim=1)
        return last["map"](last["up"](last["convolution"](hub)))


def _same(have: int, want: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(have, want, kernel, padding=kernel // 2)


def _convolution(have: int, want: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(_same(have, want, kernel), nn.BatchNorm2d(want), nn.ReLU(inplace=True))


def _deconvolution(have: int, want: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(have, want, 2, stride=2), nn.BatchNorm2d(want), nn.ReLU(inplace=True)
    )


def _per_level(name: str, kernels: Kernels, levels: int) -> tuple[int, ...]:
    values = (kernels,) * levels if isinstance(kernels, int) else tuple(kernels)
    if len(values) != levels:
        raise InputError(
            f"CondNet: {name} needs one kernel or {levels}, one per level; got {len(values)}."
        )
    for kernel in values:
        if not isinstance(kernel, int) or kernel < 1 or kernel % 2 == 0:
            raise InputError(f"CondNet: {name} must be odd whole numbers, got {kernel!r}.")
    return values
