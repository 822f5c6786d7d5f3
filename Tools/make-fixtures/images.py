"""Makes fixtures/images: small synthetic images, what Pillow and torchvision make of them, and damaged files.

Run from the repository root:  python Tools/make-fixtures/images.py
Versions: Python 3.11 or later, numpy 2.4.6, pillow 13.0.0, torch 2.15.0, torchvision 0.29.2. Pillow's matters: 13.0
takes the vertical pass of a resize first for tall reductions, which moves some pixels by one level.

Expected pixels are raw bytes; their sizes are in the file names: <image>.<width>x<height>[.<channels>].u8, row by row.
"""

import struct
import zlib
from pathlib import Path

import numpy
import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms

VERSIONS = {"numpy": "2.4.6", "PIL": "13.0.0", "torch": "2.15.0", "torchvision": "0.29.2"}
FOLDER = Path("fixtures/images")
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def check_versions():
    for module in (numpy, PIL, torch, torchvision):
        found, wanted = module.__version__.split("+")[0], VERSIONS[module.__name__]
        if found != wanted:
            raise SystemExit(f"expected {module.__name__} {wanted}, found {found}")


def noise(width, height, channels, seed):
    """A gradient with noise: no two neighbours alike, extremes included."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[0:height, 0:width]
    base = (x * 255 / max(width - 1, 1) + y * 255 / max(height - 1, 1)) / 2
    values = base[..., None] + random.normal(0, 60, (height, width, channels))
    return numpy.clip(values, 0, 255).astype(numpy.uint8).squeeze()


def save_raw(name, image):
    (FOLDER / name).write_bytes(numpy.asarray(image).tobytes())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width, height, depth, color, rows, extra=b"", streams=None):
    """A PNG by hand, for what Pillow does not write. `streams`: the data of its IDAT chunks."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    data = b"".join(chunk(b"IDAT", stream) for stream in streams or [zlib.compress(rows, 9)])
    return SIGNATURE + chunk(b"IHDR", header) + extra + data + chunk(b"IEND", b"")


def kinds():
    """One image of every kind that decodes, and Pillow's RGB (or the gray itself)."""
    gray = Image.fromarray(noise(61, 47, 1, 1))
    made = {
        "gray8": (gray, {}),
        "gray-alpha8": (Image.fromarray(noise(61, 47, 2, 2), "LA"), {}),
        "rgb8": (Image.fromarray(noise(61, 47, 3, 3)), {}),
        "rgba8": (Image.fromarray(noise(61, 47, 4, 4)), {}),
        "palette8": (Image.fromarray(noise(61, 47, 3, 5)).quantize(200), {}),
        "palette4": (Image.fromarray(noise(61, 47, 3, 6)).quantize(13), {"bits": 4}),
        "palette-transparent": (Image.fromarray(noise(61, 47, 3, 7)).quantize(30), {"transparency": bytes(range(30))}),
        "gray1": (gray.convert("1"), {}),
    }
    for name, (image, options) in made.items():
        image.save(FOLDER / f"{name}.png", optimize=True, **options)
    random = numpy.random.default_rng(8)
    for depth in (2, 4):
        width, height = 61, 47
        values = random.integers(0, 1 << depth, (height, width))
        bits = (values[..., None] >> numpy.arange(depth - 1, -1, -1)) & 1
        packed = numpy.packbits(bits.reshape(height, -1).astype(numpy.uint8), axis=1)
        rows = b"".join(b"\0" + row.tobytes() for row in packed)
        # gAMA, which must not change a value, and tRNS, which names one gray as transparent.
        extra = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tRNS", struct.pack(">H", 1))
        (FOLDER / f"gray{depth}.png").write_bytes(png(width, height, depth, 0, rows, extra))
    interlaced_gray()
    for name in [*made, "gray2", "gray4", "gray-interlaced"]:
        save_decoded(f"{name}.png")


def save_decoded(file):
    """What Pillow decodes a file to: RGB, or the gray itself."""
    image = Image.open(FOLDER / file)
    rgb = image.convert("RGB")
    # Pillow has no mode for gray with alpha of 16 bits: it becomes RGBA.
    is_gray = image.mode in ("1", "L", "LA") or file.startswith("gray-alpha")
    save_raw(f"{file.rsplit('.', 1)[0]}.61x47.{1 if is_gray else 3}.u8", rgb.getchannel(0) if is_gray else rgb)


