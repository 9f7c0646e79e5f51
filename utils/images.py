"""Images made ready for conditioning: video compression, scale to fill, centre crop. IMAGE is [F, H, W, C] in 0..1.

Source: ltx-pipelines media_io (libx264 veryfast at source size; bilinear without anti-aliasing, size rounded up).
"""

from __future__ import annotations

import io
import math

import torch
import torch.nn.functional as F
from torch import Tensor


def compress_images(images: Tensor, crf: int) -> Tensor:
    """Each image after one H.264 round trip at quality `crf` (0 = unchanged), cropped to even height and width."""
    if crf == 0:
        return images
    height, width = (size // 2 * 2 for size in images.shape[1:3])
    if not height or not width:
        raise ValueError(
            f"the image is {images.shape[2]}x{images.shape[1]} pixels; compression needs 2x2: connect a larger image, "
            "or set crf to 0"
        )
    images = images[:, :height, :width, :3]
    return torch.stack([_round_trip(image, crf) for image in images])


def need_room(images: Tensor, width: int, height: int, name: str) -> None:
    """Raise ValueError if ComfyUI's centre crop of images [F, H, W, C] to the shape of a size would leave nothing."""
    given_height, given_width = images.shape[1:3]
    wide, wanted = given_width / given_height, width / height
    left = given_width - 2 * round(max(0.0, (given_width - given_width * (wanted / wide)) / 2))
    top = given_height - 2 * round(max(0.0, (given_height - given_height * (wide / wanted)) / 2))
    if left < 1 or top < 1:
        raise ValueError(
            f"{name} is {given_width}x{given_height} pixels, which has nothing in the middle to fill {width}x{height}: "
            "crop or pad it first"
        )


def fit_length(frames: Tensor, length: int) -> Tensor:
    """Trim to `length` or hold the last frame, along dim 0."""
    missing = length - frames.shape[0]
    if missing <= 0:
        return frames[:length]
    return torch.cat([frames, frames[-1:].expand(missing, *frames.shape[1:])])


def fill_and_crop(images: Tensor, width: int, height: int) -> Tensor:
    """Images scaled until they cover width x height, then cut around the centre."""
    scale = max(height / images.shape[1], width / images.shape[2])
    # Rounding first keeps a factor that is whole but for the last bit from adding a pixel.
    size = [math.ceil(round(side * scale, 6)) for side in images.shape[1:3]]
    if size != list(images.shape[1:3]):
        images = F.interpolate(images.movedim(-1, 1), size=size, mode="bilinear", align_corners=False).movedim(1, -1)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return images[:, top : top + height, left : left + width]


def _round_trip(image: Tensor, crf: int) -> Tensor:
    import av

    data = io.BytesIO()
    pixels = (image * 255).round().clamp(0, 255).to(torch.uint8).cpu().numpy()
    with av.open(data, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=1, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width = pixels.shape[:2]
        stream.pix_fmt = "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    data.seek(0)
    with av.open(data) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return torch.from_numpy(frame).to(image) / 255
