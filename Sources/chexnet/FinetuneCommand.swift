import ArgumentParser
import Checkpoints
import Engine
import Evaluation
import Foundation
import Platform
import Training

struct FinetuneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "finetune", abstract: "Train a network on radiographs, from a checkpoint or from random weights.",
    discussion: """
      Examples:
        chexnet finetune --data images --train train_list.txt --validation val_list.txt --weights densenet.safetensors
        chexnet finetune --data images --train train_list.txt --validation val_list.txt --architecture densenet121

      The run directory holds settings.json, metrics.csv, events.jsonl and in checkpoints best.safetensors (of the lowest
      validation loss), best-auroc.safetensors (of the highest mean AUROC) and last.safetensors. The same command again goes
      on where the run stopped (last.state.safetensors), or, should that be damaged, from previous.state.safetensors.
      Ctrl-C, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 save at the next step and exit with 130 or 75. --epochs,
      --stop-after-bad-epochs, --checkpoint-every and --max-time may be others then.
      """)

  @Option(
    name: [.long, .customLong("data_dir")], help: ArgumentHelp("The folder of radiographs.", valueName: "folder"))
  var data: String

  @Option(
    name: [.long, .customLong("train_image_list")],
    help: ArgumentHelp("The list of images to learn from.", valueName: "list"))
  var train: String

  @Option(help: ArgumentHelp("The list of images to choose the best epoch by.", valueName: "list"))
  var validation: String

  @Option(help: ArgumentHelp("A table whose labels replace the lists' own.", valueName: "table.csv"))
  var labels: String?

  @Option(
    name: [.long, .customLong("model_path")],
    help: ArgumentHelp(
      "Start from this checkpoint. Its head is replaced where its classes differ.", valueName: "checkpoint"))
  var weights: String?

  @Option(
    help: ArgumentHelp(
      "Start from random weights: densenet121, 161, 169, 201, or GROWTH:B1,B2,… such as 8:2,2,2.", valueName: "name"))
  var architecture: String?

  @Option(help: ArgumentHelp("The classes, with commas between; by default the list's findings.", valueName: "names"))
  var classes: String?

  @Option(
    help: ArgumentHelp("The side of the network's input; by default the checkpoint's, else 224.", valueName: "pixels"))
  var imageSize: Int?

  @Option(help: ArgumentHelp("The run directory; by default runs/<date>-<n>.", valueName: "folder"))
  var output: String?

  @Option(help: ArgumentHelp("auto, never, or the run directory to go on with.", valueName: "auto|never|folder"))
  var resume = "auto"

  @Option(help: "Passes over the training list.")
  var epochs = 100

  @Option(name: [.long, .customLong("batch_size")], help: "Images that the network is given at a time.")
  var batchSize = 16

  @Option(help: ArgumentHelp("Batches a step.", valueName: "n"))
  var gradientAccumulation = 1

  @Option(help: "adam, adamw or sgd.")
  var optimizer = TrainingOptions.OptimizerKind.adam

  @Option(name: [.long, .customLong("lr")], help: "The learning rate at the start.")
  var learningRate = 1e-4

  @Option(help: "Of sgd.")
  var momentum = 0.9

  @Option(help: "Adam and SGD add it to the gradient, AdamW applies it to the weights.")
  var weightDecay = 1e-5

  @Option(help: "How the learning rate goes down: plateau (÷10), cosine, step (÷10 each third), constant.")
  var schedule = Schedule.plateau

  @Option(help: ArgumentHelp("Epochs without a better validation loss before plateau divides.", valueName: "epochs"))
  var plateauPatience = 5

  @Option(
    help: ArgumentHelp("The rate goes up to the schedule's step by step over these epochs.", valueName: "epochs"))
  var warmupEpochs = 0

  @Option(
    help: ArgumentHelp(
      "Only the classifier learns in the first epochs; batch norms still follow the images.", valueName: "epochs"))
  var freezeEpochs = 0

  @Option(
    help: ArgumentHelp(
      "Validate and keep as best a moving average of the weights: a ← decay · a + (1 − decay) · w behind each step.",
      valueName: "decay"))
  var ema: Double?

  @Option(
    help: ArgumentHelp(
      "End the run behind so many epochs in a row without a lower validation loss.", valueName: "epochs"))
  var stopAfterBadEpochs: Int?

  @Option(
    help: ArgumentHelp(
      "Save the state, and the weights as step-N.safetensors, every so many steps.", valueName: "steps"))
  var checkpointEvery: Int?

  @Option(help: ArgumentHelp("Save and exit with 75 after this time.", valueName: "HH:MM"))
  var maxTime: TimeLimit?

  @Flag(help: "Check everything, print what the run would do, and make nothing.")
  var dryRun = false

  @Option(help: ArgumentHelp("Scale gradients down to this global norm.", valueName: "norm"))
  var clipNorm: Double?

  @Option(help: "bce, or weighted-bce: rarer labels weigh more.")
  var loss = TrainingOptions.LossKind.bce

  @Option(help: "What an unknown label is: ignore, zero or one.")
  var uncertain = TrainingOptions.UncertainPolicy.ignore

  @Option(
    help: "crop-flip (random resized crop and mirror), flip, none, or ten-crop: ten samples of each image of a batch.")
  var augment = TrainingOptions.AugmentationKind.cropFlip

  @Option(help: "An image that cannot be read ends the run (stop), or is left out and told (skip).")
  var onBadImage = TrainingOptions.BadImagePolicy.stop

  @Option(help: "Decides shuffling, augmentation and random weights.")
  var seed: UInt64 = 123

  @Option(
    help: ArgumentHelp(
      "Where decoded radiographs are kept: auto (the user's cache folder, where there is room), never, or a folder.",
      valueName: "auto|never|folder"))
  var cache = "auto"

  @Option(
    help: ArgumentHelp(
      "The short side to which images are scaled down before they are kept, and trained on; by default 512.",
      valueName: "pixels"))
  var cacheSize: Int?

  @Flag(help: "Train although the lists share patients.")
  var allowPatientOverlap = false

  @Option(help: deviceHelp)
  var device = "auto"

  @Flag(help: "The reference implementation's word for --device gaudi.")
  var hpu = false

  @Option(help: "Of the activations: fp32, or bf16 (less memory, and nearly twice the speed with AVX512_BF16).")
  var precision = Precision.fp32

  @Flag(
    help: "Make bottlenecks again on the way back instead of keeping them: less memory, more time, the same numbers.")
  var memoryEfficient = false

  @Option(help: ArgumentHelp("Threads; by default as many as this process may run on.", valueName: "n"))
  var threads: Int?

  @Flag(
    help:
      "Under several processes: batch norm sees their batches as one. Results are then those of one process with as large a batch."
  )
  var syncBatchNorm = false

  @OptionGroup var rankOptions: RankOptions

  @Option(help: "bar, lines, none, or auto: bar on a terminal.")
  var progress = ProgressLine.Style.auto

  @Flag(help: "Print one JSON document at the end.")
  var json = false

  func validate() throws {
    if (weights == nil) == (architecture == nil) {
      throw ValidationError("Give --weights (a checkpoint), or --architecture for random weights; one of the two.")
    }
    for (name, value) in [
      ("--epochs", epochs), ("--batch-size", batchSize), ("--gradient-accumulation", gradientAccumulation),
      ("--image-size", imageSize ?? 1), ("--threads", threads ?? 1),
      ("--stop-after-bad-epochs", stopAfterBadEpochs ?? 1),
      ("--checkpoint-every", checkpointEvery ?? 1), ("--cache-size", cacheSize ?? 1),
    ] where value < 1 {
      throw ValidationError("\(name) needs at least 1, found \(value).")
    }
    for (name, value) in [
      ("--warmup-epochs", warmupEpochs), ("--freeze-epochs", freezeEpochs), ("--plateau-patience", plateauPatience),
    ] where value < 0 {
      throw ValidationError("\(name) needs 0 or more, found \(value).")
    }
    if cache == "never", cacheSize != nil {
      throw ValidationError("--cache-size says what is kept, and --cache never that nothing is; give one of them.")
    }
    if hpu, device != "auto", device != "gaudi" {
      throw ValidationError("--hpu is --device gaudi, and --device \(device) is another; give one of them.")
    }
    if let ema, !(0..<1).contains(ema) { throw ValidationError("--ema needs 0 or more and less than 1, found \(ema).") }
    if !(0..<1).contains(momentum) {
      throw ValidationError("--momentum needs 0 or more and less than 1, found \(momentum).")
    }
    if !(learningRate > 0) { throw ValidationError("--learning-rate needs a number above 0, found \(learningRate).") }
    if !(weightDecay >= 0) { throw ValidationError("--weight-decay needs 0 or more, found \(weightDecay).") }
    if let clipNorm, !(clipNorm > 0) { throw ValidationError("--clip-norm needs a number above 0, found \(clipNorm).") }
  }

  func run() throws {
    if !dryRun { Interruption.listen() }
    try rankOptions.join(savesOnSignal: !dryRun) { collective in try run(collective) }
  }

  /// In each of the processes; the first tells how it goes.
  private func run(_ collective: any Collective) throws {
    let (own, policy) = try runDirectory()
    // The folder's name can hold the time.
    let path = String(decoding: try collective.broadcast(Array(own.utf8)), as: UTF8.self)
    let pool = ThreadPool(threads: RankOptions.threads(threads, collective))
    let backend = try collective.together(wrapped: { TrainingError.cause($0) }) { () throws(TrainingError) in
      do throws(BackendError) {
        return try chexnet.backend(
          named: hpu ? "gaudi" : device, pool: pool, precision: precision, isMemoryEfficient: memoryEfficient,
          local: collective.local)
      } catch {
        throw .cause(error)
      }
    }
    let finetuner = Finetuner(
      options, output: path, resume: policy, backend: backend, pool: pool, collective: collective)
    let isMain = collective.rank == 0
    if dryRun {
      let plan = try finetuner.plan { event in
        if case .warning(let text) = event, isMain { standardError("warning: \(text)\n") }
      }
      if isMain { json ? printJSON(plan.json) : print(plan.text) }
      return
    }
    let line = ProgressLine(isMain ? progress : .none)
    var pace = Pace()
    defer { line.clear() }
    if collective.size > 1 { line.line(collective.text(threads: pool.threads)) }
    let summary = try finetuner { event in if isMain { show(event, line, &pace) } }
    line.clear()
    guard isMain else { return }
    if json { return printJSON(summary.json) }
    if summary.wasFinished {
      let option = summary.stoppedEarly ? "--stop-after-bad-epochs" : "--epochs"
      print("\(summary.run) is finished: \(summary.epochs) epochs. Give a larger \(option) to go on.")
    }
    print(summary.text)
  }

  private var options: TrainingOptions {
    var options = TrainingOptions(
      data: data, trainList: train, validationList: validation,
      start: weights.map { .checkpoint(path: $0) } ?? .random(architecture: architecture ?? ""))
    options.labels = labels
    options.classes = classes.map { $0.split(separator: ",").map(String.init) }
    options.imageSize = imageSize
    options.epochs = epochs
    options.batchSize = batchSize
    options.gradientAccumulation = gradientAccumulation
    options.optimizer = optimizer
    options.learningRate = learningRate
    options.momentum = momentum
    options.weightDecay = weightDecay
    options.schedule = schedule
    options.plateauPatience = plateauPatience
    options.warmupEpochs = warmupEpochs
    options.freezeEpochs = freezeEpochs
    options.averageDecay = ema
    options.stopAfterBadEpochs = stopAfterBadEpochs
    options.checkpointEvery = checkpointEvery
    options.maxSeconds = maxTime?.seconds
    options.cacheSize = cacheSize
    options.cache =
      switch cache {
      case "auto": .automatic
      case "never": .never
      default: .folder(cache)
      }
    options.clipNorm = clipNorm
    options.loss = loss
    options.uncertain = uncertain
    options.augmentation = augment
    options.badImages = onBadImage
    options.precision = precision
    options.synchronizesBatchNorm = syncBatchNorm
    options.seed = seed
    options.allowsPatientOverlap = allowPatientOverlap
    return options
  }

  /// Where the run is, and whether it may be gone on with.
  private func runDirectory() throws -> (String, Finetuner.Resume) {
    switch resume {
    case "auto": return (output ?? Finetuner.newRunPath(), .automatic)
    case "never": return (output ?? Finetuner.newRunPath(), .never)
    default:
      if let output, output != resume {
        throw ValidationError("--resume \(resume) and --output \(output) name two runs; give one of them.")
      }
      return (resume, .required)
    }
  }

  private func show(_ event: TrainingEvent, _ line: ProgressLine, _ pace: inout Pace) {
    switch event {
    case .note(let text): line.line(text)
    case .warning(let text):
      line.clear()
      standardError("warning: \(text)\n")
    case .step(let epoch, let step, let steps, let loss, let images, let waited):
      pace.step(step, images: images, waited: waited)
      line.show(
        step, of: steps,
        "epoch \(epoch)/\(epochs)  loss \(decimals(loss, 4))" + (pace.text.isEmpty ? "" : "  " + pace.text))
    case .validating(let epoch, let done, let images):
      line.show(done, of: images, "epoch \(epoch)/\(epochs)  validating")
    case .epoch(let epoch): line.line(epoch.text(epochs: epochs))
    }
  }
}

extension TrainingOptions.OptimizerKind: ExpressibleByArgument {}
extension TrainingOptions.LossKind: ExpressibleByArgument {}
extension TrainingOptions.UncertainPolicy: ExpressibleByArgument {}
extension TrainingOptions.AugmentationKind: ExpressibleByArgument {}
extension TrainingOptions.BadImagePolicy: ExpressibleByArgument {}
extension Schedule: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
extension ProgressLine.Style: ExpressibleByArgument {}
