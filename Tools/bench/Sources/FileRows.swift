import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform
import Tensors

extension Settings {
  /// Each radiograph of the folder read and decoded, one after the other on one thread.
  func decoding() throws -> Work {
    let folder = try imageFolder()
    return Work(unit: .millisecondsPerImage(count: folder.paths.count), subject: folder.subject) {
      for path in folder.paths { _ = try Radiograph.read(path) }
    }
  }

  /// The same, and each made into 3 × 224 × 224 values as in evaluation: the shorter side to 256, the centre cut out.
  func preparation() throws -> Work {
    let folder = try imageFolder()
    let preparation = try ImagePreparation(.imageNet())
    return Work(unit: .millisecondsPerImage(count: folder.paths.count), subject: folder.subject) {
      for path in folder.paths { _ = preparation.prepare(try Radiograph.read(path)) }
    }
  }

  /// Each radiograph of the folder decoded from memory and resized to 256 × 256 in gray, as Pillow's `convert("L").resize((256, 256))`.
  func thumbnails() throws -> Work {
    let folder = try imageFolder()
    let files = try folder.paths.map { path in (path, [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))) }
    return Work(unit: .millisecondsPerImage(count: files.count), subject: folder.subject) {
      for (path, bytes) in files { _ = try Radiograph.decode(bytes, path: path).gray.resized(width: 256, height: 256) }
    }
  }

  /// A random part of each radiograph, in memory in gray with a short side of 512, resized to 224 × 224; half of them are mirrored.
  func randomCrops() throws -> Work {
    let folder = try imageFolder()
    let images = try folder.paths.map { path in
      let image = try Radiograph.read(path).gray
      let short = min(image.width, image.height)
      return image.resized(width: 512 * image.width / short, height: 512 * image.height / short)
    }
    let subject = "\(images.count) images in memory, short side 512, from \(folder.subject)"
    var random = CounterRandom(seed: 1, purpose: .augmentation)
    return Work(unit: .imagesPerSecond(count: images.count), subject: subject) {
      for image in images { _ = image.randomCrop(size: 224, random: &random) }
    }
  }

  /// A weight file read, checked, hashed and written as a checkpoint, as `import-weights` does it.
  func weightImport() throws -> Work {
    let scratch = ScratchFolder()
    let path = try weights ?? randomWeights(in: scratch)
    let bytes = try FileReader(path: path).size
    let name = (path as NSString).lastPathComponent.printable
    return Work(unit: .seconds, subject: "\(name), \(decimals(Double(bytes) / 1e6, 1)) MB") {
      try createFolder(scratch.path)
      _ = try WeightImport.write(path: path, to: scratch.path + "/imported.safetensors", overwriting: true)
    }
  }

  struct Images {
    let path: String
    let paths: [String]
    let subject: String
    /// Removed when the last row that needs it is gone; nil for a folder of the user's.
    let scratch: ScratchFolder?
  }

  func imageFolder() throws -> Images {
    if let images {
      let folder = try ImageFolder(path: images)
      let paths = try folder.resolve(try folder.images())
      return Images(
        path: images, paths: paths, subject: "\(paths.count) files of \(images.printable)", scratch: nil)
    }
    let scratch = ScratchFolder()
    try SyntheticRadiographs(images: 16).write(to: scratch.path, pool: pool)
    let folder = try ImageFolder(path: scratch.path)
    let paths = try folder.resolve(try folder.images())
    return Images(
      path: scratch.path, paths: paths, subject: "\(paths.count) synthetic PNGs, 1024×1024, 8-bit gray",
      scratch: scratch)
  }

  /// A checkpoint of the architecture with random weights, in `scratch`.
  private func randomWeights(in scratch: ScratchFolder) throws -> String {
    let network = try network()
    try createFolder(scratch.path)
    let path = scratch.path + "/random.safetensors"
    let metadata = CheckpointMetadata(
      architecture: network, classes: ClassNames.chestXray14, preprocessing: .imageNet())
    try Checkpoint(weights: Weights(initializing: network, seed: 1), metadata: metadata)
      .save(to: path, overwriting: false)
    return path
  }
}

/// The path of a folder among the system's temporary ones, which is not made here, but removed with this object.
final class ScratchFolder {
  let path = NSTemporaryDirectory() + "chexnet-bench-" + UUID().uuidString

  deinit {
    // Left behind where it cannot be removed: the system clears its temporary folders.
    try? FileManager.default.removeItem(atPath: path)
  }
}