def sixteen_bits():
    """Every kind of 16 bits, by hand. Of all but gray alone, Pillow keeps the upper bytes; so its own gray is shifted here."""
    random = numpy.random.default_rng(20)
    for name, color, channels in (("gray16", 0, 1), ("gray-alpha16", 4, 2), ("rgb16", 2, 3), ("rgba16", 6, 4)):
        values = random.integers(0, 1 << 16, (47, 61 * channels)).astype(">u2")
        rows = b"".join(b"\0" + row.tobytes() for row in values)
        (FOLDER / f"{name}.png").write_bytes(png(61, 47, 16, color, rows))
        if channels > 1:
            save_decoded(f"{name}.png")
    gray = numpy.asarray(Image.open(FOLDER / "gray16.png"))
    save_raw("gray16.61x47.1.u8", (gray >> 8).astype(numpy.uint8))


def jpegs():
    """JPEGs of every subsampling that Pillow writes, progressive ones, and what Pillow decodes them to."""
    gray = Image.fromarray(noise(61, 47, 1, 21))
    colour = Image.fromarray(noise(61, 47, 3, 22))
    made = {
        "jpeg-gray": (gray, {}),
        "jpeg-gray-progressive": (gray, {"progressive": True}),
        "jpeg-444": (colour, {"subsampling": "4:4:4"}),
        "jpeg-422": (colour, {"subsampling": "4:2:2"}),
        "jpeg-420": (colour, {"subsampling": "4:2:0"}),
        "jpeg-420-progressive": (colour, {"subsampling": "4:2:0", "progressive": True}),
        "jpeg-rgb": (colour, {"keep_rgb": True}),
    }
    for name, (image, options) in made.items():
        image.save(FOLDER / f"{name}.jpg", quality=90, **options)
        save_decoded(f"{name}.jpg")


def interlaced_gray():
    """Adam7, which Pillow does not write: seven passes, each with rows of its own."""
    values = noise(61, 47, 1, 9)
    rows = b""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    for x, y, dx, dy in passes:
        for row in values[y::dy, x::dx]:
            rows += b"\0" + row.tobytes()
    header = struct.pack(">IIBBBBB", 61, 47, 8, 0, 0, 0, 1)
    data = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    (FOLDER / "gray-interlaced.png").write_bytes(data)


def resizes():
    """Pillow's resize of images and of parts of them: both orders of passes, reductions and enlargements."""
    wide, tall, square = noise(128, 97, 1, 11), noise(97, 128, 1, 12), noise(130, 130, 1, 13)
    for name, values in {"wide": wide, "tall": tall, "square": square}.items():
        Image.fromarray(values).save(FOLDER / f"{name}.png", optimize=True)
    cases = {
        # name: (image, box of the crop, size)
        "wide": [(None, (56, 56)), (None, (64, 48)), (None, (150, 97)), (None, (128, 30)), (None, (1, 1))],
        "tall": [(None, (56, 56)), (None, (90, 40)), (None, (97, 64)), (None, (48, 128)), (None, (101, 140))],
        "square": [
            (None, (32, 32)),
            ((3, 5, 103, 125), (80, 64)),  # vertical first: 56 rows go, and 20 columns
            ((3, 5, 103, 126), (80, 81)),  # 40 rows and 20 columns: not more than twice, horizontal first
            ((3, 5, 103, 126), (80, 80)),  # 41 rows and 20 columns: vertical first
            ((17, 0, 130, 41), (56, 56)),
            ((60, 61, 71, 73), (56, 56)),
        ],
        "rgb8": [(None, (40, 13)), ((5, 7, 60, 30), (28, 28))],
    }
    for name, list_of_cases in cases.items():
        image = Image.open(FOLDER / f"{name}.png").convert("RGB" if name == "rgb8" else "L")
        for box, size in list_of_cases:
            part = image if box is None else image.crop(box)
            label = "" if box is None else "." + "_".join(map(str, (box[0], box[1], box[2] - box[0], box[3] - box[1])))
            save_raw(f"{name}{label}.{size[0]}x{size[1]}.resized.u8", part.resize(size, Image.BILINEAR))


