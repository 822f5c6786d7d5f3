import ChestXray
import Engine
import Evaluation
import Platform

/// What a run would do: `finetune --dry-run`.
public struct TrainingPlan: Sendable {
  let run: String
  let architecture: DenseNetArchitecture
  let parameters: Int
  let device: String
  let precision: Precision
  let imageSize: Int
  let batchSize: Int
  let images: (training: Int, validation: Int)
  /// An epoch.
  let steps: Int
  let epochs: Int
  /// Epochs, and steps behind them, that a state in the run directory has done; nil: the run would begin.
  let done: (epochs: Int, steps: Int)?
  /// Bytes; nil where the backend does not know before it works.
  let memory: Int?
  /// Bytes on the disk.
  let needed: Int
  let free: Int
  let classes: [String]
  let training: LabelCounts
  let validation: LabelCounts

  init(_ loop: TrainingLoop, resumesFrom state: TrainingState?, free: Int) {
    let layout = loop.state.weights.layout
    run = loop.run.path
    architecture = layout.architecture
    parameters = layout.trainedCount
    device = loop.finetuner.backend.name
    precision = loop.finetuner.backend.precision
    imageSize = loop.checkpoint.metadata.preprocessing.imageSize
    batchSize = loop.stepSize
    images = (loop.training.count, loop.validation.count)
    steps = loop.steps
    epochs = loop.options.epochs
    done = state.map { ($0.epoch, $0.step) }
    memory = loop.session.memoryBytes
    needed = loop.neededSpace
    self.free = free
    classes = loop.checkpoint.metadata.classes
    training = LabelCounts(of: loop.training)
    validation = LabelCounts(of: loop.validation)
  }

  /// A table:
  ///
  ///     dry run: nothing is made
  ///     network     densenet121, 6968206 parameters, 224×224 pixels
  ///     device      cpu, fp32, 625 MB of memory
  ///     training    78468 images, 4905 steps of 16 an epoch
  ///     validation  11219 images
  ///     epochs      100, 490500 steps
  ///     run         runs/2026-11-26-1, new; 253 MB of disk, 71000 MB free
  ///
  ///     class                 training: +         −         ? validation: +         −         ?
  ///     Atelectasis                  7996     70472         0          1119     10100         0
  public var text: String {
    func megabytes(_ bytes: Int) -> String { "\(Int((Double(bytes) / 1e6).rounded(.up))) MB" }
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(1, width - text.count)) + text
    }
    func left(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(0, width - text.count))
    }
    let place =
      done.map { "goes on behind epoch \($0.epochs)" + ($0.steps > 0 ? ", step \($0.steps)" : "") } ?? "new"
    var lines = [
      "dry run: nothing is made",
      "network     \(architecture.name), \(parameters) parameters, \(imageSize)×\(imageSize) pixels",
      "device      \(device), \(precision.rawValue)" + (memory.map { ", \(megabytes($0)) of memory" } ?? ""),
      "training    \(images.training) images, \(steps) steps of \(batchSize) an epoch",
      "validation  \(images.validation) images",
      "epochs      \(epochs), \(epochs * steps) steps",
      "run         \(run.printable), \(place); \(megabytes(needed)) of disk, \(megabytes(free)) free", "",
    ]
    let width = max(18, classes.map(\.count).max() ?? 0)
    lines.append(
      left("class", width) + right("training: +", 14) + right("−", 10) + right("?", 10) + right("validation: +", 15)
        + right("−", 10) + right("?", 10))
    for (index, name) in classes.enumerated() {
      lines.append(
        left(name.printable, width) + counts(training, index, 14).map { right($0, $1) }.joined()
          + counts(validation, index, 15).map { right($0, $1) }.joined())
    }
    return lines.joined(separator: "\n")
  }

  private func counts(_ counts: LabelCounts, _ index: Int, _ width: Int) -> [(String, Int)] {
    [
      (String(counts.positives[index]), width), (String(counts.negatives[index]), 10),
      (String(counts.unknown[index]), 10),
    ]
  }

  public var json: JSONValue {
    func counts(_ counts: LabelCounts, _ index: Int) -> JSONValue {
      [
        "positives": JSONValue(counts.positives[index]), "negatives": JSONValue(counts.negatives[index]),
        "unknown": JSONValue(counts.unknown[index]),
      ]
    }
    return [
      "dry_run": true, "run": .string(run), "architecture": .string(architecture.name),
      "parameters": JSONValue(parameters), "device": .string(device), "precision": .string(precision.rawValue),
      "image_size": JSONValue(imageSize), "images_a_step": JSONValue(batchSize),
      "training_images": JSONValue(images.training), "validation_images": JSONValue(images.validation),
      "steps_an_epoch": JSONValue(steps), "epochs": JSONValue(epochs), "done_epochs": JSONValue(done?.epochs),
      "done_steps": JSONValue(done?.steps), "memory_bytes": JSONValue(memory), "disk_bytes": JSONValue(needed),
      "free_bytes": JSONValue(free),
      "classes": .array(
        classes.enumerated().map { index, name in
          [
            "name": .string(name), "training": counts(training, index), "validation": counts(validation, index),
          ]
        }),
    ]
  }
}
