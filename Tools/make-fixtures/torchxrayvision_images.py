"""Makes fixtures/images/*.xrv-<size>.f32: what torchxrayvision's pipeline makes of pictures of images.py.

Run from the repository root, after images.py:  python Tools/make-fixtures/torchxrayvision_images.py
`--compare FOLDER` writes nothing: it prints how far <image>.f32 in FOLDER, 224 x 224 values of ours, are from what
torchxrayvision makes of the images that are named behind it.

Float32, row by row: load_image (8 bits to -1024 ... 1024), XRayCenterCrop, XRayResizer with scikit-image.
"""

import argparse
import pathlib

import numpy
import scipy
import skimage
import torchvision
import torchxrayvision

VERSIONS = {numpy: "2.4.6", scipy: "1.17.1", skimage: "0.26.0", torchxrayvision: "1.5.7"}
FOLDER = pathlib.Path("fixtures/images")
# 97 -> 24 and 31, 130 -> 28 (about 1024 -> 224), 130 -> 1; 47 -> 46 (a Gaussian of one weight), as it is, enlarged.
CASES = {
    "wide": [24], "tall": [31], "square": [28, 1], "gray8": [46, 47, 56],
    "rgb8": [24], "rgba8": [24], "gray-alpha8": [24], "palette8": [24],
}  # fmt: skip


def prepared(path, size):
    datasets = torchxrayvision.datasets
    transform = torchvision.transforms.Compose([datasets.XRayCenterCrop(), datasets.XRayResizer(size)])
    values = transform(torchxrayvision.utils.load_image(str(path)))
    assert values.shape == (1, size, size) and values.dtype == numpy.float32
    return values


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--compare", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("images", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    for module, wanted in VERSIONS.items():
        if module.__version__ != wanted:
            raise SystemExit(f"expected {module.__name__} {wanted}, found {module.__version__}")
    if arguments.compare:
        for path in arguments.images:
            ours = numpy.fromfile(arguments.compare / f"{path.stem}.f32", "<f4").reshape(1, 224, 224)
            print(f"{path.name}  {numpy.abs(ours - prepared(path, 224)).max():.3g}")
        return
    for name, sizes in CASES.items():
        for size in sizes:
            values = prepared(FOLDER / f"{name}.png", size)
            (FOLDER / f"{name}.xrv-{size}.f32").write_bytes(values.astype("<f4").tobytes())
    print("checksums.py --update puts what changed into fixtures/README.md")


main()