def preparations():
    """torchvision's evaluation transform, as float32: <image>.<geometry>.f32, channel by channel."""
    normalize = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    geometries = {
        "crop-36-28": [transforms.Resize(36), transforms.CenterCrop(28)],
        "crop-36-31": [transforms.Resize(36), transforms.CenterCrop(31)],
        # Larger than the resized image: black is added, one pixel more at the right and at the bottom.
        "crop-20-37": [transforms.Resize(20), transforms.CenterCrop(37)],
        "resize-24": [transforms.Resize((24, 24))],
    }
    cases = {
        "wide": ("crop-36-28", "crop-20-37"),
        "tall": ("crop-36-31", "resize-24"),
        "rgba8": ("crop-36-28",),
    }
    for name, labels in cases.items():
        image = Image.open(FOLDER / f"{name}.png").convert("RGB")
        for label in labels:
            geometry = geometries[label]
            tensor = transforms.Compose(geometry + normalize)(image)
            save_raw(f"{name}.{label}.f32", tensor.numpy())
    # One channel, as torchxrayvision has it: Pillow's luma.
    image = Image.open(FOLDER / "rgb8.png").convert("L")
    luma = [transforms.Resize((24, 24)), transforms.ToTensor(), transforms.Normalize([0.5], [1 / 2048])]
    tensor = transforms.Compose(luma)(image)
    save_raw("rgb8.luma-24.f32", tensor.numpy())


def damaged():
    """One file for each way in which an image can be wrong, named for it."""
    good = (FOLDER / "gray8.png").read_bytes()
    files = {
        "empty": b"",
        "text": b"this is not an image\n",
        "jpeg": bytes.fromhex("ffd8ffe000104a46494600"),
        "dicom": bytes(128) + b"DICM" + bytes(20),
        "truncated-header": good[:20],
        "truncated-pixels": good[: len(good) // 2],
        "truncated-end": good[:-12],
    }
    flipped = bytearray(good)
    flipped[-13] ^= 1  # the last byte of the checksum of IDAT
    files["wrong-crc"] = bytes(flipped)
    rows = b"".join(b"\0" + bytes([y] * 9) for y in range(9))
    stream = bytearray(zlib.compress(rows))
    stream[-1] ^= 1
    files["wrong-adler"] = png(9, 9, 8, 0, rows, streams=[bytes(stream)])
    # In a chunk of its own, where libpng comes across it after the last row, and by itself would only warn.
    files["wrong-adler-apart"] = png(9, 9, 8, 0, rows, streams=[bytes(stream[:-4]), bytes(stream[-4:])])
    files["no-adler"] = png(9, 9, 8, 0, rows, streams=[bytes(stream[:-4])])
    files["wrong-filter"] = png(9, 9, 8, 0, b"\7" + rows[1:])
    files["wrong-stream"] = png(9, 9, 8, 0, rows, streams=[b"not deflate"])
    files["short-stream"] = png(9, 9, 8, 0, rows[:50])
    files["no-palette"] = png(9, 9, 8, 3, rows)
    files["beyond-palette"] = png(9, 9, 8, 3, rows, chunk(b"PLTE", bytes(8 * 3)))
    files["zero-width"] = png(0, 9, 8, 0, rows)
    files["too-wide"] = png(16385, 1, 8, 0, rows)
    files["too-many-pixels"] = png(16384, 16384, 1, 0, rows)
    files["promises-too-much"] = png(10000, 10000, 8, 0, rows)
    jpeg = (FOLDER / "jpeg-gray.jpg").read_bytes()
    files["truncated-jpeg"] = jpeg[: len(jpeg) // 2]
    files["truncated-jpeg-end"] = jpeg[:-2]
    size = jpeg.index(b"\xff\xc0") + 5  # height and width, of two bytes each
    files["too-wide-jpeg"] = jpeg[: size + 2] + struct.pack(">H", 16385) + jpeg[size + 4 :]
    files["promises-too-much-jpeg"] = jpeg[:size] + struct.pack(">HH", 8192, 8192) + jpeg[size + 4 :]
    # A restart marker where none belongs: the library warns, and would go on.
    middle = jpeg.index(b"\xff\xda") + 200
    files["corrupt-jpeg"] = jpeg[:middle] + b"\xff\xd5" + jpeg[middle + 2 :]
    cmyk = FOLDER / "damaged" / "cmyk-jpeg.bin"
    Image.fromarray(noise(16, 16, 4, 23), "CMYK").save(cmyk, format="JPEG")
    for name, data in files.items():
        (FOLDER / "damaged" / f"{name}.bin").write_bytes(data)


check_versions()
(FOLDER / "damaged").mkdir(parents=True, exist_ok=True)
kinds()
sixteen_bits()
jpegs()
resizes()
preparations()
damaged()
print("checksums.py --update puts what changed into fixtures/README.md")
