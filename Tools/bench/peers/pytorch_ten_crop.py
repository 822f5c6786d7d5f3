"""Measures steps of training on ten crops of each image as the reference implementation takes them (taneishi/CheXNet, main.py): one process, images
read by Pillow when they are asked for (`num_workers=0`), `Resize(256)`, `TenCrop(224)`, each crop normalised on its own, all crops of a batch
at once through DenseNet-121 with sigmoids, their means into CrossEntropyLoss, SGD with momentum, fp32. Its AUROC behind every step is left out.

--channels-last: what it does not do, but what is faster in PyTorch.
"""

import itertools
import pathlib

import measurement
import torch
import torchvision
from PIL import Image
from torchvision import transforms

NORMALIZE = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
TRANSFORM = transforms.Compose([
    transforms.Resize(256),
    transforms.TenCrop(224),
    transforms.Lambda(lambda crops: torch.stack([transforms.ToTensor()(crop) for crop in crops])),
    transforms.Lambda(lambda crops: torch.stack([NORMALIZE(crop) for crop in crops])),
])


class Radiographs(torch.utils.data.Dataset):
    def __init__(self, folder):
        self.paths = sorted(path for path in pathlib.Path(folder).iterdir() if path.suffix == ".png")
        self.labels = (torch.rand(len(self.paths), measurement.OUTPUTS) < 0.3).float()

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return TRANSFORM(Image.open(self.paths[index]).convert("RGB")), self.labels[index]


def main():
    parser = measurement.parser(__doc__, rows=[measurement.TEN_CROP], precisions=["fp32"])
    parser.add_argument("--images", required=True, help="folder of radiographs")
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    network = torchvision.models.densenet121(num_classes=measurement.OUTPUTS)
    network.classifier = torch.nn.Sequential(network.classifier, torch.nn.Sigmoid())
    network = network.to(memory_format=layout).train()
    # Whole batches only, as ours.
    loader = torch.utils.data.DataLoader(Radiographs(options.images), measurement.batch_size(options.row), drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4, momentum=0.9)

    def step():
        images, labels = next(batches)
        count, crops = images.shape[:2]
        outputs = network(images.flatten(0, 1).contiguous(memory_format=layout))
        loss = criterion(outputs.view(count, crops, -1).mean(1), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    measurement.report(step, options, versions)


if __name__ == "__main__":
    main()
